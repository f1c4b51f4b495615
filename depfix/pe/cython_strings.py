"""The strings of modules made by Cython 3.2 and newer: kept as one text without separators, compressed as a rule.

A table of their lengths, in the data or in code, says where each begins. Neither has a mark of its own; both are found
by the names `__main__` and `__name__`, which every module has, in the order in which they are sorted. Up to Cython 3.1
strings stand in the data one by one. Sources: Cython, "Compress module strings as concatenation"
https://github.com/cython/cython/pull/6971 and "Implement LZSS-like compression as default string compression"
https://github.com/cython/cython/pull/7577
"""

from __future__ import annotations

import bz2
import re
import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from depfix.pe.headers import Headers
from depfix.pe.stack_tables import stack_tables

_MARK = b"cython_runtime"  # a module that each of them makes
_ANCHOR, _SECOND = b"__main__", b"__name__"
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_BZ2 = re.compile(rb"BZh[1-9]1AY&SY")
# An LZSS stream begins with a byte of flags; its lowest three bits say that three plain characters follow.
_FLAGS = b"".join(re.escape(bytes((flags,))) for flags in range(0x07, 0x100, 8))
_LZSS = re.compile(rb"(?<=\0)[" + _FLAGS + rb"](?=[\t\n\r -\x7e\x80-\xff]{3})", re.DOTALL)
_NEAREST = (0x80, 0)  # what is added to a long offset: by Cython 3.3, and by its first alpha releases
_LONGEST_TEXT = 1 << 24
_SHORTEST_TEXT = 64
_MOST_TEXTS = 8
# Limits for one image, many times what the largest real modules need: each ends a search that is of no use any more.
_LARGEST_DATA = 1 << 26
_MOST_WORK = 1 << 26  # in bytes unpacked by zlib; the other ways take longer for a byte
_MOST_TRIES = 50_000
_MOST_STREAMS = 2000
_MOST_SORTED = 8
_MOST_STARTS = 30_000
_LONGEST_STREAM = 1 << 20
_LONGEST_EXPANDED = 1 << 21
_LONGEST_STRING = 1 << 20
_MOST_STRINGS = 200_000
_PLAIN = bytes(byte for byte in range(256) if byte >= 0x20 or byte in (0x09, 0x0A, 0x0D))
_MOST_PLACES = 1000
_FARTHEST, _MOST_BETWEEN = 2000, 64  # from the one name to the other: bytes, strings
_FIRST = 48  # bytes of a text after which its start is judged


def cython_strings(pe: Headers, ranges: tuple[tuple[int, int], ...]) -> frozenset[bytes]:
    """Return the strings of a Cython module that stand in one text; none if there is no such text. Never raises.

    `ranges` are the file offsets of the data of the image.
    """
    data = pe.data
    if not any(data.find(_MARK, start, end) >= 0 for start, end in ranges):
        return frozenset()
    if sum(end - start for start, end in ranges) > _LARGEST_DATA:
        return frozenset()
    blocks = [bytes(data[start:end]) for start, end in ranges]
    lengths: list[array[int]] = []
    tries = iter(range(_MOST_TRIES))
    for text in islice(_texts(blocks), _MOST_TEXTS):
        if not lengths:
            lengths += [_numbers(block, start) for block, (start, _) in zip(blocks, ranges, strict=True)]
            lengths += stack_tables(pe)
        anchors = _anchors(text)
        found = next(filter(None, (frozenset(_split(text, anchors, numbers, tries)) for numbers in lengths)), None)
        if found is not None:
            return found
    return frozenset()


def _texts(blocks: list[bytes]) -> Iterator[bytes]:
    """Yield what may be the text; what can be unpacked without end is not."""
    work = 0
    for way, cost in _WAYS:
        for block in blocks:
            for text in way(block):
                if len(text) >= _SHORTEST_TEXT and _is_text(text):
                    yield text
                work += (len(text) + _FIRST) * cost
                if work > _MOST_WORK:
                    return


def _is_text(text: bytes) -> bool:
    """Return True if the two names stand in a text, other than as strings of their own that end in a NUL."""
    return _SECOND in text and any(
        text[at + len(_ANCHOR) : at + len(_ANCHOR) + 1] != b"\0" for at in _places(text, _ANCHOR)
    )


