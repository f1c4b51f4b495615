"""The words of the page itself in every language that it speaks, from `words.json`; findings have their own."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.reports.page.libraries import asset

LANGUAGES = ("en", "zh")
_TABLE = "words.json"
_VALUE = re.compile(r"\{(\d)\}")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, dict[str, str]]:
    """Return {language: {key: text}}. A text has `{0}` for numbers and names, and `one|many` for two forms."""
    rows = msgspec.json.decode(asset(_TABLE), type=dict[str, tuple[str, str]])
    if not rows or not all(all(texts) for texts in rows.values()):
        raise DataFileError(_TABLE, "a text is empty, or there is none")
    return {language: {key: texts[index] for key, texts in rows.items()} for index, language in enumerate(LANGUAGES)}


def said(language: str, key: str, *values: object) -> str:
    """Return a text in a language, with its values. Raises DataFileError for a key that the catalogue lacks."""
    try:
        text = catalogue()[language][key]
    except KeyError:
        raise DataFileError(_TABLE, f"it has no {key} in {language}") from None
    one, bar, many = text.partition("|")
    chosen = (one if str(values[0]) == "1" else many) if bar and values else one
    return _VALUE.sub(lambda found: str(values[int(found[1])]), chosen)
