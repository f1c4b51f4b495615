"""The catalogue of rules: the one place that reports, docs and `depfix explain` read."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache

import msgspec

from depfix.errors import DataFileError, ExtensionError, UnknownRuleError
from depfix.extensions import CHECKS, Extension, extensions
from depfix.knowledge.tables import read_data
from depfix.model.finding import Severity
from depfix.wording.message import phrase

_OWN_PREFIX = "DF"
_CODE = re.compile(r"[A-Z]{2,8}\d{3}")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
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


class ExtensionRules(msgspec.Struct, frozen=True):
    """What a check of another distribution adds to the catalogue; `problem` says why it adds nothing."""

    extension: Extension
    rules: tuple[Rule, ...] = ()
    problem: ExtensionError | None = None


def rules() -> tuple[Rule, ...]:
    """Return all rules in the order of their codes: depfix's own, then those of extensions."""
    return _catalogue()


@lru_cache(maxsize=1)
def own_rules() -> tuple[Rule, ...]:
    """Return depfix's own rules in the order of their codes. Raises DataFileError."""
    found = msgspec.json.decode(read_data("rules.json"), type=tuple[Rule, ...])
    codes = [rule.code for rule in found]
    if codes != sorted(set(codes)) or len({rule.name for rule in found}) != len(found):
        raise DataFileError("rules.json", "codes are not in order, or one stands there twice")
    return found


@lru_cache(maxsize=1)
def extension_rules() -> tuple[ExtensionRules, ...]:
    """Return what each check of another distribution adds, by name. One that cannot be used adds nothing."""
    taken = {text for rule in own_rules() for text in (rule.code, rule.name)}
    found: list[ExtensionRules] = []
    for extension in extensions(CHECKS):
        found.append(_added(extension, taken))
        taken.update(text for rule in found[-1].rules for text in (rule.code, rule.name))
    return tuple(found)


def _added(extension: Extension, taken: set[str]) -> ExtensionRules:
    try:
        return ExtensionRules(extension, _rules_of(extension, taken))
    except ExtensionError as problem:
        return ExtensionRules(extension, problem=problem)


@lru_cache(maxsize=1)
def _catalogue() -> tuple[Rule, ...]:
    added = sorted((rule for row in extension_rules() for rule in row.rules), key=lambda rule: rule.code)
    return (*own_rules(), *added)


def provider_of(code: str) -> str:
    """Return the distribution whose extension brings a rule, an empty string for depfix's own."""
    rows = (row for row in extension_rules() if any(rule.code == code for rule in row.rules))
    return next((row.extension.provider for row in rows), "")


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
    for entry in own_rules():  # first, so that extensions are loaded only by who asks for one of theirs
        if wanted in (entry.code.lower(), entry.name):
            return entry
    for entry in rules():
        if wanted in (entry.code.lower(), entry.name):
            return entry
    codes = [entry.code.lower() for entry in rules()]
    near = difflib.get_close_matches(wanted, codes + [entry.name for entry in rules()], n=1)
    raise UnknownRuleError(name, near[0].upper() if near and near[0] in codes else "".join(near))


def _rules_of(extension: Extension, taken: set[str]) -> tuple[Rule, ...]:
    """Return the rules of a check. Raises ExtensionError if it cannot be loaded or its rules cannot be used."""
    found = getattr(extension.load(), "rules", None)
    if not isinstance(found, tuple) or not found or not all(isinstance(rule, Rule) for rule in found):
        raise extension.failure(phrase("its rules are no tuple of Rule"))
    known = set(taken)
    for rule in found:
        problem = _problem(rule, known)
        if problem:
            raise extension.failure(phrase("its rule {code} {problem}", code=repr(rule.code), problem=problem))
        known.update((rule.code, rule.name))
    return found


def _problem(rule: Rule, taken: set[str]) -> str:
    texts = (rule.code, rule.name, rule.summary, rule.why, rule.example, rule.cure, rule.safety)
    if not all(isinstance(text, str) for text in texts) or not isinstance(rule.severity, Severity):
        return phrase("has a field of the wrong type")
    if not _CODE.fullmatch(rule.code) or rule.code.rstrip("0123456789") == _OWN_PREFIX:
        return phrase(
            "must have a code of two to eight capital letters, not {own_prefix}, and three digits",
            own_prefix=_OWN_PREFIX,
        )
    if not _NAME.fullmatch(rule.name):
        return phrase("must have a name of small letters, digits and hyphens")
    if rule.code in taken or rule.name in taken:
        return phrase("has a code or name that is taken")
    return ""
