"""Families of DLLs that load each other by name, so that no import table shows it."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_data

_NEEDS = ("required", "processor", "optional")


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


class _File(msgspec.Struct, frozen=True):
    provenance: tuple[str, ...]
    families: tuple[Family, ...]


@lru_cache(maxsize=1)
def families() -> tuple[tuple[re.Pattern[str], Family], ...]:
    """Return all families with their triggers compiled. Raises DataFileError for an unknown need or a bad pattern."""
    found = msgspec.json.decode(read_data("families.json"), type=_File)
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
