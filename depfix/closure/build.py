"""Builds the closure of a dist: which processes to simulate, and how surely each module is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from depfix.closure.ahead import read_ahead, read_what_follows
from depfix.closure.facts import Facts
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.inside import PROGRAM, Inside
from depfix.closure.liveness import Liveness
from depfix.closure.native_data import NativeNeed, run_native_data
from depfix.closure.process import Process
from depfix.closure.supply import Supply
from depfix.closure.unseen import run_listed, run_unseen, surely_used
from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.identify import Dist
from depfix.dist.tree import FileEntry, Tree
from depfix.frozen.contents import Storage
from depfix.imports.finder import ModuleFile, ModuleKind, join_name
from depfix.imports.naming import is_test, with_packages
from depfix.imports.steps import ImportStep
from depfix.imports.uses import Strength
from depfix.loader.system import CleanSystem


@dataclass(frozen=True, slots=True)
class Entry:
    """A program's own script: its path as the user gave it, its file, and the folder its imports are looked up in."""

    shown: str
    file: FileEntry
    project: str


@dataclass(frozen=True, slots=True)
class Closure:
    """The graph of a dist, with the world that it was made in.

    `from_program`: it was followed from the program's script or from what is inside the program, in one process; else
    everything that can be imported was. `native` is what the libraries that are loaded read, met or not.
    """

    graph: Graph
    world: World
    from_program: bool
    native: tuple[NativeNeed, ...]


def build_closure(
    dist: Dist,
    tree: Tree,
    system: CleanSystem,
    facts: Facts,
    entries: tuple[Entry, ...],
    project: tuple[str, ...] = (),
    supply: Supply | None = None,
    inside: Inside | None = None,
) -> Closure:
    """Return the closure of `tree`, which is the dist or the dist with a plan laid over it.

    With `entries`, from what those scripts import; else from the program's own code, if it can be read; else from
    everything that can be imported from the dist. `supply` is what environments have, `inside` what the program holds.
    """
    folders = tuple(dict.fromkeys([*project, *(entry.project for entry in entries)]))
    world = World(dist, tree, system, facts, folders, supply, inside)
    graph = Graph(Node(NodeKind.PROGRAM, dist.host.path))
    host = _start_programs(world, graph)
    if dist.python is not None:
        if entries:
            _run_entries(world, graph, host, entries)
        elif world.inside.has_program:
            _run_program(world, graph, host)
        else:
            _run_everything(world, graph, host)
        run_listed(world, graph, host.fork())
    graph.settle()
    native = run_native_data(world, graph)
    from_program = bool(entries) or dist.python is None or world.inside.has_program
    return Closure(graph, world, from_program, native)


def _start_programs(world: World, graph: Graph) -> Process:
    """Simulate the start of every program; return the process that hosts Python."""
    host = Process(world, graph)
    host.start(world.dist.host.path)
    host.start_python(world.dist.host.path)
    for program in world.dist.programs[1:]:
        graph.add(_start_edge(graph, Node(NodeKind.PROGRAM, program.path), Strength.REQUIRED))
        other = Process(world, graph)
        other.start(program.path)
        other.finish()
    host.finish()
    for name in world.dist.layout.startup:
        if world.walker.find(name) is not None:
            graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), Strength.REQUIRED))
            host.run(name)
    return host


def _start_edge(graph: Graph, node: Node, strength: Strength, kind: EdgeKind = EdgeKind.START) -> Edge:
    return Edge(graph.root, node, kind, strength)


def _run_entries(world: World, graph: Graph, host: Process, entries: tuple[Entry, ...]) -> None:
    for entry in entries:
        name = f"<{entry.shown}>"
        world.facts.source(entry.file, is_program=True)
        world.walker.add_script(name, entry.file)
        graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), Strength.REQUIRED))
        process = host.fork()
        liveness = Liveness(world.calls, world.bindings, world.authorship.is_outside)
        read_what_follows(world, (name,))
        process.run(name, liveness)
        run_unseen(world, graph, process, liveness)
        host = process
    _run_hidden(world, graph, host)
    host.fork().run_asleep()


def _run_program(world: World, graph: Graph, host: Process) -> None:
    """Run what the program starts with, then what it holds besides: a freezer takes in what something imports."""
    graph.add(_start_edge(graph, Node(NodeKind.MODULE, PROGRAM), Strength.REQUIRED))
    process = host.fork()
    liveness = Liveness(world.calls, world.bindings, world.authorship.is_outside)
    taken_in = _taken_in(world)
    read_what_follows(world, (PROGRAM, *taken_in))
    process.run(PROGRAM, liveness)
    for name in taken_in:
        if name not in process.imported:
            graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), Strength.PROBABLE, EdgeKind.HIDDEN))
            process.run(name, liveness)
    run_unseen(world, graph, process, liveness)
    _run_hidden(world, graph, process)
    process.fork().run_asleep()


