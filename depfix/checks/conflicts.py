"""DF109 conflicting-dll and DF110 duplicate-openmp: two DLLs of which a process can use only one."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, version_words
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind, Shadowed, chain_texts
from depfix.imports.uses import Strength
from depfix.knowledge.tables import vc_runtimes
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import base_name, fold
from depfix.wording.message import joined, phrase

# What only a runtime itself exports: the entry point that compilers call for a parallel region.
_OPENMP = {
    "__kmpc_fork_call": phrase("LLVM and Intel"),
    "_vcomp_fork": "Microsoft",
    "GOMP_parallel": "GNU",
}


def check_conflicts(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL name that leads two importers of one process to files with other content.

    The loader compares base names only: who asks for a name that is in the process gets that file. Source: Microsoft
    Learn, "Dynamic-link library search order", Factors that affect searching
    https://learn.microsoft.com/windows/win32/dlls/dynamic-link-library-search-order#factors-that-affect-searching
    """
    pairs: dict[tuple[str, str], list[Shadowed]] = {}
    for shadowed in closure.graph.shadowed:
        if closure.graph.strength(shadowed.importer) is not None:
            pairs.setdefault((shadowed.winner, shadowed.other), []).append(shadowed)
    for (winner, other), rows in pairs.items():
        if not _same_content(closure, winner, other) and not _newer_runtime(closure, winner, other):
            yield _conflict(closure, winner, other, rows)


def _same_content(closure: Closure, one: str, two: str) -> bool:
    """Return True for copies, and for one version that was only signed or packed twice."""
    facts = closure.world.facts
    first, second = closure.world.tree.file(one), closure.world.tree.file(two)
    if first is None or second is None or facts.same_content(first, second):
        return True
    old, new = facts.version(first), facts.version(second)
    return old is not None and old == new and facts.exports(first) == facts.exports(second)


def _newer_runtime(closure: Closure, winner: str, other: str) -> bool:
    """Return True if a DLL of the Visual C++ runtime wins over an older one of the same name and generation.

    The newest serves programs of every older toolset; what it lacks nevertheless shows as a missing symbol. Source:
    Microsoft Learn, "C++ binary compatibility between Visual Studio versions"
    https://learn.microsoft.com/cpp/porting/binary-compat-2015-2017
    """
    name = fold(base_name(winner))
    if name not in vc_runtimes() or vc_runtimes()[name].kind != "release":
        return False
    new, old = closure.world.tree.file(winner), closure.world.tree.file(other)
    first = closure.world.facts.version(new) if new is not None else None
    second = closure.world.facts.version(old) if old is not None else None
    if first is None or second is None or first.file_version[0] != second.file_version[0]:
        return False
    return first.file_version >= second.file_version


def _conflict(closure: Closure, winner: str, other: str, rows: list[Shadowed]) -> Finding:
    rows.sort(key=lambda row: (-(closure.graph.strength(row.importer) or Strength.POSSIBLE), row.importer.name))
    importer = rows[0].importer
    more = phrase(" (and {number} more)", number=len(rows) - 1) if len(rows) > 1 else ""
    first = chain_texts(closure.graph.chain(Node(NodeKind.IMAGE, winner)), closure.graph.root)
    by = phrase(", brought by {first}", first=first[-2]) if len(first) > 1 else ""
    return finding(
        "conflicting-dll",
        fold(base_name(winner)),
        phrase(
            "{importer}{more} gets {winner}{version}, which is in the process first{by}; its own search "
            "leads to {other}{version2}, which has other content",
            importer=importer.name,
            more=more,
            winner=winner,
            version=version_words(closure, winner),
            by=by,
            other=other,
            version2=version_words(closure, other),
        ),
        confidence=confidence_of(closure.graph.strength(importer) or Strength.POSSIBLE),
        locations=(Location(winner), Location(other)),
        chain=(*chain_texts(closure.graph.chain(importer), closure.graph.root), winner),
        identity=f"{winner}\0{other}",
    )


def check_openmp(closure: Closure, *, one_process: bool) -> Iterator[Finding]:
    """Yield a finding if two OpenMP runtimes are loaded; `one_process`: all that is reached runs in one process.

    Two copies of LLVM's or Intel's end the process with "OMP: Error #15"; runtimes of different makers live side by
    side, with threads of each. Source: LLVM, "OpenMP runtime library", __kmp_register_library_startup
    https://github.com/llvm/llvm-project/blob/main/openmp/runtime/src/kmp_runtime.cpp
    """
    found: dict[str, list[tuple[str, Strength]]] = {}
    for node in closure.graph.nodes():
        strength = closure.graph.strength(node)
        if node.kind is NodeKind.IMAGE and strength is not None and strength >= Strength.PROBABLE:
            maker = _openmp_maker(closure, node.name)
            if maker:
                found.setdefault(maker, []).append((node.name, strength))
    runtimes = [(maker, *row) for maker, rows in found.items() for row in rows]
    if len(runtimes) < 2:
        return
    twice = next((rows for rows in found.values() if len(rows) > 1), [])
    told = [(path, strength) for path, strength in twice] or [(path, strength) for _, path, strength in runtimes]
    strength = min(row[1] for row in told)
    names = joined(phrase(" and "), (path for path, _ in told))
    effect = (
        phrase('which end a process that uses both with "OMP: Error #15"')
        if twice
        else phrase("each with threads of its own")
    )
    kind = (
        phrase("two copies of one OpenMP runtime")
        if twice
        else phrase("OpenMP runtimes of {found}", found=joined(phrase(" and "), found))
    )
    yield finding(
        "duplicate-openmp",
        fold(base_name(told[0][0])),
        phrase("{names}: {kind}, {effect}", names=names, kind=kind, effect=effect),
        severity=Severity.WARNING if twice else Severity.INFO,
        confidence=confidence_of(strength) if one_process else Confidence.POSSIBLE,
        locations=tuple(Location(path) for path, _ in told),
        chain=chain_texts(closure.graph.chain(Node(NodeKind.IMAGE, told[-1][0])), closure.graph.root),
        identity="\0".join(sorted(fold(path) for path, _ in told)),
    )


def _openmp_maker(closure: Closure, path: str) -> str:
    exports = closure.world.images.exports(path)
    if exports is None:
        return ""
    own = exports.names - {forwarder.name for forwarder in exports.forwarders}  # the rest is in another DLL
    return next((maker for symbol, maker in _OPENMP.items() if symbol in own), "")
