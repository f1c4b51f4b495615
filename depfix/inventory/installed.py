"""Distributions whose metadata lie in the dist: what their records name, and what lies among that."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from depfix.closure.distributions import Present, path_in_dist, records_of
from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.env.licences import licence_of
from depfix.env.records import fields, metadata_text
from depfix.inventory.identities import cleaned, is_anothers
from depfix.inventory.ledger import About, Key, Ledger
from depfix.model.inventory import ComponentKind
from depfix.model.names import base_name, fold, join, parent

_CACHED = "__pycache__"
_LIBRARIES = ".libs"


def claim_installed(ledger: Ledger, world: World) -> None:
    """Give each distribution its metadata, and the files that its RECORD names."""
    for present in world.distributions:
        rows = records_of(world.tree, world.facts, present)
        own = _below(world.tree, present.folder)
        ledger.claim(about_present(world, present), [*own, *(path_in_dist(present, row) for row in rows)])


def _below(tree: Tree, folder: str) -> Iterator[str]:
    yield from (entry.path for entry in tree.files_in(folder))
    for inner in tree.folders_in(folder):
        yield from _below(tree, inner)


def about_present(world: World, present: Present) -> About:
    """Return what a distribution in the dist says of itself."""
    entry = world.tree.in_folder(present.folder, "METADATA") or world.tree.in_folder(present.folder, "PKG-INFO")
    rows = world.facts.remember(entry.source, "inventory", _fields) if entry is not None else ()
    return About(
        ComponentKind.DISTRIBUTION,
        cleaned(present.name) or base_name(present.folder),
        cleaned(present.version),
        licence_of(rows),
        supplier_of(rows),
        base_name(present.folder),
    )


def _fields(source: str) -> tuple[tuple[str, str], ...]:
    return tuple(fields(metadata_text(os.path.dirname(source))))


def supplier_of(rows: Sequence[tuple[str, str]]) -> str:
    """Return who publishes a distribution: its author or maintainer, else the name before one's mail address.

    Source: PyPA specifications, "Core metadata", Author and Author-email
    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    for wanted in ("author", "maintainer", "author-email", "maintainer-email"):
        for name, value in rows:
            shown = value.partition("<")[0].strip(' ",') if name.endswith("-email") else value.strip()
            if name == wanted and shown and shown.upper() != "UNKNOWN":
                return cleaned(shown)
    return ""


def claim_neighbours(ledger: Ledger, world: World) -> None:
    """Give what lies in a folder of just one distribution to that: bytecode, generated files, extension modules.

    Not so a DLL that no record names and that says to be of another product.
    """
    folders = _folders(ledger, world)
    roots = {fold(root) for root in ("", *world.dist.layout.search_path)}
    for entry in ledger.left():
        key = _owner_of_source(ledger, entry) or _owner_around(entry, folders, roots)
        if key is not None and not (_is_dll(entry) and is_anothers(world.facts.version(entry), ledger.about(key))):
            ledger.give(key, (entry.path,))


def _is_dll(entry: FileEntry) -> bool:
    return entry.kind is FileKind.IMAGE and fold(entry.name).endswith(".dll")


def _folders(ledger: Ledger, world: World) -> dict[str, set[Key]]:
    """Return {folded folder: whose files are directly in it, or recorded there}."""
    found: dict[str, set[Key]] = {}
    for entry in world.tree:
        owner = ledger.owner(entry.path)
        if owner is not None and owner[0] in (ComponentKind.DISTRIBUTION, ComponentKind.CONDA):
            found.setdefault(fold(parent(entry.path)), set()).add(owner)
    for folder, owner in (*_recorded(ledger, world), *_compiled(ledger, world)):
        found.setdefault(fold(folder), set()).add(owner)
    return found


def _recorded(ledger: Ledger, world: World) -> Iterator[tuple[str, Key]]:
    for present in world.distributions:
        key = ledger.open(about_present(world, present))
        rows = records_of(world.tree, world.facts, present)
        yield from ((parent(path_in_dist(present, row)), key) for row in rows)
        if not rows:
            for top in present.top_level:
                yield join(present.site, top), key
                yield join(present.site, f"{top}{_LIBRARIES}"), key


def _compiled(ledger: Ledger, world: World) -> Iterator[tuple[str, Key]]:
    contents = world.inside.contents
    for name, row in contents.modules.items() if contents is not None else ():
        key = ledger.owner_inside(name)
        if key is not None and row.is_package and key[0] is not ComponentKind.PYTHON:
            for root in {world.dist.layout.packages, *world.dist.layout.search_path}:
                yield join(root, name.replace(".", "/")), key
                if "." not in name:
                    yield join(root, f"{name}{_LIBRARIES}"), key


def _owner_of_source(ledger: Ledger, entry: FileEntry) -> Key | None:
    """Return whose the source is that a file of bytecode was made from."""
    folder = parent(entry.path)
    if fold(base_name(folder)) != _CACHED:
        return None
    return ledger.owner(join(parent(folder), f"{entry.name.partition('.')[0]}.py"))


def _owner_around(entry: FileEntry, folders: dict[str, set[Key]], roots: set[str]) -> Key | None:
    folder = fold(parent(entry.path))
    while folder not in roots:
        owners = folders.get(folder, set())
        if owners:
            return next(iter(owners)) if len(owners) == 1 else None
        folder = parent(folder)
    return None
