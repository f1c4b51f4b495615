"""Walks the modules of a dist: what importing one of them imports next, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from depfix.dist.tree import FileEntry
from depfix.imports.finder import ModuleFile, ModuleFinder, ModuleKind, join_name
from depfix.imports.naming import with_packages
from depfix.imports.steps import AS_THEY_ARE, ImportStep, Step
from depfix.imports.uses import (
    ImportUse,
    ModulesUse,
    PackagePathUse,
    SearchPathUse,
    SettingUse,
    SourceFacts,
    SpelledUse,
    Strength,
    Use,
    Where,
)
from depfix.imports.values import own_name
from depfix.knowledge.stdlib import Needs


class ModuleWalker:
    """Resolves what modules import, over several finders in order (the dist, then the program's own project).

    Where the standard library lies in an archive or program that cannot be read, `stdlib` says which extension modules
    its modules need. `provided` gives the modules that are not here and that an environment has, `expected` tells
    whether something says that a module ought to be here, `may_get` whether code beside a package's own may give it an
    attribute. `known` names the modules in files here, `stub` reads what a stub beside a package says that it takes
    lazily. `builtin` are the modules that Python has in itself.
    `knows_all`: there is nowhere else to import from. `extend` is told where a module adds folders to search.
    """

    def __init__(
        self,
        finders: Sequence[ModuleFinder],
        read: Callable[[ModuleFile], SourceFacts],
        stdlib: Mapping[str, Needs],
        expected: Callable[[str], bool],
        may_get: Callable[[str, str], bool],
        provided: Callable[[str], ModuleFile | None] = lambda _name: None,
        known: Callable[[], Iterable[str]] = tuple,
        stub: Callable[[ModuleFile, str], dict[str, str]] = lambda _module, _name: {},
        builtin: frozenset[str] = frozenset(),
        *,
        knows_all: bool = False,
        extend: Callable[[str, SearchPathUse | PackagePathUse], None] = lambda _module, _use: None,
    ) -> None:
        self._finders = tuple(finders)
        self._read = read
        self._stdlib = stdlib
        self._expected = expected
        self._may_get = may_get
        self._provided = provided
        self._known = known
        self._stub = stub
        self._builtin = builtin
        self._knows_all = knows_all
        self._extend = extend
        self._aliases: set[str] = set()
        self._found: dict[str, ModuleFile | None] = {}
        # What was learnt of steps, as long as modules are found where they were: by its identity, whether an import is
        # followed, and whether surely if the importer is; what else was noted.
        self.followed: dict[int, tuple[bool, bool]] = {}
        self._noted: set[tuple[str, int, Strength]] = set()
        self._facts: dict[str, SourceFacts] = {}
        self._ought: dict[str, bool] = {}
        self._scripts: dict[str, ModuleFile] = {}
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._settings: dict[str, str] | None = None

    def add_script(self, name: str, entry: FileEntry) -> None:
        """Make a program's own script known under a name that no import statement can have."""
        self._scripts[name] = ModuleFile(name, ModuleKind.SOURCE, entry)
        self._found[name] = self._scripts[name]
        self._settings = None

    def scripts(self) -> tuple[FileEntry, ...]:
        """Return the program's own scripts."""
        return tuple(module.entry for module in self._scripts.values() if module.entry is not None)

    def find(self, name: str) -> ModuleFile | None:
        """Return the module of this name, from the first finder that has its top-level package.

        One that is not there, or only as a folder without an `__init__`, is taken as it would be provided.
        """
        if name not in self._found:
            top = name.partition(".")[0]
            finder = next((finder for finder in self._finders if finder.find(top) is not None), None)
            found = finder.find(name) if finder is not None else None
            if found is None or found.kind is ModuleKind.NAMESPACE:
                found = self._provided(name) or found
            self._found[name] = found
        return self._found[name]

    def add_folder(self, folder: str, package: str = "") -> None:
        """Search one more folder of the dist from now on: of the search path, or for modules of a package."""
        if self._finders[0].add_folder(folder, package):
            self._forget()

    def add_finder(self, finder: ModuleFinder) -> None:
        """Search the folders of one more finder from now on, after all others."""
        self._finders = (*self._finders, finder)
        self._forget()

    def _forget(self) -> None:
        self._found = dict(self._scripts)
        self.followed = {}
        self._noted = set()
        self._facts = {}
        self._ought = {}

    def is_first_note(self, module: str, step: Step, surest: Strength) -> bool:
        """Return True unless it was asked before of a step, and the same modules were there."""
        key = (module, id(step), surest)
        if key in self._noted:
            return False
        self._noted.add(key)
        return True

    def steps(self, name: str) -> tuple[Step, ...]:
        """Return what importing the module does, in order; nothing for a module without a readable source."""
        if name not in self._steps:
            module = self.find(name)
            readable = module is not None and module.has_code
            self._steps[name] = (
                self._resolved(module, self._facts_of(module)) if module is not None and readable else ()
            )
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
        return self._facts_of(module).uses if module.has_code else ()

    def _facts_of(self, module: ModuleFile) -> SourceFacts:
        """Return what a module's code uses, asked for once."""
        if module.name not in self._facts:
            self._facts[module.name] = self._read(module)
        return self._facts[module.name]

    def _is_expected(self, name: str) -> bool:
        """Return True if something says that a module ought to be here, asked for once."""
        if name not in self._ought:
            self._ought[name] = self._expected(name)
        return self._ought[name]

    def _resolved(self, module: ModuleFile, facts: SourceFacts) -> tuple[Step, ...]:
        steps: list[Step] = []
        for name, _ in facts.modules:
            alias = own_name(name, module.name, is_package=module.is_package)
            self._aliases.update(filter(None, (alias,)))
        for use in facts.uses:
            if self._is_dead(module, use.where):
                continue
            if isinstance(use, ImportUse):
                targets = self._targets(module, use)
                steps += [ImportStep(use.where, target, one_of_many=use.computed) for target in targets]
                one_of_many = use.computed and use.where.deferred
                steps += [replace(step, one_of_many=one_of_many) for step in self._absent(module, use)]
                steps += self._of_stdlib(use)
            elif isinstance(use, (SearchPathUse, PackagePathUse)) and not use.where.deferred:
                self._extend(module.name, use)  # at once: what follows in this module is found there
                steps += [use] if isinstance(use, SearchPathUse) and not use.path.anchored else []
            elif isinstance(use, ModulesUse):
                steps += self._listed(module, use)
            elif isinstance(use, SpelledUse):
                steps += self._spelled(module, use)
            elif isinstance(use, AS_THEY_ARE):
                steps.append(use)
        return tuple(dict.fromkeys(steps))

    def _is_dead(self, module: ModuleFile, where: Where) -> bool:
        """Return True if control cannot come to a place, by which modules are here and which are not."""
        if where.instead and self._has_all(module, where.instead):
            return True
        return bool(where.only_with) and self._knows_all and not self._has_all(module, where.only_with)

    def _has_all(self, module: ModuleFile, names: Sequence[str]) -> bool:
        """Return True if all of these modules, and names of them, can be imported: what stands for them is not run."""
        for entry in names:
            name, _, member = entry.partition(":")
            last = name.lstrip(".")
            use = ImportUse(Where(0), last, level=len(name) - len(last))
            wanted = absolute_name(module, use)
            found = self.find(wanted) if wanted else None
            here = found is not None and not found.is_provided
            if not here and wanted not in self._builtin:
                return False
            if member and wanted and self._has_not(wanted, member):
                return False
        return True

    def _has_not(self, module: str, name: str) -> bool:
        """Return True if a package here neither binds a name nor has a module of that name."""
        found, member = self.find(module), self.find(join_name(module, name))
        if found is None or not found.is_package or not found.has_code or (member and not member.is_provided):
            return False
        facts = self._facts_of(found)
        may_get = facts.adds_names or self.lazy_module(module, name) or self._may_bind(module, name)
        return not facts.error and not may_get

    def _listed(self, module: ModuleFile, use: ModulesUse) -> list[ImportStep]:
        """Return the modules here whose names fit a pattern."""
        base = absolute_name(module, ImportUse(use.where, use.pattern, level=use.level))
        pieces = re.split(r"(\*\*|\*)", base or "")
        pattern = "".join({"**": ".+", "*": "[^.]+"}.get(piece, re.escape(piece)) for piece in pieces)
        where = use.where if use.each else replace(use.where, conditional=True)
        computed = not use.each
        return [ImportStep(where, name, computed=computed) for name in self._known() if re.fullmatch(pattern, name)]

    def _spelled(self, module: ModuleFile, use: SpelledUse) -> list[ImportStep]:
        """Return the modules of its own package that a source spells: a table of parts, one of which is chosen."""
        top = module.name.partition(".")[0]
        found: dict[str, ImportStep] = {}
        for name in use.names:
            while name.startswith(f"{top}.") and self.find(name) is None:  # what follows names something in a module
                name = name.rpartition(".")[0]
            if name.startswith(f"{top}.") and name != module.name:
                found[name] = ImportStep(use.where, name, one_of_many=True)
        return list(found.values())

    def _of_stdlib(self, use: ImportUse) -> list[ImportStep]:
        """Return the extension modules that the standard library imports for a statement."""
        if use.level or self.find(use.module.partition(".")[0]) is not None:
            return []
        names = [*with_packages(use.module)]
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
        wanted = [*with_packages(base)] if base else []
        for name in use.names if "*" not in use.names else ():
            if not self._is_bound_instead(base, name):
                wanted.append(join_name(base, name))
            wanted += filter(None, (self.lazy_module(base, name),))
        twin = _twin(module, use)
        if twin and self._is_extension(twin):
            wanted.append(twin)
        return [name for name in dict.fromkeys(wanted) if name != module.name and self.find(name) is not None]

    def lazy_module(self, package: str, name: str) -> str:
        """Return the module from which a package's `__getattr__` takes a name, an empty string if it does not."""
        found = self.find(package) if package else None
        if found is None or not found.has_code or not found.is_package:
            return ""
        facts = self._facts_of(found)
        module = facts.lazy.get(name, "") or (self._stub(found, facts.stub).get(name, "") if facts.stub else "")
        return f"{package}.{module.lstrip('.')}" if module.startswith(".") else module

    def _is_bound_instead(self, package: str, name: str) -> bool:
        """Return True if `from package import name` gets something else than a module that would be provided."""
        found = self.find(join_name(package, name))
        is_provided = found is not None and found.is_provided
        return is_provided and self.find(package) is not None and self._may_bind(package, name)

    def _is_extension(self, name: str) -> bool:
        found = self.find(name)
        return found is not None and found.kind is ModuleKind.EXTENSION

    def _absent(self, module: ModuleFile, use: ImportUse) -> list[ImportStep]:
        """Return the modules that a statement names and that are not where they ought to be."""
        base = absolute_name(module, use)
        if not base:
            return []
        twin = _twin(module, use)
        if twin and self.find(twin) is None and self._is_expected(twin):
            return [ImportStep(use.where, twin, absent=True)]
        parts = base.split(".") if not self._leads_on(base, use.names) else []
        for count in range(len(parts)):
            package, name = ".".join(parts[:count]), ".".join(parts[: count + 1])
            if self._is_gone(name):
                surely = bool(package) and not use.mentioned and self._is_plain_package(package)
                return [ImportStep(use.where, name, absent=True)] if surely or self._is_expected(name) else []
        names = [join_name(base, name) for name in use.names if name != "*" and not self._may_bind(base, name)]
        return [
            ImportStep(use.where, name, absent=True, as_name=True)
            for name in names
            if self._is_gone(name) and (self._is_expected(name) or (not use.mentioned and self._lacks(base, name)))
        ]

    def _leads_on(self, base: str, names: Sequence[str]) -> bool:
        """Return True if a module is there, or one of its names: a package above it that is not is a namespace."""
        found = (self.find(name) for name in (base, *(join_name(base, name) for name in names)))
        return any(one is not None and one.kind is not ModuleKind.NAMESPACE for one in found)

    def _lacks(self, package: str, name: str) -> bool:
        """Return True if nothing can give a package an attribute that is no module of it.

        Modules have short, all-lowercase names. Source: PEP 8 https://peps.python.org/pep-0008/#package-and-module-names
        """
        found = self.find(package)
        last = name.rpartition(".")[2]
        if not self._is_plain_package(package) or found is None or last != last.lower():
            return False
        return not self._facts_of(found).adds_names and not self._may_get(package, last)

    def _is_gone(self, name: str) -> bool:
        """Return True if a module is not here; a folder of stubs that is left of it does not count."""
        if name in self._aliases:
            return False
        found = self.find(name)
        return found is None or (found.kind is ModuleKind.NAMESPACE and self._is_expected(name))

    def _is_plain_package(self, name: str) -> bool:
        """Return True for a package with a source here that does not conjure up submodules."""
        found = self.find(name)
        if found is None or found.kind is not ModuleKind.SOURCE or not found.is_package:
            return False
        facts = self._facts_of(found)
        return not facts.error and facts.adds_names != "code"

    def _may_bind(self, package: str, name: str) -> bool:
        """Return True if a package has a name by other means than by importing a module of its own."""
        found = self.find(package)
        if found is not None and found.kind is ModuleKind.NAMESPACE:
            return False
        if found is None or not found.has_code or (name.startswith("__") and name.endswith("__")):
            return True
        facts = self._facts_of(found)
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
