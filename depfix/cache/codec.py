"""Values as bytes and back: frozen dataclasses, enums and plain values, and nothing but those that were named.

The format is pickle's, for C code writes and reads it, and a name that stands a hundred times stands once. What reads
it makes objects of the named classes only, so that foreign bytes can lie but not run anything. Source: pickle,
Restricting Globals https://docs.python.org/3/library/pickle.html#restricting-globals
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from depfix.wording.message import Message

_PROTOCOL = 5

Reduced = tuple[type, tuple[Any, ...]]


class DecodingError(ValueError):
    """Bytes that are no value of the classes that were named."""


class Codec:
    """Turns values of the named classes, messages, and str, int, tuple and the like into bytes, and back."""

    def __init__(self, *classes: type) -> None:
        self._by_name = {(one.__module__, one.__qualname__): one for one in (Message, *classes)}
        self._table = {one: _reducer(one) for one in classes}

    def encode(self, value: object) -> bytes:
        """Return a value as bytes.

        Raises pickle.PicklingError, TypeError or AttributeError for one that holds something else.
        """
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, _PROTOCOL)
        pickler.dispatch_table = self._table
        pickler.dump(value)
        return stream.getvalue()

    def decode(self, content: bytes) -> Any:
        """Return the value that `encode` made these bytes of. Raises DecodingError."""
        try:
            return _Reader(io.BytesIO(content), self._by_name).load()
        except Exception as error:  # pickle lets nearly every kind of exception through
            raise DecodingError(f"{type(error).__name__}: {error}") from error


class _Reader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, classes: dict[tuple[str, str], type]) -> None:
        super().__init__(stream)
        self._classes = classes

    def find_class(self, module: str, name: str) -> type:
        """Return one of the named classes, whatever else the bytes ask for."""
        return self._classes[module, name]


def _reducer(one: type) -> Callable[[Any], Reduced]:
    if issubclass(one, Enum):
        return lambda value: (one, (value.value,))
    if not is_dataclass(one):
        raise TypeError(f"{one.__name__} is neither a dataclass nor an enum")
    names = [row.name for row in fields(one)]
    if len(names) == 1:
        only = attrgetter(names[0])
        return lambda value: (one, (only(value),))
    values = attrgetter(*names)
    return lambda value: (one, values(value))
