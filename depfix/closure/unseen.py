"""What modules need that no import statement names: imports of compiled code, and what Nuitka's configuration lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.listed import Listing
from depfix.closure.liveness import Liveness
from depfix.closure.process import Process
from depfix.closure.world import World
from depfix.imports.finder import ModuleFile, ModuleKind
from depfix.imports.naming import with_packages
from depfix.imports.uses import Strength
from depfix.knowledge.stdlib import stdlib_needs
from depfix.model.names import normalised
from depfix.wording.message import tabled


def run_unseen(world: World, graph: Graph, process: Process, liveness: Liveness) -> None:
    """Import what only compiled code imports, by the names in its data, and what is known to be, until all is.

    Of a package that a source imports too, the source knows better whether the program needs it.
    """
    seen: set[str] = set()
    while True:
        graph.settle()
        unseen: dict[str, Edge] = {}
        known = _known_to_sources(world, graph, process)
        for module in tuple(surely_used(world, graph)):
            if module.name not in seen:
                seen.add(module.name)
                told = known.get(module.name.partition(".")[0], process.imported)
                for edge in (*_spelled_edges(world, module, told), *_configured_edges(world, module)):
                    unseen.setdefault(edge.target.name, edge)
        if not unseen:
            return
        for name, edge in sorted(unseen.items()):
            for step in with_packages(name):
                graph.add(replace(edge, target=world.module_node(step)))
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
    if not world.images.can_import(module.entry.path):
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
            yield Edge(
                source, world.module_node(row.name), EdgeKind.HIDDEN, strength, path=path, note=tabled(row.words)
            )


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
        absent = world.lacks.absent_stdlib | world.supply.absent_requirements(top.name, world.walker.find)
        named = world.facts.whole_strings(module.entry, absent)
        yield from ((name, Strength.PROBABLE) for name in named if name not in imported)


def surely_used(world: World, graph: Graph) -> Iterator[ModuleFile]:
    for node in graph.nodes():
        strength = graph.strength(node) if node.kind in (NodeKind.MODULE, NodeKind.NO_MODULE) else None
        module = world.walker.find(node.name) if strength is not None and strength >= Strength.PROBABLE else None
        if module is not None:
            yield module


def run_listed(world: World, graph: Graph, process: Process) -> None:
    """Look for the DLLs and data files that modules of the dist are known to use."""
    graph.settle()
    for module in tuple(surely_used(world, graph)):
        if module.is_provided:
            continue  # they come with it
        source = world.module_node(module.name)
        for listing in world.listed.of(module):
            if listing.are_dlls:
                process.loads.listed(listing, source)
                continue
            for edge in _data_edges(world, listing, Edge(source, source, EdgeKind.DATA, Strength.PROBABLE)):
                graph.add(edge)
    process.finish()


def _data_edges(world: World, listing: Listing, edge: Edge) -> Iterator[Edge]:
    """Yield `edge` as it leads to each file that is read, to what of them is absent, and to absent metadata."""
    surely = Strength.PROBABLE if listing.sure else Strength.POSSIBLE
    edge = replace(edge, path=world.source_path(edge.source.name), note=tabled(listing.words))
    for file in listing.files:
        if file.entry is not None:
            yield replace(edge, target=Node(NodeKind.DATA, file.entry.path))
    if any(file.entry is None for file in listing.files):
        yield replace(edge, target=Node(NodeKind.NO_DATA, listing.subject), strength=surely)
    for name in listing.metadata:
        if world.metadata.lacks(name):
            target = Node(NodeKind.NO_METADATA, normalised(name))
            yield replace(edge, target=target, strength=surely, asked=name)
