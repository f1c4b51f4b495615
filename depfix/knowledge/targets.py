"""The Windows that a program is to run on: releases, editions, machines, and what each lacks."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import lru_cache

from depfix.errors import DataFileError, UnknownTargetError
from depfix.knowledge.tables import read_rows
from depfix.model.machine import Machine
from depfix.wording.message import joined, phrase, tabled

_BASE = "win10"
_BASE_ARM64 = "win11"


@dataclass(frozen=True, slots=True)
class Target:
    """One clean Windows.

    `release` is the column of the system tables (7sp1, 8.1, 10, 11), `edition` empty, `n` or `core`; `machines` are
    those on which this release is sold and `emulated` those whose processes an arm64 machine runs besides. `schema`
    names the API set table, `build` is the oldest build of the release. `machine` is that of the computer, None if it
    is that of the program.
    """

    name: str
    words: str
    release: str
    edition: str
    machines: tuple[Machine, ...]
    emulated: tuple[Machine, ...]
    schema: str
    build: int
    machine: Machine | None = None

    def runs(self, process: Machine) -> bool:
        """Return True if this Windows can start a program for the machine `process`."""
        if self.machine is None:
            return any(replace(self, machine=machine).runs(process) for machine in self.machines)
        if process is self.machine:
            return True
        if self.machine is Machine.AMD64:
            return process is Machine.X86
        return self.machine is Machine.ARM64 and process in self.emulated


@dataclass(frozen=True, slots=True)
class Feature:
    """Why a clean Windows lacks a DLL. `kind`: driver, redistributable, windows-feature or windows-release.

    `sure` is False if the tables do not tell whether this Windows lacks it.
    """

    key: str
    kind: str
    words: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class FeatureDll:
    """A DLL that some clean Windows lacks.

    `absent` holds `always`, `table` (only in the releases that the system tables name), `n`, `core` or a target's name.
    `build` is the first build that has it where the releases of the tables are too coarse, else 0.
    """

    feature: Feature
    absent: frozenset[str]
    build: int


@lru_cache(maxsize=1)
def targets() -> dict[str, Target]:
    """Return every target by its name, in the order of the table."""
    found = {}
    for name, words, release, edition, machines, emulation, schema, build, *_ in read_rows("targets.tsv"):
        emulated = _machines(emulation.rpartition(":")[2]) if ":" in emulation else ()
        found[name] = Target(name, tabled(words), release, edition, _machines(machines), emulated, schema, int(build))
    if not {_BASE, _BASE_ARM64, "win7"} <= found.keys():
        raise DataFileError("targets.tsv", "a release is absent")
    return found


def target_named(name: str) -> Target:
    """Return the target called `name`: one of the table, with `-x86`, `-amd64` or `-arm64` behind it for a machine.

    Raises UnknownTargetError with the nearest name.
    """
    wanted = name.strip().lower()
    known = targets()
    if wanted in known:
        return known[wanted]
    stem, _, last = wanted.rpartition("-")
    machines = {machine.value: machine for machine in (Machine.X86, Machine.AMD64, Machine.ARM64)}
    if stem in known and last in machines:
        machine = machines[last]
        target = known[stem]
        if machine in target.machines:
            return replace(
                target,
                name=wanted,
                words=phrase("{target} on {machine}", target=target.words, machine=machine.value),
                machine=machine,
            )
        there = joined(phrase(" and "), (each.value for each in target.machines))
        why = phrase("there is no {target} for {last}, only for {there}", target=target.words, last=last, there=there)
        raise UnknownTargetError(
            name, stem, phrase("{why}; it runs 32-bit programs", why=why) if machine is Machine.X86 else why
        )
    near = difflib.get_close_matches(wanted, list(known), n=1)
    raise UnknownTargetError(name, "".join(near), phrase("known are {names}", names=", ".join(known)))


def default_target(python: tuple[int, int] | None, machine: Machine) -> Target:
    """Return the target of a dist for which the user names none.

    Windows 10, or the oldest release on which the Python of the dist runs if that is newer; for arm64 Windows 11.
    """
    if machine is Machine.ARM64:
        return targets()[_BASE_ARM64]
    order = list(targets())
    oldest = oldest_target(python) if python is not None else _BASE
    return targets()[max(_BASE, oldest, key=order.index)]


def oldest_target(python: tuple[int, int]) -> str:
    """Return the name of the oldest Windows that a Python supports; a Python newer than the table gets its last row."""
    rows = [(tuple(int(part) for part in row[0].split(".")), row[1]) for row in read_rows("python-targets.tsv")]
    fitting = [oldest for version, oldest in sorted(rows) if version <= python]
    return fitting[-1] if fitting else sorted(rows)[0][1]


@lru_cache(maxsize=1)
def features() -> dict[str, FeatureDll]:
    """Return {lower-case DLL name: what brings it, and where it is absent}."""
    kinds = {key: Feature(key, kind, tabled(words)) for key, kind, words, *_ in read_rows("feature-kinds.tsv")}
    found = {}
    for name, key, absent, *_ in read_rows("features.tsv"):
        if key not in kinds:
            raise DataFileError("features.tsv", f"unknown feature {key!r}")
        build = absent.removeprefix("before:") if absent.startswith("before:") else ""
        found[name] = FeatureDll(kinds[key], frozenset(("table",) if build else absent.split(",")), int(build or 0))
    return found


def _machines(text: str) -> tuple[Machine, ...]:
    return tuple(Machine(part) for part in text.split(",") if part)
