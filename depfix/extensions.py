"""What other distributions add to depfix: checks, environments and report formats, announced by entry points.

A distribution names them in its `pyproject.toml`; docs/extending.md says what each group takes. Source: Python
Packaging User Guide, "Entry points specification" https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from depfix.errors import DepfixError, ExtensionError
from depfix.wording.message import Message, phrase

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Result = TypeVar("Result")

CHECKS = "depfix.checks"
ENVIRONMENTS = "depfix.environments"
FORMATS = "depfix.formats"
GROUPS = (CHECKS, ENVIRONMENTS, FORMATS)


@dataclass(frozen=True, slots=True)
class Extension:
    """One entry point: its group, its name, and the distribution ("name version") that brings it."""

    group: str
    name: str
    provider: str
    entry: EntryPoint

    def load(self) -> Any:
        """Return the object that it names. Raises ExtensionError if it cannot be imported."""
        return self.call(self.entry.load)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return what a function of it returns. Raises ExtensionError for whatever it raises, depfix's errors aside."""
        try:
            return function(*arguments)
        except DepfixError:
            raise
        except (Exception, SystemExit) as error:  # other people's code
            raise self.failure(error) from error

    def failure(self, error: BaseException | str) -> ExtensionError:
        """Return the exception that says why it cannot be used."""
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}".rstrip(": ")
        return ExtensionError(
            self.name, self.provider, reason if isinstance(reason, Message) else " ".join(reason.split())
        )


def extensions(group: str) -> tuple[Extension, ...]:
    """Return the extensions of a group that are installed beside depfix, by name."""
    return tuple(extension for extension in all_extensions() if extension.group == group)


@lru_cache(maxsize=1)
def all_extensions() -> tuple[Extension, ...]:
    """Return every extension that is installed beside depfix, by group and name."""
    if not _announced():
        return ()
    from importlib.metadata import entry_points

    found = entry_points()
    rows = {(group, entry.name, entry.value): entry for group in GROUPS for entry in found.select(group=group)}
    return tuple(Extension(group, name, _provider(entry), entry) for (group, name, _), entry in sorted(rows.items()))


def _provider(entry: EntryPoint) -> str:
    dist = entry.dist
    return f"{dist.name} {dist.version}" if dist is not None else phrase("an unknown distribution")


def _announced() -> bool:
    """Return False if surely no distribution on sys.path names a group: importlib.metadata takes 25 ms to say so.

    What lies in an archive, or is found by finders of its own, only importlib.metadata knows.
    """
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return len(finders) != 1 or any(_may_announce(folder or ".") for folder in sys.path)


def _may_announce(folder: str) -> bool:
    if not os.path.isdir(folder):
        return os.path.exists(folder)
    try:
        with os.scandir(folder) as found:
            names = [entry.name for entry in found if entry.name.endswith((".dist-info", ".egg-info", ".egg"))]
    except OSError:
        return False
    return any(_names_group(os.path.join(folder, name)) for name in names)


def _names_group(metadata: str) -> bool:
    if metadata.endswith(".egg"):
        return True
    try:
        with open(os.path.join(metadata, "entry_points.txt"), "rb") as file:
            return b"[depfix." in file.read()
    except OSError:
        return False
