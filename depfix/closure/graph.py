"""The graph of the closure: who needs what, why, and how surely."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from depfix.imports.uses import Absence, Strength
from depfix.loader.search import Place
from depfix.wording.message import phrase

if TYPE_CHECKING:
    import networkx


class NodeKind(Enum):
    """What a node stands for."""

    __hash__ = object.__hash__  # that of Enum is a function in Python: it would be half the time of a large graph

    PROGRAM = "program"
    MODULE = "module"
    IMAGE = "image"
    SYSTEM = "system"
    MISSING = "missing"
    NO_MODULE = "no module"
    NO_METADATA = "no metadata"
    DATA = "data"
    NO_DATA = "no data"
    BEHAVIOUR = "behaviour"
    BOUND = "bound"
    NO_NATIVE_DATA = "no native data"


class Node(NamedTuple):
    """A program or image (dist-relative path), a module (dotted name), a DLL of Windows or a missing one (name).

    NO_MODULE is a module that is in no file here and ought to be, NO_METADATA a distribution without its metadata. DATA
    is a file that is no code (dist-relative path), NO_DATA a path or pattern of which files are absent. BEHAVIOUR is
    what frozen programs do otherwise (the name of its rule), BOUND a path outside the dist, NO_NATIVE_DATA absent
    files that a library reads (where they belong).

    A tuple, for nodes are keys everywhere, and those of tuples are compared without a function in Python.
    """

    kind: NodeKind
    name: str


class EdgeKind(Enum):
    """How one node needs the other."""

    __hash__ = object.__hash__  # as of NodeKind

    START = "start"
    IMPORT = "import"
    FILE = "file"
    STATIC = "static"
    FORWARD = "forward"
    DELAY = "delay"
    LOAD = "load"
    NAMED = "named"
    FAMILY = "family"
    ASSEMBLY = "assembly"
    HIDDEN = "hidden"
    METADATA = "metadata"
    DATA = "data"
    BEHAVIOUR = "behaviour"
    BOUND = "bound"

    @property
    def words(self) -> str:
        """What completes "X ... Y"."""
        return _WORDS[self]


_WORDS = {
    EdgeKind.START: phrase("starts with"),
    EdgeKind.IMPORT: phrase("imports"),
    EdgeKind.FILE: phrase("is the file"),
    EdgeKind.STATIC: phrase("imports"),
    EdgeKind.FORWARD: phrase("forwards an export to"),
    EdgeKind.DELAY: phrase("delay-loads"),
    EdgeKind.LOAD: phrase("loads"),
    EdgeKind.NAMED: phrase("names"),
    EdgeKind.FAMILY: phrase("loads"),
    EdgeKind.ASSEMBLY: phrase("needs the side-by-side assembly"),
    EdgeKind.HIDDEN: phrase("may import"),
    EdgeKind.METADATA: phrase("asks for the metadata of"),
    EdgeKind.DATA: phrase("reads"),
    EdgeKind.BEHAVIOUR: phrase("shows"),
    EdgeKind.BOUND: phrase("names"),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` needs `target`.

    `asked` is the name as the importer spells it. `path` and `line` say where in a source it stands. For a missing
    target, `trail` holds the places looked at and `expected` the dist-relative path if code asks for one exact path;
    `unsure` is True if code that cannot be read may add places. `note` is what is known of such a need. `absence`: what
    becomes here of the error if the target, or what it imports in turn, is absent. `one_of_many`: the name is computed,
    and may mean others as well; `one_of_own`: those are of the importer's own package, and this one is there.
    """

    source: Node
    target: Node
    kind: EdgeKind
    strength: Strength
    asked: str = ""
    path: str = ""
    line: int = 0
    trail: tuple[Place, ...] = ()
    expected: str = ""
    unsure: bool = False
    note: str = ""
    absence: Absence = Absence.RAISED
    one_of_many: bool = False
    one_of_own: bool = False


@dataclass(frozen=True, slots=True)
class Shadowed:
    """`importer` asks for `asked` and gets `winner`, which was in the process, although its search leads to `other`."""

    importer: Node
    asked: str
    winner: str
    other: str


_Key = tuple[Node, Node, EdgeKind, str]


