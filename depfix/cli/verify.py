"""`depfix verify`: the program started as on a clean machine, and what was seen of it."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import click

from depfix.cli.completing import complete_files, complete_folders, complete_programs
from depfix.cli.exits import exit_code
from depfix.cli.options import choices, dist_argument, format_option, report_options, scan_options
from depfix.cli.terminal import (
    ProgressBar,
    check_outputs,
    emit,
    hint,
    print_lines,
    tell,
    write_report,
)
from depfix.errors import WriteError
from depfix.model.shell import quoted
from depfix.wording.message import system_words
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.api.verifying import TrialChoices
    from depfix.model.report import Report
    from depfix.model.run import VerificationRun

_TERMINATED = 143
_OF_TRIAL = ("exe", "timeout", "expect", "cwd", "odd_path", "language", "link", "prefix", "screenshot", "trace")


@click.command(context_settings={"ignore_unknown_options": False})
@dist_argument
@click.argument("arguments", metavar="[-- ARGS]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--exe",
    metavar="NAME",
    default="",
    shell_complete=complete_programs,
    help="Which program, if there are several in DIST.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="It fails if it has not ended by then.",
)
@click.option(
    "--alive",
    type=click.FloatRange(min=0.5),
    metavar="SECONDS",
    default=None,
    help="It works if it still runs after so long: for programs with windows, and servers.",
)
@click.option("--expect", metavar="TEXT", default="", help="It has to print this.")
@click.option(
    "--cwd",
    metavar="WHERE",
    shell_complete=complete_folders,
    default="dist",
    show_default=True,
    help="The current directory: dist (as after a double click), elsewhere (the user's folder), or a folder.",
)
@click.option("--odd-path", is_flag=True, help="Put it into a folder with spaces, brackets and Chinese characters.")
@click.option(
    "--language",
    metavar="NAME",
    default="",
    help="The language of Wine's Windows, such as zh_CN: decides the code page that files are read in.",
)
@click.option("--link", is_flag=True, help="Hard-link DLLs instead of copying them; it is checked that they stay.")
@click.option(
    "--prefix",
    metavar="DIR",
    default="",
    shell_complete=complete_folders,
    help="Keep the Wine prefix here; all that runs in it is ended.",
)
@click.option(
    "--screenshot",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="Save a picture of the screen as PNG (needs Xvfb).",
)
@click.option(
    "--trace",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="Run nothing; read Wine's log, dlltracer's output or CSV of Procmon.",
)
@click.option("--no-compare", is_flag=True, help="Do not compare with what a scan finds: quicker.")
@scan_options
@format_option
@report_options
def verify(dist: str, arguments: tuple[str, ...], **values: Any) -> None:
    """Start a copy of DIST as on a clean machine, and say what it loaded and what it did not find.

    ARGS behind `--` are the program's. The copy has Windows' own variables and PATH, and no VC runtime that Windows
    lacks. It runs on Windows itself, elsewhere under Wine in a prefix that is thrown away; it can read this machine's
    files as drive Z:, and is no sandbox: start only what you trust.

    Exit codes: 0 it ran and nothing is wrong, 1 findings, 2 wrong usage or input, 3 it could not be run.
    """
    from depfix.api import verifying

    check_outputs(values["output"], values["screenshot"])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    with ProgressBar(values["quiet"]) as show:
        starting = _starting(arguments, values, show)
        report, run = verifying.verify(dist, compare=not values["no_compare"], **starting)
    if values["screenshot"] and run.picture:
        _write_picture(values["screenshot"], run.picture)
    _print(report, run, values)
    _hints(dist, report, run, values)
    sys.exit(exit_code(report.findings, values["fail_on"]))


def _stopped(number: int, _frame: FrameType | None) -> None:
    """End the run and clear up; while that is done, another Ctrl-C has no effect."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGTERM:
        sys.exit(_TERMINATED)
    raise KeyboardInterrupt


def _starting(arguments: tuple[str, ...], values: dict[str, Any], show: ProgressBar) -> TrialChoices:
    """Return how the program is to be started, and what is to be looked at besides."""

    def tell_step(message: str) -> None:
        show.pause()
        if not values["quiet"]:
            tell(f" {said(message)} ...")

    given = {name: values[name] for name in _OF_TRIAL}
    return {
        **choices(values, show),
        **cast("TrialChoices", given),
        "arguments": arguments,
        "alive": values["alive"] or 0.0,
        "tell": tell_step,
        "copied": lambda done, total: show("copying", done, total, say("copying the dist")),
    }


def _print(report: Report, run: VerificationRun, values: dict[str, Any]) -> None:
    from depfix.reports.text import Line, plain
    from depfix.reports.verification import verification_json, verification_lines, verification_verdict

    if values["form"] == "json":
        emit(verification_json(report, run), values["output"])
        return
    lines = list(verification_lines(report, run, verbose=values["verbose"]))
    if values["output"]:
        write_report(values["output"], plain(lines))
    short = values["quiet"] or values["output"]
    print_lines([Line(verification_verdict(report, run))] if short else lines)


def _hints(dist: str, report: Report, run: VerificationRun, values: dict[str, Any]) -> None:
    if values["quiet"] or run.ended is None:
        return
    shown = quoted(dist)
    if any(finding.name == "not-found-when-run" and finding.severity.rank == 0 for finding in report.findings):
        hint(say("depfix repair {dist} --env conda:NAME copies in what is missing", dist=shown))
    elif run.failure and run.ended.code is None and not values["alive"]:
        hint(say("a program with windows, or a server, does not end: --alive SECONDS is enough for it"))
    elif run.failure:
        hint(say("depfix scan {dist} says what is missing", dist=shown))


def _write_picture(path: str, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
