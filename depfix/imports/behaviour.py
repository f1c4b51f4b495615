"""Code that works in a source tree and may not in a frozen program."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.imports.uses import BehaviourUse, Where
from depfix.imports.values import Method, Reference, Value


def may_behave(data: bytes) -> bool:
    """Return True if a source may do what frozen programs do otherwise, by the words in it."""
    return False


def behaviour_uses(
    called: Reference | Method, arguments: list[Value], keywords: dict[str, Value], where: Where
) -> Iterator[BehaviourUse]:
    """Yield what a call does otherwise in a frozen program."""
    yield from ()
