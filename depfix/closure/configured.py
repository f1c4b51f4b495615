"""Imports that no code shows, DLLs and data files, as the package configuration of an installed Nuitka lists them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.closure.supply import Supply
from depfix.imports.finder import ModuleFile
from depfix.model.machine import Machine
from depfix.wording.message import phrase

if TYPE_CHECKING:
    from depfix.knowledge.nuitka_config import DataFiles, Dlls, PackageConfig
    from depfix.knowledge.nuitka_entries import Origin
    from depfix.knowledge.when import Context


@dataclass(frozen=True, slots=True)
class ConfiguredImport:
    """A module that another one imports unseen: its name, whether that is sure, and the row that says so."""

    name: str
    sure: bool
    words: str


class Configured:
    """The configuration of the Nuitka in an environment, or else in depfix's own Python; it need not be there."""

    def __init__(self, supply: Supply, version: tuple[int, int], machine: Machine) -> None:
        self._supply = supply
        self._version = version
        self._machine = machine
        self._loaded: tuple[PackageConfig, Context] | None = None
        self._sought = False

    def imports(self, module: ModuleFile) -> tuple[ConfiguredImport, ...]:
        """Return what a module imports unseen, under the conditions of the target."""
        loaded = self._load()
        if loaded is None:
            return ()
        from depfix.knowledge.nuitka_config import expand
        from depfix.knowledge.when import Truth

        config, context = loaded
        found = []
        for row in config.implicit_imports(module.name, context, is_package=module.is_package):
            names = expand(row.name, self._modules_of) if row.is_pattern else (row.name,)
            sure = row.verdict.truth is Truth.YES
            found += [ConfiguredImport(name, sure, words_of(row.origin)) for name in names]
        return tuple(found)

    def dlls(self, module: str) -> tuple[Dlls, ...]:
        """Return the DLLs and programs that a module loads, as far as they are known by name."""
        loaded = self._load()
        return loaded[0].dlls(module, loaded[1]) if loaded is not None else ()

    def data_files(self, module: str) -> tuple[DataFiles, ...]:
        """Return the data files of a module."""
        loaded = self._load()
        return loaded[0].data_files(module, loaded[1]) if loaded is not None else ()

    def _load(self) -> tuple[PackageConfig, Context] | None:
        if self._sought:
            return self._loaded
        from depfix.knowledge.nuitka_config import find_config, load_config
        from depfix.knowledge.when import Context

        self._sought = True
        path = find_config(self._folders_with("nuitka"))
        if path:
            context = Context(self._version, self._machine, self._version_of, self._dist_of)
            self._loaded = load_config(path), context
        return self._loaded

    def _folders_with(self, package: str) -> list[str]:
        """Return the folders of environments that hold a package, its files there to be read."""
        folders = ((one, folder) for one in self._supply.environments for folder in one.search_path)
        return [
            folder
            for environment, folder in folders
            if package in environment.listing(folder) and environment.ready(os.path.join(folder, package))
        ]

    def _version_of(self, distribution: str) -> str | None:
        found = self._supply.distribution(distribution)
        return found[1].version if found is not None else None

    def _dist_of(self, package: str) -> str | None:
        found = self._supply.distribution_of(package)
        return found[1].name if found is not None else None

    def _modules_of(self, package: str) -> Iterable[str]:
        found = self._supply.module(package)
        for folder in found.folders if found is not None else ():
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                continue
            yield from (name.partition(".")[0] for name in names if name.partition(".")[0].isidentifier())


def words_of(origin: Origin) -> str:
    """Return how a finding names a row of the configuration."""
    return phrase("{basename}:{line} says so", basename=os.path.basename(origin.path), line=origin.line)
