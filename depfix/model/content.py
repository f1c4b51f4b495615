"""What the bytes of a file tell of it, whatever kind of file it is: its SHA-256, and whether git-lfs never fetched it.

Source: Git LFS, "Git LFS Specification", The Pointer https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys

from depfix.model.names import long_path
from depfix.wording.message import phrase

_CHUNK = 1 << 20
LARGEST_TEXT = 64 << 20  # bytes of a source, or of what a package says of itself
_LONGEST_PATH = 259  # characters, MAX_PATH without the NUL
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTED = re.compile(rb"^size (\d{1,18})\r?$", re.MULTILINE)
_LARGEST_POINTER = 1024  # "Pointer files must be less than 1024 bytes"
POINTER_SIZES = range(64, _LARGEST_POINTER + 1)


def openable(path: str) -> str:
    """Return a path that Windows opens however long it is."""
    if sys.platform == "win32" and len(path) > _LONGEST_PATH:
        return long_path(os.path.abspath(path))
    return path


def plain(path: str, flags: int) -> int:
    """Open a plain file, for `open(path, opener=plain)`. Raises OSError at once for a pipe, a device or a folder."""
    place = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(place).st_mode):
        return place
    os.close(place)
    raise OSError(errno.EINVAL, phrase("it is no plain file"), path)


def read_plain(path: str, most: int = LARGEST_TEXT) -> bytes:
    """Return what is in a plain file. Raises OSError, also for one of more than `most` bytes."""
    with open(path, "rb", opener=plain) as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
        if len(content) > most:
            raise OSError(errno.EFBIG, phrase("it is larger than {most} MB", most=most >> 20), path)
        return content + file.read(most)  # it may have grown


def content_hash(path: str) -> str:
    """Return the SHA-256 of a file in hex. Raises OSError."""
    digest = hashlib.sha256()
    with open(openable(path), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def readable_hash(path: str) -> str:
    """Return the SHA-256 of a file in hex, an empty string for what is no file that can be read."""
    try:
        return content_hash(path) if os.path.isfile(openable(path)) else ""
    except OSError:
        return ""


def begins_pointer(data: bytes) -> bool:
    """Return True if a file that begins so is a git-lfs pointer, or what is left of one."""
    return data.startswith(_POINTER)


def pointed_size(data: bytes) -> int | None:
    """Return the size of the file that a git-lfs pointer stands for, None if the bytes are no pointer."""
    if len(data) > _LARGEST_POINTER or not begins_pointer(data):
        return None
    size = _POINTED.search(data)
    return int(size[1]) if size else None


def pointed_by(path: str) -> int | None:
    """Return the size of the file that the git-lfs pointer at a path stands for, None if there is no pointer."""
    try:
        with open(openable(path), "rb") as file:
            return pointed_size(file.read(_LARGEST_POINTER + 1))
    except OSError:
        return None
