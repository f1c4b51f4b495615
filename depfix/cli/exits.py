"""What the command line ends with: the exit codes, and which findings make it fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depfix.model.finding import Finding

CLEAN, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130  # others are those of exceptions, see depfix.errors
_RANK = {"error": 0, "warning": 1, "never": -1}


def exit_code(findings: tuple[Finding, ...], level: str) -> int:
    """Return what a command ends with that has found these, and that is to fail at this level."""
    return FINDINGS if fails(findings, level) else CLEAN


def fails(findings: tuple[Finding, ...], level: str) -> bool:
    """Return True if a finding is at or above the level; mere possibilities never fail."""
    from depfix.model.finding import Confidence

    return any(
        finding.severity.rank <= _RANK[level] and finding.confidence is not Confidence.POSSIBLE for finding in findings
    )
