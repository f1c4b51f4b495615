"""`depfix diagnose`: causes as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.reports.json import SCHEMA_VERSION, encoded, fix_value
from depfix.reports.text import Line
from depfix.reports.words import confidence_word, padded
from depfix.wording.message import phrase
from depfix.wording.speech import said, say, spoken

_INDENT = " " * 11
_WIDTH = 11
_LONGEST = 300
_UNKNOWN = "unknown"
_COLOUR = {Confidence.CERTAIN: "red", Confidence.PROBABLE: "yellow", Confidence.POSSIBLE: "cyan"}
_NOTHING = phrase("the text tells of no error that depfix knows")
_NO_CAUSE = phrase("the text does not say that something is missing")


def diagnosis_lines(causes: Sequence[Cause], dist: str = "") -> Iterator[Line]:
    """Yield the causes that a text tells of: the best one whole, the others in one line each."""
    causes = spoken(tuple(causes))
    if not causes:
        yield Line(said(_NOTHING))
        yield from _unknown(dist)
        return
    best = causes[0]
    if best.cause == _UNKNOWN:
        yield Line(best.message or said(_NO_CAUSE), padded(say("unknown"), _WIDTH), "cyan")
        yield from _where(best)
        yield from _unknown(dist)
    else:
        yield from _whole(best)
        yield from _where(best)
        yield from _reasons(best)
    others = [cause for cause in causes[1:] if cause.cause != _UNKNOWN]
    if others:
        yield Line()
        yield Line(say("other possible causes:"))
    for cause in others:
        code = f"  ({cause.rule})" if cause.rule else ""
        yield Line(
            f"{_short(cause.message)}{code}",
            f"  {padded(confidence_word(cause.confidence), 9)}",
            _COLOUR[cause.confidence],
        )


def cause_lines(causes: Sequence[Cause]) -> Iterator[Line]:
    """Yield the best cause of a run that failed, without what its text says: that is shown anyway."""
    if causes and causes[0].cause != _UNKNOWN:
        best = spoken(causes[0])
        yield Line()
        yield from _whole(best)
        yield from _reasons(best)
        yield Line()


def _whole(cause: Cause) -> Iterator[Line]:
    yield Line(cause.message, padded(confidence_word(cause.confidence), _WIDTH), _COLOUR[cause.confidence])
    yield Line(f"{_INDENT}{cause.cause}{f' ({cause.rule})' if cause.rule else ''}")


def _where(cause: Cause) -> Iterator[Line]:
    if cause.evidence:
        yield Line(
            say("line {line}: {short}", line=cause.line, short=_short(cause.evidence)), padded(say("text"), _WIDTH)
        )


def _reasons(cause: Cause) -> Iterator[Line]:
    rows = (
        (say("why"), cause.why if cause.why != cause.message else ""),
        (say("needed by"), " > ".join(cause.chain) if len(cause.chain) > 1 else ""),
        (say("get it"), f"{cause.fix.provider}: {cause.fix.source}" if cause.fix is not None else ""),
        (say("put it"), cause.fix.destination if cause.fix is not None else ""),
        (say("mind"), cause.fix.note if cause.fix is not None else ""),
        (say("do"), cause.advice),
        (say("type"), cause.command),
    )
    for lead, text in rows:
        if text:
            yield Line(text, padded(lead, _WIDTH))


def _unknown(dist: str) -> Iterator[Line]:
    if not dist:
        yield Line(
            say("give the program's folder, too: depfix diagnose LOG --dist main.dist"), padded(say("do"), _WIDTH)
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def diagnosis_json(causes: Sequence[Cause]) -> str:
    """Return causes as JSON, best first."""
    return encoded({"schema_version": SCHEMA_VERSION, "causes": [cause_value(cause) for cause in causes]})


def cause_value(cause: Cause) -> dict[str, object]:
    """Return a cause as the JSON of `depfix diagnose` has it."""
    return {
        "cause": cause.cause,
        "rule": cause.rule or None,
        "confidence": cause.confidence.value,
        "subject": cause.subject,
        "message": cause.message,
        "why": cause.why,
        "advice": cause.advice,
        "command": cause.command,
        "evidence": {"line": cause.line or None, "text": cause.evidence},
        "chain": list(cause.chain),
        "fix": fix_value(cause.fix),
    }
