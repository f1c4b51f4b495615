"""Sources that another source executes, as configuration is: which they are, and the paths that they bind to names.

`exec(compile(open(path).read(), ...), globals(), names)` gives what the file at `path` binds to `names["NAME"]`. What
is taken from there later is an `Executed` text, which stands for whatever the file gives to that name. Sources: "exec"
and "locals" in "Built-in Functions" https://docs.python.org/3/library/functions.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from depfix.dist.tree import FileEntry
from depfix.imports.interpreter import Interpreter
from depfix.imports.parsing import parsed
from depfix.imports.texts import is_absolute
from depfix.imports.uses import ExecutedUse, SourceTarget, Where
from depfix.imports.values import (
    CONTENT,
    NAMESPACES,
    OPENED,
    Executed,
    Hole,
    Items,
    Method,
    Reference,
    Text,
    Value,
    alternatives,
)

_SOURCE = (".py", ".pyw")
_ENCODED = 65536  # bytes of a configuration that is worth a look
_READS = frozenset(("read", "read_text", "read_bytes", "getvalue"))
EXECUTING_CALLS = _READS | {"exec", "compile", "open"}


@dataclass(frozen=True, slots=True)
class BoundPath:
    """A path that an executed source gives to `name`, alone or in a list, and the span of its expression.

    Lines are counted from 1, columns in bytes of UTF-8 from 0.
    """

    name: str
    path: Text
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a path stands: the file, what that file binds it to, and the names that it finds bound."""

    entry: FileEntry
    row: BoundPath
    given: tuple[tuple[str, Text | Reference], ...] = ()


def content_of(called: Reference | Method, arguments: list[Value]) -> Value | None:
    """Return what `open`, `read` and `compile` give for a path: what is in its file."""
    if called.name in ("builtins.open", "io.open") and arguments and isinstance(arguments[0], Text):
        return Method(arguments[0], OPENED) if _is_source(arguments[0]) else None
    if isinstance(called, Method) and called.name in _READS:
        opened = called.receiver
        if isinstance(opened, Method) and opened.name == OPENED:
            return Method(opened.receiver, CONTENT)
        return Method(opened, CONTENT) if isinstance(opened, Text) and _is_source(opened) else None
    is_content = bool(arguments) and isinstance(arguments[0], Method) and arguments[0].name == CONTENT
    return arguments[0] if called.name == "builtins.compile" and is_content else None


def executed_uses(
    called: Reference | Method, arguments: list[Value], where: Where, scopes: Sequence[dict[str, Value]]
) -> Iterator[ExecutedUse]:
    """Yield the sources that a call executes, or gives to a function of another module that may."""
    if called.name == "builtins.exec" and arguments and isinstance(arguments[0], Method):
        inner = arguments[0]
        if inner.name == CONTENT and isinstance(inner.receiver, Text):
            yield ExecutedUse(where, inner.receiver, _known_names(scopes))
    elif isinstance(called, Reference) and "." in called.name and not called.name.startswith(("builtins.", "os.")):
        for argument in arguments[:2]:
            for one in alternatives(argument):
                if isinstance(one, Text) and one.anchored and _is_source(one):
                    yield ExecutedUse(where, one, _known_names(scopes), called.name)


def namespace_item(name: str, index: Value) -> Value | None:
    """Return what stands under a name in `globals()` or `locals()` after something was executed there."""
    known = index.literal if name in NAMESPACES and isinstance(index, Text) else None
    return Items((Text((Executed(known),)),), exact=False) if known else None


def _known_names(scopes: Sequence[dict[str, Value]]) -> tuple[tuple[str, Text | Reference], ...]:
    """Return the names that what is executed finds bound to places of the dist, and to modules."""
    bound = {name: value for scope in scopes for name, value in scope.items()}
    found: list[tuple[str, Text | Reference]] = []
    for name, value in bound.items():
        if (
            isinstance(value, Text)
            and value.anchored
            and not any(isinstance(one, (Hole, Executed)) for one in value.parts)
        ) or (isinstance(value, Reference) and value.name.isidentifier() and value.name not in NAMESPACES):
            found.append((name, value))
    return tuple(found)


def _is_source(path: Text) -> bool:
    last = path.parts[-1]
    return isinstance(last, str) and last.lower().endswith(_SOURCE)


def read_executed(
    data: bytes, target: SourceTarget, given: tuple[tuple[str, Text | Reference], ...]
) -> tuple[BoundPath, ...]:
    """Return the absolute and anchored paths that a source binds at its top, as it runs with `given` names.

    Never raises: of a source that cannot be parsed nothing is known.
    """
    if len(data) > _ENCODED:
        return ()
    try:
        tree = parsed(data)
        reader = _Reader(target, given)
        reader.read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(dict.fromkeys(reader.found))


class _Reader(Interpreter):
    """Notes which expression gives which path to which name."""

    def __init__(self, target: SourceTarget, given: tuple[tuple[str, Text | Reference], ...]) -> None:
        super().__init__(target, True, False)
        self.scopes[0].update(given)
        self.found: list[BoundPath] = []
        self._paths: list[tuple[ast.expr, Text]] = []

    def evaluate(self, node: ast.expr) -> Value:
        value = super().evaluate(node)
        if isinstance(value, Text) and is_absolute(value) and not isinstance(node, (ast.Name, ast.Attribute)):
            self._paths.append((node, value))
        return value

    def assigned(self, target: ast.expr, value: Value) -> None:
        name = target.id if isinstance(target, ast.Name) else ""
        paths, self._paths = self._paths, []
        paths = [(node, path) for node, path in paths if node.lineno >= target.lineno]  # of this statement
        outer = [(node, path) for node, path in paths if not any(_is_within(node, other) for other, _ in paths)]
        for node, path in outer if name else ():
            span = (node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0)
            self.found.append(BoundPath(name, path, *span))


def _is_within(node: ast.expr, other: ast.expr) -> bool:
    """Return True if an expression is a part of another one."""
    start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    first, last = (other.lineno, other.col_offset), (other.end_lineno or 0, other.end_col_offset or 0)
    return first <= start and end <= last and (first, last) != (start, end)
