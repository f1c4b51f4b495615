"""The text report: what, why, from where, what to type next. ASCII in its own words, so that any console shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.plan import Plan
from depfix.model.report import Report

if TYPE_CHECKING:
    from depfix.reports.forms import Material

_INDENT = " " * 9
_COLOUR = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `lead` is shown in `colour` and bold, `text` plainly behind it."""

    text: str = ""
    lead: str = ""
    colour: str = ""


def scan_text(material: Material) -> str:
    """Return the report of a scan or audit as text without colours."""
    return plain(scan_lines(material.report, verbose=material.verbose))


def plain(lines: Iterable[Line]) -> str:
    """Return lines without colours."""
    return "".join(f"{line.lead}{line.text}".rstrip() + "\n" for line in lines)


def scan_lines(report: Report, *, verbose: bool) -> Iterator[Line]:
    """Yield the report of a scan; `verbose` shows what is merely possible, and the places looked at."""
    yield from head(report)
    yield Line()
    for finding in report.findings:
        if verbose or finding.severity is not Severity.INFO:
            yield from finding_lines(finding, verbose, cures=bool(report.environments))
            yield Line()
    yield Line(verdict(report))


def repair_lines(report: Report) -> Iterator[Line]:
    """Yield what a repair did, and what is left."""
    plan, verification = report.plan, report.verification
    if plan is None or verification is None:
        return
    yield Line(f"{count(len(plan.actions), 'file')} copied, {size(plan.size)}; {fixed_words(report)}")
    left = [finding for finding in verification.remaining + verification.introduced if _matters(finding)]
    if left:
        yield Line()
        yield Line("still wrong:")
        reasons = {(row.rule, row.subject): row.reason for row in plan.declined}
        for finding in left:
            yield Line(
                f" {finding.rule} {finding.subject}: {finding.message}", finding.severity.value, _colour(finding)
            )
            reason = reasons.get((finding.rule, finding.subject), "")
            if reason:
                yield Line(f"{_INDENT}no cure    {reason}")


def verdict(report: Report) -> str:
    """Return the one line that sums up a scan."""
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    infos = report.count(Severity.INFO)
    if not errors and not warnings:
        more = f" ({infos} possible, -v shows them)" if infos else ""
        return f"nothing is missing for {report.target_words}{more}"
    more = f", {infos} possible (-v shows them)" if infos else ""
    return f"{count(errors, 'error')}, {count(warnings, 'warning')}{more}"


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Return a number of bytes for a person, in units of 1,000."""
    if number < 1000:
        return f"{number} B"
    if number < 1_000_000:
        return f"{number / 1000:.1f} kB"
    return f"{number / 1_000_000:.1f} MB"


def declined_words(plan: Plan) -> str:
    return f"{count(len(plan.declined), 'finding')} without a cure" if plan.declined else "every finding has a cure"


def fixed_words(report: Report) -> str:
    verification = report.verification
    if verification is None:
        return ""
    fixed = sum(_matters(finding) for finding in verification.fixed)
    left = sum(_matters(finding) for finding in verification.remaining + verification.introduced)
    return f"{count(fixed, 'finding')} fixed, {left} left"


def head(report: Report) -> Iterator[Line]:
    """Yield what was looked at: the dist, the target, how far it was followed, the environments."""
    dist = report.dist
    python = f"Python {dist.python}" if dist.python else "no Python"
    facts = f"{dist.freezer_words}, {python}, {dist.machine}; {dist.files:,} files, {dist.images} images"
    yield Line(f"  {facts}", dist.root, "white")
    yield Line(f"  target {report.target_words}, clean, {dist.machine}; program {', '.join(dist.programs)}")
    if report.inside:
        yield Line(f"  inside the program {report.inside}")
    if report.reach == "everything":
        yield Line("  checked is all that can be imported; with --entry SCRIPT.py only what the program reaches")
    for environment in report.environments:
        python = f", Python {environment.python}" if environment.python else ""
        yield Line(f"  environment {environment.spec}{python}")
        if environment.caveat:
            yield Line(f" {environment.caveat}", "    note:", "yellow")


def finding_lines(finding: Finding, verbose: bool, *, cures: bool) -> Iterator[Line]:
    sure = "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"
    yield Line(
        f"  {finding.rule} {finding.name}  {finding.subject}{sure}", f"{finding.severity.value:<7}", _colour(finding)
    )
    yield Line(f"{_INDENT}{finding.message}")
    if len(finding.chain) > 1:
        yield Line(f"{_INDENT}needed by  {' > '.join(finding.chain)}")
    if verbose and finding.trail:
        yield Line(f"{_INDENT}looked at  {'; '.join(finding.trail)}")
    if finding.fix is not None:
        yield Line(f"{_INDENT}get it     {finding.fix.provider}: {finding.fix.source}")
        yield Line(f"{_INDENT}put it     {finding.fix.destination}")
        if finding.fix.note:
            yield Line(f"{_INDENT}mind       {finding.fix.note}")
    elif finding.no_fix and cures:
        yield Line(f"{_INDENT}no cure    {finding.no_fix}")


def _colour(finding: Finding) -> str:
    return _COLOUR[finding.severity]


def _matters(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO and finding.confidence is not Confidence.POSSIBLE
