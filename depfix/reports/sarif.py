"""SARIF 2.1.0, as GitHub's code scanning and other services read it.

Sources: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html; GitHub Docs, "SARIF support for code scanning"
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from depfix import __version__
from depfix.knowledge.rules import Rule, rules
from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.names import base_name
from depfix.model.shown import shown
from depfix.reports.fingerprints import fingerprints
from depfix.reports.json import encoded, fix_value
from depfix.reports.places import Place, Places
from depfix.reports.words import accepted_words, cure_words, sentence, sure_words, verdict
from depfix.wording.message import tabled
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.reports.forms import Material

_Value = dict[str, object]
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME = "https://pypi.org/project/depfix/"
_REPOSITORY, _ABOVE_DIST = "%SRCROOT%", "DISTROOT"
_MOST_RESULTS = 25_000  # GitHub refuses a file with more
_MOST_RELATED = 100
_LONGEST = 1000  # characters of a description; GitHub takes 1,024
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
_PRECISION = {Confidence.CERTAIN: "very-high", Confidence.PROBABLE: "high", Confidence.POSSIBLE: "low"}
_FAMILIES = {
    "DF1": "dll",
    "DF2": "python-module",
    "DF3": "data-file",
    "DF4": "frozen-behaviour",
    "DF5": "hygiene",
    "DF6": "run",
    "DF7": "policy",
}


def sarif(material: Material) -> str:
    """Return a report as SARIF."""
    return encoded({"$schema": _SCHEMA, "version": "2.1.0", "runs": [_run(material)]})


def _run(material: Material) -> _Value:
    report = material.report
    places = Places(report, material.root)
    findings = [*report.findings, *(one.finding for one in material.accepted)]
    known = {entry.code: index for index, entry in enumerate(rules())}
    results = list(_results(material, places, known))
    return {
        "tool": {"driver": _driver(findings)},
        "automationDetails": {"id": f"depfix/{shown(base_name(report.dist.root))}/"},
        "invocations": [_invocation(material, len(results) - _MOST_RESULTS)],
        "originalUriBaseIds": _bases(places),
        "columnKind": "utf16CodeUnits",
        "results": results[:_MOST_RESULTS],
        "properties": {"dist": report.dist.root, "target": report.target, "reach": report.reach},
    }


def _driver(findings: Sequence[Finding]) -> _Value:
    return {
        "name": "depfix",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": _HOME,
        "rules": [_descriptor(entry, findings) for entry in rules()],
    }


def _descriptor(entry: Rule, findings: Sequence[Finding]) -> _Value:
    why, example, cure, safe = (said(tabled(text)) for text in (entry.why, entry.example, entry.cure, entry.safety))
    rows = ((say("Why it breaks"), why), (say("Example"), example), (say("How it is fixed"), cure))
    safety = (*rows, (say("How safe that is"), safe))
    summary = said(tabled(entry.summary))
    return {
        "id": entry.code,
        "name": "".join(map(str.capitalize, entry.name.split("-"))),
        "shortDescription": {"text": _text(summary)},
        "fullDescription": {"text": _text(_cut(f"{summary} {why}"))},
        "help": {
            "text": _text("\n\n".join(f"{title}: {words}" for title, words in safety)),
            "markdown": _text("\n\n".join(f"**{title}.** {words}" for title, words in safety)),
        },
        "defaultConfiguration": {"level": _LEVEL[entry.severity]},
        "properties": {
            "tags": [_FAMILIES.get(entry.code[:3], "other"), entry.name],
            "precision": _precision(entry.code, findings),
            "problem.severity": _PROBLEM[entry.severity],
        },
    }


def _precision(code: str, findings: Sequence[Finding]) -> str:
    """Return how sure the least sure finding of a rule is, in the words that GitHub sorts by."""
    order = list(Confidence)
    sure = [one.confidence for one in findings if one.rule == code and one.severity is not Severity.INFO]
    return _PRECISION[max(sure, key=order.index, default=Confidence.PROBABLE)]


def _invocation(material: Material, left_out: int) -> _Value:
    notes = [{"level": "note", "message": {"text": _text(verdict(material.report))}}]
    if left_out > 0:
        words = say(
            "{left_out} more results are left out: GitHub takes {most_results}",
            left_out=left_out,
            most_results=_MOST_RESULTS,
        )
        notes.append({"level": "warning", "message": {"text": words}})
    return {"executionSuccessful": True, "toolExecutionNotifications": notes}


def _bases(places: Places) -> _Value:
    bases: _Value = {_REPOSITORY: {"uri": f"{Path(places.root).as_uri().rstrip('/')}/"}}
    if not places.dist_in_repository:
        bases[_ABOVE_DIST] = {"uri": f"{Path(places.above_dist).as_uri().rstrip('/')}/"}
    return bases


def _results(material: Material, places: Places, known: dict[str, int]) -> Iterator[_Value]:
    counted = sorted(
        material.report.findings, key=lambda one: (one.severity.rank, list(Confidence).index(one.confidence))
    )
    accepted: list[Accepted | None] = [None] * len(counted)
    accepted += material.accepted
    findings = [*counted, *(one.finding for one in material.accepted)]
    for finding, mark, decision in zip(findings, fingerprints(findings), accepted, strict=True):
        value = _result(finding, mark, places)
        if finding.rule in known:
            value["ruleIndex"] = known[finding.rule]
        if material.accepted:  # if one result says whether it is suppressed, all have to
            value["suppressions"] = [_suppression(decision)] if decision is not None else []
        yield value


def _result(finding: Finding, fingerprint: str, places: Places) -> _Value:
    first, *others = places.of(finding)
    value: _Value = {
        "ruleId": finding.rule,
        "level": _LEVEL[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(first)],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint, "depfix/v1": finding.fingerprint},
        "properties": {
            "subject": finding.subject,
            "confidence": finding.confidence.value,
            "chain": list(finding.chain),
            "fix": fix_value(finding.fix),
            "noFix": finding.no_fix,
        },
    }
    if others:
        value["relatedLocations"] = [
            _location(place, say("also here"), number) for number, place in enumerate(others[:_MOST_RELATED], 1)
        ]
    if len(finding.chain) > 1:
        steps = list(_steps(finding, first, places))
        value["codeFlows"] = [{"message": {"text": say("who needs it")}, "threadFlows": [{"locations": steps}]}]
    return value


def _message(finding: Finding) -> str:
    what = f"{shown(finding.subject)}{sure_words(finding)}: {sentence(finding.message)}"
    return _text(f"{what} {cure_words(finding)}".rstrip())


def _steps(finding: Finding, first: Place, places: Places) -> Iterator[_Value]:
    """Yield the chain; what is no file stands where it is asked for."""
    last = first
    for step, place in zip(finding.chain, places.steps(finding), strict=True):
        last = place or last
        yield {"location": _location(last, shown(step))}


def _location(place: Place, words: str = "", number: int = 0) -> _Value:
    artifact: _Value = {"uri": place.uri}
    if not place.absolute:
        artifact["uriBaseId"] = _REPOSITORY if place.in_repository else _ABOVE_DIST
    physical: _Value = {"artifactLocation": artifact}
    if place.line:
        physical["region"] = {"startLine": place.line}
    location: _Value = {"physicalLocation": physical}
    if words:
        location["message"] = {"text": _text(words)}
    if number:
        location["id"] = number
    return location


def _suppression(accepted: Accepted) -> _Value:
    return {"kind": "external", "status": "accepted", "justification": _text(accepted_words(accepted))}


def _text(words: str) -> str:
    """Return words in which neither a placeholder nor a link is read (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    return re.sub(r"\](?=\()", r"] ", words).replace("{", "{{").replace("}", "}}")


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST].rpartition(' ')[0]} ..."
