"""Whole distributions, and modules of the standard library: which files an environment gives, and where they go."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from depfix.closure.build import Closure
from depfix.closure.data import DataNeed
from depfix.closure.graph import NodeKind
from depfix.closure.lacks import Lack
from depfix.closure.supply import destination
from depfix.dist.freezers import Freezer
from depfix.env.protocol import Distribution, Environment
from depfix.imports.finder import COMPLETION_FOLDER, ModuleFile, ModuleKind
from depfix.imports.uses import Strength
from depfix.model.names import fold, join, parent
from depfix.model.source import PYTHON, Provider, unowned
from depfix.repair.cures import absent_from
from depfix.repair.fitness import distribution_misfit, with_caution
from depfix.wording.message import joined, phrase

_NO_ENVIRONMENT = phrase("no environment was given to take it from")
_BYTECODE = (".pyc", ".pyo")
_NOT_COPIED = ("__pycache__",)
_TESTS = ("test", "tests", "idlelib", "turtledemo")  # of the standard library
_INCLUDE = {Freezer.PYINSTALLER: "--hidden-import=", Freezer.CX_FREEZE: "--includes="}
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a delivery: its absolute path, and its dist-relative destination."""

    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The files that bring a module, that module's own first; `provider` is who gives them."""

    pieces: tuple[Piece, ...]
    provider: Provider


def deliver(closure: Closure, environments: Sequence[Environment], name: str) -> Delivery | str:
    """Return the files that bring a module that is not here, or why there are none."""
    return safe(environments, _deliver(closure, environments, name))


def _deliver(closure: Closure, environments: Sequence[Environment], name: str) -> Delivery | str:
    world = closure.world
    lack = world.lacks.of(name)
    found = world.lacks.provided(name)
    if found is None or found.entry is None:
        return _nothing(closure, environments, name)
    if lack is Lack.HIDDEN:
        return _completion(closure, found)
    if world.supply.stdlib_module(name) is not None:
        return Delivery(tuple(_tree_pieces(found, leave_out=_TESTS)), _python(closure))
    owner = world.supply.distribution_of(name)
    if owner is None:
        environment = world.supply.environment_of(name)
        provider = unowned(environment.info.spec if environment is not None else "")
        return Delivery(tuple(_tree_pieces(found)), provider)
    environment, distribution = owner
    reason = distribution_misfit(closure, environment, distribution)
    if reason:
        return phrase(
            "{distribution} {version}: {reason}",
            distribution=distribution.name,
            version=distribution.version,
            reason=reason,
        )
    first = Piece(found.entry.source, found.entry.path)
    rest = (Piece(path, _in_dist(closure, environment, path)) for path in _wanted(distribution))
    kept = (piece for piece in rest if not _is_foreign_program(closure, piece))
    return Delivery(tuple(dict.fromkeys((first, *kept))), with_caution(closure, distribution))


def deliver_metadata(closure: Closure, environments: Sequence[Environment], name: str) -> Delivery | str:
    """Return the metadata folder of a distribution, or why there is none."""
    owner = closure.world.supply.distribution(name)
    if owner is None or not owner[1].folder:
        return absent_from(environments, name)
    environment, distribution = owner
    inside = os.path.join(distribution.folder, "")
    pieces = (
        Piece(path, _in_dist(closure, environment, path)) for path in distribution.files if path.startswith(inside)
    )
    return safe(environments, Delivery(tuple(pieces), distribution.provider))


def deliver_data(closure: Closure, environments: Sequence[Environment], subject: str) -> Delivery | str:
    """Return the data files of a package or of the project that are not here, or why there are none."""
    need = closure.world.data.get(subject)
    if need is not None:
        return _deliver_read(closure, environments, need)
    missing = closure.world.listed.missing(subject)
    if not missing:
        return (
            phrase("not found in {environments}", environments=", ".join(one.info.spec for one in environments))
            if environments
            else _NO_ENVIRONMENT
        )
    pieces = tuple(Piece(file.source, file.path) for file in missing)
    owners = (one.distribution_of(missing[0].source) for one in environments)
    owner = next(filter(None, owners), None)
    provider = owner.provider if owner is not None else unowned(environments[0].info.spec)
    return safe(environments, Delivery(pieces, provider))


def _deliver_read(closure: Closure, environments: Sequence[Environment], need: DataNeed) -> Delivery | str:
    """Return what code reads and the project, or the environment that has its package, holds."""
    found = need.found
    if not found.files:
        return found.reason or (
            phrase("the project does not have it") if need.place.own else phrase("its package does not have it")
        )
    folder = need.place.folder
    pieces = tuple(Piece(source, posixpath.normpath(join(folder, inner))) for source, inner in found.files)
    blocked = next(filter(None, (_file_above(closure, piece.destination) for piece in pieces)), "")
    if blocked:
        return phrase("it would have to lie in {blocked}, which is a file", blocked=blocked)
    if need.place.own:
        return Delivery(pieces, Provider("project"))
    owners = (one.distribution_of(pieces[0].source) for one in environments)
    owner = next(filter(None, owners), None)
    return safe(environments, Delivery(pieces, owner.provider if owner is not None else unowned("")))


