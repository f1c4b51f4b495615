"""What depfix finds on this machine, and what it is made of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.api.choices import Path
from depfix.cache.place import VARIABLE as CACHE_VARIABLE
from depfix.cache.place import cache_file
from depfix.cache.store import MOST_BYTES as MOST_CACHE_BYTES
from depfix.cache.store import Cache, Usage
from depfix.errors import DataFileError, WriteError

if TYPE_CHECKING:
    from depfix.env.fit import Need
    from depfix.env.protocol import EnvironmentInfo
    from depfix.extensions import Extension
    from depfix.knowledge.rules import Rule
    from depfix.knowledge.targets import Target


__all__ = [
    "CACHE_VARIABLE",
    "MOST_CACHE_BYTES",
    "Environments",
    "Table",
    "cache_usage",
    "clear_cache",
    "environment_schemes",
    "environments",
    "explain",
    "installed_extensions",
    "rules",
    "tables",
    "targets",
]

_DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "knowledge", "data")


@dataclass(frozen=True, slots=True)
class Environments:
    """Environments, best first, each with why it does not fit the dist: empty if it does, None without a dist.

    `need` is what the dist needs of one, None without a dist.
    """

    found: tuple[tuple[EnvironmentInfo, str | None], ...]
    need: Need | None = None

    @property
    def fitting(self) -> tuple[str, ...]:
        """Those that fit, or all without a dist, as `env` takes them."""
        return tuple(info.spec for info, misfit in self.found if not misfit and not info.note)


def environments(path: Path = "", *, environ: Mapping[str, str] | None = None) -> Environments:
    """Return the environments of this machine; with a dist, those that fit it first.

    Raises InputError for a path that is no dist.

    >>> depfix.environments("main.dist", environ={"CONDA_PREFIX": "env", "HOME": "nowhere"}).fitting
    ('conda:env',)
    """
    variables = os.environ if environ is None else environ
    if path:
        from depfix import pipeline

        need, rows = pipeline.environments_for(os.fspath(path), variables)
        return Environments(tuple(rows), need)
    from depfix.env.discover import list_environments
    from depfix.env.places import project_folders

    return Environments(tuple((info, None) for info in list_environments(variables, project_folders(os.getcwd()))))


def environment_schemes() -> tuple[str, ...]:
    """Return what an environment's name can begin with, before the colon; those of extensions, too."""
    from depfix.env.extended import extension_schemes
    from depfix.env.open import SCHEMES

    return (*SCHEMES, *extension_schemes())


def rules() -> tuple[Rule, ...]:
    """Return all rules in the order of their codes: depfix's own, then those of extensions."""
    from depfix.knowledge.rules import rules

    return rules()


def explain(name: str) -> Rule:
    """Return a rule by its code or name: why it breaks, an example, how it is fixed. Raises UnknownRuleError."""
    from depfix.knowledge.rules import rule

    return rule(name)


def targets() -> Mapping[str, Target]:
    """Return the Windows that a program can be checked for, by the names that `target` takes."""
    from depfix.knowledge.targets import targets

    return targets()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of facts that depfix decides by: its file, its SHA-256 in hex, its size, and its first line."""

    name: str
    sha256: str
    size: int
    head: str


def tables() -> Iterator[Table]:
    """Yield the tables of facts, by name. Raises DataFileError if one cannot be read."""
    from hashlib import sha256

    for name in sorted(os.listdir(_DATA)) if os.path.isdir(_DATA) else []:
        try:
            with open(os.path.join(_DATA, name), "rb") as file:
                content = file.read()
        except OSError as error:
            raise DataFileError(name, error.strerror or str(error)) from error
        head = content.partition(b"\n")[0].decode("utf-8", "replace")
        yield Table(name, sha256(content).hexdigest(), len(content), head)


def installed_extensions() -> tuple[Extension, ...]:
    """Return what other distributions add to depfix, by group and name."""
    from depfix.extensions import all_extensions

    return all_extensions()


def cache_usage() -> Usage:
    """Return where the user's cache is, and how much is in it."""
    return Cache(cache_file(os.environ)).usage()


def clear_cache() -> tuple[str, int]:
    """Remove the user's cache; return its path and how many bytes it had. Raises WriteError."""
    path = cache_file(os.environ)
    try:
        return path, Cache(path).clear()
    except OSError as error:
        raise WriteError(path, error.strerror or str(error)) from error
