"""Tells of which sources the expressions are evaluated: those that hold a word by which something is done."""

from __future__ import annotations

import re

from depfix.imports.behaviour import may_behave
from depfix.imports.metadata import asks_metadata
from depfix.imports.reading import may_read
from depfix.imports.searching import changes_search

# Only sources with one of these words need their expressions evaluated: for others the statements say everything.
_INTERESTING = (
    b"dll_directory",
    b"DllDirectory",
    b"LoadLibrary",
    b"dlopen",
    b"import_module",
    b"__import__",
    b"environ.setdefault",
    b"environ.update",
    b"putenv",
    b"find_spec",
    b"find_loader",
    b"get_loader",
    b"runpy",
)
# Words that say something only together; ctypes has its loaders in names such as CDLL and windll.
_TOGETHER = ((b"ctypes", b"DLL"), (b"ctypes", b"dll"), (b"pkgutil", b"resolve_name"))
_SETS = re.compile(
    rb"environ\s*\[[^\]]{0,200}\]\s*[^\s\w]{0,2}=(?!=)|environ\s+as\b|=\s*(?:os\.)?environ[ \t]*[#;\r\n]"
)


def is_interesting(data: bytes, *, is_own: bool) -> bool:
    """Return True if expressions of a source are to be evaluated: what it does is not said by its statements alone."""
    if any(word in data for word in _INTERESTING) or any(all(one in data for one in words) for words in _TOGETHER):
        return True
    if asks_metadata(data) or changes_search(data) or (b"environ" in data and _SETS.search(data) is not None):
        return True
    return may_read(data, own=is_own) or may_behave(data)
