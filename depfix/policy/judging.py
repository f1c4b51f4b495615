"""Which findings count: those that neither the policy nor the baseline accepts. DF705, DF706 tell of acceptances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from depfix.checks.findings import finding
from depfix.knowledge.rules import policy_rules
from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Finding, Location
from depfix.policy.baseline import Baseline
from depfix.policy.globs import first_match
from depfix.policy.values import Acceptance, Policy
from depfix.wording.message import counted, english, phrase

EXPIRED, UNUSED = "expired-acceptance", "unused-acceptance"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the findings of one dist: those that count, those that were accepted, and how it ends."""

    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """One dist before its judgement: its policy, all its findings, and its baseline if it has one."""

    policy: Policy
    findings: tuple[Finding, ...]
    baseline: Baseline | None = None


def judge(cases: Sequence[Case], today: date) -> tuple[Judgement, ...]:
    """Return the judgement of each dist of one run, in their order.

    An acceptance holds on the day that it names, and no longer on the next. One that no finding of any dist fits is
    told with the first dist that it holds for.
    """
    judged = [_judged(case, today) for case in cases]
    used = {one for _, uses in judged for one in uses}
    found: list[Judgement] = []
    for case, (judgement, _) in zip(cases, judged, strict=True):
        unused = [one for one in case.policy.accept if one not in used and _is_judged(one, case.policy)]
        used.update(unused)  # told once
        found.append(_with_findings(judgement, case.policy, map(_unused, unused)))
    return tuple(found)


def fitting(one: Finding, acceptances: Iterable[Acceptance]) -> tuple[Acceptance, ...]:
    """Return the acceptances that a finding fits."""
    return tuple(each for each in acceptances if _fits(one, each))


def _judged(case: Case, today: date) -> tuple[Judgement, set[Acceptance]]:
    counting: list[Finding] = []
    accepted: list[Accepted] = []
    used: set[Acceptance] = set()
    expired: dict[Acceptance, int] = {}
    for one in case.findings:
        fit = fitting(one, case.policy.accept)
        used.update(fit)
        valid = [each for each in fit if each.expires is None or each.expires >= today]
        if valid:
            day = valid[0].expires
            accepted.append(Accepted(one, valid[0].place, valid[0].reason, day.isoformat() if day else ""))
        elif case.baseline is not None and one.fingerprint in case.baseline.fingerprints:
            accepted.append(Accepted(one, case.baseline.path))
        else:
            counting.append(one)
            expired.update({each: expired.get(each, 0) + 1 for each in fit})
    policy = case.policy
    judgement = Judgement(tuple(counting), tuple(accepted), Verdict(False, policy.fail_on, policy.file))
    return _with_findings(judgement, policy, (_expired(each, number) for each, number in expired.items())), used


def _with_findings(judgement: Judgement, policy: Policy, more: Iterable[Finding]) -> Judgement:
    added = [one for one in more if one.rule not in policy.ignore]
    findings = tuple(sorted((*judgement.findings, *added), key=lambda one: (one.severity.rank, one.rule, one.subject)))
    verdict = replace(judgement.verdict, failed=any(one.fails(policy.fail_on) for one in findings))
    return replace(judgement, findings=findings, verdict=verdict)


def _fits(one: Finding, acceptance: Acceptance) -> bool:
    """Return True if an acceptance names a finding: each of its fields does, its paths all places of it."""
    if acceptance.rules and one.rule not in acceptance.rules:
        return False
    if acceptance.subjects and not first_match(acceptance.subjects, one.subject):
        return False
    places = {place.path for place in one.locations} or {one.subject}
    return not acceptance.paths or all(first_match(acceptance.paths, place) for place in places)


def _is_judged(acceptance: Acceptance, policy: Policy) -> bool:
    """Return True if findings that it names would have been seen: not if this run looks at other rules alone."""
    if not acceptance.rules:
        return not policy.select
    shown = set(policy.select) | set(policy_rules()) if policy.select else set(acceptance.rules)
    return bool(shown & set(acceptance.rules) - set(policy.ignore))


def _expired(acceptance: Acceptance, number: int) -> Finding:
    findings = counted(number, "the finding that it accepted counts", "{number} findings that it accepted count")
    day = acceptance.expires.isoformat() if acceptance.expires is not None else ""
    message = phrase(
        "{where} accepted {acceptance} until {day} ({reason}): {findings} again",
        where=acceptance.where,
        acceptance=acceptance.words,
        day=day,
        reason=acceptance.reason,
        findings=findings,
    )
    return _about(EXPIRED, acceptance, message)


def _unused(acceptance: Acceptance) -> Finding:
    message = phrase(
        "{where} accepts {acceptance} ({reason}), and nothing is found that it fits",
        where=acceptance.where,
        acceptance=acceptance.words,
        reason=acceptance.reason,
    )
    return _about(UNUSED, acceptance, message)


def _about(name: str, acceptance: Acceptance, message: str) -> Finding:
    return finding(name, english(acceptance.words), message, locations=(Location(acceptance.place, acceptance.line),))
