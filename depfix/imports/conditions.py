"""Whether a call is one of those that a table means, by the values of its arguments."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.imports.values import PARAMETER, UNKNOWN, Constant, Text, Value, alternatives
from depfix.knowledge.conduct import ANY, Term


def is_met(terms: Iterable[Term], arguments: list[Value], keywords: dict[str, Value]) -> bool | None:
    """Return True if all terms are met, False if one surely is not, None if it depends on what is not known."""
    met: bool | None = True
    for term in terms:
        one = _is_met(term, arguments, keywords)
        if one is False:
            return False
        met = met and one
    return met


def argument_of(name: str, position: int | None, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
    """Return the argument of this name or position, None if it is not given."""
    if name in keywords:
        return keywords[name]
    return arguments[position] if position is not None and position < len(arguments) else None


def _is_met(term: Term, arguments: list[Value], keywords: dict[str, Value]) -> bool | None:
    given = argument_of(term.argument, term.position, arguments, keywords)
    if given is None:
        return None if "**" in keywords else term.default not in term.without
    spelled = [_spelled(one) for one in alternatives(given)]
    if ANY in term.without and term.default not in spelled:
        return False
    if None in spelled:
        return None
    without = [one in term.without or (ANY in term.without and one != term.default) for one in spelled]
    return False if all(without) else None if any(without) else True


def _spelled(value: Value) -> str | None:
    """Return a value as it stands in a source, None if it is not known; a value that is no text is just something."""
    if isinstance(value, Text):
        return value.literal
    if isinstance(value, Constant):
        return str(value.value)
    return None if value in (UNKNOWN, PARAMETER) else type(value).__name__
