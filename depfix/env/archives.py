"""What archives have in common that files can be taken from: wheels, packages of conda, Pythons as downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from depfix.model.machine import Machine
from depfix.wording.message import phrase


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a dist takes: its Python (major, minor), None if there is none, its machine, and what it already holds.

    `versions` are {normalised name: version} of the distributions whose metadata are in the dist. `scratch` gives the
    folder, made at the first call, below which archives are unpacked; it lives as long as the run.
    """

    python: tuple[int, int] | None
    machine: Machine
    free_threaded: bool
    versions: Mapping[str, str]
    scratch: Callable[[], str]


class PackageArchive(Protocol):
    """One archive, its index read, nothing of it unpacked."""

    @property
    def path(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def files(self) -> Mapping[str, str]:
        """{path in an environment, with `/`: name in the archive}."""
        ...

    @property
    def is_conda(self) -> bool: ...

    @property
    def python(self) -> tuple[int, int] | None:
        """The Python (major, minor) that is in it, None if none is."""
        ...

    def misfit(self, wanted: Wanted) -> str:
        """Return why it is not for such a dist, as a clause on the archive; an empty string if it is."""
        ...

    def rank(self, wanted: Wanted) -> int:
        """Return how well it fits among builds of one version, the lower the better."""
        ...

    def requires(self) -> tuple[str, ...]:
        """Return its Requires-Dist fields as they are written."""
        ...

    def unpack(self, folder: str) -> None:
        """Write its files below `folder`, at their paths in an environment, with the records of an installer.

        Raises RefusedArchiveError if it is damaged or not what it says, OSError if the disk refuses.
        """
        ...


def python_words(version: tuple[int, int]) -> str:
    """Return a Python as a user would say it."""
    return phrase("Python {version}.{version2}", version=version[0], version2=version[1])
