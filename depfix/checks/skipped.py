"""DF501 not-looked-at: what could not be read is said, never left out."""

from __future__ import annotations

from collections.abc import Iterator, Set

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import NodeKind
from depfix.imports.finder import ModuleKind
from depfix.model.finding import Finding, Location, Severity
from depfix.model.image import ImageProblem
from depfix.model.names import fold
from depfix.wording.message import phrase


def check_skipped(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each file or folder of the dist, and each reached source, that could not be read."""
    reached = {fold(node.name) for node in closure.graph.nodes() if node.kind is NodeKind.IMAGE}
    for skipped in closure.world.tree.skipped:
        if fold(skipped.path) not in reached:  # those have a finding with their chain
            message = phrase(
                "{skipped}: {reason}; what is in it is unknown", skipped=skipped.path, reason=skipped.reason
            )
            yield finding("not-looked-at", skipped.path, message, locations=(Location(skipped.path),))
    yield from _unreadable(closure, reached)
    problem = closure.world.inside.problem
    if problem:
        program = closure.world.dist.host.path
        yield finding(
            "not-looked-at",
            program,
            phrase("{program}: {problem}", program=program, problem=problem),
            locations=(Location(program),),
        )
    for node in closure.graph.nodes():
        module = closure.world.walker.find(node.name) if node.kind is NodeKind.MODULE else None
        if module is None or module.kind is not ModuleKind.SOURCE or module.entry is None:
            continue
        error = closure.world.facts.source_problem(module.entry)
        if error:
            message = phrase(
                "{module} cannot be parsed ({error}); what it imports is unknown", module=module.entry.path, error=error
            )
            place = (Location(module.entry.path),)
            yield finding("not-looked-at", module.entry.path, message, severity=Severity.INFO, locations=place)


def _unreadable(closure: Closure, reached: Set[str]) -> Iterator[Finding]:
    """Yield a finding for each image that nothing needs, and that was there when the folder was listed."""
    for entry in closure.world.tree.images():
        image = closure.world.facts.image(entry) if fold(entry.path) not in reached else None
        if isinstance(image, ImageProblem) and image.unreadable:
            message = phrase("{path}: {reason}; what is in it is unknown", path=entry.path, reason=image.reason)
            yield finding("not-looked-at", entry.path, message, locations=(Location(entry.path),))
