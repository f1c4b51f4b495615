"""What an audit decided: which findings count, which were accepted and why, and whether it passed."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.finding import Finding


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that does not count.

    `by` says what accepted it ("depfix.toml", "baseline.json"), `reason` why, in the words of whoever accepted it
    (empty in a baseline), `expires` the last day on which that holds, as 2026-12-31, empty if it always does.
    """

    finding: Finding
    by: str
    reason: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an audit, or a scan, ends: `fail_on` is error, warning or never; `policy` the file that was followed."""

    failed: bool
    fail_on: str
    policy: str = ""
