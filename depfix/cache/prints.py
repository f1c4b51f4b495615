"""What folders with all that is in them look like from outside: names, sizes, times. No file is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from depfix.wording.message import phrase, system_words

_MOST = 300_000  # files and folders
_stat = os.stat  # also while a run is watched
_REPARSE_POINT = 0x400  # of Windows' file attributes: junctions have it

# (mode, size, mtime and ctime in ns, number of the file, device), empty for what is not there
State = tuple[int, ...]


class UnknownError(Exception):
    """A folder cannot be looked at whole."""


@dataclass(frozen=True, slots=True)
class Print:
    """Folders as they are: `newest` is the latest time in ns, `links` are folders in them that lie elsewhere."""

    digest: bytes
    newest: int
    links: tuple[str, ...]


def state_of(path: str) -> State:
    """Return how the file or folder at a path looks, an empty tuple if there is none."""
    return _looked_at(path, follow=True)


def _asked_for(path: str) -> State:
    """As `state_of`; of a folder only that it is one: what is in it, only listing tells."""
    state = _looked_at(path, follow=True)
    return state[:1] if state and stat.S_ISDIR(state[0]) else state


def _asked_for_itself(path: str) -> State:
    """As `_asked_for`, of a link the link itself."""
    state = _looked_at(path, follow=False)
    return state[:1] if state and stat.S_ISDIR(state[0]) else state


def _looked_at(path: str, *, follow: bool) -> State:
    try:
        return _state(_stat(path, follow_symlinks=follow))
    except (OSError, ValueError):
        return ()


def names_in(folder: str) -> bytes:
    """Return what the names in a folder come to, and which of them are folders; nothing if it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            rows = sorted((entry.name, entry.is_dir()) for entry in found)
    except (OSError, ValueError):
        return b""
    return sha256(_bytes(rows)).digest()


def newest_of(state: State) -> int:
    """Return the latest time of a state in ns."""
    return max(state[2:4], default=0)


LOOKS: Mapping[str, Callable[[str], object]] = {
    "open": state_of,
    "list": names_in,
    "stat": _asked_for,
    "lstat": _asked_for_itself,
}


def take_print(roots: tuple[str, ...]) -> Print:
    """Return what everything below these folders looks like. Raises UnknownError if that cannot be told."""
    digest, newest, count = sha256(), 0, 0
    links: list[str] = []
    waiting = [root for root in roots if os.path.isdir(root)]
    for root in roots:
        state = state_of(root)
        newest = max(newest, newest_of(state))
        digest.update(_bytes((root, os.path.realpath(root), state)))
    while waiting:
        folder = waiting.pop()
        rows, folders, elsewhere = _listed(folder)
        count += len(rows)
        if count > _MOST:
            raise UnknownError(phrase("there are more than {most:,} files", most=_MOST))
        newest = max(newest, max((newest_of(row[1]) for row in rows), default=0))
        digest.update(_bytes((folder, rows)))
        waiting += folders
        links += elsewhere
    return Print(digest.digest(), newest, tuple(links))


def _listed(folder: str) -> tuple[list[tuple[str, State, State]], list[str], list[str]]:
    """Return (name, state, state of what it leads to) of all in a folder; its folders; those of them that are links."""
    rows: list[tuple[str, State, State]] = []
    folders: list[str] = []
    links: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                seen = entry.stat(follow_symlinks=False)
                target: State = ()
                if stat.S_ISLNK(seen.st_mode) or getattr(seen, "st_file_attributes", 0) & _REPARSE_POINT:
                    target = state_of(entry.path)
                    links += [entry.path] if target and stat.S_ISDIR(target[0]) else []
                elif stat.S_ISDIR(seen.st_mode):
                    folders.append(entry.path)
                rows.append((entry.name, _state(seen), target))
    except OSError as error:
        raise UnknownError(system_words(error)) from error
    rows.sort()
    return rows, sorted(folders), links


def _state(seen: os.stat_result) -> State:
    return seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_dev


def _bytes(value: object) -> bytes:
    return repr(value).encode("utf-8", "surrogatepass")
