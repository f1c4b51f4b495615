"""One Python source, or one file of bytecode, from its path to what it uses."""

from __future__ import annotations

import os
from collections.abc import Iterable

from depfix.closure.kept import digest_of
from depfix.imports.reader import read_source
from depfix.imports.stored import encode_facts
from depfix.imports.uses import SourceFacts, SourceTarget
from depfix.model.content import read_plain
from depfix.wording.message import phrase, small_system_words


def read_many(paths: Iterable[str], target: SourceTarget) -> list[tuple[bytes, bytes]]:
    """Return (digest of its content, its facts as bytes) of each source; no digest of one that cannot be read."""
    import gc

    gc.disable()  # syntax trees are full of cycles that live only for one source
    found = [_read_one(path, target) for path in paths]
    gc.enable()
    return found


def _read_one(path: str, target: SourceTarget) -> tuple[bytes, bytes]:
    content = content_of(path)
    if isinstance(content, SourceFacts):
        return b"", encode_facts(content)
    facts = facts_of(content, path, target, False, target.is_own_path(path))
    return digest_of(content), encode_facts(facts)


def content_of(path: str) -> bytes | SourceFacts:
    """Return the content of a source, or what stands for one that cannot be read."""
    try:
        return read_plain(path)
    except OSError as error:
        return SourceFacts((), phrase("it cannot be read ({error})", error=small_system_words(error)))


def facts_of(content: bytes, path: str, target: SourceTarget, is_program: bool, is_own: bool) -> SourceFacts:
    """Return what a source, or bytecode, of this content at this path uses. See `read_source`."""
    is_package = os.path.splitext(os.path.basename(path))[0] == "__init__"
    if path.lower().endswith(".pyc"):
        from depfix.imports.bytecode import read_pyc

        return read_pyc(content, target, is_package=is_package)
    return read_source(content, target, is_program=is_program, is_package=is_package, is_own=is_own)
