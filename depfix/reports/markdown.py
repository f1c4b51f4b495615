"""Markdown for a pull request, a merge request, or the summary of a job: GitHub Flavored Markdown, no HTML but `<br>`.

It stays short enough for a comment (65,536 characters) and so for a job's summary (1 MiB). Sources: GitHub,
"GitHub Flavored Markdown Spec" https://github.github.com/gfm/; GitHub Docs, "Workflow commands for GitHub Actions",
"Step isolation and limits" https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from depfix.model.finding import Severity
from depfix.model.names import base_name
from depfix.model.shown import no_command, shown
from depfix.reports.groups import BESIDE, Cure, Group, grouped
from depfix.reports.markup import cells, code, prose
from depfix.reports.plans import ACTIONS
from depfix.reports.words import accepted_words, count, sure_words, verdict
from depfix.wording.message import phrase
from depfix.wording.speech import said, say, spoken

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.model.plan import Action, Plan
    from depfix.model.report import Report
    from depfix.reports.forms import Material

_LONGEST = 60_000  # characters of all of it; GitHub takes 65,536 for a comment
_MOST_NAMES = 40
_TITLES = {
    Severity.ERROR: phrase("Errors"),
    Severity.WARNING: phrase("Warnings"),
    Severity.INFO: phrase("Possible, or for information"),
}


def markdown(material: Material) -> str:
    """Return a report as Markdown."""
    material = replace(material, report=spoken(material.report), accepted=spoken(material.accepted))
    report = material.report
    budget = _Budget(_LONGEST)
    lines = [*_head(material), ""]
    for severity in Severity:
        findings = [finding for finding in report.findings if finding.severity is severity]
        if findings and (severity is not Severity.INFO or material.verbose):
            rows = ((len(group.findings), _row(group)) for group in grouped(findings))
            lines += _table(
                f"{said(_TITLES[severity])} ({len(findings)})",
                _head_of(say("| What | Why | What to do |")),
                budget.taken(rows),
            )
    if material.accepted:
        head = _head_of(say("| What | Accepted |"))
        rows = ((1, _accepted_row(one)) for one in material.accepted)
        lines += _table(say("Accepted ({number})", number=len(material.accepted)), head, budget.taken(rows))
    if report.plan is not None and (report.plan.actions or report.plan.declined):
        lines += _plan(report.plan, report.applied, budget)
    return "\n".join(map(no_command, lines)).rstrip() + "\n"


def _head_of(titles: str) -> tuple[str, str]:
    return titles, "| --- " * (titles.count("|") - 1) + "|"


class _Budget:
    """How many characters may still be written."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    def taken(self, rows: Iterable[tuple[int, str]]) -> tuple[list[str], int]:
        """Return the rows for which there is room, and for how many findings there is none; a row is of some."""
        shown_rows, left_out = [], 0
        for number, row in rows:
            if left_out or len(row) > self._left:
                left_out += number
            else:
                self._left -= len(row)
                shown_rows.append(row)
        return shown_rows, left_out


def _head(material: Material) -> Iterator[str]:
    report = material.report
    mark = say("failed") if material.verdict.failed else say("passed")
    yield f"## depfix {mark}: {code(base_name(report.dist.root))}"
    yield ""
    yield f"**{prose(verdict(report, len(material.accepted)))}**"
    yield ""
    yield prose(_facts(report))


def _facts(report: Report) -> str:
    dist = report.dist
    python = f"Python {dist.python}" if dist.python else say("no Python")
    environments = ", ".join(environment.spec for environment in report.environments)
    parts = (
        f"{dist.freezer_words}, {python}, {dist.machine}",
        say("{files:,} files, {images} images", files=dist.files, images=dist.images),
        say("checked for {target_words}", target_words=report.target_words),
        say("environment {environments}", environments=environments) if environments else "",
    )
    return "; ".join(filter(None, parts)) + "."


def _table(title: str, head: Sequence[str], taken: tuple[list[str], int]) -> Iterator[str]:
    rows, left_out = taken
    yield f"### {title}"
    yield ""
    if rows:
        yield from (*head, *rows, "")
    if left_out:
        yield say("{left_out} more are left out here; the text and JSON reports have all of them.", left_out=left_out)
        yield ""


def _row(group: Group) -> str:
    first = group.first
    subjects = ", ".join(map(code, group.subjects[:_MOST_NAMES]))
    hidden = len(group.subjects) - _MOST_NAMES
    more = say(" and {hidden} more", hidden=hidden) if hidden > 0 else ""
    what = f"{first.rule} {first.name}<br>{subjects}{more}{sure_words(first)}"
    why = prose(first.message)
    if group.chain:
        why += "<br>" + say("needed by {chain}", chain=" → ".join(map(code, group.chain)))
    return cells(what, why, "<br>".join(filter(None, map(_cure, group.cures))))


def _cure(cure: Cure) -> str:
    names = f"{', '.join(map(code, cure.subjects[:_MOST_NAMES]))}: " if cure.no_fix and len(cure.subjects) > 1 else ""
    if cure.no_fix:
        return f"{names}{prose(cure.no_fix)}"
    if not cure.source:
        return ""
    number = f" ({len(cure.subjects)})" if len(cure.subjects) > 1 else ""
    note = f"; {prose(cure.note)}" if cure.note else ""
    place = said(BESIDE) if cure.destination == said(BESIDE) else code(cure.destination)
    return say(
        "copy from {provider}{number}: {source}, to {place}{note}",
        provider=prose(cure.provider or say("a folder")),
        number=number,
        source=code(cure.source),
        place=place,
        note=note,
    )


def _accepted_row(accepted: Accepted) -> str:
    finding = accepted.finding
    return cells(
        f"{finding.rule} {finding.name}<br>{code(shown(finding.subject))}",
        prose(accepted_words(accepted)),
    )


def _plan(plan: Plan, applied: bool, budget: _Budget) -> Iterator[str]:
    title = say(
        "{part} ({files}, {size:,} bytes)",
        part=say("Copied") if applied else say("To be copied"),
        files=count(len(plan.actions), "file"),
        size=plan.size,
    )
    head = _head_of(say("| Action | File | From | Needed by |"))
    yield from _table(title, head, budget.taken((1, _action_row(action)) for action in plan.actions))
    if plan.declined:
        declined = ((1, cells(f"{row.rule} {code(shown(row.subject))}", prose(row.reason))) for row in plan.declined)
        head = _head_of(say("| Not cured | Why |"))
        yield from _table(say("Without a cure ({number})", number=len(plan.declined)), head, budget.taken(declined))


def _action_row(action: Action) -> str:
    needed = " → ".join(code(shown(step)) for step in action.chain)
    return cells(said(ACTIONS[action.action]), code(shown(action.destination)), prose(str(action.provider)), needed)
