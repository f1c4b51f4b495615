"""Annotations of GitHub Actions: workflow commands, which the runner reads in the output of a step.

GitHub shows ten annotations of each level for a step, so the worst come first and the tenth says how many are left.
Sources: GitHub Docs, "Workflow commands for GitHub Actions"
https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions; what is escaped how: actions/runner,
ActionCommand.cs https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.names import base_name
from depfix.model.shown import shown, shown_line
from depfix.reports.groups import Group, grouped
from depfix.reports.places import Places
from depfix.reports.words import count, cure_words, sentence, sure_words, verdict
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.reports.forms import Material

_MOST = 10  # annotations of one level that GitHub shows for a step
_LONGEST = 4000  # characters of a message
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def workflow_commands(material: Material) -> str:
    """Return a report as workflow commands, and the verdict as a line of the log."""
    report = material.report
    places = Places(report, material.root)
    lines: list[str] = []
    for severity in Severity:
        if severity is not Severity.INFO or material.verbose:
            found = [finding for finding in report.findings if finding.severity is severity]
            found.sort(key=lambda finding: list(Confidence).index(finding.confidence))
            lines += _level(found, places)
    lines.append(
        shown_line(
            say(
                "depfix: {root}: {verdict}",
                root=base_name(report.dist.root),
                verdict=verdict(report, len(material.accepted)),
            )
        )
    )
    return "".join(f"{line}\n" for line in lines)


def _level(findings: Sequence[Finding], places: Places) -> Iterator[str]:
    """Yield the annotations of one level, one for each cause; if there are too many, the last one counts the rest."""
    groups = grouped(findings)
    most = _MOST if len(groups) <= _MOST else _MOST - 1
    for group in groups[:most]:
        yield _annotation(group, places)
    left = [finding for group in groups[most:] for finding in group.findings]
    if left:
        subjects = ", ".join(shown(finding.subject) for finding in left)
        words = f"{count(len(left), f'more {left[0].severity.value}')}: {subjects}"
        yield _command(left[0].severity, {"title": "depfix"}, words)


def _annotation(group: Group, places: Places) -> str:
    first, many = group.first, len(group.findings) > 1
    place = places.of(first)[0]
    properties = {"title": f"{first.rule} {first.name}"}
    if place.in_repository:
        line = {"line": str(place.line)} if place.line else {}
        properties = {"file": shown(place.path), **line, **properties}
    subjects = f"{group.title}: {', '.join(group.subjects)}" if many else group.title
    rows = (
        f"{subjects}{sure_words(first)}: {sentence(first.message)}",
        say("Needed by {chain}.", chain=" > ".join(group.chain)) if group.chain else "",
        "" if many else cure_words(first),
    )
    return _command(first.severity, properties, "\n".join(filter(None, rows)))


def _command(severity: Severity, properties: dict[str, str], message: str) -> str:
    cut = message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[severity]} {given}::{_data(cut)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
