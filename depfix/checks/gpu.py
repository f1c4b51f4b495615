"""DF113 incomplete-gpu-runtime and DF114 unlinked-backend: whether the part of a program that uses a GPU is whole.

Each missing DLL has a finding of its own; here stands what they mean together, which package brings each, what the
driver brings, and whether the program runs without a GPU.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import EdgeKind, Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.uses import Strength
from depfix.knowledge.families import Backend, Gpu, backends, gpus
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import base_name, dll_file_name, fold
from depfix.model.source import PYTHON
from depfix.wording.message import counted, joined, phrase, tabled

_MOST_LOCATIONS = 20
_MOST_NAMED = 12
_BY_NAME = (EdgeKind.FAMILY, EdgeKind.NAMED, EdgeKind.LOAD)


@dataclass(slots=True)
class _Need:
    """Who needs one DLL, and whether that one is loaded only with it."""

    users: list[str] = field(default_factory=list)
    is_static: bool = False


def check_gpu(closure: Closure, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield what a program for a GPU lacks, what of the driver was copied, what it needs of the driver.

    `found` is what the other checks say: of a single DLL that one of them tells of, nothing more is to be said.
    """
    told = {one.subject for one in found if one.severity is not Severity.INFO}
    for gpu in gpus():
        needs = _needs(closure, gpu)
        present = {fold(entry.name) for entry in closure.world.tree.images() if gpu.has(fold(entry.name))}
        if not needs and not present:
            continue
        release = gpu.release_of([*needs, *present])
        missing = {name: need for name, need in needs.items() if not closure.world.tree.named(name)}
        if len(missing) > 1 or not missing.keys() <= told:
            yield _incomplete(closure, gpu, missing, release)
        yield from _copied_driver(closure, gpu)
        user = _driver_user(closure.world, gpu) if present else ""
        if user:
            yield _driver(gpu, user, release)


def _needs(closure: Closure, gpu: Gpu) -> dict[str, _Need]:
    """Return by name the libraries that images of the dist import, or surely load by name."""
    world = closure.world
    found: dict[str, _Need] = {}
    for entry in world.tree.images():
        image = world.facts.image(entry)
        if not isinstance(image, Image) or not world.images.fits(image):
            continue
        for asked in (*image.imports, *image.delay_imports):
            name = fold(dll_file_name(asked))
            if gpu.has(name):
                need = found.setdefault(name, _Need())
                need.users.append(entry.path)
                need.is_static |= asked in image.imports
    for edge in closure.graph.edges():
        name = edge.target.name
        of_family = edge.kind is EdgeKind.FAMILY or (bool(edge.note) and edge.strength >= Strength.PROBABLE)
        if edge.target.kind is NodeKind.MISSING and edge.kind in _BY_NAME and of_family and gpu.has(name):
            found.setdefault(name, _Need()).users.append(edge.source.name)
    return found


def _incomplete(closure: Closure, gpu: Gpu, missing: dict[str, _Need], release: str) -> Finding:
    names = list(missing)
    users = list(dict.fromkeys(user for need in missing.values() for user in need.users))
    words = joined(
        ", ",
        (
            phrase("{name} ({brought_by})", name=name, brought_by=_brought_by(closure, gpu, name, release))
            for name in names[:_MOST_NAMED]
        ),
    )
    more = phrase(" and {number} more", number=len(names) - _MOST_NAMED) if len(names) > _MOST_NAMED else ""
    who = phrase("{user} for {titled} needs", user=users[0], titled=_titled(gpu, release))
    if len(users) > 1:
        who = counted(
            len(users) - 1,
            "{user} and {number} more file for {titled} need",
            "{user} and {number} more files for {titled} need",
            user=users[0],
            titled=_titled(gpu, release),
        )
    severity, effect, chain = _effect(closure, missing, users)
    return finding(
        "incomplete-gpu-runtime",
        names[0],
        phrase(
            "{who} what is not in the dist: {words}{more}; {effect}",
            who=who,
            words=words,
            more=more,
            effect=effect,
        ),
        severity=severity,
        confidence=Confidence.CERTAIN if any(need.is_static for need in missing.values()) else Confidence.PROBABLE,
        locations=tuple(Location(user) for user in users[:_MOST_LOCATIONS]),
        chain=(*chain, names[0]),
        identity=f"{gpu.key}\0missing",
    )


def _titled(gpu: Gpu, release: str) -> str:
    return phrase("{gpu} {release}", gpu=tabled(gpu.words), release=release) if release else tabled(gpu.words)


def _brought_by(closure: Closure, gpu: Gpu, name: str, release: str) -> str:
    for environment in closure.world.supply.environments:
        for candidate in environment.find(name):
            owner = candidate.owner
            return (
                phrase("{owner} has it", owner=owner)
                if owner is not None and owner.name != PYTHON
                else phrase("it is in {environment}", environment=environment.info.spec)
            )
    package = gpu.package_of(name, release)
    return (
        phrase("{package} brings it", package=package)
        if package
        else phrase("it is part of {titled}", titled=_titled(gpu, release))
    )


