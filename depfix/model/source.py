"""Where a file can be had."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file of an environment that bears a wanted name.

    `path` is absolute. `relative` is the path in the environment, with `/`. `package_path` is the path below
    site-packages if the file belongs to an import package, else an empty string: such a file goes to the same place in
    the dist. `owner` and `version` name the package that installed it, empty if nobody owns it.
    """

    path: str
    relative: str
    environment: str
    package_path: str = ""
    owner: str = ""
    version: str = ""

    @property
    def provider(self) -> str:
        """Package and version, or the environment if nobody owns the file."""
        return f"{self.owner} {self.version}".strip() or self.environment
