"""Names that stand as strings in the data of an image: DLLs it may load at run time, modules it may import from C.

The data are the sections without code, less what is there for linking and debugging only: the names in the import,
delay-load and export directories, debug entries, exception and relocation tables, version resource and manifest. The
strings of Cython modules are looked for in their packed form, too.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from depfix.pe.cython_strings import cython_strings
from depfix.pe.headers import DEBUG, EXCEPTIONS, EXPORTS, RELOCATIONS, RESOURCES, Data, Headers, Source, open_headers
from depfix.pe.reader import delay_descriptors, import_descriptors
from depfix.pe.resources import MANIFEST, VERSION, find_resource

_NO_DATA = 0x20000000 | 0x02000000 | 0x20  # executable, discardable (relocations, debug sections), code
_DEBUG_ENTRY = struct.Struct("<16xIII")  # size, RVA, offset
_LONGEST_NAME = 120
_LONGEST_MODULE = 255
_MOST_MATCHES = 100_000  # in an image; more only a hostile one has
_MOST_NAMES = 1 << 22
_MOST_DEBUG_ENTRIES = 64
_BLOCK = 1 << 20
_FEW = 8

# Both begin with a literal character, which is searched for at memory speed; the rest is seen only where it stands.
_DLL = re.compile(rb"\.(?:[dD][lL][lL]\0|\0[dD]\0[lL]\0[lL]\0\0\0)")
_LAST_COMPONENT = re.compile(rb"\.[A-Za-z_][A-Za-z0-9_]{0,99}\0")
_DOTTED = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NAME_ALONE = re.compile(rb"\0([A-Za-z_][A-Za-z0-9_.]{0,99})(?=\0)")
_HASH = re.compile(r"-[0-9a-f]{32}\.dll\Z")
_IDENTIFIER = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_FILE_NAME = _IDENTIFIER + ".-+"
# Before a name these say that it is the end of a pattern: "%s.dll", "{}32.dll", "*.dll".
_PATTERN = "%*?}>$"
_ONLY_WORDS = bytes(byte if chr(byte) in _IDENTIFIER else 0x20 for byte in range(256))


@dataclass(frozen=True, slots=True)
class _Strings:
    """Where strings may stand: ranges of file offsets, none of them twice.

    `linked` are the offsets of the suffixes of linked DLL names. `renamed` are linked stems without the hash that
    delvewheel adds: it writes the new name where there is room, and leaves the old one where it was. `packed` are the
    strings that the image keeps in a form of its own.
    """

    data: Data
    ranges: tuple[tuple[int, int], ...]
    linked: frozenset[int]
    renamed: frozenset[str]
    packed: bytes = b""

    def blocks(self) -> Iterator[tuple[Data, int, int]]:
        """Yield (bytes, start, end) of everything in which strings stand, each between two NULs."""
        yield from ((self.data, start, end) for start, end in self.ranges)
        if self.packed:
            yield self.packed, 0, len(self.packed)


def dll_names(source: Source) -> tuple[str, ...]:
    """Return the DLL file names that stand in the data of the image at `source`, lower-cased, in order, each once.

    A name ends an ASCII or UTF-16 string with `.dll`; a folder or words before it are left out. Never raises: a file
    that cannot be read or is damaged has no names.
    """
    strings = _open(source)
    found: dict[str, None] = {}
    matches = ((start, match) for start, end in strings.ranges for match in _DLL.finditer(strings.data, start, end))
    for start, match in islice(matches, _MOST_MATCHES):
        if match.start() in strings.linked:
            continue
        stem = _stem(strings.data, start, match.start(), wide=len(match[0]) > len(".dll\0")).lower()
        if stem and stem not in strings.renamed:
            found[f"{stem}.dll"] = None
    return tuple(found)


def dotted_names(source: Source, tops: frozenset[str]) -> frozenset[str]:
    """Return the dotted module names below one of `tops` that are whole ASCII strings in the data of an image.

    So stand the names that C code hands to PyImport_ImportModule, Cython's among them. Never raises.
    """
    strings = _open(source)
    found = set()
    blocks = strings.blocks() if tops else ()
    matches = ((data, start, one) for data, start, end in blocks for one in _LAST_COMPONENT.finditer(data, start, end))
    for data, start, match in islice(matches, _MOST_MATCHES):
        left = max(start, match.start() - _LONGEST_MODULE)
        _, begun, package = data[left : match.start()].rpartition(b"\0")
        if (begun or left == start) and _DOTTED.fullmatch(package):
            if package.partition(b".")[0].decode() in tops:
                found.add((package + match[0][:-1]).decode())
    return frozenset(found)


def whole_strings(source: Source, names: frozenset[str]) -> frozenset[str]:
    """Return which of these module names are whole ASCII strings in the data of an image. Never raises.

    In an image with packed strings they stand there: what else is a plain word is no module.
    """
    strings = _open(source)
    wanted = {name.encode() for name in names if name.isascii()}
    found: set[bytes] = set()
    blocks = strings.blocks() if not strings.packed else ((strings.packed, 0, len(strings.packed)),)
    matches = (one for data, start, end in blocks for one in _NAME_ALONE.finditer(data, start, end))
    if wanted:
        found |= wanted.intersection(match[1] for match in islice(matches, _MOST_NAMES))
    return frozenset(name.decode() for name in found)


def has_string(source: Source, names: frozenset[str]) -> frozenset[str]:
    """Return which of these ASCII identifiers stand as whole words in the data of an image. Never raises."""
    strings = _open(source)
    wanted = {name.encode() for name in names if name.isascii() and name.isidentifier()}
    found: set[bytes] = set()
    for data, start, end in strings.blocks() if wanted else ():
        if len(wanted) <= _FEW:
            found |= {name for name in wanted - found if _has_word(data, name, start, end)}
        else:
            for words in _words(data, start, end):
                found |= wanted.intersection(words)
    return frozenset(name.decode() for name in found)


def _open(source: Source) -> _Strings:
    pe = open_headers(source)
    ranges = _ranges(pe) if pe is not None else None
    if pe is None or ranges is None:
        return _Strings(b"", (), frozenset(), frozenset())
    linked = import_descriptors(pe) + delay_descriptors(pe)
    suffixes = frozenset(pe.place(row.name_rva)[0] + len(row.name) - len(".dll") for row in linked)
    renamed = frozenset(_HASH.sub("", row.name.lower()) for row in linked if _HASH.search(row.name.lower()))
    return _Strings(pe.data, ranges, suffixes, renamed, _packed(pe, ranges, source))


def _ranges(pe: Headers) -> tuple[tuple[int, int], ...] | None:
    """Return the ranges of file offsets in which data of the program stand, None if the tables are damaged."""
    try:
        for row in import_descriptors(pe) + delay_descriptors(pe):
            pe.place(row.name_rva)
        holes = sorted(_holes(pe))
    except (ValueError, struct.error):
        return None
    sections = [(one.raw, one.raw + one.raw_size) for one in pe.sections if not one.flags & _NO_DATA]
    ranges: list[tuple[int, int]] = []
    behind = 0
    for start, end in sorted(sections):
        # In damaged headers sections overlap: nothing is read twice.
        ranges += _without(max(start, behind), min(end, len(pe.data)), holes)
        behind = max(behind, end)
    return tuple(ranges)


def _packed(pe: Headers, ranges: tuple[tuple[int, int], ...], source: Source) -> bytes:
    if isinstance(source, Headers):
        return _joined(cython_strings(pe, ranges))
    try:
        status = os.stat(source)
    except OSError:
        return b""
    return _packed_in(str(source), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)  # several questions are asked of one image, one after the other
def _packed_in(path: str, _size: int, _time: int) -> bytes:
    pe = open_headers(path)
    ranges = _ranges(pe) if pe is not None else None
    return _joined(cython_strings(pe, ranges)) if pe is not None and ranges else b""


def _joined(strings: frozenset[bytes]) -> bytes:
    return b"\0".join((b"", *strings, b"")) if strings else b""


def _holes(pe: Headers) -> Iterator[tuple[int, int]]:
    """Yield the ranges of file offsets of tables and texts that are no data of the program."""
    places = [pe.directories[index] for index in (EXPORTS, EXCEPTIONS, RELOCATIONS)]
    root = pe.directories[RESOURCES][0]
    if root:
        resources = (find_resource(pe, root, kind, (1, 2, 3)) for kind in (VERSION, MANIFEST))
        places += [place for place in resources if place is not None]
    for rva, size in places:
        if rva and pe.holds(rva):
            start, end = pe.place(rva)
            yield start, min(end, start + size)
    rva, size = pe.directories[DEBUG]
    raw = pe.read(rva, min(size, _MOST_DEBUG_ENTRIES * _DEBUG_ENTRY.size)) if rva and pe.holds(rva) else b""
    for length, _, offset in _DEBUG_ENTRY.iter_unpack(raw[: len(raw) // _DEBUG_ENTRY.size * _DEBUG_ENTRY.size]):
        yield offset, offset + length


def _without(start: int, end: int, holes: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for hole, behind in holes:
        if hole < end and behind > start:
            if hole > start:
                yield start, hole
            start = max(start, behind)
    if start < end:
        yield start, end


def _stem(data: Data, start: int, at: int, *, wide: bool) -> str:
    """Return the name before the suffix at an offset, "" if it is none, or the end of a pattern."""
    width = 2 if wide else 1
    size = min(at - start, (_LONGEST_NAME - len(".dll") + 1) * width) // width * width
    text = data[at - size : at].decode("utf-16-le" if wide else "latin-1", "replace")
    before = text.rstrip(_FILE_NAME)
    stem = text[len(before) :]
    if wide and before and all(0x20 < byte < 0x7F for byte in before[-1].encode("utf-16-le", "replace")):
        stem = stem[1:]  # its first character is the last letter of an ASCII string and the NUL behind it
    if len(stem) + len(".dll") > _LONGEST_NAME or before.endswith(tuple(_PATTERN)) or not stem.strip(".-+"):
        return ""
    return stem


def _has_word(data: Data, name: bytes, start: int, end: int) -> bool:
    at = data.find(name, start, end)
    for _ in range(_MOST_MATCHES):
        if at < 0:
            return False
        around = data[max(start, at - 1) : at] + data[at + len(name) : min(end, at + len(name) + 1)]
        if not any(chr(byte) in _IDENTIFIER for byte in around):
            return True
        at = data.find(name, at + 1, end)
    return any(name in words for words in _words(data, max(start, at - 1), end)) if at >= 0 else False


def _words(data: Data, start: int, end: int) -> Iterator[list[bytes]]:
    """Yield all words of a range, block by block; a word that a block cuts stands whole in the next one."""
    for at in range(start, end, _BLOCK):
        left, right = max(start, at - 1), min(end, at + _BLOCK + _LONGEST_MODULE)
        block = data[left:right].translate(_ONLY_WORDS)
        words = block.split()
        cut_left = left > start and not block.startswith(b" ")
        cut_right = right < end and not block.endswith(b" ")
        yield words[cut_left : len(words) - cut_right]
