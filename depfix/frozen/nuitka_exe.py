"""The loader table of a Nuitka program: every module it answers for, found in the exe by its shape alone.

Up to Nuitka 4.2 the table is an array of structs {name, function, index, size, flags}; since 4.3 it is an array of
pointers to structs that begin with eleven pointers, the name first, and end with index, size and flags. Source: `struct
Nuitka_MetaPathBasedLoaderEntry`, read in 1.9.7 to 4.3.3,
https://github.com/Nuitka/Nuitka/blob/main/nuitka/build/include/nuitka/unfreezing.h
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from depfix.frozen.contents import FrozenModule, Storage
from depfix.frozen.nuitka_constants import Constants, find_constants
from depfix.pe.headers import RESOURCES, Headers, open_headers

_EXTENSION, _PACKAGE, _BYTECODE, _EXCLUDED, _MAIN = 1, 2, 4, 64, 128
_MAIN_NAME = "__main__"
_NAME = re.compile(rb"[A-Za-z0-9_.\-\x80-\xff]+")
_LONGEST_NAME = 512
_LONGEST_REASON = 4096
_LEAST_ENTRIES = 3
_MOST_ENTRIES = 200_000
_MOST_ANCHORS = 200
_EXECUTABLE = 0x20000000


@dataclass(frozen=True, slots=True)
class Layout:
    """How one entry is laid out, in bytes: how long it is, where its function, index, size and flags are.

    `by_pointer`: the table holds pointers to entries, else the entries themselves.
    """

    words: str
    pointer: int
    length: int
    function: int
    index: int
    flags: int
    by_pointer: bool


def _layouts(wide: bool) -> tuple[Layout, Layout]:
    pointer, inline = (8, 32) if wide else (4, 20)
    many, few = 11 * pointer, 2 * pointer
    return (
        Layout("an array of pointers, as since Nuitka 4.3", pointer, many + 12, 7 * pointer, many, many + 8, True),
        Layout("an array of structs, as up to Nuitka 4.2", pointer, inline, pointer, few, few + 8, False),
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the loader table; `place` is its offset in the file.

    One that was lifted, so that no module is refused by it any more, has no name.
    """

    name: str
    flags: int
    index: int
    size: int
    reason: str
    place: int
    name_address: int
    function: int

    @property
    def storage(self) -> Storage:
        if self.flags & _EXCLUDED:
            return Storage.EXCLUDED
        if self.flags & _EXTENSION:
            return Storage.EXTENSION
        return Storage.BYTECODE if self.flags & _BYTECODE else Storage.COMPILED

    def module(self) -> FrozenModule:
        """Return what this entry says of a module."""
        name = _MAIN_NAME if self.flags & _MAIN else self.name
        return FrozenModule(name, self.storage, bool(self.flags & _PACKAGE), self.reason)


@dataclass(frozen=True, slots=True)
class LoaderTable:
    """The table of one program, its entries in their order. A name may stand twice: the first entry counts."""

    layout: Layout
    entries: tuple[Entry, ...] = field(repr=False)
    by_name: Mapping[str, Entry] = field(repr=False)

    def modules(self) -> dict[str, FrozenModule]:
        """Return the modules by name."""
        return {name: entry.module() for name, entry in self.by_name.items()}


def _table(layout: Layout, entries: tuple[Entry, ...]) -> LoaderTable:
    by_name: dict[str, Entry] = {}
    for entry in entries:
        if entry.name:
            by_name.setdefault(entry.module().name, entry)
    return LoaderTable(layout, entries, by_name)


@dataclass(frozen=True, slots=True)
class Exe:
    """What the exe itself holds: its loader table and its constants, each None if not found."""

    table: LoaderTable | None
    constants: Constants | None

    def entry(self, name: str) -> Entry | None:
        """Return the entry that answers for a module, None if there is none."""
        return self.table.by_name.get(name) if self.table is not None else None

    def code(self, name: str) -> bytes | None:
        """Return the marshalled code object of a bytecode module."""
        entry = self.entry(name)
        if entry is None or self.constants is None or not entry.flags & _BYTECODE:
            return None
        return self.constants.code(entry.index, entry.size)

    def strings(self, name: str) -> frozenset[str]:
        """Return the strings among the constants of a compiled module."""
        if self.constants is None:
            return frozenset()
        entry = self.entry(name)
        return self.constants.strings(entry.name if entry is not None else name)


def read_exe(path: str) -> Exe | None:
    """Return what the exe at `path` holds, None if it is no readable image. Never raises."""
    pe = open_headers(path)
    if pe is None:
        return None
    constants = find_constants(pe)
    return Exe(_Search(pe, constants).table(), constants)


