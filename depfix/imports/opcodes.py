"""The instructions of code objects of any CPython from 3.8 to 3.14, with their lines and exception handlers.

Sources: "dis" https://docs.python.org/3/library/dis.html ; PEP 626 https://peps.python.org/pep-0626/ ; CPython's notes
on "The location table" and "Exception handling", https://github.com/python/cpython/tree/main/InternalDocs .
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from depfix.errors import DataFileError
from depfix.imports.marshal import CodeValue
from depfix.knowledge.tables import read_rows

_TABLE = "opcodes.tsv"
_FORWARD, _BACKWARD, _ABSOLUTE = "+", "-", "="
_MOST_BITS = 1 << 32
NO_TARGET = -1


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """The instructions of one version: names by number, where the arguments of jumps lead, numbers by name."""

    version: tuple[int, int]
    magic: int
    names: tuple[str, ...]
    leads: tuple[str, ...]
    numbers: dict[str, int]


@lru_cache(maxsize=1)
def instruction_sets() -> dict[tuple[int, int], InstructionSet]:
    """Return the instructions of each version. Raises DataFileError if the table is damaged."""
    rows = {row[0]: row[1:] for row in read_rows(_TABLE)}
    versions, magics = rows.pop("VERSION", []), rows.pop("MAGIC", [])
    if len(rows) < 100 or not versions or {len(row) for row in (magics, *rows.values())} != {len(versions)}:
        raise DataFileError(_TABLE, "it lacks its versions, or a row is not whole")
    found = {}
    for column, (title, magic) in enumerate(zip(versions, magics, strict=True)):
        major, _, minor = title.partition(".")
        version = (int(major), int(minor))
        cells = [(key, row[column]) for key, row in rows.items() if row[column] != "-"]
        numbers = {name: int(cell.rstrip("+-=")) for name, cell in cells}
        names, leads = [""] * 256, [""] * 256
        for name, cell in cells:
            names[numbers[name]] = name
            leads[numbers[name]] = cell[-1] if cell[-1] in "+-=" else ""
        if not {"IMPORT_NAME", "LOAD_CONST", "EXTENDED_ARG"} <= numbers.keys():
            raise DataFileError(_TABLE, f"IMPORT_NAME or another is absent for {versions[column]}")
        found[version] = InstructionSet(version, int(magic), tuple(names), tuple(leads), numbers)
    return found


def version_of_magic(magic: int) -> tuple[int, int] | None:
    """Return the Python whose released .pyc files have this magic number, None if it is not known."""
    return next((one.version for one in instruction_sets().values() if one.magic == magic), None)


class Instructions:
    """The instructions of one code object, by index: names, arguments, and indexes of jump targets.

    `starts` and `ends` are offsets in bytes; the first one is that of the EXTENDED_ARG before an instruction.
    """

    __slots__ = ("_line_numbers", "_line_offsets", "_lines", "arguments", "code", "ends", "names", "starts", "targets")

    def __init__(self, code: CodeValue, known: InstructionSet) -> None:
        self.code = code
        self.names: list[str] = []
        self.arguments: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self._lines = line_starts(code)
        self._line_offsets: list[int] = []
        self._line_numbers: list[int] = []
        jumps = self._decode(known)
        unit = 2 if known.version >= (3, 10) else 1
        self.targets = [NO_TARGET] * len(self.names)
        for index, lead in jumps:
            reach = self.arguments[index] * unit
            place = reach if lead == _ABSOLUTE else self.ends[index] + (reach if lead == _FORWARD else -reach)
            self.targets[index] = self.at(place)

    def _decode(self, known: InstructionSet) -> list[tuple[int, str]]:
        """Decode the bytes; return the jumps: index, and where the argument leads."""
        data, leads, extended = self.code.code, known.leads, known.numbers["EXTENDED_ARG"]
        cache = known.numbers.get("CACHE", NO_TARGET)
        jumps: list[tuple[int, str]] = []
        more, start = 0, NO_TARGET
        for place in range(0, len(data) - 1, 2):
            operation = data[place]
            if operation == cache:
                if self.ends:
                    self.ends[-1] = place + 2
                continue
            if start < 0:
                start = place
            if operation == extended:
                more = (more | data[place + 1]) << 8 & (_MOST_BITS - 1)
                continue
            if leads[operation]:
                jumps.append((len(self.names), leads[operation]))
            self.names.append(known.names[operation])
            self.arguments.append(more | data[place + 1])
            self.starts.append(start)
            self.ends.append(place + 2)
            more, start = 0, NO_TARGET
        return jumps

    def at(self, offset: int) -> int:
        """Return the index of the instruction at an offset, NO_TARGET if there is none."""
        index = bisect_right(self.starts, offset) - 1
        return index if index >= 0 and offset < self.ends[index] else NO_TARGET

    def line(self, index: int) -> int:
        """Return the line of an instruction, 0 if it has none."""
        place = self.ends[index] - 2
        while not self._line_offsets or self._line_offsets[-1] <= place:  # most are asked for near the start
            row = next(self._lines, None)
            if row is None:
                break
            self._line_offsets.append(row[0])
            self._line_numbers.append(row[1])
        found = bisect_right(self._line_offsets, place) - 1
        return self._line_numbers[found] if found >= 0 else 0


def line_starts(code: CodeValue) -> Iterator[tuple[int, int]]:
    """Yield where the lines of a code object begin: offsets in rising order, and the line from each on, 0 for none."""
    if code.version < (3, 10):
        return _lines_38(code)
    return _lines_310(code) if code.version == (3, 10) else _lines_311(code)


def _lines_38(code: CodeValue) -> Iterator[tuple[int, int]]:
    """co_lnotab: pairs of (bytes, lines) to go on by; lines may be negative."""
    offset, line = 0, code.first_line
    yield offset, line
    for forward, step in zip(code.lines[::2], code.lines[1::2], strict=False):
        offset += forward
        line += step - 256 if step >= 128 else step
        yield offset, line


def _lines_310(code: CodeValue) -> Iterator[tuple[int, int]]:
    """PEP 626: pairs of (bytes, lines); the lines stand before the bytes that they are for, -128 is none."""
    offset, line = 0, code.first_line
    for length, step in zip(code.lines[::2], code.lines[1::2], strict=False):
        if step != 128:
            line += step - 256 if step >= 128 else step
        yield offset, 0 if step == 128 else line
        offset += length


_NO_LINE, _LONG, _NO_COLUMNS, _ONE_LINE = 15, 14, 13, 10


def _lines_311(code: CodeValue) -> Iterator[tuple[int, int]]:
    """The location table: a byte with kind and length, then what the kind has."""
    offset, line, place, table = 0, code.first_line, 0, code.lines
    while place < len(table):
        kind, units = table[place] >> 3 & 15, (table[place] & 7) + 1
        place += 1
        if kind < _ONE_LINE:
            place += 1
        elif kind < _NO_COLUMNS:
            line += kind - _ONE_LINE
            place += 2
        elif kind < _NO_LINE:
            step, place = _varint(table, place)
            line += -(step >> 1) if step & 1 else step >> 1
            for _ in range(3 if kind == _LONG else 0):
                _, place = _varint(table, place)
        yield offset, 0 if kind == _NO_LINE else line
        offset += 2 * units


def _varint(table: bytes, place: int) -> tuple[int, int]:
    """Return a number in pieces of six bits, the lowest first, and where it ends."""
    value = shift = 0
    while place < len(table) and shift < 32:
        value |= (table[place] & 63) << shift
        shift += 6
        place += 1
        if not table[place - 1] & 64:
            break
    return value, place


@dataclass(frozen=True, slots=True)
class Protected:
    """Instructions from `start` to before `end`, whose exceptions are handled at `target`, as indexes."""

    start: int
    end: int
    target: int


class ExceptionTable:
    """The exception table of Python 3.11 and newer."""

    def __init__(self, instructions: Instructions) -> None:
        self._rows = sorted(_protected(instructions), key=lambda row: row.start)
        self._starts = [row.start for row in self._rows]
        self.first: dict[int, int] = {}  # by target: the first instruction that it protects
        for row in reversed(self._rows):
            self.first[row.target] = row.start

    def handler(self, index: int) -> int:
        """Return where the exceptions of an instruction are handled, NO_TARGET if nowhere."""
        place = bisect_right(self._starts, index) - 1
        return self._rows[place].target if place >= 0 and index < self._rows[place].end else NO_TARGET

    def targets(self, start: int, end: int) -> list[int]:
        """Return where exceptions of a row of instructions are handled."""
        place = max(0, bisect_right(self._starts, start) - 1)
        found = []
        while place < len(self._rows) and self._rows[place].start < end:
            if self._rows[place].end > start:
                found.append(self._rows[place].target)
            place += 1
        return found


def _protected(instructions: Instructions) -> list[Protected]:
    numbers: list[int] = []
    value = 0
    for byte in instructions.code.exceptions:  # pieces of six bits, the highest first; the top bit begins an entry
        value = ((0 if byte & 128 else value) << 6 | byte & 63) & (_MOST_BITS - 1)
        if not byte & 64:
            numbers.append(value)
            value = 0
    rows = zip(numbers[::4], numbers[1::4], numbers[2::4], strict=False)
    last = len(instructions.names)
    found = []
    for start, length, target in rows:
        first, handler = instructions.at(2 * start), instructions.at(2 * target)
        end = instructions.at(2 * (start + length))
        if first >= 0 and handler >= 0:
            found.append(Protected(first, end if end >= 0 else last, handler))
    return _apart(found)


def _apart(rows: list[Protected]) -> list[Protected]:
    """Return the rows without those that a compiler cannot have written: rows do not overlap."""
    rows.sort(key=lambda row: (row.start, row.end))
    keep = rows[:1]
    keep += [row for before, row in pairwise(rows) if row.start >= before.end]
    return [row for row in keep if row.start < row.end]
