"""The checks of other distributions. What they cannot do is a finding, and takes nothing from depfix's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import msgspec

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.errors import ExtensionError
from depfix.extensions import CHECKS, Extension
from depfix.knowledge.rules import ExtensionRules, Rule, extension_rules
from depfix.model.finding import Finding
from depfix.wording.message import english, phrase

_FAILED = "extension:"  # with its name, the subject of the finding that says so


@dataclass(frozen=True, slots=True)
class CheckExtension:
    """What an entry point of `depfix.checks` names: rules of its own, and the check that finds by them.

    `check` is called once for each closure that depfix looks at, for a repair several times, and must say the same of
    the same closure. It changes nothing, and runs nothing of the dist.
    """

    rules: tuple[Rule, ...]
    check: Callable[[Closure], Iterable[Finding]]


def check_extended(closure: Closure) -> Iterator[Finding]:
    """Yield what the checks of extensions find, and for each that failed a finding that says so."""
    for row in extension_rules():
        found, problem = _run(row, closure)
        yield from found
        if problem is not None:
            message = phrase("{problem}; what it looks for is unknown", problem=problem)
            provider = problem.provider.partition(" ")[0]
            yield finding("not-looked-at", f"{_FAILED}{problem.name}", message, identity=provider)


def unchecked(finding: Finding) -> frozenset[str]:
    """Return the codes of the rules that nobody looked for, if a finding says that the check of an extension failed."""
    if finding.name != "not-looked-at" or not finding.subject.startswith(_FAILED):
        return frozenset()
    rows = (row for row in extension_rules() if row.extension.name == finding.subject.removeprefix(_FAILED))
    return frozenset(rule.code for row in rows for rule in row.rules)


def _run(row: ExtensionRules, closure: Closure) -> tuple[list[Finding], ExtensionError | None]:
    """Return what a check found before it failed, and why it failed, None if it did not."""
    found: list[Finding] = []
    if row.problem is not None:
        return found, row.problem
    try:
        names = {rule.code: rule.name for rule in row.rules}
        found.extend(_checked(row.extension, each, names) for each in _check_of(row.extension)(closure))
    except ExtensionError as problem:
        return found, problem
    except (Exception, SystemExit) as error:  # other people's code
        return found, row.extension.failure(error)
    return found, None


def _check_of(extension: Extension) -> Callable[[Closure], Iterable[Finding]]:
    loaded = extension.load()
    if not isinstance(loaded, CheckExtension):
        raise extension.failure(
            phrase("{checks} takes a CheckExtension, not {type}", checks=CHECKS, type=type(loaded).__name__)
        )
    return loaded.check


def _checked(extension: Extension, each: object, names: dict[str, str]) -> Finding:
    """Return a finding whose fields are of the right types and whose rule is one of these. Raises ExtensionError."""
    if not isinstance(each, Finding):
        raise extension.failure(phrase("it gave {type} for a finding", type=type(each).__name__))
    if names.get(each.rule) != each.name:
        raise extension.failure(
            phrase("it gave a finding of {rule} {each}, which is no rule of its own", rule=each.rule, each=each.name)
        )
    try:
        made = msgspec.convert(msgspec.to_builtins(each, enc_hook=english), Finding)
    except (msgspec.ValidationError, TypeError) as error:
        raise extension.failure(phrase("it gave a finding that is none: {error}", error=error)) from error
    return replace(made, message=each.message, no_fix=each.no_fix)  # as they came: they may know their templates
