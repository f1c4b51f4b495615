"""DF303: paths in code and configuration that only the machine has on which the program was built."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, needs_of, surest_first
from depfix.closure.bound import (
    DLL_DIRECTORY,
    LOADED,
    MODULES,
    ON_PATH,
    Owner,
    lies_below,
    own_extensions,
    owner_of,
    searched_folders,
)
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, Node, NodeKind, chain_texts
from depfix.closure.text_configurations import bound_configurations
from depfix.imports.uses import Strength
from depfix.knowledge.native_data import data_variables
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import fold
from depfix.wording.message import phrase

_MOST_LOCATIONS = 20
_OWNER_WORDS = {
    Owner.BUILD: phrase("which belongs to the machine that the program was built on"),
    Owner.SOFTWARE: phrase("which is there only where that software is installed"),
    Owner.NETWORK: phrase("which is on a server"),
    Owner.DRIVE: phrase("which other machines need not have"),
    Owner.ABOVE: phrase("which is outside the dist, and not shipped with it"),
}
_READ = "read"


def check_bound(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each path outside the dist that the program, or a package as it is imported, depends on."""
    for node, edges in needs_of(closure.graph, NodeKind.BOUND).items():
        rows = [row for row in surest_first(closure.graph, edges) if _is_told(closure, *row)]
        weighed = [(_severity(closure, node.name, strength, edge), strength, edge) for strength, edge in rows]
        told = sorted((row for row in weighed if row[0] is not None), key=lambda row: row[0].rank if row[0] else 9)
        if told and told[0][0] is not None:
            yield _finding(closure, node.name, told[0][0], told[0][1], [row[2] for row in told])
    yield from _configurations(closure)


