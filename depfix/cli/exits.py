"""What the command line ends with: the exit codes, and which findings make it fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depfix.model.finding import Finding

CLEAN, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130  # others are those of exceptions, see depfix.errors


def exit_code(findings: tuple[Finding, ...], level: str) -> int:
    """Return what a command ends with that has found these, and that is to fail at this level."""
    return FINDINGS if fails(findings, level) else CLEAN


def fails(findings: tuple[Finding, ...], level: str) -> bool:
    """Return True if a finding is at or above the level; mere possibilities never fail."""
    return any(finding.fails(level) for finding in findings)
