"""What a repair did to the findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from depfix.model.finding import Finding, Fix
from depfix.model.names import plain_path
from depfix.model.plan import Plan
from depfix.model.report import Verification
from depfix.repair.planner import Cures, key_of


def compared(before: Iterable[Finding], after: Iterable[Finding]) -> Verification:
    """Return which findings are gone, which are left, and which are new."""
    old = {finding.fingerprint: finding for finding in before}
    new = {finding.fingerprint: finding for finding in after}
    return Verification(
        tuple(finding for key, finding in old.items() if key not in new),
        tuple(finding for key, finding in new.items() if key in old),
        tuple(finding for key, finding in new.items() if key not in old),
    )


def with_fixes(findings: Iterable[Finding], cures: Cures) -> tuple[Finding, ...]:
    """Return findings with their cure, or with why there is none."""
    found = []
    for finding in findings:
        action = cures.actions.get(key_of(finding))
        if action is None:
            found.append(replace(finding, no_fix=cures.reasons.get(key_of(finding), "")))
        else:
            source = plain_path(action.source)
            fix = Fix(action.action, source, action.destination, str(action.provider), action.provider.note)
            found.append(replace(finding, fix=fix))
    return tuple(found)


def cures_of(plan: Plan, findings: Iterable[Finding]) -> Cures:
    """Return what a plan that was read does for each finding, as far as rule and subject tell."""
    actions = {(action.rule, action.subject): action for action in reversed(plan.actions)}
    reasons = {(row.rule, row.subject): row.reason for row in plan.declined}
    keys = [key_of(finding) for finding in findings]
    return Cures(
        {key: actions[key[:2]] for key in keys if key[:2] in actions},
        {key: reasons[key[:2]] for key in keys if key[:2] in reasons},
    )
