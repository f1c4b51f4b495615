"""What environments have for a dist: modules, distributions and DLLs, without a copy of anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from depfix.dist.freezers import Layout
from depfix.dist.tree import FileEntry, FileKind
from depfix.env.protocol import Distribution, Environment
from depfix.env.requirements import requirements, target_markers
from depfix.imports.finder import ModuleFile, ModuleFinder, ModuleKind
from depfix.imports.uses import Strength
from depfix.model.machine import Machine
from depfix.model.names import fold, join, normalised
from depfix.model.source import PYTHON

_KINDS = {".py": FileKind.SOURCE, ".pyc": FileKind.BYTECODE, ".pyd": FileKind.IMAGE, ".dll": FileKind.IMAGE}


class Supply:
    """The environments of one run, in order of preference, as a dist with this layout would be given their files.

    `unpacked` gives the folder into which a zip of modules was unpacked.
    """

    def __init__(
        self,
        environments: Sequence[Environment] = (),
        layout: Layout | None = None,
        suffixes: tuple[tuple[str, ModuleKind], ...] = (),
        version: tuple[int, int] = (3, 8),
        unpacked: Callable[[str], str] = lambda _archive: "",
        machine: Machine = Machine.AMD64,
    ) -> None:
        self.environments = tuple(environments)
        self._stores = [_Store(one, layout, suffixes, version, unpacked) for one in environments if layout is not None]
        self._unpacked = unpacked
        self._provided: dict[str, ModuleFile | None] = {}
        self._required: dict[tuple[str, str], bool | None] = {}
        self._markers = target_markers(version, machine)
        self._required_tops: dict[str, frozenset[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.environments)

    def unpacked(self, archive: str) -> str:
        """Return the folder into which a zip of modules was unpacked, an empty string if it cannot be."""
        return self._unpacked(archive)

    def module(self, name: str) -> ModuleFile | None:
        """Return the module as the first environment that has its top-level package would provide it."""
        if name not in self._provided:
            store = self._store_of(name.partition(".")[0])
            found = store.finder.find(name) if store is not None else None
            self._provided[name] = found if found is None or found.kind is not ModuleKind.NAMESPACE else None
        return self._provided[name]

    def stdlib_module(self, name: str) -> ModuleFile | None:
        """Return a module of the standard library, from an environment with the dist's version of Python."""
        for store in self._stores:
            found = store.stdlib.find(name) if store.fits_stdlib else None
            if found is not None and found.kind is not ModuleKind.NAMESPACE:
                return found
        return None

    def distribution_of(self, name: str) -> tuple[Environment, Distribution] | None:
        """Return who installed a module, None if nobody did or it is of the standard library."""
        store = self._store_of(name.partition(".")[0])
        found = self.module(name)
        if store is None or found is None or found.entry is None:
            return None
        distribution = store.environment.distribution_of(found.entry.source)
        return (store.environment, distribution) if distribution is not None else None

    def environment_of(self, name: str) -> Environment | None:
        """Return the environment that provides a module."""
        store = self._store_of(name.partition(".")[0])
        return store.environment if store is not None else None

    def requires(self, importer: str, imported: str) -> bool | None:
        """Return whether the distribution of one module needs that of another one, None if it is not known.

        What a distribution needs only for an extra counts as not needed. Source: "Core metadata specifications",
        Requires-Dist https://packaging.python.org/specifications/core-metadata/
        """
        key = (importer.partition(".")[0], imported.partition(".")[0])
        if key not in self._required:
            one, other = self.distribution_of(key[0]), self.distribution_of(key[1])
            self._required[key] = self._needs(one[1], other[1]) if one is not None and other is not None else None
        return self._required[key]

    def _needs(self, one: Distribution, other: Distribution) -> bool:
        wanted = normalised(other.name)
        required = (row.name for row in requirements(one.requires, self._markers))
        return normalised(one.name) == wanted or wanted in map(normalised, required)

    def absent_requirements(self, top: str, find: Callable[[str], ModuleFile | None]) -> frozenset[str]:
        """Return the top-level modules that a package's distribution requires and that are not in the dist."""
        if top not in self._required_tops:
            owner = self.distribution_of(top)
            self._required_tops[top] = (
                frozenset(_required_tops(*owner, self._markers)) if owner is not None else frozenset()
            )
        found = ((name, find(name)) for name in self._required_tops[top])
        return frozenset(name for name, module in found if module is not None and module.is_provided)

    def distribution(self, name: str) -> tuple[Environment, Distribution] | None:
        """Return the first environment that has a distribution of this name, with that."""
        for environment in self.environments:
            found = environment.distribution(name)
            if found is not None:
                return environment, found
        return None

    def dll_strength(self, name: str, by: str) -> Strength | None:
        """Return how likely a DLL of an environment is meant where the DLL `by` names it: more so in one package."""
        found = [candidate for environment in self.environments for candidate in environment.find(name)]
        if not found:
            return None
        namers = [one.owner for environment in self.environments for one in environment.find(by)]
        owners = {(one.name, one.version) for one in namers if one is not None and one.name != PYTHON}
        of_one = any(one.owner and (one.owner.name, one.owner.version) in owners for one in found)
        return Strength.PROBABLE if of_one else Strength.POSSIBLE

    def _store_of(self, top: str) -> _Store | None:
        return next((store for store in self._stores if store.finder.find(top) is not None), None)


