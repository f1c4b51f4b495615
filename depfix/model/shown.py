"""Names as a person can be shown them: nothing in them moves the cursor, turns the text round, or gives an order."""

from __future__ import annotations

import re
import unicodedata

_SPACE = "\u3000"  # the space of Chinese and Japanese names is no ASCII one, and plain to see
# What GitHub's runner takes for a command: `::` where a line begins, and `##[` anywhere. Source: actions/runner,
# ActionCommand.cs https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)")


def shown(text: str) -> str:
    r"""Return a text in one line whose every character can be seen: others are escaped as Python does, `\x1b`.

    Escaped are control characters, line ends, those that change the direction of writing or have no width, and what is
    no valid Unicode. What is printable stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown_character, text))


def shown_line(text: str) -> str:
    """Return a line of a log: as `shown`, and no server of builds reads a command in it."""
    return no_command(shown(text))


def no_command(line: str) -> str:
    """Return a line in which no server of builds reads a command."""
    return _COMMAND.sub(_not_a_command, line) if "::" in line or "##[" in line else line


def _shown_character(character: str) -> str:
    if character.isprintable() or character == _SPACE:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _not_a_command(match: re.Match[str]) -> str:
    return r"\x23" if match.group().startswith("#") else f"{match.group(1)}\\x3a"


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes.

    Source: Unicode Standard Annex #11, "East Asian Width" https://www.unicode.org/reports/tr11/
    """
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if unicodedata.combining(character) else 1
