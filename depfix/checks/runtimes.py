"""DF107 for a Visual C++ runtime that is older than what was built for it, and DF112 debug-runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.imports.uses import Strength
from depfix.knowledge.tables import vc_runtimes
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import base_name, dll_file_name, fold
from depfix.wording.message import phrase

_NEEDS = frozenset((EdgeKind.STATIC, EdgeKind.DELAY, EdgeKind.LOAD))
_DEBUG_PYTHON = re.compile(r"python3\d*t?_d\.dll")
_GENERATION = 14  # toolsets 14.0 (Visual Studio 2015) and later share their runtime; older ones have their own names
_LAZY_MUTEX = 40  # from 14.40 on a std::mutex is not initialised by a call, and only msvcp140 14.40 can lock such a one


def check_runtimes(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each runtime DLL of the dist that is older than a dependant's toolset, or a debug one.

    "The Redistributable your app uses has the same binary-compatibility restriction: it must be at least as recent as
    the latest toolset used by any app component." Source: Microsoft Learn, "C++ binary compatibility between Visual
    Studio versions" https://learn.microsoft.com/cpp/porting/binary-compat-2015-2017
    """
    users: dict[Node, list[Edge]] = {}
    for edge in closure.graph.edges():
        if edge.target.kind is NodeKind.IMAGE and edge.kind in _NEEDS:
            name = fold(base_name(edge.target.name))
            if name in vc_runtimes() or is_debug(closure.world, name):
                users.setdefault(edge.target, []).append(edge)
    for node, edges in users.items():
        if is_debug(closure.world, fold(base_name(node.name))):
            rows = surest_first(closure.graph, edges)
            if rows:
                yield _debug(closure, node, rows)
        else:
            yield from _too_old(closure, node, users_of(closure, node))


def users_of(closure: Closure, runtime: Node) -> list[tuple[Strength, Edge]]:
    """Return who is linked to a DLL, surest first."""
    edges = [edge for edge in closure.graph.edges_to(runtime) if edge.kind in (EdgeKind.STATIC, EdgeKind.DELAY)]
    return surest_first(closure.graph, edges)


def newest_toolset(closure: Closure, runtime: Node) -> int:
    """Return the minor version of the newest toolset 14.x that linked a user of a runtime DLL, 0 if none is known."""
    return max((_toolset(closure, edge) or 0 for _, edge in users_of(closure, runtime)), default=0)


def is_debug(world: World, name: str) -> bool:
    """Return True for a DLL of the debug runtime, and for a debug Python's, which is linked to that.

    A program that is itself of a debug build needs its Python DLL: of that one nothing is said.
    """
    if name in vc_runtimes():
        return vc_runtimes()[name].kind == "debug"
    python = world.dist.python
    return bool(_DEBUG_PYTHON.fullmatch(name)) and (python is None or fold(base_name(python.path)) != name)


def _debug(closure: Closure, node: Node, rows: list[tuple[Strength, Edge]]) -> Finding:
    """Weigh a debug runtime that is there as `checks.missing` weighs one that is not."""
    weighed = [(*_weight_of_debug(strength, edge), edge) for strength, edge in rows]
    severity, confidence, edge = min(weighed, key=lambda row: (row[0].rank, row[2].kind is not EdgeKind.STATIC))
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    place = (f"{edge.path}:{edge.line}",) if edge.kind is EdgeKind.LOAD and edge.path else ()
    return finding(
        "debug-runtime",
        fold(base_name(node.name)),
        phrase(
            "{path} {kind} the debug runtime {node}, which nobody may ship: build it in release mode",
            path=edge.path or edge.source.name,
            kind=edge.kind.words,
            node=node.name,
        ),
        severity=severity,
        confidence=confidence,
        locations=locations_of(edge for _, edge in rows),
        chain=(*chain, *place, node.name),
        identity=node.name,
    )


def _weight_of_debug(strength: Strength, edge: Edge) -> tuple[Severity, Confidence]:
    if edge.kind is EdgeKind.LOAD and edge.strength is not Strength.REQUIRED:
        return Severity.INFO, Confidence.POSSIBLE  # such code copes, or may never run
    if edge.kind is EdgeKind.DELAY:
        return Severity.WARNING, confidence_of(strength)
    return severity_of(strength), confidence_of(strength)


def _too_old(closure: Closure, node: Node, rows: list[tuple[Strength, Edge]]) -> Iterator[Finding]:
    entry = closure.world.tree.file(node.name)
    version = closure.world.facts.version(entry) if entry is not None else None
    if version is None or version.file_version[0] != _GENERATION:
        return
    minor = version.file_version[1]
    newer = [(strength, edge) for strength, edge in rows if (_toolset(closure, edge) or 0) > minor]
    if not newer:
        return
    broken = [row for row in newer if minor < _LAZY_MUTEX and _locks_lazily(closure, row[1])]
    strength, edge = (broken or newer)[0]
    name = fold(base_name(node.name))
    toolset = max(_toolset(closure, row[1]) or 0 for row in newer)
    effect = phrase("; its mutexes crash in it") if broken else ""
    severity, confidence = _weight(name, strength, bool(broken))
    yield finding(
        "missing-vc-runtime",
        name,
        phrase(
            "{node} is of toolset {generation}.{minor}, older than {generation}.{toolset} that linked {source}{effect}",
            node=node.name,
            generation=_GENERATION,
            minor=minor,
            toolset=toolset,
            source=edge.source.name,
            effect=effect,
        ),
        severity=severity,
        confidence=confidence,
        locations=(Location(node.name), *locations_of(row[1] for row in newer)),
        chain=(*chain_texts(closure.graph.chain(edge.source), closure.graph.root), node.name),
        identity=f"{node.name}\0too old",
    )


def _weight(name: str, strength: Strength, broken: bool) -> tuple[Severity, Confidence]:
    if broken:
        return severity_of(strength), confidence_of(strength)
    if name.startswith("vcruntime"):
        return Severity.INFO, Confidence.POSSIBLE  # a C interface: what it lacks shows as a missing symbol
    return Severity.WARNING, confidence_of(min(strength, Strength.PROBABLE))


def _toolset(closure: Closure, edge: Edge) -> int | None:
    """Return the minor version of the toolset that linked an importer, None if it was not Microsoft's linker."""
    image = closure.world.images.at(edge.source.name)
    if not isinstance(image, Image) or not image.by_msvc or image.linker[0] != _GENERATION:
        return None
    return image.linker[1]


def _locks_lazily(closure: Closure, edge: Edge) -> bool:
    """Return True if an importer locks mutexes that it never initialises by a call.

    Source: Microsoft STL changelog, "VS 2022 17.10": fixed mutex's constructor to be constexpr
    https://github.com/microsoft/STL/wiki/Changelog
    """
    wanted = closure.world.images.imported(edge.source.name).get(fold(dll_file_name(edge.asked)))
    if wanted is None or (_toolset(closure, edge) or 0) < _LAZY_MUTEX:
        return False
    names = set(wanted.symbols)
    return "_Mtx_lock" in names and not names & {"_Mtx_init_in_situ", "_Mtx_init"}
