"""The report of a run: how it went, what is wrong, what was seen beside what was foreseen.

The JSON is that of a scan with the key `verification_run`; these names stay: `how`, `program`, `arguments`, `cwd`,
`place`, `display`, `passed` (null for a trace), `failure`, `exit_code`, `seconds`, `out`, `err` (their ends), `loads`
[{`path`, `inside`, `system`, `builtin`}], `not_found` [{`name`, `importer`, `status`}], `unresolved` [{`dll`,
`symbol`, `importer`}], `statuses`, `message_boxes`, `wine_lacks`, `read` (files of the dist, or null), `written`,
`changed_in_dist`, `causes` (those of `depfix diagnose` for what a program printed that failed), and `comparison`,
null or {`foreseen`, `unforeseen`, `unforeseen_modules`, `unloaded` and `unread` {`files`, `bytes`, `largest`
[{`path`, `bytes`}]}}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from depfix.model.finding import Severity
from depfix.model.report import Report
from depfix.reports.diagnosis import cause_lines, cause_value
from depfix.reports.json import encoded, report_value
from depfix.reports.text import Line, count, finding_lines, size
from depfix.reports.words import listed, padded
from depfix.wording.message import phrase
from depfix.wording.speech import said, say, spoken

if TYPE_CHECKING:
    from depfix.model.run import Comparison, Unused, VerificationRun

_END = 4000  # characters of an output that a report repeats
_MOST_LINES = 12
_MOST_NAMES = 8
_INDENT = " " * 9
_KINDS = {"dist": phrase("dist"), "windows": phrase("windows"), "outside": phrase("outside")}


def verification_lines(report: Report, run: VerificationRun, *, verbose: bool) -> Iterator[Line]:
    """Yield the verdict, what is wrong, and what was seen; `verbose` shows the loads and all of the output's end."""
    report, run = spoken((report, run))
    yield Line(verification_verdict(report, run), "", "")
    yield from _circumstances(run)
    yield Line()
    for finding in report.findings:
        if verbose or finding.severity is not Severity.INFO:
            yield from finding_lines(finding, verbose, cures=False)
            yield Line()
    yield from _output(run, verbose)
    yield from cause_lines(run.causes)
    yield from _seen(run, verbose)
    hidden = 0 if verbose else report.count(Severity.INFO)
    if hidden:
        yield Line("  " + say("{findings} for information; -v shows them", findings=count(hidden, "more finding")))


def verification_verdict(report: Report, run: VerificationRun) -> str:
    """Return the one line that sums up a run."""
    run = spoken(run)
    errors, warnings = report.count(Severity.ERROR), report.count(Severity.WARNING)
    found = listed((count(errors, "error"), count(warnings, "warning")))
    if run.ended is None:
        return say(
            "{program}: {how} of {loads}: {found}",
            program=run.program,
            how=run.how,
            loads=count(len(run.observed.loads), "load"),
            found=found,
        )
    if run.failure:
        return f"{run.program} {run.failure}: {found}"
    how = say("ran and ended with 0 in {seconds:.1f} s", seconds=run.ended.seconds)
    if run.ended.code is None:
        how = say("still ran after {seconds:.1f} s", seconds=run.ended.seconds)
    if errors or warnings:
        return f"{run.program} {how}, {found}"
    return say("{program} {how}, as on a clean machine", program=run.program, how=how)


def verification_json(report: Report, run: VerificationRun) -> str:
    """Return the report as JSON; see the head of this module."""
    return encoded({**report_value(report), "verification_run": _value(run)})


def _circumstances(run: VerificationRun) -> Iterator[Line]:
    if run.ended is None:
        yield Line(
            "  " + say("the dist was at {place}", place=run.place)
            if run.place
            else "  " + say("where the dist was, the trace does not tell")
        )
        return
    screen = say(", display {display}", display=run.display) if run.display else ""
    yield Line(
        "  "
        + say(
            "{how}, in {place}, current directory {cwd}{screen}",
            how=run.how,
            place=run.place,
            cwd=run.order.cwd,
            screen=screen,
        )
    )
    if run.order.arguments:
        yield Line("  " + say("arguments {arguments}", arguments=" ".join(run.order.arguments)))


def _output(run: VerificationRun, verbose: bool) -> Iterator[Line]:
    if run.ended is None or not (verbose or run.failure):
        return
    for name, text in (("stdout", run.ended.out), ("stderr", run.ended.err)):
        lines = [line.rstrip().expandtabs() for line in text.splitlines() if line.strip()]
        for line in lines[-_MOST_LINES:]:
            yield Line(f"  {line}", f"{name:<7}", "cyan")


