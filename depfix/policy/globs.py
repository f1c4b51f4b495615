"""Globs over the paths and names of a dist, compared as Windows compares names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from depfix.model.names import base_name, fold

_MAGIC = frozenset("*?[")


def is_glob(text: str) -> bool:
    """Return True if a text is no plain path or name."""
    return not _MAGIC.isdisjoint(text)


def matches(pattern: str, path: str) -> bool:
    """Return True if a glob names a path with `/`: `*` stays within a folder, `**` does not.

    A glob without a `/` is compared with the last part of the path, whatever folder that is in, as in `.gitignore`
    https://git-scm.com/docs/gitignore ; and a glob that ends with `/` names all that is below a folder.
    """
    wanted = fold(pattern.replace("\\", "/")).removeprefix("./")
    name = fold(path.replace("\\", "/"))
    if "/" not in wanted and wanted != "**":
        return fnmatchcase(base_name(name), wanted)
    if wanted.endswith("/"):
        wanted += "**"
    return _fits(tuple(wanted.split("/")), tuple(name.split("/")))


def first_match(patterns: Iterable[str], path: str) -> str:
    """Return the first of these globs that names a path, an empty string if none does."""
    return next((pattern for pattern in patterns if matches(pattern, path)), "")


def _fits(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(pattern[1:], parts[start:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(pattern[1:], parts[1:])
