"""`wheels:FOLDER`: wheels, packages of conda and downloaded Pythons, read in place; nothing of them is installed.

The directory of each is read at once. What is in one is unpacked when the first of its files is asked for, below a
folder that lives as long as the run: an environment of one package, which is then read like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from depfix.env.archives import PackageArchive
from depfix.env.conda import CondaEnvironment
from depfix.env.layout import installation_layout
from depfix.env.listing import LIBRARY_SUFFIXES
from depfix.env.on_disk import OnDisk
from depfix.env.protocol import Distribution, EnvironmentInfo
from depfix.env.python import PythonEnvironment
from depfix.env.safe_archive import RefusedArchiveError
from depfix.env.wheel_file import SITE
from depfix.errors import WriteError
from depfix.model.names import base_name, fold, normalised
from depfix.model.source import Candidate
from depfix.wording.message import joined, phrase, system_words

IN_ARCHIVE = "!/"  # parts the path of an archive from that of a file in it, as in the URLs of Java archives
_MOST_SHOWN = 3
_T = TypeVar("_T")


class Part:
    """One archive as an environment of its own, unpacked below `root` when its content is asked for."""

    def __init__(self, archive: PackageArchive, root: str, spec: str) -> None:
        self.archive = archive
        self.root = root
        self._spec = spec

    @cached_property
    def environment(self) -> PythonEnvironment:
        """What is in it, unpacked. Raises RefusedArchiveError if it is damaged, WriteError if there is no room."""
        try:
            self.archive.unpack(self.root)
        except OSError as error:
            raise WriteError(self.root, system_words(error)) from error
        if self.archive.is_conda:
            return CondaEnvironment(self.root, self._spec)
        return PythonEnvironment(self.root, self._spec, "wheels", lambda: installation_layout(self.root))

    @cached_property
    def libraries(self) -> frozenset[str]:
        """The folded names of its DLLs and extension modules."""
        names = (fold(base_name(path)) for path in self.archive.files)
        return frozenset(name for name in names if name.endswith(LIBRARY_SUFFIXES))

    @cached_property
    def names(self) -> frozenset[str]:
        """The normalised names of the distributions in it: a package of conda may hold one of another name."""
        metadata = (name for name in self._folders.get(SITE, {}) if name.lower().endswith(".dist-info"))
        return frozenset((normalised(self.archive.name), *(normalised(one.rpartition("-")[0]) for one in metadata)))

    def has(self, name: str) -> bool:
        """Return True if a module, a DLL or a distribution of this name is in it."""
        top = name.partition(".")[0]
        site = {one.partition(".")[0] for one in self._folders.get(SITE, {})}
        return fold(name) in self.libraries or normalised(name) in self.names or top in site

    @cached_property
    def extends_path(self) -> bool:
        """True if only its content tells what of it is on sys.path."""
        return self.archive.python is not None or any(name.endswith(".pth") for name in self._folders.get(SITE, {}))

    def folder(self, place: str) -> tuple[str, ...]:
        """Return the absolute path of a folder of the environment, if it is there."""
        return (os.path.join(self.root, *place.split("/")),) if place in self._folders else ()

    def listing(self, folder: str) -> Mapping[str, bool]:
        """Return {name: whether it is a folder} of what is in an absolute folder."""
        place = os.path.relpath(folder, self.root).replace(os.sep, "/")
        return self._folders.get("" if place == "." else place, {})

    def origin(self, path: str) -> str:
        """Return the archive and the file in it that an unpacked file comes from."""
        place = os.path.relpath(path, self.root).replace(os.sep, "/")
        return f"{self.archive.path}{IN_ARCHIVE}{self.archive.files.get(place, place)}"

    @cached_property
    def _folders(self) -> dict[str, dict[str, bool]]:
        found: dict[str, dict[str, bool]] = {"": {}}
        for path in self.archive.files:
            above, _, name = path.rpartition("/")
            is_folder = False
            while True:
                known = above in found
                found.setdefault(above, {})[name] = is_folder
                if known or not above:
                    break
                above, _, name = above.rpartition("/")
                is_folder = True
        return found


class WheelsEnvironment(OnDisk):
    """The archives of a folder that fit a dist, one version of each distribution.

    `refused` are {file name: (reason, the archive if its directory could be read)}.
    """

    def __init__(
        self,
        root: str,
        spec: str,
        archives: Sequence[PackageArchive],
        refused: Mapping[str, tuple[str, PackageArchive | None]],
        scratch: Callable[[], str],
    ) -> None:
        self._root = root
        self._spec = spec
        self._archives = archives
        self._refused = dict(refused)
        self._scratch = scratch

    @cached_property
    def _parts(self) -> list[Part]:
        folder = self._scratch()
        return [Part(one, os.path.join(folder, str(number)), self._spec) for number, one in enumerate(self._archives)]

    @property
    def info(self) -> EnvironmentInfo:
        python = next((one.python for one in self._archives if one.python is not None), None)
        text = f"{python[0]}.{python[1]}" if python is not None else ""
        rows = sorted(
            phrase("{name}: {reason}", name=name, reason=reason) for name, (reason, _) in self._refused.items()
        )
        more = phrase("; and {number} more", number=len(rows) - _MOST_SHOWN) if len(rows) > _MOST_SHOWN else ""
        caveat = phrase("not used: {rows}{more}", rows=joined("; ", rows[:_MOST_SHOWN]), more=more) if rows else ""
        return EnvironmentInfo(self._spec, self._root, "wheels", text, None, caveat=caveat)

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name, those of native folders first."""
        found: list[Candidate] = []
        for part in [one for one in self._parts if fold(name) in one.libraries]:
            found += self._ask(part, lambda one: one.find(name), ())
        return tuple(sorted(found, key=lambda one: bool(one.package_path)))

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders of packages of all archives."""
        found: list[str] = []
        for part in tuple(self._parts):
            found += self._ask(part, lambda one: one.search_path, ()) if part.extends_path else part.folder(SITE)
        return tuple(found)

    @property
    def stdlib_folders(self) -> tuple[str, ...]:
        """DLLs and Lib of a Python among the archives, or the root of an embeddable one."""
        found: list[str] = []
        for part in self._pythons:
            found += self._ask(part, lambda one: one.stdlib_folders, ())
        return tuple(found)

    @property
    def stdlib_archive(self) -> str:
        """The zip of an embeddable Python's standard library, an empty string if there is none."""
        return next(filter(None, (self._ask(part, lambda one: one.stdlib_archive, "") for part in self._pythons)), "")

    def is_stdlib(self, path: str) -> bool:
        """Return True for a file of the standard library of a Python among the archives."""
        return self._ask_of(path, lambda one: one.is_stdlib(path), False)

    def distribution_of(self, path: str) -> Distribution | None:
        """Return the distribution that owns an absolute file."""
        return self._ask_of(path, lambda one: one.distribution_of(path), None)

    def distribution(self, name: str) -> Distribution | None:
        """Return the distribution of this name, compared as PEP 503 does."""
        for part in [one for one in self._parts if normalised(name) in one.names]:
            found = self._ask(part, lambda one: one.distribution(name), None)
            if found is not None:
                return found
        return None

    def refusal(self, path: str) -> str:
        """Return an empty string: what an archive holds was checked before it was unpacked."""
        return ""

    def destination(self, path: str) -> str:
        """Return where an absolute file goes, relative to a folder on sys.path, with `/`."""
        return self._ask_of(path, lambda one: one.destination(path), "")

    def listing(self, folder: str) -> Mapping[str, bool]:
        """Return {name: whether it is a folder} of what is in a folder, by the directory of its archive."""
        part = self._part_of(folder)
        return part.listing(folder) if part is not None else super().listing(folder)

    def ready(self, path: str) -> bool:
        """Unpack the archive that a file is in; return False if it turns out to be damaged."""
        return self._part_of(path) is None or self._ask_of(path, lambda _one: True, False)

    def origin(self, path: str) -> str:
        """Return the archive and the file in it that an unpacked file comes from."""
        part = self._part_of(path)
        return part.origin(path) if part is not None else path

    def why_not(self, name: str) -> str:
        """Return which archives hold a module, DLL or distribution of this name and cannot serve, with the reasons."""
        key = normalised(name.partition(".")[0])
        found = []
        for file, (reason, archive) in sorted(self._refused.items()):
            if Part(archive, "", "").has(name) if archive is not None else normalised(file.partition("-")[0]) == key:
                found.append(phrase("{file}: {reason}", file=file, reason=reason))
        return joined("; ", found)

    @property
    def _pythons(self) -> list[Part]:
        return [part for part in self._parts if part.archive.python is not None]

    def _ask(self, part: Part, question: Callable[[PythonEnvironment], _T], otherwise: _T) -> _T:
        """Return what a part answers; one that turns out to be damaged is refused from then on."""
        try:
            return question(part.environment)
        except RefusedArchiveError as error:
            self._refused[os.path.basename(part.archive.path)] = (str(error), part.archive)
            self._parts.remove(part)
            return otherwise

    def _ask_of(self, path: str, question: Callable[[PythonEnvironment], _T], otherwise: _T) -> _T:
        part = self._part_of(path)
        return self._ask(part, question, otherwise) if part is not None else otherwise

    def _part_of(self, path: str) -> Part | None:
        return next((one for one in self._parts if path == one.root or path.startswith(one.root + os.sep)), None)
