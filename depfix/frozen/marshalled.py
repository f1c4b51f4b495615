"""A reader of marshalled tables: lists, tuples and dicts of strings and numbers, and nothing else.

PyInstaller writes the directory of a PYZ so. Code objects and whatever else marshal knows are refused, so that nothing
is made from hostile bytes but plain values.

Source: Python's Lib/test/test_marshal.py and Python/marshal.c, https://docs.python.org/3/library/marshal.html
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from depfix.wording.message import phrase

Value: TypeAlias = "str | int | tuple[Value, ...] | list[Value] | dict[str | int | None, Value] | None"

LARGEST_TABLE = 1 << 24

_MOST_VALUES = 1 << 20
_DEEPEST = 8
_REFERENCED = 0x80
_U32, _I32, _I64, _I16 = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<q"), struct.Struct("<h")
_LONG_TEXT, _SHORT_TEXT = b"utaA", b"zZ"
_CONSTANTS: dict[int, int | None] = {ord("N"): None, ord("T"): 1, ord("F"): 0}
_END_OF_DICT = ord("0")


class _NoTableError(ValueError):
    """The bytes are no marshalled table."""


def load_table(data: bytes) -> Value:
    """Return the value at the start of `data`. Raises ValueError if it is none of the kinds above, or damaged."""
    if len(data) > LARGEST_TABLE:
        raise _NoTableError(phrase("too large"))
    try:
        return _Reader(data).value(0)
    except (struct.error, IndexError, TypeError) as error:
        raise _NoTableError(str(error)) from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._left = _MOST_VALUES
        self._seen: list[Value] = []

    def value(self, depth: int) -> Value:
        kind = self._byte()
        return self._value_of(kind, depth)

    def _value_of(self, kind: int, depth: int) -> Value:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise _NoTableError(phrase("too deep or too many values"))
        plain = kind & ~_REFERENCED
        if plain == ord("r"):
            return self._seen[self._number(_U32)]
        place = len(self._seen)
        if kind & _REFERENCED:
            self._seen.append(None)  # marshal numbers a value before what is inside it
        found = self._plain(plain, depth)
        if kind & _REFERENCED:
            self._seen[place] = found
        return found

    def _plain(self, kind: int, depth: int) -> Value:
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _LONG_TEXT:
            return self._text(self._number(_U32))
        if kind in _SHORT_TEXT:
            return self._text(self._byte())
        if kind in b"il":
            return self._number(_I32) if kind == ord("i") else self._long()
        if kind == ord("I"):
            return self._number(_I64)
        if kind in b"()":
            return tuple(self._items(self._byte() if kind == ord(")") else self._number(_U32), depth))
        if kind == ord("["):
            return self._items(self._number(_U32), depth)
        if kind == ord("{"):
            return self._dict(depth)
        raise _NoTableError(phrase("a value of kind {kind}", kind=f"{kind:#x}"))

    def _items(self, count: int, depth: int) -> list[Value]:
        if count > self._left:
            raise _NoTableError(phrase("too many values"))
        return [self.value(depth + 1) for _ in range(count)]

    def _dict(self, depth: int) -> dict[str | int | None, Value]:
        found: dict[str | int | None, Value] = {}
        while (kind := self._byte()) != _END_OF_DICT:
            key = self._value_of(kind, depth + 1)
            if isinstance(key, (tuple, list, dict)):
                raise _NoTableError(phrase("a key that is no text"))
            found[key] = self.value(depth + 1)
        return found

    def _long(self) -> int:
        """Return a number of 15-bit digits; the sign is that of their count. Four digits are enough for any offset."""
        count = self._number(_I32)
        if abs(count) > 4:
            raise _NoTableError(phrase("a number that is no offset"))
        digits = [self._number(_I16) for _ in range(abs(count))]
        number = sum(digit << 15 * place for place, digit in enumerate(digits))
        return -number if count < 0 else number

    def _text(self, size: int) -> str:
        return self._take(size).decode("utf-8", "surrogatepass")

    def _number(self, form: struct.Struct) -> int:
        return int(form.unpack(self._take(form.size))[0])

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise _NoTableError(phrase("it is cut off"))
        self._at += size
        return found
