"""DF302: data that native libraries read when they run, and that are not where they look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from depfix.checks.findings import finding
from depfix.closure.bound import lies_below
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.closure.native_data import NativeNeed
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import parent
from depfix.wording.message import joined, phrase, tabled

_MOST_NAMED = 3
NATIVE = "native:"  # how the identity of such a finding begins, before the key of the row


def check_native_data(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL that reads data of which none are where it looks for them."""
    told: set[tuple[str, str]] = set()
    for need in closure.native:
        strength = _strength(closure, need)
        if not need.found and (need.row.key, need.subject) not in told and strength > Strength.POSSIBLE:
            told.add((need.row.key, need.subject))
            yield _finding(closure, need, strength)


def _finding(closure: Closure, need: NativeNeed, strength: Strength) -> Finding:
    severity = Severity(need.row.severity)
    if severity is Severity.ERROR and (strength < Strength.PROBABLE or need.elsewhere):
        severity = Severity.WARNING  # another copy may be the one that code tells the library of
    return finding(
        "missing-package-data",
        need.subject,
        _message(need),
        severity=severity,
        confidence=Confidence.PROBABLE,
        locations=(Location(need.reader.name),),
        chain=(*chain_texts(closure.graph.chain(need.reader), closure.graph.root), need.subject),
        identity=f"{NATIVE}{need.row.key}",
    )


def without_repeated(closure: Closure, found: Iterable[Finding], native: Sequence[Finding]) -> Iterator[Finding]:
    """Yield findings of packages' data but those all of whose files a finding of a library's data is about."""
    folders = [parent(one.subject) for one in native]
    for one in found:
        paths = [file.path for file in closure.world.listed.missing(one.subject)]
        if not paths or not all(any(folder and lies_below(path, folder) for folder in folders) for path in paths):
            yield one


def _strength(closure: Closure, need: NativeNeed) -> Strength:
    """Return how surely the data are wanted: as surely as the DLL is loaded, and the package imported."""
    found = closure.graph.strength(need.reader)
    module = Node(NodeKind.MODULE, need.row.package)
    package = closure.graph.strength(module) if need.row.package else None
    return min(one for one in (found, package, Strength.REQUIRED) if one is not None)


def _message(need: NativeNeed) -> str:
    who = (
        phrase("{package} with {reader}", package=need.row.package, reader=need.reader.name)
        if need.row.package
        else need.reader.name
    )
    places = tuple(dict.fromkeys(need.places))[:_MOST_NAMED]
    looked = joined(", ", (place if place != "." else phrase("the dist") for place in places))
    where = phrase("looks in {looked}", looked=looked) if looked else phrase("looks in no folder of the dist by itself")
    variables = joined(phrase(" or "), need.row.variables)
    other = phrase(", or where {variables} says", variables=variables) if variables else ""
    there = phrase("; {elsewhere} is not looked for", elsewhere=need.elsewhere[0].path) if need.elsewhere else ""
    return phrase(
        "{who} reads {file} ({row}) and {where}{other}{there}; {why}",
        who=who,
        file=need.row.files[0],
        row=tabled(need.row.words),
        where=where,
        other=other,
        there=there,
        why=tabled(need.row.why),
    )
