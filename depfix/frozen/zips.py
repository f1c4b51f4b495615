"""Zip archives of modules: library.zip of cx_Freeze, base_library.zip of PyInstaller, python3xx.zip, eggs, zipapps.

Read as Python's zipimport does: the central directory at the end, from which all offsets are counted, so that a zip
appended to a program is found; members stored or deflated; packages before modules, bytecode before source.

Sources: "zipimport" https://docs.python.org/3/library/zipimport.html and "APPNOTE.TXT - .ZIP File Format
Specification" https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from depfix.frozen.archive import LARGEST_MEMBER, Archive, code_of_pyc, unpack
from depfix.frozen.contents import FrozenModule, Storage
from depfix.model.names import base_name
from depfix.pe.headers import Data, map_file
from depfix.wording.message import phrase

_END = struct.Struct("<4s4H2LH")  # mark, disks, numbers of members, size and offset of the directory, comment
_MEMBER = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MARK, _MEMBER_MARK, _LOCAL_MARK = b"PK\5\6", b"PK\1\2", b"PK\3\4"
_LONGEST_COMMENT = 0xFFFF
_ZIP64 = 0xFFFFFFFF
_ENCRYPTED, _UTF8 = 1, 0x800
_STORED, _DEFLATED = 0, 8
_MOST_MEMBERS = 100_000

# In the order in which zipimport looks for a module.
_ENDINGS = ("/__init__.pyc", "/__init__.py", ".pyc", ".py")
_PACKAGES = (0, 1)
_SOURCE = ".py"


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its name with `/`, its offset, its sizes packed and unpacked, its method, whether it is encrypted."""

    name: str
    start: int
    packed: int
    size: int
    method: int
    encrypted: bool


_UNSAFE = frozenset("\\:\0")  # in the name of a file that is to be written


@dataclass(frozen=True, slots=True)
class Zip:
    """The directory of a zip, with its bytes. `problem` says what of it cannot be read."""

    data: Data
    members: Mapping[str, Member]
    problem: str

    def read(self, member: Member) -> bytes | None:
        """Return the bytes of a member, None if it is damaged, encrypted or larger than `LARGEST_MEMBER`."""
        if member.encrypted or max(member.size, member.packed) > LARGEST_MEMBER:
            return None
        header = self.data[member.start : member.start + _LOCAL.size]
        if len(header) < _LOCAL.size or header[:4] != _LOCAL_MARK:
            return None
        name, extra = _LOCAL.unpack(header)[-2:]
        start = member.start + _LOCAL.size + name + extra
        if member.method == _DEFLATED:
            found = unpack(self.data, start, member.packed, window=-zlib.MAX_WBITS)
        else:
            found = bytes(self.data[start : start + member.packed]) if member.method == _STORED else None
        return found if found is not None and len(found) == member.size else None


def read_zip(path: str | Path, inner: str = "", *, origin: str = "") -> Archive | None:
    """Return the modules in the zip at `path`, below its folder `inner`; None if it is no zip. Never raises.

    `origin` is how the zip is called, its file name if that is left out.
    """
    try:
        data = map_file(path)
    except (OSError, ValueError):
        return None
    return read_zip_data(data, origin or base_name(str(path)), inner) if data is not None else None


def is_zip(path: str) -> bool:
    """Return True for a file with the directory of a zip at its end. Never raises."""
    try:
        data = map_file(path)
    except (OSError, ValueError):
        return False
    archive = open_zip(data) if data is not None else None
    return archive is not None and bool(archive.members)


def unpack_modules(path: str, folder: str) -> None:
    """Write the modules in the zip at `path` to files below `folder`; what cannot be read is left out.

    Raises OSError if a file cannot be written.
    """
    data = map_file(path)
    archive = open_zip(data) if data is not None else None
    for name, member in archive.members.items() if archive is not None else ():
        parts = name.split("/")
        if not name.endswith((".py", ".pyc")) or any(part in ("", ".", "..") or set(part) & _UNSAFE for part in parts):
            continue
        content = archive.read(member) if archive is not None else None
        if content is not None:
            target = os.path.join(folder, *parts)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)


