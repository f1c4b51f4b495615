"""`depfix diagnose`: causes as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from depfix.model.diagnosis import Cause
from depfix.model.finding import Confidence
from depfix.reports.json import SCHEMA_VERSION, encoded, fix_value
from depfix.reports.text import Line

_INDENT = " " * 11
_WIDTH = 11
_LONGEST = 300
_UNKNOWN = "unknown"
_COLOUR = {Confidence.CERTAIN: "red", Confidence.PROBABLE: "yellow", Confidence.POSSIBLE: "cyan"}
_NOTHING = "the text tells of no error that depfix knows"
_NO_CAUSE = "the text does not say that something is missing"


def diagnosis_lines(causes: Sequence[Cause], dist: str = "") -> Iterator[Line]:
    """Yield the causes that a text tells of: the best one whole, the others in one line each."""
    if not causes:
        yield Line(_NOTHING)
        yield from _unknown(dist)
        return
    best = causes[0]
    if best.cause == _UNKNOWN:
        yield Line(_NO_CAUSE if not best.message else best.message, "unknown    ", "cyan")
        yield from _where(best)
        yield from _unknown(dist)
    else:
        yield from _whole(best)
        yield from _where(best)
        yield from _reasons(best)
    others = [cause for cause in causes[1:] if cause.cause != _UNKNOWN]
    if others:
        yield Line()
        yield Line("other possible causes:")
    for cause in others:
        code = f"  ({cause.rule})" if cause.rule else ""
        yield Line(f"{_short(cause.message)}{code}", f"  {cause.confidence.value:<9}", _COLOUR[cause.confidence])


def cause_lines(causes: Sequence[Cause]) -> Iterator[Line]:
    """Yield the best cause of a run that failed, without what its text says: that is shown anyway."""
    if causes and causes[0].cause != _UNKNOWN:
        yield Line()
        yield from _whole(causes[0])
        yield from _reasons(causes[0])
        yield Line()


def _whole(cause: Cause) -> Iterator[Line]:
    yield Line(cause.message, f"{cause.confidence.value:<{_WIDTH}}", _COLOUR[cause.confidence])
    yield Line(f"{_INDENT}{cause.cause}{f' ({cause.rule})' if cause.rule else ''}")


def _where(cause: Cause) -> Iterator[Line]:
    if cause.evidence:
        yield Line(f"line {cause.line}: {_short(cause.evidence)}", f"{'text':<{_WIDTH}}")


def _reasons(cause: Cause) -> Iterator[Line]:
    rows = (
        ("why", cause.why if cause.why != cause.message else ""),
        ("needed by", " > ".join(cause.chain) if len(cause.chain) > 1 else ""),
        ("get it", f"{cause.fix.provider}: {cause.fix.source}" if cause.fix is not None else ""),
        ("put it", cause.fix.destination if cause.fix is not None else ""),
        ("mind", cause.fix.note if cause.fix is not None else ""),
        ("do", cause.advice),
        ("type", cause.command),
    )
    for lead, text in rows:
        if text:
            yield Line(text, f"{lead:<{_WIDTH}}")


def _unknown(dist: str) -> Iterator[Line]:
    if not dist:
        yield Line("give the program's folder, too: depfix diagnose LOG --dist main.dist", f"{'do':<{_WIDTH}}")


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
