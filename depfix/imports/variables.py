"""The environment of a program on a clean machine, as far as code that asks for a variable can know it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from depfix.imports.values import UNKNOWN, Anchor, Items, Text, Value, choice, text

_WINDOWS = Text((Anchor.SYSTEM,))
# Variables that every Windows has; all others are unset on a clean machine. Source: Microsoft Learn, "Recognized
# environment variables" https://learn.microsoft.com/windows/deployment/usmt/usmt-recognized-environment-variables
_VALUES: Mapping[str, Value] = MappingProxyType(
    {
        "windir": _WINDOWS,
        "systemroot": _WINDOWS,
        "programfiles": text("C:\\Program Files"),
        "programfiles(x86)": text("C:\\Program Files (x86)"),
        "programdata": text("C:\\ProgramData"),
        "systemdrive": text("C:"),
        "path": Items((), exact=False),
    }
)
_SET = frozenset(_VALUES) | frozenset(
    (
        "allusersprofile",
        "appdata",
        "commonprogramfiles",
        "commonprogramfiles(x86)",
        "commonprogramw6432",
        "computername",
        "comspec",
        "homedrive",
        "homepath",
        "localappdata",
        "number_of_processors",
        "os",
        "pathext",
        "processor_architecture",
        "programw6432",
        "public",
        "temp",
        "tmp",
        "userdomain",
        "username",
        "userprofile",
    )
)


def environment(name: Value, default: Value) -> Value:
    """Return what an environment variable holds on a clean machine."""
    known = name.literal if isinstance(name, Text) else None
    return _VALUES.get(known.lower(), default) if known is not None else choice([default, UNKNOWN])


def is_set(name: str) -> bool:
    """Return True for a variable that every Windows sets."""
    return name.lower() in _SET
