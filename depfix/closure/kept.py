"""Sources and bytecode that an earlier run read: what they say depends on their content and on how it is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256

from depfix.cache.codec import DecodingError
from depfix.cache.store import Cache
from depfix.cache.version import code_version
from depfix.imports.stored import decode_facts, encode_facts
from depfix.imports.uses import SourceFacts, SourceTarget


class KeptFacts:
    """What was read of contents for one target, in the cache. Nothing is trusted but the content itself."""

    def __init__(self, cache: Cache, target: SourceTarget) -> None:
        self._cache = cache
        self._target = target

    @property
    def is_on(self) -> bool:
        """True if something can be kept."""
        return self._cache.is_on and bool(self._reader)

    def find(self, digest: bytes, how: str) -> SourceFacts | None:
        """Return what was read before of the content with this digest in this way, None if nothing was."""
        content = self._cache.get(self._key(digest, how)) if self.is_on else None
        if content is None:
            return None
        try:
            return decode_facts(content)
        except DecodingError:
            return None

    def keep(self, digest: bytes, how: str, encoded: bytes) -> None:
        """Keep what was read, as `encode_facts` writes it."""
        if self.is_on:
            self._cache.put(self._key(digest, how), encoded)

    def read(self, content: bytes, how: str, read: Callable[[], SourceFacts]) -> SourceFacts:
        """Return what `read` says of a content, which is asked only if that is not known."""
        if not self.is_on:
            return read()
        digest = digest_of(content)
        found = self.find(digest, how)
        if found is None:
            found = read()
            self.keep(digest, how, encode_facts(found))
        return found

    def _key(self, digest: bytes, how: str) -> bytes:
        return sha256(b"%b %b %b" % (self._reader, how.encode(), digest)).digest()

    @cached_property
    def _reader(self) -> bytes:
        """What reads, and for which Python; nothing if that cannot be told."""
        target = self._target
        try:
            version = code_version(self._cache)
        except OSError:
            return b""
        return version + repr((target.version, target.machine, target.calls, target.freezer)).encode()


def digest_of(content: bytes) -> bytes:
    """Return what a content is known by."""
    return sha256(content).digest()


def manner(path: str, *, is_program: bool, is_own: bool) -> str:
    """Return in which way the source at a path is read, as far as that changes what is read of its content."""
    is_package = os.path.splitext(os.path.basename(path))[0] == "__init__"
    kind = "pyc" if path.lower().endswith(".pyc") else "source"
    return f"{kind} program={is_program} package={is_package} own={is_own}"
