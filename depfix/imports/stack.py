"""The stack of a code object's instructions: what is known of the values on it, and plain operations on them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from depfix.imports.marshal import CodeValue, ConstantValue
from depfix.imports.operators import compare
from depfix.imports.values import UNKNOWN, Constant, Items, Reference, Value, text, truth

_COMPARE: tuple[type[ast.cmpop], ...] = (
    ast.Lt, ast.LtE, ast.Eq, ast.NotEq, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot,
)  # fmt: skip
_SUBSCRIPT = 26  # the argument of BINARY_OP
DEEPEST = 64  # values that are kept; more only in tables, of which nothing is asked


@dataclass(eq=False, slots=True)
class ImportNote:
    """An import statement that is being followed; `index` is that of its instruction."""

    index: int
    module: str
    names: tuple[str, ...]
    level: int
    aliases: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """A value on the stack, and what was written in the source: a dotted name, or several in a tuple.

    `code` is that of a function, `decorators` what was called with it. `note` is the import statement that gave the
    module, or with `member` a name of it. `suppressed`: it is `suppress(...)` with these exceptions.
    `made_by` is the last name of the function that returned it.
    """

    value: Value = UNKNOWN
    written: str = ""
    parts: tuple[Slot, ...] = ()
    code: CodeValue | None = None
    decorators: tuple[str, ...] = ()
    note: ImportNote | None = None
    member: str = ""
    suppressed: frozenset[str] = frozenset()
    made_by: str = ""

    @property
    def last(self) -> str:
        """The last part of the name."""
        return self.written.rpartition(".")[2]


NOTHING = Slot()
NULL = Slot()
CLASS_BUILDER = Slot()


class Stack:
    """What is on the stack. Of what is taken from an empty one nothing is known."""

    def __init__(self, version: tuple[int, int]) -> None:
        self.stack: list[Slot] = []
        self.version = version

    def truth(self) -> bool | None:
        """Return the truth of the value on top."""
        top = self.stack[-1].value if self.stack else UNKNOWN
        return None if isinstance(top, Reference) else truth(top)

    def pop(self) -> Slot:
        """Take the value on top."""
        return self.stack.pop() if self.stack else NOTHING

    def take(self, count: int) -> list[Slot]:
        if count > DEEPEST:
            self.stack.clear()
            return []
        taken = [self.pop() for _ in range(count)]
        taken.reverse()
        return taken

    def push(self, value: Value = UNKNOWN, written: str = "") -> None:
        self.stack.append(Slot(value, written))

    # --- operators ---

    def do_compare(self, number: int) -> None:
        if self.version >= (3, 12):
            number >>= 5 if self.version >= (3, 13) else 4
        self._compared(_COMPARE[number] if number < len(_COMPARE) else None)

    def do_contains(self, number: int) -> None:
        self._compared(ast.NotIn if number & 1 else ast.In)

    def do_is(self, number: int) -> None:
        self._compared(ast.IsNot if number & 1 else ast.Is)

    def _compared(self, kind: type[ast.cmpop] | None) -> None:
        left, right = self.take(2)
        found = compare(kind(), left.value, right.value) if kind is not None else None
        self.push(UNKNOWN if found is None else Constant(found))

    def do_not(self, _: int) -> None:
        known = self.truth()
        self.pop()
        self.push(UNKNOWN if known is None else Constant(not known))

    def do_subscript(self, _: int) -> None:
        container, index = self.take(2)
        value: Value = UNKNOWN
        known = container.value.value if isinstance(container.value, Constant) else None
        key = index.value.value if isinstance(index.value, Constant) else None
        if isinstance(known, tuple) and isinstance(key, slice):
            value = _sliced(known, key)
        elif isinstance(known, tuple) and isinstance(key, int) and -len(known) <= key < len(known):
            value = Constant(known[key])
        self.push(value, container.written)

    def do_binary_operator(self, number: int) -> None:
        if number == _SUBSCRIPT:
            self.do_subscript(0)
        else:
            self.take(2)
            self.push()

    def do_slice(self, _: int) -> None:
        low, high = self.take(2)
        self.push(_slice_of([low, high]))
        self.do_subscript(0)

    def do_build_slice(self, count: int) -> None:
        self.push(_slice_of(self.take(count)))

    # --- containers ---

    def do_build_tuple(self, count: int) -> None:
        parts = tuple(self.take(count))
        constants = tuple(each.value.value for each in parts if isinstance(each.value, Constant))
        whole = len(constants) == len(parts) == count
        self.stack.append(Slot(Constant(constants) if whole and count else UNKNOWN, parts=parts))

    def do_build(self, count: int) -> None:
        self.take(count)
        self.push()

    def do_build_map(self, count: int) -> None:
        self.do_build(2 * count)

    def do_build_keyed_map(self, count: int) -> None:
        self.do_build(count + 1)

    # --- the stack itself ---

    def do_copy(self, depth: int) -> None:
        self.stack.append(self.stack[-depth] if 0 < depth <= len(self.stack) else NOTHING)

    def do_swap(self, depth: int) -> None:
        if 1 < depth <= len(self.stack):
            self.stack[-1], self.stack[-depth] = self.stack[-depth], self.stack[-1]
        else:
            self.stack.clear()

    def do_rotate_three(self, _: int) -> None:
        first, second, third = self.take(3)
        self.stack += [third, first, second]


def value_of(value: ConstantValue) -> Value:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, tuple):
        if value and all(isinstance(each, str) for each in value):
            return Items(tuple(text(each) for each in value if isinstance(each, str)))
        plain = all(isinstance(each, (int, float, bool, type(None))) for each in value)
        return Constant(value) if plain else UNKNOWN
    return Constant(value) if isinstance(value, (int, float, bool, slice, type(None))) else UNKNOWN


def texts_of_tuple(value: ConstantValue) -> tuple[Slot, ...]:
    """Return the texts of a tuple: names of an import statement, or of keywords."""
    if not isinstance(value, tuple):
        return ()
    return tuple(Slot(written=each) for each in value if isinstance(each, str))


def _slice_of(bounds: list[Slot]) -> Value:
    values = [each.value.value if isinstance(each.value, Constant) else each for each in bounds]
    if not 2 <= len(values) <= 3 or not all(each is None or isinstance(each, int) for each in values):
        return UNKNOWN
    return Constant(slice(*values))


def _sliced(known: tuple[object, ...], bounds: slice) -> Value:
    try:
        return Constant(known[bounds])
    except (TypeError, ValueError):
        return UNKNOWN
