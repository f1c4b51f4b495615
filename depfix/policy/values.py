"""The policy of a project as a value: what its file and the command line say, for one dist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from depfix.model.finding import Location
from depfix.wording.message import joined, phrase


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Findings that a project accepts: those that fit every field which is not empty.

    `rules` are codes, `subjects` and `paths` globs. `expires` is the last day on which it holds. `place` is where it
    stands ("depfix.toml"), `line` its line there, 0 if that is not known.
    """

    reason: str
    rules: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    expires: date | None = None
    place: str = ""
    line: int = 0

    @property
    def words(self) -> str:
        """What it names, in few words."""
        return joined(" ", (*self.rules, *self.subjects, *(phrase("in {path}", path=path) for path in self.paths)))

    @property
    def where(self) -> str:
        return f"{self.place}:{self.line}" if self.line else self.place


@dataclass(frozen=True, slots=True)
class Budgets:
    """How large a dist may be, in bytes and in files; `components` are globs of names, each with bytes."""

    size: int | None = None
    files: int | None = None
    components: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it is from: "depfix.toml:3", "--target", "default"."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class DistSection:
    """What the policy file says of one dist: `path` is a folder, or a glob of folders."""

    path: str
    settings: Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file as it was read: its path as it is shown, its folder, and what it says."""

    shown: str
    folder: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    dists: tuple[DistSection, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of one dist. See docs/policy.md for each; `file` is empty if there is no policy file.

    `formats` is empty for every format. `origins` says of each key that does not have its default where its value is
    from.
    """

    file: str = ""
    target: str = ""
    entry: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    project_dir: str = ""
    report: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "error"
    formats: tuple[str, ...] = ()
    output_dir: str = "depfix-report"
    baseline: str = ""
    accept: tuple[Acceptance, ...] = ()
    budgets: Budgets = field(default_factory=Budgets)
    allow_dlls: tuple[str, ...] = ()
    forbid_dlls: tuple[str, ...] = ()
    allow_licences: tuple[str, ...] = ()
    forbid_licences: tuple[str, ...] = ()
    require_signature: tuple[str, ...] = ()
    origins: tuple[tuple[str, str], ...] = ()

    def place(self, key: str) -> tuple[Location, ...]:
        """Return where the policy file says something, as places of a finding; nothing if it is not said there."""
        path, _, line = dict(self.origins).get(key, "").rpartition(", ")[2].rpartition(":")
        return (Location(path, int(line)),) if self.file and path == self.file and line.isdigit() else ()

    @property
    def needs_inventory(self) -> bool:
        """True if it asks what only the inventory of the dist can tell."""
        return bool(self.budgets.components or self.allow_licences or self.forbid_licences)