def _file_above(closure: Closure, path: str) -> str:
    """Return the file of the dist that stands where a folder above a path would be, an empty string if none does."""
    folder = parent(path)
    while folder:
        entry = closure.world.tree.file(folder)
        if entry is not None:
            return entry.path
        folder = parent(folder)
    return ""


def safe(environments: Sequence[Environment], delivery: Delivery | str) -> Delivery | str:
    """Leave out what an environment refuses to give, as a link that leads out of it; that is told with who gives it."""
    if isinstance(delivery, str):
        return delivery
    named = ((piece, _refusal(environments, piece)) for piece in delivery.pieces)
    reasons = {piece: reason for piece, reason in named if reason}
    if not reasons:
        return delivery
    kept = tuple(piece for piece in delivery.pieces if piece not in reasons)
    if not kept or delivery.pieces[0] in reasons:
        return next(iter(reasons.values()))
    provider = delivery.provider
    note = joined(
        "; ",
        filter(
            None, (provider.note, phrase("left out: {list}", list=joined("; ", list(reasons.values())[:_MOST_NAMED])))
        ),
    )
    return Delivery(kept, replace(provider, note=note))


def _refusal(environments: Sequence[Environment], piece: Piece) -> str:
    return next(filter(None, (one.refusal(piece.source) for one in environments)), "")


def rebuild_options(closure: Closure, name: str) -> str:
    """Return the freezer's options that take a module into the program, with those below it that are needed too."""
    graph = closure.graph
    nodes = [node for node in graph.nodes() if node.kind is NodeKind.NO_MODULE]
    below = [node.name for node in nodes if (graph.strength(node) or Strength.POSSIBLE) >= Strength.PROBABLE]
    names = sorted({name, *(one for one in below if one.startswith(f"{name}."))})
    option = _INCLUDE.get(closure.world.dist.freezer, "--include-module=")
    return " ".join(f"{option}{one}" for one in names)


def _nothing(closure: Closure, environments: Sequence[Environment], name: str) -> str:
    if not environments:
        return _NO_ENVIRONMENT
    own = closure.world.dist.python
    others = [one.info.python for one in environments if own is not None and one.info.python not in ("", own.text)]
    if closure.world.lacks.of(name) in (Lack.STDLIB, Lack.HIDDEN) and others and own is not None:
        return phrase("the environment has Python {other}, the program has {own}", other=others[0], own=own.text)
    return absent_from(environments, name)


def _python(closure: Closure) -> Provider:
    python = closure.world.dist.python
    return Provider(PYTHON, python.text if python is not None else "", "PSF-2.0")


def _in_dist(closure: Closure, environment: Environment, path: str) -> str:
    return destination(environment, closure.world.dist.layout, path, in_stdlib=False)


def _wanted(distribution: Distribution) -> Iterator[str]:
    outside = set(distribution.outside)
    for path in distribution.files:
        if path not in outside and not path.endswith(_BYTECODE):
            yield path


def _is_foreign_program(closure: Closure, piece: Piece) -> bool:
    """Return True for a program of a distribution that would stand beside the one of the dist."""
    return fold(piece.destination).endswith(".exe") and parent(piece.destination) == closure.world.dist.layout.packages


# --- the standard library ---


def _completion(closure: Closure, found: ModuleFile) -> Delivery:
    """Return a module that its package hides, for the folder that the completion finder serves."""
    world = closure.world
    of_stdlib = world.supply.stdlib_module(found.name) is not None
    owner = None if of_stdlib else world.supply.distribution_of(found.name)
    provider = _python(closure) if of_stdlib else owner[1].provider if owner is not None else Provider("")
    place = f"{COMPLETION_FOLDER}/{found.name.replace('.', '/')}"
    pieces = tuple(_tree_pieces(found, leave_out=_TESTS, place=place))
    return Delivery(pieces, provider)


def _tree_pieces(found: ModuleFile, leave_out: Sequence[str] = (), place: str = "") -> Iterator[Piece]:
    """Yield the file of a module, or all files of a package's folder, at their own or another place."""
    if found.entry is None:
        return
    if not found.is_package:
        suffix = found.entry.name.partition(".")[2]
        yield Piece(found.entry.source, f"{place}.{suffix}" if place else found.entry.path)
        return
    yield Piece(found.entry.source, f"{place}/{found.entry.name}" if place else found.entry.path)
    home = os.path.dirname(found.entry.source)
    target = place or found.entry.path.rpartition("/")[0]
    for folder, folders, files in os.walk(home):
        folders[:] = sorted(one for one in folders if one not in _NOT_COPIED and one not in leave_out)
        inner = os.path.relpath(folder, home).replace(os.sep, "/")
        for name in sorted(files):
            path = os.path.join(folder, name)
            compiled = name.endswith(_BYTECODE) and found.kind is not ModuleKind.BYTECODE
            if path != found.entry.source and not compiled:
                yield Piece(path, join(target if inner == "." else f"{target}/{inner}", name))