class Graph:
    """Nodes and edges, and for each node the surest chain that leads to it."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.shadowed: dict[Shadowed, None] = {}
        self._edges: dict[_Key, Edge] = {}
        self._nodes: dict[Node, None] = {root: None}
        self._out: dict[Node, dict[_Key, Edge]] = {}
        self._into: dict[Node, list[Edge]] = {}  # made when it is asked for
        self._strength: dict[Node, Strength] = {root: Strength.REQUIRED}
        self._absence: dict[Node, Strength] = {root: Strength.REQUIRED}
        self._parent: dict[Node, Edge] = {}
        self._is_settled = False

    def add(self, edge: Edge) -> None:
        """Add an edge; of two alike the surer one stays."""
        key = (edge.source, edge.target, edge.kind, edge.asked)
        known = self._edges.get(key)
        if known is not None and known.strength >= edge.strength:
            return
        self._edges[key] = edge
        self._nodes[edge.source] = None
        self._nodes[edge.target] = None
        self._out.setdefault(edge.source, {})[key] = edge
        self._into = {}
        self._is_settled = False

    def edges(self) -> Iterable[Edge]:
        return self._edges.values()

    def edges_to(self, node: Node) -> tuple[Edge, ...]:
        if not self._into:
            for edge in self._edges.values():
                self._into.setdefault(edge.target, []).append(edge)
        return tuple(self._into.get(node, ()))

    def nodes(self) -> tuple[Node, ...]:
        """Return every node, each once, in the order in which it was met."""
        return tuple(self._nodes)

    def settle(self) -> None:
        """Find how surely each node is reached, and its chain: surest first, then shortest."""
        if self._is_settled:
            return
        self._strength = {self.root: Strength.REQUIRED}
        self._parent = {}
        self._spread([self.root])
        self._settle_absences()
        self._is_settled = True

    def reach(self, edge: Edge) -> None:
        """Add an edge to a settled graph; all that it leads to counts as reached, `settle` tells how surely."""
        self.add(edge)
        found = [edge.target] if edge.target not in self._strength else []
        for node in found:
            self._strength[node] = Strength.POSSIBLE
            found += [each.target for each in self._out.get(node, {}).values() if each.target not in self._strength]

    def _spread(self, reached: list[Node]) -> None:
        """Follow the edges from nodes; those that are less sure than a level wait for theirs, in the same order."""
        strength, parent = self._strength, self._parent
        waiting: dict[Strength, list[Edge]] = {level: [] for level in Strength}
        for level in sorted(Strength, reverse=True):
            for edge in waiting[level]:
                if edge.target not in strength:
                    strength[edge.target] = level
                    parent[edge.target] = edge
                    reached.append(edge.target)
            for node in reached:  # it grows
                for edge in self._out.get(node, {}).values():
                    if edge.target in strength:
                        continue
                    if edge.strength < level:
                        waiting[edge.strength].append(edge)
                        continue
                    strength[edge.target] = level
                    parent[edge.target] = edge
                    reached.append(edge.target)
            reached = []

    def _settle_absences(self) -> None:
        """Find which nodes must not fail with a ModuleNotFoundError, and how surely.

        Some are tried when the program starts, and it goes on without them: what its functions import later depends on
        that (`HAS_FAST_PATH`).
        """
        absence = self._absence = {self.root: Strength.REQUIRED}
        excused = [edge for edge in self._edges.values() if edge.absence is not Absence.RAISED]
        coped = {edge.target for edge in excused if edge.absence is Absence.CAUGHT and self._runs(edge)}
        changed = [(self.edge_strength(edge), edge.target) for edge in excused if edge.absence is Absence.CHANGED]
        waiting: dict[Strength, list[Node]] = {level: [] for level in Strength}
        reached = [self.root]
        for level in sorted(Strength, reverse=True):
            tried = coped if level is Strength.PROBABLE else frozenset[Node]()
            met = [node for strength, node in changed if strength is not None and strength >= level]
            met += waiting[level]
            while met or reached:
                for target in met:
                    if target in tried:
                        waiting[Strength.OPTIONAL].append(target)
                    elif target not in absence:
                        absence[target] = level
                        reached.append(target)
                met = self._absent_beyond(reached, level, waiting)
                reached = []

    def _absent_beyond(self, nodes: list[Node], level: Strength, waiting: dict[Strength, list[Node]]) -> list[Node]:
        """Return where the edges from nodes lead at a level, and let the less sure ones wait for theirs."""
        met: list[Node] = []
        for node in nodes:
            for edge in self._out.get(node, {}).values():
                if edge.target in self._absence or _climbs(edge):
                    continue
                strength = edge.strength
                if edge.absence is Absence.CAUGHT:
                    strength = min(strength, Strength.OPTIONAL)
                (met if strength >= level else waiting[strength]).append(edge.target)
        return met

    def _runs(self, edge: Edge) -> bool:
        return self.edge_strength(edge) is Strength.REQUIRED

    def strength(self, node: Node) -> Strength | None:
        """Return how surely a node is needed, None if nothing reaches it. Valid after `settle`."""
        return self._strength.get(node)

    def edge_strength(self, edge: Edge) -> Strength | None:
        """Return how surely this one need arises."""
        alone = edge.target.kind is NodeKind.NO_MODULE and edge.absence is not Absence.CHANGED
        source = (self._absence if alone else self._strength).get(edge.source)
        return None if source is None else min(source, edge.strength)

    def chain(self, node: Node) -> tuple[Edge, ...]:
        """Return the edges from the program to a node. Valid after `settle`."""
        found: list[Edge] = []
        while node in self._parent:
            edge = self._parent[node]
            found.append(edge)
            node = edge.source
        return tuple(reversed(found))

    def digraph(self) -> networkx.DiGraph[Node]:
        """Return the reached part as a networkx graph; the attribute `edge` of an edge holds its Edge."""
        import networkx

        drawn: networkx.DiGraph[Node] = networkx.DiGraph()
        drawn.add_node(self.root)
        for edge in self._edges.values():
            if edge.source in self._strength:
                drawn.add_edge(edge.source, edge.target, edge=edge)
        return drawn


_WITH_PLACE = (EdgeKind.IMPORT, EdgeKind.LOAD, EdgeKind.HIDDEN, EdgeKind.METADATA)


def _climbs(edge: Edge) -> bool:
    """Return True if a module imports a package that it is in: that one's import has begun, and fails elsewhere."""
    return edge.kind is EdgeKind.IMPORT and edge.source.name.startswith(f"{edge.target.name}.")


def chain_texts(chain: tuple[Edge, ...], root: Node) -> tuple[str, ...]:
    """Return a chain as the steps that a person follows: files with lines, then images, then what is missing."""
    steps = [root.name]
    for edge in chain:
        if edge.path and edge.kind in _WITH_PLACE:
            place = f"{edge.path}:{edge.line}" if edge.line else edge.path
            if steps[-1] in (edge.path, edge.source.name):
                steps[-1] = place
            else:
                steps.append(place)
        if edge.kind is EdgeKind.START or edge.target.kind is not NodeKind.MODULE:
            if edge.target.kind is not NodeKind.MODULE:
                steps.append(edge.target.name)
        elif edge is chain[-1]:
            steps.append(edge.target.name)
    return tuple(step for index, step in enumerate(steps) if not index or step != steps[index - 1])
