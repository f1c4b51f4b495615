"""DF104 missing-symbol: the DLL that will be loaded lacks a name or ordinal that its importer takes from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first, version_words
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.loader.resolve import resolve
from depfix.loader.search import Place, PlaceKind
from depfix.model.finding import Finding, Location, Severity
from depfix.model.image import Exports, Image, ImportedDll
from depfix.model.names import base_name, dll_file_name, fold, parent
from depfix.wording.message import phrase

_SHOWN = 3
_LONGEST_FORWARDING = 8

_Hosts = dict[tuple[str, str], list[Node]]  # (DLL that forwards, folded name of the host) -> where that name led


@dataclass(frozen=True, slots=True)
class Request:
    """What an importer takes from one DLL of the dist.

    `edge` is the importer's own need. `before` is the request that a forwarder of another DLL turned into this one,
    None if the importer names this DLL itself.
    """

    edge: Edge
    provider: str
    wanted: ImportedDll
    before: Request | None = None

    @property
    def delayed(self) -> bool:
        return self.edge.kind is EdgeKind.DELAY

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names, and the ordinals as `#5`."""
        return (*self.wanted.symbols, *(f"#{number}" for number in self.wanted.ordinals))

    @property
    def via(self) -> tuple[str, ...]:
        """The DLLs that forward to this one, the first asked first."""
        return (*self.before.via, self.before.provider) if self.before is not None else ()


@dataclass
class Lack:
    """What one DLL of the dist lacks, and who asks for it."""

    provider: str
    symbols: dict[str, None] = field(default_factory=dict)
    requests: dict[Edge, Request] = field(default_factory=dict)


