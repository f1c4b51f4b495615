"""Reads marshalled code objects of any CPython from 3.8 to 3.14, as values.

The host's own `marshal` is never asked: it reads the format of its own version only, and damaged data may crash it.
Sources: "marshal" https://docs.python.org/3/library/marshal.html ; Python/marshal.c of CPython 3.8 to 3.14
https://github.com/python/cpython/blob/main/Python/marshal.c .
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from depfix.wording.message import phrase

OLDEST = (3, 8)
NEWEST = (3, 14)
_FLAG_REF = 0x80
_REF = ord("r")
_SHORT_NAMES = (ord("z") | _FLAG_REF, ord("Z") | _FLAG_REF)
_DEEPEST = 150  # containers in containers; code objects of real programs stay below 40
_LONGEST_INT = 600  # digits of 15 bits
_HEAD_38 = struct.Struct("<6i")
_HEAD_311 = struct.Struct("<5i")
_STRINGS = frozenset((str,))
_INT = struct.Struct("<i")
_UINT = struct.Struct("<I")
_DOUBLE = struct.Struct("<d")
_COMPLEX = struct.Struct("<2d")


class Opaque:
    """A constant whose value nobody asks for: a huge integer, a dict."""


OPAQUE = Opaque()
ConstantValue: TypeAlias = (
    "bool | int | float | complex | str | bytes | slice | tuple[ConstantValue, ...] | CodeValue | Opaque | None"
)


@dataclass(frozen=True, slots=True, eq=False)
class CodeValue:
    """A code object; `version` is that of the Python that made it.

    `qualname` and `exceptions` (the exception table) are empty before 3.11. `lines` is the line table in the version's
    own form. `variables` are the names that LOAD_FAST means, `cells` those that LOAD_DEREF means. `consts` has tuples
    for sets, too. `nested` are the code objects of the functions, classes and comprehensions inside.
    """

    version: tuple[int, int]
    name: str
    qualname: str
    code: bytes
    consts: tuple[ConstantValue, ...]
    names: tuple[str, ...]
    variables: tuple[str, ...]
    cells: tuple[str, ...]
    exceptions: bytes
    lines: bytes
    first_line: int
    flags: int
    filename: str
    nested: tuple[CodeValue, ...]


@dataclass(frozen=True, slots=True)
class MarshalProblem:
    """Why something is no marshalled code object, and where in the data."""

    reason: str
    offset: int = 0

    def __str__(self) -> str:
        return phrase("{reason} (at byte {offset})", reason=self.reason, offset=self.offset)


def read_marshal(data: bytes | memoryview, version: tuple[int, int]) -> CodeValue | MarshalProblem:
    """Return the code object that CPython `version` marshalled, or why there is none. Never raises."""
    if not OLDEST <= version <= NEWEST:
        return MarshalProblem(
            phrase("bytecode of Python {version}.{version2} is not known", version=version[0], version2=version[1])
        )
    reader = _Reader(bytes(data), version)
    try:
        value = reader.read()
    except _DamagedError as error:
        return MarshalProblem(str(error), reader.place)
    except (IndexError, struct.error):
        return MarshalProblem(phrase("it ends too early, or a reference leads nowhere"), min(reader.place, len(data)))
    except (UnicodeDecodeError, ValueError):
        return MarshalProblem(phrase("a constant is damaged"), reader.place)
    except RecursionError:  # the caller left too little of the stack
        return MarshalProblem(phrase("it is nested too deeply"), reader.place)
    if not isinstance(value, CodeValue):
        return MarshalProblem(phrase("it is no code object"))
    return value


class _DamagedError(Exception):
    """Data that no CPython of the version writes."""


class _End(Opaque):
    """What ends a dict."""


_END = _End()
_PENDING = Opaque()  # a container of which the elements are being read


class _Reader:
    """Reads one object after the other."""

    __slots__ = ("_data", "_depth", "_kinds", "_refs", "_version", "place")

    def __init__(self, data: bytes, version: tuple[int, int]) -> None:
        self._data = data
        self._version = version
        self._refs: list[ConstantValue] = []
        self._depth = 0
        self._kinds = _KINDS if version < (3, 11) else _KINDS_311
        self.place = 0

    def read(self) -> ConstantValue:
        """Return the next object."""
        place = self.place
        kind = self._data[place]
        self.place = place + 1
        handler = self._kinds.get(kind & 0x7F)
        if handler is None:
            raise _DamagedError(phrase("unknown type {chr}", chr=repr(chr(kind & 127))))
        if kind < _FLAG_REF:
            return handler(self)
        index = len(self._refs)
        self._refs.append(_PENDING)
        value = handler(self)
        self._refs[index] = value
        return value

    def _reference(self) -> ConstantValue:
        value: ConstantValue = self._refs[_UINT.unpack(self._bytes(4))[0]]
        if value is _PENDING:
            raise _DamagedError(phrase("a container is inside itself"))
        return value

    def _number(self) -> int:
        place = self.place
        self.place = place + 4
        value: int = _INT.unpack_from(self._data, place)[0]
        return value

    def _bytes(self, size: int) -> bytes:
        place = self.place
        end = place + size
        if size < 0 or end > len(self._data):
            raise IndexError
        self.place = end
        return self._data[place:end]

    def _items(self, count: int) -> tuple[ConstantValue, ...]:
        """Read so many objects in a row. Most are references and short names: they are read here, for speed."""
        data, refs, place = self._data, self._refs, self.place
        if not 0 <= count <= len(data) - place:  # an element takes a byte at least
            raise IndexError
        if self._depth >= _DEEPEST:
            raise _DamagedError(phrase("it is nested too deeply"))
        self._depth += 1
        items: list[ConstantValue] = []
        for _ in range(count):
            kind = data[place]
            if kind in _SHORT_NAMES:
                end = place + 2 + data[place + 1]
                name = data[place + 2 : end].decode("latin-1")
                refs.append(name)
                items.append(name)
                place = end
            elif kind == _REF:
                value = refs[_UINT.unpack_from(data, place + 1)[0]]
                if value is _PENDING:
                    raise _DamagedError(phrase("a container is inside itself"))
                items.append(value)
                place += 5
            else:
                self.place = place
                items.append(self.read())
                place = self.place
        self.place = place
        self._depth -= 1
        return tuple(items)

    # --- constants ---

    def _long(self) -> ConstantValue:
        count = self._number()
        digits = self._bytes(2 * abs(count))
        if abs(count) > _LONGEST_INT:
            return OPAQUE
        value = 0
        for place in range(len(digits) - 2, -2, -2):
            value = value << 15 | digits[place] | digits[place + 1] << 8
        return -value if count < 0 else value

    def _long64(self) -> ConstantValue:
        return int.from_bytes(self._bytes(8), "little", signed=True)

    def _float(self) -> ConstantValue:
        value: float = _DOUBLE.unpack(self._bytes(8))[0]
        return value

    def _float_text(self) -> ConstantValue:
        return float(self._bytes(self._bytes(1)[0]))

    def _complex(self) -> ConstantValue:
        return complex(*_COMPLEX.unpack(self._bytes(16)))

    def _complex_text(self) -> ConstantValue:
        self._float_text()
        self._float_text()
        return OPAQUE

    def _string(self) -> bytes:
        return self._bytes(self._number())

    def _unicode(self) -> str:
        return self._bytes(self._number()).decode("utf-8", "surrogatepass")

    def _ascii(self) -> str:
        return self._bytes(self._number()).decode("latin-1")

    def _short_ascii(self) -> str:
        size = self._data[self.place]
        self.place += 1
        return self._bytes(size).decode("latin-1")

    def _tuple(self) -> ConstantValue:
        return self._items(self._number())

    def _short_tuple(self) -> ConstantValue:
        size = self._data[self.place]
        self.place += 1
        return self._items(size)

    def _dict(self) -> ConstantValue:
        if self._depth >= _DEEPEST:
            raise _DamagedError(phrase("it is nested too deeply"))
        self._depth += 1
        while self.read() is not _END:
            self.read()
        self._depth -= 1
        return OPAQUE

    def _slice(self) -> ConstantValue:
        if self._version < (3, 14):
            raise _DamagedError(phrase("a slice before Python 3.14"))
        return slice(*self._items(3))

    # --- code objects ---

    def _code_38(self) -> CodeValue:
        """Read a code object as Python 3.8 to 3.10 has it."""
        flags = _HEAD_38.unpack(self._bytes(24))[5]
        code, consts, names, variables, free, cells, filename, name = self._items(8)
        first_line = self._number()
        (lines,) = self._items(1)
        constants, own = _tuple_of(consts), _names(variables)
        inner = _names(cells) + _names(free)
        return CodeValue(
            self._version,
            _text(name),
            "",
            _octets(code),
            constants,
            _names(names),
            own,
            inner,
            b"",
            _octets(lines),
            first_line,
            flags,
            _text(filename),
            tuple([each for each in constants if type(each) is CodeValue]),
        )

    def _code_311(self) -> CodeValue:
        """Read a code object as Python 3.11 and newer have it."""
        flags = _HEAD_311.unpack(self._bytes(20))[4]
        code, consts, names, variables, kinds, filename, name, qualname = self._items(8)
        first_line = self._number()
        lines, exceptions = self._items(2)
        constants, own = _tuple_of(consts), _names(variables)
        if len(_octets(kinds)) != len(own):
            raise _DamagedError(phrase("a variable lacks its kind"))
        return CodeValue(
            self._version,
            _text(name),
            _text(qualname),
            _octets(code),
            constants,
            _names(names),
            own,
            own,
            _octets(exceptions),
            _octets(lines),
            first_line,
            flags,
            _text(filename),
            tuple([each for each in constants if type(each) is CodeValue]),
        )


def _text(value: ConstantValue) -> str:
    if isinstance(value, str):
        return value
    raise _DamagedError(phrase("a code object has something else for a name"))


def _octets(value: ConstantValue) -> bytes:
    if isinstance(value, bytes):
        return value
    raise _DamagedError(phrase("a code object has something else for its instructions or tables"))


def _tuple_of(value: ConstantValue) -> tuple[ConstantValue, ...]:
    if isinstance(value, tuple):
        return value
    raise _DamagedError(phrase("a code object has no tuple of constants"))


def _names(value: ConstantValue) -> tuple[str, ...]:
    if isinstance(value, tuple) and _STRINGS.issuperset(map(type, value)):
        return value  # type: ignore[return-value]
    raise _DamagedError(phrase("a code object has no tuple of names"))


_KINDS: dict[int, Callable[[_Reader], ConstantValue]] = {
    ord("0"): lambda _: _END,
    ord("N"): lambda _: None,
    ord("F"): lambda _: False,
    ord("T"): lambda _: True,
    ord("S"): lambda _: OPAQUE,
    ord("."): lambda _: OPAQUE,
    _REF: _Reader._reference,
    ord("i"): _Reader._number,
    ord("I"): _Reader._long64,
    ord("l"): _Reader._long,
    ord("g"): _Reader._float,
    ord("f"): _Reader._float_text,
    ord("y"): _Reader._complex,
    ord("x"): _Reader._complex_text,
    ord("s"): _Reader._string,
    ord("u"): _Reader._unicode,
    ord("t"): _Reader._unicode,
    ord("a"): _Reader._ascii,
    ord("A"): _Reader._ascii,
    ord("z"): _Reader._short_ascii,
    ord("Z"): _Reader._short_ascii,
    ord("("): _Reader._tuple,
    ord(")"): _Reader._short_tuple,
    ord("["): _Reader._tuple,
    ord("<"): _Reader._tuple,
    ord(">"): _Reader._tuple,
    ord("{"): _Reader._dict,
    ord(":"): _Reader._slice,
    ord("c"): _Reader._code_38,
}
_KINDS_311 = _KINDS | {ord("c"): _Reader._code_311}
