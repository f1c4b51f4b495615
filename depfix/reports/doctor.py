"""`depfix doctor` as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from depfix.model.doctor import Diagnosis
from depfix.reports.json import encoded
from depfix.reports.text import Line

_SCHEMA_VERSION = 1


def doctor_lines(found: Diagnosis) -> Iterator[Line]:
    """Yield the facts under their headings, then a line for each check."""
    for section, facts in groupby(found.facts, key=lambda fact: fact.section):
        yield Line(section)
        rows = tuple(facts)
        width = max(len(fact.name) for fact in rows)
        yield from (Line(f"  {fact.name:<{width}}  {fact.value}") for fact in rows)
    yield Line()
    for check in found.checks:
        lead, colour = ("works ", "green") if check.works else ("broken", "red")
        yield Line(f"  {check.name}: {check.words}", lead, colour)


def doctor_json(found: Diagnosis) -> str:
    """Return it as JSON: `works`, `facts` [{`section`, `name`, `value`}], `checks` [{`name`, `works`, `words`}]."""
    facts = [{"section": fact.section, "name": fact.name, "value": fact.value} for fact in found.facts]
    checks = [{"name": check.name, "works": check.works, "words": check.words} for check in found.checks]
    return encoded({"schema_version": _SCHEMA_VERSION, "works": found.is_well, "facts": facts, "checks": checks})
