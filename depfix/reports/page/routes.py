"""Where findings are in the graph: the edges from the program to what each is about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.model.finding import Finding
from depfix.model.names import base_name, fold

_LINE = re.compile(r":\d+$")
_METADATA = "missing-metadata"
ABSENT = frozenset(
    (NodeKind.MISSING, NodeKind.NO_MODULE, NodeKind.NO_METADATA, NodeKind.NO_DATA, NodeKind.NO_NATIVE_DATA)
)


@dataclass(frozen=True, slots=True)
class Route:
    """The way to what a finding is about: the node, and the edges to it; without edges it is the program or apart.

    `exact`: the node is what the finding is about, else the last step towards it that is in the graph.
    """

    end: Node
    edges: tuple[Edge, ...]
    exact: bool

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node of the way, each once, the program first."""
        return tuple(dict.fromkeys((*(edge.source for edge in self.edges), self.end)))


class Routes:
    """Finds routes in one graph; edges and names are indexed once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.into: dict[Node, list[Edge]] = defaultdict(list)
        self.out: dict[Node, list[Edge]] = defaultdict(list)
        for edge in surest(graph.edges()):
            self.out[edge.source].append(edge)
        for edge in graph.edges():
            if edge.source != edge.target:
                self.into[edge.target].append(edge)
        self._named = _by_name(graph.nodes())

    def of(self, finding: Finding) -> Route | None:
        """Return the route to what a finding is about, None if the graph has no such thing."""
        steps = tuple(map(without_line, finding.chain))
        for name in (finding.subject, *reversed(steps)):
            nodes = self._named.get(fold(name), ())
            if nodes:
                exact = name == finding.subject
                found = (self._route(node, finding, steps, exact) for node in nodes)
                return max(found, key=lambda route: _weight(route, finding))
        return None

    def _route(self, node: Node, finding: Finding, steps: Sequence[str], exact: bool) -> Route:
        asked = [edge for edge in self.into.get(node, ()) if edge.source != node]
        if node == self._graph.root or not asked:
            return Route(node, (), exact)
        known = frozenset(steps)
        last = max(asked, key=lambda edge: (edge.expected == finding.identity, _is_on(edge, known)))
        before = self._graph.chain(last.source)
        if any(edge.source == node for edge in before):
            return Route(node, self._graph.chain(node), exact)  # who asks is behind it
        return Route(node, (*before, last), exact)


def surest(edges: Iterable[Edge]) -> Iterator[Edge]:
    """Yield of several edges between two nodes the surest one; none that lead nowhere else."""
    found: dict[tuple[Node, Node], Edge] = {}
    for edge in edges:
        known = found.get((edge.source, edge.target))
        if edge.source != edge.target and (known is None or edge.strength > known.strength):
            found[edge.source, edge.target] = edge
    yield from found.values()


def _by_name(nodes: Iterable[Node]) -> Mapping[str, list[Node]]:
    """Return {folded name, or file name alone: nodes}; whoever bears a name whole is before all others."""
    whole, short = defaultdict(list), defaultdict(list)
    for node in nodes:
        whole[fold(node.name)].append(node)
        if node.kind is NodeKind.IMAGE:
            short[fold(base_name(node.name))].append(node)
    return {**short, **whole}


def without_line(step: str) -> str:
    """Return the file of a step of a chain, which may be `file:line`."""
    return _LINE.sub("", step)


def _is_on(edge: Edge, steps: frozenset[str]) -> bool:
    return edge.source.name in steps or (bool(edge.path) and edge.path in steps)


def _weight(route: Route, finding: Finding) -> tuple[bool, bool, bool]:
    """Return how well a node of that name suits: metadata for their rule, what is absent, what is reached."""
    metadata = bool(route.edges) and route.edges[-1].kind is EdgeKind.METADATA
    return metadata == (finding.name == _METADATA), route.end.kind in ABSENT, bool(route.edges)
