"""The licence of a package, as its metadata say it, in few words.

Sources: PyPA specifications, "Core metadata", License-Expression, License and Classifier
https://packaging.python.org/en/latest/specifications/core-metadata/
PEP 639, "Improving License Clarity with Better Package Metadata" https://peps.python.org/pep-0639/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from depfix.knowledge.stdlib import stdlib_extensions
from depfix.knowledge.tables import licence_classifiers, python_libraries

PYTHON_LICENCE = "PSF-2.0"
_LONGEST = 60
_PREFIX = "License :: "
_APPROVED = "OSI Approved :: "
_OLDEST = (3, 8)
_PYTHON_DLL = re.compile(r"python\d+t?(?:_d)?\.dll")
_SPACES = re.compile(r"\s+")
_OPEN = frozenset(("BSD", "GPL", "LGPL"))  # classifiers that leave the version open
_NONE = frozenset(("", "unknown", "none", "license", "licence", "see license", "license file", "other"))
_FILE = re.compile(r"(see |file: ?)?[\w./-]*licen[sc]e[\w./-]*(\.(txt|md|rst))?", re.IGNORECASE)
_TEXT = re.compile(r"copyright|permission is|redistribution and|all rights|licensed under", re.IGNORECASE)
_HEADING = re.compile(
    r"(?:the )?([\w.+-]+(?: [\w.+-]+){0,3}? licen[sc]e(?:,? (?:version )?v?\d[\d.]*\d)?)\b", re.IGNORECASE
)


def licence_of(fields: Sequence[tuple[str, str]]) -> str:
    """Return the licence that the fields (name in lower case, value) of a METADATA tell, an empty string if none do.

    An expression counts first, then a short `License` that says more than the classifiers do, then these.
    """
    expression = _words(next((value for name, value in fields if name == "license-expression"), ""))
    if expression:
        return expression[:_LONGEST]
    classifiers = [value for name, value in fields if name == "classifier" and value.startswith(_PREFIX)]
    named = list(dict.fromkeys(filter(None, map(_classified, classifiers))))
    free = short_licence(next((value for name, value in fields if name == "license"), ""))
    if len(named) == 1 and not _says_more(free, named[0]):
        return named[0]
    return free or " / ".join(named)[:_LONGEST]


def short_licence(text: str) -> str:
    """Return what a free text says of a licence: its name, or the first words of a text; empty if it says nothing."""
    lines = [line.strip(" \t|") for line in text.replace("\r", "\n").split("\n")]
    first = _words(next(filter(None, lines), ""))
    if first.lower().rstrip(".") in _NONE or _FILE.fullmatch(first):
        return ""
    if len(first) <= _LONGEST and not _TEXT.search(first):
        return first
    heading = _HEADING.match(first)  # a header's lines are joined: the text follows its heading
    return heading[1] if heading and not _TEXT.search(heading[1]) else ""


def python_file_licence(name: str) -> str:
    """Return the licence of a file that a Python installation brings, by its folded name; empty if it is not known."""
    for pattern, licence in python_libraries():
        if fnmatchcase(name, pattern):
            return licence
    return PYTHON_LICENCE


def is_of_python(name: str, version: tuple[int, int] | None) -> bool:
    """Return True for the folded name of a file that CPython's installers put beside python.exe."""
    if _PYTHON_DLL.fullmatch(name) or any(fnmatchcase(name, pattern) for pattern, _ in python_libraries()):
        return True
    return name.endswith(".pyd") and name[:-4].removesuffix("_d") in stdlib_extensions(version or _OLDEST)


def _says_more(free: str, named: str) -> bool:
    """Return True if a free text tells more than a classifier, as BSD-3-Clause where that has BSD."""
    if not free.upper().startswith(named.upper()):
        return False
    return named in _OPEN or (" " not in free and len(free) > len(named))


def _classified(classifier: str) -> str:
    name = classifier.removeprefix(_PREFIX).removeprefix(_APPROVED).strip()
    return licence_classifiers().get(name, "" if name in ("OSI Approved", "") else _words(name))


def _words(text: str) -> str:
    return _SPACES.sub(" ", text).strip()
