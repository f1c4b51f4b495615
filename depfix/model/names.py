"""Names as Windows compares them."""

from __future__ import annotations

import re
from functools import lru_cache


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
