"""What functions and classes of a source mention: who may call whom is judged by names alone."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from depfix.imports.bodies import functions_of, mentioned_in
from depfix.imports.guards import copes_with_absence
from depfix.imports.uses import Calls, FunctionCalls, Mentions

HARMLESS = frozenset(
    "property staticmethod classmethod lru_cache cache cached_property wraps abstractmethod contextmanager "
    "asynccontextmanager overload setter getter deleter final override".split()
)
NO_BASES = frozenset(("object", "Generic", "Protocol", "ABC", "NamedTuple", "TypedDict"))
_LABELS = frozenset(("__doc__", "__name__", "__qualname__", "__module__"))
_ABSENCES = frozenset(("ImportError", "ModuleNotFoundError"))
_ANNOTATED = (ast.AnnAssign,)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)


def read_calls(tree: ast.Module) -> Calls | None:
    """Return who may call whom in a source, None if it is nested too deeply."""
    try:
        definitions = _Definitions(tree)
        for name, node in functions_of(tree):
            found = _Found(*mentioned_in(node))
            if found.names & _ABSENCES:
                found.drop(_optional(node))
            definitions.mentions[name].add(found)
    except RecursionError:
        return None
    functions = {
        name: FunctionCalls(name.rpartition(".")[0], found.frozen(), name in definitions.decorated)
        for name, found in definitions.mentions.items()
    }
    on_import = functions.pop("").mentions
    return Calls(on_import, functions, {name: tuple(bases) for name, bases in definitions.classes.items()})


class _Found:
    """Mentions that are being gathered."""

    def __init__(self, names: set[str] | None = None, attributes: set[str] | None = None) -> None:
        self.names: set[str] = set() if names is None else names
        self.attributes: set[str] = set() if attributes is None else attributes

    def add(self, other: _Found) -> None:
        """Add what was gathered elsewhere."""
        self.names |= other.names
        self.attributes |= other.attributes

    def drop(self, other: _Found) -> None:
        """Take away what was gathered elsewhere."""
        self.names -= other.names
        self.attributes -= other.attributes

    def note(self, node: ast.AST) -> None:
        """Add the name or attribute that a node is."""
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        elif isinstance(node, ast.Attribute):
            self.attributes.add(node.attr)
        elif isinstance(node, ast.alias):
            self.names.add(node.name)

    def frozen(self) -> Mentions:
        """Return what was gathered."""
        return Mentions(frozenset(self.names), frozenset(self.attributes))


# --- what a function does without ---


def _optional(function: ast.AST) -> _Found:
    """Return what a function mentions only where it copes with the absence of modules.

    What such code calls may fail to import something, and the function goes on.
    """
    optional, needed = _Found(), _Found()
    todo = [(child, False) for child in _children(function)]
    while todo:
        node, guarded = todo.pop()
        (optional if guarded else needed).note(node)
        copes = isinstance(node, ast.Try) and copes_with_absence(node.handlers)
        body = set(map(id, node.body)) if isinstance(node, ast.Try) and copes else set()
        todo += [(child, guarded or id(child) in body) for child in _children(node)]
    optional.drop(needed)
    return optional


# --- the code that runs on import: from the syntax tree ---


class _Definitions:
    """What modules and class bodies define, and what they mention on the way."""

    def __init__(self, tree: ast.Module) -> None:
        self.mentions: defaultdict[str, _Found] = defaultdict(_Found)  # by function; "" for what runs on import
        self.classes: dict[str, list[str]] = {}
        self.decorated: set[str] = set()
        self._on_import = self.mentions[""]
        self._block(tree.body, "")

    def _block(self, body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._function(node, prefix)
            elif isinstance(node, ast.ClassDef):
                self._class(node, prefix)
            elif isinstance(node, _BLOCKS):
                self._compound(node, prefix)
            elif not self._alias(node, prefix):
                self._mention(node)

    def _compound(self, node: ast.AST, prefix: str) -> None:
        for _, value in ast.iter_fields(node):
            if isinstance(value, ast.AST):
                self._mention(value)
            for child in value if isinstance(value, list) else ():
                if isinstance(child, ast.stmt):
                    self._block([child], prefix)
                elif isinstance(child, ast.ExceptHandler):
                    self._block(child.body, prefix)
                elif isinstance(child, ast.AST):
                    self._mention(child)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> None:
        for part in (*node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self._mention(part)
        called = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                self._give(decorator, [prefix + node.name])
            else:
                self._mention(decorator)
        if any(_dotted(each).rpartition(".")[2] not in HARMLESS for each in called):
            self.decorated.add(prefix + node.name)

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        """Note a class; one that only stands as the base of another is not mentioned."""
        bases = self.classes.setdefault(prefix + node.name, [])  # one class may be defined in several ways
        for base in node.bases:
            name = _dotted(base)
            if not name:
                self._mention(base)
            if name.rpartition(".")[2] not in NO_BASES:
                bases.append(name or "?")
        if any(not _dotted(keyword.value).endswith("ABCMeta") for keyword in node.keywords):
            bases.append("?")
        for part in (*node.decorator_list, *(keyword.value for keyword in node.keywords)):
            self._mention(part)
        self._block(node.body, f"{prefix}{node.name}.")

    def _alias(self, node: ast.stmt, prefix: str) -> bool:
        """Note `name = function` as a function that mentions the other one; return True if it is that.

        `name = wrapper(function)` is the same, a decorator written out, and so is a table of functions.
        """
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, _ANNOTATED) else []
        )
        names = [prefix + target.id for target in targets if isinstance(target, ast.Name)]
        value = node.value if isinstance(node, (ast.Assign, *_ANNOTATED)) else None
        if not names or len(names) < len(targets) or value is None:
            return False
        self._give(value, names)
        return True

    def _give(self, value: ast.expr, names: list[str]) -> None:
        """Note that `value`, or what it calls with its arguments, becomes a part of the functions of these names."""
        todo: list[ast.expr | None] = [value]
        if isinstance(value, ast.Call):
            todo = [*value.args]
            for inner in (value.func, *(keyword.value for keyword in value.keywords)):
                self._mention(inner)
        while todo:
            part = todo.pop()
            first, *attributes = _dotted(part).split(".") if part is not None else [""]
            for name in names if first else ():
                self.mentions[name].names.add(first)
                self.mentions[name].attributes.update(attributes)
            if isinstance(part, ast.Dict):
                todo += [*part.keys, *part.values]
            elif isinstance(part, (ast.List, ast.Tuple, ast.Set)):
                todo += part.elts
            elif part is not None and not first:
                self._mention(part)

    def _mention(self, node: ast.AST) -> None:
        todo = [node]
        while todo:
            one = todo.pop()
            if isinstance(one, ast.Attribute) and one.attr in _LABELS:
                one = one.value  # the label of a function does not call it
                if isinstance(one, ast.Attribute):
                    todo.append(one.value)
                    continue
            if isinstance(one, ast.Name):
                if isinstance(one.ctx, ast.Load):
                    self._on_import.names.add(one.id)
                continue
            if isinstance(one, ast.Attribute):
                self._on_import.attributes.add(one.attr)
            todo.extend(_children(one))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """As ast.iter_child_nodes, which takes three times as long."""
    for name in node._fields:
        value = getattr(node, name, None)
        if value.__class__ is list:
            yield from (child for child in value if isinstance(child, ast.AST))
        elif isinstance(value, ast.AST):
            yield value


def _dotted(node: ast.expr) -> str:
    """Return `a.b` for what is written so, with type arguments behind it or not; else an empty string."""
    if isinstance(node, ast.Subscript):
        node = node.value
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