def _configurations(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each text file of the dist that tells a library or Python an absolute path."""
    for found in bound_configurations(closure.world, closure.graph):
        yield finding(
            "machine-bound-path",
            found.entry.path,
            phrase(
                "{path}:{line} says {found}; {found2}",
                path=found.entry.path,
                line=found.line,
                found=found.text,
                found2=found.words,
            ),
            severity=Severity(found.severity),
            confidence=Confidence.PROBABLE if found.severity != "error" else Confidence.CERTAIN,
            locations=(Location(found.entry.path, found.line),),
            chain=(*chain_texts(closure.graph.chain(found.reader), closure.graph.root), found.entry.path)
            if found.reader is not None
            else (closure.graph.root.name, found.entry.path),
            identity="text",
        )


# --- who is told ---


def _is_told(closure: Closure, strength: Strength, edge: Edge) -> bool:
    """Return True for what the program's own code does, and what packages do whenever they are imported.

    Packages know where other software is installed, and ask for it first.
    """
    if closure.world.authorship.is_only_own(edge.source.name):
        return True
    sure = strength is Strength.REQUIRED and owner_of(edge.target.name) is Owner.BUILD
    return (sure and edge.asked in (DLL_DIRECTORY, LOADED)) or bool(edge.expected)


# --- how bad it is ---


def _severity(closure: Closure, path: str, strength: Strength, edge: Edge) -> Severity | None:
    """Return how bad a path is, None if it harms nobody."""
    if edge.asked == MODULES:
        return _of_modules(closure, edge)
    if edge.asked == DLL_DIRECTORY:
        return _of_directory(closure, path, strength, edge)
    if edge.asked == LOADED:
        return _lowered(_by_strength(strength), path)
    if edge.asked == ON_PATH:
        return None if owner_of(path) is Owner.ABOVE else Severity.INFO
    if edge.asked == _READ:
        return _lowered(_by_strength(strength), path)
    return _of_variable(closure, path, strength, edge)


def _by_strength(strength: Strength) -> Severity | None:
    if strength is Strength.REQUIRED:
        return Severity.ERROR
    return Severity.WARNING if strength is Strength.PROBABLE else None


def _lowered(severity: Severity | None, path: str) -> Severity | None:
    """Return a severity as it is for what surely only the build machine has, a lower one for what others may have."""
    if severity is None or owner_of(path) is Owner.BUILD:
        return severity
    if severity is Severity.ERROR:
        return Severity.WARNING
    return Severity.INFO


def _of_modules(closure: Closure, edge: Edge) -> Severity | None:
    """A folder of sys.path that is not there is passed over; a package that has its extension module there is lost."""
    module = edge.source.name
    if not edge.expected:
        return Severity.INFO
    lie = own_extensions(closure.world, module)
    searched = {fold(folder) for folder in searched_folders(closure.world, module)}
    if any(fold(entry.path.rpartition("/")[0]) in searched for entry in lie):
        return None  # another folder of the list has it
    return Severity.ERROR if lie and edge.strength is Strength.REQUIRED else Severity.WARNING


def _of_directory(closure: Closure, path: str, strength: Strength, edge: Edge) -> Severity | None:
    """os.add_dll_directory raises FileNotFoundError; where that is caught, the DLLs that lie there may be missed."""
    if strength >= Strength.PROBABLE:
        return _lowered(_by_strength(strength), path)
    if owner_of(path) in (Owner.ABOVE, Owner.SOFTWARE):
        return None  # wheels name such folders in case, and what they lack is told by itself
    return Severity.WARNING if _misses(closure, edge.source.name) else Severity.INFO


def _misses(closure: Closure, module: str) -> bool:
    """Return True if an image of a module's package needs a DLL that is not to be found."""
    top = closure.world.walker.find(module.partition(".")[0])
    folders = top.folders if top is not None else ()
    for node in closure.graph.nodes():
        of_windows = closure.world.system.absence(node.name) is not None
        if node.kind is NodeKind.MISSING and closure.graph.strength(node) is not None and not of_windows:
            for edge in closure.graph.edges_to(node):
                image = edge.source.kind is NodeKind.IMAGE
                if image and any(folder and lies_below(edge.source.name, folder) for folder in folders):
                    return True
    return False


def _of_variable(closure: Closure, path: str, strength: Strength, edge: Edge) -> Severity | None:
    """A variable that tells a library where its data are makes it pass over those of the dist."""
    if edge.asked in data_variables() and owner_of(path) is not Owner.ABOVE and strength > Strength.POSSIBLE:
        return Severity.WARNING
    return Severity.INFO if owner_of(path) is Owner.BUILD else None


# --- words ---


def _finding(closure: Closure, path: str, severity: Severity, strength: Strength, edges: list[Edge]) -> Finding:
    edge = edges[0]
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    place = f"{edge.path}:{edge.line}" if edge.path else edge.source.name
    steps = chain[:-1] if len(chain) > 1 and chain[-1] in (edge.source.name, edge.path) else chain
    return finding(
        "machine-bound-path",
        path,
        _message(path, place, edge),
        severity=severity,
        confidence=confidence_of(strength) if severity is not Severity.INFO else Confidence.PROBABLE,
        locations=tuple(dict.fromkeys(Location(one.path, one.line) for one in edges if one.path))[:_MOST_LOCATIONS],
        chain=(*steps, place, path) if place != steps[-1] else (*steps, path),
        identity=edge.expected or edge.asked,
    )


def _message(path: str, place: str, edge: Edge) -> str:
    whose = _OWNER_WORDS.get(owner_of(path), "")
    name = edge.source.name
    if edge.asked == MODULES and edge.expected:
        return phrase(
            "{place} lets {name} look for its extension module in {path}, {whose}; elsewhere its import fails",
            place=place,
            name=name,
            path=path,
            whose=whose,
        )
    if edge.asked == MODULES:
        return phrase(
            "{place} puts {path} on sys.path, {whose}; modules are not found there on other machines",
            place=place,
            path=path,
            whose=whose,
        )
    if edge.asked == DLL_DIRECTORY and edge.strength >= Strength.PROBABLE and not edge.expected:
        return phrase(
            "{place} gives {path} to the loader, {whose}; os.add_dll_directory raises FileNotFoundError without it",
            place=place,
            path=path,
            whose=whose,
        )
    if edge.asked in (DLL_DIRECTORY, ON_PATH):
        return phrase(
            "{place} lets DLLs be looked for in {path}, {whose}; what lies there is not found on other machines",
            place=place,
            path=path,
            whose=whose,
        )
    if edge.asked == LOADED:
        return phrase("{place} loads {path}, {whose}", place=place, path=path, whose=whose)
    if edge.asked == _READ:
        return phrase("{place} reads {path}, {whose}", place=place, path=path, whose=whose)
    return phrase(
        "{place} sets {asked} to {path}, {whose}; what reads that variable passes over the files of the dist",
        place=place,
        asked=edge.asked,
        path=path,
        whose=whose,
    )


def bound_edges(closure: Closure, path: str, identity: str) -> tuple[Edge, ...]:
    """Return the edges that a finding of a path is about."""
    node = Node(NodeKind.BOUND, path)
    return tuple(edge for edge in closure.graph.edges_to(node) if identity in (edge.expected, edge.asked))
