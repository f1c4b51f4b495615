"""DF105 wrong-machine: the file that will be found is for another machine, or of another kind. DF208 tells damage."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.model.finding import Finding, Location
from depfix.model.image import Image, ImageProblem
from depfix.model.names import base_name, fold
from depfix.wording.message import phrase


def check_images(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each file that some load finds and Windows will refuse, and for each broken program."""
    for path, reason in closure.world.dist.broken_programs:
        if _is_damaged(closure, path):
            continue
        yield finding(
            "wrong-machine",
            fold(path),
            phrase("{path} is called a program, but {reason}", path=path, reason=reason),
            locations=(Location(path),),
            chain=(path,),
            identity=path,
        )
    for node in closure.graph.nodes():
        if node.kind is NodeKind.IMAGE:
            yield from _check(closure, node)


def _check(closure: Closure, node: Node) -> Iterator[Finding]:
    strength = closure.graph.strength(node)
    image = closure.world.images.at(node.name)
    reason = _reason(closure, image)
    if strength is None or not reason or _is_damaged(closure, node.name):
        return
    edges = [edge for _, edge in surest_first(closure.graph, closure.graph.edges_to(node))]
    chain = chain_texts(closure.graph.chain(node), closure.graph.root)
    if isinstance(image, ImageProblem) and image.unreadable:
        yield finding(
            "not-looked-at",
            node.name,
            phrase("{node}: {reason}; what it needs is unknown", node=node.name, reason=reason),
            chain=chain,
            locations=(Location(node.name),),
        )
        return
    yield finding(
        "wrong-machine",
        fold(base_name(node.name)),
        phrase("{node} is what Windows will find, but {reason}", node=node.name, reason=reason),
        severity=severity_of(strength),
        confidence=confidence_of(strength),
        locations=(Location(node.name), *locations_of(edges)),
        chain=chain,
        identity=node.name,
    )


def _is_damaged(closure: Closure, path: str) -> bool:
    image = closure.world.images.at(path)
    return isinstance(image, ImageProblem) and image.damaged


def _reason(closure: Closure, image: Image | ImageProblem) -> str:
    if isinstance(image, ImageProblem):
        return image.reason
    wanted = closure.world.dist.machine
    return (
        ""
        if closure.world.images.fits(image)
        else phrase("it is {machine} and the program is {wanted}", machine=image.machine.words, wanted=wanted.words)
    )
