"""One Windows process with Python, simulated: modules are imported and DLLs loaded in the order of the program.

What is missing is noted and the process goes on as if it were there, so that one run tells everything. Nothing of the
dist is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from depfix.closure.bound import expanded, note_outside, own_extension
from depfix.closure.directories import ProcessDirectories
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.listed import Listing
from depfix.closure.liveness import Liveness
from depfix.closure.loading import Load, ProcessLoader, leading_to, missing_edge
from depfix.closure.named import named_places
from depfix.closure.noted import note
from depfix.closure.paths import Pattern, folders_of, for_other_systems, images_of
from depfix.closure.trees import open_tree
from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.imports.finder import ModuleKind
from depfix.imports.naming import is_test
from depfix.imports.steps import ImportStep, Step
from depfix.imports.uses import (
    CFFI,
    Absence,
    BehaviourUse,
    DataUse,
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ExecutedUse,
    LoadUse,
    MetadataUse,
    PackagePathUse,
    PathUse,
    ScriptUse,
    SearchPathUse,
    SettingUse,
    Strength,
)
from depfix.imports.values import OWN_FILE, Hole, Outer, own_name
from depfix.loader.search import ALTERED, Place, cffi_flags, ctypes_flags, python_import_flags, search_places
from depfix.model.names import base_name, dll_file_name, fold, normalised, parent


class Process:
    """The state of one process: loaded and imported modules, directories given to the loader."""

    def __init__(
        self,
        world: World,
        graph: Graph,
        directories: ProcessDirectories | None = None,
        loader: ProcessLoader | None = None,
    ) -> None:
        self._world = world
        self._graph = graph
        if directories is None:
            directories = ProcessDirectories(world.start_directories, world.dist.layout.dll_directory)
        self._directories = directories
        self._loader = loader if loader is not None else ProcessLoader(world, graph, directories)
        self._imported: set[str] = set()
        self._certain: set[str] = set()  # of those: what the program imports whenever it starts
        self._deferred: deque[tuple[str, Step]] = deque()
        self._asleep: list[tuple[str, Step]] = []
        self._surest = Strength.REQUIRED
        self._liveness: Liveness | None = None

    def fork(self) -> Process:
        """Return a process in the same state that goes its own way from here."""
        directories = self._directories.copy()
        twin = Process(self._world, self._graph, directories, self._loader.fork(directories))
        twin._imported = set(self._imported)
        twin._certain = set(self._certain)
        twin._asleep = list(self._asleep)
        return twin

    @property
    def imported(self) -> set[str]:
        """The dotted names of the modules imported so far."""
        return self._imported

    # --- what happens in the process ---

    def start(self, program: str) -> None:
        """Load a program's static imports, and the Python DLL if the program loads that one itself."""
        entry = self._world.tree.file(program)
        if entry is not None:
            self._loader.start(entry.path, Node(NodeKind.PROGRAM, program))

    def start_python(self, program: str) -> None:
        """Load the Python DLL by its path, as start-up code does that is not linked to it."""
        python = self._world.dist.python
        entry = self._world.tree.file(python.path) if python is not None else None
        if entry is None or self._loader.has(entry.path):
            return
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(Edge(Node(NodeKind.PROGRAM, program), node, EdgeKind.LOAD, Strength.REQUIRED, entry.name))
        self._loader.load(Load(entry.path, self._places(ALTERED, parent(entry.path))), node)

    def run(self, module: str, liveness: Liveness | None = None) -> None:
        """Import a module, then do what its functions would do, then what is delayed; note what is still missing.

        With `liveness`, functions that nothing calls are left for `run_asleep`.
        """
        self._liveness = liveness
        self._certain.add(module)
        self._import(module)
        while self._deferred:
            while self._deferred:
                name, step = self._deferred.popleft()
                if liveness is not None and not _is_awake(liveness, name, step):
                    self._asleep.append((name, step))
                else:
                    self._step(name, step)
            if liveness is not None:
                liveness.add(self._imported)
                self._wake(liveness)
        self.finish()

    def _wake(self, liveness: Liveness) -> None:
        still: list[tuple[str, Step]] = []
        for name, step in self._asleep:
            (self._deferred if _is_awake(liveness, name, step) else still).append((name, step))
        self._asleep = still

    def run_asleep(self) -> None:
        """Do, as a mere possibility, what functions would do that nothing is seen to call."""
        self._surest = Strength.POSSIBLE
        self._deferred.extend(self._asleep)
        self._asleep = []
        while self._deferred:
            name, step = self._deferred.popleft()
            self._step(name, step)
        self.finish()

    def load_listed(self, listing: Listing, source: Node) -> None:
        """Load the DLLs that a module is known to load, and note those that are not there.

        That it loads one is known, not that it cannot do without.
        """
        for file in listing.files:
            if file.entry is not None:
                node = Node(NodeKind.IMAGE, file.entry.path)
                is_new = self._graph.strength(node) is None
                self._graph.add(Edge(source, node, EdgeKind.NAMED, Strength.POSSIBLE, file.entry.name))
                if is_new:
                    self._loader.load(
                        Load(file.entry.path, named_places(file.entry.path, self._directories.now())), node
                    )
            else:
                strength = Strength.PROBABLE if listing.sure else Strength.POSSIBLE
                path = self._world.source_path(source.name)
                edge = Edge(source, source, EdgeKind.NAMED, strength, path=path, note=listing.words)
                self._graph.add(missing_edge(edge, base_name(file.path), (), file.path, unsure=False))

    def finish(self) -> None:
        """Note what is missing, and look for delay-loaded DLLs."""
        self._loader.finish()

    # --- imports ---

    def _import(self, name: str) -> None:
        """Import one module depth first, as Python does, without recursion."""
        stack: list[tuple[str, Iterator[Step]]] = []
        self._enter(name, stack)
        while stack:
            module, steps = stack[-1]
            step = next(steps, None)
            if step is None:
                stack.pop()
            elif step.where.deferred:
                self._deferred.append((module, step))
            elif isinstance(step, ImportStep):
                if self._note_import(module, step):
                    self._enter(step.target, stack)
            else:
                self._step(module, step)

    def _enter(self, name: str, stack: list[tuple[str, Iterator[Step]]]) -> None:
        parts = name.split(".")
        for count in range(len(parts), 0, -1):  # parents end up on top of the stack: they are imported first
            module_name = ".".join(parts[:count])
            if module_name in self._imported:
                break
            self._imported.add(module_name)
            module = self._world.walker.find(module_name)
            if module is None:
                continue
            if module.kind is ModuleKind.EXTENSION and module.entry is not None:
                if module.is_provided:
                    continue  # once it is here, what it needs in turn is looked for
                stack.append((module_name, iter(())))
                self._load_extension(module_name, module.entry)
            else:
                stack.append((module_name, iter(self._world.walker.steps(module_name))))

    def _note_import(self, module: str, step: ImportStep) -> bool:
        """Note an import; return True if the module is to be imported: it is here, or it would have to be."""
        found = self._world.walker.find(step.target)
        is_provided = found is not None and found.is_provided
        absent = (step.absent or is_provided) and not step.as_name
        strength = min(step.where.strength(load=False, absent=absent), self._surest)
        asks = is_provided or step.one_of_many
        required = self._world.supply.requires(module, step.target) if asks else None
        if is_provided and required is False and not (strength is Strength.REQUIRED and module in self._certain):
            strength = min(strength, Strength.OPTIONAL)  # what its distribution does not ask for, for some feature
        elif is_provided and strength is Strength.OPTIONAL and required:
            strength = Strength.PROBABLE  # it copes with the absence of what its distribution asks for
        note = "its distribution requires it" if required and absent and step.where.absence is Absence.CAUGHT else ""
        if self._world.is_first_note(module, step):
            target = Node(NodeKind.NO_MODULE if step.absent or is_provided else NodeKind.MODULE, step.target)
            source, path = self._world.module_node(module), self._world.source_path(module)
            absence = Absence.CHANGED if step.as_name else step.where.absence
            edge = Edge(
                source,
                target,
                EdgeKind.IMPORT,
                strength,
                step.through,
                path,
                step.where.line,
                note=note,
                absence=absence,
                one_of_many=step.one_of_many and not required,
                one_of_own=step.one_of_many and target.kind is NodeKind.MODULE and _is_own_package(module, step.target),
            )
            self._graph.add(edge)
        follows = not step.absent and (not is_provided or strength >= Strength.PROBABLE)
        if follows and module in self._certain and self._is_certain(module, step):
            self._certain.add(step.target)
        return follows

    def _is_idle(self, step: ImportStep) -> bool:
        """Return True for a test that only functions import which nothing is seen to call."""
        return self._surest is Strength.POSSIBLE and is_test(step.target)

    def _is_certain(self, module: str, step: ImportStep) -> bool:
        """Return True if the program cannot start without an import, as far as its importer is concerned.

        Of machine code nothing is known but what it imports.
        """
        importer = self._world.walker.find(module)
        of_machine_code = importer is not None and self._world.inside.is_machine_code(importer.name)
        where = step.where
        return not where.deferred and not where.import_guarded and (of_machine_code or not where.conditional)

    def _load_extension(self, name: str, entry: FileEntry) -> None:
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(Edge(Node(NodeKind.MODULE, name), node, EdgeKind.FILE, Strength.REQUIRED, entry.name))
        places = self._places(python_import_flags(self._world.version), parent(entry.path))
        self._loader.load(Load(entry.path, places, self._world.hides_preamble(name)), node)

    # --- other steps ---

    def _step(self, module: str, step: Step) -> None:
        if isinstance(step, ImportStep):
            if self._note_import(module, step) and not self._is_idle(step):
                self._import(step.target)
        elif self._world.module_node(module).kind is NodeKind.NO_MODULE:
            return  # the files that it would look for come with it
        elif isinstance(step, LoadUse):
            self._run_load(module, step)
        elif isinstance(step, MetadataUse):
            self._ask_metadata(module, step)
        elif isinstance(step, (SearchPathUse, PackagePathUse)):
            self._world.add_folders(module, step)
            self._search_bound(module, step)
        elif isinstance(step, ScriptUse):
            self._run_script(module, step)
        elif isinstance(step, (DataUse, BehaviourUse, SettingUse, ExecutedUse)):
            note(self._world, self._graph, module, step, self._surest)
            if isinstance(step, DataUse) and step.starts:
                self._run_tree(module, step)
        else:
            self._run_directory(module, step)

    def _run_script(self, module: str, use: ScriptUse) -> None:
        """Run a source of the dist as a program, as far as its path is known."""
        pattern = self._world.surroundings(module).pattern(use.path)
        entry = self._world.tree.file(pattern.path) if pattern is not None and pattern.exact else None
        if entry is None or entry.kind is not FileKind.SOURCE:
            return
        name = f"<{entry.path}>"
        strength = min(use.where.strength(load=False), self._surest)
        source, target = self._world.module_node(module), Node(NodeKind.MODULE, name)
        path = self._world.source_path(module)
        self._graph.add(Edge(source, target, EdgeKind.START, strength, path=path, line=use.where.line))
        if name not in self._imported:
            self._world.facts.source(entry, is_program=True)
            self._world.walker.add_script(name, entry)
            self._import(name)

    def _run_tree(self, module: str, use: DataUse) -> None:
        """Import what a local source tree starts with."""
        start = open_tree(self._world, module, use)
        if start is None:
            return
        name, entry = start
        strength = min(use.where.strength(load=False), self._surest)
        source, path = self._world.module_node(module), self._world.source_path(module)
        edge = Edge(source, Node(NodeKind.MODULE, name), EdgeKind.START, strength, entry.name, path, use.where.line)
        self._graph.add(edge)
        if name not in self._imported:
            self._import(name)

    def _ask_metadata(self, module: str, use: MetadataUse) -> None:
        """Note which distributions some code asks about whose metadata are not there."""
        found = self._world.walker.find(module)
        is_package = found is not None and found.is_package
        name = own_name(use.distribution, module, is_package=is_package)
        names = [name] if name else list(self._world.metadata.with_entry_points(use.group)) if use.group else []
        strength = Strength.OPTIONAL if use.guarded else use.where.strength(load=False)
        for one in names:
            if self._world.metadata.lacks(one):
                source, path = self._world.module_node(module), self._world.source_path(module)
                target = Node(NodeKind.NO_METADATA, normalised(one))
                strength = min(strength, self._surest)
                edge = Edge(source, target, EdgeKind.METADATA, strength, one, path, use.where.line, note=use.group)
                self._graph.add(edge)

    def _run_directory(self, module: str, use: DllDirectoryUse | PathUse | DefaultDirectoriesUse) -> None:
        if isinstance(use, DefaultDirectoriesUse):
            self._directories.set_default(use.flags)
            return
        if use.path is None:
            self._directories.set(None)
            return
        for text, origin in expanded(self._world, module, use.path):
            if not note_outside(self._world, self._graph, module, use, self._surest, text, origin):
                self._give_directories(use, self._world.surroundings(module).pattern(text))

    def _give_directories(self, use: DllDirectoryUse | PathUse, pattern: Pattern | None) -> None:
        for folder in folders_of(pattern, self._world.tree) if pattern is not None else ():
            if isinstance(use, PathUse):
                self._directories.put_on_path(folder)
            elif use.sole:
                self._directories.set(folder)
            elif use.removed:
                self._directories.remove(folder)
            else:
                self._directories.add(folder)

    def _search_bound(self, module: str, use: SearchPathUse | PackagePathUse) -> None:
        """Note folders outside the dist, and load what a package searches for under its own name in others."""
        for text, origin in expanded(self._world, module, use.path) if isinstance(use, SearchPathUse) else ():
            pattern = self._world.surroundings(module).pattern(text)
            if pattern is None and isinstance(use, SearchPathUse):
                note_outside(self._world, self._graph, module, use, self._surest, text, origin)
            entry = own_extension(self._world, module, pattern.path) if pattern and origin else None
            if entry is not None:
                self._load_extension(module, entry)

    def _run_load(self, module: str, use: LoadUse) -> None:
        pattern = self._world.surroundings(module).pattern(use.path)
        if pattern is None:
            note_outside(self._world, self._graph, module, use, self._surest, use.path, None)
            if len(use.path.parts) == 1 and (use.path.parts[0] is Hole.ANY or isinstance(use.path.parts[0], Outer)):
                self._load_unknown(module, use)
        elif pattern.is_name:
            self._load_by_name(module, use, pattern)
        else:
            self._load_by_path(module, use, pattern)

    def _load_by_name(self, module: str, use: LoadUse, pattern: Pattern) -> None:
        flags = self._flags(use, has_folder=False)
        places = self._places(flags, None)
        edge = self._load_edge(module, use, pattern)
        if pattern.exact:
            self._loader.need(edge, pattern.path, Load("", places, self._world.hides_preamble(module)))
            return
        for place in places:
            for entry in self._world.tree.files_in(place.folder):
                if pattern.matches(entry.name) and fold(entry.name).endswith(".dll"):
                    self._load_target(entry, edge, places)

    def _load_by_path(self, module: str, use: LoadUse, pattern: Pattern) -> None:
        if base_name(pattern.path) == OWN_FILE:
            return  # a module that loads its own file has it loaded
        edge = self._load_edge(module, use, pattern)
        entries = images_of(pattern, self._world.tree)
        found = replace(edge, strength=max(edge.strength, Strength.PROBABLE)) if use.where.last_resort else edge
        lost = [path for path in self._world.records.missing_libraries() if pattern.matches(path)]
        for path in lost:
            surely = max(edge.strength, Strength.PROBABLE)
            if entries and not pattern.exact:
                surely = Strength.POSSIBLE  # code that loads whatever lies there goes on with what is left
            self._graph.add(_lost(replace(edge, strength=min(surely, self._surest)), path))
        for entry in entries:
            flags = self._flags(use, has_folder=True)
            self._load_target(entry, found, self._places(flags, parent(entry.path)))
        if (
            not entries
            and not lost
            and pattern.exact
            and not use.where.conditional
            and not for_other_systems(pattern.path)
        ):
            expected = dll_file_name(pattern.path)
            self._graph.add(missing_edge(edge, base_name(expected), (), expected, unsure=False))

    def _load_unknown(self, module: str, use: LoadUse) -> None:
        """A path that could not be evaluated: any DLL of the package may be meant."""
        top = self._world.walker.find(module.partition(".")[0])
        folder = top.folders[0] if top is not None and top.folders else None
        if folder is None:
            return
        edge = self._load_edge(module, use, Pattern("*", False, False, is_name=True))
        flags = self._flags(use, has_folder=True)
        inside = fold(folder) + "/"
        entries = [entry for entry in self._world.tree.images() if fold(entry.path).startswith(inside)]
        libraries = [entry for entry in entries if fold(entry.path).endswith(".dll")]
        for entry in libraries:
            self._load_target(entry, edge, self._places(flags, parent(entry.path)))
        for path in self._world.records.missing_libraries() if not libraries else ():
            if fold(path).startswith(inside):
                self._graph.add(_lost(edge, path))

    def _load_edge(self, module: str, use: LoadUse, pattern: Pattern) -> Edge:
        strength = min(use.where.strength(load=True), self._surest)
        if use.where.deferred and self._world.is_stdlib_name(module):
            strength = Strength.POSSIBLE  # functions that look for libraries, and tests of them
        if not pattern.exact and not pattern.each:
            strength = min(strength, Strength.PROBABLE)
        source = self._world.module_node(module)
        path = self._world.source_path(module)
        called = self._liveness is not None and use.where.deferred and not use.where.conditional
        note = "code calls the function that loads it" if called and strength is Strength.PROBABLE else ""
        return Edge(source, source, EdgeKind.LOAD, strength, path=path, line=use.where.line, note=note)

    def _load_target(self, entry: FileEntry, edge: Edge, places: tuple[Place, ...]) -> None:
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(leading_to(edge, node, entry.name))
        self._loader.load(Load(entry.path, places), node)

    # --- surroundings ---

    def _flags(self, use: LoadUse, *, has_folder: bool) -> int:
        if use.flags is None:
            return ctypes_flags(self._world.version, has_folder)
        return cffi_flags(has_folder) if use.flags == CFFI else use.flags

    def _places(self, flags: int, asked_folder: str | None) -> tuple[Place, ...]:
        return search_places(flags, asked_folder, self._directories.now())


def _is_awake(liveness: Liveness, module: str, step: Step) -> bool:
    """Return True if something may call the function in which a step stands, and if its import is meant there.

    Of modules that code imports by a computed name, those are meant whose name is mentioned somewhere.
    """
    if isinstance(step, ImportStep) and step.computed and not liveness.mentions(step.target.rpartition(".")[2]):
        return False
    return liveness.is_live(module, step.where.function)


def _is_own_package(module: str, other: str) -> bool:
    return module.partition(".")[0] == other.partition(".")[0]


def _lost(edge: Edge, path: str) -> Edge:
    """Return a load as one of a file that the package was installed with and that is not there."""
    missing = missing_edge(edge, base_name(path), (), path, unsure=False)
    return replace(missing, note="it was installed with its package")
