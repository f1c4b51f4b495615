"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from depfix.cli.completing import (
    complete_environments,
    complete_files,
    complete_folders,
    complete_formats,
    complete_rules,
    complete_targets,
)
from depfix.cli.terminal import tell
from depfix.model.shell import quoted
from depfix.wording.speech import said

if TYPE_CHECKING:
    from depfix.api.choices import Choices, Progress

Command = TypeVar("Command", bound=Callable[..., Any])


def whole_folder(context: click.Context, _parameter: click.Parameter, given: str | tuple[str, ...]) -> Any:
    """Return the folder of a program, or the folders, for what leads to one; it is told if that is another.

    Raises NotADistError for what surely is something else.
    """
    if context.resilient_parsing:
        return given
    return tuple(map(_folder, given)) if isinstance(given, tuple) else _folder(given)


def _folder(given: str) -> str:
    from depfix.api.locating import is_plain, locate

    if not given or is_plain(given):
        return given
    located = locate(given)
    if located.note:
        tell(f" {said(located.note)}", "note:", "cyan")
    return located.path


dist_argument = click.argument(
    "dist", type=click.Path(path_type=str), metavar="DIST", callback=whole_folder, shell_complete=complete_folders
)
environment_option = click.option(
    "--env",
    "environments",
    multiple=True,
    metavar="SPEC",
    shell_complete=complete_environments,
    help="Where files can be taken from: conda:NAME, conda:FOLDER, venv:FOLDER, python:FOLDER, wheels:FOLDER (wheels "
    "and conda packages, nothing installed) or, for DLLs alone, dir:FOLDER. Repeatable, in order of preference.",
)
_MOST_WORKERS = 8
# {option: what the API calls it}
_NAMES = {"environments": "env", "entries": "entry"} | {
    name: name for name in ("project", "report", "target", "select", "ignore")
}
# Those by which a scan and the repair after it see the same.
_TYPED_AGAIN = {
    "environments": "--env",
    "entries": "--entry",
    "project": "--project-dir",
    "report": "--report",
    "target": "--target",
}
no_cache_option = click.option(
    "--no-cache", is_flag=True, help="Read everything anew, and keep nothing for the next run (see `depfix cache`)."
)
_REPORT = click.option(
    "--report",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="Nuitka's compilation report of DIST; one that lies beside DIST is found.",
)
_SHARED = (
    click.option(
        "--entry",
        "entries",
        multiple=True,
        metavar="FILE",
        shell_complete=complete_files,
        help="The program's own script: only what it reaches is checked. Repeatable.",
    ),
    click.option(
        "--project-dir",
        "project",
        metavar="DIR",
        default="",
        shell_complete=complete_folders,
        help="Where the program's own modules are, if not beside the entry.",
    ),
    _REPORT,
    click.option(
        "--target",
        metavar="NAME",
        default="",
        shell_complete=complete_targets,
        help="The Windows that the program is to run on: win7, win8.1, win10, win11, each also with -n; server-core; "
        "with -x86, -amd64 or -arm64 for the machine. Default: win10, or what the Python of DIST needs.",
    ),
    click.option(
        "--select",
        multiple=True,
        metavar="RULE",
        shell_complete=complete_rules,
        help="Only this rule (code or name). Repeatable.",
    ),
    click.option(
        "--ignore",
        multiple=True,
        metavar="RULE",
        shell_complete=complete_rules,
        help="Not this rule (code or name). Repeatable.",
    ),
    no_cache_option,
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The form of the report.",
)
every_form_option = click.option(
    "--format",
    "form",
    metavar="NAME",
    default="text",
    show_default=True,
    shell_complete=complete_formats,
    help="The form of the report: text, json, html, sarif, junit, github (annotations), gitlab (code quality) or "
    "markdown; or what an extension adds.",
)
_BASELINE = (
    click.option(
        "--baseline",
        metavar="FILE",
        default="",
        shell_complete=complete_files,
        help="Findings that this file names do not count: those of a past day.",
    ),
    click.option("--update-baseline", is_flag=True, help="Write the findings of today to the file of --baseline."),
)
output_option = click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="Write the report to a file instead.",
)
_REPORTS = (
    output_option,
    click.option(
        "--fail-on",
        type=click.Choice(["error", "warning", "never"]),
        default="error",
        show_default=True,
        help="Which findings make the exit code 1.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no hints; of a text report only the verdict."),
    click.option("-v", "--verbose", is_flag=True, help="Show what is merely possible, and every place looked at."),
)


def scan_options(command: Command) -> Command:
    """Add the options that decide what is looked at."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def typed_again(values: dict[str, Any]) -> Iterator[str]:
    """Yield the options of a scan that the command which follows it needs as well, each with its value."""
    for name, option in _TYPED_AGAIN.items():
        given = values[name]
        for value in (given,) if isinstance(given, str) else given:
            if value:
                yield f"{option} {quoted(value)}"


def baseline_option(command: Command) -> Command:
    """Add the option that names a baseline."""
    return _BASELINE[0](command)


def baseline_options(command: Command) -> Command:
    """Add the options that name a baseline and write it."""
    return _BASELINE[0](_BASELINE[1](command))


def shared_options(command: Command) -> Command:
    """Add those options that decide what is looked at which may hold for several dists."""
    for option in reversed([one for one in _SHARED if one is not _REPORT]):
        command = option(command)
    return command


def report_options(command: Command) -> Command:
    """Add the options that decide what is printed, and the exit code."""
    for option in reversed(_REPORTS):
        command = option(command)
    return command


def choices(values: dict[str, Any], progress: Progress | None = None) -> Choices:
    """Return what the API takes for the values that click collected; a command need not have them all."""
    found: dict[str, Any] = {name: values[option] for option, name in _NAMES.items() if values.get(option)}
    found["workers"] = min(_MOST_WORKERS, os.cpu_count() or 1)
    if values.get("no_cache"):
        found["cache"] = False
    if values.get("verbose"):
        found["note"] = _note
    if progress is not None:
        found["progress"] = progress
    return cast("Choices", found)


def _note(message: str) -> None:
    tell(f" {said(message)}", "note:", "cyan")
