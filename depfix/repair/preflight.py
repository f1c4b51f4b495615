"""What can be known before the first byte: whether a plan fits the dist, the disk, and the names that Windows takes."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from depfix.model.content import openable
from depfix.model.names import fold, join, parent, unsafe_name
from depfix.model.plan import Action, Plan
from depfix.repair.disk import place_in
from depfix.repair.errors import DiskSpaceError, PreflightError, UnsafePathError
from depfix.wording.message import phrase, small_system_words

_BLOCK = 4096  # bytes; a file takes whole blocks
_SPARE = 16 << 20  # bytes left free beyond the plan itself
_LONGEST_PATH = 259  # characters, MAX_PATH without the NUL


class Targets:
    """The full paths of destinations; the folders that links lead to are looked up once each."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._real_root = os.path.realpath(root)
        self._folders: dict[str, str] = {}

    def __call__(self, destination: str) -> str:
        """Return the full path of a destination. Raises UnsafePathError if it would leave the dist, links followed."""
        parts = destination.split("/")
        if not destination or any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
            raise UnsafePathError(destination)
        folder = parent(destination)
        if folder not in self._folders:
            place = os.path.join(self.root, *parts[:-1])
            if os.path.commonpath([self._real_root, os.path.realpath(place)]) != self._real_root:
                raise UnsafePathError(destination)
            self._folders[folder] = place
        return os.path.join(self._folders[folder], parts[-1])


def preflight(root: str, state: Path, plan: Plan, *, link: bool) -> None:
    """Look at all that could stop a plan, before anything is written. The state folder exists already.

    Raises UnsafePathError, PreflightError with every other reason at once, and DiskSpaceError. On Windows whether a
    folder may be written is known only when it is tried.
    """
    target = Targets(root)
    for action in plan.actions:
        reason = unsafe_name(action.destination)
        if reason:
            raise UnsafePathError(action.destination, reason)
        target(action.destination)
    reasons = [*_clashes(root, plan), *_unwritable(root, plan)]
    for action in plan.actions:
        reasons += _source_problems(action, target(action.destination))
    if sys.platform == "win32" and not root.startswith("\\\\?\\"):
        room = _LONGEST_PATH - len(root) - 1
        long = (one.destination for one in plan.actions if len(one.destination) > room)
        reasons += [
            phrase("{one}: with the folder's own path it is longer than Windows takes", one=one) for one in long
        ]
    if reasons:
        raise PreflightError(tuple(dict.fromkeys(reasons)))
    _check_space(root, state, plan, link)


def _clashes(root: str, plan: Plan) -> Iterator[str]:
    """Yield what Windows would take for the same name, and what is a folder on one side and a file on the other."""
    listed = _Listing(root)
    planned: dict[str, str] = {}
    for action in plan.actions:
        path = action.destination
        if fold(path) in planned:
            yield phrase("{path} is planned twice", path=path)
        planned[fold(path)] = path
        folder = ""
        for part in path.split("/"):
            spelled = listed.spelled(folder, part)
            if spelled not in ("", part):
                yield phrase(
                    "{path}: {join} stands there, which is the same name in Windows",
                    path=path,
                    join=join(folder, spelled),
                )
                break
            folder = join(folder, part)
            if spelled and os.path.isdir(place_in(root, folder)) is (folder == path):
                yield phrase(
                    "{path}: {folder} is a {part}",
                    path=path,
                    folder=folder,
                    part=phrase("folder") if folder == path else phrase("file"),
                )
                break
    folders: dict[str, str] = {}
    for path in planned.values():
        folder = parent(path)
        while folder:
            known = folders.setdefault(fold(folder), folder)
            if known != folder:
                yield phrase(
                    "{path}: {known} is planned too, which is the same name in Windows", path=path, known=known
                )
            if fold(folder) in planned:
                yield phrase("{path}: {folder} is planned as a file", path=path, folder=folder)
            folder = parent(folder)


class _Listing:
    """The names in each folder of the dist as they are spelled; each folder is listed once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folders: dict[str, dict[str, list[str]]] = {}

    def spelled(self, folder: str, name: str) -> str:
        """Return how a name is spelled in a folder, preferably as it is given; empty if nothing there bears it."""
        if folder not in self._folders:
            found: dict[str, list[str]] = {}
            try:
                for each in os.listdir(place_in(self._root, folder)):
                    found.setdefault(fold(each), []).append(each)
            except OSError:
                found = {}
            self._folders[folder] = found
        known = self._folders[folder].get(fold(name), [])
        return name if name in known else known[0] if known else ""


def _unwritable(root: str, plan: Plan) -> Iterator[str]:
    """Yield the existing folders that are to be written and may not be."""
    looked_at: set[str] = set()
    for action in plan.actions:
        folder = parent(action.destination)
        while folder and not os.path.isdir(place_in(root, folder)):
            folder = parent(folder)
        if folder not in looked_at:
            looked_at.add(folder)
            if not os.access(place_in(root, folder), os.W_OK | os.X_OK):
                yield phrase("the folder {place_in} may not be written", place_in=place_in(root, folder))


def _source_problems(action: Action, target: str) -> Iterator[str]:
    """Yield why the file that an action takes cannot be taken."""
    source = openable(action.made or action.source)
    try:
        status = os.stat(source)
        with open(source, "rb", buffering=0) if stat.S_ISREG(status.st_mode) else open(os.devnull, "rb"):
            pass
    except OSError as error:
        yield phrase("{source}: {reason}", source=source, reason=small_system_words(error))
        return
    if not stat.S_ISREG(status.st_mode):
        yield phrase("{source} is no file", source=source)
    elif status.st_size != action.size:
        yield phrase(
            "{source} has {st_size:,} bytes now, not {size:,} as planned",
            source=source,
            st_size=status.st_size,
            size=action.size,
        )
    elif not action.made and os.path.exists(target) and os.path.samefile(source, target):
        yield phrase("{destination} is the very file that it would be replaced with", destination=action.destination)


def _check_space(root: str, state: Path, plan: Plan, link: bool) -> None:
    """Raise DiskSpaceError if a file system has no room: links need none, and what is replaced is only moved away."""
    here, there = os.stat(state).st_dev, os.stat(root).st_dev
    staged = 0
    for action in plan.actions:
        device = os.stat(openable(action.made or action.source)).st_dev if link else -1
        staged += 0 if link and device == here and not action.made else _in_blocks(action.size)
    needs = {state: staged}
    if there != here:
        replaced = (place_in(root, one.destination) for one in plan.actions)
        needs[state] += sum(_in_blocks(os.stat(path).st_size) for path in replaced if os.path.exists(path))
        needs[Path(root)] = sum(_in_blocks(action.size) for action in plan.actions)
    for place, needed in needs.items():
        free = shutil.disk_usage(place).free
        if needed + _SPARE > free:
            raise DiskSpaceError(root, needed + _SPARE, free)


def _in_blocks(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
