"""Tables of numbers that compiled code for amd64 puts on the stack, one `mov` after the other, instead of keeping them.

So does Microsoft's compiler with a constant array that is local to a function. A number that occurs often stands in a
register, and four at a time may come from the data. This is no disassembler: instructions are recognised by their bytes
wherever they stand, and who uses a table must tell by its content whether it is one. Source: Intel 64 and IA-32
Architectures Software Developer's Manual, volume 2, MOV, LEA, XOR and MOVAPS
https://www.intel.com/content/www/us/en/developer/articles/technical/intel-sdm.html
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Iterator

from depfix.pe.headers import Headers

_CODE = 0x20
_EIGHT = range(8)


def _one_of(values: list[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes((value,))) for value in values) + b"]"


def _to_stack(name: str) -> bytes:
    """Return a pattern for a register and a place [rbp+x] or [rsp+x], as the byte ModRM and what follows it."""
    forms = (
        (0x85, b"", b"(?P<%s_frame4>.{4})"),
        (0x45, b"", b"(?P<%s_frame1>.)"),
        (0x84, b"\x24", b"(?P<%s_stack4>.{4})"),
        (0x44, b"\x24", b"(?P<%s_stack1>.)"),
    )
    rows = []
    for number, (modrm, sib, place) in enumerate(forms):
        register = _one_of([modrm | register << 3 for register in _EIGHT])
        rows.append(b"(?P<%s_r%d>%s)" % (name.encode(), number, register) + re.escape(sib) + place % name.encode())
    return b"(?:" + b"|".join(rows) + b")"


_LOADS = _one_of([0x05 | register << 3 for register in _EIGHT])  # [rip+x]
_INSTRUCTION = re.compile(
    b"|".join(
        (
            rb"\xc7(?=[\x85\x45\x84\x44])" + _to_stack("number") + rb"(?P<number>.{4})",
            rb"(?P<store_rex>\x44)?\x89" + _to_stack("store"),
            rb"\x0f[\x11\x29\x7f]" + _to_stack("four"),
            rb"\x0f[\x10\x28\x6f](?P<load>" + _LOADS + rb")(?P<rip>.{4})",
            rb"(?P<set_rex>\x41)?(?P<set>[\xb8-\xbf])(?P<value>[^\0]\0\0\0|[^\0][^\0]\0\0)",
            rb"(?P<zero_rex>\x45)?[\x31\x33](?P<zero>" + _one_of([0xC0 | register * 9 for register in _EIGHT]) + rb")",
            rb"(?P<lea_rex>[\x41\x44\x45])?\x8d(?P<lea>[\x40-\x43\x45-\x4b\x4d-\x53\x55-\x5b\x5d-\x63\x65-\x6b\x6d-\x73\x75-"
            rb"\x7b\x7d-\x7f])(?P<more>.)",
        )
    ),
    re.DOTALL,
)
_FARTHEST = 256  # bytes of other instructions between two that fill one table
_SHORTEST = 8  # numbers
_DENSE = re.compile(rb"(?:\xc7[\x85\x45\x84\x44].{5,40}?){4}", re.DOTALL)
_AROUND = 2048  # bytes before and behind what is dense
_LITTLE = 1 << 16  # bytes of code that are read whole
_MOST_INSTRUCTIONS = 150_000  # of an image; the largest real one has 40,000

_Place = tuple[bool, int]  # relative to the frame or to the stack pointer, displacement


def stack_tables(pe: Headers) -> Iterator[array[int]]:
    """Yield each row of numbers that code of an image puts on the stack side by side. Never raises."""
    budget = iter(range(_MOST_INSTRUCTIONS))
    read = 0
    for section in pe.sections:
        start, end = section.raw, min(len(pe.data), section.raw + section.raw_size)
        read += max(0, end - start)
        if section.flags & _CODE and read <= len(pe.data):  # in damaged headers sections lie over each other
            yield from _of_code(pe, bytes(pe.data[start:end]), section.rva, budget)


class _Machine:
    """What is known of the stack and the registers."""

    def __init__(self) -> None:
        self.memory: dict[_Place, int] = {}
        self._registers: dict[int, int] = {}
        self._vectors: dict[int, tuple[int, ...]] = {}

    def follow(self, pe: Headers, match: re.Match[bytes], rva: int) -> list[tuple[_Place, int]]:
        """Take note of what an instruction does to the registers; return the numbers that it stores, and where."""
        kind = match.lastgroup or ""
        if kind == "number":
            return _stored(match, "number", (int.from_bytes(match["number"], "little"),))
        if kind.startswith("store"):
            known = self._registers.get(_register(match, "store") + 8 * bool(match["store_rex"]))
            return _stored(match, "store", () if known is None else (known,))
        if kind.startswith("four"):
            return _stored(match, "four", self._vectors.get(_register(match, "four"), ()))
        if kind == "rip":
            source = rva + match.end() + int.from_bytes(match["rip"], "little", signed=True)
            self._vectors[match["load"][0] >> 3 & 7] = _four(pe, source)
        else:
            self._set(match)
        return []

    def _set(self, match: re.Match[bytes]) -> None:
        if match["set"] is not None:
            register = (match["set"][0] & 7) + 8 * bool(match["set_rex"])
            self._registers[register] = int.from_bytes(match["value"], "little")
        elif match["zero"] is not None:
            self._registers[(match["zero"][0] & 7) + 8 * bool(match["zero_rex"])] = 0
        else:
            rex = match["lea_rex"][0] if match["lea_rex"] is not None else 0
            source = self._registers.get((match["lea"][0] & 7) + 8 * (rex & 1))
            target = (match["lea"][0] >> 3 & 7) + 8 * (rex >> 2 & 1)
            if source is None:
                self._registers.pop(target, None)
            else:
                self._registers[target] = source + int.from_bytes(match["more"], "little", signed=True) & 0xFFFFFFFF


def _stored(match: re.Match[bytes], name: str, numbers: tuple[int, ...]) -> list[tuple[_Place, int]]:
    frame = match[f"{name}_frame4"] or match[f"{name}_frame1"]
    shown = frame or match[f"{name}_stack4"] or match[f"{name}_stack1"]
    at = int.from_bytes(shown, "little", signed=True)
    return [((frame is not None, at + 4 * offset), number) for offset, number in enumerate(numbers)]


def _register(match: re.Match[bytes], name: str) -> int:
    return next(match[f"{name}_r{form}"] for form in range(4) if match[f"{name}_r{form}"] is not None)[0] >> 3 & 7


def _of_code(pe: Headers, code: bytes, rva: int, budget: Iterator[int]) -> Iterator[array[int]]:
    for start, end in _windows(code):
        machine = _Machine()
        behind, told = start, 0
        for match, _ in zip(_INSTRUCTION.finditer(code, start, end), budget, strict=False):
            stored = machine.follow(pe, match, rva)
            if not stored:
                continue
            if match.start() - behind > _FARTHEST:
                yield from _rows(machine.memory)  # what follows is another function's
                machine.memory, told = {}, 0
            elif any(machine.memory.get(at, number) != number for at, number in stored):
                if len(machine.memory) >= told + max(_SHORTEST, told // 8):
                    yield from _rows(machine.memory)  # before a place gets another use
                    told = len(machine.memory)
            behind = match.end()
            machine.memory.update(stored)
        yield from _rows(machine.memory)


def _windows(code: bytes) -> Iterator[tuple[int, int]]:
    """Yield the parts of code in which many numbers are put on the stack, with what stands around them."""
    if len(code) <= _LITTLE:
        yield 0, len(code)
        return
    begun, ended = 0, -1
    for match in _DENSE.finditer(code):
        start, end = max(0, match.start() - _AROUND), min(len(code), match.end() + _AROUND)
        if ended < 0:
            begun = start
        elif start > ended:
            yield begun, ended
            begun = start
        ended = end
    if ended >= 0:
        yield begun, ended


def _four(pe: Headers, rva: int) -> tuple[int, ...]:
    try:
        start, _ = pe.place(rva)
        return struct.unpack("<4I", pe.data[start : start + 16])
    except (ValueError, struct.error):
        return ()


def _rows(memory: dict[_Place, int]) -> Iterator[array[int]]:
    row = array("I")
    before: _Place | None = None
    for place in sorted(memory):
        if before is None or place != (before[0], before[1] + 4):
            if len(row) >= _SHORTEST:
                yield row
            row = array("I")
        row.append(memory[place])
        before = place
    if len(row) >= _SHORTEST:
        yield row
