"""From an error text to its causes, best first; with the closure of a dist to the file that is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from depfix.knowledge.failures import UNKNOWN, causes
from depfix.knowledge.rules import rules
from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.verify.messages import Hit, hits_of
from depfix.verify.naming import Told, told_by

if TYPE_CHECKING:
    from depfix.closure.build import Closure
    from depfix.model.finding import Finding

_MOST_CAUSES = 20
_RANK = {Confidence.CERTAIN: 0, Confidence.PROBABLE: 1, Confidence.POSSIBLE: 2}


def diagnose(text: str, closure: Closure | None = None, findings: Sequence[Finding] = ()) -> tuple[Cause, ...]:
    """Return the causes that an error text tells of, best first; none if it tells of no error that is known.

    `closure` and `findings` are those of the dist that failed: what they say, too, is certain and comes with its chain
    and its cure. Nothing is certain without them.
    """
    told = [(hit, told_by(hit)) for hit in hits_of(text)]
    told.sort(key=lambda pair: _rank(*pair))
    found = _without_repeats([_cause(hit, one) for hit, one in told])
    if closure is None:
        return tuple(found)
    from depfix.verify.causes import joined

    return joined(found, [pair for pair in told], closure, findings)


def cause_words(cause: str, subject: str) -> str:
    """Return the sentence that tells a cause."""
    words = causes()[cause]
    return words.named.replace("{subject}", subject) if subject and words.named else words.unnamed


def rule_code(cause: str) -> str:
    """Return the code of the rule that a cause is named after, an empty string if it is none."""
    return next((rule.code for rule in rules() if rule.name == cause), "")


def _rank(hit: Hit, told: Told) -> tuple[int, bool, bool, int, int]:
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


def _without_repeats(found: list[Cause]) -> list[Cause]:
    """Return causes, each once; one that names nothing goes where another of its kind names it."""
    named = {cause.cause for cause in found if cause.subject}
    once: dict[tuple[str, str], Cause] = {}
    for cause in found:
        if cause.subject or cause.cause not in named:
            once.setdefault((cause.cause, cause.subject or cause.why), cause)
    return list(once.values())[:_MOST_CAUSES]
