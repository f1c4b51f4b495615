"""`depfix cache`: what depfix keeps between runs, and how to be rid of it."""

from __future__ import annotations

import click

from depfix.cli.terminal import hint, print_lines
from depfix.wording.speech import say


@click.group()
def cache() -> None:
    """Show or remove what depfix keeps between runs: what it read of sources, and the reports of scans.

    A report is shown again only as long as nothing of what it came from has changed.
    """


@cache.command()
def info() -> None:
    """Show where the cache is, and how much is in it."""
    from depfix.api.machine import CACHE_VARIABLE, MOST_CACHE_BYTES, cache_usage
    from depfix.reports.text import Line, size

    usage = cache_usage()
    rows = say("{rows:,} rows, {size}", rows=usage.rows, size=size(usage.size)) if usage.size else say("empty")
    state = say("not used: {problem}", problem=usage.problem) if usage.problem else rows
    lines = ((say("file"), usage.path), (say("holds"), state), (say("at most"), size(MOST_CACHE_BYTES)))
    print_lines([Line(text, label=f"{label:<8}") for label, text in lines], wrap=False)
    hint(say("{cache_variable} names another folder", cache_variable=CACHE_VARIABLE))


@cache.command()
def clear() -> None:
    """Remove the cache; the next run is slower, and finds the same."""
    from depfix.api.machine import clear_cache
    from depfix.reports.text import Line, size

    path, gone = clear_cache()
    print_lines(
        [
            Line(
                say("removed {size}: {path}", size=size(gone), path=path)
                if gone
                else say("there was nothing: {path}", path=path)
            )
        ],
        wrap=False,
    )
