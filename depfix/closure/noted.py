"""What modules do besides imports and loads, noted in the graph: the files that they read, how they behave frozen."""

from __future__ import annotations

from depfix.closure.bound import execute, note_outside
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.world import World
from depfix.imports.uses import BehaviourUse, DataUse, ExecutedUse, SettingUse, Strength


def note(
    world: World, graph: Graph, module: str, use: DataUse | BehaviourUse | SettingUse | ExecutedUse, surest: Strength
) -> None:
    """Note what some code of a module reads or does; `surest` bounds how surely it runs."""
    if isinstance(use, BehaviourUse):
        note_behaviour(world, graph, module, use, surest)
    elif isinstance(use, ExecutedUse):
        execute(world, graph, module, use, surest)
    elif not note_outside(world, graph, module, use, surest, use.path, None) and isinstance(use, DataUse):
        note_data(world, graph, module, use, surest)


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
    """Note what a module does otherwise in a frozen program."""
    strength = min(use.where.strength(load=True), surest)
    source, path = world.module_node(module), world.source_path(module)
    target = Node(NodeKind.BEHAVIOUR, use.rule)
    asked = f"{use.subject}:{use.where.line}"
    graph.add(Edge(source, target, EdgeKind.BEHAVIOUR, strength, asked, path, use.where.line, note=use.words))
