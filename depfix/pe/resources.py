"""The resource directory of an image: the bytes of one resource, without reading the others."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from depfix.pe.headers import RESOURCES, Headers

VERSION, MANIFEST = 16, 24

_ENTRY = struct.Struct("<II")  # id, offset
_IS_NAME = _IS_DIRECTORY = 0x80000000
_MOST_ENTRIES = 4096
_LARGEST = 1 << 24
_NEUTRAL, _ENGLISH = 0, 0x409


def read_resource(pe: Headers, kind: int, ids: Sequence[int]) -> bytes | None:
    """Return the bytes of the first of the resources `ids` of a type that is there, None if none is. Never raises.

    A damaged directory counts as one without the resource. Of several languages the neutral one is taken, then English,
    then the first. The tree has three levels: type, id, language; nothing deeper is followed, so that no loop matters.
    Source: Microsoft Learn, "PE Format", The .rsrc Section
    https://learn.microsoft.com/windows/win32/debug/pe-format#the-rsrc-section
    """
    root = pe.directories[RESOURCES][0]
    if not root:
        return None
    place = find_resource(pe, root, kind, ids)
    if place is None:
        return None
    rva, size = place
    try:
        data = pe.read(rva, min(size, _LARGEST))
    except ValueError:
        return None
    return data if data else None


def find_resource(pe: Headers, root: int, kind: int, ids: Sequence[int]) -> tuple[int, int] | None:
    """Return (RVA, size) of the resource that `read_resource` reads, for the directory at the RVA `root`."""
    try:
        types = _entries(pe, root, _IS_DIRECTORY)
        named = _entries(pe, root, types.get(kind, 0))
        for number in ids:
            languages = _entries(pe, root, named.get(number, 0))
            wanted = next((one for one in (_NEUTRAL, _ENGLISH) if one in languages), next(iter(languages), None))
            leaf = languages.get(wanted, _IS_DIRECTORY) if wanted is not None else _IS_DIRECTORY
            if not leaf & _IS_DIRECTORY:
                rva, size = _ENTRY.unpack(pe.read(root + leaf, _ENTRY.size))
                return rva, size
    except (ValueError, struct.error):
        pass
    return None


def _entries(pe: Headers, root: int, place: int) -> dict[int, int]:
    """Return {id: place} of the table at a place, in its order; those with a name are left out.

    Nothing for a place that is no table.
    """
    if not place & _IS_DIRECTORY:
        return {}
    start = root + (place & ~_IS_DIRECTORY)
    named, numbered = struct.unpack("<12xHH", pe.read(start, 16))
    raw = pe.read(start + 16, min(named + numbered, _MOST_ENTRIES) * _ENTRY.size)
    found: dict[int, int] = {}
    for number, offset in _ENTRY.iter_unpack(raw[: len(raw) // _ENTRY.size * _ENTRY.size]):
        if not number & _IS_NAME:
            found.setdefault(number, offset)
    return found
