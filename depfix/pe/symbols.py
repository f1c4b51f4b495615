"""Imported and exported symbols of an image, read only where somebody asks for them.

pefile makes several Python objects for each symbol: 0.6 s for the 33,000 exports of a large DLL. The names lie together
in the file, so they are sliced out of it and split at the NULs.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

import pefile

from depfix.model.image import Exports, Forwarder, ImageProblem, ImportedDll
from depfix.pe.reader import delay_descriptors, import_descriptors, map_file

_EXPORT_DIRECTORY = 0
_EXPORTS = struct.Struct(
    "<8x8I"
)  # version, name, base, functions, names, then the RVAs of addresses, names, name ordinals
_PE32_PLUS = 0x20B
_MOST_SYMBOLS = 1 << 20


class _Mapped:
    """A file and its sections: bytes and strings by RVA."""

    def __init__(self, pe: pefile.PE, data: bytes) -> None:
        self.data = data
        rows = sorted((s.VirtualAddress, s.PointerToRawData, s.SizeOfRawData) for s in pe.sections)
        self._starts = [row[0] for row in rows]
        self._rows = rows
        self.wide = pe.OPTIONAL_HEADER.Magic == _PE32_PLUS

    def offset(self, rva: int) -> int:
        """Return the file offset of an RVA. Raises ValueError if no section of the file holds it."""
        index = bisect_right(self._starts, rva) - 1
        if index < 0:
            return rva
        start, raw, size = self._rows[index]
        if rva - start >= size:
            raise ValueError(f"RVA {rva:#x} lies outside the file")
        return raw + rva - start

    def string(self, rva: int) -> str:
        start = self.offset(rva)
        return self.data[start : self._end(start)].decode("utf-8", "backslashreplace")

    def _end(self, start: int) -> int:
        end = self.data.find(b"\0", start)
        if end < 0:
            raise ValueError(f"a name at offset {start:#x} has no end")
        return end

    def numbers(self, rva: int, count: int, code: str) -> array[int]:
        """Return `count` little-endian numbers of array type `code`."""
        if count > _MOST_SYMBOLS:
            raise ValueError(f"{count:,} symbols")
        values = array(code)
        start = self.offset(rva)
        values.frombytes(self.data[start : start + count * values.itemsize])
        return values

    def names(self, rvas: array[int]) -> tuple[str, ...]:
        """Return the strings at these RVAs; one slice and one split where they lie in a row."""
        if not len(rvas):
            return ()
        if all(a < b for a, b in pairwise(rvas)):
            start, last = self.offset(rvas[0]), self.offset(rvas[-1])
            found = self.data[start : self._end(last)].split(b"\0")
            if len(found) == len(rvas):
                return tuple(name.decode("utf-8", "backslashreplace") for name in found)
        return tuple(self.string(rva) for rva in rvas)


def read_exports(path: str | Path) -> Exports | ImageProblem:
    """Return the export directory of the image at `path`: names, ordinals, forwarders.

    Never raises; a file that cannot be read or is damaged gives an ImageProblem. Source: Microsoft Learn, "PE Format",
    The .edata Section https://learn.microsoft.com/windows/win32/debug/pe-format#the-edata-section-image-only
    """
    opened = _open(path)
    if isinstance(opened, ImageProblem):
        return opened
    pe, mapped = opened
    try:
        return _exports(pe, mapped)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(f"its export directory is damaged: {error}")


def read_imported_symbols(path: str | Path) -> tuple[ImportedDll, ...] | ImageProblem:
    """Return what the image at `path` imports of each DLL, delay-loaded ones last. Never raises."""
    opened = _open(path)
    if isinstance(opened, ImageProblem):
        return opened
    pe, mapped = opened
    try:
        static = [(name, table, False) for name, table in import_descriptors(pe)]
        delayed = [(name, names, True) for name, names, _ in delay_descriptors(pe)]
        return tuple(_imported(mapped, *row) for row in static + delayed)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(f"its import directory is damaged: {error}")


def _open(path: str | Path) -> tuple[pefile.PE, _Mapped] | ImageProblem:
    try:
        data = map_file(path)
        if data is None:
            return ImageProblem("it is empty")
        pe = pefile.PE(data=data, fast_load=True)
    except (OSError, ValueError) as error:
        return ImageProblem(f"it cannot be read ({error})", unreadable=True)
    except pefile.PEFormatError as error:
        return ImageProblem(f"it is a damaged Windows image: {error}")
    return pe, _Mapped(pe, data)  # type: ignore[arg-type]  # a map slices to bytes, as bytes do


def _directory(pe: pefile.PE, index: int) -> tuple[int, int]:
    table = pe.OPTIONAL_HEADER.DATA_DIRECTORY
    return (table[index].VirtualAddress, table[index].Size) if len(table) > index else (0, 0)


def _exports(pe: pefile.PE, mapped: _Mapped) -> Exports:
    start, size = _directory(pe, _EXPORT_DIRECTORY)
    if not start:
        return Exports((), frozenset(), ())
    at = mapped.offset(start)
    _, _, base, functions, named, address_rva, name_rva, ordinal_rva = _EXPORTS.unpack_from(mapped.data, at)
    addresses = mapped.numbers(address_rva, functions, "I") if functions else array("I")
    names = mapped.names(mapped.numbers(name_rva, named, "I")) if named else ()
    indexes = mapped.numbers(ordinal_rva, named, "H") if named else array("H")
    name_of = dict(zip(indexes, names, strict=False))
    forwarders = tuple(
        Forwarder(name_of.get(index, ""), base + index, mapped.string(rva))
        for index, rva in enumerate(addresses)
        if start <= rva < start + size
    )
    return Exports(names, frozenset(base + index for index, rva in enumerate(addresses) if rva), forwarders)


def _imported(mapped: _Mapped, name: str, table: int, delayed: bool) -> ImportedDll:
    width, code, flag = (8, "<Q", 1 << 63) if mapped.wide else (4, "<I", 1 << 31)
    symbols: list[str] = []
    ordinals: list[int] = []
    at = mapped.offset(table)
    while thunk := struct.unpack_from(code, mapped.data, at)[0]:
        if thunk & flag:
            ordinals.append(thunk & 0xFFFF)
        else:
            symbols.append(mapped.string((thunk & 0x7FFFFFFF) + 2))
        at += width
    return ImportedDll(name, tuple(symbols), tuple(ordinals), delayed)
