"""Names as Windows compares them."""

from __future__ import annotations

import re
from functools import lru_cache

from depfix.wording.message import phrase

_LONG, _LONG_SHARE = "\\\\?\\", "\\\\?\\UNC\\"
_LONGEST_PART = 255  # UTF-16 code units
_NOT_IN_NAMES = frozenset('<>:"|?*')
_PORTS = (f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789\u00b9\u00b2\u00b3")
_DEVICES = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", *_PORTS))


@lru_cache(maxsize=65536)
def fold(name: str) -> str:
    """Return the key under which Windows would find `name`: a file name or a path with `/`.

    NTFS compares UTF-16 unit by unit through an upcase table, never by full case folding: "ß" does not equal "SS", the
    Kelvin sign does not equal "k". ASCII keys come out in lower case, as reports print DLL names.

    Source: Microsoft Learn, "Naming Files, Paths, and Namespaces"
    https://learn.microsoft.com/windows/win32/fileio/naming-a-file
    """
    if name.isascii():
        return name.lower()
    return "".join(map(_fold_character, name))


def _fold_character(character: str) -> str:
    if character.isascii():
        return character.lower()
    upper = character.upper()
    return character if len(upper) != 1 or upper.isascii() else upper


def base_name(path: str) -> str:
    """Return what follows the last `/` or `\\`."""
    return path.replace("\\", "/").rpartition("/")[2]


def parent(path: str) -> str:
    """Return the folder part of a dist-relative path with `/`; the dist itself is an empty string."""
    return path.rpartition("/")[0]


def join(folder: str, name: str) -> str:
    """Join two dist-relative parts; an empty folder is the dist itself."""
    return f"{folder}/{name}" if folder else name


def long_path(path: str) -> str:
    """Return an absolute path of Windows, of a drive or a share, in the form that may have more than 260 characters.

    Source: Microsoft Learn, "Maximum Path Length Limitation"
    https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation
    """
    if path.startswith(("\\\\?\\", "\\\\.\\")):
        return path
    return _LONG_SHARE + path[2:] if path.startswith("\\\\") else _LONG + path


def plain_path(path: str) -> str:
    """Return a path as people write it, and as others that were not made long compare with it: see `long_path`."""
    if path.startswith(_LONG_SHARE):
        return "\\\\" + path.removeprefix(_LONG_SHARE)
    is_drive = path.startswith(_LONG) and path[5:7] == ":\\"
    return path.removeprefix(_LONG) if is_drive else path


def dll_file_name(asked: str) -> str:
    """Return the file name that LoadLibrary looks for: `.dll` is added if there is no suffix; a last dot prevents it.

    Source: Microsoft Learn, "LoadLibraryExW", parameter lpLibFileName
    https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryexw
    """
    if asked.endswith("."):
        return asked[:-1]
    return asked if "." in base_name(asked) else asked + ".dll"


def normalised(name: str) -> str:
    """Return the name of a distribution as indexes compare it.

    Source: PEP 503, "Normalized Names" https://peps.python.org/pep-0503/#normalized-names
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def unsafe_name(path: str) -> str:
    """Return why a relative path with `/` must not be written below a folder for Windows, empty if it may be.

    Refused are paths that are empty, absolute, have a drive, a server or `..`, and any part that Windows would read as
    something else: a device, a stream, a name whose last dot or space is dropped, a character that no name may hold.
    The reason is a clause on the path, as "it leaves the folder". Any text is taken; nothing is looked up on disk.

    Source: Microsoft Learn, "Naming Files, Paths, and Namespaces"
    https://learn.microsoft.com/windows/win32/fileio/naming-a-file
    """
    if not path:
        return phrase("it is empty")
    if path[0] in "/\\":
        return phrase("it is an absolute path")
    if path[1:2] == ":":
        return phrase("it begins with a drive")
    if "\\" in path:
        return phrase("it holds a backslash")
    return next(filter(None, map(_unsafe_part, path.split("/"))), "")


def _unsafe_part(part: str) -> str:
    if part in ("", "."):
        return phrase("it has an empty part")
    if part == "..":
        return phrase("it leaves the folder")
    for character in part:
        if character in _NOT_IN_NAMES or character < " ":
            return phrase("no name in Windows may hold {character}", character=character)
        if "\ud800" <= character <= "\udfff":
            return phrase("it is no valid Unicode")
    if part[-1] in ". ":
        if part[-1] == ".":
            return phrase("Windows drops the dot at the end of {name}", name=repr(part))
        return phrase("Windows drops the space at the end of {name}", name=repr(part))
    if part.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        return phrase("{part} is a device in Windows", part=part)
    if len(part.encode("utf-16-le")) > 2 * _LONGEST_PART:
        return phrase("a part of it is longer than {longest_part} characters", longest_part=_LONGEST_PART)
    return ""
