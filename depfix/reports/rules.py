"""The rule catalogue as text."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.knowledge.rules import provider_of, rule, rules
from depfix.reports.text import Line


def rule_lines() -> Iterator[Line]:
    """Yield one line for each rule."""
    for entry in rules():
        yield Line(f"  {entry.name:<20} {entry.severity.value:<8} {entry.summary}", entry.code, "cyan")


def explanation_lines(name: str) -> Iterator[Line]:
    """Yield everything about one rule. Raises UnknownRuleError."""
    entry = rule(name)
    yield Line(f"  {entry.name}  ({entry.severity.value})", entry.code, "cyan")
    for title, text in (
        ("", entry.summary),
        ("why it breaks", entry.why),
        ("example", entry.example),
        ("how it is fixed", entry.cure),
        ("how safe that is", entry.safety),
    ):
        yield Line()
        if title:
            yield Line(lead=title, colour="white")
        yield Line(text)
    provider = provider_of(entry.code)
    yield Line()
    yield Line(provider or f"docs/rules.md#{entry.code.lower()}", "from  " if provider else "see   ", "white")
