"""`depfix envs`: the environments of this machine, and which of them fit a dist."""

from __future__ import annotations

import click

from depfix.cli.completing import complete_folders
from depfix.cli.options import whole_folder
from depfix.cli.terminal import hint, print_lines, print_text
from depfix.model.shell import quoted
from depfix.wording.speech import say


@click.command()
@click.argument(
    "dist",
    type=click.Path(path_type=str),
    callback=whole_folder,
    metavar="[DIST]",
    required=False,
    default="",
    shell_complete=complete_folders,
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form."
)
def envs(dist: str, form: str) -> None:
    """List the environments found on this machine, as --env takes them.

    With DIST, those that fit it come first, and of each other one it is said why it does not.
    """
    from depfix.api.machine import environments
    from depfix.reports.environments import environment_lines, environments_json

    listed = environments(dist)
    rows = listed.found
    if form == "json":
        print_text(environments_json(rows))
        return
    print_lines(environment_lines(rows, listed.need), wrap=False)
    if not rows:
        hint(
            say(
                "an environment that conda does not know of can be given as conda:FOLDER, "
                "a folder of DLLs as dir:FOLDER"
            )
        )
    elif rows[0][1] == "":
        hint(f"depfix repair {quoted(dist)} --env {quoted(rows[0][0].spec)}")
