"""What depfix itself is, as bytes: with other code, other tables or another Python nothing kept is true any more.

They are derived from the files, so that nobody can forget to raise a number.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from hashlib import sha256

from depfix.cache.store import Cache

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_YOUNG = 2_000_000_000  # ns in which a file can change again and have the same times


def code_version(cache: Cache, folder: str = _FOLDER) -> bytes:
    """Return what the content of all files of depfix and the version of Python come to.

    The files are only read where the cache does not know them by their times. Raises OSError if they cannot be.
    """
    files = sorted(_files(folder), key=lambda row: row[0])
    rows = [
        (path[len(folder) :], stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for path, stat in files
    ]
    known_by = sha256(repr(("code", folder, rows, sys.version)).encode("utf-8", "surrogatepass")).digest()
    known = cache.get(known_by)
    if known is not None:
        return known
    digest = sha256(f"{sys.version} {sys.platform} {sys.byteorder}".encode())
    for path, _ in files:
        with open(path, "rb") as file:
            content = file.read()
        digest.update(repr((path[len(folder) :], len(content))).encode("utf-8", "surrogatepass") + content)
    newest = max(stat.st_mtime_ns for _, stat in files)
    if newest < time.time_ns() - _YOUNG:
        cache.put(known_by, digest.digest())
    return digest.digest()


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            else:
                yield entry.path, entry.stat()
