"""DF104 missing-symbol: the DLL that will be loaded lacks a name or ordinal that its importer takes from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first, version_words
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.model.finding import Finding, Location, Severity
from depfix.model.image import Image, ImportedDll
from depfix.model.names import base_name, dll_file_name, fold

_SHOWN = 3
_LONGEST_FORWARDING = 8


@dataclass
class Lack:
    """What one DLL of the dist lacks, and who asks for it."""

    provider: str
    symbols: dict[str, None] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


def check_symbols(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL of the dist that lacks a symbol; of Windows' own DLLs nothing is claimed.

    Windows then ends the load with error 127. A delay-loaded symbol is looked for at the first call: exception
    0xC06D007F. Source: Microsoft Learn, "Error handling and notification" of delay-loaded DLLs
    https://learn.microsoft.com/cpp/build/reference/error-handling-and-notification
    """
    for lack in lacks(closure):
        rows = surest_first(closure.graph, lack.edges)
        if rows:
            yield _finding(closure, lack, rows[0][1])


def lacks(closure: Closure) -> tuple[Lack, ...]:
    """Return what is lacking, by the DLL that lacks it: static imports and delayed ones apart."""
    found: dict[tuple[str, bool], Lack] = {}
    hosts = {
        (edge.source.name, fold(dll_file_name(edge.asked))): edge.target
        for edge in closure.graph.edges()
        if edge.kind is EdgeKind.FORWARD
    }
    for edge in closure.graph.edges():
        if edge.kind not in (EdgeKind.STATIC, EdgeKind.DELAY) or edge.target.kind is not NodeKind.IMAGE:
            continue
        wanted = closure.world.imported(edge.source.name).get(fold(dll_file_name(edge.asked)))
        for provider, symbol in _lacking(closure, edge.target.name, wanted, hosts):
            delayed = edge.kind is EdgeKind.DELAY
            lack = found.setdefault((provider, delayed), Lack(provider))
            lack.symbols[symbol] = None
            if edge not in lack.edges:
                lack.edges.append(edge)
    return tuple(found.values())


def _lacking(
    closure: Closure, provider: str, wanted: ImportedDll | None, hosts: dict[tuple[str, str], Node]
) -> Iterator[tuple[str, str]]:
    """Yield (DLL, symbol) for what is lacking there, or behind a forwarder of it."""
    todo = [(provider, wanted)] if wanted is not None else []
    for _ in range(_LONGEST_FORWARDING):
        further: list[tuple[str, ImportedDll]] = []
        for path, asked in todo:
            image, exports = closure.world.image(path), closure.world.exports(path)
            if not isinstance(image, Image) or not closure.world.fits(image) or exports is None:
                continue
            yield from ((path, name) for name in asked.symbols if name not in exports.names)
            yield from ((path, f"#{number}") for number in asked.ordinals if number not in exports.ordinals)
            for host in closure.world.forwarded(path, asked):
                target = hosts.get((path, fold(dll_file_name(host.name))))
                if target is not None and target.kind is NodeKind.IMAGE:
                    further.append((target.name, host))
        todo = further


def _finding(closure: Closure, lack: Lack, edge: Edge) -> Finding:
    strength = closure.graph.edge_strength(edge)
    sure = strength if strength is not None else edge.strength
    delayed = edge.kind is EdgeKind.DELAY
    names = list(lack.symbols)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    version = version_words(closure, lack.provider)
    what = "delay-loads" if delayed else "imports"
    asked = f"{edge.source.name} {what} {', '.join(names[:_SHOWN])}{more} from it"
    return finding(
        "missing-symbol",
        fold(base_name(lack.provider)),
        f"{asked}, and {lack.provider}{version} has no such export",
        severity=Severity.WARNING if delayed else severity_of(sure),
        confidence=confidence_of(sure),
        locations=(Location(lack.provider), *locations_of(lack.edges)),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), lack.provider),
        identity=lack.provider + ("\0delayed" if delayed else ""),
    )
