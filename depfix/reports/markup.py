"""Texts of others in Markdown: shown as they are, never as markup. See `depfix.reports.markdown` for the dialect."""

from __future__ import annotations

import re

from depfix.model.shown import shown

_LONGEST = 2_000
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$]")
_MENTION = re.compile(r"(?<=@)|(?<=#)(?=\d)")
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)", re.I)


def cells(*texts: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(texts)} |"


def prose(text: str) -> str:
    """Return a text that shows as it is: no markup, no link, no mention of a person or an issue."""
    return _MENTION.sub("&#8203;", _LINK.sub(r"\\", _SPECIAL.sub(r"\\\g<0>", _short(text)))).replace("\\|", "&#124;")


def code(text: str) -> str:
    """Return a text as code. What holds a `|`, which no table leaves alone, becomes prose (GFM, 4.10)."""
    cut = _short(text)
    if "|" in cut or not cut.strip():
        return prose(cut)
    longest = max((len(run) for run in re.findall("`+", cut)), default=0)
    fence = "`" * (longest + 1)
    space = " " if cut[0] in "` " or cut[-1] in "` " else ""
    return f"{fence}{space}{cut}{space}{fence}"


def _short(text: str) -> str:
    cut = shown(text)
    return cut if len(cut) <= _LONGEST else f"{cut[:_LONGEST]} ..."
