"""What `depfix` alone says: what lies here, and what to type next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from depfix.cli.exits import USAGE
from depfix.cli.terminal import hint, print_lines
from depfix.model.shell import quoted
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.api.locating import FoundDist
    from depfix.reports.text import Line


def welcome(context: click.Context) -> None:
    """Name the dists of the current folder, with the commands for them; without one show the help, and end."""
    from depfix.api.locating import dists_in
    from depfix.reports.text import Line

    found = dists_in()
    if not found:
        click.echo(context.get_help(), err=True)
        sys.exit(USAGE)
    if len(found) == 1:
        print_lines([Line(say("found {words}", words=_words(found[0]))), Line(), *_commands(found[0].path)], wrap=False)
        hint(say("scan changes nothing, and undo takes a repair back; depfix --help shows every command"))
        return
    width = max(len(quoted(one.path)) for one in found)
    rows = [Line(f"  depfix scan {f'{quoted(one.path):<{width}}'}  {_kind(one)}") for one in found]
    print_lines(
        [Line(say("found {number} programs; nothing was looked at yet:", number=len(found))), Line(), *rows, Line()],
        wrap=False,
    )
    hint(say("depfix --help shows every command"))


def _words(one: FoundDist) -> str:
    return f"{one.path}: {one.program}, {_kind(one)}"


def _kind(one: FoundDist) -> str:
    python = f"Python {one.python}, " if one.python else ""
    return f"{said(one.freezer)}, {python}{said(one.machine)}"


def _commands(path: str) -> list[Line]:
    """Return the commands that a user types next, each with what it is for."""
    from depfix.api.machine import environments
    from depfix.reports.text import Line

    fitting = environments(path).fitting
    spec = quoted(fitting[0]) if fitting else "conda:NAME"
    dist = quoted(path)
    rows = (
        (f"depfix scan {dist}", say("what is missing or wrong, and why")),
        (f"depfix repair {dist} --env {spec} --dry-run", say("what would be copied, and nothing is")),
        (f"depfix repair {dist} --env {spec}", say("copy it in, all of it or nothing")),
        (f"depfix undo {dist}", say("put the folder back as it was")),
    )
    width = max(len(command) for command, _ in rows)
    return [Line(f"  {command:<{width}}  {words}") for command, words in rows]
