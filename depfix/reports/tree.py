"""`depfix tree`: who needs what, from the program down, as text and as JSON (`schema/tree.schema.json` beside this)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.imports.uses import Strength
from depfix.reports.text import Line, count
from depfix.wording.message import phrase
from depfix.wording.speech import said, say

SCHEMA_VERSION = 1
_MARKS = {
    NodeKind.SYSTEM: phrase("part of Windows"),
    NodeKind.MISSING: phrase("MISSING"),
    NodeKind.NO_MODULE: phrase("MISSING"),
    NodeKind.NO_METADATA: phrase("MISSING"),
    NodeKind.NO_DATA: phrase("MISSING"),
    NodeKind.NO_NATIVE_DATA: phrase("MISSING"),
    NodeKind.BOUND: phrase("OUTSIDE"),
}
_ABSENT = (NodeKind.MISSING, NodeKind.NO_MODULE, NodeKind.NO_METADATA, NodeKind.NO_DATA, NodeKind.NO_NATIVE_DATA)
_SURE = {
    Strength.POSSIBLE: phrase("possible"),
    Strength.OPTIONAL: phrase("optional"),
    Strength.PROBABLE: "",
    Strength.REQUIRED: "",
}


@dataclass(frozen=True, slots=True)
class _Branch:
    """One line to be printed: the edge, and what is drawn before it."""

    edge: Edge
    indent: str
    last: bool
    depth: int


class _Outline:
    """A graph from one node on: each node is expanded once, where it is nearest to the top."""

    def __init__(self, needs: dict[Node, tuple[Edge, ...]], top: Node, most: int | None) -> None:
        self._needs = needs
        self._nearest: dict[Node, Edge | None] = {top: None}
        self.depths = {top: 0}
        waiting = deque([top])
        while waiting:
            node = waiting.popleft()
            for edge in self.needs(node) if most is None or self.depths[node] < most else ():
                if edge.target not in self.depths:
                    self.depths[edge.target] = self.depths[node] + 1
                    self._nearest[edge.target] = edge
                    waiting.append(edge.target)

    def needs(self, node: Node) -> tuple[Edge, ...]:
        return self._needs.get(node, ())

    def expands(self, edge: Edge) -> bool:
        """Return True if the needs of the edge's target are shown below this edge."""
        return self._nearest.get(edge.target) is edge


def tree_lines(graph: Graph, tops: Sequence[Node], name: str, most: int | None = None) -> Iterator[Line]:
    """Yield the tree below each of `tops`, at most `most` levels deep.

    What is needed in several places is expanded once, nearest to the top, and elsewhere refers there.
    """
    if not tops:
        yield Line(say("{name} is in the dist, and nothing that depfix can see needs it", name=name))
    needs = _needs_of(graph)
    for index, top in enumerate(tops):
        if index:
            yield Line()
        outline = _Outline(needs, top, most)
        mark = said(_MARKS.get(top.kind, ""))
        yield Line(f"  {mark}" if mark else "", top.name, "white")
        yield from _branches(outline, top, most)


def tree_value(graph: Graph, tops: Sequence[Node], most: int | None = None) -> dict[str, object]:
    """Return the tree as plain values: a flat list of nodes, nearest first, each with what it needs.

    A node that stands at the last level, or has no needs, has an empty list; `more` says how many are left out.
    """
    needs = _needs_of(graph)
    numbers: dict[Node, int] = {}
    expanded: set[Node] = set()
    depths: dict[Node, int] = {}
    for top in tops:
        for node, depth in _Outline(needs, top, most).depths.items():
            numbers.setdefault(node, len(numbers))
            depths[node] = min(depth, depths.get(node, depth))
            if most is None or depth < most:
                expanded.add(node)
    return {
        "schema_version": SCHEMA_VERSION,
        "tops": [numbers[top] for top in tops],
        "nodes": [
            {
                "kind": node.kind.value,
                "name": node.name,
                "depth": depths[node],
                "needs": [_need(edge, numbers) for edge in needs.get(node, ())] if node in expanded else [],
                "more": 0 if node in expanded else len(needs.get(node, ())),
            }
            for node in numbers
        ],
    }


