"""DF302: data files that packages are known to read and that are not in the dist."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import finding, locations_of, needs_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, NodeKind, chain_texts
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Severity


def check_data(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each row of data files of which some are not in the dist, and an environment has them."""
    for node, edges in needs_of(closure.graph, NodeKind.NO_DATA).items():
        rows = surest_first(closure.graph, edges)
        if rows:
            yield _finding(closure, node.name, rows)


def _finding(closure: Closure, subject: str, rows: list[tuple[Strength, Edge]]) -> Finding:
    strength, edge = rows[0]
    missing = closure.world.listed.missing(subject)
    sure = strength >= Strength.PROBABLE
    files = f"{subject}, which is" if len(missing) == 1 else f"{len(missing)} files ({subject}) that are"
    return finding(
        "missing-package-data",
        subject,
        f"{edge.source.name} reads {files} not in the dist; {edge.note}",
        severity=Severity.WARNING if sure else Severity.INFO,
        confidence=Confidence.PROBABLE if sure else Confidence.POSSIBLE,
        locations=locations_of(row[1] for row in rows if row[1].path),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), subject),
    )
