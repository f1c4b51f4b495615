"""Calls that read, write or ask for files, and which of their arguments name them: the table file-readers.tsv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_rows

_TABLE = "file-readers.tsv"
_QT = ("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy")
_WHAT = frozenset(
    "reads tries optional font style lists tries-folder globs globs-below tree beside asks writes makes enters".split()
)
SELF = "self"  # the object whose method is called
KEYWORD_ONLY = -1


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument by position and keyword; `default` is what stands for it if it is not given."""

    position: int
    keyword: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class FileCall:
    """What a call does with the files that `arguments` name; no arguments: with the path whose method it is.

    `what` is a word of the table's head. `resource`: the first argument is a package, the second a path in it. `only`
    is (argument, text) if it is so for one value of another argument alone. `mode` is the argument that holds a mode,
    `starts` the source in the folder that is imported first.
    """

    name: str
    what: str
    arguments: tuple[Argument, ...]
    resource: bool = False
    only: tuple[Argument, str] | None = None
    mode: Argument | None = None
    starts: str = ""


@lru_cache(maxsize=1)
def file_calls() -> Mapping[str, FileCall]:
    """Return every call by its name. Raises DataFileError for a row that is not whole."""
    found: dict[str, FileCall] = {}
    for row in read_rows(_TABLE):
        if len(row) != 5:
            raise DataFileError(_TABLE, f"the row of {row[0]} is not whole")
        for name in _names(row[0]):
            found[name] = _call(name, row)
    return found


@lru_cache(maxsize=1)
def made_objects() -> frozenset[str]:
    """Return the classes of whose objects a method reads or writes files."""
    return frozenset(name.partition("()")[0] for name in file_calls() if "()" in name)


def _names(name: str) -> Iterator[str]:
    if name.startswith("{qt}"):
        yield from (binding + name[4:] for binding in _QT)
    else:
        yield name


def _call(name: str, row: list[str]) -> FileCall:
    kind, _, only = row[2].partition(":")
    what = kind.removesuffix("-resource")
    if what not in _WHAT:
        raise DataFileError(_TABLE, f"{name}: {row[2]} is no word of this table")
    arguments = () if row[1] == SELF else tuple(_argument(one) for one in row[1].split(","))
    place, _, value = only.partition("=")
    position = int(place) if place.isdigit() else KEYWORD_ONLY
    condition = (Argument(position, "" if place.isdigit() else place), value) if only else None
    starts = row[3] if what == "tree" else ""
    mode = _argument(row[3]) if row[3] != "-" and not starts else None
    return FileCall(name, what, arguments, what != kind, condition, mode, starts)


def _argument(text: str) -> Argument:
    place, _, rest = text.partition(":")
    keyword, _, default = rest.partition("=")
    if place != "-" and not place.isdigit():
        raise DataFileError(_TABLE, f"{text} is no argument")
    return Argument(KEYWORD_ONLY if place == "-" else int(place), keyword, default)
