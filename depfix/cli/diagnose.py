"""`depfix diagnose`: what an error text that a customer mails says of its cause."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import click

from depfix.cli.completing import complete_files, complete_folders
from depfix.cli.options import choices, environment_option, format_option, no_cache_option, output_option, whole_folder
from depfix.cli.terminal import ProgressBar, check_outputs, emit, is_terminal, print_lines, tell, write_report
from depfix.errors import LogNotReadError
from depfix.wording.speech import say

_FOUND, _NOTHING = 1, 0
_UNKNOWN = "unknown"
_STDIN = "-"
_LONGEST = 120
_A_NAME = re.compile(r"(?:[A-Za-z]:)?(?:[^\s:*?\"<>|]+\.[A-Za-z]{2,5}|[^\n:*?\"<>|]+\.(?:log|txt|err|out))")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("log", required=False, default=_STDIN, shell_complete=complete_files)
@click.option(
    "--dist",
    type=click.Path(path_type=str),
    callback=whole_folder,
    metavar="DIST",
    default="",
    shell_complete=complete_folders,
    help="The folder of the program that failed: tells the exact file.",
)
@environment_option
@click.option(
    "--entry",
    "entries",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_files,
    help="The program's own script. Repeatable.",
)
@no_cache_option
@format_option
@output_option
@click.option("-q", "--quiet", is_flag=True, help="No progress; of a text report only the cause.")
def diagnose(log: str, dist: str, form: str, output: str, quiet: bool, **values: Any) -> None:
    """Tell what an error text says of its cause. Nothing is run, nothing is changed.

    LOG is a file with what the program printed, `-` for standard input, the message itself in quotes, or an exit code.

    \b
    depfix diagnose crash.txt --dist main.dist   which file, and what to type
    depfix diagnose 0xC0000135                   what an exit code means

    Exit codes: 1 a cause was found, 0 the text names none that depfix knows, 2 wrong usage or input.
    """
    from depfix.api.verifying import diagnose as causes_of
    from depfix.reports.diagnosis import diagnosis_json, diagnosis_lines
    from depfix.reports.text import plain

    check_outputs(output)
    text = _text_of(log)
    with ProgressBar(quiet) as show:
        causes = causes_of(text, dist, log=_shown(log), **choices(values, show))
    if form == "json":
        emit(diagnosis_json(causes), output)
    else:
        lines = list(diagnosis_lines(causes, dist))
        if output:
            write_report(output, plain(lines))
        else:
            print_lines(lines[:1] if quiet else lines)
    sys.exit(_FOUND if any(cause.cause != _UNKNOWN for cause in causes) else _NOTHING)


def _text_of(log: str) -> str:
    """Return the text to look at: of a file, of standard input, or what was given itself."""
    from depfix.api.verifying import read_log

    if log == _STDIN:
        if is_terminal(sys.stdin):
            keys = "Ctrl-Z, Enter" if os.name == "nt" else "Ctrl-D"
            tell(" " + say("paste the error text, then {keys}", keys=keys), "diagnose:", "cyan")
        return read_log(sys.stdin.buffer)
    if os.path.isdir(log):
        raise LogNotReadError(log, say("it is a folder; the folder of the program is given with --dist"))
    if os.path.exists(log):
        return read_log(log)
    if log.startswith("--"):
        raise click.NoSuchOption(log)  # an exit code may begin with a minus, so options are not told from texts before
    if _A_NAME.fullmatch(log) or not log.strip():
        raise LogNotReadError(log or say("the text"), say("there is no such file") if log else say("it is empty"))
    return log


def _shown(log: str) -> str:
    """Return how a command names the log, an empty string if it cannot: it came through a pipe, or is long."""
    return log if log != _STDIN and len(log) < _LONGEST and log.isprintable() else ""
