"""`depfix tree`: what a dist needs, from the program or one file down."""

from __future__ import annotations

from typing import Any

import click

from depfix.cli.completing import complete_libraries
from depfix.cli.options import choices, dist_argument, output_option, scan_options
from depfix.cli.terminal import ProgressBar, check_outputs, emit, print_lines
from depfix.cli.understanding import in_order


@click.command()
@dist_argument
@click.argument("name", metavar="[FILE]", shell_complete=complete_libraries, required=False, default="")
@scan_options
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Show so many levels only.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form."
)
@output_option
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def tree(dist: str, name: str, depth: int | None, **values: Any) -> None:
    """Show what DIST needs as a tree, from the program down, or from FILE alone.

    FILE is a DLL, a .pyd, a module or a script, by its name or its path in DIST.
    """
    from depfix.api import scanning
    from depfix.reports.text import plain
    from depfix.reports.tree import tree_json, tree_lines

    dist, name = in_order(dist, name)
    check_outputs(values["output"])
    with ProgressBar(values["quiet"]) as show:
        graph, tops = scanning.tree(dist, name, **choices(values, show))
    if values["form"] == "text" and not values["output"]:
        print_lines(tree_lines(graph, tops, name, depth), wrap=False)
        return
    as_json = values["form"] == "json"
    text = tree_json(graph, tops, depth) if as_json else plain(tree_lines(graph, tops, name, depth))
    emit(text, values["output"])
