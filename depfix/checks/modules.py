"""DF201 to DF204, DF210 and DF211: modules that some code imports and that cannot be imported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depfix.checks.abi import unimportable_words
from depfix.checks.findings import confidence_of, finding, is_by_choice, needs_of, severity_of, surest_first
from depfix.checks.twins import absent_twins, split_rows, twin_finding
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.lacks import Lack
from depfix.imports.finder import ModuleKind
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import fold
from depfix.wording.message import phrase

_MOST_LOCATIONS = 20
_FROM_ELSEWHERE = (Lack.PROVIDED, Lack.STDLIB, Lack.HIDDEN, Lack.EXCLUDED, Lack.LEFT_OUT)


def check_modules(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each module that is imported and cannot be, the uppermost one if its package is missing."""
    needs = needs_of(closure.graph, NodeKind.NO_MODULE)
    namespaces = _namespaces(closure, needs)
    twins = absent_twins(closure) if closure.world.lacks.knows_stdlib else {}
    told: set[str] = set()
    for node, edges in needs.items():
        package = node.name.rpartition(".")[0]
        if node.name in namespaces or (Node(NodeKind.NO_MODULE, package) in needs and package not in namespaces):
            continue
        standing_in, rows = split_rows(surest_first(closure.graph, edges), twins)
        for row in standing_in:
            if row[0] >= Strength.PROBABLE and row[1].source.name not in told:
                told.add(row[1].source.name)
                yield twin_finding(closure, row, node.name, twins)
        if rows:
            yield from _finding(closure, node.name, rows)


def _namespaces(closure: Closure, needs: Iterable[Node]) -> frozenset[str]:
    """Return the packages that an environment has only as folders with packages of others in them: nothing brings them.

    Source: PEP 420, "Implicit Namespace Packages" https://peps.python.org/pep-0420/
    """
    names = {node.name for node in needs}
    above = {name.rpartition(".")[0] for name in names if closure.world.lacks.of(name) is Lack.PROVIDED}
    return frozenset(name for name in above & names if closure.world.lacks.of(name) in (Lack.UNKNOWN, None))


def _finding(closure: Closure, name: str, rows: list[tuple[Strength, Edge]]) -> Iterator[Finding]:
    strength, edge = rows[0]
    lack = closure.world.lacks.of(name)
    recorded = closure.world.lacks.recorded_file(name) if lack is Lack.PACKAGE else ""
    if strength < Strength.PROBABLE and (not recorded or edge.asked):
        return  # a guarded import of what nobody misses
    # A program need not import what of the standard library lies in its folder.
    of_stdlib = not closure.from_program and closure.world.is_stdlib(edge.source.name)
    sure = _is_unconditional(closure, edge) and not of_stdlib
    if lack is Lack.UNKNOWN and not sure:
        return  # there is no telling whether anybody ever had it
    if strength < Strength.REQUIRED and _is_freezers_choice(closure, edge):
        return
    if lack in _FROM_ELSEWHERE and any(step.one_of_many for step in (*closure.graph.chain(edge.source), edge)):
        return  # whether that one is ever meant is not known
    expected = lack in _FROM_ELSEWHERE or bool(edge.asked)
    severity, confidence = _weight(strength, bool(recorded) or sure or (expected and closure.from_program))
    if expected and severity is Severity.INFO and strength >= Strength.PROBABLE:
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    if lack in _FROM_ELSEWHERE and severity is Severity.ERROR and _is_doubtful(closure, edge):
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    if severity is Severity.ERROR and is_by_choice(closure, edge):
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    if severity is Severity.ERROR and _is_asked_by_a_function_of_stdlib(closure, edge):
        severity, confidence = Severity.WARNING, Confidence.PROBABLE
    foreign = closure.world.lacks.foreign_file(name)
    beside = (Location(foreign.path),) if foreign is not None else ()
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    if len(chain) > 1 and chain[-1] in (edge.source.name, edge.path):
        chain = chain[:-1]  # the place in its source says more than its name
    yield finding(
        _rule_name(strength, lack, recorded, edge.asked) if foreign is None else "abi-mismatch",
        name,
        _message(closure, name, edge, lack, recorded)
        if foreign is None
        else unimportable_words(closure.world, _place(edge), name, foreign),
        severity=severity,
        confidence=confidence,
        locations=(
            *beside,
            *dict.fromkeys(Location(row[1].path, row[1].line) for row in rows if row[1].path),
        )[:_MOST_LOCATIONS],
        chain=(*chain, _place(edge), name),
    )


