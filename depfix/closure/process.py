"""One Windows process with Python, simulated: modules are imported and DLLs loaded in the order of the program.

What is missing is noted and the process goes on as if it were there, so that one run tells everything. Nothing of the
dist is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from depfix.closure.code_loads import CodeLoads
from depfix.closure.directories import ProcessDirectories
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.liveness import Liveness
from depfix.closure.loading import Load, ProcessLoader
from depfix.closure.noted import note
from depfix.closure.trees import open_tree
from depfix.closure.world import World
from depfix.dist.tree import FileKind
from depfix.imports.finder import ModuleKind
from depfix.imports.naming import is_test
from depfix.imports.steps import ImportStep, Step
from depfix.imports.uses import (
    Absence,
    BehaviourUse,
    DataUse,
    ExecutedUse,
    LoadUse,
    MetadataUse,
    PackagePathUse,
    ScriptUse,
    SearchPathUse,
    SettingUse,
    Strength,
)
from depfix.imports.values import own_name
from depfix.loader.search import ALTERED
from depfix.model.names import normalised, parent
from depfix.wording.message import phrase


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
        self.loads = CodeLoads(world, graph, directories, self._loader)
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
        self._loader.load(Load(entry.path, self.loads.places(ALTERED, parent(entry.path))), node)

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
            for step in steps:
                if step.where.deferred:
                    self._deferred.append((module, step))
                elif not isinstance(step, ImportStep):
                    self._step(module, step)
                elif self._follows(module, step):
                    self._enter(step.target, stack)
                    break
            else:
                stack.pop()

    def _enter(self, name: str, stack: list[tuple[str, Iterator[Step]]]) -> None:
        while name and name not in self._imported:
            self._imported.add(name)
            module = self._world.walker.find(name)
            if module is None:
                pass
            elif module.kind is not ModuleKind.EXTENSION or module.entry is None:
                stack.append((name, iter(self._world.walker.steps(name))))
            elif not module.is_provided:  # once that is here, what it needs in turn is looked for
                stack.append((name, iter(())))
                self.loads.extension(name, module.entry)
            name = name.rpartition(".")[0]  # packages end up on top of the stack: they are imported first

    def _follows(self, module: str, step: ImportStep) -> bool:
        """Note an import; return True if the module is yet to be imported.

        Most statements are met again in other processes, where they say what they said before.
        """
        known = self._world.walker.followed.get(id(step))
        if known is None:
            return self._note_import(module, step) and step.target not in self._imported
        follows, surely = known
        if surely and module in self._certain:
            self._certain.add(step.target)
        return follows and step.target not in self._imported

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
        note = (
            phrase("its distribution requires it")
            if required and absent and step.where.absence is Absence.CAUGHT
            else ""
        )
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
        surely = follows and self._is_certain(module, step)
        if surely and module in self._certain:
            self._certain.add(step.target)
        if not is_provided:
            self._world.walker.followed[id(step)] = (follows, surely)
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

    # --- other steps ---

    def _step(self, module: str, step: Step) -> None:
        if isinstance(step, ImportStep):
            if self._follows(module, step) and not self._is_idle(step):
                self._import(step.target)
        elif self._world.module_node(module).kind is NodeKind.NO_MODULE:
            return  # the files that it would look for come with it
        elif isinstance(step, LoadUse):
            self.loads.run(module, step, self._surest, called=self._liveness is not None)
        elif isinstance(step, MetadataUse):
            self._ask_metadata(module, step)
        elif isinstance(step, (SearchPathUse, PackagePathUse)):
            self._world.add_folders(module, step)
            self.loads.search_bound(module, step, self._surest)
        elif isinstance(step, ScriptUse):
            self._run_script(module, step)
        elif isinstance(step, (DataUse, BehaviourUse, SettingUse, ExecutedUse)):
            self._note(module, step)
        else:
            self.loads.run_directory(module, step, self._surest)

    def _note(self, module: str, use: DataUse | BehaviourUse | SettingUse | ExecutedUse) -> None:
        """Note what some code reads or does; other processes say the same."""
        if self._world.walker.is_first_note(module, use, self._surest):
            note(self._world, self._graph, module, use, self._surest)
        if isinstance(use, DataUse) and use.starts:
            self._run_tree(module, use)

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


def _is_awake(liveness: Liveness, module: str, step: Step) -> bool:
    """Return True if something may call the function in which a step stands, and if its import is meant there.

    Of modules that code imports by a computed name, those are meant that code which has their package asks it for, as
    an attribute.
    """
    if isinstance(step, ImportStep) and step.computed:
        package, _, name = step.target.rpartition(".")
        if not liveness.takes(package, name):
            return False
    return liveness.is_live(module, step.where.function)


def _is_own_package(module: str, other: str) -> bool:
    return module.partition(".")[0] == other.partition(".")[0]
