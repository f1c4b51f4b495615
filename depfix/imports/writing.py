"""Calls that write files: where, as far as that is beside the program or in the current directory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.imports.conditions import argument_of, is_met
from depfix.imports.known import as_text
from depfix.imports.values import Anchor, Method, PackageFolder, Reference, Text, Value, alternatives
from depfix.knowledge.conduct import frozen_calls

BESIDE = "beside the program"
CURRENT = "in the current directory"
_OPENS = frozenset(("builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "zipfile.ZipFile"))
_PATH_WRITES = frozenset(("write_text", "write_bytes", "touch", "mkdir"))
WRITING_CALLS = _OPENS | _PATH_WRITES
_ELSEWHERE = re.compile(r"[A-Za-z]:|[\\/~%$<:]|\w+://|(?i:nul|con|aux)\b")


def written_places(called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]) -> Iterator[str]:
    """Yield BESIDE or CURRENT for each path that a call writes there."""
    path = _written(called, arguments, keywords)
    for one in alternatives(path) if path is not None else ():
        text = as_text(one) if isinstance(one, Text) else None
        place = _place(text) if isinstance(text, Text) else ""
        if place:
            yield place


def _written(called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
    """Return the path that a call writes, None if it writes none."""
    if isinstance(called, Method):
        opens = called.name == "open" and _writes(argument_of("mode", 0, arguments, keywords))
        return called.receiver if called.name in _PATH_WRITES or opens else None
    if called.name in _OPENS:
        return arguments[0] if arguments and _writes(argument_of("mode", 1, arguments, keywords)) else None
    row = frozen_calls().get(called.name)
    if row is None or row.rule != "writes-beside-program" or is_met(row.terms, arguments, keywords) is False:
        return None
    return argument_of(row.argument, row.position, arguments, keywords)


def _writes(mode: Value | None) -> bool:
    known = mode.literal if isinstance(mode, Text) else None
    return known is not None and any(letter in known for letter in "wax+")


def _place(path: Text) -> str:
    first = path.parts[0]
    if first in (Anchor.HERE, Anchor.PROGRAM, Anchor.PREFIX) or isinstance(first, PackageFolder):
        return BESIDE
    if first is Anchor.CWD:
        return CURRENT
    relative = isinstance(first, str) and first and not _ELSEWHERE.match(first)
    return CURRENT if relative else ""
