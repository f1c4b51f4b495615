"""Sentences that several forms of a report share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depfix.model.finding import Severity
from depfix.model.shown import shown

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.model.finding import Finding
    from depfix.model.report import Report


def count(number: int, word: str) -> str:
    """Return a number with its noun: 1 file, 2 files."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """Return a number of bytes for a person, in units of 1,000."""
    if number < 1000:
        return f"{number} B"
    if number < 1_000_000:
        return f"{number / 1000:.1f} kB"
    return f"{number / 1_000_000:.1f} MB"


def verdict(report: Report, accepted: int = 0, hint: str = "") -> str:
    """Return the one line that sums up a report; `hint` says how what is merely possible is shown."""
    errors, warnings, infos = (report.count(severity) for severity in Severity)
    more = f"; {accepted} accepted" if accepted else ""
    if not errors and not warnings:
        possible = f" ({infos} possible{hint and f', {hint}'})" if infos else ""
        return f"nothing {'else ' if accepted else ''}is missing for {report.target_words}{possible}{more}"
    possible = f", {infos} possible{hint and f' ({hint})'}" if infos else ""
    return f"{count(errors, 'error')}, {count(warnings, 'warning')}{possible}{more}"


def sentence(text: str) -> str:
    """Return a text in one line with a full stop."""
    line = shown(text).strip()
    return line if line.endswith((".", "!", "?")) else f"{line}."


def cure_words(finding: Finding) -> str:
    """Return in one sentence what cures a finding, or why nothing does; empty if neither is known."""
    fix = finding.fix
    if fix is not None:
        note = f" ({fix.note})" if fix.note else ""
        return shown(f"Get it from {fix.provider or 'a folder'}: {fix.source}; put it at {fix.destination}{note}.")
    return sentence(f"No cure: {finding.no_fix}") if finding.no_fix else ""


def sure_words(finding: Finding) -> str:
    """Return ` (probable)` for a finding that is not certain."""
    return "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"


def accepted_words(accepted: Accepted) -> str:
    """Return who accepted a finding, until when, and why."""
    until = f" until {accepted.expires}" if accepted.expires else ""
    return shown(f"accepted by {accepted.by}{until}{f': {accepted.reason}' if accepted.reason else ''}")
