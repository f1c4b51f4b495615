"""Files that native libraries read when they run, where they look for them, and text files that tell them where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_data, read_rows

_SEVERITIES = ("error", "warning", "info")


class NativeData(msgspec.Struct, frozen=True):
    """The files below one folder that a library reads: who reads them, where it looks, where environments have them.

    `trigger` is a pattern of the folded file name of the DLL; with a `package`, only that of this import package, or
    one of nobody that this package uses. `files` are names or globs that all must be there. `places` are dist-relative
    folders with `{dll}` (the folder of the DLL), `{home}` (the one above it, if it is called bin or lib, else that
    itself), `{root}` (the one above the nearest bin or lib that it is or lies in, else that itself: GLib's rule),
    `{prefix}` (sys.prefix), `{package}`, `{owner}` (the import package that the DLL lies in) and groups of the
    trigger; `have` are folders below an environment, or below a package of it. `with` are folders, relative to the one
    that is had, that are brought too; `only` limits to globs what is brought. `variables` of the environment may name
    the folder instead. `anywhere`: freezers have places of their own, so that a copy anywhere will do. `offered`: it is
    told only if an environment has it.
    """

    key: str
    words: str
    source: str
    trigger: str
    files: tuple[str, ...]
    places: tuple[str, ...]
    have: tuple[str, ...]
    severity: str
    why: str
    package: str = ""
    variables: tuple[str, ...] = ()
    beside: tuple[str, ...] = msgspec.field(default=(), name="with")
    only: tuple[str, ...] = ()
    anywhere: bool = False
    offered: bool = False


class _File(msgspec.Struct, frozen=True):
    provenance: tuple[str, ...]
    data: tuple[NativeData, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextConfiguration:
    """A kind of text file that names folders: which files, who reads them, where, and what such a line looks like."""

    file: str
    trigger: str
    where: str
    severity: str
    line: str
    words: str


@lru_cache(maxsize=1)
def _file() -> _File:
    found = msgspec.json.decode(read_data("native-data.json"), type=_File)
    for row in found.data:
        if not row.source or not row.files or row.severity not in _SEVERITIES:
            raise DataFileError("native-data.json", f"{row.key}: no source, no files, or an unknown severity")
    return found


@lru_cache(maxsize=1)
def native_data() -> tuple[tuple[re.Pattern[str], NativeData], ...]:
    """Return all rows with their triggers compiled. Raises DataFileError for a bad row."""
    try:
        return tuple((re.compile(row.trigger), row) for row in _file().data)
    except re.error as error:
        raise DataFileError("native-data.json", str(error)) from error


def native_row(key: str) -> NativeData | None:
    """Return the row with this key."""
    return next((row for _, row in native_data() if row.key == key), None)


@lru_cache(maxsize=1)
def data_variables() -> frozenset[str]:
    """Return the variables of the environment that tell libraries where their data are."""
    return frozenset(name for row in _file().data for name in row.variables) | frozenset(_file().variables)


@lru_cache(maxsize=1)
def text_configurations() -> tuple[TextConfiguration, ...]:
    """Return the kinds of text files that name folders. Raises DataFileError for a bad row."""
    rows = read_rows("text-configurations.tsv")
    if any(len(row) != 6 or row[3] not in _SEVERITIES for row in rows):
        raise DataFileError("text-configurations.tsv", "a row is no kind of text file")
    return tuple(TextConfiguration(*row) for row in rows)
