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


Part: TypeAlias = "str | Anchor | PackageFolder | Hole"


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
        return hole in self.parts


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
class Method:
    """An attribute of a value, most often about to be called."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known; `parameter` is True if a caller outside this source decides."""

    parameter: bool = False


Value: TypeAlias = "Text | Constant | Items | Choice | Reference | Function | Method | Unknown"

UNKNOWN = Unknown()
PARAMETER = Unknown(parameter=True)
MOST_ALTERNATIVES = 24
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
    return (Hole.PARAMETER if value == PARAMETER else Hole.ANY,)


def made_of(parts: tuple[Part, ...]) -> Text:
    """Return a text with neighbouring literals joined."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return Text(tuple(joined) or ("",))


def alternatives(value: Value) -> tuple[Value, ...]:
    """Return what a value can be, one by one."""
    return value.values if isinstance(value, Choice) else (value,)


def choice(values: list[Value]) -> Value:
    """Return one value that can be any of these."""
    flat = list(dict.fromkeys(one for value in values for one in alternatives(value)))
    if not flat:
        return UNKNOWN
    if len(flat) > MOST_ALTERNATIVES:
        return UNKNOWN
    return flat[0] if len(flat) == 1 else Choice(tuple(flat))


def elements(value: Value) -> tuple[Value, ...]:
    """Return what iterating over a value can give."""
    if isinstance(value, Items):
        return value.values
    if isinstance(value, Choice):
        return tuple(dict.fromkeys(one for each in value.values for one in elements(each)))
    return (PARAMETER,) if value == PARAMETER else (UNKNOWN,)


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
        return bool(known) if known is not None else (True if value.anchored else None)
    if isinstance(value, Items) and value.exact:
        return bool(value.values)
    if isinstance(value, (Function, Reference)):
        return True
    return None
