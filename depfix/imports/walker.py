"""Walks the modules of a dist: what importing one of them imports next, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from depfix.dist.tree import FileEntry
from depfix.imports.finder import ModuleFile, ModuleFinder, ModuleKind, join_name
from depfix.imports.uses import (
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ImportUse,
    LoadUse,
    PathUse,
    SettingUse,
    SourceFacts,
    Use,
    Where,
)
from depfix.knowledge.stdlib import Needs


@dataclass(frozen=True, slots=True)
class ImportStep:
    """One module that a module imports, parents of packages included.

    `through` is the module that stands in the source if `target` is an extension module that the standard library needs
    for it. `absent`: `target` is in no file here, although it ought to be; `as_name`: it is taken from its package, so
    that it fails as a name and not as a module.
    """

    where: Where
    target: str
    through: str = ""
    absent: bool = False
    as_name: bool = False


Step: TypeAlias = "ImportStep | DllDirectoryUse | DefaultDirectoriesUse | PathUse | LoadUse"


class ModuleWalker:
    """Resolves what modules import, over several finders in order (the dist, then the program's own project).

    The standard library lies inside an archive or the program, where it cannot be read; `stdlib` says which extension
    modules its modules need. `recorded` tells whether something that is left of a package says that it had a module,
    `may_get` whether code beside a package's own may give it an attribute.
    """

    def __init__(
        self,
        finders: Sequence[ModuleFinder],
        read: Callable[[FileEntry], SourceFacts],
        stdlib: Mapping[str, Needs],
        recorded: Callable[[str], bool],
        may_get: Callable[[str, str], bool],
    ) -> None:
        self._finders = tuple(finders)
        self._read = read
        self._stdlib = stdlib
        self._recorded = recorded
        self._may_get = may_get
        self._scripts: dict[str, ModuleFile] = {}
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._settings: dict[str, str] | None = None

    def add_script(self, name: str, entry: FileEntry) -> None:
        """Make a program's own script known under a name that no import statement can have."""
        self._scripts[name] = ModuleFile(name, ModuleKind.SOURCE, entry)
        self._settings = None

    def find(self, name: str) -> ModuleFile | None:
        """Return the module of this name, from the first finder that has its top-level package."""
        if name in self._scripts:
            return self._scripts[name]
        for finder in self._finders:
            if finder.find(name.partition(".")[0]) is not None:
                return finder.find(name)
        return None

    def steps(self, name: str) -> tuple[Step, ...]:
        """Return what importing the module does, in order; nothing for a module without a readable source."""
        if name not in self._steps:
            module = self.find(name)
            if module is None or module.kind is not ModuleKind.SOURCE or module.entry is None:
                self._steps[name] = ()
            else:
                self._steps[name] = self._resolved(module, self._read(module.entry))
        return self._steps[name]

    def settings(self) -> dict[str, str]:
        """Return what the program's scripts, and the modules of its project, surely give to variables and options.

        By name, options with their dash; an empty text is not known.
        """
        if self._settings is None:
            self._settings = {}
            for use in self._run_surely():
                if isinstance(use, SettingUse) and not (use.default and use.name in self._settings):
                    self._settings[use.name] = use.value
        return self._settings

    def _run_surely(self) -> Iterator[Use]:
        """Yield what the program's own sources surely do, in the order in which they run."""
        seen: set[str] = set()
        stack = [(script, iter(self._read_own(script))) for script in reversed(self._scripts.values())]
        while stack:
            module, uses = stack[-1]
            use = next(uses, None)
            if use is None:
                stack.pop()
                continue
            if use.where.deferred or use.where.conditional:
                continue
            yield use
            for name in reversed(self._targets(module, use)) if isinstance(use, ImportUse) else ():
                found = self.find(name) if self._finders[0].find(name.partition(".")[0]) is None else None
                if found is not None and name not in seen:
                    seen.add(name)
                    stack.append((found, iter(self._read_own(found))))

    def _read_own(self, module: ModuleFile) -> tuple[Use, ...]:
        if module.kind is not ModuleKind.SOURCE or module.entry is None:
            return ()
        return self._read(module.entry).uses

    def _resolved(self, module: ModuleFile, facts: SourceFacts) -> tuple[Step, ...]:
        steps: list[Step] = []
        for use in facts.uses:
            if isinstance(use, ImportUse):
                steps += [ImportStep(use.where, target) for target in self._targets(module, use)]
                steps += self._absent(module, use)
                steps += self._of_stdlib(use)
            elif not isinstance(use, SettingUse):
                steps.append(use)
        return tuple(dict.fromkeys(steps))

    def _of_stdlib(self, use: ImportUse) -> list[ImportStep]:
        """Return the extension modules that the standard library imports for a statement."""
        if use.level or self.find(use.module.partition(".")[0]) is not None:
            return []
        parts = use.module.split(".")
        names = [".".join(parts[: count + 1]) for count in range(len(parts))]
        names += [join_name(use.module, name) for name in use.names]
        steps: dict[str, ImportStep] = {}
        for name in names:
            needs = self._stdlib.get(name)
            for extension in needs.surely if needs is not None else ():
                absent = self.find(extension) is None
                steps[extension] = ImportStep(use.where, extension, name, absent)
            for extension in needs.perhaps if needs is not None else ():
                if self.find(extension) is not None:
                    guarded = replace(use.where, import_guarded=True)
                    steps.setdefault(extension, ImportStep(guarded, extension, name))
        return list(steps.values())

    def _targets(self, module: ModuleFile, use: ImportUse) -> list[str]:
        base = absolute_name(module, use)
        if base is None:
            return []
        parts = base.split(".")
        wanted = [".".join(parts[: count + 1]) for count in range(len(parts))] if base else []
        for name in use.names if "*" not in use.names else ():
            wanted += [join_name(base, name), *filter(None, (self.lazy_module(base, name),))]
        twin = _twin(module, use)
        if twin and self._is_extension(twin):
            wanted.append(twin)
        return [name for name in dict.fromkeys(wanted) if name != module.name and self.find(name) is not None]

    def lazy_module(self, package: str, name: str) -> str:
        """Return the module from which a package's `__getattr__` takes a name, an empty string if it does not."""
        found = self.find(package) if package else None
        if found is None or found.entry is None or found.kind is not ModuleKind.SOURCE or not found.is_package:
            return ""
        module = self._read(found.entry).lazy.get(name, "")
        return f"{package}.{module.lstrip('.')}" if module.startswith(".") else module

    def _is_extension(self, name: str) -> bool:
        found = self.find(name)
        return found is not None and found.kind is ModuleKind.EXTENSION

    def _absent(self, module: ModuleFile, use: ImportUse) -> list[ImportStep]:
        """Return the modules that a statement names and that are not where they ought to be."""
        base = absolute_name(module, use)
        if not base:
            return []
        twin = _twin(module, use)
        if twin and self.find(twin) is None and self._recorded(twin):
            return [ImportStep(use.where, twin, absent=True)]
        parts = base.split(".")
        for count in range(len(parts)):
            package, name = ".".join(parts[:count]), ".".join(parts[: count + 1])
            if self._is_gone(name):
                surely = bool(package) and not use.mentioned and self._is_plain_package(package)
                return [ImportStep(use.where, name, absent=True)] if surely or self._recorded(name) else []
        names = [join_name(base, name) for name in use.names if name != "*" and not self._may_bind(base, name)]
        return [
            ImportStep(use.where, name, absent=True, as_name=True)
            for name in names
            if self._is_gone(name) and (self._recorded(name) or (not use.mentioned and self._lacks(base, name)))
        ]

    def _lacks(self, package: str, name: str) -> bool:
        """Return True if nothing can give a package an attribute that is no module of it.

        Modules have short, all-lowercase names. Source: PEP 8 https://peps.python.org/pep-0008/#package-and-module-names
        """
        found = self.find(package)
        last = name.rpartition(".")[2]
        if not self._is_plain_package(package) or found is None or found.entry is None or last != last.lower():
            return False
        return not self._read(found.entry).adds_names and not self._may_get(package, last)

    def _is_gone(self, name: str) -> bool:
        """Return True if a module is not here; a folder of stubs that is left of it does not count."""
        found = self.find(name)
        return found is None or (found.kind is ModuleKind.NAMESPACE and self._recorded(name))

    def _is_plain_package(self, name: str) -> bool:
        """Return True for a package with a source here that does not conjure up submodules."""
        found = self.find(name)
        if found is None or found.kind is not ModuleKind.SOURCE or not found.is_package or found.entry is None:
            return False
        facts = self._read(found.entry)
        return not facts.error and facts.adds_names != "code"

    def _may_bind(self, package: str, name: str) -> bool:
        """Return True if a package has a name by other means than by importing a module of its own."""
        found = self.find(package)
        if found is not None and found.kind is ModuleKind.NAMESPACE:
            return False
        if found is None or found.entry is None or (name.startswith("__") and name.endswith("__")):
            return True
        facts = self._read(found.entry)
        if facts.binds.get(name, f"..{name}") not in (f"..{name}", f"{package}.{name}"):
            return True
        return facts.adds_names == "star" and not name.startswith("_")


def _twin(module: ModuleFile, use: ImportUse) -> str:
    """Return the module that a package means that imports its own name: one of that name in its own folder.

    It puts the folder on the search path before. An empty string if a statement is no such import.
    """
    if use.module != module.name or use.level or use.names or not module.is_package:
        return ""
    return join_name(module.name, module.name.rpartition(".")[2])


def absolute_name(module: ModuleFile, use: ImportUse) -> str | None:
    """Return the absolute name of the module that an import statement names; None if it climbs out of the package."""
    if not use.level:
        return use.module
    parts = module.name.split(".")
    keep = len(parts) - use.level + (1 if module.is_package else 0)
    if keep <= 0:
        return None
    return join_name(".".join(parts[:keep]), use.module) if use.module else ".".join(parts[:keep])
