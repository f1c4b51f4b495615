"""The constants blob of a Nuitka program: the strings of each compiled module, the code of the bytecode modules.

The blob is a row of sections `name\\0`, size (32 bits), data. The first is called `.bytecode`, the second has no name
(what all modules share), then come the compiled modules. The data are a count (16 bits) and that many values, each a
letter and what belongs to it. Up to Nuitka 4.0 a checksum and the size of the whole stand before it. It lies in a
section for data or, as a resource, in .rsrc; both are found by the first name. Source of what the letters mean:
https://github.com/Nuitka/Nuitka/blob/main/nuitka/build/static_src/HelpersConstantsBlob.c
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from depfix.pe.headers import Data, Headers
from depfix.wording.message import phrase

_FIRST = b".bytecode"
# Among what all modules share since 2.6, when the path hook began to compare folders and to stand before Python's own.
_OF_PATH_HOOK = "lstat"
_MODULE = re.compile(rb"[A-Za-z0-9_.\-$\x80-\xff]+")
_LONGEST_NAME = 512
_LEAST_SECTION = 2
_MOST_SECTIONS = 100_000
_MOST_CANDIDATES = 64
_SAMPLES = 12
_LARGEST_SAMPLE = 8192
_LOOSE_STRING = re.compile(rb"[au]([^\0-\x1f]{1,512})\0")


class Dialect(Enum):
    """How values are written."""

    FIXED = "up to 2.3"  # numbers and some sizes of fixed width
    FLAGS_NO_QUALNAME = "2.6 to 4.0 for Python before 3.11"  # as below, but one flag of code objects less
    FLAGS = "since 2.4"


@dataclass(frozen=True, slots=True)
class Constants:
    """The blob of one program: where in the file it begins and ends, (start, end) of its sections by their names."""

    data: Data = field(repr=False)
    start: int
    end: int
    sections: Mapping[str, tuple[int, int]] = field(repr=False)
    dialect: Dialect
    _codes: tuple[tuple[int, int], ...] = field(repr=False)

    def strings(self, name: str) -> frozenset[str]:
        """Return the strings among the constants of a module, those inside other values too; none if it has none.

        Names of functions and parameters are not constants and left out. If the data cannot be followed to their end,
        everything that looks like a string is returned.
        """
        place = self.sections.get(name)
        if place is None:
            return frozenset()
        raw = self.data[place[0] : place[1]]
        for dialect in (self.dialect, *Dialect):
            found = _decode(raw, dialect)
            if found is not None:
                return found
        return frozenset(match[1].decode("utf-8", "replace") for match in _LOOSE_STRING.finditer(raw))

    @property
    def hides_folders(self) -> bool:
        """True if submodules of a package that is inside are not looked up in its folder: Nuitka 2.6 and newer."""
        return _OF_PATH_HOOK in self.strings("")

    def code(self, index: int, size: int) -> bytes | None:
        """Return the marshalled code object of an entry of the loader table, None if there is none of this size."""
        if not 0 <= index < len(self._codes):
            return None
        start, length = self._codes[index]
        return self.data[start : start + size] if 0 < size <= length else None

    def code_size(self, index: int) -> int:
        """Return the size of a code object, 0 if there is none."""
        return self._codes[index][1] if 0 <= index < len(self._codes) else 0


def find_constants(pe: Headers) -> Constants | None:
    """Return the constants blob of a program, None if it has none or not in the clear."""
    data, at = pe.data, -1
    for _ in range(_MOST_CANDIDATES):
        at = data.find(_FIRST + b"\0", at + 1)
        if at < 0:
            return None
        sections, end = _sections(data, at, _section_end(pe, at))
        if _FIRST.decode() in sections and "" in sections:
            codes = _codes(data, *sections[_FIRST.decode()])
            return Constants(data, at, end, sections, _dialect(data, sections), codes)
    return None


def _section_end(pe: Headers, place: int) -> int:
    for section in pe.sections:
        if section.raw <= place < section.raw + section.raw_size:
            return min(section.raw + section.raw_size, len(pe.data))
    return 0


def _sections(data: Data, start: int, limit: int) -> tuple[dict[str, tuple[int, int]], int]:
    found: dict[str, tuple[int, int]] = {}
    at = start
    while len(found) < _MOST_SECTIONS:
        stop = data.find(b"\0", at, min(at + _LONGEST_NAME, limit))
        if stop < 0 or stop + 5 > limit:
            break
        raw = data[at:stop]
        name = raw.decode("utf-8", "replace")
        size = int.from_bytes(data[stop + 1 : stop + 5], "little")
        if name in found or not (_MODULE.fullmatch(raw) or not raw) or not _LEAST_SECTION <= size <= limit - stop - 5:
            break
        at = stop + 5 + size
        found[name] = (stop + 5, at)
    return found, at


def _dialect(data: Data, sections: Mapping[str, tuple[int, int]]) -> Dialect:
    """Return the newest way of reading in which the most modules end where they should.

    The smallest modules do not tell, for without functions they read alike in several; big ones take long.
    """
    modules = sorted((end - start, start, end) for name, (start, end) in sections.items() if name[:1] not in ("", "."))
    fitting = [row for row in modules if row[0] <= _LARGEST_SAMPLE] or modules[:1]
    samples = [data[start:end] for _, start, end in fitting[-_SAMPLES:]]
    best, most = Dialect.FLAGS, -1
    for dialect in reversed(Dialect):
        count = sum(_decode(raw, dialect) is not None for raw in samples)
        if count > most:
            best, most = dialect, count
        if count == len(samples):
            break
    return best


def _codes(data: Data, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Return (start, size) of the values of the section `.bytecode`: each the letter X, a size and the bytes."""
    count = int.from_bytes(data[start : start + 2], "little")
    for wide in (False, True):
        found: list[tuple[int, int]] = []
        at = start + 2
        while at < end and len(found) < count and data[at : at + 1] == b"X":
            stream = _Stream(data[at + 1 : at + 11], Dialect.FLAGS)
            try:
                size = stream.word() if wide else stream.number()
            except ValueError:
                break
            at += 1 + stream.at
            if size > end - at:
                break
            found.append((at, size))
            at += size
        if len(found) == count:
            return tuple(found)
    return ()