def _seen(run: VerificationRun, verbose: bool) -> Iterator[Line]:
    observed = run.observed
    own = sum(bool(load.inside) for load in observed.loads)
    yield Line(
        "  "
        + say(
            "{images} of the dist and {number} others were loaded",
            images=count(own, "image"),
            number=len(observed.loads) - own,
        )
    )
    if verbose:
        for load in observed.loads:
            kind = "dist" if load.inside else "windows" if load.system else "outside"
            yield Line(
                f"  {load.inside or load.path}", padded(said(_KINDS[kind]), 7), "red" if kind == "outside" else ""
            )
    if run.written:
        yield Line(
            "  " + say("it wrote beside itself: {names} (in the copy; DIST is as it was)", names=_names(run.written))
        )
    if run.spoilt:
        yield Line(
            "  " + say("changed in DIST itself: {names}; run without --link", names=_names(run.spoilt)),
            say("warning:"),
            "yellow",
        )
    if run.comparison is not None:
        yield from _compared(run.comparison)


def _compared(comparison: Comparison) -> Iterator[Line]:
    gaps = len(comparison.unforeseen)
    yield Line(
        "  "
        + say("foreseen by a scan: {foreseen} of them", foreseen=comparison.foreseen)
        + (say(", not {gaps} (DF604)", gaps=gaps) if gaps else "")
    )
    for words, unused in ((say("never loaded"), comparison.unloaded), (say("never read"), comparison.unread)):
        if unused is not None and unused.files:
            yield Line(
                "  "
                + say(
                    "{words} in this run: {files}, {size}; {largest}",
                    words=words,
                    files=count(unused.files, "file"),
                    size=size(unused.size),
                    largest=_largest(unused),
                )
            )
    if comparison.unloaded.files:
        yield Line("  " + say("what no run touches is what `depfix repair --slim` can leave out"))


def _largest(unused: Unused) -> str:
    shown = [f"{path} ({size(number)})" for path, number in unused.largest[:3]]
    return say("the largest {names}", names=", ".join(shown))


def _names(paths: tuple[str, ...]) -> str:
    more = say(" and {number} more", number=len(paths) - _MOST_NAMES) if len(paths) > _MOST_NAMES else ""
    return ", ".join(paths[:_MOST_NAMES]) + more


def _value(run: VerificationRun) -> dict[str, Any]:
    observed, ended = run.observed, run.ended
    return {
        "how": run.how,
        "program": run.program,
        "arguments": list(run.order.arguments),
        "cwd": run.order.cwd,
        "place": run.place,
        "display": run.display,
        "passed": run.passed,
        "failure": run.failure,
        "exit_code": ended.code if ended is not None else None,
        "seconds": round(ended.seconds, 2) if ended is not None else None,
        "out": ended.out[-_END:] if ended is not None else "",
        "err": ended.err[-_END:] if ended is not None else "",
        "loads": [
            {"path": load.path, "inside": load.inside, "system": load.system, "builtin": load.builtin}
            for load in observed.loads
        ],
        "not_found": [{"name": one.name, "importer": one.importer, "status": one.status} for one in observed.sought],
        "unresolved": [{"dll": one.dll, "symbol": one.symbol, "importer": one.importer} for one in observed.unresolved],
        "statuses": list(observed.statuses),
        "message_boxes": list(observed.boxes),
        "wine_lacks": list(observed.gaps),
        "read": sorted(observed.read) if observed.read is not None else None,
        "written": list(run.written),
        "changed_in_dist": list(run.spoilt),
        "comparison": _comparison_value(run.comparison) if run.comparison is not None else None,
        "causes": [cause_value(cause) for cause in run.causes],
    }


def _comparison_value(comparison: Comparison) -> dict[str, Any]:
    unread = comparison.unread
    return {
        "foreseen": comparison.foreseen,
        "unforeseen": list(comparison.unforeseen),
        "unforeseen_modules": list(comparison.unforeseen_modules),
        "unloaded": _unused_value(comparison.unloaded),
        "unread": _unused_value(unread) if unread is not None else None,
    }


def _unused_value(unused: Unused) -> dict[str, Any]:
    return {
        "files": unused.files,
        "bytes": unused.size,
        "largest": [{"path": path, "bytes": number} for path, number in unused.largest],
    }
