"""Builds the closure of a dist: which processes to simulate, and how surely each module is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from depfix.closure.ahead import read_ahead, read_what_follows
from depfix.closure.facts import Facts
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.inside import PROGRAM, Inside
from depfix.closure.listed import Listing
from depfix.closure.liveness import Liveness
from depfix.closure.process import Process
from depfix.closure.supply import Supply
from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.identify import Dist
from depfix.dist.tree import FileEntry, Tree
from depfix.frozen.contents import Storage
from depfix.imports.finder import ModuleFile, ModuleKind, join_name
from depfix.imports.naming import is_test
from depfix.imports.uses import Strength
from depfix.imports.walker import ImportStep
from depfix.knowledge.stdlib import stdlib_needs
from depfix.loader.system import CleanSystem
from depfix.model.names import normalised


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
    everything that can be imported was.
    """

    graph: Graph
    world: World
    from_program: bool


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
        _run_listed(world, graph, host.fork())
    graph.settle()
    return Closure(graph, world, bool(entries) or dist.python is None or world.inside.has_program)


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
        liveness = Liveness(world.calls, world.bindings, world.is_own)
        read_what_follows(world, (name,))
        process.run(name, liveness)
        _run_unseen(world, graph, process, liveness)
        host = process
    _run_hidden(world, graph, host)
    host.fork().run_asleep()


def _run_program(world: World, graph: Graph, host: Process) -> None:
    """Run what the program starts with, then what it holds besides: a freezer takes in what something imports."""
    graph.add(_start_edge(graph, Node(NodeKind.MODULE, PROGRAM), Strength.REQUIRED))
    process = host.fork()
    liveness = Liveness(world.calls, world.bindings, world.is_own)
    taken_in = _taken_in(world)
    read_what_follows(world, (PROGRAM, *taken_in))
    process.run(PROGRAM, liveness)
    for name in taken_in:
        if name not in process.imported:
            graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), Strength.PROBABLE, EdgeKind.HIDDEN))
            process.run(name, liveness)
    _run_unseen(world, graph, process, liveness)
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


def _run_unseen(world: World, graph: Graph, process: Process, liveness: Liveness) -> None:
    """Import what only compiled code imports, by the names in its data, and what is known to be, until all is.

    Of a package that a source imports too, the source knows better whether the program needs it.
    """
    seen: set[str] = set()
    while True:
        graph.settle()
        unseen: dict[str, Edge] = {}
        known = _known_to_sources(world, graph, process)
        for module in tuple(_surely_used(world, graph)):
            if module.name not in seen:
                seen.add(module.name)
                told = known.get(module.name.partition(".")[0], process.imported)
                for edge in (*_spelled_edges(world, module, told), *_configured_edges(world, module)):
                    unseen.setdefault(edge.target.name, edge)
        if not unseen:
            return
        for name, edge in sorted(unseen.items()):
            graph.add(edge)
            if edge.strength is Strength.PROBABLE and world.walker.find(name) is not None:
                process.run(name, liveness)


def _known_to_sources(world: World, graph: Graph, process: Process) -> dict[str, set[str]]:
    """Return for each package what its sources import, even if that is not there, with all that was imported.

    With a module of the standard library comes the extension module that it needs.
    """
    stdlib = stdlib_needs(world.version)
    found: dict[str, set[str]] = {}
    for edge in graph.edges():
        if edge.kind is EdgeKind.IMPORT and edge.target.kind is NodeKind.NO_MODULE:
            top = edge.source.name.partition(".")[0]
            if top not in found:
                found[top] = set(process.imported)
            needs = stdlib.get(edge.target.name)
            found[top].update((edge.target.name, *(needs.surely + needs.perhaps if needs is not None else ())))
    return found


def _spelled_edges(world: World, module: ModuleFile, imported: set[str]) -> Iterator[Edge]:
    """Yield what an extension module that is here may import, by the names in its data."""
    if module.entry is None or module.kind is not ModuleKind.EXTENSION or module.is_provided:
        return
    if not world.can_import(module.entry.path):
        return
    image = Node(NodeKind.IMAGE, module.entry.path)
    for name, strength in _spelled_by(world, module, imported):
        yield Edge(image, world.module_node(name), EdgeKind.HIDDEN, strength, path=image.name)


def _configured_edges(world: World, module: ModuleFile) -> Iterator[Edge]:
    """Yield what a module in a file imports unseen, as an installed Nuitka knows; for those inside it saw to it."""
    if module.kind is ModuleKind.FROZEN or not world.inside.is_readable:
        return
    for row in world.configured.imports(module):
        found = world.walker.find(row.name)
        if found is not None:
            strength = Strength.PROBABLE if row.sure else Strength.POSSIBLE
            source, path = world.module_node(module.name), world.source_path(module.name)
            yield Edge(source, world.module_node(row.name), EdgeKind.HIDDEN, strength, path=path, note=row.words)


