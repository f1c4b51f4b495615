"""Takes the inventory of a dist: each of its files with the component that it is from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from depfix.closure.build import Closure
from depfix.closure.facts import Progress, no_progress
from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.env.protocol import Environment
from depfix.inventory.compiled import claim_compiled
from depfix.inventory.identities import identity_of, version_words
from depfix.inventory.installed import claim_installed, claim_neighbours
from depfix.inventory.ledger import Ledger
from depfix.inventory.lent import Lender, claim_lent, claim_named
from depfix.inventory.native import claim_native, claim_runtimes
from depfix.inventory.needs import Needs
from depfix.inventory.packages import claim_packages
from depfix.inventory.program import claim_program, claim_python, claim_rest
from depfix.model.content import readable_hash
from depfix.model.inventory import Inventory, InventoryFile, Unread
from depfix.model.names import fold
from depfix.wording.message import phrase

_HASHING = phrase("hashing files")
_THREADS = 4
_STEP = 64


def take_inventory(
    closure: Closure, environments: Sequence[Environment] = (), progress: Progress = no_progress
) -> Inventory:
    """Return every file of the dist of a closure, by the component that it is from; the largest is first.

    Who knows best is asked first: the program, the records of what is installed in the dist, Python by its names,
    `environments`, the runtimes by their names, the freezer, then what lies around a file, then the file itself. Each
    file is read once, for its hash.
    """
    world = closure.world
    hashes = _hashes(world, progress)
    ledger = Ledger(world.tree)
    claim_program(ledger, world)
    claim_installed(ledger, world)
    claim_python(ledger, world)
    lenders = tuple(Lender(environment, world) for environment in environments)
    claim_lent(ledger, lenders, hashes)
    claim_runtimes(ledger, world)
    claim_named(ledger, lenders, hashes)
    claim_compiled(ledger, world, lenders)
    claim_neighbours(ledger, world)
    claim_packages(ledger, world, lenders)
    claim_native(ledger, world)
    claim_rest(ledger, world)
    return _inventory(ledger, closure, hashes)


def _hashes(world: World, progress: Progress) -> dict[str, str]:
    """Return {folded path: SHA-256 in hex, empty if it cannot be read}; the checks may have read some already."""
    entries = tuple(world.tree)

    def read(entry: FileEntry) -> str:
        return world.facts.remember(entry.source, "sha256", readable_hash)

    found: dict[str, str] = {}
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:  # hashing lets other threads run
        for number, (entry, sha256) in enumerate(zip(entries, pool.map(read, entries), strict=True)):
            found[fold(entry.path)] = sha256
            if number % _STEP == 0:
                progress(_HASHING, number, len(entries))
    progress(_HASHING, len(entries), len(entries))
    return found


def _inventory(ledger: Ledger, closure: Closure, hashes: dict[str, str]) -> Inventory:
    world = closure.world
    files = {fold(entry.path): _file(entry, hashes[fold(entry.path)], ledger, world) for entry in world.tree}
    found = dict(ledger.components(files))
    needs = Needs(ledger, closure)
    names = {key: one.key for key, one in found.items()}
    components = [
        replace(one, chain=needs.chain(key), needs=tuple(names[each] for each in needs.of(key) if each in names))
        for key, one in found.items()
    ]
    unread = {fold(one.path): Unread(one.path, one.reason) for one in world.tree.skipped}
    for file in files.values():
        if not file.sha256:
            unread.setdefault(fold(file.path), Unread(file.path, phrase("it cannot be read, or went away meanwhile")))
    components.sort(key=lambda one: (-one.size, one.key))
    return Inventory(tuple(components), tuple(sorted(unread.values(), key=lambda one: one.path)))


def _file(entry: FileEntry, sha256: str, ledger: Ledger, world: World) -> InventoryFile:
    is_image = entry.kind is FileKind.IMAGE
    owner = ledger.owner(entry.path)
    identity = identity_of(entry, ledger.about(owner), world) if is_image and owner is not None else None
    version = version_words(world.facts.version(entry)) if is_image else ""
    return InventoryFile(entry.path, entry.size, sha256, is_image, identity, version)
