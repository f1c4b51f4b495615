"""The values of the partial evaluator: what an expression of somebody else's source can be known to be.

A text is a row of literal pieces, anchors (a place known only when the dist is) and holes (unknown pieces). So
`os.path.join(os.path.dirname(__file__), "lib", name + ".dll")` is `HERE, "/lib/", ANY, ".dll"` whatever `name` is.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Anchor(Enum):
    """A folder that is known once the source file and the dist are."""

    HERE = "here"  # the folder of the source file
    PREFIX = "prefix"  # sys.prefix
    PROGRAM = "program"  # the folder of sys.executable
    CWD = "cwd"  # the current directory
    SYSTEM = "system"  # the Windows folder
    ON_PATH = "on path"  # the folder of PATH that has the file


@dataclass(frozen=True, slots=True)
class PackageFolder:
    """The folder of an import package, as importlib.resources gives it."""

    package: str


class Hole(Enum):
    """A piece of a text that the source alone does not tell."""

    EACH = "each"  # every name that is there: from glob or a directory listing
    ANY = "any"  # something computed
    PARAMETER = "parameter"  # given by a caller that is not in this source


class Own(Enum):
    """A name that the source has once it is known under which name it is imported."""

    NAME = "__name__"
    PACKAGE = "__package__"
    TOP = "top"  # the first part of `__name__`


@dataclass(frozen=True, slots=True)
class Executed:
    """What a source that was executed here has bound to a name."""

    name: str


@dataclass(frozen=True, slots=True)
class Outer:
    """A text that another module binds: `module.name`, with leading dots if it is near this one."""

    name: str


Part: TypeAlias = "str | Anchor | PackageFolder | Hole | Own | Executed | Outer"


@dataclass(frozen=True, slots=True)
class Text:
    """A str, bytes or path."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """The text itself if nothing of it is unknown or anchored."""
        return "".join(self.parts) if all(isinstance(part, str) for part in self.parts) else None  # type: ignore[arg-type]

    @property
    def anchored(self) -> bool:
        return bool(self.parts) and isinstance(self.parts[0], (Anchor, PackageFolder))

    def has(self, hole: Hole) -> bool:
        return hole in self.parts or (hole is Hole.ANY and any(isinstance(part, (Own, Outer)) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, bool, None, or a tuple of those."""

    value: object


