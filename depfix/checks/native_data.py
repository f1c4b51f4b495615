"""DF302: data that native libraries read when they run, and that are not where they look."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.closure.native_data import NativeNeed, native_needs
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity

_MOST_NAMED = 3
NATIVE = "native:"  # how the identity of such a finding begins, before the key of the row


def check_native_data(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL that reads data of which none are where it looks for them."""
    told: set[tuple[str, str]] = set()
    for need in native_needs(closure.world, closure.graph):
        if not need.found and (need.row.key, need.subject) not in told:
            told.add((need.row.key, need.subject))
            yield _finding(closure, need)


def _finding(closure: Closure, need: NativeNeed) -> Finding:
    strength = _strength(closure, need)
    severity = Severity(need.row.severity)
    if severity is Severity.ERROR and (strength < Strength.PROBABLE or need.elsewhere or _is_unread(closure, need)):
        severity = Severity.WARNING
    if strength is Strength.POSSIBLE:
        severity = Severity.INFO
    certain = severity is not Severity.INFO
    return finding(
        "missing-package-data",
        need.subject,
        _message(need),
        severity=severity,
        confidence=Confidence.PROBABLE if certain else Confidence.POSSIBLE,
        locations=(Location(need.reader.name),),
        chain=(*chain_texts(closure.graph.chain(need.reader), closure.graph.root), need.subject),
        identity=f"{NATIVE}{need.row.key}",
    )


def _strength(closure: Closure, need: NativeNeed) -> Strength:
    """Return how surely the data are wanted: as surely as the DLL is loaded, and the package imported."""
    found = closure.graph.strength(need.reader)
    module = Node(NodeKind.MODULE, need.row.package)
    package = closure.graph.strength(module) if need.row.package else None
    return min(one for one in (found, package, Strength.REQUIRED) if one is not None)


def _is_unread(closure: Closure, need: NativeNeed) -> bool:
    """Return True if code that cannot be read may tell the library of another folder of the dist."""
    return bool(need.elsewhere) and closure.world.dist.freezer.hides_code


def _message(need: NativeNeed) -> str:
    who = f"{need.row.package} with {need.reader.name}" if need.row.package else need.reader.name
    looked = ", ".join(place if place != "." else "the dist" for place in need.places[:_MOST_NAMED])
    where = f"looks in {looked}" if looked else "looks in no folder of the dist by itself"
    variables = " or ".join(need.row.variables)
    other = f", or where {variables} says" if variables else ""
    there = f"; {need.elsewhere[0].path} is not looked for" if need.elsewhere else ""
    return f"{who} reads {need.row.files[0]} ({need.row.words}) and {where}{other}{there}; {need.row.why}"