def _numbers(block: bytes, start: int) -> array[int]:
    """Return a block as numbers of four bytes, where compilers align them."""
    shift = -start % 4
    numbers = array("I")
    numbers.frombytes(block[shift : shift + (len(block) - shift) // 4 * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _plain(block: bytes) -> Iterator[bytes]:
    yield block


def _deflated(block: bytes) -> Iterator[bytes]:
    for match in islice(_ZLIB.finditer(block), _MOST_STREAMS):
        stream = zlib.decompressobj()
        with suppress(zlib.error):
            yield stream.decompress(_from(block, match.start()), _LONGEST_TEXT)


def _block_sorted(block: bytes) -> Iterator[bytes]:
    for match in islice(_BZ2.finditer(block), _MOST_SORTED):
        with suppress(OSError, ValueError, EOFError):
            yield bz2.BZ2Decompressor().decompress(_from(block, match.start()), _LONGEST_TEXT)


def _from(block: bytes, at: int) -> memoryview:
    return memoryview(block)[at : at + _LONGEST_STREAM]


def _dictionary_coded(block: bytes) -> Iterator[bytes]:
    for match in islice(_LZSS.finditer(block), _MOST_STARTS):
        for nearest in _NEAREST:
            yield _expanded(block, match.start(), nearest)


_WAYS = ((_plain, 0), (_deflated, 1), (_block_sorted, 16), (_dictionary_coded, 16))


def _expanded(block: bytes, at: int, nearest: int) -> bytes:
    """Return what an LZSS stream at an offset stands for, as far as it is one; nothing if that begins as no text."""
    out = bytearray()
    judged = False
    try:
        while len(out) < _LONGEST_EXPANDED:
            flags = block[at] | 0xFF00
            at += 1
            while flags & 0x100:
                if flags & 1:
                    out.append(block[at])
                    at += 1
                else:
                    low, high = block[at], block[at + 1]
                    at += 2
                    if low < 0x80:
                        offset, length = low, high
                    elif high < 0x80:
                        offset, length = nearest + ((high << 2 & 0x180) | (low & 0x7F)), high & 0x1F
                    else:
                        offset, length = nearest + ((high & 0x7F) << 7 | (low & 0x7F)), block[at]
                        at += 1
                    length += 3
                    begin = len(out) - offset - length
                    if begin < 0:
                        return bytes(out) if judged else b""
                    out += out[begin : begin + length]
                flags >>= 1
            if not judged and len(out) >= _FIRST:
                if len(out.translate(None, _PLAIN)) > len(out) // 8:
                    return b""
                judged = True
    except IndexError:
        pass
    return bytes(out) if judged else b""


def _anchors(text: bytes) -> list[tuple[int, set[int]]]:
    """Return (place, distances) of the first name: how far behind it the second one stands."""
    seconds = _places(text, _SECOND)
    found = []
    for anchor in _places(text, _ANCHOR):
        near = seconds[bisect_right(seconds, anchor) : bisect_right(seconds, anchor + _FARTHEST)]
        if near:
            found.append((anchor, {second - anchor for second in near}))
    return found


def _split(
    text: bytes, anchors: list[tuple[int, set[int]]], lengths: array[int], tries: Iterator[int]
) -> Iterator[bytes]:
    """Yield the strings of a text, by the table of lengths in which the two names have their places."""
    starts = list(islice(_indexes(lengths, len(_ANCHOR)), _MOST_TRIES)) if anchors else []
    for anchor, distances in anchors:
        for index in starts:
            if next(tries, None) is None:
                return
            if _leads_to(lengths, index, distances):
                yield from _behind(text, lengths, index, anchor)
                yield from _before(text, lengths, index, anchor)
                return


def _indexes(lengths: array[int], wanted: int) -> Iterator[int]:
    at = -1
    with suppress(ValueError):
        while True:
            at = lengths.index(wanted, at + 1)
            yield at


def _places(text: bytes, name: bytes) -> list[int]:
    found: list[int] = []
    at = text.find(name)
    while at >= 0 and len(found) < _MOST_PLACES:
        found.append(at)
        at = text.find(name, at + 1)
    return found


def _leads_to(lengths: array[int], index: int, distances: set[int]) -> bool:
    """Return True if the lengths from an index on lead over one of these distances, to one as long as that name."""
    passed = 0
    for length in lengths[index : index + _MOST_BETWEEN]:
        if passed in distances and length == len(_SECOND):
            return True
        passed += length
        if not length or passed > _FARTHEST:
            return False
    return False


def _behind(text: bytes, lengths: array[int], index: int, at: int) -> Iterator[bytes]:
    for length in lengths[index : index + _MOST_STRINGS]:
        if length > _LONGEST_STRING or at + length > len(text):
            return
        yield text[at : at + length]
        at += length


def _before(text: bytes, lengths: array[int], index: int, at: int) -> Iterator[bytes]:
    for before in range(index - 1, max(-1, index - _MOST_STRINGS), -1):
        length = lengths[before]
        if length > min(at, _LONGEST_STRING):
            return
        yield text[at - length : at]
        at -= length