def check_symbols(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL of the dist that lacks a symbol; of Windows' own DLLs nothing is claimed.

    Windows then ends the load with error 127. A delay-loaded symbol is looked for at the first call: exception
    0xC06D007F. Source: Microsoft Learn, "Error handling and notification" of delay-loaded DLLs
    https://learn.microsoft.com/cpp/build/reference/error-handling-and-notification
    """
    asked = tuple(requests(closure))
    for lack in lacks(closure, asked):
        rows = surest_first(closure.graph, lack.requests)
        if rows:
            yield _finding(closure, lack, lack.requests[rows[0][1]])
    yield from _unreadable(closure, asked)


def requests(closure: Closure) -> Iterator[Request]:
    """Yield what is taken from each DLL of the dist, by those that import it and by forwarders that lead to it."""
    hosts: _Hosts = {}
    for edge in closure.graph.edges():
        if edge.kind is EdgeKind.FORWARD:
            hosts.setdefault((edge.source.name, fold(dll_file_name(edge.asked))), []).append(edge.target)
    for edge in closure.graph.edges():
        if edge.kind not in (EdgeKind.STATIC, EdgeKind.DELAY) or edge.target.kind is not NodeKind.IMAGE:
            continue
        wanted = closure.world.images.imported(edge.source.name).get(fold(dll_file_name(edge.asked)))
        todo = [Request(edge, edge.target.name, wanted)] if wanted is not None else []
        for _ in range(_LONGEST_FORWARDING):
            yield from todo
            todo = [further for request in todo for further in _forwarded(closure, request, hosts)]


def lacks(closure: Closure, asked: Iterable[Request]) -> tuple[Lack, ...]:
    """Return what is lacking, by the DLL that lacks it: static imports and delayed ones apart."""
    found: dict[tuple[str, bool], Lack] = {}
    for request in asked:
        exports = exports_of(closure, request.provider)
        missing = [name for name in request.symbols if not exported(exports, name)] if exports is not None else []
        if missing:
            lack = found.setdefault((request.provider, request.delayed), Lack(request.provider))
            lack.symbols.update(dict.fromkeys(missing))
            lack.requests.setdefault(request.edge, request)
    return tuple(found.values())


def exports_of(closure: Closure, path: str) -> Exports | None:
    """Return the exports of a DLL that the program can load, None if it is no such or they cannot be read."""
    image = closure.world.images.at(path)
    return closure.world.images.exports(path) if isinstance(image, Image) and closure.world.images.fits(image) else None


def exported(exports: Exports, symbol: str) -> bool:
    """Return True if a name, or an ordinal as `#5`, is among the exports."""
    return int(symbol[1:]) in exports.ordinals if symbol.startswith("#") else symbol in exports.names


def _forwarded(closure: Closure, request: Request, hosts: _Hosts) -> Iterator[Request]:
    for wanted in closure.world.images.forwarded(request.provider, request.wanted):
        met = hosts.get((request.provider, fold(dll_file_name(wanted.name))), [])
        host = met[0] if len(met) == 1 else _host_of(closure, request.edge, wanted.name, met)
        if host is not None and host.kind is NodeKind.IMAGE:
            yield Request(request.edge, host.name, wanted, request)


def _host_of(closure: Closure, edge: Edge, asked: str, met: list[Node]) -> Node | None:
    """Return which of the hosts that loads of one forwarding DLL led to is that of this importer, None if unclear.

    A host is searched as the importer's imports are: from the folder of the file asked for, then the program's.
    """
    chain = closure.graph.chain(edge.source)
    roots = [step.target.name for step in chain if step.kind in (EdgeKind.FILE, EdgeKind.LOAD)]
    folder = parent(roots[-1]) if roots else ""
    places = (Place(PlaceKind.DLL_LOAD_DIR, folder), Place(PlaceKind.APPLICATION))
    path = resolve(asked, places, {}, closure.world.tree, closure.world.system).path
    return next((node for node in met if node.kind is NodeKind.IMAGE and fold(node.name) == fold(path)), None)


def _finding(closure: Closure, lack: Lack, request: Request) -> Finding:
    edge = request.edge
    strength = closure.graph.edge_strength(edge)
    sure = strength if strength is not None else edge.strength
    return finding(
        "missing-symbol",
        fold(base_name(lack.provider)),
        _message(closure, lack, request),
        severity=Severity.WARNING if request.delayed else severity_of(sure),
        confidence=confidence_of(sure),
        locations=(Location(lack.provider), *locations_of(lack.requests)),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), *request.via, lack.provider),
        identity=lack.provider + ("\0delayed" if request.delayed else ""),
    )


def _message(closure: Closure, lack: Lack, request: Request) -> str:
    importer, verb = request.edge.source.name, phrase("delay-loads") if request.delayed else phrase("imports")
    provider = lack.provider + version_words(closure, lack.provider)
    if request.before is None:
        return phrase(
            "{importer} {verb} {listed} from it, and {provider} has no such export",
            importer=importer,
            verb=verb,
            listed=_listed(list(lack.symbols)),
            provider=provider,
        )
    exports = exports_of(closure, lack.provider)
    missing = [name for name in request.symbols if exports is None or not exported(exports, name)]
    asked = _listed([_asked(closure, request, name) for name in missing])
    return phrase(
        "{importer} {verb} {asked} from {via}, which forwards that to {listed} of {provider}, and there "
        "is no such export",
        importer=importer,
        verb=verb,
        asked=asked,
        via=request.via[0],
        listed=_listed(missing),
        provider=provider,
    )


def _listed(names: list[str]) -> str:
    more = phrase(" and {number} more", number=len(names) - _SHOWN) if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _asked(closure: Closure, request: Request, symbol: str) -> str:
    """Return under which name the importer asks for what forwarders turned into `symbol`."""
    before = request.before
    exports = closure.world.images.exports(before.provider) if before is not None else None
    if before is None or exports is None:
        return symbol
    for forwarder in exports.forwarders:
        if forwarder.target != f"{request.wanted.name}.{symbol}":
            continue
        for name in (forwarder.name, f"#{forwarder.ordinal}"):
            if name in before.symbols:
                return _asked(closure, before, name)
    return symbol


def _unreadable(closure: Closure, asked: Iterable[Request]) -> Iterator[Finding]:
    """Yield a finding for each DLL whose exports somebody asks for and that cannot be read."""
    told: set[str] = set()
    for request in asked:
        path = request.provider
        image, entry = closure.world.images.at(path), closure.world.tree.file(path)
        if path in told or entry is None or not isinstance(image, Image) or not closure.world.images.fits(image):
            continue
        told.add(path)
        node = Node(NodeKind.IMAGE, path)
        problem = closure.world.facts.export_problem(entry)
        if problem and closure.graph.strength(node) is not None:
            importer = request.edge.source.name
            yield finding(
                "not-looked-at",
                path,
                phrase(
                    "{path}: {problem}; whether it has what {importer} takes from it is unknown",
                    path=path,
                    problem=problem,
                    importer=importer,
                ),
                locations=(Location(path),),
                chain=chain_texts(closure.graph.chain(node), closure.graph.root),
            )
