"""DLLs that images load by name at run time: names in their data, and families of which that is known.

No table of an image tells which DLLs its code loads. What can be known is which names it holds; a name that the dist or
an environment has is worth a look. Families (`knowledge.families`) say which of them are needed, and for what.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from msgspec.structs import replace

from depfix.closure.graph import Edge, EdgeKind, Node, NodeKind
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.uses import Strength
from depfix.knowledge.families import Family, Member, family_of
from depfix.loader.resolve import resolve
from depfix.loader.search import Directories, Place, PlaceKind, search_places
from depfix.model.names import base_name, dll_file_name, fold, join, parent
from depfix.wording.message import phrase, tabled

Found = tuple[Edge, FileEntry | None]  # a need, with the file that meets it or none


def named_needs(world: World, path: str, directories: Directories, loaded: dict[str, str]) -> Iterator[Found]:
    """Yield what an image that is in the process may load by name: with its file, or as an edge to what is missing."""
    family = family_of(fold(base_name(path)))
    told = set()
    for edge, entry in _family_needs(world, path, directories, *family) if family is not None else ():
        told.add(fold(dll_file_name(edge.asked)))
        yield edge, entry
    node = Node(NodeKind.IMAGE, path)
    for name in world.images.named_dlls(path):
        if name in told or name in loaded or world.system.has(name) or world.system.api_set_host(name) is not None:
            continue
        entry = _find(world, path, name, directories)
        if entry is not None:
            yield Edge(node, Node(NodeKind.IMAGE, entry.path), EdgeKind.NAMED, Strength.POSSIBLE, name), entry
            continue
        offered = world.supply.dll_strength(name, base_name(path)) if not world.tree.named(name) else None
        if offered is not None:
            trail = named_places(path, directories)
            note = phrase("the name stands in its data")
            yield Edge(node, Node(NodeKind.MISSING, name), EdgeKind.NAMED, offered, name, trail=trail, note=note), None


def _family_needs(
    world: World, path: str, directories: Directories, family: Family, groups: dict[str, str]
) -> Iterator[Found]:
    members = _members(world, path, family)
    found = [(member, _entry(world, path, member, groups, directories)) for member in members]
    met = {member.group for member, entry in found if member.group and entry is not None}
    served: set[str] = set()  # groups of which one member was told of, present or missing
    for member, entry in found:
        first = not member.group or member.group not in served
        if entry is None and (member.group in met or not first):
            continue
        name = fold(member.name.format(**groups))
        if entry is None and not _worth_telling(world, path, member, name):
            continue
        served.add(member.group)
        if entry is not None:
            # What is there and would not load is as bad as what is missing, if it is required.
            strength = Strength.PROBABLE if member.need == "required" and first else Strength.POSSIBLE
            target = Node(NodeKind.IMAGE, entry.path)
            yield Edge(Node(NodeKind.IMAGE, path), target, EdgeKind.NAMED, strength, name), entry
        else:
            yield _missing_member(world, path, family, member, groups, directories), None


def _members(world: World, path: str, family: Family) -> Iterator[Member]:
    """Yield the members of a family as this trigger and this program have them."""
    for member in family.members:
        whole = _completed(world, path, member)
        if whole is not None:
            yield from _chosen(world, whole)


def _completed(world: World, path: str, member: Member) -> Member | None:
    """Return a member with the rest of its name from the data of the trigger, None if that is not there."""
    if not member.named:
        return member
    matches = (re.fullmatch(member.named, name) for name in world.images.named_dlls(path))
    match = next((match for match in matches if match is not None), None)
    return replace(member, name=member.name.replace("{named}", match[1])) if match is not None else None


def _chosen(world: World, member: Member) -> Iterator[Member]:
    """Yield what the program asks for instead of a member; of several, separated by `;`, the first that loads is taken.

    Source: Qt, change log of "Support multiple entries in the Qt platform plugin string"
    https://github.com/qt/qtbase/commit/093d85393fbacf68028e3b5fd39329878757d603
    """
    settings = world.walker.settings() if member.chosen_by else {}
    asked = next((one for one in member.chosen_by if one in settings), "")
    if not asked:
        yield member
        return
    for name in re.findall(r"(?:^|;)\s*([\w-]+)", settings[asked]):  # arguments follow behind a colon
        file = member.chosen_name.format(chosen=name.lower())
        why = phrase("{why}; the program asks for it by {asked}", why=tabled(member.why), asked=asked)
        yield replace(member, name=file, group=member.group or asked, why=why)
    yield replace(member, need="optional")


def _worth_telling(world: World, path: str, member: Member, name: str) -> bool:
    """Return True if a missing member is more than a name: releases of a family differ in what they have."""
    if member.if_named and name not in world.images.named_dlls(path):
        return False
    return member.need != "optional" or world.supply.dll_strength(name, base_name(path)) is not None


def _missing_member(
    world: World, path: str, family: Family, member: Member, groups: dict[str, str], directories: Directories
) -> Edge:
    name = member.name.format(**groups)
    node = Node(NodeKind.IMAGE, path)
    note = phrase(
        "{family}: {why}{other}",
        family=tabled(family.words),
        why=tabled(member.why),
        other=_other_release(world, member, groups),
    )
    kind = EdgeKind.FAMILY if member.need == "required" else EdgeKind.NAMED
    strength = Strength.POSSIBLE if member.need == "optional" else Strength.PROBABLE
    expected = "" if not member.folders else posixpath.normpath(join(join(parent(path), member.folders[0]), name))
    missing = Node(NodeKind.MISSING, fold(name))
    trail = named_places(path, directories)
    return Edge(node, missing, kind, strength, name, trail=trail, expected=_inside(expected), note=note)


def _inside(path: str) -> str:
    return "" if path.startswith("..") else path


def _other_release(world: World, member: Member, groups: dict[str, str]) -> str:
    """Tell of a file that would be the member but for its suffix: parts of two releases do not go together."""
    stem = member.name.partition("{")[0]
    tail = member.name.rpartition("}")[2]
    if not groups or len(stem) < 4:
        return ""
    for entry in world.tree.images():
        name = fold(entry.name)
        middle = name.removeprefix(stem).removesuffix(tail) if name.startswith(stem) and name.endswith(tail) else None
        if middle is not None and all(character in ".-_0123456789" for character in middle):
            return phrase("; {path} is of another release", path=entry.path)
    return ""


def _entry(
    world: World, path: str, member: Member, groups: dict[str, str], directories: Directories
) -> FileEntry | None:
    name = member.name.format(**groups)
    for folder in member.folders:
        entry = world.tree.file(_inside(posixpath.normpath(join(join(parent(path), folder), name))))
        if entry is not None:
            return entry
    if member.folders:  # the folder may be set by code: one of its name anywhere will do
        wanted = {fold(posixpath.basename(folder)) for folder in member.folders}
        return next((e for e in world.tree.named(fold(name)) if fold(base_name(parent(e.path))) in wanted), None)
    return _find(world, path, name, directories)


def _find(world: World, path: str, name: str, directories: Directories) -> FileEntry | None:
    found = resolve(name, named_places(path, directories), {}, world.tree, world.system)
    return world.tree.file(found.path) if found.path else None


def named_places(path: str, directories: Directories) -> tuple[Place, ...]:
    """LoadLibrary by name searches as the standard search does; many DLLs ask for a path beside themselves instead."""
    beside = Place(PlaceKind.DLL_LOAD_DIR, parent(path))
    user = [Place(PlaceKind.USER, folder) for folder in directories.user]
    return (beside, *search_places(0, None, directories), *user)
