"""What the standard library needs of its own extension modules, for where its sources cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_rows

_TABLE = "stdlib-extensions.tsv"
_MODULES = "stdlib-modules.tsv"


@dataclass(frozen=True, slots=True)
class Needs:
    """The extension modules that one module imports: those that it cannot do without, those that it can."""

    surely: tuple[str, ...]
    perhaps: tuple[str, ...]


@lru_cache(maxsize=4)
def stdlib_needs(version: tuple[int, int]) -> dict[str, Needs]:
    """Return {module of the standard library: what it needs} for a Python, or for the nearest one of the table."""
    found: dict[tuple[int, int], dict[str, Needs]] = {}
    for key, surely, perhaps in read_rows(_TABLE):
        number, _, module = key.partition(" ")
        major, _, minor = number.partition(".")
        found.setdefault((int(major), int(minor)), {})[module] = Needs(_names(surely), _names(perhaps))
    if not found or any(not {"ctypes", "socket"} <= table.keys() for table in found.values()):
        raise DataFileError(_TABLE, "ctypes or socket is absent")
    return found[min(found, key=lambda known: (abs(known[1] - version[1]), known))]


def stdlib_extensions(version: tuple[int, int]) -> frozenset[str]:
    """Return the names of the extension modules of the standard library."""
    return _extensions(stdlib_needs(version))


@lru_cache(maxsize=4)
def stdlib_modules(version: tuple[int, int]) -> dict[str, bool]:
    """Return {module: whether it is a package} of the standard library on Windows, tests left out.

    What is linked into the Python DLL is not among them. A Python newer or older than the table has the nearest one's.
    """
    rows = read_rows(_MODULES)
    known = sorted({int(minor) for _, minors in rows for minor in minors.split(",")})
    if not known:
        raise DataFileError(_MODULES, "it is empty")
    nearest = str(min(known, key=lambda minor: abs(minor - version[1])))
    found = {name.rstrip("."): name.endswith(".") for name, minors in rows if nearest in minors.split(",")}
    if not {"os", "logging.handlers", "_socket"} <= found.keys() or not found["logging"]:
        raise DataFileError(_MODULES, "os or logging.handlers is absent")
    return found


def _extensions(table: dict[str, Needs]) -> frozenset[str]:
    return frozenset(name for row in table.values() for name in (*row.surely, *row.perhaps))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
