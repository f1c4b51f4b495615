"""DF101 missing-dll, DF102 missing-delay-dll, DF103 misplaced-dll, DF106 missing-runtime-dll, DF107."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.imports.uses import Strength
from depfix.knowledge.tables import TARGETS, vc_runtimes
from depfix.loader.resolve import trail_texts
from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.image import Image


def check_missing(closure: Closure) -> Iterator[Finding]:
    """Yield one finding for each DLL name that some load will not find."""
    needs: dict[tuple[Node, str], list[Edge]] = {}
    for edge in closure.graph.edges():
        if edge.target.kind is NodeKind.MISSING:
            needs.setdefault((edge.target, edge.expected), []).append(edge)
    for (node, _), edges in needs.items():
        rows = surest_first(closure.graph, edges)
        if rows:
            yield _missing(closure, node.name, rows)


def _missing(closure: Closure, name: str, rows: list[tuple[Strength, Edge]]) -> Finding:
    static = [row for row in rows if row[1].kind is EdgeKind.STATIC]
    delayed = [row for row in rows if row[1].kind is EdgeKind.DELAY]
    deciding = static or [row for row in rows if row[1].kind is EdgeKind.LOAD] or delayed
    strength, edge = deciding[0]
    elsewhere = copies_in_dist(closure.world, name)
    misplaced = bool(elsewhere) and not edge.expected
    severity, confidence = _weight(strength, edge, misplaced)
    return finding(
        _rule_name(name, edge, misplaced),
        name,
        _message(closure.world, name, edge, elsewhere, len({row[1].source for row in deciding})),
        severity=severity,
        confidence=confidence,
        locations=locations_of(row[1] for row in (*deciding, *delayed)),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), *_last_steps(edge, name)),
        trail=trail_texts(edge.trail),
        identity=edge.expected,
    )


def _last_steps(edge: Edge, name: str) -> tuple[str, ...]:
    if edge.kind is EdgeKind.LOAD and edge.path:
        return (f"{edge.path}:{edge.line}", edge.expected or name)
    return (name,)


def _rule_name(name: str, edge: Edge, misplaced: bool) -> str:
    if edge.expected:
        return "missing-runtime-dll"
    if misplaced:
        return "misplaced-dll"
    if edge.kind is EdgeKind.DELAY:
        return "missing-delay-dll"
    if name in vc_runtimes():
        return "missing-vc-runtime"
    return "missing-dll" if edge.kind is EdgeKind.STATIC else "missing-runtime-dll"


def _weight(strength: Strength, edge: Edge, misplaced: bool) -> tuple[Severity, Confidence]:
    if edge.kind is EdgeKind.LOAD and strength is not Strength.REQUIRED:
        return Severity.INFO, Confidence.POSSIBLE  # such code copes, or may never run
    if edge.kind is EdgeKind.DELAY:
        return Severity.WARNING, confidence_of(strength)
    if misplaced and edge.unsure:
        return Severity.WARNING, Confidence.POSSIBLE  # code inside the program may add its folder
    return severity_of(strength), confidence_of(strength)


def copies_in_dist(world: World, name: str) -> tuple[str, ...]:
    """Return the dist-relative paths of loadable files of that name, wherever they lie."""
    found = []
    for entry in world.tree.named(name):
        image = world.facts.image(entry)
        if isinstance(image, Image) and image.machine is world.dist.machine:
            found.append(entry.path)
    return tuple(found)


def _message(world: World, name: str, edge: Edge, elsewhere: tuple[str, ...], count: int) -> str:
    windows = TARGETS[world.system.target]
    who = edge.path or edge.source.name
    verb = "loads" if edge.kind is EdgeKind.LOAD else edge.kind.words
    others = f" (and {count - 1} more need it)" if count > 1 else ""
    if edge.expected:
        return f"{who} loads {edge.expected}, which is not there{others}"
    if elsewhere and edge.unsure:
        where = elsewhere[0]
        return f"{who} {verb} it{others}; it is at {where}, found only if code inside the program adds that folder"
    if elsewhere:
        return f"{who} {verb} it{others}; it is at {elsewhere[0]}, where this load does not look"
    runtime = vc_runtimes().get(name)
    if runtime is not None:
        return (
            f"{who} {verb} it{others}; it belongs to {runtime.redistributable}, which {windows} does not have by itself"
        )
    return f"{who} {verb} it{others}; it is neither in the dist nor in {windows}"
