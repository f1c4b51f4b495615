"""DF207: metadata of distributions that some code asks for and that are not in the dist."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, needs_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, NodeKind, chain_texts
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Severity
from depfix.wording.message import phrase


def check_metadata(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each distribution whose metadata are asked for and absent."""
    for node, edges in needs_of(closure.graph, NodeKind.NO_METADATA).items():
        rows = surest_first(closure.graph, edges)
        if rows:
            yield _finding(closure, node.name, rows)


def _finding(closure: Closure, name: str, rows: list[tuple[Strength, Edge]]) -> Finding:
    strength, edge = rows[0]
    where = f"{edge.path}:{edge.line}" if edge.path else edge.source.name
    severity, confidence = _weight(closure, name, strength)
    asks = edge.kind is EdgeKind.METADATA  # else a package is known to
    asked = phrase("the metadata of {asked}", asked=edge.asked)
    if asks and edge.note:
        asked = phrase("the entry points {group} of {asked}", group=edge.note, asked=edge.asked)
    effect = phrase("goes on without them") if strength < Strength.PROBABLE else phrase("fails")
    origin = "" if asks else phrase("; {note}", note=edge.note)
    return finding(
        "missing-metadata",
        name,
        phrase(
            "{where} asks for {asked}, which are not in the dist; then it {effect}{origin}",
            where=where,
            asked=asked,
            effect=effect,
            origin=origin,
        ),
        severity=severity,
        confidence=confidence,
        locations=locations_of(row[1] for row in rows),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root)[:-1], where, name),
    )


def _weight(closure: Closure, name: str, strength: Strength) -> tuple[Severity, Confidence]:
    """Who asks for what is not installed copes, or never comes to ask; a silent change of behaviour is a warning."""
    if strength is Strength.REQUIRED:
        return Severity.ERROR, confidence_of(strength)
    owner = closure.world.supply.distribution(name)
    tops = owner[1].top_level if owner is not None else (name.replace("-", "_"),)
    found = [closure.world.walker.find(top) for top in tops]
    here = any(one is not None and not one.is_provided for one in found)
    if not here or strength is Strength.POSSIBLE or (strength is Strength.OPTIONAL and owner is None):
        return Severity.INFO, Confidence.POSSIBLE
    return Severity.WARNING, Confidence.PROBABLE
