"""Which modules are not here that ought to be, and what says so."""

from __future__ import annotations

from enum import Enum
from functools import cached_property

from depfix.closure.inside import Inside
from depfix.closure.python_abi import foreign_files
from depfix.closure.supply import Supply
from depfix.dist.identify import Dist
from depfix.dist.records import Records
from depfix.dist.tree import FileEntry, Tree
from depfix.imports.finder import ModuleFile, ModuleFinder, ModuleKind
from depfix.knowledge.stdlib import stdlib_modules
from depfix.model.names import fold, join


class Lack(Enum):
    """Why a module that is not here ought to be here."""

    EXCLUDED = "excluded"  # the program's loader refuses it, wherever it is
    HIDDEN = "hidden"  # its package is inside the program, and files in that package's folder are not looked at
    STDLIB = "stdlib"
    PACKAGE = "package"  # its package is here, or what is left of it
    PROVIDED = "provided"  # an environment has it
    LEFT_OUT = "left out"  # it was there when the program was frozen
    UNKNOWN = "unknown"  # some code imports it, and everything that could have it was looked through


class Lacks:
    """What is known of modules that the dist does not have: by its records, by environments, by what froze it."""

    def __init__(
        self,
        dist: Dist,
        tree: Tree,
        finder: ModuleFinder,
        records: Records,
        supply: Supply,
        inside: Inside,
        version: tuple[int, int],
    ) -> None:
        self._dist = dist
        self._tree = tree
        self._finder = finder
        self._records = records
        self._supply = supply
        self._inside = inside
        self._version = version

    def of(self, name: str) -> Lack | None:
        """Return why a module that cannot be found ought to be here, None if nothing says so."""
        if self.is_excluded(name):
            return Lack.EXCLUDED
        if name in self._inside.builtin:
            return None
        package = name.rpartition(".")[0]
        above = self._finder.find(package) if package else None
        known = self.knows_stdlib and name in stdlib_modules(self._version)
        if known or (self.knows_stdlib and self._supply.stdlib_module(name) is not None):
            return Lack.HIDDEN if above is not None and self._finder.hides(above) else Lack.STDLIB
        if self.recorded_file(name):
            return Lack.PACKAGE
        if self.provided(name) is not None:
            return Lack.HIDDEN if above is not None and self._finder.hides(above) else Lack.PROVIDED
        if name in self._inside.left_out and self._finder.find(name) is None:
            return Lack.LEFT_OUT
        knows_all = self.knows_stdlib and bool(self._inside.builtin)
        return Lack.UNKNOWN if knows_all and not package else None

    @cached_property
    def knows_stdlib(self) -> bool:
        """True if every module of the standard library that the program has can be found here."""
        return self._inside.has_stdlib or self._finder.find("os") is not None

    @cached_property
    def absent_stdlib(self) -> frozenset[str]:
        """The modules of the standard library that are not here; none, if it cannot be known which are."""
        if not self.knows_stdlib:
            return frozenset()
        return frozenset(name for name in stdlib_modules(self._version) if self._finder.find(name) is None)

    def provided(self, name: str) -> ModuleFile | None:
        """Return a module that is not here as an environment would provide it.

        Nothing can be said of what may be inside a program that cannot be read.
        """
        if not self._supply or not self.knows_stdlib or name in self._inside.builtin or self.is_excluded(name):
            return None
        if name in stdlib_modules(self._version):
            return self._supply.stdlib_module(name)
        return self._supply.stdlib_module(name) or self._supply.module(name)

    def is_excluded(self, name: str) -> bool:
        """Return True if the program's loader refuses to import a module."""
        return self._inside.refusal(name) is not None

    def recorded_file(self, module: str) -> str:
        """Return the file that once held a module by what is left of its package, an empty string if nothing tells.

        That is the RECORD of its distribution, or without one the stub that lies beside an extension module, or that
        extension module for another Python.
        """
        package, _, name = module.rpartition(".")
        above = self._finder.find(package) if package else None
        folders = self._dist.layout.search_path if not package else above.folders if above is not None else ()
        # What was installed as a source may have been compiled into the program, unless its package is a source here.
        hidden = self._dist.freezer.hides_code and (above is None or above.kind is not ModuleKind.SOURCE)
        for folder in folders:
            found = self._records.module_file(folder, name)
            if found and not (hidden and fold(found).endswith(".py")):
                return found
            if not package or self._records.in_folder(folder):
                continue
            if self._tree.in_folder(folder, f"{name}.pyi") and not self._tree.in_folder(folder, f"{name}.py"):
                return join(folder, f"{name}.pyd")
        foreign = self.foreign_file(module)
        return foreign.path if foreign is not None else ""

    def foreign_file(self, module: str) -> FileEntry | None:
        """Return the file that holds a module, which is not here for this Python, for another Python."""
        package, _, name = module.rpartition(".")
        above = self._finder.find(package) if package and self.foreign_files else None
        folders = self._dist.layout.search_path if not package else above.folders if above is not None else ()
        found = (self.foreign_files.get((fold(folder), name)) for folder in folders)
        return next(filter(None, found), None) if self._finder.find(module) is None else None

    @cached_property
    def foreign_files(self) -> dict[tuple[str, str], FileEntry]:
        """The extension modules for another Python, by folder and name."""
        return foreign_files(self._tree, self._dist.python, self._dist.machine)
