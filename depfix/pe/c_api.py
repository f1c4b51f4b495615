"""The version of a C interface that an image was compiled for, and the one that an image offers: constants in its code.

A user of such an interface compares numbers of its headers with those that the provider's functions return, and formats
both into a message if they do not do. The message is found in the data; the code that loads its address as the second
argument of PyErr_Format loads the number of the headers as the third. The provider's functions `mov eax, number; ret`
are found through the table that holds their addresses.

Source: Microsoft Learn, "x64 calling convention" (RCX, RDX, R8, R9)
https://learn.microsoft.com/cpp/build/x64-calling-convention
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from depfix.pe.headers import Headers, Source, open_headers
from depfix.wording.message import phrase

_AMD64 = 0x8664
_CODE = 0x20000000  # executable
_LEA_RDX = re.compile(rb"\x48\x8d\x15(....)", re.DOTALL)  # lea rdx, [rip + n]
_MOV_R8D = re.compile(rb"\x41\xb8(....)", re.DOTALL)  # mov r8d, n
_RETURN = b"\xc3"
_MOV_EAX = b"\xb8"
_NEAR = 48  # bytes between the two loads of arguments, at most
_MOST_PLACES = 64
_MOST_TRIES = 250_000
_ABI = 0x01000000  # an ABI is a number from here on, a level one below
_POINTER = struct.Struct("<Q")
_NUMBER = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class CApiVersion:
    """The two numbers of an interface; `level` is None if it could not be read."""

    abi: int
    level: int | None


def compiled_for(source: Source, abi_message: str, level_messages: Iterable[str]) -> CApiVersion | None:
    """Return what the image at `source` was compiled for, None if it does not use the interface or that cannot be read.

    Never raises. Only images for amd64 are read.
    """
    pe = open_headers(source)
    if pe is None or pe.machine != _AMD64:
        return None
    try:
        abi = _argument(pe, abi_message, is_abi=True)
        if abi is None:
            return None
        levels = (_argument(pe, message, is_abi=False) for message in level_messages)
        return CApiVersion(abi, next((level for level in levels if level is not None), None))
    except (ValueError, struct.error):
        return None


def offered_by(source: Source, abis: Iterable[int], abi_slot: int, level_slot: int) -> CApiVersion | None:
    """Return what the image at `source` offers, one of `abis` with its level, None if that cannot be read."""
    pe = open_headers(source)
    if pe is None or pe.machine != _AMD64:
        return None
    try:
        for abi in abis:
            for rva in _functions_returning(pe, abi):
                for table in islice(_places(pe, _POINTER.pack(pe.base + rva), code=False), _MOST_PLACES):
                    level = _returned(pe, table + (level_slot - abi_slot) * _POINTER.size)
                    if level is not None:
                        return CApiVersion(abi, level)
    except (ValueError, struct.error):
        return None
    return None


def _argument(pe: Headers, message: str, *, is_abi: bool) -> int | None:
    """Return the third argument of a call whose second is a message."""
    texts = {_rva(pe, at) for at in islice(_places(pe, message.encode(), code=False), _MOST_PLACES)}
    for start, end, rva in _sections(pe, code=True) if texts else ():
        code = pe.data[start:end]
        for match in islice(_MOV_R8D.finditer(code), _MOST_TRIES):
            number = _NUMBER.unpack(match[1])[0]
            if (number >= _ABI) is is_abi and _loads_near(code, match.start(), rva, texts):
                return int(number)
    return None


def _loads_near(code: bytes, at: int, rva: int, texts: set[int]) -> bool:
    """Return True if code near an offset loads the address of a text as the second argument."""
    for match in _LEA_RDX.finditer(code, max(0, at - _NEAR), at + _NEAR):
        if rva + match.end() + int.from_bytes(match[1], "little", signed=True) in texts:
            return True
    return False


def _functions_returning(pe: Headers, number: int) -> Iterator[int]:
    code = _MOV_EAX + _NUMBER.pack(number) + _RETURN
    return (_rva(pe, at) for at in islice(_places(pe, code, code=True), _MOST_PLACES))


def _returned(pe: Headers, at: int) -> int | None:
    """Return what the function returns whose address stands at an offset of the file, None if that is no constant."""
    if at < 0 or at + _POINTER.size > len(pe.data):
        return None
    rva = _POINTER.unpack_from(pe.data, at)[0] - pe.base
    if not pe.holds(rva):
        return None
    body = pe.read(rva, 6)
    is_constant = len(body) == 6 and body[:1] == _MOV_EAX and body[5:] == _RETURN
    return int(_NUMBER.unpack(body[1:5])[0]) if is_constant else None


def _places(pe: Headers, wanted: bytes, *, code: bool) -> Iterator[int]:
    for start, end, _ in _sections(pe, code=code):
        at = pe.data.find(wanted, start, end)
        while at >= 0:
            yield at
            at = pe.data.find(wanted, at + 1, end)


def _sections(pe: Headers, *, code: bool) -> Iterator[tuple[int, int, int]]:
    """Yield (offset, offset of the end, RVA) of the sections of one kind, nothing twice: damaged ones overlap."""
    behind = 0
    for one in sorted(pe.sections, key=lambda section: section.raw):
        start, end = max(one.raw, behind), min(one.raw + one.raw_size, len(pe.data))
        if bool(one.flags & _CODE) is code and start < end:
            yield start, end, one.rva + start - one.raw
        behind = max(behind, end)


def _rva(pe: Headers, at: int) -> int:
    for one in pe.sections:
        if one.raw <= at < one.raw + one.raw_size:
            return one.rva + at - one.raw
    raise ValueError(phrase("an offset outside all sections"))
