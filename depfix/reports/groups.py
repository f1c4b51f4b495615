"""Findings of one cause: thirty DLLs that one importer lacks are one thing to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.model.names import base_name
from depfix.model.shown import shown
from depfix.wording.message import phrase
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.model.finding import Finding

_MOST_SINGLE = 3  # findings of one cause that are shown one by one
EACH = phrase("each of them")
BESIDE = phrase("beside the program")


@dataclass(frozen=True, slots=True)
class Cure:
    """What several findings are cured by: who has it, in which folder, where it goes; or why nothing does."""

    subjects: tuple[str, ...]
    provider: str = ""
    source: str = ""
    destination: str = ""
    note: str = ""
    no_fix: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule that are equal but for their subjects, the first of them as an example; often just one."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(shown(finding.subject) for finding in self.findings)

    @property
    def title(self) -> str:
        """The subject of one finding, or how many there are."""
        return self.subjects[0] if len(self.findings) == 1 else say("{number} of one cause", number=len(self.findings))

    @property
    def chain(self) -> tuple[str, ...]:
        """Who needs what is wrong, step by step; empty if nothing is known to."""
        chain = tuple(map(shown, self.first.chain))
        if len(chain) < 2:
            return ()
        return chain if len(self.findings) == 1 else (*chain[:-1], said(EACH))

    @property
    def cures(self) -> tuple[Cure, ...]:
        """The cures of its findings, those from one folder to another together."""
        found: dict[Cure, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(_cure(finding, single=len(self.findings) == 1), []).append(finding)
        if len(found) == len(self.findings):
            found = {_cure(rows[0], single=True): rows for rows in found.values()}
        return tuple(
            Cure(
                tuple(shown(row.subject) for row in rows),
                one.provider,
                one.source,
                one.destination,
                one.note,
                one.no_fix,
            )
            for one, rows in found.items()
        )


def grouped(findings: Iterable[Finding], *, single: bool = False) -> tuple[Group, ...]:
    """Return findings by cause, in the order in which they are met; with `single` each for itself."""
    return tuple(_parts(_alike(findings), single))


def _alike(findings: Iterable[Finding]) -> Sequence[list[Finding]]:
    found: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        key = (finding.rule, finding.severity, finding.confidence, finding.message, finding.chain[:-1])
        found.setdefault(key if finding.chain else (id(finding),), []).append(finding)
    return list(found.values())


def _parts(groups: Sequence[list[Finding]], single: bool) -> Iterator[Group]:
    for group in groups:
        if single or len(group) <= _MOST_SINGLE:
            yield from (Group((finding,)) for finding in group)
        else:
            yield Group(tuple(group))


def _cure(finding: Finding, *, single: bool) -> Cure:
    fix = finding.fix
    if fix is None:
        return Cure((), no_fix=shown(finding.no_fix))
    source, destination = fix.source, fix.destination
    if not single:
        source, destination = _folder(source), _folder(destination) or said(BESIDE)
    return Cure((), shown(fix.provider), shown(source), shown(destination), shown(fix.note))


def _folder(path: str) -> str:
    return path[: len(path) - len(base_name(path))]
