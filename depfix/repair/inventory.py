"""What a dist is made of, by content, so that any change of it is noticed and a copy of it is as good.

What Python itself writes when a program runs (`__pycache__`) does not count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import msgspec

from depfix.dist.tree import Tree
from depfix.model.content import readable_hash
from depfix.model.names import base_name, parent
from depfix.wording.message import phrase

_THREADS = 4
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]


class FileState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the dist when the plan was made; one that could not be read has no hash."""

    size: Count
    sha256: str


def file_states(tree: Tree) -> dict[str, FileState]:
    """Return {path: size and hash} of the files of a dist, but for the bytecode that Python writes of itself."""
    entries = sorted((one for one in tree if not _is_cached(one.path)), key=lambda entry: entry.path)
    hashes = hashes_of(entry.source for entry in entries)
    return {_shown(one.path): FileState(one.size, sha256) for one, sha256 in zip(entries, hashes, strict=True)}


def changes_of(before: Mapping[str, FileState], now: Mapping[str, FileState]) -> list[str]:
    """Return what was done to a dist, in words."""
    changed = [
        phrase("{path} (other content)", path=path) for path in before if path in now and before[path] != now[path]
    ]
    gone = [phrase("{path} (gone)", path=path) for path in before if path not in now]
    return [*changed, *gone, *(phrase("{path} (new)", path=path) for path in now if path not in before)]


def fingerprint_of(files: Mapping[str, FileState]) -> str:
    """Return one hash for all files of a dist."""
    digest = hashlib.sha256()
    for path, state in sorted(files.items()):
        digest.update(f"{path}\0{state.size}\0{state.sha256}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def hashes_of(paths: Iterable[str]) -> list[str]:
    """Return the SHA-256 of each file in hex, an empty string for what is no file that can be read."""
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:  # hashing lets other threads run
        return list(pool.map(readable_hash, paths))


def _is_cached(path: str) -> bool:
    return path.endswith(".pyc") and base_name(parent(path)) == "__pycache__"


def _shown(path: str) -> str:
    """Return a path as JSON holds it: a file name may have bytes that are no UTF-8."""
    return path if path.isascii() else path.encode("utf-8", "backslashreplace").decode("utf-8")
