"""What functions and classes of a source mention: who may call whom is judged by names alone."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from opcode import opmap
from types import CodeType

from depfix.imports.guards import copes_with_absence
from depfix.imports.uses import Calls, FunctionCalls, Mentions

_OPTIMIZED = 0x1  # CO_OPTIMIZED: set for functions, not for modules and class bodies
_HARMLESS = frozenset(
    "property staticmethod classmethod lru_cache cache cached_property wraps abstractmethod contextmanager "
    "asynccontextmanager overload setter getter deleter final override".split()
)
_NO_BASES = frozenset(("object", "Generic", "Protocol", "ABC", "NamedTuple", "TypedDict"))
_LABELS = frozenset(("__doc__", "__name__", "__qualname__", "__module__"))
_ABSENCES = frozenset(("ImportError", "ModuleNotFoundError"))
_ANNOTATED = (ast.AnnAssign,)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.ExceptHandler)

# Instructions that take a name, and by how many bits their argument is shifted.
# Source: dis, "Python Bytecode Instructions" https://docs.python.org/3/library/dis.html
_NAMES = {"LOAD_GLOBAL": int(sys.version_info >= (3, 11)), "LOAD_NAME": 0, "IMPORT_FROM": 0}
_ATTRIBUTES = {"LOAD_ATTR": int(sys.version_info >= (3, 12)), "LOAD_METHOD": 0}
_PSEUDO = 256  # instructions from here on stand in no code object
_EXTENDED_ARG = opmap["EXTENDED_ARG"]


def read_calls(tree: ast.Module) -> Calls | None:
    """Return who may call whom in a source, None if Python's compiler refuses it."""
    try:
        code = compile(tree, "source", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    definitions = _Definitions(tree)
    for name, inner in _functions(code, ""):
        found = _Found()
        _add_mentions(inner, found)
        if found.names & _ABSENCES and name in definitions.nodes:
            found.drop(_optional(definitions.nodes[name]))
        definitions.mentions[name].add(found)
    functions = {
        name: FunctionCalls(name.rpartition(".")[0], found.frozen(), name in definitions.decorated)
        for name, found in definitions.mentions.items()
    }
    on_import = functions.pop("").mentions
    return Calls(on_import, functions, {name: tuple(bases) for name, bases in definitions.classes.items()})


class _Found:
    """Mentions that are being gathered."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[str] = set()

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


# --- functions: from their code objects, for these tell globals from local variables ---


def _functions(code: CodeType, prefix: str) -> Iterator[tuple[str, CodeType]]:
    """Yield the functions and methods of a module or class body by their qualified names."""
    for inner in code.co_consts:
        if not isinstance(inner, CodeType):
            continue
        if inner.co_name.startswith("<"):  # a lambda, a comprehension, type parameters: a part of what surrounds it
            yield from _functions(inner, prefix)
        elif inner.co_flags & _OPTIMIZED:
            yield prefix + inner.co_name, inner
        else:
            yield from _functions(inner, f"{prefix}{inner.co_name}.")


def _add_mentions(code: CodeType, found: _Found) -> None:
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    names = set(_named(code, operations, arguments, _NAMES))
    found.names |= names
    found.attributes |= set(code.co_names) - names
    found.attributes.update(_named(code, operations, arguments, _ATTRIBUTES))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            _add_mentions(inner, found)


def _named(code: CodeType, operations: bytes, arguments: bytes, instructions: dict[str, int]) -> Iterator[str]:
    """Yield the names that some instructions of a code object take."""
    for instruction, shift in instructions.items():
        number = opmap.get(instruction, _PSEUDO)
        if number >= _PSEUDO:
            continue
        place = operations.find(number)
        while place >= 0:
            index, before, bits = arguments[place], place - 1, 8
            while before >= 0 and operations[before] == _EXTENDED_ARG:
                index |= arguments[before] << bits
                before, bits = before - 1, bits + 8
            yield code.co_names[index >> shift]
            place = operations.find(number, place + 1)


def _optional(function: ast.AST) -> _Found:
    """Return what a function mentions only where it copes with the absence of modules.

    What such code calls may fail to import something, and the function goes on.
    """
    optional, needed = _Found(), _Found()
    todo = [(child, False) for child in ast.iter_child_nodes(function)]
    while todo:
        node, guarded = todo.pop()
        (optional if guarded else needed).note(node)
        copes = isinstance(node, ast.Try) and copes_with_absence(node.handlers)
        body = set(map(id, node.body)) if isinstance(node, ast.Try) and copes else set()
        todo += [(child, guarded or id(child) in body) for child in ast.iter_child_nodes(node)]
    optional.drop(needed)
    return optional


# --- the code that runs on import: from the syntax tree ---


class _Definitions:
    """What modules and class bodies define, and what they mention on the way."""

    def __init__(self, tree: ast.Module) -> None:
        self.mentions: defaultdict[str, _Found] = defaultdict(_Found)  # by function; "" for what runs on import
        self.classes: dict[str, list[str]] = {}
        self.decorated: set[str] = set()
        self.nodes: dict[str, ast.AST] = {}
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
        self.nodes[prefix + node.name] = node
        for part in (*node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self._mention(part)
        called = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                self._give(decorator, [prefix + node.name])
            else:
                self._mention(decorator)
        if any(_dotted(each).rpartition(".")[2] not in _HARMLESS for each in called):
            self.decorated.add(prefix + node.name)

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        """Note a class; one that only stands as the base of another is not mentioned."""
        bases = self.classes.setdefault(prefix + node.name, [])  # one class may be defined in several ways
        for base in node.bases:
            name = _dotted(base)
            if not name:
                self._mention(base)
            if name.rpartition(".")[2] not in _NO_BASES:
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
            todo.extend(ast.iter_child_nodes(one))


def _dotted(node: ast.expr) -> str:
    """Return `a.b` for what is written so, with type arguments behind it or not; else an empty string."""
    if isinstance(node, ast.Subscript):
        node = node.value
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
