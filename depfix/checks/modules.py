"""DF201, DF202, DF203 and DF204: modules that their package, or the standard library, lacks."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import fold


def check_modules(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each module that is imported from a package of the dist and is in no file of it."""
    needs: dict[Node, list[Edge]] = {}
    for edge in closure.graph.edges():
        if edge.target.kind is NodeKind.NO_MODULE:
            needs.setdefault(edge.target, []).append(edge)
    for node, edges in needs.items():
        rows = surest_first(closure.graph, edges)
        if rows:
            yield from _finding(closure, node.name, rows)


def _finding(closure: Closure, name: str, rows: list[tuple[Strength, Edge]]) -> Iterator[Finding]:
    strength, edge = rows[0]
    recorded = closure.world.recorded_file(name)
    if strength < Strength.PROBABLE and (not recorded or edge.asked):
        return  # a guarded import of what the package never had
    # A program need not import what of the standard library lies in its folder.
    of_stdlib = not closure.from_entry and closure.world.is_stdlib(edge.source.name)
    sure = _is_unconditional(closure, edge) and not of_stdlib
    severity, confidence = _weight(strength, bool(recorded) or sure or (bool(edge.asked) and closure.from_entry))
    if edge.asked and severity is Severity.INFO and strength >= Strength.PROBABLE:
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    where = f"{edge.path}:{edge.line}" if edge.path and edge.line else edge.path or edge.source.name
    verb = "may import" if edge.kind is EdgeKind.HIDDEN else "imports"
    known = f"; {recorded} was installed with the package" if recorded else ""
    absent = f"{where} {verb} {name}, which is not in the dist{known}"
    if edge.asked:
        needing = f" {edge.asked}, which needs" if edge.asked != name else ""
        absent = f"{where} {verb}{needing} {name}.pyd of the standard library, and that is not in the dist"
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    if len(chain) > 1 and chain[-1] in (edge.source.name, edge.path):
        chain = chain[:-1]  # the place in its source says more than its name
    yield finding(
        _rule_name(strength, recorded, edge.asked),
        name,
        absent,
        severity=severity,
        confidence=confidence,
        locations=tuple(dict.fromkeys(Location(row[1].path, row[1].line) for row in rows if row[1].path))[:20],
        chain=(*chain, where, name),
    )


def _rule_name(strength: Strength, recorded: str, through: str) -> str:
    if through and strength >= Strength.PROBABLE:
        return "missing-stdlib-module"
    if strength < Strength.PROBABLE:
        return "missing-optional-module"
    return "missing-extension-module" if fold(recorded).endswith(".pyd") else "missing-module"


def _is_unconditional(closure: Closure, edge: Edge) -> bool:
    """Return True if nothing but the import of a top-level package, or the program's start, decides on an import."""
    chain = (*closure.graph.chain(edge.source), edge)
    return all(step.kind is EdgeKind.START or step.strength is Strength.REQUIRED for step in chain)


def _weight(strength: Strength, wanted: bool) -> tuple[Severity, Confidence]:
    if strength < Strength.PROBABLE:
        return Severity.INFO, Confidence.POSSIBLE
    if wanted:
        return severity_of(strength), confidence_of(strength)
    return Severity.INFO, Confidence.POSSIBLE  # under a condition, and perhaps the package never had it
