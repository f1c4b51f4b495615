"""The baseline: findings of an earlier day that do not count, by their fingerprints.

Its JSON Schema is `baseline.schema.json` in depfix/reports/schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from depfix.model.audit import Accepted
from depfix.model.finding import Finding, Severity
from depfix.model.report import Report, Verification
from depfix.policy.errors import BaselineError
from depfix.reports.json import encoded
from depfix.wording.message import english, phrase, small_system_words

VERSION = 1
_NOT_HELD = ("over-budget", "expired-acceptance", "unused-acceptance")


class Row(msgspec.Struct, frozen=True):
    """One finding of a baseline. Only the fingerprint is compared; the rest is for people."""

    fingerprint: str
    rule: str
    subject: str
    message: str


class _File(msgspec.Struct, frozen=True):
    schema_version: int
    findings: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The findings that a file accepts."""

    path: str
    rows: tuple[Row, ...]
    fingerprints: frozenset[str]

    def gone(self, findings: Iterable[Finding]) -> tuple[Row, ...]:
        """Return the rows that are found no more."""
        found = {one.fingerprint for one in findings}
        return tuple(row for row in self.rows if row.fingerprint not in found)


def baseline_of(path: str, rows: Iterable[Row]) -> Baseline:
    """Return the baseline with these rows, each fingerprint once, by rule and subject."""
    by_print = {row.fingerprint: row for row in sorted(rows, key=_order, reverse=True)}
    ordered = tuple(sorted(by_print.values(), key=_order))
    return Baseline(path, ordered, frozenset(by_print))


def read_baseline(path: str) -> Baseline:
    """Return the baseline in a file. Raises BaselineError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError as error:
        raise BaselineError(
            path, phrase("no such file"), phrase("--update-baseline writes it, with the findings of today")
        ) from error
    except OSError as error:
        raise BaselineError(path, small_system_words(error)) from error
    try:
        read = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BaselineError(path, phrase("it is damaged, or no baseline ({error})", error=error)) from error
    if read.schema_version != VERSION:
        advice = phrase("take the depfix that wrote it; or remove it, and write it anew with --update-baseline")
        raise BaselineError(
            path,
            phrase(
                "it has version {schema_version}, and this depfix knows {version}",
                schema_version=read.schema_version,
                version=VERSION,
            ),
            advice,
        )
    return baseline_of(path, read.findings)


def updated(path: str, findings: Iterable[Finding], before: Baseline | None, unseen: Iterable[str] = ()) -> Baseline:
    """Return a baseline with the findings of today that can be held.

    Rows of `before` stay if their rule is among `unseen`, those that this run did not look at; of what is found again
    the row stays as it was, whatever lines its message names.
    """
    hidden = frozenset(unseen)
    old = {row.fingerprint: row for row in before.rows} if before is not None else {}
    kept = [row for row in old.values() if row.rule in hidden]
    rows = [Row(one.fingerprint, one.rule, one.subject, one.message) for one in findings if can_be_held(one)]
    return baseline_of(path, (*kept, *(old.get(row.fingerprint, row) for row in rows)))


def can_be_held(one: Finding) -> bool:
    """Return True if a baseline can accept a finding: it counts, and the policy is not the place to settle it."""
    return one.severity is not Severity.INFO and one.name not in _NOT_HELD


def baseline_text(baseline: Baseline) -> str:
    """Return a baseline as JSON; equal findings give an equal text, in whatever language depfix speaks."""
    rows = [
        {"fingerprint": row.fingerprint, "rule": row.rule, "subject": row.subject, "message": english(row.message)}
        for row in baseline.rows
    ]
    return encoded({"schema_version": VERSION, "findings": rows})


def without_accepted(report: Report, baseline: Baseline) -> tuple[Report, tuple[Accepted, ...]]:
    """Return a report with those findings alone that count, and those that the baseline accepts."""
    accepted = tuple(Accepted(one, baseline.path) for one in report.findings if _has(baseline, one))
    findings = tuple(one for one in report.findings if not _has(baseline, one))
    verification = report.verification
    if verification is not None:
        left, new = (
            tuple(one for one in rows if not _has(baseline, one))
            for rows in (verification.remaining, verification.introduced)
        )
        verification = Verification(verification.fixed, left, new)
    return replace(report, findings=findings, verification=verification), accepted


def _has(baseline: Baseline, one: Finding) -> bool:
    return one.fingerprint in baseline.fingerprints


def _order(row: Row) -> tuple[str, str, str, str]:
    return row.rule, row.subject, row.fingerprint, row.message
