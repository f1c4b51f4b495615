"""The cache of a command: opened where one is wanted, written when the command ends."""

from __future__ import annotations

import os
from typing import Any

import click

from depfix.cache.place import cache_file
from depfix.cache.store import Cache
from depfix.cli.terminal import tell

_OPEN = "depfix.cache"

no_cache_option = click.option(
    "--no-cache", is_flag=True, help="Read everything anew, and keep nothing for the next run (see `depfix cache`)."
)


def cache_for(values: dict[str, Any], *folders: str) -> Cache:
    """Return the cache for a command with these values, the same one each time; nothing is kept in these folders."""
    context = click.get_current_context()
    if values.get("no_cache"):
        return Cache()
    if _OPEN not in context.meta:
        cache = Cache(cache_file(os.environ))
        context.meta[_OPEN] = cache
        context.call_on_close(lambda: _close(cache, verbose=bool(values.get("verbose"))))
    opened: Cache = context.meta[_OPEN]
    return Cache() if any(map(opened.is_in, folders)) else opened


def _close(cache: Cache, *, verbose: bool) -> None:
    cache.close()
    if verbose and cache.problem:
        tell(f" the cache {cache.path} is not used: {cache.problem}", "note:", "cyan")