def _taken_in(world: World) -> list[str]:
    """Return the modules that a freezer found to be imported, as far as its decision is to be seen.

    Of bytecode, which is mostly the standard library's, it takes more than the program needs.
    """
    contents = world.inside.contents
    rows = contents.modules.values() if contents is not None else ()
    found = [row.name for row in rows if row.storage in (Storage.COMPILED, Storage.EXTENSION)]
    if world.dist.freezer in (Freezer.PYINSTALLER, Freezer.CX_FREEZE):
        found += [module.name for module in world.modules if module.kind is ModuleKind.EXTENSION]
    return [name for name in found if world.walker.find(name) is not None]


def _run_hidden(world: World, graph: Graph, process: Process) -> None:
    """Import extension modules that no source of their package names: compiled code may import them."""
    modules = world.modules
    hidden = [m for m in modules if m.kind is ModuleKind.EXTENSION and _is_within(m, process.imported)]
    unseen = [module.name for module in hidden if module.name not in process.imported]
    naming = _sources_with(world, modules, unseen)
    read_ahead(world, naming)
    named = {
        step.target for module in naming for step in world.walker.steps(module.name) if isinstance(step, ImportStep)
    }
    graph.settle()
    silent = [m.name for m in hidden if m.name not in process.imported and m.name not in named]
    spelled = _spelled_in_modules(world, graph, silent)
    for name in silent:
        # At the top it is the standard library's: of that only a part is used, and its code is not in files here.
        strength = Strength.PROBABLE if "." in name and name in spelled else Strength.POSSIBLE
        graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), strength, EdgeKind.HIDDEN))
        process.fork().run(name)
    _run_distant(world, graph, process)
    _run_absent(world, graph, process)


def _run_distant(world: World, graph: Graph, process: Process) -> None:
    """Import extension modules of packages that no source imports, as far as compiled code in use names them."""
    distant = [
        module.name
        for module in world.modules
        if module.kind is ModuleKind.EXTENSION
        and not _is_within(module, process.imported)
        and module.name.partition(".")[0] in process.imported
    ]
    while distant:
        graph.settle()
        spelled = _spelled_in_modules(world, graph, distant)
        _run_spelled(graph, process, spelled)
        distant = [name for name in distant if name not in spelled] if spelled else []


def _run_absent(world: World, graph: Graph, process: Process) -> None:
    """Note the extension modules that RECORD knows, compiled code names, and the dist has not.

    Where a source of that name stands in for one, its own imports tell whether it can.
    """
    absent, standing_in = _absent_extensions(world, process)
    graph.settle()
    noted = {
        edge.target.name
        for edge in graph.edges()
        if edge.target.kind is NodeKind.NO_MODULE
        and edge.kind is not EdgeKind.HIDDEN
        and (graph.edge_strength(edge) or Strength.POSSIBLE) >= Strength.PROBABLE
    }
    left = [name for name in absent if name not in noted]  # a source that imports it knows better how much it matters
    while standing_in:
        graph.settle()
        spelled = _spelled_in_modules(world, graph, standing_in)
        _run_spelled(graph, process, spelled)
        standing_in = [name for name in standing_in if name not in spelled] if spelled else []
    graph.settle()
    for name, speller in _spelled_in_modules(world, graph, left).items():
        graph.add(_spelled_edge(world, speller, name))


def _run_spelled(graph: Graph, process: Process, names: Iterable[str]) -> None:
    """Import modules that compiled code names, and with them the packages that they are in."""
    for name in names:
        for step in with_packages(name):
            graph.add(_start_edge(graph, Node(NodeKind.MODULE, step), Strength.PROBABLE, EdgeKind.HIDDEN))
        process.fork().run(name)


def _sources_with(world: World, modules: Iterable[ModuleFile], names: Sequence[str]) -> list[ModuleFile]:
    """Return the modules, of the packages that these names are in, in whose text the last part of one stands."""
    tops = {name.partition(".")[0] for name in names}
    lasts = sorted({re.escape(name.rpartition(".")[2].encode()) for name in names})
    pattern = re.compile(rb"\b(?:" + b"|".join(lasts) + rb")\b")
    found = []
    for module in modules if names else ():
        if module.entry is None or not module.has_code or module.name.partition(".")[0] not in tops:
            continue
        if module.kind is not ModuleKind.SOURCE or pattern.search(world.facts.content(module.entry)):
            found.append(module)
    return found


