"""Takes the inventory of a dist: each of its files with the component that it is from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from depfix.closure.build import Closure
from depfix.closure.distributions import path_in_dist, records_of
from depfix.closure.facts import Progress, no_progress
from depfix.dist.tree import FileEntry, FileKind
from depfix.env.protocol import Environment
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.model.names import base_name, fold

_CHUNK = 1 << 20


def take_inventory(
    closure: Closure, environments: Sequence[Environment] = (), progress: Progress = no_progress
) -> Inventory:
    """Return every file of the dist of a closure, by the component that it is from; the largest is first.

    What the dist itself does not tell is asked of `environments`. Each file is read once, for its hash.
    """
    left = {fold(entry.path): entry for entry in closure.world.tree}
    files = _hashed(list(left.values()), progress)
    components = []
    for present in closure.world.distributions:
        rows = records_of(closure.world.tree, closure.world.facts, present)
        paths = [fold(path_in_dist(present, row)) for row in rows]
        own = tuple(files[path] for path in paths if left.pop(path, None) is not None)
        evidence = base_name(present.folder)
        components.append(Component(ComponentKind.DISTRIBUTION, present.name, present.version, "", evidence, own))
    rest = tuple(files[path] for path in left)
    program = base_name(closure.world.dist.host.path)
    components.append(Component(ComponentKind.PROGRAM, program, "", "", "what nobody else claims", rest))
    return Inventory(tuple(sorted(components, key=lambda one: (-one.size, one.name))))


def _hashed(entries: Sequence[FileEntry], progress: Progress) -> dict[str, InventoryFile]:
    found = {}
    for number, entry in enumerate(entries):
        progress("hashing files", number, len(entries))
        image = entry.kind is FileKind.IMAGE
        found[fold(entry.path)] = InventoryFile(entry.path, entry.size, _sha256(entry.source), image)
    return found


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
