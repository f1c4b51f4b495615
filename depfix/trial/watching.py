"""Reads what Wine's loader writes: each DLL that it loaded, each that it did not find and who needs it.

Wine writes its log to standard error, between the program's own lines; each line of it is written at once. Sources:
Wine Developer's Guide, "Debugging Wine" https://wiki.winehq.org/Wine_Developer%27s_Guide/Debugging_Wine and the
messages in dlls/ntdll/loader.c https://gitlab.winehq.org/wine/wine/-/blob/master/dlls/ntdll/loader.c
"""

from __future__ import annotations

import re

from depfix.model.names import base_name, fold
from depfix.model.run import Observed, Sought, Unresolved
from depfix.trial.observed import Places, load

# What is wanted of Wine: loads, what is not found, message boxes, and no advice on what is not implemented.
CHANNELS = "+loaddll,err+module,warn+module,+msgbox,err+seh,fixme-all"

_LOG = re.compile(
    r"(?:[0-9]{1,12}\.[0-9]{3}:)?(?:[0-9a-f]{4}:){1,2}(?:trace|warn|err|fixme):\w{1,32}:[^\n]{0,4000}(?:\n|\Z)"
)
_OWN = re.compile(
    r"^(?:wine: (?:Unhandled|Call from|configuration in|created the)|it looks like wine32 is missing"
    r"|multiarch needs to be enabled|execute \"dpkg --add-arch|apt-get install wine32|Read the Wine Developers Guide"
    r"|preloader: ).*(?:\n|\Z)",
    re.M,
)
_STRING = r'L"((?:[^"\\\n]|\\.)*)"'
_LOADED = re.compile(rf"Loaded {_STRING} at (?:0x)?[0-9a-fA-F]+: (builtin|native)")
_MISSING = re.compile(rf"Library (.{{1,300}}) \(which is needed by {_STRING}\) not found")
_UNFIT = re.compile(
    rf"Loading library (.{{1,300}}) \(which is needed by {_STRING}\) failed \(error ([0-9a-f]{{1,8}})\)"
)
_FAILED = re.compile(rf"Failed to load module {_STRING}; status=([0-9a-f]{{1,8}})")
_SYMBOL = re.compile(rf"No implementation for (\S{{1,300}})\.([^\s.]{{1,2000}}) imported from {_STRING}")
_START = re.compile(rf"Importing dlls for {_STRING} failed, status ([0-9a-f]{{1,8}})")
_BOX = re.compile(rf"msgbox:MSGBOX_OnInit {_STRING}")
_EXCEPTION = re.compile(r"^wine: Unhandled exception 0x([0-9a-f]{1,8})", re.M)
_PAGE_FAULT = re.compile(r"^wine: Unhandled page fault", re.M)
_OTHER_CRASH = re.compile(r"^wine: Unhandled (division by zero|stack overflow|illegal instruction|privileged)", re.M)
_STUB = re.compile(r"unimplemented function (\S{1,300})")
_ESCAPED = re.compile(r"\\(?:([0-9a-f]{4})|(.))")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_CRASHES = {
    "division by zero": 0xC0000094,
    "stack overflow": 0xC00000FD,
    "illegal instruction": 0xC000001D,
    "privileged": 0xC0000096,
}
_ACCESS_VIOLATION = 0xC0000005
_WINE_STUB = 0x80000100  # EXCEPTION_WINE_STUB, dlls/winecrt0/stub.c


def split_log(text: str) -> tuple[str, str]:
    """Return (Wine's log, what the program itself wrote) of a standard error in which both stand."""
    text = text.replace("\r\n", "\n")
    logged = [*_LOG.findall(text), *(match[0] for match in _OWN.finditer(_LOG.sub("", text)))]
    return "".join(line if line.endswith("\n") else line + "\n" for line in logged), _OWN.sub("", _LOG.sub("", text))


def looks_like_wine(text: str) -> bool:
    """Return True if a text has the lines of Wine's loader."""
    return bool(_LOADED.search(text) or _MISSING.search(text))


def read_wine_log(text: str, places: Places) -> Observed:
    """Return what a log of Wine tells. Any text is taken; lines that are not known are passed over."""
    loads = tuple(dict.fromkeys(load(_text(m[1]), places, builtin=m[2] == "builtin") for m in _LOADED.finditer(text)))
    stubs = tuple(dict.fromkeys(match[1].rstrip(",") for match in _STUB.finditer(text)))
    return Observed(
        loads=loads,
        sought=_sought(text, places),
        unresolved=tuple(
            dict.fromkeys(Unresolved(m[1], m[2], _named(_text(m[3]), places)) for m in _SYMBOL.finditer(text))
        ),
        statuses=_statuses(text),
        boxes=tuple(dict.fromkeys(_text(match[1]) for match in _BOX.finditer(text))),
        gaps=stubs,
    )


def wine_paths(text: str) -> list[str]:
    """Return the paths of the images that a log says were loaded."""
    return [_text(match[1]) for match in _LOADED.finditer(text)]


def _sought(text: str, places: Places) -> tuple[Sought, ...]:
    """Return what was not found, with its importer where it is known; that one does not load either, nor do its own."""
    found: dict[tuple[str, str], Sought] = {}
    for match in _MISSING.finditer(text):
        importer = _named(_text(match[2]), places)
        found[fold(match[1]), importer] = Sought(match[1], importer, 0xC0000135)
    for match in _UNFIT.finditer(text):
        importer = _named(_text(match[2]), places)
        found[fold(match[1]), importer] = Sought(match[1], importer, int(match[3], 16))
    named = {name for name, _ in found}
    for match in _FAILED.finditer(text):
        asked = _text(match[1])
        name = fold(base_name(asked))
        if name not in _OF_WINE and name not in named:
            found.setdefault((name, ""), Sought(asked, "", int(match[2], 16)))
    failing = {fold(base_name(importer)) for _, importer in found}
    return tuple(one for (name, _), one in found.items() if name not in failing)


# Drivers of Wine itself, which it tries one after the other.
_OF_WINE = frozenset(("winex11.drv", "winemac.drv", "winewayland.drv", "null.dll", "wineandroid.drv", "oss.drv"))


def _statuses(text: str) -> tuple[int, ...]:
    codes = [int(match[2], 16) for match in _START.finditer(text)]
    codes += [int(match[1], 16) for match in _EXCEPTION.finditer(text)]
    codes += [_ACCESS_VIOLATION for _ in _PAGE_FAULT.finditer(text)]
    codes += [_CRASHES[match[1]] for match in _OTHER_CRASH.finditer(text)]
    return tuple(code for code in dict.fromkeys(codes) if code != _WINE_STUB)


def _named(path: str, places: Places) -> str:
    return places.inside(path) or path


def _text(escaped: str) -> str:
    """Return a string as it was before Wine escaped it for its log."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)) if m[1] else _LETTERS.get(m[2], m[2]), escaped)
