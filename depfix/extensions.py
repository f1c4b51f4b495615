"""What other distributions add to depfix: checks, environments and report formats, announced by entry points.

A distribution names them in its `pyproject.toml`; docs/extending.md says what each group takes. Source: Python
Packaging User Guide, "Entry points specification" https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from depfix.errors import ExtensionError

CHECKS = "depfix.checks"
ENVIRONMENTS = "depfix.environments"
FORMATS = "depfix.formats"
GROUPS = (CHECKS, ENVIRONMENTS, FORMATS)


@dataclass(frozen=True, slots=True)
class Extension:
    """One entry point: its name, and the distribution ("name version") that brings it."""

    name: str
    provider: str
    entry: EntryPoint

    def load(self) -> Any:
        """Return the object that it names. Raises ExtensionError if it cannot be imported."""
        try:
            return self.entry.load()
        except Exception as error:  # other people's code
            raise ExtensionError(self.name, self.provider, f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=len(GROUPS))
def extensions(group: str) -> tuple[Extension, ...]:
    """Return the extensions of a group that are installed beside depfix, by name."""
    rows = sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value))
    return tuple(Extension(entry.name, _provider(entry), entry) for entry in rows)


def _provider(entry: EntryPoint) -> str:
    dist = entry.dist
    return f"{dist.name} {dist.version}" if dist is not None else "an unknown distribution"
