"""Imported and exported symbols of an image, read only where somebody asks for them.

The names of a directory lie together in the file: they are decoded in one go, and cut out of the text.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from pathlib import Path

from depfix.model.image import Exports, Forwarder, ImageProblem, ImportedDll
from depfix.pe.headers import EXPORTS, Headers, NoImageError, map_file, parse_headers, text_of
from depfix.pe.reader import delay_descriptors, import_descriptors, reason_of

_EXPORTS = struct.Struct("<12x7I")  # name, base, functions, names, then the RVAs of addresses, names, name ordinals
_MOST_SYMBOLS = 1 << 20
_LONGEST_SYMBOL = 1 << 15
_MOST_TEXT = 1 << 27  # of all names of an image: damaged tables can name the same long text a million times
_HINT = 2
_BLOCK = 4096


def read_exports(path: str | Path) -> Exports | ImageProblem:
    """Return the export directory of the image at `path`: names, ordinals, forwarders.

    Never raises; a file that cannot be read or is damaged gives an ImageProblem. Source: Microsoft Learn, "PE Format",
    The .edata Section https://learn.microsoft.com/windows/win32/debug/pe-format#the-edata-section-image-only
    """
    pe = _open(path)
    if isinstance(pe, ImageProblem):
        return pe
    try:
        return _exports(pe)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(f"its export directory is damaged: {error}")


def read_imported_symbols(path: str | Path) -> tuple[ImportedDll, ...] | ImageProblem:
    """Return what the image at `path` imports of each DLL, delay-loaded ones last. Never raises."""
    pe = _open(path)
    if isinstance(pe, ImageProblem):
        return pe
    try:
        return _all_imported(pe)
    except (ValueError, IndexError, struct.error) as error:
        return ImageProblem(f"its import directory is damaged: {error}")


def _open(path: str | Path) -> Headers | ImageProblem:
    try:
        data = map_file(path)
    except (OSError, ValueError) as error:
        return ImageProblem(f"it cannot be read ({reason_of(error)})", unreadable=True)
    try:
        return parse_headers(data) if data is not None else ImageProblem("it is empty")
    except NoImageError as error:
        return ImageProblem(f"it is no Windows image: {error}")
    except (ValueError, struct.error) as error:
        return ImageProblem(f"it is a damaged Windows image: {error}")


def _exports(pe: Headers) -> Exports:
    start, size = pe.directories[EXPORTS]
    if not start:
        return Exports(frozenset(), frozenset(), (), "")
    name, base, functions, named, address_rva, name_rva, ordinal_rva = _EXPORTS.unpack(pe.read(start, _EXPORTS.size))
    addresses = _table(pe, address_rva, functions, "I")
    names = _strings(pe, _table(pe, name_rva, named, "I"))
    indexes = _table(pe, ordinal_rva, named, "H")
    forwarded = [index for index, rva in enumerate(addresses) if start <= rva < start + size]
    return Exports(
        frozenset(names),
        frozenset([base + index for index, rva in enumerate(addresses) if rva]),
        _forwarders(pe, base, addresses, forwarded, zip(indexes, names, strict=True)) if forwarded else (),
        pe.string(name, _LONGEST_SYMBOL) if name and pe.holds(name) else "",
    )


def _table(pe: Headers, rva: int, count: int, code: str) -> array[int]:
    if count > _MOST_SYMBOLS:
        raise ValueError(f"{count:,} symbols")
    values = pe.numbers(rva, count, code) if count else array(code)
    if len(values) < count:
        raise ValueError("a table is cut off")
    return values


def _forwarders(
    pe: Headers, base: int, addresses: Sequence[int], forwarded: list[int], names: zip[tuple[int, str]]
) -> tuple[Forwarder, ...]:
    targets = dict(zip(forwarded, _strings(pe, [addresses[index] for index in forwarded]), strict=True))
    found = [(index, name) for index, name in names if index in targets]
    found += [(index, "") for index in targets.keys() - {index for index, _ in found}]
    return tuple(Forwarder(name, base + index, targets[index]) for index, name in sorted(found))


def _all_imported(pe: Headers) -> tuple[ImportedDll, ...]:
    flag = 1 << (63 if pe.wide else 31)
    static = import_descriptors(pe)
    found = []
    symbols = text = 0
    for index, row in enumerate(static + delay_descriptors(pe)):
        thunks = _thunks(pe, row.table)
        names = _strings(pe, [thunk - row.base + _HINT for thunk in thunks if thunk < flag])
        ordinals = tuple([thunk & 0xFFFF for thunk in thunks if thunk >= flag])
        symbols, text = symbols + len(thunks), text + sum(map(len, names))
        if symbols > _MOST_SYMBOLS or text > _MOST_TEXT:
            raise ValueError(f"more than {symbols:,} symbols")
        found.append(ImportedDll(row.name, tuple(names), ordinals, delayed=index >= len(static)))
    return tuple(found)


def _thunks(pe: Headers, rva: int) -> array[int]:
    """Return the numbers of the lookup table at an RVA, up to the zero at its end. Raises ValueError if it has none."""
    code = "Q" if pe.wide else "I"
    values = array(code)
    while len(values) < _MOST_SYMBOLS:
        block = pe.numbers(rva + len(values) * values.itemsize, _BLOCK, code)
        if 0 in block:
            return values + block[: block.index(0)]
        values += block
        if len(block) < _BLOCK:  # the section ends, and Windows fills its last page with zeros
            return values
    raise ValueError(f"more than {_MOST_SYMBOLS:,} symbols")


def _strings(pe: Headers, rvas: Sequence[int]) -> list[str]:
    """Return the strings at these RVAs, in any order. Raises ValueError if one lies outside the file."""
    if not rvas:
        return []
    low, high = min(rvas), max(rvas)
    start, end = pe.place(low)
    if start + high - low >= end:
        return _scattered_strings(pe, rvas)
    # Latin-1 has one character a byte, so that offsets stay; what is no ASCII is decoded again below.
    text = pe.data[start : min(end, start + high - low + _LONGEST_SYMBOL)].decode("latin-1") + "\0"
    found: list[str] = []
    total = 0
    for block in range(0, len(rvas), _BLOCK):
        part = [text[at : text.index("\0", at)] for at in [rva - low for rva in rvas[block : block + _BLOCK]]]
        total += sum(map(len, part))
        if total > _MOST_TEXT:
            raise ValueError("its names overlap")
        found += part
    return [name if name.isascii() else text_of(name.encode("latin-1")) for name in found]


def _scattered_strings(pe: Headers, rvas: Sequence[int]) -> list[str]:
    found, total = [], 0
    for rva in rvas:
        name = pe.string(rva, _LONGEST_SYMBOL)
        found.append(name)
        total += len(name)
        if total > _MOST_TEXT:
            raise ValueError("its names overlap")
    return found
