"""What does not change while the processes of one scan run: the dist, the rules of Windows, the modules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from depfix.closure.authorship import Authorship
from depfix.closure.configured import Configured
from depfix.closure.directories import directories_named_in_program
from depfix.closure.distributions import Present, by_key, present_distributions
from depfix.closure.facts import Facts
from depfix.closure.graph import Node, NodeKind
from depfix.closure.images import DistImages
from depfix.closure.inside import Inside
from depfix.closure.lacks import Lacks
from depfix.closure.listed import Listed
from depfix.closure.liveness import Binding
from depfix.closure.manifests import Manifests
from depfix.closure.metadata import Metadata
from depfix.closure.paths import Surroundings, folders_of
from depfix.closure.supply import Supply
from depfix.dist.identify import Dist
from depfix.dist.records import Records
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.frozen.zips import is_zip
from depfix.imports.executed import Origin
from depfix.imports.finder import (
    DiskFolders,
    Folders,
    ModuleFile,
    ModuleFinder,
    ModuleKind,
    ZippedFolders,
    all_modules,
    module_suffixes,
)
from depfix.imports.naming import sets_attribute
from depfix.imports.steps import ImportStep
from depfix.imports.uses import (
    BehaviourUse,
    Calls,
    DataUse,
    ImportUse,
    PackagePathUse,
    SearchPathUse,
    SettingUse,
    SourceFacts,
)
from depfix.imports.walker import ModuleWalker, absolute_name
from depfix.knowledge.stdlib import stdlib_extensions, stdlib_modules, stdlib_needs
from depfix.loader.system import CleanSystem
from depfix.model.names import fold, join, normalised, parent

if TYPE_CHECKING:
    from depfix.closure.data import DataNeed

_NO_PYTHON = (3, 8)
_CONDUCT = (DataUse, BehaviourUse, SettingUse)  # of the uses, what only a source tells


class World:
    """The dist (or the dist with a plan laid over it), its modules, and the clean Windows around it."""

    def __init__(
        self,
        dist: Dist,
        tree: Tree,
        system: CleanSystem,
        facts: Facts,
        project: tuple[str, ...],
        supply: Supply | None = None,
        inside: Inside | None = None,
    ) -> None:
        self.dist = dist
        self.tree = tree
        self.system = system
        self.facts = facts
        self.project = project
        self.supply = supply if supply is not None else Supply()
        self.inside = inside or Inside()
        self.records = Records(tree, dist.layout.search_path)
        self.version = dist.python.version if dist.python is not None else _NO_PYTHON
        self._suffixes = suffixes = module_suffixes(dist.python, dist.machine)
        self._folders = ZippedFolders(tree)
        self.finder = ModuleFinder(self._folders, dist.layout.search_path, suffixes, self.inside.contents)
        own = [ModuleFinder(DiskFolders(root), ("",), suffixes) for root in project]
        self.authorship = Authorship(tree, lambda name: self.walker.find(name), own, self.supply)
        self.lacks = Lacks(dist, tree, self.finder, self.records, self.supply, self.inside, self.version)
        is_read = self.lacks.knows_stdlib or not self._has_stdlib_files()
        self.walker = ModuleWalker(
            [self.finder, *own],
            self.read,
            {} if is_read else stdlib_needs(self.version),
            lambda name: self.lacks.of(name) is not None,
            self.may_get,
            self.lacks.provided,
            lambda: (module.name for module in self.modules),
            self._stub,
            self.inside.builtin,
            knows_all=self.lacks.knows_stdlib and bool(self.inside.builtin),
            extend=self.add_folders,
        )
        self.images = DistImages(dist, tree, facts)
        self.manifests = Manifests(tree, self.images.at)
        self._noted: set[tuple[str, int]] = set()
        self.starts: set[str] = set()  # scripts whose functions are called by their names
        self.data: dict[str, DataNeed] = {}  # what code reads and the dist lacks, by dist-relative path
        # By module and name: what the sources that a module executes give to the name.
        self.executed: dict[tuple[str, str], dict[Origin, None]] = {}
        self.start_directories = (
            *dist.layout.user_directories,
            *directories_named_in_program(dist, tree, self.finder),
        )

    def finder_over(self, folders: Folders, folder: str) -> ModuleFinder:
        """Return a finder of the modules in a folder that is not in the dist."""
        return ModuleFinder(folders, (folder,), self._suffixes)

    def _has_stdlib_files(self) -> bool:
        """Return True unless every extension module of the standard library is linked into the Python DLL."""
        return any(self.finder.find(name) is not None for name in stdlib_extensions(self.version))

    @cached_property
    def configured(self) -> Configured:
        """What an installed Nuitka knows of imports that no code shows."""
        return Configured(self.supply, self.version, self.dist.machine)

    @cached_property
    def listed(self) -> Listed:
        """The DLLs and data files that an installed Nuitka knows packages to use."""
        return Listed(self.configured, self.tree, self.supply, self.dist.layout.search_path)

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata of distributions."""
        return Metadata(self.tree, self.dist.layout.search_path, self.supply, self.walker.find)

    def is_importable(self, name: str) -> bool:
        """Return True for what machine code would import from outside the program, or be refused.

        What of the standard library and of packages inside the program machine code imports is inside, too: there the
        freezer followed its imports.
        """
        if name in stdlib_modules(self.version) or name in self.inside.builtin:
            return False
        if self.lacks.is_excluded(name):
            return True
        top = self.walker.find(name.partition(".")[0])
        if top is None or top.kind is ModuleKind.FROZEN:
            return False
        found = self.walker.find(name)
        return found is not None and (found.entry is not None or bool(found.folders))

    # --- modules that are here ---

    def read(self, module: ModuleFile) -> SourceFacts:
        """Return what a module's code uses, wherever that code is."""
        if module.kind is ModuleKind.FROZEN:
            twin = self.supply.stdlib_module(module.name) if self.inside.lacks_code(module.name) else None
            if twin is not None and twin.entry is not None:
                return self.facts.source(twin.entry)  # the same module of the same Python
            return self._with_conduct(module, self.inside.facts(module, self.is_importable))
        if module.entry is None:
            return SourceFacts(())
        return self.facts.source(module.entry, is_own=self.authorship.is_copy(module))

    def _with_conduct(self, module: ModuleFile, facts: SourceFacts) -> SourceFacts:
        """Return the facts of a module inside the program with what only its source tells: what it reads, what it does.

        Its source is in the program's project, or in the environment that it was frozen from.
        """
        source = self.source_of(module.name)
        if source is None or any(isinstance(use, (DataUse, BehaviourUse)) for use in facts.uses):
            return facts
        told = tuple(use for use in self.facts.source(source).uses if isinstance(use, _CONDUCT))
        return replace(facts, uses=facts.uses + told) if told else facts

    def source_of(self, name: str) -> FileEntry | None:
        """Return the source of a module that is inside the program, as the project or an environment has it."""
        if name in stdlib_modules(self.version):
            return None
        own, found = self.authorship.project_source(name), self.supply.module(name)
        return own or (found.entry if found is not None and found.kind is ModuleKind.SOURCE else None)

    @cached_property
    def own_mentions(self) -> frozenset[str]:
        """The names that the program's own sources mention, whatever for."""
        inside = self.inside.contents.modules if self.inside.contents is not None else ()
        sources = [*map(self.authorship.project_source, inside), *self.walker.scripts()]
        calls = [self.facts.source(entry).calls for entry in sources if entry is not None]
        rows = [one.mentions for one in calls if one is not None]
        rows += [function.mentions for one in calls if one is not None for function in one.functions.values()]
        return frozenset().union(*(row.names | row.attributes for row in rows))

    def _stub(self, module: ModuleFile, name: str) -> dict[str, str]:
        """Return what the stub beside a package says that it takes lazily."""
        if module.entry is None:
            return {}
        source = os.path.join(os.path.dirname(module.entry.source), name)
        beside = None if module.is_provided else self.tree.in_folder(parent(module.entry.path), name)
        return self.facts.stub(beside.source if beside is not None else source)

    def is_stdlib_name(self, module: str) -> bool:
        """Return True for a module of the standard library of the dist's Python."""
        return module in stdlib_modules(self.version)

    def is_stdlib(self, module: str) -> bool:
        """Return True for modules of the standard library that need extension modules, and for what is in them."""
        return module.partition(".")[0] in {name.partition(".")[0] for name in stdlib_needs(self.version)}

    @cached_property
    def distributions(self) -> tuple[Present, ...]:
        """The distributions whose metadata lie in the dist."""
        return present_distributions(self.tree, self.dist.layout.search_path, self.facts)

    def distributions_named(self, name: str) -> tuple[Present, ...]:
        """Return those of a name, compared as indexes do."""
        return self._by_key.get(normalised(name), ())

    @cached_property
    def _by_key(self) -> dict[str, tuple[Present, ...]]:
        return by_key(self.distributions)

    def may_get(self, package: str, name: str) -> bool:
        """Return True if code other than a package's own `__init__` may give it an attribute of that name.

        That is compiled code in the package or in the program, and sources of the package that set names of modules.
        """
        found = self.finder.find(package)
        if found is None or self.dist.freezer.hides_code:
            return True
        inside = tuple(f"{fold(folder)}/" for folder in found.folders)
        for entry in self.tree:
            if not fold(entry.path).startswith(inside):
                continue
            if fold(entry.path).endswith((".pyd", ".pyc")) and "/__pycache__/" not in fold(entry.path):
                return True
            if entry.kind is FileKind.SOURCE and sets_attribute(self.facts.content(entry), name):
                return True
        return False

    def surroundings(self, module: str) -> Surroundings:
        """Return what the anchors of texts mean in a module."""
        return Surroundings(self._folder_of(module), self.dist.layout, self.walker)

    def _folder_of(self, module: str) -> str:
        """Return the dist-relative folder that `__file__` of a module names, whether the file is there or not."""
        found = self.walker.find(module)
        if found is None or found.kind is not ModuleKind.FROZEN:
            return parent(self.source_path(module))
        package = module if found.is_package else module.rpartition(".")[0]
        return join(self.dist.layout.packages, package.replace(".", "/"))

    def add_folders(self, module: str, use: SearchPathUse | PackagePathUse) -> None:
        """Let modules be found in further folders of the dist from now on."""
        package = (use.package or module) if isinstance(use, PackagePathUse) else ""
        if use.path is None:
            folders = [join(root, package.replace(".", "/")) for root in self.dist.layout.search_path]
        else:
            pattern = self.surroundings(module).pattern(use.path)
            folders = list(folders_of(pattern, self.tree)) if pattern is not None else []
        for folder in folders:
            if self.tree.has_folder(folder):
                self.walker.add_folder(self.tree.spelled(folder), package)
            elif not package:
                self._add_zip(folder)

    def _add_zip(self, path: str) -> None:
        """Let modules be found in a zip that code puts on the search path.

        Source: Python, "zipimport" https://docs.python.org/3/library/zipimport.html
        """
        entry = self.tree.file(path)
        root = self.supply.unpacked(entry.source) if entry is not None and is_zip(entry.source) else ""
        if entry is not None and root:
            self._folders.mount(entry.path, root)
            self.walker.add_folder(entry.path)

    def is_first_note(self, module: str, step: ImportStep) -> bool:
        """Return True once for each import statement: it says the same in every process."""
        key = (module, id(step))
        if key in self._noted:
            return False
        self._noted.add(key)
        return True

    def module_node(self, module: str) -> Node:
        found = self.walker.find(module)
        return Node(NodeKind.NO_MODULE if found is None or found.is_provided else NodeKind.MODULE, module)

    def calls(self, module: str) -> Calls | None:
        """Return who may call whom in a module's source, None if that is unknown."""
        found = self.walker.find(module)
        calls = self.read(found).calls if found is not None and found.has_code else None
        if calls is None or module not in self.starts:
            return calls
        names = calls.mentions.names | calls.functions.keys()  # they are called by their names
        return replace(calls, mentions=replace(calls.mentions, names=frozenset(names)))

    @cached_property
    def modules(self) -> tuple[ModuleFile, ...]:
        """The modules in the files of the dist."""
        return tuple(all_modules(self.tree, self.dist.layout.search_path, self.finder))

    @cached_property
    def tops(self) -> frozenset[str]:
        """The names of the top-level modules and packages of the dist."""
        return frozenset(module.name.partition(".")[0] for module in self.modules)

    def bindings(self, module: str) -> Iterator[Binding]:
        """Yield the names that the import statements of a module bind, wherever they stand."""
        found = self.walker.find(module)
        if found is None or not found.has_code:
            return
        for use in self.read(found).uses:
            base = absolute_name(found, use) if isinstance(use, ImportUse) else None
            if base is None or not isinstance(use, ImportUse):
                continue
            if not use.names:
                yield Binding(base.partition(".")[0], base.partition(".")[0], "")
                yield Binding(base, base, "")
            for name in use.names:
                yield Binding(name, base, name)
            for local, name in use.aliases:
                yield Binding(local, base, name)
        for name in self.read(found).lazy:
            yield Binding(name, self.walker.lazy_module(module, name), name)

    def source_path(self, module: str) -> str:
        """Return the dist-relative path of a module's file, an empty string if it has none."""
        found = self.walker.find(module)
        return found.entry.path if found is not None and found.entry is not None else ""

    def hides_preamble(self, module: str) -> bool:
        """Return True if code that runs before this module is in no readable file, so that it may add directories."""
        if not self.dist.freezer.hides_code:
            return False
        package = module.rpartition(".")[0]
        while package:
            found = self.finder.find(package)
            if found is None or found.kind is not ModuleKind.SOURCE:
                return True
            package = package.rpartition(".")[0]
        return False
