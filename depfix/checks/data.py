"""DF301, DF302 and DF411: files that code reads and that are not in the dist, or only for who starts it from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, needs_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.data import Base, DataNeed
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import parent
from depfix.wording.message import counted, phrase, tabled

_MOST_LOCATIONS = 20
_Weight = tuple[Severity, Confidence]
_MAYBE: _Weight = (Severity.INFO, Confidence.POSSIBLE)


def check_data(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for what code reads and the dist lacks, and for paths that depend on the current directory."""
    for node, edges in needs_of(closure.graph, NodeKind.NO_DATA).items():
        need = closure.world.data.get(node.name)
        rows = surest_first(closure.graph, edges)
        read = [row for row in rows if row[1].expected]
        if need is not None and read:
            if not _comes_with_folder(closure, need):
                yield from _of_reads(closure, need, read)
        elif rows:
            yield _of_listing(closure, node.name, rows)
    yield from _from_current(closure)


def _of_listing(closure: Closure, subject: str, rows: list[tuple[Strength, Edge]]) -> Finding:
    strength, edge = rows[0]
    missing = closure.world.listed.missing(subject)
    sure = strength >= Strength.PROBABLE
    return finding(
        "missing-package-data",
        subject,
        counted(
            len(missing),
            "{source} reads {subject}, which is not in the dist; {note}",
            "{source} reads {number} files ({subject}) that are not in the dist; {note}",
            source=edge.source.name,
            subject=subject,
            note=edge.note,
        ),
        severity=Severity.WARNING if sure else Severity.INFO,
        confidence=Confidence.PROBABLE if sure else Confidence.POSSIBLE,
        locations=locations_of(row[1] for row in rows if row[1].path),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), subject),
    )


# --- files that code reads ---


def _of_reads(closure: Closure, need: DataNeed, rows: list[tuple[Strength, Edge]]) -> Iterator[Finding]:
    weighed = [(_weight(need, *row), row) for row in rows]
    (severity, confidence), (_, edge) = min(weighed, key=lambda one: one[0][0].rank)
    if (severity, confidence) == _MAYBE and not need.found.files:
        return  # nobody is known to have it, and perhaps nobody wants it
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    place = f"{edge.path}:{edge.line}" if edge.path else edge.source.name
    if len(chain) > 1 and chain[-1] in (edge.source.name, edge.path):
        chain = chain[:-1]
    yield finding(
        "missing-data-file" if need.place.own else "missing-package-data",
        need.place.path,
        phrase(
            "{place} reads {what} with {asked}, and that is not in the dist: the program looks {base}; {who_has_it}",
            place=place,
            what=_what(need),
            asked=edge.asked,
            base=tabled(need.place.base.value),
            who_has_it=_who_has_it(need),
        ),
        severity=severity,
        confidence=confidence,
        locations=_places(row[1] for row in rows),
        chain=(*chain, place, need.place.path),
    )


def _comes_with_folder(closure: Closure, need: DataNeed) -> bool:
    """Return True if a folder around it is missing as a whole and will be told of, and has it."""
    above = parent(need.place.path)
    while above:
        around = closure.world.data.get(above)
        if around is not None and any(inner.endswith(need.place.path) for _, inner in around.found.files):
            strength = closure.graph.strength(Node(NodeKind.NO_DATA, above))
            return strength is not None and strength >= Strength.PROBABLE
        above = parent(above)
    return False


def _weight(need: DataNeed, strength: Strength, edge: Edge) -> _Weight:
    """Return how bad it is that something is absent that is read with this strength.

    Whether a program's own file is to be shipped that nobody has, only a read that nothing stands before can tell.
    """
    if strength is Strength.POSSIBLE:
        return _MAYBE
    if strength is Strength.OPTIONAL:
        return Severity.INFO, Confidence.PROBABLE if need.found.files else Confidence.POSSIBLE
    known = bool(need.found.files or need.found.reason)
    if edge.unsure or not need.place.exact:
        return (Severity.WARNING, Confidence.PROBABLE) if known else _MAYBE
    surely = strength is Strength.REQUIRED
    if known:
        as_error = surely or need.place.own
        return Severity.ERROR if as_error else Severity.WARNING, confidence_of(strength)
    return (Severity.ERROR, Confidence.CERTAIN) if surely else (Severity.WARNING, Confidence.PROBABLE)


def _what(need: DataNeed) -> str:
    if not need.place.exact:
        return phrase("the files {place}", place=need.place.path)
    return phrase("the folder {place}", place=need.place.path) if need.folder else need.place.path


def _who_has_it(need: DataNeed) -> str:
    holder = phrase("the project") if need.place.own else phrase("its package")
    found = need.found
    if found.reason:
        return phrase("{holder} has it, but {reason}", holder=holder, reason=found.reason)
    if not found.files:
        return phrase("{holder} does not have it either", holder=holder)
    many = phrase("{number:,} files, ", number=len(found.files)) if len(found.files) > 1 or need.folder else ""
    return phrase("{holder} has it ({many}{size:,} bytes)", holder=holder, many=many, size=found.size)


def _places(edges: Iterable[Edge]) -> tuple[Location, ...]:
    return tuple(dict.fromkeys(Location(edge.path, edge.line) for edge in edges if edge.path))[:_MOST_LOCATIONS]


# --- paths that depend on the current directory ---


def _may_be_shipped(closure: Closure, edge: Edge) -> bool:
    """Return True for what is in the dist, or would be after a repair."""
    need = closure.world.data.get(edge.target.name)
    return edge.target.kind is NodeKind.DATA or (need is not None and bool(need.found.files))


def _from_current(closure: Closure) -> Iterator[Finding]:
    """Yield one finding for each of the program's modules that reads files from the current directory."""
    by_source: dict[str, list[Edge]] = {}
    for edge in closure.graph.edges():
        if edge.kind is EdgeKind.DATA and edge.note == Base.CURRENT.value and _may_be_shipped(closure, edge):
            if (closure.graph.edge_strength(edge) or Strength.POSSIBLE) >= Strength.OPTIONAL:
                by_source.setdefault(edge.path or edge.source.name, []).append(edge)
    for name, edges in by_source.items():
        paths = tuple(dict.fromkeys(edge.target.name for edge in edges))
        more = phrase(" and {number} more", number=len(paths) - 1) if len(paths) > 1 else ""
        yield finding(
            "relative-path",
            paths[0],
            phrase(
                "{name}:{line} reads {path}{more} from the current directory: that is the dist's folder only if "
                "the program is started from there; a path made from __file__ works from everywhere",
                name=name,
                line=edges[0].line,
                path=paths[0],
                more=more,
            ),
            confidence=Confidence.PROBABLE,
            locations=_places(edges),
            identity=name,
        )
