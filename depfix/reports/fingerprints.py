"""Fingerprints that no two findings of one report share: services drop what has one that they have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depfix.model.finding import Finding


def fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the fingerprint of each finding, with a count behind it: `1f2e3d4c5b6a7988:1`, the second one `:2`."""
    seen: Counter[str] = Counter()
    found = []
    for finding in findings:
        seen[finding.fingerprint] += 1
        found.append(f"{finding.fingerprint}:{seen[finding.fingerprint]}")
    return tuple(found)
