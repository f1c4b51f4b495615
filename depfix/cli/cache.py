"""`depfix cache`: what depfix keeps between runs, and how to be rid of it."""

from __future__ import annotations

import os

import click

from depfix.cache.place import VARIABLE, cache_file
from depfix.cache.store import MOST_BYTES, Cache
from depfix.cli.terminal import hint, print_lines
from depfix.errors import WriteError


@click.group()
def cache() -> None:
    """Show or remove what depfix keeps between runs: what it read of sources, and the reports of scans.

    A report is shown again only as long as nothing of what it came from has changed.
    """


@cache.command()
def info() -> None:
    """Show where the cache is, and how much is in it."""
    from depfix.reports.text import Line, size

    usage = Cache(cache_file(os.environ)).usage()
    rows = f"{usage.rows:,} rows, {size(usage.size)}" if usage.size else "empty"
    state = f"not used: {usage.problem}" if usage.problem else rows
    lines = (("file", usage.path), ("holds", state), ("at most", size(MOST_BYTES)))
    print_lines([Line(text, label=f"{label:<8}") for label, text in lines], wrap=False)
    hint(f"{VARIABLE} names another folder")


@cache.command()
def clear() -> None:
    """Remove the cache; the next run is slower, and finds the same."""
    from depfix.reports.text import Line, size

    path = cache_file(os.environ)
    try:
        gone = Cache(path).clear()
    except OSError as error:
        raise WriteError(path, error.strerror or str(error)) from error
    print_lines([Line(f"removed {size(gone)}: {path}" if gone else f"there was nothing: {path}")], wrap=False)
