"""What modules do besides imports and loads, noted in the graph: the files that they read, how they behave frozen."""

from __future__ import annotations

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.world import World
from depfix.imports.uses import BehaviourUse, DataUse, Strength


def note(world: World, graph: Graph, module: str, use: DataUse | BehaviourUse, surest: Strength) -> None:
    """Note what some code of a module reads or does; `surest` bounds how surely it runs."""
    if isinstance(use, DataUse):
        note_data(world, graph, module, use, surest)
    else:
        note_behaviour(world, graph, module, use, surest)


def note_data(world: World, graph: Graph, module: str, use: DataUse, surest: Strength) -> None:
    """Note which files of the dist, and which absent ones, some code reads."""
    pattern = world.surroundings(module).pattern(use.path)
    if pattern is None or not pattern.exact or pattern.is_name:
        return
    entry = world.tree.file(pattern.path)
    if entry is not None:
        strength = min(use.where.strength(load=True), surest)
        target = Node(NodeKind.DATA, entry.path)
        source, path = world.module_node(module), world.source_path(module)
        graph.add(Edge(source, target, EdgeKind.DATA, strength, use.reader, path, use.where.line))


def note_behaviour(world: World, graph: Graph, module: str, use: BehaviourUse, surest: Strength) -> None:
    """Note what a module does otherwise in a frozen program: one of the program, or a package whenever it is imported.

    What a guard against the failure lets pass was left out where the source was read.
    """
    sure = Strength.PROBABLE if use.where.deferred or use.where.conditional else Strength.REQUIRED
    strength = min(sure, surest)
    own = world.is_of_project(module)
    if world.is_stdlib_name(module) or strength < (Strength.PROBABLE if own else Strength.REQUIRED):
        return
    source, path = world.module_node(module), world.source_path(module)
    target = Node(NodeKind.BEHAVIOUR, use.rule)
    asked = f"{use.subject}:{use.where.line}"
    graph.add(Edge(source, target, EdgeKind.BEHAVIOUR, strength, asked, path, use.where.line, note=use.words))
