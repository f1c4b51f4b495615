"""The headers of a PE image, and its bytes by RVA.

Headers as linkers write them are unpacked here; whatever is odd about them goes to pefile, which knows many ways in
which headers are broken and takes a millisecond for them. It is given a map of the file and never closed, because
`PE.close()` runs a full garbage collection. What lies behind the headers is read here: pefile makes several objects for
each symbol, stops at 8,192 symbols of an import directory, and replaces DLL names that are not plain ASCII.

Source of all offsets: Microsoft Learn, "PE Format" https://learn.microsoft.com/windows/win32/debug/pe-format
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pefile

from depfix.model.content import plain
from depfix.wording.message import phrase

Data: TypeAlias = mmap.mmap | bytes
_Row: TypeAlias = tuple[int, ...]  # of the section table

_PE32, _PE32_PLUS = 0x10B, 0x20B
_DOS_HEADER = 64
_PE_OFFSET = struct.Struct("<60xI")
_COFF = struct.Struct("<4sHH12xHH")  # signature, machine, sections, size of the optional header, characteristics
# Magic, linker, image base, both alignments, version of the subsystem, size of headers, subsystem, flags, directories.
_OPTIONAL = {_PE32: struct.Struct("<HBB24xIII8xHH8xI4xHH20xI"), _PE32_PLUS: struct.Struct("<HBB20xQII8xHH8xI4xHH36xI")}
_SECTION = struct.Struct("<8xIIII12xI")  # virtual size, RVA, raw size, raw offset, flags
_MOST_SECTIONS = 96
_DIRECTORY = struct.Struct("<II")
_DIRECTORIES = 16
_SECTOR = 0x200
_PAGE = 0x1000
_IMAGE_FILE_DLL = 0x2000
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_RVA = attrgetter("rva")

EXPORTS, IMPORTS, RESOURCES, EXCEPTIONS = 0, 1, 2, 3
CERTIFICATES, RELOCATIONS, DEBUG, LOAD_CONFIGURATION, BOUND_IMPORTS, DELAY_IMPORTS = 4, 5, 6, 10, 11, 13


class NoImageError(ValueError):
    """The bytes are no PE image at all."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: where it is mapped, and where its bytes lie in the file. What is behind `raw_size` is zero."""

    rva: int
    size: int
    raw: int
    raw_size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of an image, with its data. `directories` are (RVA, size), always 16 of them."""

    data: Data
    machine: int
    is_dll: bool
    wide: bool
    base: int
    linker: tuple[int, int]
    subsystem: int
    subsystem_version: tuple[int, int]
    dll_flags: int
    pe_offset: int
    header_size: int
    directories: tuple[tuple[int, int], ...]
    sections: tuple[Section, ...]
    _starts: tuple[int, ...] = field(repr=False)

    def place(self, rva: int) -> tuple[int, int]:
        """Return (offset, offset of the end of its section) of an RVA. Raises ValueError if the file has no such."""
        index = bisect_right(self._starts, rva) - 1
        if index >= 0:
            section = self.sections[index]
            inner = rva - section.rva
            if inner < section.raw_size:
                end, size = section.raw + section.raw_size, len(self.data)
                return section.raw + inner, end if end < size else size
        elif 0 <= rva < self.header_size:
            return rva, min(self.header_size, len(self.data))
        raise ValueError(phrase("RVA {rva} lies outside the file", rva=f"{rva:#x}"))

    def holds(self, rva: int) -> bool:
        """Return True if the file has bytes for this RVA."""
        try:
            self.place(rva)
        except ValueError:
            return False
        return True

    def read(self, rva: int, size: int) -> bytes:
        """Return up to `size` bytes, fewer where the section ends. Raises ValueError as `place`."""
        start, end = self.place(rva)
        return self.data[start : min(end, start + size)]

    def string(self, rva: int, longest: int) -> str:
        """Return the text at an RVA up to its NUL, cut at `longest` bytes. Raises ValueError as `place`."""
        start, end = self.place(rva)
        end = min(end, start + longest)
        stop = self.data.find(b"\0", start, end)
        return text_of(self.data[start : stop if stop >= 0 else end])

    def numbers(self, rva: int, count: int, code: str) -> array[int]:
        """Return `count` little-endian numbers of array type `code`, fewer where the section ends."""
        values = array(code)
        raw = self.read(rva, count * values.itemsize)
        values.frombytes(raw[: len(raw) // values.itemsize * values.itemsize])
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def bytes_missing(self) -> int:
        """Return how many bytes of section data lie beyond the end of the file.

        Windows refuses to map an image whose raw data ends behind the file (STATUS_INVALID_IMAGE_FORMAT). Source:
        Microsoft Learn, "PE Format", PointerToRawData and SizeOfRawData
        https://learn.microsoft.com/windows/win32/debug/pe-format#section-table-section-headers
        """
        ends = [section.raw + section.raw_size for section in self.sections if section.raw and section.raw_size]
        return max(0, max(ends, default=0) - len(self.data))


# A path, or headers that were opened before: who asks several things of one file opens it once. It is mapped as long as
# the headers live, and Windows changes no file that is mapped.
Source: TypeAlias = str | Path | Headers


def map_file(path: str | Path) -> mmap.mmap | None:
    """Return a read-only map of the whole file, None if it is empty. Raises OSError, also for what is no file."""
    file = plain(os.fspath(path), _READ)
    try:
        status = os.fstat(file)
        if not status.st_size and os.read(file, 1):
            raise OSError(phrase("it is no plain file"))  # a pseudo file may have bytes although its size is 0
        return mmap.mmap(file, 0, access=mmap.ACCESS_READ) if status.st_size else None
    finally:
        os.close(file)


def open_headers(source: Source) -> Headers | None:
    """Return the headers of the image at `source`, None if it is no readable image. Never raises."""
    if isinstance(source, Headers):
        return source
    try:
        data = map_file(source)
        return parse_headers(data) if data is not None else None
    except (OSError, ValueError, struct.error):
        return None


def parse_headers(data: Data) -> Headers:
    """Return the headers. Raises ValueError or struct.error if they are damaged, NoImageError if there are none."""
    if data[:2] != b"MZ":
        raise NoImageError(phrase("it does not begin with MZ"))
    found = _regular_headers(data)
    return found if found is not None else _odd_headers(data)


def _regular_headers(data: Data) -> Headers | None:
    """Return headers that stand whole in the file, with sections that do; None for all others."""
    if len(data) < _DOS_HEADER:
        return None
    (at,) = _PE_OFFSET.unpack_from(data)
    if at + _COFF.size + 2 > len(data):
        return None
    signature, machine, count, optional_size, characteristics = _COFF.unpack_from(data, at)
    optional = at + _COFF.size
    form = _OPTIONAL.get(int.from_bytes(data[optional : optional + 2], "little"))
    table = optional + optional_size
    whole = max(table + count * _SECTION.size, optional + _OPTIONAL[_PE32_PLUS].size + _DIRECTORIES * _DIRECTORY.size)
    if signature != b"PE\0\0" or form is None or not 0 < count <= _MOST_SECTIONS or whole > len(data):
        return None
    magic, major, minor, base, page, unit, *version, header_size, subsystem, flags, number = form.unpack_from(
        data, optional
    )
    rows = tuple(_SECTION.iter_unpack(data[table : table + count * _SECTION.size]))
    if not unit or not all(_is_regular(row, unit, len(data)) for row in rows):
        return None
    start = optional + form.size
    used = min(number & 0x7FFFFFFF, _DIRECTORIES)  # as pefile counts them
    directories = tuple(_DIRECTORY.iter_unpack(data[start : start + used * _DIRECTORY.size]))
    sections = _sections(rows, page)
    return Headers(
        data=data,
        machine=machine,
        is_dll=bool(characteristics & _IMAGE_FILE_DLL),
        wide=magic == _PE32_PLUS,
        base=base,
        linker=(major, minor),
        subsystem=subsystem,
        subsystem_version=(version[0], version[1]),
        dll_flags=flags,
        pe_offset=at,
        header_size=header_size,
        directories=directories + ((0, 0),) * (_DIRECTORIES - used),
        sections=sections,
        _starts=tuple([section.rva for section in sections]),
    )


def _is_regular(row: _Row, unit: int, size: int) -> bool:
    """Return True for a section whose bytes are all in the file, where its alignment wants them."""
    return any(row) and row[2] + row[3] <= size and not row[3] % unit


def _odd_headers(data: Data) -> Headers:
    """Return what pefile makes of headers."""
    import pefile

    try:
        pe = pefile.PE(data=data, fast_load=True)
        optional, coff = pe.OPTIONAL_HEADER, pe.FILE_HEADER
        directories = [(entry.VirtualAddress, entry.Size) for entry in optional.DATA_DIRECTORY[:_DIRECTORIES]]
        sections = _sections(_rows(pe), optional.SectionAlignment)
        return Headers(
            data=data,
            machine=coff.Machine,
            is_dll=bool(coff.Characteristics & _IMAGE_FILE_DLL),
            wide=optional.Magic == _PE32_PLUS,
            base=optional.ImageBase,
            linker=(int(optional.MajorLinkerVersion), int(optional.MinorLinkerVersion)),
            subsystem=optional.Subsystem,
            subsystem_version=(optional.MajorSubsystemVersion, optional.MinorSubsystemVersion),
            dll_flags=optional.DllCharacteristics,
            pe_offset=pe.DOS_HEADER.e_lfanew,
            header_size=optional.SizeOfHeaders,
            directories=tuple(directories + [(0, 0)] * (_DIRECTORIES - len(directories))),
            sections=sections,
            _starts=tuple(section.rva for section in sections),
        )
    except pefile.PEFormatError as error:
        raise ValueError(str(error).strip("'")) from error
    except (AttributeError, IndexError, MemoryError, OverflowError, TypeError) as error:
        # Hostile headers make pefile fail in ways that its own exception does not cover.
        raise ValueError(phrase("{type} in the headers", type=type(error).__name__)) from error


def _rows(pe: pefile.PE) -> list[_Row]:
    return [
        (one.Misc_VirtualSize, one.VirtualAddress, one.SizeOfRawData, one.PointerToRawData, one.Characteristics)
        for one in pe.sections
    ]


def _sections(rows: Iterable[_Row], alignment: int) -> tuple[Section, ...]:
    """Return the sections in the order of their RVAs.

    Windows maps whole sectors: it rounds the offset down, unless the image has sections smaller than a page.
    """
    mask = -_SECTOR if alignment >= _PAGE else -1
    found = [
        Section(rva, max(size, raw_size), raw & mask, raw_size if raw else 0, flags)
        for size, rva, raw_size, raw, flags in rows
    ]
    return tuple(sorted(found, key=_RVA))


def text_of(name: bytes) -> str:
    """Return a name of a directory as text; bytes that are no UTF-8 stay visible as escapes."""
    return name.decode("utf-8", "backslashreplace")
