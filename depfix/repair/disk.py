"""Files on a real disk: moved at once, made durable in one go, with the attributes that Windows keeps."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PART = ".depfix-part"  # what is copied to another file system bears this suffix until it is whole
_FEW = 16  # so many are made durable one by one; for more the whole file system is quicker
_WAITS = (0.05, 0.1, 0.2, 0.4)  # seconds; a scanner holds a new file for a moment
_IN_USE = (5, 32, 33)  # ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
_KEPT_ATTRIBUTES = 0x2 | 0x4  # FILE_ATTRIBUTE_HIDDEN, FILE_ATTRIBUTE_SYSTEM


def move(source: str, target: str) -> None:
    """Move a file at once; where the target is on another file system, copy beside it first."""
    try:
        _replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target + PART)
        sync_file(target + PART)
        os.replace(target + PART, target)
        os.unlink(source)


def _replace(source: str, target: str) -> None:
    """As `os.replace`; on Windows a read-only file is no hindrance, and one held for a moment is waited for.

    Source: Microsoft Learn, "MoveFileExW", remarks on read-only files
    https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexw
    """
    if sys.platform == "win32":
        make_writable(target)
        for wait in _WAITS:
            if _replaced(source, target):
                return
            time.sleep(wait)
    os.replace(source, target)


def _replaced(source: str, target: str) -> bool:
    """Replace a file; return False if one of the two is in use."""
    try:
        os.replace(source, target)
    except OSError as error:
        if not is_in_use(error):
            raise
        return False
    return True


def is_in_use(error: OSError) -> bool:
    """Return True if Windows refused because another program has the file open.

    Source: Microsoft Learn, "System Error Codes (0-499)"
    https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-
    """
    return getattr(error, "winerror", None) in _IN_USE


def make_writable(path: str) -> None:
    """Let a read-only file of Windows be replaced and removed; other systems ask the folder, not the file."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            if os.lstat(path).st_file_attributes & stat.FILE_ATTRIBUTE_READONLY:
                os.chmod(path, stat.S_IWRITE | stat.S_IREAD)


def keep_attributes(old: str, new: str) -> None:
    """Hide a file if the one that it replaces is hidden; only Windows has such an attribute.

    Source: Microsoft Learn, "SetFileAttributesW"
    https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-setfileattributesw
    """
    if sys.platform == "win32":
        import ctypes

        with contextlib.suppress(OSError):
            kept = os.lstat(old).st_file_attributes & _KEPT_ATTRIBUTES
            if kept:
                ctypes.windll.kernel32.SetFileAttributesW(new, os.lstat(new).st_file_attributes | kept)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, read-only files too; what cannot be removed stays."""

    def again(_function: Callable[..., object], path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            make_writable(path)
            if sys.platform == "win32" and not os.path.isdir(path):
                os.unlink(path)

    shutil.rmtree(folder, onerror=again)


def place_in(root: str, path: str) -> str:
    """Return the full path of a dist-relative path with `/`; empty or `.` is the dist itself.

    A root that begins with the prefix for long paths takes neither `/` nor `.` on Windows.
    """
    return os.path.join(root, *path.split("/")) if path not in ("", ".") else root


# --- what outlasts a power cut ---


def make_durable(files: Sequence[str], folders: Iterable[str]) -> None:
    """Return when the content of files on one file system, and the entries of folders, are on the disk.

    Each fsync waits for the disk; the one call for the whole file system waits once, so it is taken for many files.
    """
    places = list(dict.fromkeys(folders))
    if len(files) + len(places) > _FEW and places and _sync_file_systems(places):
        return
    for file in files:
        sync_file(file)
    for place in places:
        sync_folder(place)


def sync_file(path: str) -> None:
    """Return when the content of a file is on the disk; Windows does it for files open to be written alone."""
    with contextlib.suppress(PermissionError):
        handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_folder(folder: str) -> None:
    """Make renames in a folder durable where the system can (Windows cannot open a folder for it)."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync_file_systems(folders: Iterable[str]) -> bool:
    """Write back the file systems of these folders; return False if the system has no call for that, or it failed.

    Source: syncfs(2) https://man7.org/linux/man-pages/man2/sync.2.html
    """
    if sys.platform != "linux":
        return False
    import ctypes

    synced: set[int] = set()
    try:
        library = ctypes.CDLL(None, use_errno=True)
        for folder in folders:
            handle = os.open(folder, os.O_RDONLY)
            try:
                device = os.fstat(handle).st_dev
                if device not in synced and library.syncfs(handle) != 0:
                    return False
            finally:
                os.close(handle)
            synced.add(device)
    except (OSError, AttributeError):
        return False
    return True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C have no effect: a dist is being put back, which takes a moment. Other threads never see it anyway."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
