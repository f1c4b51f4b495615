"""`depfix why`: chains as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from depfix.closure.graph import Edge, Node, NodeKind
from depfix.reports.text import Line, count
from depfix.wording.message import phrase
from depfix.wording.speech import said, say

_WORDS = {
    NodeKind.PROGRAM: phrase("a program"),
    NodeKind.MODULE: phrase("a module"),
    NodeKind.IMAGE: phrase("in the dist"),
    NodeKind.SYSTEM: phrase("part of Windows"),
    NodeKind.MISSING: phrase("missing"),
    NodeKind.NO_MODULE: phrase("a missing module"),
    NodeKind.NO_METADATA: phrase("a distribution without its metadata"),
    NodeKind.DATA: phrase("a data file in the dist"),
    NodeKind.NO_DATA: phrase("missing data"),
    NodeKind.NO_NATIVE_DATA: phrase("missing data"),
    NodeKind.BOUND: phrase("a path outside the dist"),
    NodeKind.BEHAVIOUR: phrase("something that frozen programs do otherwise"),
}


class Explained(Protocol):
    """A node and the chains that lead to it."""

    @property
    def node(self) -> Node: ...
    @property
    def chains(self) -> tuple[tuple[Edge, ...], ...]: ...


def chain_lines(name: str, found: Sequence[Explained], most: int | None) -> Iterator[Line]:
    """Yield every chain of every node that bears the name, at most `most` for each."""
    if not found:
        yield Line(say("{name} is in the dist, and nothing that depfix can see needs it", name=name))
    for explained in found:
        needs = count(len(explained.chains), "direct need") if explained.chains else say("nothing needs it")
        yield Line(f"  {said(_WORDS[explained.node.kind])}, {needs}", explained.node.name, "white")
        for chain in explained.chains[:most]:
            yield Line()
            yield Line(f"  {chain[0].source.name}" if chain else "")
            for depth, edge in enumerate(chain, 1):
                place = f"   ({edge.path}:{edge.line})" if edge.line else ""
                yield Line(f"  {'  ' * depth}{said(edge.kind.words)} {edge.target.name}{place}")
        hidden = len(explained.chains) - len(explained.chains[:most])
        if hidden:
            yield Line("  " + say("and {hidden} more; --all shows them", hidden=hidden))
