"""The folders of this machine in which tools keep environments and Pythons. They are listed, never walked.

Sources: with the table, depfix/knowledge/data/environment-places.tsv; PEP 514, "Python registration in the Windows
registry" https://peps.python.org/pep-0514/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from depfix.env.listing import entries, path_key
from depfix.knowledge.tables import environment_places
from depfix.model.names import fold

_MOST_LISTED = 200  # of one folder
_MOST_FOUND = 500  # by one pattern
_MOST_ABOVE = 3
_MOST_KEYS = 100
_REGISTERED = r"Software\Python"
_BASE = re.compile(r"\{(\w+)\}/?(.*)")


def home_of(environ: Mapping[str, str]) -> str:
    """Return the user's folder."""
    return environ.get("USERPROFILE") or environ.get("HOME") or os.path.expanduser("~")


def project_folders(here: str, dist: str = "") -> tuple[str, ...]:
    """Return the folders that may be the user's project: the current one, and those that the dist lies in."""
    found = [os.path.abspath(here)] if here else []
    folder = os.path.abspath(dist) if dist else ""
    for _ in range(_MOST_ABOVE if folder else 0):
        folder = os.path.dirname(folder)
        found.append(folder)
    return tuple(dict.fromkeys(found))


def environment_folders(environ: Mapping[str, str], projects: Iterable[str] = ()) -> Iterator[str]:
    """Yield the folders that may be environments or Pythons, each once: the user's project first, then the registry."""
    known: set[str] = set()
    for folder in (*_by_pattern(environ, projects), *registered_pythons()):
        key = path_key(os.path.realpath(folder))
        if key not in known:
            known.add(key)
            yield os.path.abspath(folder)


def _by_pattern(environ: Mapping[str, str], projects: Iterable[str]) -> Iterator[str]:
    bases = _bases(environ)
    for pattern in environment_places():
        match = _BASE.fullmatch(pattern)
        if match is None:
            continue
        for base in projects if match[1] == "PROJECT" else bases.get(match[1], [environ.get(match[1], "")]):
            if base and os.path.isabs(base):
                yield from islice(_matching(base, match[2].split("/") if match[2] else []), _MOST_FOUND)


def _bases(environ: Mapping[str, str]) -> dict[str, list[str]]:
    home = home_of(environ)
    local = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    roaming = environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    mac = os.path.join(home, "Library")
    return {
        "HOME": [home],
        "LOCAL": [local],
        "ROAMING": [roaming],
        "DATA": [
            environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share"),
            os.path.join(mac, "Application Support"),
        ],
        "CACHE": [environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), os.path.join(mac, "Caches")],
        "PROGRAMS": [environ.get("PROGRAMFILES", "")],
        "PROGRAMS86": [environ.get("PROGRAMFILES(X86)", "")],
        "DRIVE": [environ["SYSTEMDRIVE"] + os.sep] if environ.get("SYSTEMDRIVE") else [],
    }


def _matching(folder: str, pattern: list[str]) -> Iterator[str]:
    """Yield the folders below one that a pattern of names leads to."""
    if not pattern:
        if os.path.isdir(folder):
            yield folder
        return
    name, rest = pattern[0], pattern[1:]
    if "*" not in name:
        yield from _matching(os.path.join(folder, name), rest)
        return
    found = (path for key, path in sorted(entries(folder).items()) if fnmatchcase(key, fold(name)))
    for path in islice(found, _MOST_LISTED):
        yield from _matching(path, rest)


def registered_pythons() -> tuple[str, ...]:
    """Return the folders of the Pythons that Windows' registry names; none on another host."""
    if os.name != "nt":
        return ()
    import winreg

    return read_registry(winreg)


def read_registry(registry: Any) -> tuple[str, ...]:
    """Return the folders that Software\\Python\\COMPANY\\TAG\\InstallPath names, the user's own first.

    `registry` is the module winreg, or what does as it does.
    """
    found: dict[str, None] = {}
    for hive in (registry.HKEY_CURRENT_USER, registry.HKEY_LOCAL_MACHINE):
        for view in (registry.KEY_WOW64_64KEY, registry.KEY_WOW64_32KEY):
            access = registry.KEY_READ | view
            for company in _keys(registry, hive, _REGISTERED, access):
                for tag in _keys(registry, hive, f"{_REGISTERED}\\{company}", access):
                    path = f"{_REGISTERED}\\{company}\\{tag}\\InstallPath"
                    try:
                        with registry.OpenKey(hive, path, 0, access) as key:
                            folder = registry.QueryValueEx(key, "")[0]
                    except OSError:
                        continue
                    if isinstance(folder, str) and folder:
                        found[folder] = None
    return tuple(found)


def _keys(registry: Any, hive: Any, path: str, access: int) -> list[str]:
    try:
        with registry.OpenKey(hive, path, 0, access) as key:
            count = min(registry.QueryInfoKey(key)[0], _MOST_KEYS)
            return [registry.EnumKey(key, index) for index in range(count)]
    except OSError:
        return []
