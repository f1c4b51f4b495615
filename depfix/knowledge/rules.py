"""The catalogue of rules: the one place that reports, docs and `depfix explain` read."""

from __future__ import annotations

import difflib
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError, UnknownRuleError
from depfix.knowledge.tables import read_data
from depfix.model.finding import Severity

_OF_A_POLICY = "DF7"
_NOT_OF_A_SCAN = ("DF6", _OF_A_POLICY)  # of a run, and of a policy
_OF_SOURCES = ("DF301", "DF4")


class Rule(msgspec.Struct, frozen=True):
    """One rule: its stable code and name, how severe it is, and the texts that explain it."""

    code: str
    name: str
    severity: Severity
    summary: str
    why: str
    example: str
    cure: str
    safety: str


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Return all rules in the order of their codes."""
    found = msgspec.json.decode(read_data("rules.json"), type=tuple[Rule, ...])
    codes = [rule.code for rule in found]
    if codes != sorted(set(codes)) or len({rule.name for rule in found}) != len(found):
        raise DataFileError("rules.json", "codes are not in order, or one stands there twice")
    return found


def scan_rules(sources: bool) -> tuple[str, ...]:
    """Return the codes of the rules that a scan looks at; some need the program's own `sources`."""
    return tuple(
        entry.code
        for entry in rules()
        if not entry.code.startswith(_NOT_OF_A_SCAN) and (sources or not entry.code.startswith(_OF_SOURCES))
    )


def policy_rules() -> tuple[str, ...]:
    """Return the codes of the rules by which a policy is kept; `--select` does not leave them out."""
    return tuple(entry.code for entry in rules() if entry.code.startswith(_OF_A_POLICY))


def rule(name: str) -> Rule:
    """Return the rule with this code or name, in any case. Raises UnknownRuleError with the nearest name."""
    wanted = name.strip().lower()
    for entry in rules():
        if wanted in (entry.code.lower(), entry.name):
            return entry
    known = [entry.code.lower() for entry in rules()] + [entry.name for entry in rules()]
    near = difflib.get_close_matches(wanted, known, n=1)
    raise UnknownRuleError(name, near[0].upper() if near and near[0].startswith("df") else "".join(near))
