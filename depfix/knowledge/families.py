"""Families of DLLs that load each other by name, so that no import table shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_data

_NEEDS = ("required", "processor", "optional")
_SUFFIXED = ("11", "12")  # releases whose packages bear the release in their names; those of 13 do not


class Member(msgspec.Struct, frozen=True):
    """One DLL of a family; `name` may hold `{group}` of the trigger.

    `need`: `required` for what the family does, `processor`: on some processors, `optional`: for a feature. Of the
    members of one `group` any one will do. `folders`, relative to the trigger's, are where it lies if not beside it.
    `if_named`: releases differ, and it belongs to those whose trigger holds its name. `named`: the trigger holds an end
    of the name only: an expression for it, of which what the group has is `{named}`. `chosen_by`: variables of the
    environment or options, the strongest first, by which a program may ask for another one, `chosen_name` with
    `{chosen}`.
    """

    name: str
    need: str
    why: str
    folders: tuple[str, ...] = ()
    group: str = ""
    if_named: bool = False
    named: str = ""
    chosen_by: tuple[str, ...] = ()
    chosen_name: str = ""


class Family(msgspec.Struct, frozen=True):
    """A family: where it is known from, the file name that shows that it is used, and what goes with it."""

    key: str
    words: str
    source: str
    trigger: str
    members: tuple[Member, ...]


class Gpu(msgspec.Struct, frozen=True):
    """What computes on one maker's devices: the file names of its libraries, and what only a driver brings.

    `release` is an expression for a library whose name tells the release, with that as its group; `driver_since` says
    by release which driver it needs at least, `packages` by the beginning of a library's name which package of an index
    brings it.
    """

    key: str
    words: str
    source: str
    libraries: str
    release: str
    driver: tuple[str, ...]
    driver_words: str
    driver_since: dict[str, str]
    packages: dict[str, str]

    def has(self, name: str) -> bool:
        """Return True for the folded file name of one of its libraries."""
        return re.fullmatch(self.libraries, name) is not None

    def release_of(self, names: Iterable[str]) -> str:
        """Return the release that file names tell, the newest of several, an empty string if none does."""
        matches = (re.fullmatch(self.release, name) for name in names)
        return max((match[1] for match in matches if match is not None), default="")

    def package_of(self, name: str, release: str) -> str:
        """Return the package of an index that brings a library, an empty string if none is known."""
        found = next((package for start, package in self.packages.items() if name.startswith(start)), "")
        if "{release}" in found and release not in _SUFFIXED:
            return found.partition("-cu{")[0] if release else ""
        return found.replace("{release}", release)


class Backend(msgspec.Struct, frozen=True):
    """A DLL that registers what it can do when it is loaded, and that its host never loads by itself.

    `backend` is its folded file name, `host` an expression for those of its hosts; `effect` says what happens without.
    """

    key: str
    words: str
    backend: str
    host: str
    effect: str
    cure: str
    source: str


class _File(msgspec.Struct, frozen=True):
    provenance: tuple[str, ...]
    families: tuple[Family, ...]
    gpus: tuple[Gpu, ...]
    backends: tuple[Backend, ...]


@lru_cache(maxsize=1)
def _file() -> _File:
    return msgspec.json.decode(read_data("families.json"), type=_File)


def gpus() -> tuple[Gpu, ...]:
    """Return what is known of computing on graphics processors."""
    return _file().gpus


def backends() -> tuple[Backend, ...]:
    """Return the DLLs that have to be loaded for their sake alone."""
    return _file().backends


@lru_cache(maxsize=1)
def families() -> tuple[tuple[re.Pattern[str], Family], ...]:
    """Return all families with their triggers compiled. Raises DataFileError for an unknown need or a bad pattern."""
    found = _file()
    rows = []
    for family in found.families:
        if not family.source or any(member.need not in _NEEDS for member in family.members):
            raise DataFileError("families.json", f"{family.key}: no source, or an unknown need")
        try:
            rows.append((re.compile(family.trigger), family))
        except re.error as error:
            raise DataFileError("families.json", f"{family.key}: {error}") from error
    return tuple(rows)


def family_of(name: str) -> tuple[Family, dict[str, str]] | None:
    """Return the family whose trigger a folded file name is, with the named groups of the match."""
    for pattern, family in families():
        match = pattern.fullmatch(name)
        if match is not None:
            return family, {key: value or "" for key, value in match.groupdict().items()}
    return None
