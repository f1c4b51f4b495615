"""`depfix diff`: what two builds of a program hold that differs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.completing import complete_folders
from depfix.cli.exits import exit_code
from depfix.cli.options import choices, environment_option, output_option, shared_options, whole_folder
from depfix.cli.terminal import ProgressBar, check_outputs, emit, print_lines
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.model.difference import Difference


@click.command()
@click.argument(
    "old", type=click.Path(path_type=str), callback=whole_folder, metavar="OLD", shell_complete=complete_folders
)
@click.argument(
    "new", type=click.Path(path_type=str), callback=whole_folder, metavar="NEW", shell_complete=complete_folders
)
@environment_option
@shared_options
@click.option("--no-findings", is_flag=True, help="Do not scan the two: quicker.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="The form of the report.",
)
@output_option
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="never",
    show_default=True,
    help="Which new findings make the exit code 1; those that OLD has, too, never do.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress; of a text report only the last line.")
@click.option("-v", "--verbose", is_flag=True, help="List every file, and what is merely possible.")
def diff(old: str, new: str, **values: Any) -> None:
    """Compare the folders OLD and NEW: packages, sizes, DLLs by content, new findings."""
    from depfix.api import scanning

    if values["no_findings"] and values["fail_on"] != "never":
        raise click.UsageError(say("--fail-on asks for findings, --no-findings looks for none: give one of them"))
    check_outputs(values["output"])
    with ProgressBar(values["quiet"]) as show:
        found = scanning.diff(old, new, findings=not values["no_findings"], **choices(values, show))
    _print_difference(found, values)
    sys.exit(exit_code(found.appeared or (), values["fail_on"]))


def _print_difference(found: Difference, values: dict[str, Any]) -> None:
    from depfix.reports.difference import difference_json, difference_lines, difference_markdown, difference_words
    from depfix.reports.text import Line, plain

    verbose = values["verbose"]
    if values["form"] == "json":
        emit(difference_json(found), values["output"])
    elif values["form"] == "markdown":
        emit(difference_markdown(found, verbose=verbose), values["output"])
    elif values["output"]:
        emit(plain(difference_lines(found, verbose=verbose)), values["output"])
        print_lines([Line(difference_words(found))])
    else:
        print_lines([Line(difference_words(found))] if values["quiet"] else difference_lines(found, verbose=verbose))
