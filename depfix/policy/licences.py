"""Whether a licence is allowed: SPDX expressions, their parts compared with the globs of a policy.

Source: The Linux Foundation, "SPDX Specification 2.3", Annex D, SPDX license expressions
https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

UNKNOWN = "unknown"
_SEVERAL = " / "  # what env/licences.py writes between the classifiers of a distribution


class Licences:
    """The licences that a policy allows (none named: all) and forbids, as SPDX ids, other words, or globs of them."""

    def __init__(self, allowed: Iterable[str], forbidden: Iterable[str]) -> None:
        self._allowed = tuple(_normal(one) for one in allowed)
        self._forbidden = tuple(_normal(one) for one in forbidden)

    def permits(self, licence: str) -> bool:
        """Return True if a component under this licence may be shipped; an empty text is an unknown licence.

        Of `A OR B` one side has to be permitted, of `A AND B` both are; several licences of which nobody says how they
        are joined count as AND. An unknown licence is permitted unless some are allowed and `unknown` is not.
        """
        if not licence.strip():
            return not self._allowed or UNKNOWN in self._allowed
        parsed = _parsed(licence)
        if parsed is None:
            return all(self._permits_one((part.lower(),)) for part in licence.split(_SEVERAL))
        return self._permits_all(parsed)

    def _permits_all(self, expression: Any) -> bool:
        parts = [self._permits_all(part) for part in getattr(expression, "args", ())]
        if parts:
            return any(parts) if expression.operator.strip() == "OR" else all(parts)
        return self._permits_one(_names(expression))

    def _permits_one(self, names: tuple[str, ...]) -> bool:
        """`names` are what one licence is called, the most exact first: what is allowed by that counts."""
        if self._named(names[:1], self._allowed):
            return not self._named(names[:1], self._forbidden)
        return (not self._allowed or self._named(names, self._allowed)) and not self._named(names, self._forbidden)

    def _named(self, names: tuple[str, ...], globs: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, pattern) for name in names for pattern in globs)


def _names(symbol: Any) -> tuple[str, ...]:
    """Return what a licence is called, in lower case: with an exception also the licence without it."""
    whole = str(symbol.render()).lower()
    licence = getattr(symbol, "license_symbol", None)
    return (whole,) if licence is None else (whole, str(licence.render()).lower())


def _normal(pattern: str) -> str:
    """Return a pattern in lower case; an id that SPDX has replaced as the one that replaced it."""
    parsed = _parsed(pattern) if not {"*", "?", "["} & set(pattern) else None
    return (str(parsed.render()) if parsed is not None else pattern.strip()).lower()


def _parsed(licence: str) -> Any:
    """Return a licence as an expression, None if it is words and no expression."""
    try:
        return _grammar().parse(licence)
    except Exception:  # what a distribution says of itself is free text, and the parser has many words for that
        return None


@lru_cache(maxsize=1)
def _grammar() -> Any:
    from license_expression import get_spdx_licensing  # 0.2 s

    return get_spdx_licensing()
