"""The rule catalogue as text."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.knowledge.rules import provider_of, rule, rules
from depfix.reports.text import Line
from depfix.reports.words import padded, severity_word
from depfix.wording.message import tabled
from depfix.wording.speech import said, say


def rule_lines() -> Iterator[Line]:
    """Yield one line for each rule."""
    for entry in rules():
        yield Line(
            f"  {entry.name:<20} {padded(severity_word(entry.severity), 8)} {said(tabled(entry.summary))}",
            entry.code,
            "cyan",
        )


def explanation_lines(name: str) -> Iterator[Line]:
    """Yield everything about one rule. Raises UnknownRuleError."""
    entry = rule(name)
    yield Line(f"  {entry.name}  ({severity_word(entry.severity)})", entry.code, "cyan")
    for title, text in (
        ("", entry.summary),
        (say("why it breaks"), entry.why),
        (say("example"), entry.example),
        (say("how it is fixed"), entry.cure),
        (say("how safe that is"), entry.safety),
    ):
        yield Line()
        if title:
            yield Line(lead=title, colour="white")
        yield Line(said(tabled(text)))
    provider = provider_of(entry.code)
    yield Line()
    lead = say("from") if provider else say("see")
    place = say("docs/rules.md")
    yield Line(provider or f"{place}#{entry.code.lower()}", padded(lead, 6), "white")
