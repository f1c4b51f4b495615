"""What the bytes of a file tell of it, whatever kind of file it is: its SHA-256, and whether git-lfs never fetched it.

Source: Git LFS, "Git LFS Specification", The Pointer https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import hashlib
import os
import re
import sys

_CHUNK = 1 << 20
_LONGEST_PATH = 259  # characters, MAX_PATH without the NUL
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTED = re.compile(rb"^size (\d{1,18})\r?$", re.MULTILINE)
_LARGEST_POINTER = 1024  # "Pointer files must be less than 1024 bytes"
POINTER_SIZES = range(64, _LARGEST_POINTER + 1)


def openable(path: str) -> str:
    """Return a path that Windows opens however long it is.

    Source: Microsoft Learn, "Maximum Path Length Limitation"
    https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation
    """
    if sys.platform == "win32":
        if len(path) > _LONGEST_PATH and not path.startswith("\\\\"):
            return "\\\\?\\" + os.path.abspath(path)
    return path


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
