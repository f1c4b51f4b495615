"""`depfix undo`: a dist as it was before its repairs."""

from __future__ import annotations

from dataclasses import astuple

import click

from depfix.cli.options import dist_argument
from depfix.cli.terminal import print_lines
from depfix.cli.unfinished import warn_if_unfinished
from depfix.wording.speech import say

_MOST_PATHS = 20  # that are named one by one


@click.command()
@dist_argument
@click.option("--all", "everything", is_flag=True, help="Undo every repair, the last one first.")
@click.option("--to", "first", type=click.IntRange(min=1), metavar="N", help="Undo repair N and every later one.")
@click.option("--list", "listed", is_flag=True, help="List the repairs that can be undone; change nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing if it worked.")
def undo(dist: str, everything: bool, first: int | None, listed: bool, quiet: bool) -> None:
    """Put DIST back, byte for byte, as it was before the last repair.

    Earlier repairs are listed by --list and taken back by --to N or --all. If files that a repair brought were changed
    since, nothing is undone.
    """
    from depfix.api import repairing
    from depfix.reports.plans import repair_list_lines
    from depfix.reports.text import Line

    if everything + (first is not None) + listed > 1:
        raise click.UsageError(say("--all, --to and --list exclude each other"))
    if listed:
        warn_if_unfinished(dist)
        print_lines(repair_list_lines(dist, [astuple(row) for row in repairing.repairs(dist)]))
        return
    paths = repairing.undo(dist, first or 0, everything=everything)
    if not quiet:
        print_lines([Line(f"  {path}", say("put back"), "green") for path in paths[:_MOST_PATHS]])
        if len(paths) > _MOST_PATHS:
            print_lines(
                [Line("  " + say("{number:,} more files", number=len(paths) - _MOST_PATHS), say("put back"), "green")]
            )
        before = (
            say("the repair")
            if not everything and first is None
            else say("any repair")
            if everything
            else say("repair {first}", first=first)
        )
        print_lines([Line(say("{dist} is as it was before {before}", dist=dist, before=before))])
