"""`depfix --version`: what this depfix is made of."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from depfix import __version__
from depfix.wording.speech import say

_LONGEST = 72  # characters of a title


def print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, the tables of facts that it decides by, and the extensions; end the command."""
    if not wanted or context.resilient_parsing:
        return
    click.echo("\n".join(version_lines()))
    context.exit()


def version_lines() -> Iterator[str]:
    """Yield the version, then a line for each table: its file, the first digits of its SHA-256, what it holds."""
    from depfix.api.machine import installed_extensions, tables

    python = ".".join(map(str, sys.version_info[:3]))
    yield say("depfix, version {version}", version=__version__)
    yield say("Python {python}, {platform}", python=python, platform=sys.platform)
    yield ""
    yield say("tables (file, SHA-256, size, contents):")
    for table in tables():
        yield f"  {table.name:<28} {table.sha256[:12]}  {table.size:>7,}  {_title(table.head)}".rstrip()
    yield ""
    yield say("extensions (group, name, distribution):")
    found = installed_extensions()
    yield from (f"  {one.group:<20} {one.name:<16} {one.provider}" for one in found)
    if not found:
        yield "  " + say("none")


def _title(line: str) -> str:
    """Return what a table says that it holds: the first words of its first line, up to where the columns begin."""
    if not line.startswith("#"):
        return ""
    title = re.split(r"(?<=[^\s:]):\s|\.\s|, (?:directly|that)", line.removeprefix("# "), maxsplit=1)[0]
    return title.rstrip(". ") if len(title) <= _LONGEST else f"{title[: _LONGEST - 3]}..."