class _Search:
    """Looks for the loader table in one image. `budget` bounds the entries looked at, whatever the file holds."""

    def __init__(self, pe: Headers, constants: Constants | None) -> None:
        self.pe = pe
        self.ranges = tuple(_data_ranges(pe, constants))
        self.budget = _MOST_ENTRIES
        self._names: dict[int, str] = {}

    def table(self) -> LoaderTable | None:
        """Return the longest table found, None if there is none."""
        best: LoaderTable | None = None
        mains = [found for target in self._main_names() for found in self._cells_with(target, self.pe.wide)]
        for layout in _layouts(self.pe.wide):
            covered: set[int] = set()
            for cell in mains:
                anchors = self._cells_with(self._address(cell), self.pe.wide) if layout.by_pointer else [cell]
                for anchor in anchors:
                    if anchor in covered:
                        continue
                    entries = self._around(anchor, layout, covered)
                    if len(entries) >= _LEAST_ENTRIES and (best is None or len(entries) > len(best.entries)):
                        best = _table(layout, entries)
        return best

    def _main_names(self) -> list[int]:
        """Return the addresses of strings that are or end with `__main__`, which names the program's own script."""
        found: list[int] = []
        needle = _MAIN_NAME.encode() + b"\0"
        for start, end in self.ranges:
            at = self.pe.data.find(needle, start, end)
            while at >= 0 and len(found) < _MOST_ANCHORS:
                head = self.pe.data.rfind(b"\0", max(start, at - _LONGEST_NAME), at) + 1
                found += [self._address(place) for place in dict.fromkeys((at, head)) if place]
                at = self.pe.data.find(needle, at + 1, end)
        return found

    def _cells_with(self, address: int, wide: bool) -> list[int]:
        """Return the offsets of the aligned pointers that hold an address."""
        size = 8 if wide else 4
        found: list[int] = []
        needle = address.to_bytes(size, "little")
        for start, end in self.ranges:
            at = self.pe.data.find(needle, start, end)
            while at >= 0 and len(found) < _MOST_ANCHORS:
                if at % size == 0:
                    found.append(at)
                at = self.pe.data.find(needle, at + 1, end)
        return found

    def _around(self, anchor: int, layout: Layout, covered: set[int]) -> tuple[Entry, ...]:
        stride = layout.pointer if layout.by_pointer else layout.length
        before: list[Entry] = []
        after: list[Entry] = []
        for entries, step, cell in ((before, -stride, anchor - stride), (after, stride, anchor)):
            entry = self._at(cell, layout)
            while entry is not None:
                covered.add(cell)
                entries.append(entry)
                cell += step
                entry = self._at(cell, layout)
        return (*reversed(before), *after)

    def _at(self, cell: int, layout: Layout) -> Entry | None:
        """Return the entry that a cell of the table is or points to, None if it is none."""
        self.budget -= 1
        place = self._pointed(cell, layout.pointer) if layout.by_pointer else cell
        if self.budget < 0 or place is None or not 0 <= place <= len(self.pe.data) - layout.length:
            return None
        raw = self.pe.data[place : place + layout.length]
        index, size, flags = struct.unpack_from("<iiI", raw, layout.index)
        if flags > 0xFF:
            return None
        address = int.from_bytes(raw[: layout.pointer], "little")
        function = int.from_bytes(raw[layout.function : layout.function + layout.pointer], "little")
        lifted = flags == _EXCLUDED and address == function
        name = "" if lifted else self._name(address)
        if not (name or lifted) or not self._plausible(flags, function, index, size):
            return None
        reason = self._string(function, _LONGEST_REASON).decode("utf-8", "replace") if flags & _EXCLUDED else ""
        return Entry(name, flags, index, size, reason, place, address, function)

    def _plausible(self, flags: int, function: int, index: int, size: int) -> bool:
        if flags & _BYTECODE:
            return not flags & (_EXTENSION | _EXCLUDED) and function == 0 and index >= 0 and size > 0
        if index or size:
            return False
        if flags & _EXTENSION:
            return function == 0 and not flags & _EXCLUDED
        if flags & _EXCLUDED:
            return flags == _EXCLUDED and bool(self._string(function, _LONGEST_REASON))
        return self._is_code(function)

    def _name(self, address: int) -> str:
        found = self._names.get(address)
        if found is None:
            raw = self._string(address, _LONGEST_NAME)
            found = raw.decode("utf-8", "replace") if _NAME.fullmatch(raw) else ""
            self._names[address] = found
        return found

    def _string(self, address: int, longest: int) -> bytes:
        """Return the string at an address without its NUL, nothing if there is none of at most this length."""
        try:
            raw, end, _ = self.pe.read(address - self.pe.base, longest).partition(b"\0")
        except ValueError:
            return b""
        return raw if end else b""

    def _is_code(self, address: int) -> bool:
        rva = address - self.pe.base
        return any(one.rva <= rva < one.rva + one.size and one.flags & _EXECUTABLE for one in self.pe.sections)

    def _pointed(self, cell: int, size: int) -> int | None:
        if not 0 <= cell <= len(self.pe.data) - size:
            return None
        try:
            return self.pe.place(int.from_bytes(self.pe.data[cell : cell + size], "little") - self.pe.base)[0]
        except ValueError:
            return None

    def _address(self, place: int) -> int:
        for section in self.pe.sections:
            if section.raw <= place < section.raw + section.raw_size:
                return self.pe.base + section.rva + place - section.raw
        return 0


def _data_ranges(pe: Headers, constants: Constants | None) -> Iterator[tuple[int, int]]:
    """Yield where in the file data is that the program's code knows by address: no code, no resources, no constants."""
    resources = pe.directories[RESOURCES][0]
    for section in pe.sections:
        if section.flags & _EXECUTABLE or section.rva <= resources < section.rva + section.size:
            continue
        start, end = section.raw, min(section.raw + section.raw_size, len(pe.data))
        if constants is not None and start <= constants.start < end:
            yield start, constants.start
            start = constants.end
        if start < end:
            yield start, end
