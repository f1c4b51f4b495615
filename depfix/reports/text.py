"""The text report: what, why, from where, what to type next. ASCII in its own words, so that any console shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.plan import Plan
from depfix.model.report import Report
from depfix.model.shown import shown_line
from depfix.reports import words
from depfix.reports.groups import Cure, Group, grouped
from depfix.reports.words import accepted_words, count, listed, padded, severity_word, size, sure_words
from depfix.wording.speech import say, spoken

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.reports.forms import Material

__all__ = [
    "Line",
    "count",
    "declined_words",
    "finding_lines",
    "fixed_words",
    "head",
    "plain",
    "repair_lines",
    "scan_lines",
    "scan_text",
    "size",
    "verdict",
]

_INDENT = " " * 9
COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `lead` is shown in `colour` and bold, `label` dimly behind it, then `text`.

    Where a terminal is narrow, the text goes on below its own beginning.
    """

    text: str = ""
    lead: str = ""
    colour: str = ""
    label: str = ""


def scan_text(material: Material) -> str:
    """Return the report of a scan or audit as text without colours."""
    return plain(scan_lines(material.report, verbose=material.verbose, accepted=material.accepted))


def plain(lines: Iterable[Line]) -> str:
    """Return lines without colours."""
    return "".join(f"{shown_line(f'{line.lead}{line.label}{line.text}'.rstrip())}\n" for line in lines)


def scan_lines(report: Report, *, verbose: bool, accepted: tuple[Accepted, ...] = ()) -> Iterator[Line]:
    """Yield the report of a scan; `verbose` shows what is merely possible, and the places looked at."""
    report, accepted = spoken((report, accepted))
    yield from head(report)
    yield Line()
    wanted = (finding for finding in report.findings if verbose or finding.severity is not Severity.INFO)
    for group in grouped(wanted, single=verbose):
        yield from _group_lines(group, verbose, cures=bool(report.environments))
        yield Line()
    yield from _accepted_lines(accepted, verbose)
    yield Line(verdict(report, len(accepted)))


def _accepted_lines(accepted: tuple[Accepted, ...], verbose: bool) -> Iterator[Line]:
    """Yield each accepted finding with its reason; of those without one, as in a baseline, only how many."""
    silent = Counter(one.by for one in accepted if not (one.reason or verbose))
    for one in accepted:
        if one.reason or verbose:
            yield Line(
                f"{one.finding.rule} {one.finding.name}  {one.finding.subject}", padded(say("accepted"), 9), "green"
            )
            yield Line(accepted_words(one), label=_INDENT)
    for by, number in silent.items():
        yield Line(
            say("{findings} by {by} (-v shows them)", findings=count(number, "finding"), by=by),
            padded(say("accepted"), 9),
            "green",
        )
    if accepted:
        yield Line()


def repair_lines(report: Report) -> Iterator[Line]:
    """Yield what a repair did, and what is left."""
    report = spoken(report)
    plan, verification = report.plan, report.verification
    if plan is None or verification is None:
        return
    yield Line(
        say(
            "{files} copied, {size}; {fixed}",
            files=count(len(plan.actions), "file"),
            size=size(plan.size),
            fixed=fixed_words(report),
        )
    )
    left = [finding for finding in verification.remaining + verification.introduced if _matters(finding)]
    if left:
        yield Line()
        yield Line(say("still wrong:"))
        reasons = {(row.rule, row.subject): row.reason for row in plan.declined}
        for finding in left:
            what = f"{finding.rule} {finding.subject}: {finding.message}"
            yield Line(what, padded(severity_word(finding.severity), 8), _colour(finding))
            reason = reasons.get((finding.rule, finding.subject), "")
            if reason:
                yield _labelled(say("no cure"), reason)


def verdict(report: Report, accepted: int = 0) -> str:
    """Return the one line that sums up a scan."""
    return words.verdict(report, accepted, say("-v shows them"))


