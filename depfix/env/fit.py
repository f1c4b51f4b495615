"""Whether an environment fits a dist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depfix.env.protocol import EnvironmentInfo
from depfix.model.machine import Machine
from depfix.wording.message import phrase


@dataclass(frozen=True, slots=True)
class Need:
    """What a dist needs of an environment: its machine, and its Python as (major, minor), None if it has none."""

    machine: Machine
    python: tuple[int, int] | None = None
    free_threaded: bool = False
    debug: bool = False

    @property
    def words(self) -> str:
        """The Python of the dist as a user would say it."""
        return (
            phrase("Python {build}", build=build_words(self.python, self.free_threaded, self.debug))
            if self.python
            else phrase("no Python")
        )


def misfit(info: EnvironmentInfo, need: Need) -> str:
    """Return why an environment does not fit a dist, an empty string if it does."""
    if info.note:
        return info.note
    if info.machine is not None and info.machine is not need.machine:
        return phrase(
            "it is {machine}, the dist is {machine2}", machine=info.machine.words, machine2=need.machine.words
        )
    if need.python is None:
        return ""
    if info.python_version is None:
        return phrase("no Python is in it, the dist has {need}: it can give DLLs only", need=need.words)
    if (info.python_version, info.free_threaded, info.debug) != (need.python, need.free_threaded, need.debug):
        found = build_words(info.python_version, info.free_threaded, info.debug)
        return phrase("it has Python {found}, the dist has {need}", found=found, need=need.words)
    return ""


def by_fit(found: Iterable[EnvironmentInfo], need: Need) -> list[tuple[EnvironmentInfo, str]]:
    """Return (environment, why it does not fit), those that fit first, then those of which something serves.

    Among those that fit, one that knows its machine and has no caveat comes before others; else the order stays.
    """
    rows = [(info, misfit(info, need)) for info in found]
    return sorted(rows, key=lambda row: (bool(row[1]), bool(row[0].note), row[0].machine is None, bool(row[0].caveat)))


def build_words(version: tuple[int, int], free_threaded: bool, debug: bool) -> str:
    """Return a Python's version with what kind of build it is."""
    words = f"{version[0]}.{version[1]}"
    words = phrase("{version} free-threaded", version=words) if free_threaded else words
    return phrase("{version} debug", version=words) if debug else words
