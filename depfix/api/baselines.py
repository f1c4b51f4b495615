"""Baselines: findings of an earlier day that do not count."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.knowledge.rules import policy_rules, rule, rules
from depfix.policy.baseline import Baseline, baseline_text, read_baseline, updated, without_accepted

__all__ = ["Baseline", "baseline_text", "read_baseline", "rules_unseen", "updated", "without_accepted"]


def rules_unseen(select: Iterable[str], ignore: Iterable[str], *, policy: bool = False) -> frozenset[str]:
    """Return the codes of rules that a run with these choices does not look at.

    With `policy` it asks what a policy asks, too, whatever is selected. Raises UnknownRuleError.
    """
    every, asked = {one.code for one in rules()}, set(policy_rules())
    seen = ({rule(name).code for name in select} or every) - asked
    return frozenset(every - (seen | asked if policy else seen) | {rule(name).code for name in ignore})
