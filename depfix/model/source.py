"""Where a file can be had, and who gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from depfix.wording.message import phrase

PYTHON = "Python"  # who gives the standard library and what else comes with it


@dataclass(frozen=True, slots=True)
class Provider:
    """Who gives a file: a package with its version and licence, or an environment by its spec.

    `licence` is an SPDX expression or what the package says instead, empty if it says nothing. `note` tells what a user
    should know of it, as that pip put it over a package of conda.
    """

    name: str
    version: str = ""
    licence: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file of an environment that bears a wanted name.

    `path` is absolute. `relative` is the path in the environment, with `/`. `package_path` is the path below
    site-packages if the file belongs to an import package, else an empty string: such a file goes to the same place in
    the dist. `owner` is the package that installed it, None if nobody owns it. `refused` says why the file must not be
    taken, though it is there. `read_hash` reads the hash that its package recorded of it.
    """

    path: str
    relative: str
    environment: str
    package_path: str = ""
    owner: Provider | None = None
    refused: str = ""
    read_hash: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    @property
    def sha256(self) -> str:
        """The hash in hex that its package recorded of it, empty if none is. It is read each time."""
        return self.read_hash() if self.read_hash is not None else ""

    @property
    def provider(self) -> Provider:
        """The package, or the environment if nobody owns the file."""
        return self.owner or unowned(self.environment)


def unowned(spec: str) -> Provider:
    """Return who gives a file of an environment that no package owns."""
    return Provider(spec, note=phrase("owned by no package") if spec else "")