def read_zip_data(data: Data, origin: str, inner: str = "") -> Archive | None:
    """As `read_zip`, for bytes that are already at hand."""
    archive = open_zip(data)
    if archive is None:
        return None
    found = _modules(archive.members, inner.strip("/") + "/" if inner.strip("/") else "")

    def code(name: str) -> bytes | None:
        member = found[name][1]
        return None if member.name.endswith(_SOURCE) else code_of_pyc(archive.read(member))

    def source(name: str) -> bytes | None:
        member = found[name][1]
        return archive.read(member) if member.name.endswith(_SOURCE) else None

    modules = {name: FrozenModule(name, Storage.BYTECODE, rank in _PACKAGES) for name, (rank, _) in found.items()}
    problem = phrase("{origin}: {problem}", origin=origin, problem=archive.problem) if archive.problem else ""
    return Archive(origin, modules, hides_folders=True, problem=problem, read=code, read_source=source)


def open_zip(data: Data) -> Zip | None:
    """Return the directory of the zip at the end of `data`, None if there is none."""
    end = data.rfind(_END_MARK, max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if end < 0 or len(data) - end < _END.size:
        return Zip(data, {}, phrase("it is damaged: its directory is missing")) if data[:4] == _LOCAL_MARK else None
    count, size, offset = _END.unpack(data[end : end + _END.size])[4:7]
    start = end - size
    if _ZIP64 in (size, offset):
        return Zip(data, {}, phrase("it is a zip64 archive, which is not read"))
    if start < offset or start < 0:
        return Zip(data, {}, phrase("it is damaged: its directory lies outside the file"))
    members = list(_directory(data, start, end, start - offset))
    return Zip(data, {member.name: member for member in members}, _problem(members, start, count))


def _directory(data: Data, start: int, end: int, shift: int) -> Iterator[Member]:
    at = start
    for _ in range(_MOST_MEMBERS):
        row = data[at : min(end, at + _MEMBER.size)]
        if len(row) < _MEMBER.size or row[:4] != _MEMBER_MARK:
            return
        _, _, _, flags, method, _, _, _, packed, size, name, extra, comment, _, _, _, offset = _MEMBER.unpack(row)
        raw = data[at + _MEMBER.size : min(end, at + _MEMBER.size + name)]
        text = raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace").replace("\\", "/")
        yield Member(text, offset + shift, packed, size, method, bool(flags & _ENCRYPTED))
        at += _MEMBER.size + name + extra + comment


def _problem(members: list[Member], directory: int, count: int) -> str:
    """Return what cannot be read of a zip, in words; `count` is what it says of its members, modulo 65536."""
    if len(members) == _MOST_MEMBERS:
        return phrase("it has {most_members} members or more; the others are not known", most_members=_MOST_MEMBERS)
    if len(members) & 0xFFFF != count:
        return phrase(
            "it is damaged: {number} of its members are found, it says {count}", number=len(members), count=count
        )
    encrypted = sum(member.encrypted for member in members)
    if encrypted:
        return phrase("{encrypted} of its {number} members are encrypted", encrypted=encrypted, number=len(members))
    large = sum(max(member.size, member.packed) > LARGEST_MEMBER for member in members if _module(member.name))
    if large:
        return phrase(
            "{large} of its modules claim to be larger than {largest_member} MiB",
            large=large,
            largest_member=LARGEST_MEMBER >> 20,
        )
    behind = 0
    for member in sorted(members, key=lambda member: member.start):
        if member.start < behind:
            return phrase("it is damaged: its members overlap")
        behind = member.start + _LOCAL.size + member.packed
    return phrase("it is damaged: its members reach into its directory") if behind > directory else ""


def _modules(members: Mapping[str, Member], inner: str) -> dict[str, tuple[int, Member]]:
    """Return the member of each module, with its rank, as zipimport would choose it."""
    found: dict[str, tuple[int, Member]] = {}
    for member in members.values():
        if not member.name.startswith(inner):
            continue
        name, rank = _module(member.name[len(inner) :]) or ("", 0)
        if name and (name not in found or rank < found[name][0]):
            found[name] = rank, member
    return dict(sorted(found.items()))


def _module(path: str) -> tuple[str, int] | None:
    """Return (dotted name, rank in zipimport's search) of a member that is a module."""
    for rank, ending in enumerate(_ENDINGS):
        if path.endswith(ending):
            parts = path[: -len(ending)].split("/")
            return (".".join(parts), rank) if are_names(parts) else None
    return None


def are_names(parts: Iterable[str]) -> bool:
    """Return True if these are names of modules, as an import statement spells them."""
    return all(part.isidentifier() for part in parts)
