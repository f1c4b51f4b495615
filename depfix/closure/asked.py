"""Asked by name: the nodes of a graph that a name stands for, and the chains that lead to them."""

from __future__ import annotations

from itertools import pairwise

from depfix.closure.graph import Edge, Graph, Node
from depfix.dist.tree import Tree
from depfix.errors import UnknownNameError
from depfix.model.names import base_name, fold


def nodes_named(graph: Graph, tree: Tree, name: str) -> tuple[Node, ...]:
    """Return the nodes with this name or file name; none if it is a file of the dist that nothing needs.

    Raises UnknownNameError if nothing bears that name.
    """
    wanted = fold(name.replace("\\", "/"))
    nodes = tuple(node for node in graph.nodes() if wanted in _names_of(node))
    if nodes or tree.named(name) or tree.file(name):
        return nodes
    import difflib

    known = {fold(base_name(node.name)) for node in graph.nodes()}
    raise UnknownNameError(name, "".join(difflib.get_close_matches(wanted, sorted(known), n=1)))


def _names_of(node: Node) -> tuple[str, str]:
    """Return what a node can be called by: its name, or the file's alone; a script's without its brackets."""
    name = fold(node.name.strip("<>").replace("\\", "/"))
    return name, base_name(name)


def chains(graph: Graph, node: Node) -> tuple[tuple[Edge, ...], ...]:
    """Return, for each direct need of a node, the shortest chain from the program to it."""
    import networkx

    drawn = graph.digraph()
    found = []
    for source in drawn.predecessors(node) if node in drawn else ():
        try:
            route = networkx.shortest_path(drawn, graph.root, source)
        except networkx.NetworkXNoPath:
            continue
        route.append(node)
        found.append(tuple(drawn.edges[one, other]["edge"] for one, other in pairwise(route)))
    return tuple(sorted(found, key=len))
