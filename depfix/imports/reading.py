"""Calls that read files and folders: the data that a program needs beside its code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.imports.known import as_text
from depfix.imports.uses import DataUse, Where
from depfix.imports.values import Constant, Method, Reference, Text, Value, alternatives

_WORDS = re.compile(rb"\bopen\(")


def may_read(data: bytes) -> bool:
    """Return True if a source may read files, by the words in it."""
    return _WORDS.search(data) is not None


def data_uses(
    called: Reference | Method, arguments: list[Value], keywords: dict[str, Value], where: Where
) -> Iterator[DataUse]:
    """Yield what a call reads, as far as its path is known."""
    if called.name in ("builtins.open", "io.open") and arguments and _reads(arguments, keywords):
        for one in alternatives(arguments[0]):
            path = as_text(one)
            if isinstance(path, Text):
                yield DataUse(where, path, "open")


def _reads(arguments: list[Value], keywords: dict[str, Value]) -> bool:
    given = arguments[1] if len(arguments) > 1 else keywords.get("mode", Constant("r"))
    mode = given.literal if isinstance(given, Text) else "r" if isinstance(given, Constant) else None
    return mode is not None and "r" in mode