def _is_asked_by_a_function_of_stdlib(closure: Closure, edge: Edge) -> bool:
    """Return True if a function of the standard library imports it, or what needs it: its caller's values decide."""
    chain = (*closure.graph.chain(edge.source), edge)
    return any(
        step.kind is EdgeKind.IMPORT
        and step.strength < Strength.REQUIRED
        and closure.world.is_stdlib_name(step.source.name)
        for step in chain
    )


def _is_doubtful(closure: Closure, edge: Edge) -> bool:
    """Return True for a word in compiled code, and for what copes without."""
    return edge.kind is EdgeKind.HIDDEN or bool(edge.note)


def _is_freezers_choice(closure: Closure, edge: Edge) -> bool:
    """Return True if the standard library inside the program lacks more of itself, and nothing was copied in.

    What its functions import was left out because nothing in the program was seen to call them. What a freezer puts
    into files is bytecode.
    """
    source = closure.world.walker.find(edge.source.name)
    inside = source is not None and source.kind is ModuleKind.FROZEN and closure.world.is_stdlib_name(source.name)
    return inside and not any(module.kind is ModuleKind.SOURCE for module in closure.world.modules)


def _place(edge: Edge) -> str:
    return f"{edge.path}:{edge.line}" if edge.path and edge.line else edge.path or edge.source.name


def _message(closure: Closure, name: str, edge: Edge, lack: Lack | None, recorded: str) -> str:
    where = _place(edge)
    verb = phrase("may import") if edge.kind is EdgeKind.HIDDEN else phrase("imports")
    if edge.asked and not recorded:
        needing = phrase(" {asked}, which needs", asked=edge.asked) if edge.asked != name else ""
        return phrase(
            "{where} {verb}{needing} {name}.pyd of the standard library, and that is not in the dist",
            where=where,
            verb=verb,
            needing=needing,
            name=name,
        )
    if lack is Lack.EXCLUDED:
        return phrase(
            "{where} {verb} {name}, and the program refuses to import that, wherever it is",
            where=where,
            verb=verb,
            name=name,
        )
    if lack is Lack.HIDDEN:
        package = name.rpartition(".")[0]
        return phrase(
            "{where} {verb} {name}; the package {package} is inside the program, which looks for no more of it",
            where=where,
            verb=verb,
            name=name,
            package=package,
        )
    if lack is Lack.STDLIB:
        return phrase(
            "{where} {verb} {name} of the standard library, which is not in the dist", where=where, verb=verb, name=name
        )
    if lack is Lack.LEFT_OUT:
        return phrase(
            "{where} {verb} {name}, which is not in the dist: it was left out when the program was frozen",
            where=where,
            verb=verb,
            name=name,
        )
    known = (
        phrase("; {recorded} was installed with the package", recorded=recorded)
        if recorded
        else phrase("; {note}", note=edge.note)
        if edge.note
        else ""
    )
    return phrase(
        "{where} {verb} {name}, which is not in the dist{known}", where=where, verb=verb, name=name, known=known
    )


def _rule_name(strength: Strength, lack: Lack | None, recorded: str, through: str) -> str:
    if strength < Strength.PROBABLE:
        return "missing-optional-module"
    if lack is Lack.EXCLUDED:
        return "excluded-module-guard"
    if lack is Lack.HIDDEN:
        return "hidden-module"
    if through or lack is Lack.STDLIB:
        return "missing-stdlib-module"
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
