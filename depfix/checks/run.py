"""All checks, in one order."""

from __future__ import annotations

from depfix.checks.images import check_images
from depfix.checks.missing import check_missing
from depfix.checks.skipped import check_skipped
from depfix.checks.unreached import check_unreached
from depfix.closure.build import Closure
from depfix.model.finding import Finding


def run_checks(closure: Closure) -> tuple[Finding, ...]:
    """Return every finding of a closure, worst first, then by rule and subject."""
    found = [*check_missing(closure), *check_images(closure), *check_skipped(closure)]
    found += check_unreached(closure, {finding.subject for finding in found})
    return tuple(sorted(found, key=lambda finding: (finding.severity.rank, finding.rule, finding.subject)))
