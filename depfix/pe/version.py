"""The version resource of an image.

Source: Microsoft Learn, "VS_VERSIONINFO structure" https://learn.microsoft.com/windows/win32/menurc/vs-versioninfo
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.model.image import Version, VersionInfo
from depfix.pe.headers import Source, open_headers
from depfix.pe.resources import VERSION, read_resource

_BLOCK = struct.Struct("<HH2x")  # its length, the length of its value
_FIXED = struct.Struct("<I4x4I")  # signature, then high and low words of the file's and the product's version
_SIGNATURE = 0xFEEF04BD
_ENGLISH = "0409"
_MOST_BLOCKS = 1000
_LONGEST_KEY = 512
_VERSION_RESOURCES = (1, *range(2, 17))  # Windows shows 1; a few linkers wrote another


@dataclass(frozen=True, slots=True)
class _Block:
    """One block of the resource: its key, and where its value and its end are."""

    key: str
    value: int
    value_length: int
    end: int


def read_version(source: Source) -> VersionInfo | None:
    """Return the version resource of the image at `source`, None if there is none. Never raises."""
    pe = open_headers(source)
    data = read_resource(pe, VERSION, _VERSION_RESOURCES) if pe is not None else None
    return parse_version(data) if data is not None else None


def parse_version(data: bytes) -> VersionInfo | None:
    """Return what a version resource says, None if it is damaged from the start. Never raises."""
    root = next(_blocks(data, 0, len(data)), None)
    if root is None or root.key != "VS_VERSION_INFO":
        return None
    file_version, product_version = _fixed(data, root)
    texts = _texts(data, root)
    return VersionInfo(
        file_version=file_version,
        product_version=product_version,
        company=texts.get("CompanyName", ""),
        product=texts.get("ProductName", ""),
        description=texts.get("FileDescription", ""),
        original_name=texts.get("OriginalFilename", ""),
        file_text=texts.get("FileVersion", ""),
        product_text=texts.get("ProductVersion", ""),
    )


def _fixed(data: bytes, root: _Block) -> tuple[Version, Version]:
    none = (0, 0, 0, 0)
    if root.value_length < _FIXED.size or root.value + _FIXED.size > root.end:
        return none, none
    signature, *words = _FIXED.unpack_from(data, root.value)
    return (_version(words[0], words[1]), _version(words[2], words[3])) if signature == _SIGNATURE else (none, none)


def _version(high: int, low: int) -> Version:
    return (high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF)


def _texts(data: bytes, root: _Block) -> dict[str, str]:
    """Return the strings of all translations by key; of several the English one, else the first that is not empty."""
    tables = [
        table
        for info in _blocks(data, _padded(root.value + root.value_length), root.end)
        if info.key == "StringFileInfo"
        for table in _blocks(data, info.value, info.end)
    ]
    found: dict[str, str] = {}
    for table in sorted(tables, key=lambda table: not table.key.startswith(_ENGLISH)):
        for one in _blocks(data, table.value, table.end):
            # The length of a text is in words by the rule and in bytes by habit: its end is that of the block.
            text = data[one.value : one.end].decode("utf-16-le", "replace").partition("\0")[0]
            if text and not found.get(one.key):
                found[one.key] = text if one.value_length else ""
    return found


def _blocks(data: bytes, start: int, end: int) -> Iterator[_Block]:
    """Yield the blocks between two offsets. What does not fit ends the list."""
    for _ in range(_MOST_BLOCKS):
        if start + _BLOCK.size > end:
            return
        length, value_length = _BLOCK.unpack_from(data, start)
        stop = min(start + length, end)
        key = _key(data, start + _BLOCK.size, stop)
        if length <= _BLOCK.size or key is None:
            return
        yield _Block(key, _padded(start + _BLOCK.size + 2 * len(key) + 2), value_length, stop)
        start = _padded(start + length)


def _key(data: bytes, start: int, end: int) -> str | None:
    at, end = start, min(end, start + _LONGEST_KEY)
    while at + 1 < end and data[at : at + 2] != b"\0\0":
        at += 2
    return data[start:at].decode("utf-16-le", "replace") if at + 1 < end else None


def _padded(at: int) -> int:
    return (at + 3) & ~3
