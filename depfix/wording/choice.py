"""Which language depfix speaks: what the user says, else what the system is set to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from depfix.wording.catalogue import CHINESE, ENGLISH

OPTION = "--lang"
VARIABLE = "DEPFIX_LANG"
_ENGLISH_NAMES = frozenset(("en", "c", "posix"))
_PRIMARY, _CHINESE_PRIMARY = 0x3FF, 0x04  # of a LANGID


def language_named(name: str) -> str:
    """Return the code of a language that is named as in `zh`, `zh-CN` or `zh_CN.UTF-8`; empty if depfix has none."""
    primary = re.split(r"[-_.@]", name.strip().lower())[0]
    if primary in ("zh", "chinese"):
        return CHINESE
    return ENGLISH if primary in _ENGLISH_NAMES else ""


def asked_language(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the language that an option or DEPFIX_LANG asks for, an empty string if neither does.

    The option may stand before the command or behind it, but not behind `--`, which begins another program's arguments.
    """
    own = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    given = ""
    for number, argument in enumerate(own):
        if argument == OPTION:
            given = "".join(own[number + 1 : number + 2])
        elif argument.startswith(f"{OPTION}="):
            given = argument[len(OPTION) + 1 :]
    return language_named(given) or language_named(environ.get(VARIABLE, ""))


def system_language(environ: Mapping[str, str]) -> str:
    """Return the language of the system, English if depfix does not speak it.

    Sources: POSIX, "Environment Variables", 8.2 Internationalization Variables, which of them wins
    https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html ; Microsoft Learn,
    "GetUserDefaultUILanguage" https://learn.microsoft.com/windows/win32/api/winnls/nf-winnls-getuserdefaultuilanguage
    """
    if os.name == "nt":
        return CHINESE if _windows_language() & _PRIMARY == _CHINESE_PRIMARY else ENGLISH
    names = (environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return language_named(next(filter(None, names), "")) or ENGLISH


def _windows_language() -> int:
    """Return the LANGID of what Windows itself speaks to the user."""
    import ctypes

    system: Any = ctypes
    return int(system.windll.kernel32.GetUserDefaultUILanguage())