def _decode(raw: bytes, dialect: Dialect) -> frozenset[str] | None:
    """Return the strings among the values of a section, None if it does not read so to its very end."""
    stream = _Stream(raw, dialect)
    try:
        stream.read()
    except ValueError:
        return None
    return frozenset(stream.strings) if raw[stream.at :] in (b"", b".") else None


class _Stream:
    """The values of one section, read one after the other; what containers hold goes on an agenda, no recursion."""

    def __init__(self, raw: bytes, dialect: Dialect) -> None:
        self.at = 0
        self.strings: set[str] = set()
        self._raw = raw
        self._dialect = dialect
        self._actions = _OLD_ACTIONS if dialect is Dialect.FIXED else _ACTIONS
        self._agenda: list[tuple[int, Callable[[], object]]] = []
        self._code_at = -1  # length of the agenda when the code object began that is being read

    def read(self) -> None:
        """Read the whole section. Raises ValueError if it does not end after the last value."""
        self._later(int.from_bytes(self._take(2), "little"), self._value)
        while self._agenda:
            count, action = self._agenda.pop()
            if len(self._agenda) <= self._code_at:
                self._code_at = -1
            if count > 1:
                self._agenda.append((count - 1, action))
            action()

    def number(self) -> int:
        """Read a number, seven bits a byte, lowest first."""
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found
            if shift > 63:
                raise ValueError(phrase("a number of more than 64 bits"))

    def word(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _value(self) -> None:
        letter = self._byte()
        action = self._actions.get(letter)
        if action is None:
            raise ValueError(phrase("unknown letter {letter}", letter=f"{letter:#x}"))
        action(self)

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        found = self._raw[self.at : self.at + size]
        if len(found) < size:
            raise ValueError(phrase("it ends too early"))
        self.at += size
        return found

    def _terminated(self) -> bytes:
        start = self.at
        self.at = self._raw.index(b"\0", start) + 1
        return self._raw[start : self.at - 1]

    def _later(self, count: int, action: Callable[[], object]) -> None:
        if count > 0:
            self._agenda.append((count, action))

    def _values(self, count: int) -> None:
        self._later(count, self._value)

    def _string(self, raw: bytes) -> None:
        if self._code_at < 0:
            self.strings.add(raw.decode("utf-8", "replace"))

    def _old_big_number(self) -> None:
        self._take(1)
        self._later(self.word(), lambda: self._take(8))

    def _code(self, name: bool = True, line: bool = True, arguments: bool = True) -> None:
        """Read a code object: flags, name, line, names of variables, number of arguments, then what the flags tell."""
        flags = self.number()
        if self._dialect is Dialect.FLAGS_NO_QUALNAME:
            flags <<= 1
        self._parts(
            [
                (name, self._value),
                (line, self.number),
                (line, self._value),
                (arguments, self.number),
                (flags & 1, self._value),  # its qualified name
                (flags >> 1 & 1, self._value),  # its free variables
                ((flags >> 2 & 1) + (flags >> 3 & 1), self.number),  # keyword-only and positional-only arguments
            ]
        )

    def _parts(self, parts: list[tuple[int, Callable[[], object]]]) -> None:
        if self._code_at < 0:
            self._code_at = len(self._agenda)
        for count, action in reversed(parts):
            self._later(count, action)


_ACTIONS: Mapping[int, Callable[[_Stream], object]] = {
    **dict.fromkeys(b"pntF", lambda stream: None),
    **dict.fromkeys(b"ZdMQ", lambda stream: stream._take(1)),
    **dict.fromkeys(b"f", lambda stream: stream._take(8)),
    **dict.fromkeys(b"j", lambda stream: stream._take(16)),
    **dict.fromkeys(b"lqiI", lambda stream: stream.number()),
    **dict.fromkeys(b"gG", lambda stream: stream._later(stream.number(), stream.number)),
    **dict.fromkeys(b"TLSP", lambda stream: stream._values(stream.number())),
    **dict.fromkeys(b"De", lambda stream: stream._values(2 * stream.number())),
    **dict.fromkeys(b":;", lambda stream: stream._values(3)),
    **dict.fromkeys(b"JA", lambda stream: stream._values(2)),
    **dict.fromkeys(b"H", lambda stream: stream._values(1)),
    **dict.fromkeys(b"cOE", lambda stream: stream._terminated()),
    **dict.fromkeys(b"bBX", lambda stream: stream._take(stream.number())),
    **dict.fromkeys(b"au", lambda stream: stream._string(stream._terminated())),
    **dict.fromkeys(b"v", lambda stream: stream._string(stream._take(stream.number()))),
    **dict.fromkeys(b"w", lambda stream: stream._string(stream._take(1))),
    **dict.fromkeys(b"s", lambda stream: stream._string(b"")),
    **dict.fromkeys(b"C", lambda stream: stream._code()),
    **dict.fromkeys(b"W", lambda stream: stream._code(arguments=False)),  # of a class
    **dict.fromkeys(b"Y", lambda stream: stream._code(name=False, arguments=False)),  # of a generator expression
    **dict.fromkeys(b"K", lambda stream: stream._code(name=False, line=False, arguments=False)),  # of a module
}
_OLD_ACTIONS: Mapping[int, Callable[[_Stream], object]] = {
    **_ACTIONS,
    **dict.fromkeys(b"il", lambda stream: stream._take(4)),
    **dict.fromkeys(b"q", lambda stream: stream._take(8)),
    **dict.fromkeys(b"g", lambda stream: stream._old_big_number()),
    **dict.fromkeys(b"G", lambda stream: stream._values(2)),
    **dict.fromkeys(b"X", lambda stream: stream._take(stream.word())),
}