def tree_json(graph: Graph, tops: Sequence[Node], most: int | None = None) -> str:
    """Return the tree as JSON, two spaces of indent, with a final newline."""
    from depfix.reports.json import encoded

    return encoded(tree_value(graph, tops, most))


def _need(edge: Edge, numbers: dict[Node, int]) -> dict[str, object]:
    return {
        "node": numbers[edge.target],
        "how": edge.kind.value,
        "strength": edge.strength.name.lower(),
        "asked": edge.asked,
        "path": edge.path,
        "line": edge.line,
    }


def _needs_of(graph: Graph) -> dict[Node, tuple[Edge, ...]]:
    """Return {node: its needs in the order in which they arise}, of several for one target the surest."""
    found: dict[Node, dict[Node, Edge]] = {}
    for edge in graph.edges():
        row = found.setdefault(edge.source, {})
        known = row.get(edge.target)
        if edge.kind is EdgeKind.BEHAVIOUR:
            continue  # it is nothing that could be there or not
        if edge.target != edge.source and (known is None or edge.strength > known.strength):
            row[edge.target] = edge
    return {node: tuple(row.values()) for node, row in found.items()}


# --- text ---


def _branches(outline: _Outline, top: Node, most: int | None) -> Iterator[Line]:
    shown = {top}
    waiting = _below(outline, top, "", 1)[::-1]
    if most == 0 and waiting:
        yield Line(f"`-- {_hidden(len(outline.needs(top)))}")
        return
    while waiting:
        branch = waiting.pop()
        if isinstance(branch, Line):
            yield branch
            continue
        edge = branch.edge
        needs = outline.needs(edge.target)
        here = outline.expands(edge)
        note = "" if here or not needs else say("see above") if edge.target in shown else say("see below")
        if here:
            shown.add(edge.target)
            if most is None or branch.depth < most:
                deeper = branch.indent + ("    " if branch.last else "|   ")
                waiting += _below(outline, edge.target, deeper, branch.depth + 1)[::-1]
            elif needs:
                note = _hidden(len(needs))
        yield _line(branch, note)


def _below(outline: _Outline, node: Node, indent: str, depth: int) -> list[_Branch | Line]:
    """Return what stands below a node: a line for each need, one for all DLLs of Windows."""
    needs = outline.needs(node)
    system = [edge.target.name for edge in needs if edge.target.kind is NodeKind.SYSTEM]
    others = [edge for edge in needs if edge.target.kind is not NodeKind.SYSTEM]
    found: list[_Branch | Line] = [_Branch(edge, indent, not system and edge is others[-1], depth) for edge in others]
    if system:
        found.append(Line(f"{indent}`-- " + say("of Windows: {names}", names=", ".join(system))))
    return found


def _line(branch: _Branch, note: str) -> Line:
    edge = branch.edge
    place = edge.path if edge.path and edge.kind is not EdgeKind.FILE else ""
    if place and edge.line:
        place = f"{place}:{edge.line}"
    marks = [said(mark) for mark in (_MARKS.get(edge.target.kind, ""), _SURE[edge.strength], note) if mark]
    text = f"{branch.indent}{'`--' if branch.last else '|--'} {said(edge.kind.words)} {edge.target.name}"
    if place and place != edge.source.name:
        text += f"   ({place})"
    if marks:
        text += f"   [{', '.join(marks)}]"
    return Line("", text, "red" if edge.strength >= Strength.PROBABLE else "yellow") if _is_absent(edge) else Line(text)


def _is_absent(edge: Edge) -> bool:
    return edge.target.kind in _ABSENT


def _hidden(number: int) -> str:
    return say("{needs} not shown", needs=count(number, "need"))
