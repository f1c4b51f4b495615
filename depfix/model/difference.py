"""What two builds of a program hold, compared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from depfix.model.finding import Finding
from depfix.model.inventory import Component, InventoryFile
from depfix.model.report import DistSummary


class Change(Enum):
    """What became of a file or a component."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"  # of a file: other content at its place; of a component: other content of the same version
    MOVED = "moved"  # of a file: the same content at another place
    REPLACED = "replaced"  # of a DLL: other content at another place, under the same name
    VERSION = "version"  # of a component: another version


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not what it was; `old` is None for one that was added, `new` for one that was removed."""

    change: Change
    old: InventoryFile | None
    new: InventoryFile | None

    @property
    def path(self) -> str:
        """Where it is now, or was at last."""
        present = self.new or self.old
        return present.path if present is not None else ""

    @property
    def is_image(self) -> bool:
        present = self.new or self.old
        return present is not None and present.is_image

    @property
    def grown(self) -> int:
        """By how many bytes the dist grew with it."""
        return (self.new.size if self.new is not None else 0) - (self.old.size if self.old is not None else 0)


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """One component that is not what it was; `old` is None for one that was added, `new` for one that was removed."""

    change: Change
    old: Component | None
    new: Component | None

    @property
    def name(self) -> str:
        present = self.new or self.old
        return present.name if present is not None else ""

    @property
    def grown(self) -> int:
        """By how many bytes the dist grew with it."""
        return (self.new.size if self.new is not None else 0) - (self.old.size if self.old is not None else 0)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two dists, with how much it holds."""

    dist: DistSummary
    size: int


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs. Components and files are in the order of what grew or shrank most.

    `appeared` are findings that only the new dist has, `gone` those that only the old one had, each known by its
    fingerprint; None if findings were not compared.
    """

    old: Side
    new: Side
    components: tuple[ComponentChange, ...]
    files: tuple[FileChange, ...]
    appeared: tuple[Finding, ...] | None = None
    gone: tuple[Finding, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """True if the two hold the same, and the same is wrong with them."""
        return not (self.components or self.files or self.appeared or self.gone)

    def count(self, change: Change) -> int:
        """Return how many files have undergone this change."""
        return sum(one.change is change for one in self.files)
