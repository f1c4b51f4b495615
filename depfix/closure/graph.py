"""The graph of the closure: who needs what, why, and how surely."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from depfix.imports.uses import Absence, Strength
from depfix.loader.search import Place

if TYPE_CHECKING:
    import networkx


class NodeKind(Enum):
    """What a node stands for."""

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


@dataclass(frozen=True, slots=True)
class Node:
    """A program or image (dist-relative path), a module (dotted name), a DLL of Windows or a missing one (name).

    NO_MODULE is a module that is in no file here and ought to be, NO_METADATA a distribution without its metadata. DATA
    is a file that is no code (dist-relative path), NO_DATA a path or pattern of which files are absent. BEHAVIOUR is
    what frozen programs do otherwise (the name of its rule), BOUND a path outside the dist, NO_NATIVE_DATA absent
    files that a library reads (where they belong).
    """

    kind: NodeKind
    name: str


class EdgeKind(Enum):
    """How one node needs the other."""

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
    EdgeKind.START: "starts with",
    EdgeKind.IMPORT: "imports",
    EdgeKind.FILE: "is the file",
    EdgeKind.STATIC: "imports",
    EdgeKind.FORWARD: "forwards an export to",
    EdgeKind.DELAY: "delay-loads",
    EdgeKind.LOAD: "loads",
    EdgeKind.NAMED: "names",
    EdgeKind.FAMILY: "loads",
    EdgeKind.ASSEMBLY: "needs the side-by-side assembly",
    EdgeKind.HIDDEN: "may import",
    EdgeKind.METADATA: "asks for the metadata of",
    EdgeKind.DATA: "reads",
    EdgeKind.BEHAVIOUR: "shows",
    EdgeKind.BOUND: "names",
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


class Graph:
    """Nodes and edges, and for each node the surest chain that leads to it."""

    def __init__(self, root: Node) -> None:
        self.root = root
        self.shadowed: dict[Shadowed, None] = {}
        self._edges: dict[tuple[Node, Node, EdgeKind, str], Edge] = {}
        self._out: dict[Node, list[Edge]] = {}
        self._strength: dict[Node, Strength] = {root: Strength.REQUIRED}
        self._absence: dict[Node, Strength] = {root: Strength.REQUIRED}
        self._parent: dict[Node, Edge] = {}

    def add(self, edge: Edge) -> None:
        """Add an edge; of two alike the surer one stays."""
        key = (edge.source, edge.target, edge.kind, edge.asked)
        known = self._edges.get(key)
        if known is not None and known.strength >= edge.strength:
            return
        self._edges[key] = edge
        row = self._out.setdefault(edge.source, [])
        if known is not None:
            row[row.index(known)] = edge
        else:
            row.append(edge)

    def edges(self) -> Iterable[Edge]:
        return self._edges.values()

    def edges_to(self, node: Node) -> tuple[Edge, ...]:
        return tuple(edge for edge in self._edges.values() if edge.target == node)

    def nodes(self) -> tuple[Node, ...]:
        """Return every node, each once, in the order in which it was met."""
        found = {self.root: None}
        for edge in self._edges.values():
            found[edge.source] = None
            found[edge.target] = None
        return tuple(found)

    def settle(self) -> None:
        """Find how surely each node is reached, and its chain: surest first, then shortest."""
        self._strength = {self.root: Strength.REQUIRED}
        self._parent = {}
        for level in sorted(Strength, reverse=True):
            reached = deque(self._strength)
            while reached:
                node = reached.popleft()
                for edge in self._out.get(node, ()):
                    if edge.strength >= level and edge.target not in self._strength:
                        self._strength[edge.target] = level
                        self._parent[edge.target] = edge
                        reached.append(edge.target)
        self._absence = {self.root: Strength.REQUIRED}
        coped = {edge.target for edge in self._edges.values() if edge.absence is Absence.CAUGHT and self._runs(edge)}
        for level in sorted(Strength, reverse=True):
            self._settle_absences(level, coped if level is Strength.PROBABLE else set())

    def _runs(self, edge: Edge) -> bool:
        return self.edge_strength(edge) is Strength.REQUIRED

    def _settle_absences(self, level: Strength, coped: set[Node]) -> None:
        """Find which nodes must not fail with a ModuleNotFoundError, at one level of strength.

        Those of `coped` are tried when the program starts, and it goes on without them: what its functions import later
        depends on that (`HAS_FAST_PATH`).
        """
        changed = [edge for edge in self._edges.values() if edge.absence is Absence.CHANGED]
        reached = deque(self._absence)
        for edge in changed:
            known = edge.target in self._absence or edge.target in coped
            strength = self.edge_strength(edge)
            if strength is not None and strength >= level and not known:
                self._absence[edge.target] = level
                reached.append(edge.target)
        while reached:
            node = reached.popleft()
            for edge in self._out.get(node, ()):
                strength = edge.strength
                if edge.absence is Absence.CAUGHT:
                    strength = min(strength, Strength.OPTIONAL)
                if edge.target in self._absence or edge.target in coped or _climbs(edge):
                    continue
                if strength >= level:
                    self._absence[edge.target] = level
                    reached.append(edge.target)

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
