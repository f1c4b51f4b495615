"""What an archive from elsewhere may hold before anything of it is written: safe names, no links out, no bombs."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from depfix.model.content import begins_pointer
from depfix.model.names import fold, unsafe_name
from depfix.wording.message import phrase, system_words

# What lies in real packages unpacks to less than 30 times its size; deflate reaches 1,032, bzip2 and zstd far more.
_MOST_TIMES = 100
_SMALL = 256 << 20  # bytes; what is smaller than this unpacked harms nobody
_MOST_MEMBERS = 1_000_000
_CHUNK = 1 << 20
_HEAD = 64  # bytes that tell a pointer from an archive


class RefusedArchiveError(ValueError):
    """An archive cannot be used; its text says why, as a clause on the archive."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive: its name there, the path in an environment that it gets, with `/`, and its size.

    `size` is in bytes, as the archive says it.
    """

    name: str
    path: str
    size: int


def check_members(members: Iterable[Member], packed: int) -> None:
    """Raise RefusedArchiveError if one of these files must not be written, or if all would be a bomb.

    `packed` is the size of the archive in bytes. Names are compared as Windows does: two that differ in case are one.
    """
    seen: dict[str, str] = {}
    folders: set[str] = set()
    total = 0
    for count, member in enumerate(members):
        reason = unsafe_name(member.name) or unsafe_name(member.path)
        if reason:
            raise RefusedArchiveError(phrase("it holds {member}: {reason}", member=repr(member.name), reason=reason))
        key = fold(member.path)
        if key in seen:
            raise RefusedArchiveError(
                phrase(
                    "it holds {member} and {seen}, which are one file on Windows",
                    member=repr(member.name),
                    seen=repr(seen[key]),
                )
            )
        seen[key] = member.name
        while key := key.rpartition("/")[0]:
            if key in folders:
                break
            folders.add(key)
        total += member.size
        if count > _MOST_MEMBERS:
            raise RefusedArchiveError(phrase("it holds more than {most_members:,} files", most_members=_MOST_MEMBERS))
    both = next((name for key, name in seen.items() if key in folders), "")
    if both:
        raise RefusedArchiveError(phrase("it holds {both} as a file and as a folder", both=repr(both)))
    check_size(total, packed)


def check_size(unpacked: int, packed: int) -> None:
    """Raise RefusedArchiveError if so many bytes would come of an archive of `packed` bytes that it must be a bomb."""
    if unpacked > most_bytes(packed):
        raise RefusedArchiveError(
            phrase("its {packed:,} bytes would unpack to {unpacked:,} or more", packed=packed, unpacked=unpacked)
        )


def most_bytes(packed: int) -> int:
    """Return how many bytes an archive of `packed` bytes may unpack to."""
    return max(_SMALL, _MOST_TIMES * packed)


def write_member(root: str, path: str, content: IO[bytes], most: int) -> Iterator[bytes]:
    """Write one file below `root`, yielding its bytes as they pass. `path` has been checked.

    Raises RefusedArchiveError if there are more than `most` bytes, OSError if it cannot be written.
    """
    target = os.path.join(root, *path.split("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    written = 0
    with open(target, "xb") as file:
        while chunk := content.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise RefusedArchiveError(phrase("it holds more bytes than it says, or than it may"))
            file.write(chunk)
            yield chunk


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn whatever readers of archives raise for damaged ones into RefusedArchiveError.

    zipfile, tarfile and the decompressors raise a dozen kinds of exceptions for damaged input, assertions among them.
    What the disk refuses passes; but for EINVAL, which is a seek to where no file can be.
    """
    try:
        yield
    except RefusedArchiveError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise RefusedArchiveError(
            phrase("it is damaged, perhaps half downloaded ({error})", error=error or type(error).__name__)
        ) from error


def not_an_archive(path: str) -> str:
    """Return why a file cannot be an archive at all, an empty string if it may be one."""
    try:
        status = os.stat(path)
        with open(path, "rb") as file:
            start = file.read(_HEAD)
    except OSError as error:
        return phrase("it cannot be read: {error}", error=system_words(error))
    if not stat.S_ISREG(status.st_mode):
        return phrase("it is no file")
    if not status.st_size:
        return phrase("it is empty")
    return (
        phrase("it is a pointer of git-lfs, not the file itself: run `git lfs pull`") if begins_pointer(start) else ""
    )
