"""Imported and exported symbols of an image, read only where somebody asks for them.

The names of a directory lie together in the file: they are decoded in one go, and cut out of the text.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from itertools import islice
from operator import lt

from depfix.model.image import Exports, Forwarder, ImageProblem, ImportedDll
from depfix.pe.headers import EXPORTS, Headers, NoImageError, Source, map_file, parse_headers, text_of
from depfix.pe.reader import delay_descriptors, import_descriptors, reason_of
from depfix.wording.message import phrase

_EXPORTS = struct.Struct("<12x7I")  # name, base, functions, names, then the RVAs of addresses, names, name ordinals
_MOST_EXPORTS = 1 << 17  # twice what fits: the table of ordinals has 16 bits for an index
_MOST_SYMBOLS = 1 << 18
_LONGEST_SYMBOL = 1 << 15
_MOST_TEXT = 1 << 25  # of all names of an image: damaged tables can name the same long text a million times
_HINT = 2
_BLOCK = 4096
_FEW = 64


def read_exports(source: Source) -> Exports | ImageProblem:
    """Return the export directory of the image at `source`: names, ordinals, forwarders.

    Never raises; a file that cannot be read or is damaged gives an ImageProblem. Source: Microsoft Learn, "PE Format",
    The .edata Section https://learn.microsoft.com/windows/win32/debug/pe-format#the-edata-section-image-only
    """
    pe = _open(source)
    if isinstance(pe, ImageProblem):
        return pe
    try:
        return _exports(pe)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(phrase("its export directory is damaged: {error}", error=error))


def read_imported_symbols(source: Source) -> tuple[ImportedDll, ...] | ImageProblem:
    """Return what the image at `source` imports of each DLL, delay-loaded ones last. Never raises."""
    pe = _open(source)
    if isinstance(pe, ImageProblem):
        return pe
    try:
        return _all_imported(pe)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(phrase("its import directory is damaged: {error}", error=error))


def _open(source: Source) -> Headers | ImageProblem:
    if isinstance(source, Headers):
        return source
    try:
        data = map_file(source)
    except (OSError, ValueError) as error:
        return ImageProblem(phrase("it cannot be read ({reason})", reason=reason_of(error)), unreadable=True)
    try:
        return parse_headers(data) if data is not None else ImageProblem(phrase("it is empty"))
    except NoImageError as error:
        return ImageProblem(phrase("it is no Windows image: {error}", error=error))
    except (ValueError, struct.error) as error:
        return ImageProblem(phrase("it is a damaged Windows image: {error}", error=error))


def _exports(pe: Headers) -> Exports:
    start, size = pe.directories[EXPORTS]
    if not start:
        return Exports(b"", 0, b"", (), "")
    name, base, functions, named, address_rva, name_rva, ordinal_rva = _EXPORTS.unpack(pe.read(start, _EXPORTS.size))
    addresses = _table(pe, address_rva, functions, "I")
    names = _table(pe, name_rva, named, "I")
    text = _joined(pe, names)
    indexes = _table(pe, ordinal_rva, named, "H")
    end = start + size
    forwards = [rva for rva in addresses if start <= rva < end]
    return Exports(
        text,
        base,
        addresses.tobytes() if sys.byteorder == "little" else struct.pack(f"<{functions}I", *addresses),
        _forwarders(pe, base, addresses, names, indexes) if forwards else (),
        pe.string(name, _LONGEST_SYMBOL) if name and pe.holds(name) else "",
    )


def _joined(pe: Headers, rvas: array[int]) -> bytes:
    """Return the names at these RVAs, each ended by a NUL. Raises ValueError if one lies outside the file.

    Linkers write them side by side: then they are cut out of the file in one piece.
    """
    text = _side_by_side(pe, rvas) if rvas else b""
    return text if text else b"".join([name.encode() + b"\0" for name in _strings(pe, rvas)])


def _side_by_side(pe: Headers, rvas: array[int]) -> bytes:
    """Return the text from the first name to the NUL behind the last if it is these names alone, else b""."""
    starts = sorted(rvas)
    low, high = starts[0], starts[-1]
    start, end = pe.place(low)
    last = start + high - low
    if last >= end or not all(map(lt, starts, islice(starts, 1, None))):
        return b""
    text = pe.data[start : pe.data.find(b"\0", last, end) + 1]
    # As many NULs as names, and each name behind a NUL.
    if text.count(b"\0") != len(starts) or [rva for rva in islice(starts, 1, None) if text[rva - low - 1]]:
        return b""
    return text


def _table(pe: Headers, rva: int, count: int, code: str) -> array[int]:
    if count > _MOST_EXPORTS:
        raise ValueError(phrase("{count:,} symbols", count=count))
    values = pe.numbers(rva, count, code) if count else array(code)
    if len(values) < count:
        raise ValueError(phrase("a table is cut off"))
    return values


def _forwarders(
    pe: Headers, base: int, addresses: array[int], names: array[int], indexes: array[int]
) -> tuple[Forwarder, ...]:
    start, size = pe.directories[EXPORTS]
    forwarded = [index for index, rva in enumerate(addresses) if start <= rva < start + size]
    targets = dict(zip(forwarded, _strings(pe, [addresses[index] for index in forwarded]), strict=True))
    named = [(index, rva) for index, rva in zip(indexes, names, strict=True) if index in targets]
    found = [(row[0], name) for row, name in zip(named, _strings(pe, [rva for _, rva in named]), strict=True)]
    found += [(index, "") for index in targets.keys() - {index for index, _ in found}]
    return tuple(Forwarder(name, base + index, targets[index]) for index, name in sorted(found))


def _all_imported(pe: Headers) -> tuple[ImportedDll, ...]:
    flag = 1 << (63 if pe.wide else 31)
    static = import_descriptors(pe)
    found = []
    symbols = text = 0
    for index, row in enumerate(static + delay_descriptors(pe)):
        thunks = _thunks(pe, row.table)
        shift = _HINT - row.base
        names = _strings(pe, [thunk + shift for thunk in thunks if thunk < flag])
        ordinals = tuple([thunk & 0xFFFF for thunk in thunks if thunk >= flag]) if len(names) < len(thunks) else ()
        symbols, text = symbols + len(thunks), text + sum(map(len, names))
        if symbols > _MOST_SYMBOLS or text > _MOST_TEXT:
            raise ValueError(phrase("more than {symbols:,} symbols", symbols=symbols))
        found.append(ImportedDll(row.name, tuple(names), ordinals, delayed=index >= len(static)))
    return tuple(found)


def _thunks(pe: Headers, rva: int) -> array[int]:
    """Return the numbers of the lookup table at an RVA, up to the zero at its end. Raises ValueError if it has none."""
    code = "Q" if pe.wide else "I"
    values = array(code)
    size = _FEW
    while len(values) < _MOST_SYMBOLS:
        block = pe.numbers(rva + len(values) * values.itemsize, size, code)
        if 0 in block:
            return values + block[: block.index(0)]
        values += block
        if len(block) < size:  # the section ends, and Windows fills its last page with zeros
            return values
        size = _BLOCK
    raise ValueError(phrase("more than {most_symbols:,} symbols", most_symbols=_MOST_SYMBOLS))


def _strings(pe: Headers, rvas: Sequence[int]) -> list[str]:
    """Return the strings at these RVAs, in any order. Raises ValueError if one lies outside the file."""
    if not rvas:
        return []
    low, high = min(rvas), max(rvas)
    start, end = pe.place(low)
    last = start + high - low
    if last >= end:
        return _scattered_strings(pe, rvas)
    end = min(end, last + _LONGEST_SYMBOL)
    stop = pe.data.find(b"\0", last, end)
    # Latin-1 has one character a byte, so that offsets stay; what is no ASCII is decoded again below.
    text = pe.data[start : stop if stop >= 0 else end].decode("latin-1") + "\0"
    found: list[str] = []
    total = 0
    for block in range(0, len(rvas), _BLOCK):
        starts = [rva - low for rva in rvas[block : block + _BLOCK]]
        stops = [text.find("\0", at, at + _LONGEST_SYMBOL) for at in starts]
        total += sum(stops) - sum(starts)
        if total > _MOST_TEXT or -1 in stops:
            raise ValueError(phrase("its names overlap or have no end"))
        part = [text[at:to] for at, to in zip(starts, stops, strict=True)]
        found += part if "".join(part).isascii() else [text_of(name.encode("latin-1")) for name in part]
    return found


def _scattered_strings(pe: Headers, rvas: Sequence[int]) -> list[str]:
    found, total = [], 0
    for rva in rvas:
        name = pe.string(rva, _LONGEST_SYMBOL)
        found.append(name)
        total += len(name)
        if total > _MOST_TEXT:
            raise ValueError(phrase("its names overlap"))
    return found
