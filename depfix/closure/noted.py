"""What modules do besides imports and loads, noted in the graph: the files that they read, how they behave frozen."""

from __future__ import annotations

from dataclasses import replace

from depfix.closure.bound import execute, note_outside
from depfix.closure.data import in_dist, need_of, place_of, strength_of
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.world import World
from depfix.imports.uses import BehaviourUse, DataUse, ExecutedUse, SettingUse, Strength
from depfix.wording.message import tabled

_MOST_EDGES = 2_000  # to the files of one folder


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
    if world.is_stdlib_name(module):
        return
    place = place_of(world, module, use)
    if place is None:
        return
    strength = strength_of(world, module, use, place, surest)
    source = world.module_node(module)
    edge = Edge(
        source, source, EdgeKind.DATA, strength, use.reader, place.shown, use.where.line, note=tabled(place.base.value)
    )
    found = in_dist(world.tree, place, folder=use.folder)
    if found is not None:
        for entry in found[:_MOST_EDGES]:
            graph.add(replace(edge, target=Node(NodeKind.DATA, entry.path)))
        return
    need = need_of(world, place, folder=use.folder)
    if need.found.files or need.found.reason or (place.own and place.exact and not use.default):
        world.data.setdefault(place.path, need)
        unsure = use.where.conditional or strength is Strength.POSSIBLE
        graph.add(replace(edge, target=Node(NodeKind.NO_DATA, place.path), expected=place.path, unsure=unsure))


def note_behaviour(world: World, graph: Graph, module: str, use: BehaviourUse, surest: Strength) -> None:
    """Note what a module does otherwise in a frozen program: one of the program, or a package whenever it is imported.

    What a guard against the failure lets pass was left out where the source was read.
    """
    sure = Strength.PROBABLE if use.where.deferred or use.where.conditional else Strength.REQUIRED
    strength = min(sure, surest)
    own = world.authorship.is_of_project(module)
    if world.is_stdlib_name(module) or strength < (Strength.PROBABLE if own else Strength.REQUIRED):
        return
    source, path = world.module_node(module), world.source_path(module)
    target = Node(NodeKind.BEHAVIOUR, use.rule)
    asked = f"{use.subject}:{use.where.line}"
    graph.add(Edge(source, target, EdgeKind.BEHAVIOUR, strength, asked, path, use.where.line, note=use.words))
