"""Which packer compressed an image: by the names of its sections and the mark that the packer leaves in its headers.

Source: UPX, "The Ultimate Packer for eXecutables", src/pefile.cpp and src/conf.h (UPX_MAGIC_LE32)
https://github.com/upx/upx
"""

from __future__ import annotations

from depfix.pe.headers import Headers

_COFF = 24  # bytes from the PE signature to the optional header
_OPTIONAL_SIZE = 20
_SECTION = 40
_NAME = 8
_MOST_SECTIONS = 96
_UPX = (b"UPX0", b"UPX1")
_UPX_MARK = b"UPX!"
UPX = "UPX"


def packer_of(pe: Headers) -> str:
    """Return the packer that compressed an image, an empty string if none is seen.

    UPX names its two sections UPX0 (empty in the file) and UPX1; who renames them mostly leaves its mark behind them.
    """
    at = pe.pe_offset
    count = min(int.from_bytes(pe.data[at + 6 : at + 8], "little"), _MOST_SECTIONS)
    table = at + _COFF + int.from_bytes(pe.data[at + _OPTIONAL_SIZE : at + _OPTIONAL_SIZE + 2], "little")
    names = [pe.data[row : row + _NAME].rstrip(b"\0") for row in (table, table + _SECTION)[:count]]
    if tuple(names) == _UPX:
        return UPX
    is_empty = bool(count) and not any(pe.data[table + 16 : table + 20])
    marked = is_empty and pe.data[table + count * _SECTION : min(pe.header_size, table + 0x1000)].find(_UPX_MARK) >= 0
    return UPX if marked else ""
