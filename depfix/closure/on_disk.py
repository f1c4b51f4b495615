"""Looks for files and folders of a project or an environment on disk, without following it into what is not meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from depfix.model.names import fold
from depfix.wording.message import phrase

_MOST_FILES = 20_000
_NOT_TAKEN = frozenset(("__pycache__", ".git", ".hg", ".svn", ".venv", "node_modules", ".idea", ".vscode"))
_COMPILED = (".pyc", ".pyo")
_MOST_LISTED = 100_000  # names of one folder


@dataclass(frozen=True, slots=True)
class Found:
    """Files on disk, as (absolute path, path below the folder that was looked in); `size` is of all, in bytes.

    `is_folder`: what was asked for is a folder. `reason` says why what is there is not to be taken.
    """

    files: tuple[tuple[str, str], ...] = ()
    size: int = 0
    is_folder: bool = False
    reason: str = ""


def find_files(root: str, tail: str, names: re.Pattern[str] | None, *, refused: Sequence[str]) -> Found:
    """Return the file or the files of the folder at `tail` below `root`, or with `names` those whose path fits it.

    `refused` are folders that are not taken as a whole, and neither is one that contains them. Case does not matter.
    """
    first = tail.partition("*")[0] if names is not None else tail
    start = first if names is None else first.rpartition("/")[0]
    place = _spelled(root, start)
    if place is None:
        return Found()
    if names is None and os.path.isfile(place):
        return Found(((place, os.path.relpath(place, root).replace(os.sep, "/")),), _size(place))
    if not os.path.isdir(place):
        return Found()
    reason = _refusal(place, refused) if names is None else ""
    if reason:
        return Found(is_folder=True, reason=reason)
    deep = names is None or "*" in tail.rpartition("/")[0]
    rows: list[tuple[str, str]] = []
    for path in _walk(place, deep=deep, but=refused):
        inner = os.path.relpath(path, root).replace(os.sep, "/")
        if names is None or names.fullmatch(fold(inner)):
            rows.append((path, inner))
        if len(rows) > _MOST_FILES:
            return Found(
                is_folder=names is None,
                reason=phrase("{place} holds more than {most_files:,} files", place=place, most_files=_MOST_FILES),
            )
    return Found(tuple(rows), sum(_size(path) for path, _ in rows), names is None)


def _spelled(root: str, tail: str) -> str | None:
    """Return the path of what is at `tail` below a folder, its names compared as Windows does; None if nothing is."""
    direct = os.path.normpath(os.path.join(root, *tail.split("/"))) if tail else root
    if os.path.exists(direct):
        return direct
    place = root
    for part in (one for one in tail.split("/") if one not in ("", ".")):
        if part == "..":
            place = os.path.dirname(place)
            continue
        try:
            listed = os.listdir(place)[:_MOST_LISTED]
        except OSError:
            return None
        name = next((one for one in listed if fold(one) == fold(part)), None)
        if name is None:
            return None
        place = os.path.join(place, name)
    return place


def _refusal(place: str, refused: Sequence[str]) -> str:
    """Return why a folder is not to be copied as a whole."""
    folder = os.path.realpath(place)
    if os.path.dirname(folder) == folder or folder == os.path.realpath(os.path.expanduser("~")):
        return phrase("{place} is a whole drive or home folder", place=place)
    inside = os.path.join(folder, "")
    for one in refused:
        real = os.path.normcase(os.path.realpath(one))
        if real == os.path.normcase(folder) or os.path.join(real, "").startswith(os.path.normcase(inside)):
            return phrase("{place} is the project itself, or holds the dist", place=place)
    return ""


def _walk(place: str, *, deep: bool, but: Sequence[str]) -> Iterator[str]:
    left_out = {os.path.normpath(one) for one in but}
    for folder, folders, files in os.walk(place):
        kept = (one for one in sorted(folders) if one not in _NOT_TAKEN)
        folders[:] = [one for one in kept if os.path.normpath(os.path.join(folder, one)) not in left_out]
        yield from (os.path.join(folder, name) for name in sorted(files) if not name.endswith(_COMPILED))
        if not deep:
            return


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
