"""The JSON report; its schema is `schema/report.schema.json` beside this file."""

from __future__ import annotations

import pkgutil
import re
from typing import TYPE_CHECKING

import msgspec

from depfix.model.finding import Finding, Fix, Severity
from depfix.model.names import plain_path
from depfix.model.plan import Plan
from depfix.model.report import Report, Verification
from depfix.wording.speech import said, speaking_to_machines

if TYPE_CHECKING:
    from depfix.reports.forms import Material

SCHEMA_VERSION = 1
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_NUMBER = "#\\u0023["


def scan_json(material: Material) -> str:
    """Return the report of a scan or audit as JSON: as `report_json`, with what was accepted."""
    value = report_value(material.report)
    if material.accepted:
        value["accepted"] = [
            {"by": one.by, "reason": one.reason, "expires": one.expires, "finding": finding_value(one.finding)}
            for one in material.accepted
        ]
    return encoded(value)


def report_json(report: Report) -> str:
    """Return a report as JSON, two spaces of indent, with a final newline."""
    return encoded(report_value(report))


def schema() -> bytes:
    """Return the JSON Schema of the report."""
    return pkgutil.get_data("depfix.reports", "schema/report.schema.json") or b""


def report_value(report: Report) -> dict[str, object]:
    """Return a report as plain values with the keys that the schema fixes."""
    dist = report.dist
    value: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "dist": {
            "root": dist.root,
            "freezer": dist.freezer,
            "python": dist.python,
            "machine": dist.machine,
            "programs": list(dist.programs),
            "files": dist.files,
            "images": dist.images,
        },
        "target": report.target,
        "reach": report.reach,
        "inside": report.inside,
        "environments": [
            {"spec": one.spec, "root": one.root, "kind": one.kind, "python": one.python, "caveat": one.caveat}
            for one in report.environments
        ],
        "summary": {severity.value: report.count(severity) for severity in Severity},
        "findings": [finding_value(finding) for finding in report.findings],
    }
    if report.plan is not None:
        value["plan"] = _plan(report.plan)
        value["applied"] = report.applied
    if report.verification is not None:
        value["verification"] = _verification(report.verification)
    return value


def finding_value(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON has it."""
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "subject": finding.subject,
        "message": finding.message,
        "locations": [{"path": place.path, "line": place.line or None} for place in finding.locations],
        "chain": list(finding.chain),
        "searched": list(finding.trail),
        "fix": fix_value(finding.fix),
        "no_fix": finding.no_fix,
        "fingerprint": finding.fingerprint,
    }


def _plan(plan: Plan) -> dict[str, object]:
    return {
        "actions": [
            {
                "action": action.action,
                "source": plain_path(action.source),
                "destination": action.destination,
                "provider": str(action.provider),
                "licence": action.provider.licence,
                "note": action.provider.note,
                "size": action.size,
                "rule": action.rule,
                "subject": action.subject,
                "chain": list(action.chain),
            }
            for action in plan.actions
        ],
        "left_out": {"files": plan.left_out, "bytes": plan.saved},
        "kept": [
            {"path": row.destination, "there": row.there, "offered": row.offered, "provider": str(row.provider)}
            for row in plan.kept
        ],
        "declined": [{"rule": row.rule, "subject": row.subject, "reason": row.reason} for row in plan.declined],
    }


def _verification(verification: Verification) -> dict[str, object]:
    return {
        "fixed": _brief(verification.fixed),
        "remaining": _brief(verification.remaining),
        "introduced": _brief(verification.introduced),
    }


def _brief(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    return [
        {
            "rule": finding.rule,
            "name": finding.name,
            "severity": finding.severity.value,
            "subject": finding.subject,
            "fingerprint": finding.fingerprint,
        }
        for finding in findings
    ]


def encoded(value: object) -> str:
    """Return a value as JSON, two spaces of indent, with a final newline.

    Where it is printed, no name in it moves the cursor, turns the text round, or is a command to a server of builds.
    """
    with speaking_to_machines():
        plain = _encodable(value)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode("utf-8").replace("##[", _NUMBER)
    return (text if text.isascii() else _UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)) + "\n"


def _encodable(value: object) -> object:
    """Return a value whose texts are valid UTF-8: a file name may hold bytes that are not."""
    if isinstance(value, str):
        text = said(value)
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {key: _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, list) else value


def fix_value(fix: Fix | None) -> dict[str, str] | None:
    """Return where a missing file is to be had and to go, as JSON has it."""
    if fix is None:
        return None
    return {"action": fix.action, "source": fix.source, "destination": fix.destination, "provider": fix.provider}
