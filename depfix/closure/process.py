"""One Windows process, simulated: modules are imported and DLLs loaded in the order in which the program would.

What is missing is noted and the process goes on as if it were there, so that one run tells everything. Nothing of the
dist is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.paths import Pattern, Surroundings, folders_of, for_other_systems, images_of
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.finder import ModuleKind
from depfix.imports.uses import DllDirectoryUse, LoadUse, PathUse, Strength
from depfix.imports.values import OWN_FILE, Hole
from depfix.imports.walker import ImportStep, Step
from depfix.loader.resolve import Outcome, Resolution, resolve
from depfix.loader.search import (
    STANDARD,
    Directories,
    Place,
    ctypes_flags,
    python_import_flags,
    search_places,
)
from depfix.model.image import Image
from depfix.model.names import base_name, dll_file_name, fold, parent


@dataclass(frozen=True, slots=True)
class _Pending:
    """A need that was not met when its DLL was loaded; a later load of the same root may meet it."""

    root: str
    edge: Edge


class Process:
    """The state of one process: loaded modules, imported modules, directories given to the loader."""

    def __init__(self, world: World, graph: Graph) -> None:
        self._world = world
        self._graph = graph
        self._loaded: dict[str, str] = {}
        self._loaded_paths: set[str] = set()
        self._user = dict.fromkeys(world.start_directories, 1)  # how often each was added
        self._path: dict[str, None] = {}
        self._imported: set[str] = set()
        self._deferred: deque[tuple[str, Step]] = deque()
        self._delayed: list[tuple[str, str, bool]] = []
        self._pending: dict[tuple[Node, str], _Pending] = {}

    def fork(self) -> Process:
        """Return a process in the same state that goes its own way from here."""
        twin = Process(self._world, self._graph)
        twin._loaded = dict(self._loaded)
        twin._loaded_paths = set(self._loaded_paths)
        twin._user = dict(self._user)
        twin._path = dict(self._path)
        twin._imported = set(self._imported)
        return twin

    @property
    def imported(self) -> set[str]:
        """The dotted names of the modules imported so far."""
        return self._imported

    # --- what happens in the process ---

    def start(self, program: str) -> None:
        """Load a program's static imports, and the Python DLL if the program loads that one itself."""
        entry = self._world.tree.file(program)
        if entry is None:
            return
        places = search_places(STANDARD, None, self._directories())
        self._load_closure(entry.path, places, Node(NodeKind.PROGRAM, program), unsure=False)

    def start_python(self, program: str) -> None:
        """Load the Python DLL by its path, as start-up code does that is not linked to it."""
        python = self._world.dist.python
        entry = self._world.tree.file(python.path) if python is not None else None
        if entry is None or fold(entry.path) in self._loaded_paths:
            return
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(Edge(Node(NodeKind.PROGRAM, program), node, EdgeKind.LOAD, Strength.REQUIRED, entry.name))
        places = search_places(0x8, parent(entry.path), self._directories())
        self._load_closure(entry.path, places, node, unsure=False)

    def run(self, module: str) -> None:
        """Import a module, then do what its functions would do, then what is delayed; note what is still missing."""
        self._import(module)
        while self._deferred:
            name, step = self._deferred.popleft()
            self._step(name, step)
        self.finish()

    def finish(self) -> None:
        """Note what is missing, and look for delay-loaded DLLs with the directories that the process ended with."""
        for importer, asked, unsure in self._delayed:
            places = search_places(STANDARD, None, self._directories())
            self._need(Node(NodeKind.IMAGE, importer), asked, EdgeKind.DELAY, places, importer, unsure)
        self._delayed.clear()
        for pending in self._pending.values():
            self._graph.add(pending.edge)
        self._pending.clear()

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
                self._note_import(module, step)
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
                stack.append((module_name, iter(())))
                self._load_extension(module_name, module.entry)
            else:
                stack.append((module_name, iter(self._world.walker.steps(module_name))))

    def _note_import(self, module: str, step: ImportStep) -> None:
        if not self._world.is_first_note(module, step):
            return
        strength = step.where.strength(load=False)
        kind = EdgeKind.IMPORT
        if step.through:
            kind = EdgeKind.HIDDEN
            strength = Strength.PROBABLE if strength is Strength.REQUIRED else Strength.POSSIBLE
        source, target = self._world.module_node(module), Node(NodeKind.MODULE, step.target)
        path = self._world.source_path(module)
        self._graph.add(Edge(source, target, kind, strength, path=path, line=step.where.line))

    def _load_extension(self, name: str, entry: FileEntry) -> None:
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(Edge(Node(NodeKind.MODULE, name), node, EdgeKind.FILE, Strength.REQUIRED, entry.name))
        places = search_places(python_import_flags(self._world.version), parent(entry.path), self._directories())
        self._load(entry, places, node, unsure=self._world.hides_preamble(name))

    # --- other steps ---

    def _step(self, module: str, step: Step) -> None:
        if isinstance(step, ImportStep):
            self._note_import(module, step)
            self._import(step.target)
        elif isinstance(step, LoadUse):
            self._run_load(module, step)
        else:
            self._run_directory(module, step)

    def _run_directory(self, module: str, use: DllDirectoryUse | PathUse) -> None:
        pattern = self._surroundings(module).pattern(use.path)
        if pattern is None:
            return
        for folder in folders_of(pattern, self._world.tree):
            if isinstance(use, PathUse):
                self._path[folder] = None
            elif not use.removed:
                self._user[folder] = self._user.get(folder, 0) + 1
            elif self._user.get(folder, 0) > 1:
                self._user[folder] -= 1
            else:
                self._user.pop(folder, None)

    def _run_load(self, module: str, use: LoadUse) -> None:
        pattern = self._surroundings(module).pattern(use.path)
        if pattern is None:
            if use.path.parts == (Hole.ANY,):
                self._load_unknown(module, use)
        elif pattern.is_name:
            self._load_by_name(module, use, pattern)
        else:
            self._load_by_path(module, use, pattern)

    def _load_by_name(self, module: str, use: LoadUse, pattern: Pattern) -> None:
        flags = use.flags if use.flags is not None else ctypes_flags(self._world.version, has_folder=False)
        places = search_places(flags, None, self._directories())
        edge = self._load_edge(module, use, pattern)
        if pattern.exact:
            unsure = self._world.hides_preamble(module)
            self._need(edge.source, pattern.path, EdgeKind.LOAD, places, "", unsure, like=edge)
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
        for entry in entries:
            flags = use.flags if use.flags is not None else ctypes_flags(self._world.version, has_folder=True)
            self._load_target(entry, found, search_places(flags, parent(entry.path), self._directories()))
        if not entries and pattern.exact and not use.where.conditional and not for_other_systems(pattern.path):
            expected = dll_file_name(pattern.path)
            self._graph.add(_missing(edge, base_name(expected), (), expected, unsure=False))

    def _load_unknown(self, module: str, use: LoadUse) -> None:
        """A path that could not be evaluated: any DLL of the package may be meant."""
        top = self._world.walker.find(module.partition(".")[0])
        folder = top.folders[0] if top is not None and top.folders else None
        if folder is None:
            return
        edge = self._load_edge(module, use, Pattern("*", False, False, is_name=True))
        flags = use.flags if use.flags is not None else ctypes_flags(self._world.version, has_folder=True)
        for entry in self._world.tree.images():
            if fold(entry.path).startswith(fold(folder) + "/") and fold(entry.path).endswith(".dll"):
                self._load_target(entry, edge, search_places(flags, parent(entry.path), self._directories()))

    def _load_edge(self, module: str, use: LoadUse, pattern: Pattern) -> Edge:
        strength = use.where.strength(load=True)
        if not pattern.exact and not pattern.each:
            strength = min(strength, Strength.PROBABLE)
        source = self._world.module_node(module)
        path = self._world.source_path(module)
        return Edge(source, source, EdgeKind.LOAD, strength, path=path, line=use.where.line)

    def _load_target(self, entry: FileEntry, edge: Edge, places: tuple[Place, ...]) -> None:
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(_to(edge, node, entry.name))
        self._load(entry, places, node, unsure=False)

    # --- the loader ---

    def _load(self, entry: FileEntry, places: tuple[Place, ...], node: Node, *, unsure: bool) -> None:
        if fold(entry.path) in self._loaded_paths:
            self._retry(entry.path, places, unsure)
        else:
            self._load_closure(entry.path, places, node, unsure)

    def _load_closure(self, path: str, places: tuple[Place, ...], node: Node, unsure: bool) -> None:
        """Load an image and everything that it imports, at any depth, all with the search of the image asked for."""
        todo = [(path, node)]
        while todo:
            current, current_node = todo.pop()
            if fold(current) in self._loaded_paths:
                continue
            self._loaded_paths.add(fold(current))
            self._loaded.setdefault(fold(base_name(current)), current)
            image = self._world.image(current)
            if not isinstance(image, Image) or image.machine is not self._world.dist.machine:
                continue
            for asked in image.imports:
                found = self._need(current_node, asked, EdgeKind.STATIC, places, path, unsure, load=False)
                if found.outcome is Outcome.FILE:
                    todo.append((found.path, Node(NodeKind.IMAGE, found.path)))
            self._delayed += [(current, asked, unsure) for asked in image.delay_imports]

    def _need(
        self,
        source: Node,
        asked: str,
        kind: EdgeKind,
        places: tuple[Place, ...],
        root: str,
        unsure: bool,
        *,
        load: bool = True,
        like: Edge | None = None,
    ) -> Resolution:
        """Resolve one name for `source`, note where it leads, and with `load` load what was found."""
        found = resolve(asked, places, self._loaded, self._world.tree, self._world.system)
        edge = like if like is not None else Edge(source, source, kind, Strength.REQUIRED)
        if found.outcome is Outcome.MISSING:
            missing = _missing(edge, asked, found.trail, "", unsure)
            self._pending.setdefault((source, fold(asked)), _Pending(root, missing))
            return found
        target = Node(NodeKind.SYSTEM if found.outcome is Outcome.SYSTEM else NodeKind.IMAGE, found.path)
        self._graph.add(_to(edge, target, asked))
        if load and found.outcome is Outcome.FILE:
            self._load_closure(found.path, places, target, unsure)
        return found

    def _retry(self, root: str, places: tuple[Place, ...], unsure: bool) -> None:
        """Load a DLL again that is there already: needs that its first load did not meet may be met now."""
        again = [key for key, pending in self._pending.items() if pending.root == root]
        for key in again:
            pending = self._pending.pop(key)
            found = self._need(pending.edge.source, pending.edge.asked, pending.edge.kind, places, root, unsure)
            if not found.found:
                self._pending[key] = pending  # the first attempt's trail is the one to tell

    # --- surroundings ---

    def _directories(self) -> Directories:
        return Directories("", tuple(self._user), tuple(self._path))

    def _surroundings(self, module: str) -> Surroundings:
        return Surroundings(parent(self._world.source_path(module)), self._world.dist.layout, self._world.walker)


def _to(edge: Edge, target: Node, asked: str) -> Edge:
    return Edge(edge.source, target, edge.kind, edge.strength, asked, edge.path, edge.line)


def _missing(edge: Edge, asked: str, trail: tuple[Place, ...], expected: str, unsure: bool) -> Edge:
    node = Node(NodeKind.MISSING, fold(dll_file_name(asked)))
    return Edge(edge.source, node, edge.kind, edge.strength, asked, edge.path, edge.line, trail, expected, unsure)
