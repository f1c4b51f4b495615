"""Processes that read sources while the scan goes on: what it asks for comes first, the rest before it is asked for."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import NamedTuple

from depfix.closure.source_files import read_many
from depfix.dist.tree import FileEntry
from depfix.imports.uses import SourceTarget

_WORTH_A_POOL = 3_000_000  # bytes of source, about a second of parsing
_SHARE = 200_000  # bytes of source, some 50 ms
_IN_HAND = 2  # shares beside those that are being read, so that no process waits for the next


class Reading(NamedTuple):
    """What was read of a source: the digest of its content, empty if it could not be read, and its facts, encoded."""

    path: str
    digest: bytes
    encoded: bytes


class Readers:
    """Reads sources in other processes, share by share."""

    def __init__(self, target: SourceTarget, workers: int) -> None:
        self._target = target
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._share_of: dict[str, tuple[str, ...]] = {}  # of what was not taken yet
        self._waiting: dict[tuple[str, ...], None] = {}  # in the order in which they will be read
        self._begun: dict[tuple[str, ...], Future[list[tuple[bytes, bytes]]]] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._share_of

    def __len__(self) -> int:
        return len(self._share_of)

    def start(self, entries: Iterable[FileEntry]) -> bool:
        """Begin to read these sources; return False if that would not pay, or must not be."""
        rows = [entry for entry in entries if entry.source not in self._share_of]
        if self._workers < 2 or sum(entry.size for entry in rows) <= _WORTH_A_POOL:
            return False
        if self._pool is None:
            how = _start_method()
            if not how:
                return False
            self._pool = ProcessPoolExecutor(self._workers, mp_context=get_context(how))
        for share in _shares(rows):
            self._waiting[share] = None
            self._share_of.update(dict.fromkeys(share, share))
        self._hand_out()
        return bool(self._share_of)

    def take(self, path: str) -> list[Reading]:
        """Return what was read of the share that a source is in, once that is done; nothing if it cannot be."""
        share = self._share_of[path]
        if share in self._waiting:
            self._begin(share)
        try:
            while self._pool is not None and not self._begun[share].done():
                wait([one for one in self._begun.values() if not one.done()], return_when=FIRST_COMPLETED)
                self._hand_out()
            found = self._begun.pop(share).result() if self._pool is not None else []
        except (BrokenProcessPool, OSError):
            self.stop()
            return []
        for one in share:
            self._share_of.pop(one, None)
        self._hand_out()
        if not self._share_of:
            self.stop()
        return [Reading(one, *read) for one, read in zip(share, found, strict=False)]

    def stop(self) -> None:
        """End the processes; what they have not begun is not read."""
        pool, self._pool = self._pool, None
        self._share_of.clear()
        self._waiting.clear()
        self._begun.clear()
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _hand_out(self) -> None:
        """Give the processes something to read, if they will soon have nothing."""
        busy = sum(not future.done() for future in self._begun.values())
        for share in list(self._waiting)[: max(0, self._workers + _IN_HAND - busy)]:
            self._begin(share)

    def _begin(self, share: tuple[str, ...]) -> None:
        if self._pool is None:
            return
        del self._waiting[share]
        try:
            self._begun[share] = self._pool.submit(read_many, share, self._target)
        except (BrokenProcessPool, OSError):  # no processes to be had here: who asks reads the sources itself
            self.stop()


def _shares(entries: Iterable[FileEntry]) -> Iterator[tuple[str, ...]]:
    share: list[str] = []
    size = 0
    for entry in entries:
        share.append(entry.source)
        size += entry.size
        if size > _SHARE:
            yield tuple(share)
            share, size = [], 0
    if share:
        yield tuple(share)


def _start_method() -> str:
    """Return how processes are to be started, an empty string if they had better not be.

    A forked one is there at once, but a fork in the middle of what another thread does can hang: a progress bar has a
    thread of its own. Source: "multiprocessing", Contexts and start methods
    https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        return "fork"
    return "" if _here_shadows() else "spawn"


def _here_shadows() -> bool:
    """Return True if a new Python would import modules of the current folder for its own: it looks there first.

    Standing in a dist, that would execute what is analysed. Source: multiprocessing starts `python -c`; "sys.path",
    https://docs.python.org/3/library/sys.html#sys.path
    """
    try:
        names = os.listdir()
    except OSError:
        return False
    return any(name.partition(".")[0] in sys.stdlib_module_names for name in names)
