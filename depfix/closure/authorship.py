"""Which modules are the program's own: written by whoever froze it, not by those whose packages it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from depfix.closure.inside import PROGRAM
from depfix.closure.supply import Supply
from depfix.dist.tree import FileEntry, Tree
from depfix.imports.finder import ModuleFile, ModuleFinder, ModuleKind


class Authorship:
    """Tells the program's own modules. What that is depends on what is asked; five questions have answers of their own.

    - Has the project a module of that name (`is_of_project`)? Wherever the one that runs lies, its behaviour is for the
      program's author to change.
    - Is what runs a file outside the dist (`is_outside`)? A script, a module of the project that the dist has no copy
      of, and the program itself: its functions are called as those of programs are.
    - Which source of the program's is it that runs (`source`), from outside or compiled into the program? By that one
      the paths are evaluated that it reads.
    - Is it nobody else's (`is_only_own`)? What is compiled in may be of an environment with a module of that name.
    - Does the dist have a copy of it (`is_copy`)? Such a source lies among those of packages and is the program's.

    Of a path alone, without the modules, `SourceTarget.is_own_path` says whether a source is to be read as the
    program's. `find` returns the module of a name, as the program would import it.
    """

    def __init__(
        self,
        tree: Tree,
        find: Callable[[str], ModuleFile | None],
        project: Sequence[ModuleFinder],
        supply: Supply,
    ) -> None:
        self._tree = tree
        self._find = find
        self._project = tuple(project)
        self._supply = supply

    def is_of_project(self, name: str) -> bool:
        """Return True for the program's scripts and for the modules in its project, in the dist or not."""
        return name.startswith("<") or name == PROGRAM or self._in_project(name) is not None

    def is_outside(self, name: str) -> bool:
        """Return True for the program's script and for a module that is read from no file of the dist."""
        found = self._find(name)
        if found is None or found.is_provided or found.entry is None:
            return name == PROGRAM
        return not self.lies_in_dist(name)

    def lies_in_dist(self, name: str) -> bool:
        """Return True for a module in a file of the dist."""
        found = self._find(name)
        return found is not None and found.entry is not None and self._tree.file(found.entry.path) is found.entry

    def source(self, name: str) -> FileEntry | None:
        """Return the program's own source of a module, if that is what runs: from outside the dist, or compiled in."""
        found = self._find(name)
        if found is None:
            return None
        if found.kind is ModuleKind.FROZEN:
            return self.project_source(name)
        return found.entry if self.is_outside(name) else None

    def is_only_own(self, name: str) -> bool:
        """Return True if a module is the program's own and no environment has one of its name to be compiled in."""
        return self.is_outside(name) or (self.source(name) is not None and self._supply.module(name) is None)

    def is_copy(self, module: ModuleFile) -> bool:
        """Return True for a source in the dist that the program's project has, too."""
        found = self._in_project(module.name)
        other = found.entry if found is not None else None
        return other is not None and module.entry is not None and other.source != module.entry.source

    def project_source(self, name: str) -> FileEntry | None:
        """Return the source of a module in the program's project, whether it is what runs or not."""
        found = self._in_project(name)
        return found.entry if found is not None and found.kind is ModuleKind.SOURCE else None

    def _in_project(self, name: str) -> ModuleFile | None:
        return next(filter(None, (finder.find(name) for finder in self._project)), None)
