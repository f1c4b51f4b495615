"""What a run of depfix found and did, as one value that every report is made from."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.finding import Finding, Severity
from depfix.model.plan import Plan


@dataclass(frozen=True, slots=True)
class DistSummary:
    """The dist as reports name it; `python` is "3.10", None without Python. `files` and `images` are counts."""

    root: str
    freezer: str
    freezer_words: str
    python: str | None
    machine: str
    programs: tuple[str, ...]
    files: int
    images: int


@dataclass(frozen=True, slots=True)
class EnvironmentSummary:
    """An environment that files are taken from; `caveat` says what of it cannot be had."""

    spec: str
    root: str
    kind: str
    python: str
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a second scan says of a repair."""

    fixed: tuple[Finding, ...]
    remaining: tuple[Finding, ...]
    introduced: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class OwnSource:
    """A source of the program itself, outside the dist: as findings and chains name it, and its absolute path."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Report:
    """One scan or repair. `findings` are those of the scan; after a repair `verification` tells what became of them.

    `reach` is `entry` if the program was followed from its script, `program` if from the code inside it, `everything`
    if all that can be imported was checked. `inside` says in words what is known of the program's inside. `applied` is
    False for a scan, a dry run and a plan that the user did not want. `checked` are the codes of the rules that were
    looked at, `own` those of the program's own sources that a finding or a chain names.
    """

    dist: DistSummary
    target: str
    target_words: str
    reach: str
    environments: tuple[EnvironmentSummary, ...]
    findings: tuple[Finding, ...]
    plan: Plan | None = None
    verification: Verification | None = None
    applied: bool = False
    inside: str = ""
    checked: tuple[str, ...] = ()
    own: tuple[OwnSource, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)