def declined_words(plan: Plan) -> str:
    return (
        say("{findings} without a cure", findings=count(len(plan.declined), "finding"))
        if plan.declined
        else say("every finding has a cure")
    )


def fixed_words(report: Report) -> str:
    verification = report.verification
    if verification is None:
        return ""
    fixed = sum(_matters(finding) for finding in verification.fixed)
    left = sum(_matters(finding) for finding in verification.remaining + verification.introduced)
    return say("{findings} fixed, {left} left", findings=count(fixed, "finding"), left=left)


def head(report: Report) -> Iterator[Line]:
    """Yield what was looked at: the dist, the target, how far it was followed, the environments."""
    report = spoken(report)
    dist = report.dist
    python = f"Python {dist.python}" if dist.python else say("no Python")
    facts = say(
        "{freezer_words}, {python}, {machine}; {files:,} files, {images} images",
        freezer_words=dist.freezer_words,
        python=python,
        machine=dist.machine,
        files=dist.files,
        images=dist.images,
    )
    yield Line(f"  {facts}", dist.root, "white")
    yield Line(
        "  "
        + say(
            "target {target_words}, clean, {machine}; program {programs}",
            target_words=report.target_words,
            machine=dist.machine,
            programs=", ".join(dist.programs),
        )
    )
    if report.inside:
        yield Line("  " + say("inside the program {inside}", inside=report.inside))
    if report.reach == "everything":
        yield Line(
            "  " + say("checked is all that can be imported; with --entry SCRIPT.py only what the program reaches")
        )
    for environment in report.environments:
        python = f", Python {environment.python}" if environment.python else ""
        yield Line("  " + say("environment {environment}{python}", environment=environment.spec, python=python))
        if environment.caveat:
            yield Line(environment.caveat, "    " + say("note: "), "yellow")


def finding_lines(finding: Finding, verbose: bool, *, cures: bool) -> Iterator[Line]:
    """Yield a finding: what, why, who needs it, and its cure, or with `cures` why it has none."""
    yield from _group_lines(Group((spoken(finding),)), verbose, cures=cures)


def _group_lines(group: Group, verbose: bool, *, cures: bool) -> Iterator[Line]:
    first = group.first
    title = f"{first.rule} {first.name}  {group.title}{sure_words(first)}"
    yield Line(title, padded(severity_word(first.severity), 9), _colour(first))
    if len(group.findings) > 1:
        yield _labelled("", ", ".join(group.subjects))
    yield _labelled("", first.message)
    if group.chain:
        yield _labelled(say("needed by"), " > ".join(group.chain))
    if verbose and first.trail:
        yield _labelled(say("looked at"), listed(first.trail, "; "))
    cures_of_group = group.cures
    most = max(len(cure.subjects) for cure in cures_of_group)
    for cure in cures_of_group:
        all_of_them = len(cures_of_group) == 1
        number = (
            say(" ({number} of them)", number=len(cure.subjects))
            if len(cure.subjects) == most
            else f" ({', '.join(cure.subjects)})"
        )
        yield from _cure_lines(cure, "" if all_of_them else number, cures)


def _cure_lines(cure: Cure, which: str, cures: bool) -> Iterator[Line]:
    many = len(cure.subjects) > 1
    if cure.source:
        yield _labelled(say("get them") if many else say("get it"), f"{cure.provider}: {cure.source}{which}")
        yield _labelled(say("put them") if many else say("put it"), cure.destination)
        if cure.note:
            yield _labelled(say("mind"), cure.note)
    elif cure.no_fix and cures:
        yield _labelled(say("no cure"), f"{cure.no_fix}{which}")


def _labelled(label: str, text: str) -> Line:
    return Line(text, label=f"{_INDENT}{padded(label, 11)}" if label else _INDENT)


def _colour(finding: Finding) -> str:
    return COLOUR[finding.severity]


def _matters(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO and finding.confidence is not Confidence.POSSIBLE
