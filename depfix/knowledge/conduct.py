"""Calls that start processes, and calls that do something else in a frozen program than in a source tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from depfix.errors import DataFileError
from depfix.knowledge.tables import read_rows

_TERM = re.compile(r"(\w+)@(\d+|-)=([^!]*)!([^!]*)")
ANY = "*"  # every value but the default
_ARGUMENT = re.compile(r"(\w+)@(\d+|-)")


@dataclass(frozen=True, slots=True)
class Term:
    """A condition on one argument: with one of the values `without`, as they stand in a source, it is not met.

    ANY among them stands for every value but the default.
    `position` is None for an argument that is given by keyword only; `default` is its value if it is not given.
    """

    argument: str
    position: int | None
    default: str
    without: frozenset[str]


@dataclass(frozen=True, slots=True)
class Starter:
    """A call that starts processes if all terms are met; `prepares`: they start when its result is used."""

    prepares: bool
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class FrozenCall:
    """A call that a rule is about if all terms are met, and its argument that matters: name, position."""

    rule: str
    terms: tuple[Term, ...]
    argument: str
    position: int | None
    words: str


@lru_cache(maxsize=1)
def process_starters() -> Mapping[str, Starter]:
    """Return {dotted name: what starts processes}; `name()` is what a call gives. Raises DataFileError."""
    name = "process-starters.tsv"
    found = {}
    for row in read_rows(name):
        if len(row) != 4 or row[1] not in ("starts", "prepares"):
            raise DataFileError(name, f"unexpected row {row[0]!r}")
        found[row[0]] = Starter(row[1] == "prepares", _terms(name, row[2]))
    return MappingProxyType(found)


@lru_cache(maxsize=1)
def frozen_calls() -> Mapping[str, FrozenCall]:
    """Return {dotted name: the rule that a call of it falls under}. Raises DataFileError."""
    name = "frozen-calls.tsv"
    found = {}
    for row in read_rows(name):
        argument = _ARGUMENT.fullmatch(row[3]) if len(row) == 6 else None
        if len(row) != 6 or (argument is None and row[3] != "-"):
            raise DataFileError(name, f"unexpected row {row[0]!r}")
        at = argument.group(2) if argument is not None else "-"
        position = int(at) if at.isdigit() else None
        argument_name = argument.group(1) if argument is not None else ""
        found[row[0]] = FrozenCall(row[1], _terms(name, row[2]), argument_name, position, row[4])
    return MappingProxyType(found)


def _terms(name: str, condition: str) -> tuple[Term, ...]:
    if condition == "-":
        return ()
    found = [_TERM.fullmatch(part) for part in condition.split(" & ")]
    if None in found:
        raise DataFileError(name, f"unexpected condition {condition!r}")
    return tuple(
        Term(
            match.group(1),
            int(match.group(2)) if match.group(2).isdigit() else None,
            match.group(3),
            frozenset(match.group(4).split(",")),
        )
        for match in found
        if match is not None
    )
