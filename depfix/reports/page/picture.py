"""What of a dependency graph is drawn: the ways to what is wrong, the rest gathered in groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from depfix.closure.graph import Edge, Graph, Node, NodeKind
from depfix.imports.uses import Strength
from depfix.model.finding import Finding, Severity
from depfix.reports.page.naming import Naming
from depfix.reports.page.routes import ABSENT, Route, Routes

MOST_DRAWN = 300
_MOST_ON_ROUTES = 160  # of the nodes drawn singly at first
_MOST_GROUPS = 48
_MOST_SIBLINGS = 5  # alike, below one node; more are gathered
_MOST_MEMBERS = 60  # of a group that can be opened
_MOST_NAMES = 40  # that a group tells
_MOST_LINKS = 12  # of a node, in words
_MOST_TOLD = 1500  # nodes with links
_MOST_LINES = 900
_MOST_WAYS = 2  # to a group
_MANY = 400  # nodes, of which each group is drawn with one way to it
_FEW = 40  # a graph that is drawn whole
_LEGIBLE = 12  # nodes on ways that are all drawn


@dataclass(frozen=True, slots=True)
class Link:
    """One need of a node, or one who needs it, in words."""

    name: str
    words: str
    place: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A node of the picture, or a group of `count` nodes.

    `state` is the severity of the worst finding about it, empty if there is none. `members` are the numbers of a
    group's nodes if it can be opened, `names` are the first of them.
    """

    kind: str
    name: str
    label: str
    state: str = ""
    needs: tuple[Link, ...] = ()
    needed_by: tuple[Link, ...] = ()
    all_needs: int = 0
    all_needed_by: int = 0
    count: int = 1
    members: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow from one item to another, for `count` needs."""

    source: int
    target: int
    words: str
    sure: bool
    count: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """Items by number, and which of them are drawn at first.

    `routes` has for each finding the numbers of the items on the way to it. `total` nodes are in the graph, `gathered`
    of them in groups, `left_out` in none.
    """

    items: tuple[Item, ...]
    lines: tuple[Line, ...]
    overview: tuple[int, ...]
    routes: tuple[tuple[int, ...], ...]
    total: int
    gathered: int
    left_out: int


def draw(graph: Graph, findings: Sequence[Finding], python: str | None = None, most: int = MOST_DRAWN) -> Picture:
    """Return what is drawn of a graph in which these were found; `python` is its version, as "3.10".

    At most `most` items are drawn at first, however large the graph.
    """
    routes = Routes(graph)
    found = [routes.of(finding) for finding in findings]
    states = _states(findings, found)
    ranked = sorted((finding.severity.rank, number) for number, finding in enumerate(findings) if found[number])
    serious = [row for row in ranked if row[0] < Severity.INFO.rank]
    # the way to a mere possibility is drawn when it is asked for
    ways = [route for _, number in serious or ranked if (route := found[number]) is not None]
    asked = {route.end: states[route.end] for route in ways if route.exact}
    naming = Naming(python)
    single = _single(graph, ways, asked, naming, min(_MOST_ON_ROUTES, most // 2))
    groups = _groups(graph, single, asked, naming, min(_MOST_GROUPS, most // 4))
    if len(single) > _LEGIBLE:
        for steps in _passed_through(single, ways, asked):
            groups["steps", steps[0].name] = steps
            for node in steps:
                del single[node]
    return _Canvas(graph, routes, states, naming).picture(single, groups, found)


def _states(findings: Sequence[Finding], found: Sequence[Route | None]) -> dict[Node, Severity]:
    """Return how bad the worst finding about each node is."""
    states: dict[Node, Severity] = {}
    for finding, route in zip(findings, found, strict=True):
        if route is not None and route.exact:
            known = states.get(route.end)
            states[route.end] = min(known or finding.severity, finding.severity, key=lambda severity: severity.rank)
    return states


def _single(
    graph: Graph, ways: Sequence[Route], states: Mapping[Node, Severity], naming: Naming, most: int
) -> dict[Node, None]:
    """Return the nodes that are drawn singly: those on the ways to findings, the worst first, as many as may be."""
    nodes = graph.nodes()
    if len(nodes) <= _FEW:
        return dict.fromkeys(node for node in nodes if node.kind is not NodeKind.SYSTEM)
    routes = tuple(dict.fromkeys(ways))
    alike: dict[object, list[Node]] = defaultdict(list)
    for route in routes:
        alike[_kin(route, states, naming)].append(route.end)
    single = {graph.root: None}
    for route in routes:
        wanted = route.nodes
        if len(set(alike[_kin(route, states, naming)])) > _MOST_SIBLINGS:
            wanted = wanted[:-1]
        more = [node for node in wanted if node not in single]
        if len(single) + len(more) <= most:
            single.update(dict.fromkeys(more))
    return single


def _kin(route: Route, states: Mapping[Node, Severity], naming: Naming) -> object:
    parent = route.edges[-1].source if route.edges else None
    return parent, naming.package(route.end), route.end.kind, states.get(route.end)


def _groups(
    graph: Graph, single: Collection[Node], states: Mapping[Node, Severity], naming: Naming, most: int
) -> dict[tuple[str, str], list[Node]]:
    """Return the other nodes by what they belong to: {(kind of group, name): nodes}, those about findings first."""
    found: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in graph.nodes():
        if node in single or (node.kind is NodeKind.BEHAVIOUR and node not in states):
            continue
        if node in states and node.kind in ABSENT:
            found["missing", naming.package(node)].append(node)
        elif graph.strength(node) is not None and node.kind not in ABSENT:
            found["windows" if node.kind is NodeKind.SYSTEM else "package", naming.package(node)].append(node)
    ranked = sorted(found, key=lambda key: (key[0] == "package", -len(found[key]), key))
    kept = {key: found[key] for key in ranked[:most]}
    if len(ranked) > most:
        kept["others", ""] = [node for key in ranked[most:] for node in found[key]]
    return kept


def _passed_through(
    single: Collection[Node], ways: Sequence[Route], states: Mapping[Node, Severity]
) -> list[list[Node]]:
    """Return runs of nodes on the ways that lead nowhere else: each is one step for who looks at the whole."""
    into, out = defaultdict(set), defaultdict(set)
    for edge in dict.fromkeys(edge for route in ways for edge in route.edges):
        if edge.source in single and edge.target in single:
            into[edge.target].add(edge.source)
            out[edge.source].add(edge.target)
    plain = {
        node: None
        for node in single
        if node.kind is NodeKind.MODULE and node not in states and len(into[node]) == len(out[node]) == 1
    }
    runs = []
    for node in plain:
        (before,) = into[node]
        if before not in plain:
            runs.append(list(_run(node, plain, out)))
    return [run for run in runs if len(run) > 1]


def _run(node: Node, plain: Collection[Node], out: Mapping[Node, set[Node]]) -> Iterator[Node]:
    while node in plain:
        yield node
        (node,) = out[node]


class _Canvas:
    """Numbers nodes and groups, and finds the lines between them."""

    def __init__(self, graph: Graph, routes: Routes, states: Mapping[Node, Severity], naming: Naming) -> None:
        self._graph, self._routes, self._states, self._naming = graph, routes, states, naming
        self._whole = len(graph.nodes()) <= _FEW
        self._numbers: dict[Node, int] = {}
        self._items: list[Item] = []
        self._lines: dict[tuple[int, int], Line] = {}

    def picture(
        self,
        single: Collection[Node],
        groups: Mapping[tuple[str, str], list[Node]],
        found: Sequence[Route | None],
    ) -> Picture:
        overview = [self._number(node) for node in single]
        owner: dict[Node, int] = {node: self._numbers[node] for node in single}
        gathered = 0
        for (kind, name), nodes in groups.items():
            name = self._common(nodes) if kind == "steps" else name
            number = self._number(nodes[0]) if len(nodes) == 1 else self._gather(kind, name, nodes)
            gathered += len(nodes) if len(nodes) > 1 else 0
            overview.append(number)
            owner.update(dict.fromkeys(nodes, number))
        ways = tuple(tuple(self._number(node) for node in route.nodes) if route else () for route in found)
        for edge in dict.fromkeys(edge for route in filter(None, found) for edge in route.edges):
            self._line(self._numbers[edge.source], self._numbers[edge.target], edge)
            if edge.source in owner and edge.target in owner:
                self._line(owner[edge.source], owner[edge.target], edge, again=False)
        steps = frozenset(owner[nodes[0]] for (kind, _), nodes in groups.items() if kind == "steps")
        self._connect(owner, frozenset(single), steps)
        self._open(groups, owner)
        total = len(self._graph.nodes())
        left = total - len(owner)
        lines = tuple(self._lines.values())
        return Picture(tuple(self._items), lines, tuple(overview), ways, total, gathered, left)

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            self._numbers[node] = len(self._items)
            self._items.append(self._item(node))
        return self._numbers[node]

    def _item(self, node: Node) -> Item:
        needs, needed_by = self._routes.out.get(node, ()), self._routes.into.get(node, ())
        told = len(self._items) < _MOST_TOLD
        state = self._states.get(node)
        return Item(
            node.kind.value,
            node.name,
            self._naming.label(node),
            state.value if state else "",
            tuple(_link(edge, edge.target) for edge in _surest_first(needs)[:_MOST_LINKS]) if told else (),
            tuple(_link(edge, edge.source) for edge in _surest_first(needed_by)[:_MOST_LINKS]) if told else (),
            len(needs),
            len(needed_by),
        )

    def _gather(self, kind: str, name: str, nodes: Sequence[Node]) -> int:
        """Add a group, and its nodes if they are few enough to be drawn."""
        members = tuple(self._number(node) for node in nodes) if len(nodes) <= _MOST_MEMBERS else ()
        states = [self._states[node] for node in nodes if node in self._states]
        worst = min(states, key=lambda severity: severity.rank).value if states else ""
        names = tuple(sorted(node.name for node in nodes)[:_MOST_NAMES])
        self._items.append(Item(kind, name, name, worst, count=len(nodes), members=members, names=names))
        return len(self._items) - 1

    def _common(self, nodes: Sequence[Node]) -> str:
        """Return the package of all nodes, empty if they are of several."""
        packages = {self._naming.package(node) for node in nodes}
        return packages.pop() if len(packages) == 1 else ""

    def _line(self, source: int, target: int, edge: Edge, *, again: bool = True) -> None:
        sure = edge.strength >= Strength.PROBABLE
        known = self._lines.get((source, target))
        if known is not None and again:
            sure, count = sure or known.sure, known.count + 1
            self._lines[source, target] = Line(source, target, known.words, sure, count)
        elif known is None and source != target and len(self._lines) < _MOST_LINES:
            self._lines[source, target] = Line(source, target, edge.kind.words, sure)

    def _connect(self, owner: Mapping[Node, int], single: Collection[Node], steps: frozenset[int]) -> None:
        """Draw the lines from and to groups, and to what is wrong: what is well needs no more than one way to it."""
        drawn = set(self._lines)
        later = []
        for node, edges in self._routes.out.items():
            for edge in edges if node in owner else ():
                ends = owner[node], owner.get(edge.target, -1)
                if ends in drawn or ends[1] < 0 or not self._tells(edge, single) or steps.intersection(ends):
                    continue
                if edge.target in single:
                    self._line(*ends, edge)
                else:
                    later.append((node not in single, ends, edge))
        ways: Counter[int] = Counter()
        most = _MOST_WAYS if len(owner) < _MANY else 1
        for _, ends, edge in sorted(later, key=lambda row: row[0]):  # first those from nodes that are seen
            if ends not in self._lines and ways[ends[1]] < most:
                ways[ends[1]] += 1
                self._line(*ends, edge)
            elif ends in self._lines:
                self._line(*ends, edge)

    def _tells(self, edge: Edge, single: Collection[Node]) -> bool:
        """Return True if a need says more than the ways do: one of what is wrong, or of a group."""
        if edge.target not in single or self._whole:
            return True
        return edge.target in self._states if edge.source in single else edge.target.kind in ABSENT

    def _open(self, groups: Mapping[tuple[str, str], list[Node]], owner: Mapping[Node, int]) -> None:
        """Draw the lines to the nodes of groups that can be opened."""
        for (kind, _), nodes in groups.items():
            for node in nodes if 1 < len(nodes) <= _MOST_MEMBERS and kind != "steps" else ():
                for edge in _surest_first(self._routes.into.get(node, ()))[:3]:
                    if edge.source in owner:
                        source = self._numbers.get(edge.source, owner[edge.source])
                        self._line(source, self._numbers[node], edge)


def _surest_first(edges: Iterable[Edge]) -> list[Edge]:
    return sorted(edges, key=lambda edge: -edge.strength)


def _link(edge: Edge, other: Node) -> Link:
    place = f"{edge.path}:{edge.line}" if edge.path and edge.line else edge.path
    shown = "" if place in (edge.source.name, edge.target.name) else place
    return Link(other.name, edge.kind.words, shown, edge.strength >= Strength.PROBABLE)
