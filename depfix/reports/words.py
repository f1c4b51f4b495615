"""Sentences that several forms of a report share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from depfix.model.finding import Confidence, Severity
from depfix.model.shown import cells, shown
from depfix.wording.message import phrase, several, tabled
from depfix.wording.speech import said, say, say_counted, spoken

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.model.finding import Finding
    from depfix.model.report import Report


def count(number: int, word: str) -> str:
    """Return a number with its noun: 1 file, 2 files. The noun is one of those below."""
    return say_counted(number, *_NOUNS[word])


_NOUNS = {
    "dist": several("{number} dist", "{number} dists"),
    "direct need": several("{number} direct need", "{number} direct needs"),
    "error": several("{number} error", "{number} errors"),
    "file": several("{number} file", "{number} files"),
    "finding": several("{number} finding", "{number} findings"),
    "image": several("{number} image", "{number} images"),
    "info": several("{number} info", "{number} infos"),
    "load": several("{number} load", "{number} loads"),
    "more error": several("{number} more error", "{number} more errors"),
    "more finding": several("{number} more finding", "{number} more findings"),
    "more info": several("{number} more info", "{number} more infos"),
    "more warning": several("{number} more warning", "{number} more warnings"),
    "need": several("{number} need", "{number} needs"),
    "repair": several("{number} repair", "{number} repairs"),
    "warning": several("{number} warning", "{number} warnings"),
}
_SEVERITIES = {Severity.ERROR: phrase("error"), Severity.WARNING: phrase("warning"), Severity.INFO: phrase("info")}
_CONFIDENCES = {
    Confidence.CERTAIN: phrase("certain"),
    Confidence.PROBABLE: phrase("probable"),
    Confidence.POSSIBLE: phrase("possible"),
}


def listed(texts: Iterable[str], separator: str = ", ") -> str:
    """Return texts one behind the other, as a language separates them."""
    return said(tabled(separator)).join(texts)


def severity_word(severity: Severity) -> str:
    """Return how bad a finding is, in a word."""
    return said(_SEVERITIES[severity])


def confidence_word(confidence: Confidence) -> str:
    """Return how sure a finding is, in a word."""
    return said(_CONFIDENCES[confidence])


def padded(text: str, width: int) -> str:
    """Return a text that fills so many cells of a terminal."""
    return text + " " * (width - cells(text))


def size(number: int) -> str:
    """Return a number of bytes for a person, in units of 1,000."""
    if number < 1000:
        return f"{number} B"
    if number < 1_000_000:
        return say("{number:.1f} kB", number=number / 1000)
    return say("{number:.1f} MB", number=number / 1000000)


def verdict(report: Report, accepted: int = 0, hint: str = "") -> str:
    """Return the one line that sums up a report; `hint` says how what is merely possible is shown."""
    errors, warnings, infos = (report.count(severity) for severity in Severity)
    if errors or warnings:
        possible = [f"{_possible(infos)}{hint and f' ({hint})'}"] if infos else []
        words = listed((count(errors, "error"), count(warnings, "warning"), *possible))
    else:
        words = say("nothing is missing for {target}", target=report.target_words)
        if accepted:
            words = say("nothing else is missing for {target}", target=report.target_words)
        words += f" ({listed(filter(None, (_possible(infos), hint)))})" if infos else ""
    return words + (say("; {accepted} accepted", accepted=accepted) if accepted else "")


def _possible(number: int) -> str:
    return say_counted(number, "{number} possible", "{number} possible")


def sentence(text: str) -> str:
    """Return a text in one line with a full stop."""
    line = shown(said(text)).strip()
    return line if line.endswith((".", "!", "?", "。", "！", "？")) else say("{sentence}.", sentence=line)


def cure_words(finding: Finding) -> str:
    """Return in one sentence what cures a finding, or why nothing does; empty if neither is known."""
    fix = spoken(finding.fix)
    if fix is not None:
        note = f" ({fix.note})" if fix.note else ""
        return shown(
            say(
                "Get it from {provider}: {source}; put it at {destination}{note}.",
                provider=fix.provider or say("a folder"),
                source=fix.source,
                destination=fix.destination,
                note=note,
            )
        )
    return sentence(say("No cure: {no_fix}", no_fix=finding.no_fix)) if finding.no_fix else ""


def sure_words(finding: Finding) -> str:
    """Return ` (probable)` for a finding that is not certain."""
    return "" if finding.confidence.value == "certain" else f" ({confidence_word(finding.confidence)})"


def accepted_words(accepted: Accepted) -> str:
    """Return who accepted a finding, until when, and why."""
    words = say("accepted by {by}", by=accepted.by)
    if accepted.expires:
        words = say("accepted by {by} until {expires}", by=accepted.by, expires=accepted.expires)
    return shown(f"{words}: {accepted.reason}" if accepted.reason else words)
