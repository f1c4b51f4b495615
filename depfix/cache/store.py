"""The file of the cache: rows of bytes by their keys, for several processes at once.

Whatever is wrong with the file, the cache is then empty: the work is slower and its result the same. A row that was
changed by anything but `Cache.save` has the wrong checksum and counts as absent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from depfix.wording.message import phrase, system_words

if TYPE_CHECKING:
    from sqlite3 import Connection

MOST_BYTES = 1_000_000_000
_SUM = 16
_WAIT = 2.0  # seconds for another process that is writing
_LARGEST_ROW = 64_000_000
_MOST_WAITING = 64_000_000  # bytes that are held back until they are written
_STALE = 86_400  # seconds after which the use of a row is noted again
# In SQLite's words for what is no damage. Source: SQLite, sqlite3ErrStr https://sqlite.org/src/file/src/main.c
_PASSING = ("locked", "readonly", "unable to open", "disk I/O", "is full", "out of memory", "access permission")
_APPLICATION = 0x64666978  # of SQLite's header: whose file it is
_TABLE = "CREATE TABLE rows (key BLOB PRIMARY KEY, used INTEGER NOT NULL, value BLOB NOT NULL)"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the file of a cache holds; `problem` says why it cannot be used, empty if it can."""

    path: str
    size: int
    rows: int
    problem: str = ""


class Cache:
    """Rows of bytes in one file. With an empty path nothing is kept, and nothing found.

    What is put is written by `save`, in one transaction. No method raises for what is wrong with the file: `problem`
    says it.
    """

    def __init__(self, path: str = "", *, most: int = MOST_BYTES) -> None:
        self.path = path
        self._real = os.path.realpath(path)
        self.problem = ""
        self._most = most
        self._open: Connection | None = None
        self._new: dict[bytes, bytes] = {}
        self._waiting = 0
        self._used: set[bytes] = set()
        self._now = int(time.time())

    @property
    def is_on(self) -> bool:
        """True if something can be kept."""
        return bool(self.path) and not self.problem

    def is_in(self, folder: str) -> bool:
        """Return True if the file lies in a folder: what is shipped or scanned gets nothing of depfix's own."""
        return bool(self.path) and os.path.normcase(self._real).startswith(
            os.path.normcase(os.path.realpath(folder).rstrip(os.sep) + os.sep)
        )

    def get(self, key: bytes) -> bytes | None:
        """Return what was put under a key, None if there is nothing."""
        if key in self._new:
            return self._new[key]
        row = None
        with self._guarded():
            connection = self._connected(make=False)
            if connection is not None:
                row = connection.execute("SELECT used, value FROM rows WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], int) or not isinstance(row[1], bytes):
            return None
        used: int = row[0]
        value: bytes = row[1]
        if value[:_SUM] != _checksum(key, value[_SUM:]):
            return None
        if not 0 <= self._now - used < _STALE:
            self._used.add(key)
        return value[_SUM:]

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value, from `save` on."""
        if self.is_on and len(value) < _LARGEST_ROW:
            self._new[key] = value
            self._waiting += len(value)
            if self._waiting > _MOST_WAITING:
                self.save()

    def save(self) -> None:
        """Write what was put since, in one transaction; if it is too much, what was not used for longest goes."""
        if self._new or self._used:
            with self._guarded():
                connection = self._connected(make=bool(self._new))
                if connection is not None:
                    self._write(connection)
        self._new.clear()
        self._used.clear()
        self._waiting = 0

    def close(self) -> None:
        """Write what was put, and let go of the file."""
        self.save()
        self._disconnect()

    def usage(self) -> Usage:
        """Return what the file holds."""
        size = rows = 0
        with self._guarded():
            connection = self._connected(make=False)
            if connection is not None:
                size = os.path.getsize(self.path)
                rows = connection.execute("SELECT count(*) FROM rows").fetchone()[0]
        return Usage(self.path, size, rows, self.problem)

    def clear(self) -> int:
        """Remove the file; return how many bytes it had. Raises OSError if it cannot be removed."""
        self._disconnect()
        size = 0
        for path in (self.path, f"{self.path}-journal"):
            with suppress(FileNotFoundError):
                size += os.path.getsize(path)
                os.unlink(path)
        return size

    def _write(self, connection: Connection) -> None:
        rows = [(key, self._now, _checksum(key, value) + value) for key, value in self._new.items()]
        connection.execute("BEGIN IMMEDIATE")
        if not _identified(connection):
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(_TABLE)
        connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
        connection.executemany("UPDATE rows SET used = ? WHERE key = ?", [(self._now, key) for key in self._used])
        self._make_room(connection)
        connection.execute("COMMIT")

    def _make_room(self, connection: Connection) -> None:
        """Remove the rows that were not used for the longest time, down to three quarters of what is allowed."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size <= self._most:
            return
        kept, last = 0, self._now + 1
        times = connection.execute("SELECT used, sum(length(value)) FROM rows GROUP BY used ORDER BY used DESC")
        for used, length in times.fetchall():
            kept += length
            if kept > self._most * 3 // 4:
                break
            last = used
        connection.execute("DELETE FROM rows WHERE used < ?", (last,))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let nothing through that is wrong with the file: from then on nothing is kept; a damaged one is removed."""
        if not self.is_on:
            yield
            return
        import sqlite3

        try:
            yield
        except _UnusableError as error:
            self._give_up(str(error))
        except (sqlite3.Error, ValueError) as error:
            self._give_up(str(error))
            if not any(words in str(error) for words in _PASSING):  # no database, or a damaged one
                with suppress(OSError):
                    self.clear()
        except OSError as error:
            self._give_up(system_words(error))

    def _give_up(self, problem: str) -> None:
        self.problem = problem
        self._disconnect()

    def _connected(self, *, make: bool) -> Connection | None:
        """Return the open file; None if there is none yet and none is to be made."""
        if not self.is_on:
            return None
        if self._open is None:
            if not os.path.exists(self.path):
                if not make:
                    return None
                os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            elif not _is_own(self.path):
                raise _UnusableError(phrase("it belongs to another user"))
            self._open = _connect(self.path)
        if not make and not _identified(self._open):
            return None  # another process is making it
        return self._open

    def _disconnect(self) -> None:
        if self._open is not None:
            with suppress(Exception):  # what was wrong is known already
                self._open.close()
        self._open = None


class _UnusableError(Exception):
    pass


def _connect(path: str) -> Connection:
    import sqlite3

    # What is lost when the power fails is read again, so nothing is waited for.
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _identified(connection: Connection) -> bool:
    """Return True for a cache, False for an empty file. Raises _UnusableError for a database of something else."""
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found == _APPLICATION:
        return True
    if found or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise _UnusableError(phrase("it is a database of something else"))
    return False


def _is_own(path: str) -> bool:
    who = getattr(os, "geteuid", None)
    return who is None or os.stat(path).st_uid == who()


def _checksum(key: bytes, value: bytes) -> bytes:
    return sha256(b"%d %b%b" % (len(key), key, value)).digest()[:_SUM]
