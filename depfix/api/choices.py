"""What a caller can choose for any look at a dist, with sensible defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from depfix.wording.message import phrase

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from depfix.cache.store import Cache
    from depfix.pipeline import Options

Path: TypeAlias = "str | os.PathLike[str]"
Progress: TypeAlias = Callable[[str, int, int], None]

_LISTS = {"env": "environments", "entry": "entries", "select": "select", "ignore": "ignore"}
_TEXTS = ("project", "report", "target")
_AS_THEY_ARE = ("environ", "progress", "workers")


class Choices(TypedDict, total=False):
    """Keyword arguments of every function that looks at a dist. All may be left out; docs/usage.md explains each.

    - `env`: where files can be taken from, in order of preference, as `--env` takes it ("conda:app", "wheels:FOLDER").
    - `entry`: the program's own scripts; only what they reach is checked. `project`: the folder of its own modules.
    - `report`: Nuitka's compilation report, if it does not lie beside the dist.
    - `target`: the Windows that it is to run on, such as "win11" or "win10-n".
    - `select`, `ignore`: only, or not, these rules, by code or name.
    - `environ`: the environment variables to go by instead of this process's own.
    - `progress`: called with (what, done, total) while it works.
    - `note`: called with what is worth knowing and stops nothing, such as a cache that cannot be used.
    - `cache`: False reads everything anew and keeps nothing for the next run.
    - `workers`: how many processes read sources, 1 if it is left out. More need a program that may be started again by
      `multiprocessing`: on Windows its main module is guarded by `if __name__ == "__main__":`.
    """

    env: str | Iterable[str]
    entry: Path | Iterable[Path]
    project: Path
    report: Path
    target: str
    select: str | Iterable[str]
    ignore: str | Iterable[str]
    environ: Mapping[str, str]
    progress: Progress
    note: Callable[[str], None]
    cache: bool
    workers: int


@contextmanager
def options_of(*folders: Path, more: Mapping[str, Any] | None = None, **choices: Unpack[Choices]) -> Iterator[Options]:
    """Yield the pipeline's options; the cache is closed afterwards, and never lies in one of these folders."""
    from depfix.pipeline import Options

    with cache_of(*folders, **choices) as cache:
        yield Options(**options_values(**choices), **(more or {}), cache=cache)


def options_values(**choices: Unpack[Choices]) -> dict[str, Any]:
    """Return choices as the pipeline's options name them. Raises TypeError for what is none."""
    unknown = choices.keys() - Choices.__optional_keys__
    if unknown:
        raise TypeError(f"no such choice: {', '.join(sorted(unknown))}; there are {', '.join(Choices.__annotations__)}")
    given: Mapping[str, Any] = choices
    values: dict[str, Any] = {name: tuple(texts(given.get(key, ()))) for key, name in _LISTS.items()}
    values |= {key: os.fspath(given.get(key, "")) for key in _TEXTS}
    return values | {key: given[key] for key in _AS_THEY_ARE if key in given}


@contextmanager
def cache_of(*folders: Path, **choices: Unpack[Choices]) -> Iterator[Cache]:
    """Yield the user's cache, or one that keeps nothing if that is wanted or it lies in one of these folders."""
    from depfix.cache.place import cache_file
    from depfix.cache.store import Cache

    cache = Cache(cache_file(os.environ)) if choices.get("cache", True) else Cache()
    if any(cache.is_in(os.fspath(folder)) for folder in folders):
        cache = Cache()
    try:
        yield cache
    finally:
        cache.close()
        note = choices.get("note")
        if note is not None and cache.problem:
            note(phrase("the cache {cache} is not used: {problem}", cache=cache.path, problem=cache.problem))


def texts(given: Path | Iterable[Path]) -> Iterator[str]:
    """Yield one path or text, or several, as texts."""
    for one in (given,) if isinstance(given, (str, os.PathLike)) else given:
        yield os.fspath(one)
