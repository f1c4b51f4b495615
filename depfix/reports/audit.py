"""What an audit prints: the findings in short, one line of verdict, what was accepted and by what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Finding, Severity
from depfix.model.report import Report
from depfix.reports.text import COLOUR, Line, count
from depfix.reports.words import listed, padded, severity_word
from depfix.wording.speech import say, spoken

_INDENT = " " * 9
_ALWAYS = "unused-acceptance"  # info, and yet for the one who reads this


def brief_lines(findings: Sequence[Finding], most: int, elsewhere: str) -> Iterator[Line]:
    """Yield two lines for each finding that is no mere information, at most `most`; `elsewhere` has the others."""
    told = [spoken(one) for one in findings if one.severity is not Severity.INFO or one.name == _ALWAYS]
    for one in told[:most]:
        yield Line(
            f"{one.rule} {one.name}  {one.subject}", padded(severity_word(one.severity), 9), COLOUR[one.severity]
        )
        yield Line(one.message, label=_INDENT)
    if len(told) > most:
        yield Line(say("{number} more are in {elsewhere}", number=len(told) - most, elsewhere=elsewhere), label=_INDENT)


def verdict_line(name: str, report: Report, verdict: Verdict, accepted: Sequence[Accepted]) -> Line:
    """Return the line that says how the audit of a dist ended."""
    words = listed(count(report.count(severity), severity.value) for severity in (Severity.ERROR, Severity.WARNING))
    more = f"; {accepted_count_words(accepted)}" if accepted else ""
    lead, colour = (say("failed"), "red") if verdict.failed else (say("passed"), "green")
    return Line(f"{name}: {words}{more}", padded(lead, 8), colour)


def total_line(failed: int, passed: int, broken: int) -> Line:
    """Return the line that sums several dists up; `broken` is of those that could not be audited."""
    more = say(", {broken} could not be audited", broken=broken) if broken else ""
    return Line(
        say(
            "{dists}: {failed} failed, {passed} passed{more}",
            dists=count(failed + passed + broken, "dist"),
            failed=failed,
            passed=passed,
            more=more,
        )
    )


def accepted_count_words(accepted: Sequence[Accepted]) -> str:
    """Return "3 accepted (2 by depfix.toml, 1 by baseline.json)", an empty string if nothing was."""
    by = Counter(one.by for one in accepted)
    if len(by) < 2:
        return say("{number} accepted by {by}", number=len(accepted), by=accepted[0].by) if accepted else ""
    items = [say("{number} by {name}", number=number, name=name) for name, number in sorted(by.items())]
    return say("{number} accepted ({items})", number=len(accepted), items=", ".join(items))
