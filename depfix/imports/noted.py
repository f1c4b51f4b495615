"""Which calls a reader has to look at: the last names of all those of which one of its parts takes note."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from depfix.imports.behaviour import ITERATING_CALLS
from depfix.imports.byname import IMPORT_CALLS
from depfix.imports.commands import COMMAND_CALLS
from depfix.imports.effects import LOAD_CALLS
from depfix.imports.executed import EXECUTING_CALLS
from depfix.imports.metadata import METADATA_CALLS
from depfix.imports.searching import ADDS, SEARCH_CALLS
from depfix.imports.writing import WRITING_CALLS
from depfix.knowledge.conduct import frozen_calls, process_starters
from depfix.knowledge.file_readers import file_calls

_OTHERS = frozenset(("close", "update", "setdefault", "putenv", "map", "filter", "print"))


@lru_cache(maxsize=1)
def noted_calls() -> frozenset[str]:
    """Return the last names of the calls that may have an effect; of no other call does a reader take note.

    A call that is given the path of a source is one besides: it may execute it.
    """
    tables = (file_calls(), frozen_calls(), process_starters(), IMPORT_CALLS, LOAD_CALLS, METADATA_CALLS, SEARCH_CALLS)
    others = (COMMAND_CALLS, WRITING_CALLS, EXECUTING_CALLS, ITERATING_CALLS, ADDS, _OTHERS)
    return frozenset(name for names in (*tables, *others) for row in names for name in _called(row))


def _called(name: str) -> Iterator[str]:
    """Yield the last part of a dotted name, and each before it that is called."""
    *before, last = name.replace("[]", "()").split(".")
    yield last.removesuffix("()")
    yield from (part.removesuffix("()") for part in before if part.endswith("()"))
