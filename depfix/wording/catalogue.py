"""The catalogues: one folder for each language beside English, in gettext's form."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations

ENGLISH = "en"
CHINESE = "zh"
LANGUAGES = (ENGLISH, CHINESE)
DOMAIN = "depfix"
FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "locale")
LOCALES = {CHINESE: "zh_CN"}


@cache
def translation(code: str) -> NullTranslations:
    """Return the catalogue of a language; an empty one, which says everything in English, if it cannot be read.

    Source: GNU gettext, "The Format of GNU MO Files"
    https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    import gettext

    name = os.path.join(FOLDER, LOCALES.get(code, code), "LC_MESSAGES", f"{DOMAIN}.mo")
    try:
        with open(name, "rb") as file:
            return gettext.GNUTranslations(file)
    except (OSError, UnicodeDecodeError):
        return gettext.NullTranslations()
