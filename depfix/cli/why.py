"""`depfix why`: the chains that need a DLL, a module or a file."""

from __future__ import annotations

from typing import Any

import click

from depfix.cli.completing import complete_libraries
from depfix.cli.options import choices, dist_argument, environment_option, scan_options
from depfix.cli.terminal import ProgressBar, print_lines
from depfix.cli.understanding import in_order


@click.command()
@dist_argument
@click.argument("name", shell_complete=complete_libraries)
@environment_option
@scan_options
@click.option("--all", "everything", is_flag=True, help="Show every chain, not only the shortest ten.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def why(dist: str, name: str, everything: bool, **values: Any) -> None:
    """Show who needs NAME in DIST: a DLL, a module, or a file, present or missing."""
    from depfix.api import scanning
    from depfix.reports.chains import chain_lines

    dist, name = in_order(dist, name)
    with ProgressBar(values["quiet"]) as show:
        found = scanning.why(dist, name, **choices(values, show))
    print_lines(chain_lines(name, found, None if everything else 10))
