"""What the checks share: from graph to the parts of a finding."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.imports.uses import Strength
from depfix.knowledge.rules import rule
from depfix.model.finding import Confidence, Finding, Location, Severity

_MOST_LOCATIONS = 20
_CONFIDENCE = {
    Strength.REQUIRED: Confidence.CERTAIN,
    Strength.PROBABLE: Confidence.PROBABLE,
    Strength.OPTIONAL: Confidence.PROBABLE,
    Strength.POSSIBLE: Confidence.POSSIBLE,
}


def finding(
    name: str,
    subject: str,
    message: str,
    *,
    severity: Severity | None = None,
    confidence: Confidence = Confidence.CERTAIN,
    locations: tuple[Location, ...] = (),
    chain: tuple[str, ...] = (),
    trail: tuple[str, ...] = (),
    identity: str = "",
) -> Finding:
    """Return a finding of the rule called `name`, with the rule's own severity unless another is given."""
    entry = rule(name)
    return Finding(
        entry.code,
        entry.name,
        severity or entry.severity,
        confidence,
        subject,
        message,
        locations,
        chain,
        trail=trail,
        identity=identity,
    )


def severity_of(strength: Strength) -> Severity:
    """Return how bad it is if something that is reached with this strength fails to load."""
    if strength is Strength.POSSIBLE:
        return Severity.INFO
    return Severity.ERROR if strength >= Strength.PROBABLE else Severity.WARNING


def confidence_of(strength: Strength) -> Confidence:
    return _CONFIDENCE[strength]


def locations_of(edges: Iterable[Edge]) -> tuple[Location, ...]:
    """Return where needs stand: the image that imports, or the source and line that loads."""
    found = dict.fromkeys(_location(edge) for edge in edges)
    return tuple(found)[:_MOST_LOCATIONS]


def _location(edge: Edge) -> Location:
    if edge.kind is EdgeKind.LOAD and edge.path:
        return Location(edge.path, edge.line)
    return Location(edge.source.name if edge.source.kind is not NodeKind.MODULE else edge.path)


def needs_of(graph: Graph, kind: NodeKind) -> dict[Node, list[Edge]]:
    """Return the nodes of one kind that are needed, each with the edges that lead to it."""
    needs: dict[Node, list[Edge]] = {}
    for edge in graph.edges():
        if edge.target.kind is kind:
            needs.setdefault(edge.target, []).append(edge)
    return needs


def surest_first(graph: Graph, edges: Iterable[Edge]) -> list[tuple[Strength, Edge]]:
    """Return the reached edges with how surely each need arises, surest first, then by the length of the chain."""
    rows = [(strength, edge) for edge in edges if (strength := graph.edge_strength(edge)) is not None]
    return sorted(rows, key=lambda row: (-row[0], len(graph.chain(row[1].source)), row[1].source.name))


def is_by_choice(closure: Closure, edge: Edge) -> bool:
    """Return True if a need arises only if one of several modules is chosen: a backend, a format, a plugin."""
    chain = (*closure.graph.chain(edge.source), edge)
    return any(step.one_of_own or step.one_of_many for step in chain)


def version_words(closure: Closure, path: str) -> str:
    """Return " (1.2.3.4)" for an image of the dist with a version resource, else an empty string."""
    entry = closure.world.tree.file(path)
    version = closure.world.facts.version(entry) if entry is not None else None
    return f" ({'.'.join(map(str, version.file_version))})" if version is not None else ""
