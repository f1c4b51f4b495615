"""GitLab's Code Quality report, which a merge request shows beside the lines that it changes.

Source: GitLab Docs, "Code Quality", "Code Quality report format"
https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.shown import shown
from depfix.reports.fingerprints import fingerprints
from depfix.reports.json import encoded
from depfix.reports.places import Places
from depfix.reports.words import cure_words, sentence, sure_words
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.reports.forms import Material


def code_quality(material: Material) -> str:
    """Return a report as GitLab's Code Quality JSON; what was accepted is not in it."""
    places = Places(material.report, material.root)
    findings = [one for one in material.report.findings if one.severity is not Severity.INFO or material.verbose]
    marks = fingerprints(findings)
    return encoded([_issue(finding, mark, places) for finding, mark in zip(findings, marks, strict=True)])


def _issue(finding: Finding, fingerprint: str, places: Places) -> dict[str, object]:
    place = places.of(finding)[0]
    needed = " " + say("Needed by {chain}.", chain=shown(" > ".join(finding.chain))) if len(finding.chain) > 1 else ""
    words = f"{shown(finding.subject)}{sure_words(finding)}: {sentence(finding.message)}{needed} {cure_words(finding)}"
    return {
        "description": words.rstrip(),
        "check_name": f"{finding.rule} {finding.name}",
        "fingerprint": hashlib.sha256(fingerprint.encode()).hexdigest(),
        "severity": _severity(finding),
        "location": {"path": shown(place.path), "lines": {"begin": place.line or 1}},
    }


def _severity(finding: Finding) -> str:
    """Return GitLab's word: an error that is certain blocks the release, others by how sure they are."""
    words = {Severity.ERROR: ("blocker", "critical", "minor"), Severity.WARNING: ("major", "major", "minor")}
    return words.get(finding.severity, ("info",) * 3)[list(Confidence).index(finding.confidence)]