def _spelled_edge(world: World, spelled: str, name: str) -> Edge:
    module = world.walker.find(spelled)
    path = module.entry.path if module is not None and module.entry is not None else spelled
    kind = NodeKind.IMAGE if module is not None and module.kind is ModuleKind.EXTENSION else NodeKind.MODULE
    source = Node(kind, path if kind is NodeKind.IMAGE else spelled)
    return Edge(source, Node(NodeKind.NO_MODULE, name), EdgeKind.HIDDEN, Strength.PROBABLE, path=path)


def _absent_extensions(world: World, process: Process) -> tuple[list[str], list[str]]:
    """Return the extension modules that imported packages were installed with and that are not there.

    Those come last that nothing has imported and for which a source of their name stands in.
    """
    absent, standing_in = [], []
    for path in world.records.missing_extensions():
        for root in world.dist.layout.search_path:
            inner = path.removeprefix(f"{root}/") if root else path
            package, _, file = inner.rpartition("/")
            name = join_name(package.replace("/", "."), file.partition(".")[0])
            found = world.finder.find(name)
            reached = not package or package.replace("/", ".") in process.imported
            if found is None and reached:
                absent.append(name)
                break
            stands_in = found is not None and found.kind is ModuleKind.SOURCE and name not in process.imported
            if stands_in and name.partition(".")[0] in process.imported:
                standing_in.append(name)
                break
    return absent, standing_in


def _spelled_in_modules(world: World, graph: Graph, modules: list[str]) -> dict[str, str]:
    """Return {module: a module, surely in use, that holds its dotted name}.

    Compiled code imports by such names: PyImport_ImportModule("package.module"). So do functions of sources that are
    given the name as a string.
    """
    found: dict[str, str] = {}
    tops = frozenset(name.partition(".")[0] for name in modules)
    wanted = set(modules)
    for module in surely_used(world, graph) if wanted else ():
        if module.entry is None:
            continue
        if module.kind is ModuleKind.EXTENSION and world.images.can_import(module.entry.path):
            alone = frozenset(name for name in wanted if "." not in name)
            named = world.facts.dotted_names(module.entry, world.tops) | world.facts.strings(module.entry, alone)
        elif module.kind is ModuleKind.SOURCE and module.name.partition(".")[0] in tops:
            named = world.facts.passed(module.entry, frozenset(wanted))
        else:
            continue
        found.update(dict.fromkeys(named & wanted, module.name))
        wanted -= named
    return found


def _is_within(module: ModuleFile, imported: set[str]) -> bool:
    package = module.name.rpartition(".")[0]
    return not package or package in imported


def _run_everything(world: World, graph: Graph, host: Process) -> None:
    """Import every top-level module in a process of its own, and then, in the same, what is left of its package."""
    modules = world.modules
    read_ahead(world, modules)
    reached: set[str] = set()
    by_top: dict[str, list[ModuleFile]] = {}
    for module in modules:
        by_top.setdefault(module.name.partition(".")[0], []).append(module)
    tops = sorted(by_top, key=lambda top: (_is_extension(world, top), top))
    for top in tops:
        if top in reached and _is_extension(world, top):
            continue  # its importers have loaded it, each in its own circumstances
        process = host.fork()
        process.run(top)
        for module in by_top[top]:
            if module.name not in process.imported:
                process.run(module.name)
        reached |= process.imported
    _root_everything(world, graph, modules)


def _is_extension(world: World, name: str) -> bool:
    module = world.finder.find(name)
    return module is not None and module.kind is ModuleKind.EXTENSION


def _root_everything(world: World, graph: Graph, modules: tuple[ModuleFile, ...]) -> None:
    """Join the modules to the program.

    A program that cannot be read is taken to import the top-level packages that its folder holds, and probably what
    nothing in there imports; the tests of packages are there for nobody.
    """
    imported = {edge.target.name for edge in graph.edges() if edge.kind is EdgeKind.IMPORT}
    for module in modules:
        if "." not in module.name and not (module.kind is ModuleKind.EXTENSION and module.name in imported):
            graph.add(_start_edge(graph, Node(NodeKind.MODULE, module.name), Strength.PROBABLE))
        elif module.name not in imported:
            graph.add(_root(graph, module))
    graph.settle()
    for module in modules:  # islands: modules that only import each other
        if graph.strength(Node(NodeKind.MODULE, module.name)) is None:
            graph.reach(_root(graph, module))


def _root(graph: Graph, module: ModuleFile) -> Edge:
    strength = Strength.POSSIBLE if is_test(module.name) else Strength.PROBABLE
    return _start_edge(graph, Node(NodeKind.MODULE, module.name), strength, EdgeKind.HIDDEN)
