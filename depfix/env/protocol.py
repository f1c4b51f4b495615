"""What an environment is to the rest of depfix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from depfix.model.machine import Machine
from depfix.model.source import Candidate, Provider
from depfix.wording.message import joined, phrase

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment as `depfix envs` shows it: what `--env` takes, where it is, and what is in it.

    `note` says why nothing can come from it, `caveat` what of it cannot be had here, though the rest can.
    """

    spec: str
    root: str
    kind: str
    python: str
    machine: Machine | None
    note: str = ""
    free_threaded: bool = False
    debug: bool = False
    caveat: str = ""

    @property
    def python_version(self) -> tuple[int, int] | None:
        """(major, minor) of its Windows Python, None if there is none."""
        major, _, minor = self.python.partition(".")
        return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution, or a conda package that holds no Python distribution.

    `folder` is the absolute dist-info or egg-info folder, empty for a conda package. `files` are absolute paths of all
    that it installed and that is there, without programs and what else lies outside the folders of sys.path; DLLs that
    lie outside, as in Library/bin, are among them, and `outside` names those again. `requires` are Requires-Dist
    fields as they are written, markers kept. `shadowed_owner` is the conda package ("name version") some of whose
    files this distribution replaced, an empty string if there is none. `licence` is an SPDX expression or what the
    metadata say instead, empty if they say nothing. `left_out` says of recorded files why they are not among `files`
    though they are there, or are not looked for: links and paths that lead out of the environment. `details` are build,
    channel and subdir of a conda package, as far as they are known.
    """

    name: str
    version: str
    folder: str
    files: tuple[str, ...]
    outside: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    top_level: tuple[str, ...] = ()
    is_editable: bool = False
    shadowed_owner: str = ""
    licence: str = ""
    left_out: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()

    @property
    def provider(self) -> Provider:
        """The distribution as one who gives files."""
        notes = (
            [phrase("put over conda's {shadowed_owner}", shadowed_owner=self.shadowed_owner)]
            if self.shadowed_owner
            else []
        )
        if self.left_out:
            more = (
                phrase(" and {number} more", number=len(self.left_out) - _MOST_NAMED)
                if len(self.left_out) > _MOST_NAMED
                else ""
            )
            notes.append(
                phrase("left out: {left_out}{more}", left_out=joined("; ", self.left_out[:_MOST_NAMED]), more=more)
            )
        return Provider(self.name, self.version, self.licence, joined("; ", notes))


class Environment(Protocol):
    """A place that files can be taken from. One without Python has no modules: its answers about them are empty."""

    @property
    def info(self) -> EnvironmentInfo: ...

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name in any case, the one that Windows would take first."""
        ...

    @property
    def search_path(self) -> tuple[str, ...]:
        """Absolute folders that Python imports from, in the order of sys.path. Zip archives are left out.

        So is the folder of python.exe, unless modules lie in it: every folder there would be a namespace package.
        """
        ...

    @property
    def stdlib_folders(self) -> tuple[str, ...]:
        """Those of `search_path` that hold the standard library: Lib and DLLs, or the root of an embeddable Python."""
        ...

    @property
    def stdlib_archive(self) -> str:
        """The zip archive of an embeddable Python's standard library, an empty string if there is none."""
        ...

    def is_stdlib(self, path: str) -> bool:
        """Return True for an absolute file of the standard library, its extension modules and its archive."""
        ...

    def distribution_of(self, path: str) -> Distribution | None:
        """Return the distribution that owns an absolute file; None for the standard library's and for nobody's."""
        ...

    def distribution(self, name: str) -> Distribution | None:
        """Return the distribution of this name, compared as PEP 503 does; None if it is not installed."""
        ...

    def refusal(self, path: str) -> str:
        """Return why an absolute file must not be taken, empty if it may be: it is a link that leads out, say."""
        ...

    def destination(self, path: str) -> str:
        """Return where an absolute file goes, relative to a folder on sys.path, with `/`.

        That is its place below the folder of sys.path that it lies in; for DLLs and extension modules of native folders
        (the root, DLLs, Library/bin) and for whatever lies outside, its name.
        """
        ...

    def listing(self, folder: str) -> Mapping[str, bool]:
        """Return {name: whether it is a folder} of what is in an absolute folder of sys.path, or below one."""
        ...

    def ready(self, path: str) -> bool:
        """Make an absolute file that `listing` names be there to be read; return False if that cannot be done."""
        ...

    def origin(self, path: str) -> str:
        """Return where a user is told that an absolute file comes from: the file itself, or the one in an archive."""
        ...

    def why_not(self, name: str) -> str:
        """Return what has a module, DLL or distribution of this name and cannot serve, with why; empty if nothing."""
        ...
