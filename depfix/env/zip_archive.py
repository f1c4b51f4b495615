"""Zip archives from elsewhere: their directory checked before a byte is unpacked.

Source: "APPNOTE.TXT - .ZIP File Format Specification" https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator

from depfix.env.safe_archive import Member, RefusedArchiveError, check_members, refusing_damage, write_member
from depfix.wording.message import phrase

_ENCRYPTED = 1


def read_members(path: str, place: Callable[[str], str]) -> tuple[Member, ...]:
    """Return the files of an archive; `place` gives the path that a name gets, an empty string if it is left out.

    Raises RefusedArchiveError if the archive is damaged, or holds what must not be written.
    """
    with refusing_damage(), zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    packed = os.path.getsize(path)
    members = tuple(_member(info, place) for info in infos)
    check_members((member for member in members if member.path), packed)
    if sum(info.compress_size for info in infos) > packed:
        raise RefusedArchiveError(phrase("its members overlap, so that one byte is unpacked many times"))
    return tuple(member for member in members if member.path)


def _member(info: zipfile.ZipInfo, place: Callable[[str], str]) -> Member:
    name = info.orig_filename  # zipfile itself would cut it at a NUL, and turn backslashes on Windows
    if info.flag_bits & _ENCRYPTED:
        raise RefusedArchiveError(phrase("it holds {name}, which is encrypted", name=repr(name)))
    if stat.S_ISLNK(info.external_attr >> 16):
        raise RefusedArchiveError(phrase("it holds {name}: it is a link", name=repr(name)))
    return Member(name, place(name), info.file_size)


def unpack_members(path: str, members: Iterable[Member], folder: str) -> Iterator[tuple[Member, bytes]]:
    """Write files below `folder`; yield each with the SHA-256 of what was written.

    Raises RefusedArchiveError if one is damaged, OSError if the disk refuses.
    """
    with refusing_damage(), zipfile.ZipFile(path) as archive:
        infos = {info.orig_filename: info for info in archive.infolist()}
        for member in members:
            digest = hashlib.sha256()
            with archive.open(infos[member.name]) as content:
                for chunk in write_member(folder, member.path, content, member.size):
                    digest.update(chunk)
            yield member, digest.digest()


def read_member(path: str, name: str, most: int) -> bytes:
    """Return the first `most` bytes of a file in an archive. Raises RefusedArchiveError if that is damaged."""
    with refusing_damage(), zipfile.ZipFile(path) as archive:
        info = next(info for info in archive.infolist() if info.orig_filename == name)
        with archive.open(info) as content:
            return content.read(most)