@dataclass(frozen=True, slots=True)
class Items:
    """A list, tuple, set or iterator: what its elements can be. `exact` is False if there may be more or fewer."""

    values: tuple[Value, ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A dict with its entries in order; `exact` is False if there may be others."""

    keys: tuple[Value, ...]
    values: tuple[Value, ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Probe:
    """A condition that tells whether modules can be imported: those that can when it is true, and when it is false."""

    when_true: frozenset[str]
    when_false: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, according to a condition that is unknown."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A module or something in it, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function defined in the same source."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Class:
    """A class defined in the same source."""

    node: ast.ClassDef


@dataclass(frozen=True, slots=True)
class Instance:
    """Any object of a class defined in the same source: what one of them is given, all of them may have."""

    node: ast.ClassDef


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of a class defined in the same source, of one of its objects or of the class itself."""

    function: Function
    receiver: Class | Instance


@dataclass(frozen=True, slots=True)
class Method:
    """An attribute of a value, most often about to be called."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known; `parameter` is True if a caller outside this source decides.

    `absent`: it is known not to be there, and asking for it raises an AttributeError.
    """

    parameter: bool = False
    absent: bool = False


Value: TypeAlias = (
    "Text | Constant | Items | Table | Probe | Choice | Reference | Function | Class | Instance | Bound | Method | "
    "Unknown"
)

NAMESPACE = "namespace"  # the Reference that globals() and locals() give; the next two where the freezer is known
GLOBALS = Reference("frozen namespace")  # without the name that Nuitka gives to a module
COMPILED_GLOBALS = Reference("compiled namespace")
NAMESPACES = frozenset((NAMESPACE, GLOBALS.name, COMPILED_GLOBALS.name))
OPENED, CONTENT = "opened", "content"  # the Method that a path's open file, and what is in it, are
UNKNOWN = Unknown()
PARAMETER = Unknown(parameter=True)
ABSENT = Unknown(absent=True)
MOST_ALTERNATIVES = 256
_MOST_PARTS = 4096
LONGEST_TEXT = 1 << 16  # characters of a text that is put together; no path is longer
OWN_FILE = "__file__.py"  # stands for the name of a module's own file, which its source does not tell


def text(value: str) -> Text:
    """Return a text of which everything is known."""
    return Text((value,))


def parts_of(value: Value) -> tuple[Part, ...]:
    """Return the pieces of a value used as a text; a hole if it is none."""
    if isinstance(value, Text):
        return value.parts
    if isinstance(value, Constant) and isinstance(value.value, (int, float)):
        return (str(value.value),)
    if isinstance(value, Reference) and "." in value.name and "()" not in value.name:
        return (Hole.ANY if value.name.startswith("builtins.") else Outer(value.name),)
    return (Hole.PARAMETER if value == PARAMETER else Hole.ANY,)


def made_of(parts: tuple[Part, ...]) -> Text:
    """Return a text with neighbouring literals joined; nothing is known of one that has grown too large."""
    if len(parts) > _MOST_PARTS or is_long(*(part for part in parts if isinstance(part, str))):
        return Text((Hole.ANY,))
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return Text(tuple(joined) or ("",))


def is_long(*literals: str) -> bool:
    """Return True for literals that make no sensible text together: doubled again and again, they would fill memory."""
    return sum(map(len, literals)) > LONGEST_TEXT


def alternatives(value: Value) -> tuple[Value, ...]:
    """Return what a value can be, one by one."""
    return value.values if isinstance(value, Choice) else (value,)


def choice(values: list[Value]) -> Value:
    """Return one value that can be any of these; nothing is known of containers that have grown too large."""
    if len(values) == 1 and not isinstance(values[0], (Choice, Items, Table)):
        return values[0]
    flat = list(dict.fromkeys(UNKNOWN if _is_huge(one) else one for value in values for one in alternatives(value)))
    if not flat:
        return UNKNOWN
    if len(flat) > MOST_ALTERNATIVES:
        return UNKNOWN
    return flat[0] if len(flat) == 1 else Choice(tuple(flat))


def _is_huge(value: Value) -> bool:
    """Return True if a value holds more values than is sensible: they share parts, and each would be compared anew."""
    if not isinstance(value, (Items, Table)):
        return False
    left = _MOST_PARTS
    todo: list[Items | Table | Choice] = [value]
    while todo and left > 0:
        one = todo.pop()
        inner = one.keys + one.values if isinstance(one, Table) else one.values
        left -= len(inner)
        todo += [each for each in inner if isinstance(each, (Items, Table, Choice))]
    return left <= 0


def elements(value: Value) -> tuple[Value, ...]:
    """Return what iterating over a value can give."""
    if isinstance(value, Items):
        return value.values
    if isinstance(value, Table):
        return value.keys
    if isinstance(value, Choice):
        return tuple(dict.fromkeys(one for each in value.values for one in elements(each)))
    return (PARAMETER,) if value == PARAMETER else (UNKNOWN,)


def own_name(name: Text, module: str, *, is_package: bool) -> str | None:
    """Return a text with the names of the module in whose source it stands; None if something is still unknown.

    A module without a package has an empty `__package__`.
    """
    package = module if is_package else module.rpartition(".")[0]
    names = {Own.NAME: module, Own.PACKAGE: package, Own.TOP: module.partition(".")[0]}
    known = [names.get(part, "") if isinstance(part, Own) else part for part in name.parts]
    return "".join(known) if all(isinstance(part, str) for part in known) else None  # type: ignore[arg-type]


def pairs_of(left: Value, right: Value) -> list[tuple[Value, Value]]:
    """Return every pair of what two values can be; none if there are too many."""
    ones, others = alternatives(left), alternatives(right)
    if len(ones) * len(others) > MOST_ALTERNATIVES:
        return []
    return [(one, other) for one in ones for other in others]


def either_table(one: Value, other: Value) -> Table | None:
    """Return a dict that may have had entries added to it; None if neither value is the other with more entries."""
    if not isinstance(one, Table) or not isinstance(other, Table):
        return None
    longer, shorter = (one, other) if len(one.keys) >= len(other.keys) else (other, one)
    if longer.keys[: len(shorter.keys)] != shorter.keys:
        return None
    return Table(longer.keys, longer.values, exact=False)


def unpacked(value: Value, count: int) -> list[Value] | None:
    """Return what `count` names get when a value is unpacked, None if that is not known."""
    rows = [one.values for one in alternatives(value) if isinstance(one, Items) and len(one.values) == count]
    if not rows or len(rows) < len(alternatives(value)):
        return None
    return [choice(list(column)) for column in zip(*rows, strict=True)]


def merge_items(values: list[Value], exact: bool = True) -> Items:
    """Return one list with the elements of all of these."""
    found: dict[Value, None] = {}
    for value in values:
        found.update(dict.fromkeys(elements(value)))
    return Items(tuple(found), exact)


def truth(value: Value) -> bool | None:
    """Return the truth of a value, None if it is not known."""
    if isinstance(value, Constant):
        return bool(value.value)
    if isinstance(value, Text):
        known = value.literal
        return (
            bool(known) if known is not None else (True if value.anchored or isinstance(value.parts[0], Own) else None)
        )
    if isinstance(value, (Items, Table)) and value.exact:
        return bool(value.values)
    if isinstance(value, Reference):  # a module or a builtin; what another module has under a name is not known
        return True if "." not in value.name or value.name.startswith("builtins.") else None
    return True if isinstance(value, Function) else None
