"""Reads what others recorded of a run: Wine's log, the output of dlltracer, CSV of Process Monitor.

Formats: dlltracer's README https://github.com/microsoft/dlltracer-python ("LoadLibrary \\Device\\HarddiskVolume3\\...",
"Failed ..."); Process Monitor, "File > Save", CSV with a header line of "Time of Day", "Process Name", "PID",
"Operation", "Path", "Result", "Detail" https://learn.microsoft.com/sysinternals/downloads/procmon .
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from depfix.dist.tree import Tree
from depfix.model.names import base_name, fold
from depfix.model.run import Load, Observed, Sought
from depfix.trial.failures import TraceNotReadError
from depfix.trial.observed import Places, load, root_of
from depfix.trial.watching import looks_like_wine, read_wine_log, wine_paths
from depfix.wording.message import phrase, small_system_words

_LARGEST = 1 << 30  # bytes
_LONGEST_CELL = 1 << 20
_TRACED = re.compile(r"^(LoadLibrary|Failed) (\\Device\\[^\r\n]{1,4000}|[A-Za-z]:\\[^\r\n]{1,4000})$", re.M)
_IMAGE = re.compile(r"\.(?:dll|pyd|exe|ocx|drv|cpl|ax|mui|node)$", re.I)
_ASKED = re.compile(r"\.(?:dll|ocx|drv)$", re.I)  # Python tries names of .pyd files for each module that it imports
_COLUMNS = ("Process Name", "Operation", "Path", "Result")
_ABSENT = ("NAME NOT FOUND", "PATH NOT FOUND", "NO SUCH FILE")
_NOT_FOUND = 0xC0000135


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded run: what kind of record it is, the dist's folder on the machine of the run, what was seen."""

    kind: str
    root: str
    observed: Observed


def read_trace(path: str, tree: Tree, programs: tuple[str, ...]) -> Trace:
    """Return what a recorded trace tells of a dist; its paths are found again on whatever machine it was made.

    Raises TraceNotReadError for a file that cannot be read, or is of no known kind.
    """
    text = _text_of(path)
    if looks_like_wine(text):
        return _wine_trace(text, tree, programs)
    if _TRACED.search(text):
        return _dlltracer_trace(text, tree, programs)
    rows = _process_monitor_rows(text, programs)
    if rows is None:
        raise TraceNotReadError(path, phrase("it is none of the kinds that are known"))
    if not rows:
        raise TraceNotReadError(path, phrase("it has no event of {programs}", programs=", ".join(programs)))
    return _monitor_trace(rows, tree, programs)


def _text_of(path: str) -> str:
    try:
        if os.path.getsize(path) > _LARGEST:
            raise TraceNotReadError(
                path, phrase("it is larger than 1 GB; filter it by the program's name and save it again")
            )
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise TraceNotReadError(path, small_system_words(error)) from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\0", "")


def _wine_trace(text: str, tree: Tree, programs: tuple[str, ...]) -> Trace:
    root = root_of(wine_paths(text), tree, programs)
    return Trace(phrase("Wine's log"), root, read_wine_log(text, Places(tree, (root,))))


def _dlltracer_trace(text: str, tree: Tree, programs: tuple[str, ...]) -> Trace:
    """Which DLL is missing is not told; an image that was loaded and then failed needs one, at whatever depth."""
    events = [(match[1], match[2]) for match in _TRACED.finditer(text)]
    root = root_of((path for _, path in events), tree, programs)
    places = Places(tree, (root,))
    loads = dict.fromkeys(load(path, places) for kind, path in events if kind == "LoadLibrary")
    failed = dict.fromkeys(path for kind, path in events if kind == "Failed" and places.inside(path))
    kept = tuple(one for one in loads if one.path not in failed)
    sought = tuple(Sought(places.inside(path), "", _NOT_FOUND) for path in failed)
    return Trace(phrase("dlltracer's output"), root, Observed(loads=kept, sought=sought))


@dataclass(frozen=True, slots=True)
class _Event:
    operation: str
    path: str
    result: str
    process: str


def _process_monitor_rows(text: str, programs: tuple[str, ...]) -> list[_Event] | None:
    """Return the events of the program that concern images, None if the text is no CSV of Process Monitor."""
    lines = text.split("\n")
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        rows = csv.reader(lines)
        header = next(rows, [])
        if any(column not in header for column in _COLUMNS):
            return None
        places = [header.index(column) for column in _COLUMNS]
        return list(_events(rows, places, {fold(base_name(name)) for name in programs}))
    except csv.Error:
        return None
    finally:
        csv.field_size_limit(before)


def _events(rows: Iterable[list[str]], places: list[int], programs: set[str]) -> Iterable[_Event]:
    for row in rows:
        if len(row) <= max(places):
            continue
        process, operation, path, result = (row[place] for place in places)
        wanted = operation in ("Load Image", "CreateFile", "QueryOpen")
        if wanted and fold(process) in programs and _IMAGE.search(path):
            yield _Event(operation, path, result, process)


def _monitor_trace(rows: list[_Event], tree: Tree, programs: tuple[str, ...]) -> Trace:
    """A DLL is looked for in folder after folder: only one that was in none of them was looked for in vain."""
    loaded = [row.path for row in rows if row.operation == "Load Image" and row.result == "SUCCESS"]
    root = root_of(loaded, tree, programs)
    places = Places(tree, (root,))
    loads: dict[Load, None] = dict.fromkeys(load(path, places) for path in loaded)
    there = {fold(base_name(row.path)) for row in rows if row.result == "SUCCESS"}
    absent: dict[str, Sought] = {}
    for row in rows:
        name = base_name(row.path)
        if row.result in _ABSENT and fold(name) not in there and _ASKED.search(name):
            absent.setdefault(fold(name), Sought(name, "", _NOT_FOUND))
    return Trace(phrase("CSV of Process Monitor"), root, Observed(loads=tuple(loads), sought=tuple(absent.values())))
