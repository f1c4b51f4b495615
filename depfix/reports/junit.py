"""JUnit XML: one suite for the dist, one test for each rule that was checked, as Jenkins and GitLab show them.

A test fails if findings of its rule are at the level that fails; what is below it stands in the test's output. What was
accepted is a skipped test with the reason. Valid by the schema of Jenkins' xUnit plugin, `junit-10.xsd`
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from depfix.knowledge.rules import rules
from depfix.model.finding import Finding
from depfix.model.names import base_name
from depfix.model.shown import shown, shown_line
from depfix.reports.words import accepted_words, count, cure_words, severity_word, sure_words, verdict
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.model.audit import Accepted
    from depfix.reports.forms import Material

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2 Characters


def junit(material: Material) -> str:
    """Return a report as JUnit XML."""
    report = material.report
    by_rule: dict[str, list[Finding]] = {code: [] for code in report.checked}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    name = base_name(report.dist.root)
    suite = ElementTree.Element("testsuite", name=_text(f"depfix {name}"))
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("dist", report.dist.root), ("target", report.target), ("verdict", verdict(report))):
        ElementTree.SubElement(properties, "property", name=key, value=_text(value))
    group = "depfix." + re.sub(r"[.\s]+", "_", _text(name))  # dots would divide it into packages
    names = {entry.code: entry.name for entry in rules()}
    for code, findings in sorted(by_rule.items()):
        called = names.get(code) or findings[0].name
        suite.append(_case(f"{code} {called}", group, findings, material.verdict.fail_on))
    suite.extend(_skipped(one, group) for one in material.accepted)
    _count(suite)
    suites = ElementTree.Element("testsuites", {**_totals(suite), "name": "depfix"})
    suites.append(suite)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _case(name: str, group: str, findings: Sequence[Finding], level: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=_text(name), classname=group, time="0")
    failing = [finding for finding in findings if finding.fails(level)]
    others = [finding for finding in findings if not finding.fails(level)]
    if failing:
        subjects = shown(failing[0].subject) + (
            say(" and {number} more", number=len(failing) - 1) if len(failing) > 1 else ""
        )
        words = f"{count(len(failing), 'finding')}: {subjects}"
        failure = ElementTree.SubElement(case, "failure", type=failing[0].severity.value, message=_text(words))
        failure.text = _text("\n\n".join(map(_finding_text, failing)))
    if others:
        ElementTree.SubElement(case, "system-out").text = _text("\n\n".join(map(_finding_text, others)))
    return case


def _skipped(accepted: Accepted, group: str) -> ElementTree.Element:
    finding = accepted.finding
    name = f"{finding.rule} {finding.name}: {shown(finding.subject)}"
    case = ElementTree.Element("testcase", name=_text(name), classname=group, time="0")
    skipped = ElementTree.SubElement(case, "skipped", message=_text(accepted_words(accepted)))
    skipped.text = _text(_finding_text(finding))
    return case


def _finding_text(finding: Finding) -> str:
    lines = (
        f"{severity_word(finding.severity)}: {shown(finding.subject)}{sure_words(finding)}",
        f"  {shown(said(finding.message))}",
        "  " + say("needed by {chain}", chain=shown(" > ".join(finding.chain))) if len(finding.chain) > 1 else "",
        f"  {cure_words(finding)}",
    )
    return "\n".join(filter(str.strip, lines))


def _count(suite: ElementTree.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", "0")


def _totals(suite: ElementTree.Element) -> dict[str, str]:
    return {key: suite.get(key, "0") for key in ("tests", "failures", "errors", "time")}


def _text(words: str) -> str:
    """Return words in which every character may stand in XML."""
    return _NOT_IN_XML.sub("\ufffd", "\n".join(map(shown_line, words.split("\n"))))