def _effect(
    closure: Closure, missing: dict[str, _Need], users: list[str]
) -> tuple[Severity | None, str, tuple[str, ...]]:
    """Return (how bad it is, what happens, the chain to who suffers): a load that fails, or a GPU that is not used."""
    nodes = [Node(NodeKind.IMAGE, user) for user in users]
    reached = [(closure.graph.strength(node), node) for node in nodes]
    static = {user for need in missing.values() if need.is_static for user in need.users}
    for strength, node in reached:
        if strength is not None and strength >= Strength.PROBABLE:
            chain = chain_texts(closure.graph.chain(node), closure.graph.root)
            if node.name in static:
                return (
                    None,
                    phrase("without them {node} does not load, on machines without a GPU either", node=node.name),
                    chain,
                )
            return (
                None,
                phrase("without them what {node} does on the GPU fails when it is first used", node=node.name),
                chain,
            )
    if any(strength is not None for strength, _ in reached):
        return (
            None,
            phrase("it is loaded when the GPU is asked for; the program then computes on the processor or fails"),
            (),
        )
    return Severity.INFO, phrase("nothing that depfix can see loads these files"), ()


# --- the driver ---


def _driver_user(world: World, gpu: Gpu) -> str:
    """Return a library that loads a DLL of the driver by name; who imports one has a finding of its own (DF108)."""
    entries = [entry for entry in world.tree.images() if gpu.has(fold(entry.name))]
    for entry in sorted(entries, key=lambda entry: entry.size):  # the largest have some 100 MB of data to look through
        if not set(gpu.driver).isdisjoint(world.facts.dll_names(entry)):
            return entry.path
    return ""


def _driver(gpu: Gpu, user: str, release: str) -> Finding:
    since = gpu.driver_since.get(release, "")
    newer = (
        phrase(", release {since} or newer for {titled}", since=since, titled=_titled(gpu, release)) if since else ""
    )
    name = gpu.driver[0]
    return finding(
        "incomplete-gpu-runtime",
        name,
        phrase(
            "{user} loads {name} by name: it comes with {driver}{newer} and must not be carried along; "
            "where it is absent the program starts and finds no device, so that it computes on the processor "
            "if it asks first",
            user=user,
            name=name,
            driver=tabled(gpu.driver_words),
            newer=newer,
        ),
        severity=Severity.INFO,
        locations=(Location(user),),
        chain=(user, name),
        identity=f"{gpu.key}\0driver",
    )


def _copied_driver(closure: Closure, gpu: Gpu) -> Iterator[Finding]:
    for name in gpu.driver:
        for entry in closure.world.tree.named(name):
            yield finding(
                "incomplete-gpu-runtime",
                name,
                phrase(
                    "{path} is a part of {driver}, copied from the machine that built the dist: beside the "
                    "driver of another machine it does not work; delete it, and let the driver there bring its own",
                    path=entry.path,
                    driver=tabled(gpu.driver_words),
                ),
                locations=(Location(entry.path),),
                chain=(entry.path,),
                identity=entry.path,
            )


# --- backends that nothing loads ---


def check_backends(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL that registers a backend when it is loaded, if its host is loaded and it is not.

    Of a program with Python nothing is said: its packages load their DLLs by code.
    """
    if closure.world.dist.python is not None:
        return
    for backend in backends():
        host = next(_reached(closure, backend.host), None)
        if host is None:
            continue
        found = closure.world.tree.named(backend.backend)
        if found and not any(_is_loaded(closure, entry, backend) for entry in found):
            yield _unlinked(closure, backend, host, found[0])
        elif not found:
            yield from _offered(closure, backend, host)


def _reached(closure: Closure, pattern: str) -> Iterator[Node]:
    for node in closure.graph.nodes():
        if node.kind is NodeKind.IMAGE and (closure.graph.strength(node) or Strength.POSSIBLE) >= Strength.PROBABLE:
            if re.fullmatch(pattern, fold(base_name(node.name))):
                yield node


def _is_loaded(closure: Closure, entry: FileEntry, backend: Backend) -> bool:
    """Return True if anything but its own host, which only may, loads a backend."""
    for edge in closure.graph.edges_to(Node(NodeKind.IMAGE, entry.path)):
        by_host = re.fullmatch(backend.host, fold(base_name(edge.source.name))) is not None
        if edge.kind is not EdgeKind.NAMED or not by_host:
            return True
    return False


def _unlinked(closure: Closure, backend: Backend, host: Node, entry: FileEntry) -> Finding:
    return finding(
        "unlinked-backend",
        fold(entry.name),
        phrase(
            "{path} ({backend}) is in the dist, and nothing loads it: {host} does not by itself; so {effect}; {cure}",
            path=entry.path,
            backend=tabled(backend.words),
            host=host.name,
            effect=tabled(backend.effect),
            cure=tabled(backend.cure),
        ),
        confidence=Confidence.PROBABLE,
        locations=(Location(entry.path), Location(host.name)),
        chain=(*chain_texts(closure.graph.chain(host), closure.graph.root), entry.path),
        identity=entry.path,
    )


def _offered(closure: Closure, backend: Backend, host: Node) -> Iterator[Finding]:
    """Yield what an environment has besides the host that was taken from it, and that the dist is without."""
    name = backend.backend
    for environment in closure.world.supply.environments:
        if not environment.find(name) or not environment.find(base_name(host.name)):
            continue
        yield finding(
            "unlinked-backend",
            name,
            phrase(
                "{environment} has {name} ({backend}) with {host}, and the dist is without it: {effect}; to have "
                "it, {cure}, and scan again",
                environment=environment.info.spec,
                name=name,
                backend=tabled(backend.words),
                host=base_name(host.name),
                effect=tabled(backend.effect),
                cure=tabled(backend.cure),
            ),
            severity=Severity.INFO,
            confidence=Confidence.POSSIBLE,
            locations=(Location(host.name),),
            identity=environment.info.root,
        )
