"""DF206 version-conflict: distributions that do not do for each other, by their metadata or by their machine code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from depfix.checks.findings import confidence_of, finding, severity_of
from depfix.closure.build import Closure
from depfix.closure.c_api import Offer, c_api_misfit, needed, offered
from depfix.closure.distributions import Present
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.env.requirements import full_version, requirements, target_markers
from depfix.imports.uses import Strength
from depfix.knowledge.c_apis import CApi, c_apis
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import fold, normalised
from depfix.pe.c_api import CApiVersion
from depfix.wording.message import phrase

_NAME = "version-conflict"
_MOST_LOCATIONS = 20


def check_versions(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each requirement that the dist holds in another version, and for each C interface."""
    yield from _requirements(closure)
    for api in c_apis():
        offer = offered(closure.world, api)
        if offer is not None:
            yield from _c_api(closure, api, offer)


# --- Requires-Dist ---


def _requirements(closure: Closure) -> Iterator[Finding]:
    world = closure.world
    python = world.tree.file(world.dist.python.path) if world.dist.python is not None else None
    full = full_version(world.version, world.facts.version(python) if python is not None else None)
    markers = target_markers(world.version, world.dist.machine, full)
    for present in world.distributions:
        for required in requirements(present.requires, markers):
            known = world.distributions_named(required.name)
            if known and not any(required.admits(one.version) for one in known):
                yield _conflict(closure, present, required.name, required.specifier, known[0])


def _conflict(closure: Closure, present: Present, name: str, specifier: str, other: Present) -> Finding:
    strength = _strength(closure, present)
    sure = strength is not None and strength >= Strength.PROBABLE and _strength(closure, other) is not None
    return finding(
        _NAME,
        normalised(name),
        phrase(
            "{present} requires {name} {specifier}, and the dist has {other}",
            present=present,
            name=name,
            specifier=specifier,
            other=other,
        ),
        severity=Severity.WARNING if sure else Severity.INFO,
        confidence=Confidence.PROBABLE if sure else Confidence.POSSIBLE,
        locations=(Location(present.folder), Location(other.folder)),
        identity=f"{present.key}\0{specifier}",
    )


def _strength(closure: Closure, present: Present) -> Strength | None:
    """Return how surely a module at the top of a distribution is imported, None if none is."""
    found = (closure.graph.strength(Node(NodeKind.MODULE, top)) for top in present.top_level)
    return max((strength for strength in found if strength is not None), default=None)


# --- C interfaces ---


@dataclass(frozen=True, slots=True)
class _User:
    """An image that was compiled for another version, and how surely it is loaded."""

    node: Node
    strength: Strength
    need: CApiVersion
    reason: str

    @property
    def fails(self) -> bool:
        """True if its import fails. A DLL's does not: whoever loads it may cope with an interface that is not there."""
        return fold(self.node.name).endswith(".pyd")


def _c_api(closure: Closure, api: CApi, offer: Offer) -> Iterator[Finding]:
    """Yield one finding for each package with extension modules that do not run with the offered version."""
    by_package: dict[str, list[_User]] = {}
    for user in _users(closure, api, offer):
        by_package.setdefault(_package(closure, user.node.name), []).append(user)
    for package, users in by_package.items():
        users.sort(key=lambda user: (not user.fails, -user.strength, user.node.name))
        yield _finding(closure, api, offer, package, users)


def _users(closure: Closure, api: CApi, offer: Offer) -> Iterator[_User]:
    world = closure.world
    for node in closure.graph.nodes():
        strength = closure.graph.strength(node)
        entry = world.tree.file(node.name) if node.kind is NodeKind.IMAGE and strength is not None else None
        need = needed(world.facts, api, entry) if entry is not None else None
        reason = c_api_misfit(api, need, offer) if need is not None else ""
        if need is not None and strength is not None and reason:
            yield _User(node, strength, need, reason)


def _finding(closure: Closure, api: CApi, offer: Offer, package: str, users: list[_User]) -> Finding:
    first = users[0]
    strength = first.strength
    severity, confidence = severity_of(strength), confidence_of(strength)
    if not (first.fails and offer.read):
        severity = Severity.INFO if strength is Strength.POSSIBLE else Severity.WARNING
        confidence = Confidence.PROBABLE if confidence is Confidence.CERTAIN else confidence
    own = closure.world.distributions_named(package)
    name = str(own[0]) if len(own) == 1 else package
    more = (
        phrase(" (and {number} more files of {name})", number=len(users) - 1, name=name)
        if len(users) > 1
        else phrase(" of {name}", name=name)
    )
    effect = phrase("its import fails") if first.fails else phrase("what it does with {api} fails", api=api.name)
    return finding(
        _NAME,
        normalised(package),
        phrase(
            "{node}{more} was {reason}: {effect}", node=first.node.name, more=more, reason=first.reason, effect=effect
        ),
        severity=severity,
        confidence=confidence,
        locations=(*[Location(user.node.name) for user in users[:_MOST_LOCATIONS]], Location(offer.path)),
        chain=chain_texts(closure.graph.chain(first.node), closure.graph.root),
        identity=f"{api.name}\0{package}",
    )


def _package(closure: Closure, path: str) -> str:
    """Return the name at the top of the search path that a file lies below."""
    for root in sorted(closure.world.dist.layout.search_path, key=len, reverse=True):
        if not root or fold(path).startswith(f"{fold(root)}/"):
            return (path[len(root) + 1 :] if root else path).partition("/")[0].partition(".")[0]
    return path.partition("/")[0]
