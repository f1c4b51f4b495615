"""The lock of one dist: a file beside it that one process at a time holds; the system lets go of it if that one dies.

The file goes away with the folder around it when nothing is recorded there. Whoever has locked a file therefore looks
whether it is still the one at its path; else two could each hold a lock, one of them on a file that is gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from depfix.errors import WriteError
from depfix.repair.errors import DistLockedError
from depfix.wording.message import system_words

_NAME = "lock"
_MOST_TRIES = 50


@contextmanager
def held(folder: Path, root: str) -> Iterator[None]:
    """Hold the lock in a folder, which is made and, if nothing else is in it by then, removed at the end.

    Raises DistLockedError if another process holds it, WriteError if nothing can be written there.
    """
    try:
        handle = _acquire(folder, root)
    except OSError as error:
        raise WriteError(str(folder), system_words(error)) from error
    try:
        yield
    finally:
        _release(folder, handle)


def _acquire(folder: Path, root: str) -> int:
    path = folder / _NAME
    for _ in range(_MOST_TRIES):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            continue  # its last holder has just removed the folder
        if not _lock(handle):
            os.close(handle)
            raise DistLockedError(root)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        os.close(handle)
    raise DistLockedError(root)


def _release(folder: Path, handle: int) -> None:
    """Remove the file while it is locked, where the system can remove an open file; then let go of it."""
    try:
        alone = [each.name for each in folder.iterdir()] == [_NAME]
        if alone and sys.platform != "win32":
            _remove(folder)
    except OSError:
        alone = False
    finally:
        os.close(handle)
    if alone and sys.platform == "win32":
        _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / _NAME).unlink()
        folder.rmdir()


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
