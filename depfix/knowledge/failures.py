"""What errors say of their cause: numbers of Windows, its texts in several languages, the words of those who fail."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_data
from depfix.model.finding import Confidence

_TABLE = "failures.json"
BY_NUMBER, BY_DLL, BY_MODULE, BY_PATH = "by-number", "by-dll", "by-module", "by-path"
_TOLD_BY = (BY_NUMBER, BY_DLL, BY_MODULE, BY_PATH)
UNKNOWN = "unknown"


class CauseWords(msgspec.Struct, frozen=True):
    """How a cause is told: `named` with a `{subject}`, `unnamed` if the text names none."""

    cause: str
    named: str
    unnamed: str


class Code(msgspec.Struct, frozen=True):
    """A number of Windows: a system error code in decimal digits, or an exit code as `0x` and eight hex digits."""

    code: str
    name: str
    cause: str
    confidence: Confidence
    words: str
    source: str


class CodeText(msgspec.Struct, frozen=True):
    """What Windows says for a number in one language, in lower case.

    `beside`: it counts only beside an error that wants a number; others write the same for other reasons.
    """

    code: str
    language: str
    text: str
    source: str
    beside: bool = False


class Failure(msgspec.Struct, frozen=True):
    """One text that a program or Windows prints when something fails.

    One of `has`, in lower case, stands wherever `pattern` can match. `cause` is a cause, or what tells it: the number
    of Windows in the same text (by-number), what bears the name (by-dll, by-module, by-path). `subject` and `words` may
    hold groups of the pattern. `masks`: it hides its cause, so that another failure nearby counts. `generic`: it counts
    only where no other does. `weak`: a warning. `runtime`: the load is by name.
    """

    id: str
    has: tuple[str, ...]
    pattern: str
    cause: str
    confidence: Confidence
    subject: str
    words: str
    source: str
    masks: bool = False
    generic: bool = False
    weak: bool = False
    runtime: bool = False


class _File(msgspec.Struct, frozen=True):
    provenance: tuple[str, ...]
    own_folders: tuple[str, ...]
    causes: tuple[CauseWords, ...]
    codes: tuple[Code, ...]
    texts: tuple[CodeText, ...]
    failures: tuple[Failure, ...]


@lru_cache(maxsize=1)
def _file() -> _File:
    try:
        found = msgspec.json.decode(read_data(_TABLE), type=_File)
    except msgspec.MsgspecError as error:
        raise DataFileError(_TABLE, str(error)) from error
    causes = {row.cause for row in found.causes}
    codes = {row.code for row in found.codes}
    for code in found.codes:
        _check(code.cause in causes and bool(code.source), f"code {code.code}")
    for text in found.texts:
        _check(text.code in codes and text.text == text.text.lower() and bool(text.source), f"text {text.text}")
    for failure in found.failures:
        _check(failure.cause in causes or failure.cause in _TOLD_BY, f"{failure.id}: cause {failure.cause}")
        _check(bool(failure.source) and all(one == one.lower() for one in failure.has), failure.id)
        _check(failure.confidence is not Confidence.CERTAIN, f"{failure.id}: a text alone is never certain")
    return found


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise DataFileError(_TABLE, what)


@lru_cache(maxsize=1)
def causes() -> dict[str, CauseWords]:
    """Return how each cause is told, by its name."""
    return {row.cause: row for row in _file().causes}


@lru_cache(maxsize=1)
def codes() -> dict[str, Code]:
    """Return the numbers of Windows that are known, by code."""
    return {row.code: row for row in _file().codes}


def code_texts() -> tuple[CodeText, ...]:
    """Return what Windows says for numbers, in every language that is known."""
    return _file().texts


def own_folders() -> frozenset[str]:
    """Return names, in lower case, that folders of a program's own data bear."""
    return frozenset(_file().own_folders)


@lru_cache(maxsize=1)
def failures() -> tuple[tuple[re.Pattern[str], Failure], ...]:
    """Return all failures with their patterns compiled, what decides first. Raises DataFileError for a bad pattern."""
    return tuple((_compiled(failure), failure) for failure in _file().failures)


def _compiled(failure: Failure) -> re.Pattern[str]:
    try:
        return re.compile(failure.pattern, re.IGNORECASE | re.MULTILINE)
    except re.error as error:
        raise DataFileError(_TABLE, f"{failure.id}: {error}") from error


def code_of(number: str) -> str:
    """Return the code that a number means, in whatever form it was written; an empty string if none is known.

    0xC0000135, c0000135, 3221225781 and -1073741515 are one; 0x8007007E is error 126 in an HRESULT
    (https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/0642cb2f-2075-4469-918c-4441e69c548a).
    """
    text = number.strip().lower()
    known = codes()
    if not re.fullmatch(r"-?\d{1,12}|(?:0x)?[0-9a-f]{1,8}", text):
        return ""
    hexadecimal = text.startswith("0x") or not re.fullmatch(r"-?\d+", text)
    value = int(text, 16) if hexadecimal else int(text)
    if not -(2**31) <= value < 2**32:
        return ""
    value &= 0xFFFFFFFF
    if value >> 16 == 0x8007:
        value &= 0xFFFF
    short = next((code for code in _exit_codes() if hexadecimal and value == _shortened(code)), "")
    found = f"0x{value:08X}" if value > 0xFFFF else str(value)
    return found if found in known else short


def _exit_codes() -> tuple[str, ...]:
    return tuple(code for code in codes() if code.startswith("0x"))


def _shortened(code: str) -> int:
    """Return what a code reads like if one zero of it was lost, as in the often quoted 0xc00007b."""
    return int(code.replace("0000", "000", 1), 16)
