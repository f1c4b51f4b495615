"""DF205 abi-mismatch: extension modules for another Python than that of the dist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.distributions import Present, path_in_dist, records_of
from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.python_abi import dll_misfit, forwarding_misfit, image_misfit, tag_misfit, wheel_misfit
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.uses import Strength
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import base_name, fold
from depfix.wording.message import phrase

NAME = "abi-mismatch"
_MOST_LOCATIONS = 20
_BY_TABLE = (EdgeKind.STATIC, EdgeKind.DELAY, EdgeKind.FORWARD)


def check_abi(closure: Closure, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield a finding for each image that needs another Python, and for what lies there for another one unused.

    `found` are the findings of the other checks: of a file that a module is missed for nothing more is said.
    """
    python = closure.world.dist.python
    if python is None:
        return
    told = {fold(place.path) for one in found if one.name == NAME for place in one.locations}
    for node in closure.graph.nodes():
        reason = _reason(closure.world, node.name) if node.kind is NodeKind.IMAGE else ""
        strength = closure.graph.strength(node)
        if reason and strength is not None:
            told.add(fold(node.name))
            yield _loaded(closure, node, strength, reason)
    yield from _idle(closure, told)
    for present in closure.world.distributions:
        yield from _wheel(closure, present, told)


def is_another_python(world: World, edge: Edge) -> bool:
    """Return True if an image imports a Python DLL that is not the dist's: this rule speaks of it, not that one."""
    python = world.dist.python
    is_image = edge.source.kind is NodeKind.IMAGE
    return python is not None and is_image and edge.kind in _BY_TABLE and bool(dll_misfit(python, edge.asked))


def needs_another_python(world: World, name: str) -> bool:
    """Return True for the name of a Python DLL that is not the dist's."""
    return world.dist.python is not None and bool(dll_misfit(world.dist.python, name))


def unimportable_words(world: World, where: str, name: str, foreign: FileEntry) -> str:
    """Return what is said of a module whose only file is for another Python."""
    reason = tag_misfit(world.dist.python, world.dist.machine, foreign.name)
    return phrase(
        "{where} imports {name}, which is as good as missing: {foreign} is for another Python; {reason}",
        where=where,
        name=name,
        foreign=foreign.path,
        reason=reason,
    )


def _reason(world: World, path: str) -> str:
    image = world.images.at(path)
    if not isinstance(image, Image) or not world.images.fits(image):
        return ""
    own = world.dist.python
    name = base_name(path)
    return image_misfit(own, image) or forwarding_misfit(
        own, name, world.images.exports(path) if _is_stable(name) else None
    )


def _is_stable(name: str) -> bool:
    return fold(name) == "python3.dll"


def _loaded(closure: Closure, node: Node, strength: Strength, reason: str) -> Finding:
    edges = [edge for _, edge in surest_first(closure.graph, closure.graph.edges_to(node))]
    return finding(
        NAME,
        fold(base_name(node.name)),
        phrase("{node} is for another Python: {reason}", node=node.name, reason=reason),
        severity=severity_of(strength),
        confidence=confidence_of(strength),
        locations=(Location(node.name), *locations_of(edges)),
        chain=chain_texts(closure.graph.chain(node), closure.graph.root),
        identity=node.name,
    )


def _idle(closure: Closure, told: set[str]) -> Iterator[Finding]:
    """Yield one finding for each package with files for another Python that nothing is seen to load."""
    world = closure.world
    by_top: dict[str, list[tuple[str, str]]] = {}
    for entry in world.tree:
        if not fold(entry.path).endswith((".pyd", ".dll")) or fold(entry.path) in told:
            continue
        reason = tag_misfit(world.dist.python, world.dist.machine, entry.name) or _reason(world, entry.path)
        if reason:
            by_top.setdefault(_top(world, entry.path), []).append((entry.path, reason))
    for top, rows in by_top.items():
        told.update(fold(path) for path, _ in rows)
        path, reason = rows[0]
        more = phrase(" (and {number} more files of it)", number=len(rows) - 1) if len(rows) > 1 else ""
        yield finding(
            NAME,
            fold(top),
            phrase(
                "{path}{more} is for another Python, and nothing that depfix can see loads it: {reason}",
                path=path,
                more=more,
                reason=reason,
            ),
            severity=Severity.INFO,
            confidence=Confidence.POSSIBLE,
            locations=tuple(Location(path) for path, _ in rows[:_MOST_LOCATIONS]),
            identity=f"{top}\0idle",
        )


def _top(world: World, path: str) -> str:
    """Return the package at the top of a search path that a file belongs to, its own name if it is in none."""
    roots = [root for root in world.dist.layout.search_path if not root or fold(path).startswith(f"{fold(root)}/")]
    longest = max(map(len, roots), default=0)
    inner = path[longest + 1 :] if longest else path
    return inner.partition("/")[0]


def _wheel(closure: Closure, present: Present, told: set[str]) -> Iterator[Finding]:
    """Yield a finding for a distribution whose wheel was for another Python, if no file of it has told so."""
    world = closure.world
    reason = wheel_misfit(world.dist.python, world.dist.machine, present.tags)
    if not reason:
        return
    files = [path_in_dist(present, row) for row in records_of(world.tree, world.facts, present)]
    modules = [path for path in files if fold(path).endswith(".pyd")]
    if any(fold(path) in told for path in modules):
        return
    wheel = f"{present.folder}/WHEEL"
    yield finding(
        NAME,
        present.key,
        phrase(
            "{present} was installed from a wheel that does not fit: {reason} ({wheel})",
            present=present,
            reason=reason,
            wheel=wheel,
        ),
        severity=Severity.WARNING if modules else Severity.INFO,
        confidence=Confidence.PROBABLE if modules else Confidence.POSSIBLE,
        locations=(Location(wheel),),
        identity=wheel,
    )
