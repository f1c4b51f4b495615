"""Brings one file beside the dist: a copy, or a link to its source, hashed on the way.

A copy keeps the time of its source and whether it can be run; its owner may write it whatever the source says, or
Windows could not remove it again. A clone (reflink) shares the source's blocks until one of them is changed. A hard
link is the source under another name: it shares content, times and mode for good.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from depfix.model.content import openable
from depfix.model.plan import Action
from depfix.repair.disk import uninterrupted
from depfix.repair.errors import RolledBackError
from depfix.wording.message import phrase

_CHUNK = 1 << 20
_THREADS = 4
_LARGE = 1_000_000  # bytes of a file that a thread of its own hashes while others are copied; for less it does not pay
_FICLONE = 0x40049409  # ioctl_ficlone(2) https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)

Copied = Callable[[int, int], None]  # is told (files, bytes) as they are brought


def quiet(_files: int, _size: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What was brought: its SHA-256 in hex, its size in bytes, the file that it is a hard link to or nothing."""

    sha256: str
    size: int
    linked: str = ""


class Copier:
    """Brings the files of one plan. With `link`, by clones or hard links where the file system has them."""

    def __init__(self, link: bool, copied: Copied) -> None:
        self._links = link
        self._clones: dict[int, bool] = {}  # by the device of the source
        self._tell = copied
        self._lock = threading.Lock()
        self._stopped = False

    def bring_all(self, rows: Sequence[tuple[Action, str]]) -> Generator[Staged, None, None]:
        """Bring each action's file to its target, as `bring`, in their order; large ones in threads meanwhile.

        Whoever does not take them all closes this: then no thread writes any more.
        """
        pool = ThreadPoolExecutor(_THREADS)
        try:
            large = {target: pool.submit(self.bring, action, target) for action, target in rows if action.size > _LARGE}
            for action, target in rows:
                yield large[target].result() if target in large else self.bring(action, target)
        finally:
            self._stopped = True
            with uninterrupted():
                pool.shutdown(cancel_futures=True)

    def _copied(self, files: int, size: int) -> None:
        with self._lock:
            self._tell(files, size)

    def bring(self, action: Action, target: str) -> Staged:
        """Bring what an action writes to `target`, which must not exist, and return what it is.

        Raises OSError, and RolledBackError if the source is not what was planned or changes while it is read.
        """
        source = openable(action.made or action.source)
        try:
            reading = os.open(source, _READ)
        except FileNotFoundError:
            raise RolledBackError(phrase("{source} is gone since the plan was made", source=source)) from None
        try:
            before = os.fstat(reading)
            clones = self._links and self._clones_from(reading, target, before)
            linked = "" if clones else self._linked(action, source, target, before)
            if linked:
                digest, size = self._hash(reading)
            else:
                digest, size = self._copy(reading, target, before, _mode(action, before), clones)
            after = os.fstat(reading)
        finally:
            os.close(reading)
        if (before.st_size, before.st_mtime_ns, size) != (after.st_size, after.st_mtime_ns, before.st_size):
            raise RolledBackError(phrase("{source} changed while it was copied", source=source))
        if size != action.size or action.sha256 not in ("", digest):
            raise RolledBackError(phrase("{source} is not what it was when the plan was made", source=source))
        self._copied(1, 0)
        return Staged(digest, size, linked)

    def _linked(self, action: Action, source: str, target: str, status: os.stat_result) -> str:
        """Link a file to its source if that is wanted and can be; return the source.

        A read-only source is never linked: its copy must be removable, and a link cannot be writable alone.
        """
        if not self._links or action.made or not status.st_mode & stat.S_IWUSR:
            return ""
        real = os.path.realpath(source)
        try:
            os.link(real, target)
        except OSError:
            return ""  # another file system, one without links, or the most links that it can have
        if not os.path.samestat(os.stat(target), status):
            raise RolledBackError(phrase("{source} changed while it was copied", source=source))
        return real

    def _copy(self, reading: int, target: str, status: os.stat_result, mode: int, clones: bool) -> tuple[str, int]:
        writing = os.open(target, _WRITE, mode)
        try:
            if clones and _clone(reading, writing):
                digest, size = self._hash(writing)
            else:
                digest, size = self._hash(reading, writing)
            if sys.platform != "win32":
                os.fchmod(writing, mode)
            if os.utime in os.supports_fd:
                os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(writing)
        if os.utime not in os.supports_fd:
            with contextlib.suppress(OSError):
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        return digest, size

    def _clones_from(self, reading: int, target: str, status: os.stat_result) -> bool:
        """Return True if files of the source's device can be cloned to the target's; one of each device is tried."""
        with self._lock:
            if status.st_dev not in self._clones:
                writing = os.open(target, _WRITE, 0o600)
                try:
                    self._clones[status.st_dev] = _clone(reading, writing)
                finally:
                    os.close(writing)
                    os.unlink(target)
            return self._clones[status.st_dev]

    def _hash(self, reading: int, writing: int = -1) -> tuple[str, int]:
        """Return the SHA-256 and the size of what is read, written to another file on the way if one is given."""
        digest = hashlib.sha256()
        size = 0
        wanted = min(_CHUNK, os.fstat(reading).st_size + 1)
        while chunk := os.read(reading, wanted):
            if self._stopped:  # by what befell another file
                raise InterruptedError
            digest.update(chunk)
            size += len(chunk)
            if writing >= 0:
                _write(writing, chunk)
            self._copied(0, len(chunk))
        return digest.hexdigest(), size


def _clone(reading: int, writing: int) -> bool:
    """Let an empty file share the blocks of another; return False if the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError:
        return False
    return True


def _write(handle: int, data: bytes) -> None:
    done = os.write(handle, data)
    while done < len(data):
        done += os.write(handle, data[done:])


def _mode(action: Action, status: os.stat_result) -> int:
    """Return the mode of a copy: to be read by all, written by its owner, run if its source can be."""
    if action.action == "patch":  # what depfix made lies in a private file; the original says what it is
        with contextlib.suppress(OSError):
            status = os.stat(action.source)
    elif action.made:
        return 0o644
    return 0o755 if status.st_mode & 0o111 else 0o644
