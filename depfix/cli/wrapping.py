"""Wraps lines to the width of a terminal, in which Chinese, Japanese and Korean characters take two cells."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_INDENT = 4
_WORD = re.compile(r"\s*(?:> )?\S+")  # with the spaces before it; a lone `>` stays with what follows it


def wrapped(before: str, text: str, width: int) -> list[str]:
    """Return a text in lines that fit behind `before` into `width` cells; the second and later are indented as far,
    unless that is more than a third of the width.

    With a width of 0 it is one line. Words are not broken, so that a path can be copied: one that is too long there
    begins further to the left.
    """
    start = cells(before)
    if not width or start + cells(text) <= width:
        return [text]
    hang = start + len(text) - len(text.lstrip())
    if hang > width // 3:
        hang = _INDENT
    rows = [_Row(start, "")]
    for word in _WORD.findall(text):
        row = rows[-1]
        if row.text and row.start + cells(row.text + word) > width:
            rows.append(_Row(max(0, min(hang, width - cells(word.lstrip()))), word.lstrip()))
        else:
            rows[-1] = _Row(row.start, row.text + word)
    return [rows[0].text, *(" " * row.start + row.text for row in rows[1:])]


class _Row(NamedTuple):
    """A line: the cell that it starts at, and its text."""

    start: int
    text: str


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes.

    Source: Unicode Standard Annex #11, "East Asian Width" https://www.unicode.org/reports/tr11/
    """
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.combining(character) else 1