class _Store:
    """One environment with finders over its packages, and over its standard library."""

    def __init__(
        self,
        environment: Environment,
        layout: Layout | None,
        suffixes: tuple[tuple[str, ModuleKind], ...],
        version: tuple[int, int],
        unpacked: Callable[[str], str],
    ) -> None:
        self.environment = environment
        info = environment.info
        self.fits_stdlib = info.python_version == version and not info.free_threaded and not info.debug
        self._unpacked = unpacked
        self._layout = layout
        self._suffixes = suffixes

    @cached_property
    def finder(self) -> ModuleFinder:
        standard = {os.path.normcase(folder) for folder in self.environment.stdlib_folders}
        folders = [one for one in self.environment.search_path if os.path.normcase(one) not in standard]
        return self._finder(folders, in_stdlib=False)

    @cached_property
    def stdlib(self) -> ModuleFinder:
        folders = list(self.environment.stdlib_folders)
        archive = self.environment.stdlib_archive
        if archive and not any(os.path.isfile(os.path.join(folder, "os.py")) for folder in folders):
            folders += filter(None, (self._unpacked(archive),))
        return self._finder(folders, in_stdlib=True)

    def _finder(self, folders: Sequence[str], *, in_stdlib: bool) -> ModuleFinder:
        layout = self._layout
        files = _ProvidedFolders(self.environment, layout, folders, in_stdlib=in_stdlib) if layout is not None else None
        return _ProvidedFinder(files, folders if files is not None else (), self._suffixes)


class _ProvidedFinder(ModuleFinder):
    """Finds modules of an environment."""

    def __init__(
        self, files: _ProvidedFolders | None, folders: Sequence[str], suffixes: tuple[tuple[str, ModuleKind], ...]
    ) -> None:
        super().__init__(files or _NoFolders(), folders, suffixes)

    def find(self, name: str) -> ModuleFile | None:
        """Return a module as one that is provided."""
        found = super().find(name)
        return found if found is None else ModuleFile(found.name, found.kind, found.entry, found.folders, True)


class _NoFolders:
    def in_folder(self, folder: str, name: str) -> FileEntry | None:
        return None

    def has_folder_spelled(self, folder: str) -> bool:
        return False


class _ProvidedFolders:
    """The folders of an environment on disk, listed once each; a file has the path that it would get in the dist."""

    def __init__(self, environment: Environment, layout: Layout, folders: Sequence[str], *, in_stdlib: bool) -> None:
        self._environment = environment
        self._layout = layout
        self._folders = tuple(folders)  # one that is not on the environment's own path holds its unpacked archive
        self._in_stdlib = in_stdlib
        self._listed: dict[str, Mapping[str, bool]] = {}

    def in_folder(self, folder: str, name: str) -> FileEntry | None:
        """Return the file of that name directly in a folder."""
        if self._listing(folder).get(name) is not False:
            return None
        path = os.path.join(folder, name)
        if not self._environment.ready(path):
            return None
        kind = _KINDS.get(os.path.splitext(name)[1].lower(), FileKind.OTHER)
        return FileEntry(self.destination(path), path, os.path.getsize(path), kind)

    def has_folder_spelled(self, folder: str) -> bool:
        """Return True if there is such a folder, spelled so."""
        above, name = os.path.split(folder)
        return self._listing(above).get(name) is True

    def destination(self, path: str) -> str:
        """Return the dist-relative path of a file."""
        known = self._folders[-1] if self._folders and path.startswith(os.path.join(self._folders[-1], "")) else ""
        unpacked = known if known not in self._environment.search_path else ""
        return destination(self._environment, self._layout, path, in_stdlib=self._in_stdlib, unpacked=unpacked)

    def _listing(self, folder: str) -> Mapping[str, bool]:
        if folder not in self._listed:
            self._listed[folder] = self._environment.listing(folder)
        return self._listed[folder]


def destination(environment: Environment, layout: Layout, path: str, *, in_stdlib: bool, unpacked: str = "") -> str:
    """Return the dist-relative path that a file of an environment gets; `unpacked` is the folder of its archive."""
    inner = environment.destination(path) if not unpacked else os.path.relpath(path, unpacked).replace(os.sep, "/")
    if not in_stdlib:
        return join(layout.packages, inner)
    is_extension = fold(inner).endswith(".pyd")
    return join(layout.extensions if is_extension else layout.stdlib, inner)


def _required_tops(environment: Environment, distribution: Distribution, markers: Mapping[str, str]) -> Iterator[str]:
    for required in requirements(distribution.requires, markers):
        found = environment.distribution(required.name)
        yield from found.top_level if found is not None else ()
