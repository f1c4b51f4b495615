"""Wraps lines to the width of a terminal, in which Chinese, Japanese and Korean characters take two cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from depfix.model.shown import cells

_INDENT = 4
_WORD = re.compile(r"\s*(?:> )?\S+")  # with the spaces before it; a lone `>` stays with what follows it
_WIDE = "\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
# Chinese goes on in the next line behind any character, but no line begins with a mark that closes something,
# nor ends with one that opens it.
_PIECE = re.compile(
    f"(?:[^{_WIDE}]+|[{_WIDE}])[\u3001\u3002\u300b\u300d\u300f\u3011\uff09\uff0c\uff1a\uff1b\uff1f\uff01\u201d]*"
)


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
    for word in _words(text):
        row = rows[-1]
        if row.text and row.start + cells(row.text + word) > width:
            rows.append(_Row(max(0, min(hang, width - cells(word.lstrip()))), word.lstrip()))
        else:
            rows[-1] = _Row(row.start, row.text + word)
    return [rows[0].text, *(" " * row.start + row.text for row in rows[1:])]


def _words(text: str) -> Iterator[str]:
    """Yield what stays in one line: words, and the characters of Chinese sentences; a path is not broken."""
    for word in _WORD.findall(text):
        if word.isascii() or "/" in word or "\\" in word:
            yield word
        else:
            yield from _PIECE.findall(word)


class _Row(NamedTuple):
    """A line: the cell that it starts at, and its text."""

    start: int
    text: str