def _spelled_by(world: World, module: ModuleFile, imported: set[str]) -> Iterator[tuple[str, Strength]]:
    """Yield the modules that compiled code names: of packages that are here, and what its own package may lack.

    Of a package that is inside the program, the freezer knows better what it needs.
    """
    if module.entry is None:
        return
    for name in world.facts.dotted_names(module.entry, world.tops):
        if name not in imported and world.walker.find(name) is not None:
            yield name, Strength.POSSIBLE if name.partition(".")[0] in imported else Strength.PROBABLE
    top = world.walker.find(module.name.partition(".")[0])
    if top is not None and top.kind is not ModuleKind.FROZEN and top.is_package:
        absent = world.absent_stdlib | world.supply.absent_requirements(top.name, world.walker.find)
        named = world.facts.whole_strings(module.entry, absent)
        yield from ((name, Strength.PROBABLE) for name in named if name not in imported)


def _surely_used(world: World, graph: Graph) -> Iterator[ModuleFile]:
    for node in graph.nodes():
        strength = graph.strength(node) if node.kind in (NodeKind.MODULE, NodeKind.NO_MODULE) else None
        module = world.walker.find(node.name) if strength is not None and strength >= Strength.PROBABLE else None
        if module is not None:
            yield module


def _run_listed(world: World, graph: Graph, process: Process) -> None:
    """Look for the DLLs and data files that modules of the dist are known to use."""
    graph.settle()
    for module in tuple(_surely_used(world, graph)):
        if module.is_provided:
            continue  # they come with it
        source = world.module_node(module.name)
        for listing in world.listed.of(module):
            if listing.are_dlls:
                process.load_listed(listing, source)
                continue
            for edge in _data_edges(world, listing, Edge(source, source, EdgeKind.DATA, Strength.PROBABLE)):
                graph.add(edge)
    process.finish()


def _data_edges(world: World, listing: Listing, edge: Edge) -> Iterator[Edge]:
    """Yield `edge` as it leads to each file that is read, to what of them is absent, and to absent metadata."""
    surely = Strength.PROBABLE if listing.sure else Strength.POSSIBLE
    edge = replace(edge, path=world.source_path(edge.source.name), note=listing.words)
    for file in listing.files:
        if file.entry is not None:
            yield replace(edge, target=Node(NodeKind.DATA, file.entry.path))
    if any(file.entry is None for file in listing.files):
        yield replace(edge, target=Node(NodeKind.NO_DATA, listing.subject), strength=surely)
    for name in listing.metadata:
        if world.metadata.lacks(name):
            target = Node(NodeKind.NO_METADATA, normalised(name))
            yield replace(edge, target=target, kind=EdgeKind.METADATA, strength=surely, asked=name, note="")


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
    absent = _absent_extensions(world, process)
    spelled = _spelled_in_modules(world, graph, [*silent, *absent])
    for name in silent:
        # At the top it is the standard library's: of that only a part is used, and its code is not in files here.
        strength = Strength.PROBABLE if "." in name and name in spelled else Strength.POSSIBLE
        graph.add(_start_edge(graph, Node(NodeKind.MODULE, name), strength, EdgeKind.HIDDEN))
        process.fork().run(name)
    noted = {edge.target.name for edge in graph.edges() if edge.target.kind is NodeKind.NO_MODULE}
    for name in absent:
        if name in spelled and name not in noted:  # a source that imports it knows better how much it matters
            graph.add(_spelled_edge(world, spelled[name], name))


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


def _absent_extensions(world: World, process: Process) -> list[str]:
    """Return the extension modules that imported packages were installed with and that are not there."""
    found = []
    for path in world.records.missing_extensions():
        for root in world.dist.layout.search_path:
            inner = path.removeprefix(f"{root}/") if root else path
            package, _, file = inner.rpartition("/")
            name = join_name(package.replace("/", "."), file.partition(".")[0])
            reached = not package or package.replace("/", ".") in process.imported
            if reached and world.finder.find(name) is None:
                found.append(name)
                break
    return found


def _spelled_in_modules(world: World, graph: Graph, modules: list[str]) -> dict[str, str]:
    """Return {module: a module, surely in use, that holds its dotted name}.

    Compiled code imports by such names: PyImport_ImportModule("package.module"). So do functions of sources that are
    given the name as a string.
    """
    found: dict[str, str] = {}
    tops = frozenset(name.partition(".")[0] for name in modules)
    wanted = set(modules)
    for module in _surely_used(world, graph) if wanted else ():
        if module.entry is None:
            continue
        if module.kind is ModuleKind.EXTENSION and world.can_import(module.entry.path):
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
            _root(graph, module)
    graph.settle()
    for module in modules:  # islands: modules that only import each other
        if graph.strength(Node(NodeKind.MODULE, module.name)) is None:
            _root(graph, module)
            graph.settle()


def _root(graph: Graph, module: ModuleFile) -> None:
    strength = Strength.POSSIBLE if is_test(module.name) else Strength.PROBABLE
    graph.add(_start_edge(graph, Node(NodeKind.MODULE, module.name), strength, EdgeKind.HIDDEN))
