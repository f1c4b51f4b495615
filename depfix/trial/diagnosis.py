"""From an error text to its causes, best first; with the closure of a dist to the file that is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from depfix.knowledge.failures import UNKNOWN, causes
from depfix.knowledge.rules import own_rules
from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.trial.messages import Hit, hits_of
from depfix.trial.naming import Told, told_by
from depfix.wording.message import Message, joined, phrase, tabled

if TYPE_CHECKING:
    from depfix.closure.build import Closure
    from depfix.model.finding import Finding
    from depfix.trial.causes import Evidence, Joined

_MOST_CAUSES = 20
_MOST_ERRORS = 5
_RANK = {Confidence.CERTAIN: 0, Confidence.PROBABLE: 1, Confidence.POSSIBLE: 2}
_SAID_SHORTER = ("missing-dll", "missing-vc-runtime", "missing-runtime-dll", "missing-delay-dll")
_OWN_NAMES = ("multiprocessing", "dll-init-failed")


def diagnose(text: str, closure: Closure | None = None, findings: Sequence[Finding] = ()) -> tuple[Cause, ...]:
    """Return the causes that an error text tells of, best first; none if it tells of no error that is known.

    `closure` and `findings` are those of the dist that failed: what they say, too, is certain and comes with its chain
    and its cure. Nothing is certain without them.
    """
    told = [(hit, told_by(hit)) for hit in hits_of(text)]
    told.sort(key=lambda pair: _rank(*pair))
    if closure is None:
        return _ordered([_cause(hit, one) for hit, one in told])
    from depfix.trial.causes import Evidence

    evidence = Evidence(closure, findings)
    found = [cause for hit, one in told for cause in _joined(hit, one, evidence)]
    if not any(cause.cause != UNKNOWN for cause in found):
        found += [_of_finding(row, None, None) for row in evidence.errors()[:_MOST_ERRORS]]
    found.sort(key=lambda cause: _RANK[cause.confidence] if cause.confidence is Confidence.CERTAIN else 1)
    return _ordered(found)


def cause_words(cause: str, subject: str) -> str:
    """Return the sentence that tells a cause."""
    words = causes()[cause]
    return Message(words.named, (("subject", subject),)) if subject and words.named else tabled(words.unnamed)


def rule_code(cause: str) -> str:
    """Return the code of the rule that a cause is named after, an empty string if it is none."""
    name = "unguarded-multiprocessing" if cause == "multiprocessing" else cause
    return next((rule.code for rule in own_rules() if rule.name == name), "")


def _rank(hit: Hit, told: Told) -> tuple[bool, bool, int, int, int]:
    """Order by: known before unknown, errors before warnings, sure first, the last chain first, its root first."""
    return (told.cause == UNKNOWN, hit.failure.weak, _RANK[told.confidence], -hit.chain, hit.line)


def _cause(hit: Hit, told: Told) -> Cause:
    return Cause(
        told.cause,
        rule_code(told.cause),
        told.confidence,
        told.subject,
        cause_words(told.cause, told.subject) or told.words,
        why=told.words,
        line=hit.line,
        evidence=hit.evidence,
    )


def _joined(hit: Hit, told: Told, evidence: Evidence) -> list[Cause]:
    """Return what the dist says of one failure; if it says nothing, what the text says, and what is there instead."""
    told = evidence.placed(told)
    found = [_of_finding(row, hit, told) for row in evidence.of(hit, told)]
    if any(cause.confidence is Confidence.CERTAIN for cause in found):
        return found
    alone = _cause(hit, told)
    refusal = evidence.refusal(told.subject) if told.cause == "excluded-module-guard" else ""
    if refusal:
        said = phrase("the program's loader says so for this module: {refusal}", refusal=refusal)
        return [
            replace(alone, confidence=Confidence.CERTAIN, why=phrase("{told}; {said}", told=told.words, said=said)),
            *found,
        ]
    words = evidence.words_on(told) if not found else ""
    if words:
        alone = replace(alone, why=joined("; ", filter(None, (words, told.words))))
    return [*found, alone] if found and found[0].confidence is Confidence.PROBABLE else [alone, *found]


def _of_finding(row: Joined, hit: Hit | None, told: Told | None) -> Cause:
    """Return the cause that a finding of the dist is."""
    finding = row.finding
    cause = told.cause if told is not None and told.cause in _OWN_NAMES else finding.name
    what = _sentence(row)
    more = finding.message if finding.message not in what else ""
    why = joined("; ", filter(None, (told.words if told is not None else "", more)))
    return Cause(
        cause,
        finding.rule,
        row.confidence if told is None or told.cause != "dll-init-failed" else Confidence.POSSIBLE,
        finding.subject,
        what,
        why=why,
        line=hit.line if hit is not None else 0,
        evidence=hit.evidence if hit is not None else "",
        chain=finding.chain,
        fix=finding.fix,
    )


def _sentence(row: Joined) -> str:
    """Return what a finding says in one sentence that names its subject."""
    finding = row.finding
    if row.absent and finding.locations and finding.name in _SAID_SHORTER:
        return phrase(
            "{subject}, needed by {location}, is not in the dist",
            subject=finding.subject,
            location=finding.locations[0].path,
        )
    return (
        finding.message
        if finding.subject in finding.message
        else phrase("{subject}: {message}", subject=finding.subject, message=finding.message)
    )


def _ordered(found: list[Cause]) -> tuple[Cause, ...]:
    """Return causes, each once; one that names nothing goes where another of its kind names it."""
    named = {cause.cause for cause in found if cause.subject}
    once: dict[tuple[str, str], Cause] = {}
    for cause in found:
        if cause.subject or cause.cause not in named:
            once.setdefault((cause.cause, cause.subject or cause.why), cause)
    return tuple(once.values())[:_MOST_CAUSES]
