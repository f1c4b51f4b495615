"""Files that code reads: where the program looks for them in the dist, and what the project or an environment has."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from depfix.closure.on_disk import Found, find_files
from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.tree import FileEntry, Tree
from depfix.imports.finder import ModuleKind
from depfix.imports.texts import concat, is_absolute
from depfix.imports.uses import DataUse, ImportUse, Strength, Where
from depfix.imports.values import OWN_FILE, Anchor, Hole, Outer, PackageFolder, Text
from depfix.imports.walker import absolute_name
from depfix.model.names import base_name, fold, join, parent, plain_path, unsafe_name

_MOST_STEPS = 4  # from module to module, for one path
_CODE = (".py", ".pyc", ".pyd", ".dll", ".exe")
_ARCHIVE = "lib/library.zip"  # of cx_Freeze


class Base(Enum):
    """From which folder a program takes a path, as a person is told it."""

    CURRENT = "in the current directory, which is the dist's folder only if the program is started from there"
    PROGRAM = "beside the program"
    HERE = "beside the code that reads it"
    BUNDLE = "in the folder of what the program carries"
    PACKAGE = "in its package"


@dataclass(frozen=True, slots=True)
class Place:
    """Where some code looks: a dist-relative path, `*` for what is not known, and the folders that have its like.

    It is `tail` below `folder` of the dist, or below one of `twins` on disk. `own`: the code is the program's own.
    `listed`: what is not known are all names that are there. `shown` is the source, as it is named in the project or
    the dist.
    """

    path: str
    base: Base
    folder: str
    twins: tuple[str, ...]
    tail: str
    own: bool
    listed: bool
    shown: str

    @property
    def exact(self) -> bool:
        return "*" not in self.path


@dataclass(frozen=True, slots=True)
class DataNeed:
    """What some code reads and the dist does not have: `found` is what the project or an environment has of it."""

    place: Place
    folder: bool
    found: Found


def place_of(world: World, module: str, use: DataUse, depth: int = _MOST_STEPS) -> Place | None:
    """Return where a use leads, None if that is nowhere in the dist, or what only the program's user can know.

    Other paths of packages than those beside their code are up to whoever calls them.
    """
    first = use.path.parts[0]
    source, own = _source(world, module)
    if isinstance(first, Outer):
        bound = _bound(world, module, first) if own and depth else None
        if bound is None:
            return None
        whole = concat(bound[1].parts, use.path.parts[1:])
        place = place_of(world, bound[0], replace(use, path=whole), depth - 1)
        return replace(place, shown=source.path) if place is not None and source is not None else place
    start = _start(world, module, first, source, own=own)
    if start is None:
        return None
    base, folder, twins = start
    rest = use.path.parts if base is Base.CURRENT and isinstance(first, str) else use.path.parts[1:]
    tail = "".join(part if isinstance(part, str) else "*" for part in rest).replace("\\", "/")
    path = posixpath.normpath(f"{folder}/{tail}".strip("/") or ".")
    if path.startswith("..") or path == "." or base_name(path) == OWN_FILE or _is_vague(use.path, path, own=own):
        return None
    if unsafe_name(path.replace("*", "x")):
        return None
    listed = Hole.EACH in use.path.parts and not use.path.has(Hole.ANY) and not use.path.has(Hole.PARAMETER)
    shown = source.path if source is not None and own else world.source_path(module)
    return Place(path, base, folder, twins, tail.strip("/"), own, listed, shown)


def _bound(world: World, module: str, outer: Outer) -> tuple[str, Text] | None:
    """Return (module, text) for a name that another of the program's own modules binds."""
    found = world.walker.find(module)
    names = outer.name.lstrip(".").split(".")
    level = len(outer.name) - len(outer.name.lstrip("."))
    for count in range(len(names) - 1, 0, -1):
        use = ImportUse(Where(0), ".".join(names[:count]), level=level)
        name = absolute_name(found, use) if found is not None else None
        source, own = _source(world, name) if name and world.walker.find(name) is not None else (None, False)
        if name and own and source is not None:
            value = world.facts.constants(source).get(".".join(names[count:]))
            return (name, value) if value is not None else None
    return None


def _is_vague(text: Text, path: str, *, own: bool) -> bool:
    """Return True if too little of a path is known: a computed name without a folder of its own, or of a package."""
    if "*" not in path:
        return False
    computed = text.has(Hole.ANY) or text.has(Hole.PARAMETER)
    folder = path.partition("*")[0]
    if computed:
        return not own or "/" not in folder
    return not re.search(r"[^*./]", path.rpartition("/")[2] if "/" not in folder else path)


def _source(world: World, module: str) -> tuple[FileEntry | None, bool]:
    """Return (the source of a module outside the dist, whether it is one of the program's own)."""
    own = world.authorship.source(module)
    if own is not None:
        return own, True
    found = world.walker.find(module)
    if found is not None and found.kind is ModuleKind.FROZEN:
        return world.source_of(module), False
    twin = world.supply.module(module)
    return (twin.entry if twin is not None else None), False


def _start(
    world: World, module: str, first: object, source: FileEntry | None, *, own: bool
) -> tuple[Base, str, tuple[str, ...]] | None:
    """Return (base, dist-relative folder, folders that have its like) for the beginning of a path."""
    if isinstance(first, str):
        return (Base.CURRENT, "", world.project) if own and not is_absolute(Text((first,))) else None
    beside = (os.path.dirname(source.source),) if source is not None else ()
    if first is Anchor.HERE:
        return (Base.HERE if own else Base.PACKAGE), _here(world, module, source, own=own), beside
    if isinstance(first, PackageFolder):
        return _package(world, first.package)
    if not own:
        return None
    if first is Anchor.CWD:
        return Base.CURRENT, "", world.project
    if first is Anchor.PROGRAM:
        return Base.PROGRAM, "", (*beside, *world.project)
    return (Base.BUNDLE, world.dist.layout.prefix, (*beside, *world.project)) if first is Anchor.PREFIX else None


def _here(world: World, module: str, source: FileEntry | None, *, own: bool) -> str:
    """Return the dist-relative folder that `__file__` of a module is in.

    PyInstaller's lies in the folder of what the program carries, as if it were there. cx_Freeze's is in its archive.
    Sources: PyInstaller manual, "Using __file__" https://pyinstaller.org/en/stable/runtime-information.html ;
    cx_Freeze's start-up script (freeze_core 0.8, initscripts/console.py), which takes `__file__` from the module spec.
    """
    here = world.surroundings(module).here
    found = world.walker.find(module)
    if not own:
        return here
    if world.dist.freezer is Freezer.CX_FREEZE and world.tree.file(_ARCHIVE) is not None:
        return join(_ARCHIVE, here.removeprefix("lib").strip("/")).rstrip("/")
    if found is None or found.kind is ModuleKind.FROZEN:
        return here
    inside = os.path.join(world.dist.root, "")
    if source is not None and source.source.startswith(inside):
        return os.path.dirname(source.source[len(inside) :]).replace(os.sep, "/")
    home = world.dist.layout.packages if world.dist.freezer is Freezer.PYINSTALLER else ""
    return join(home, here) if here else home


def _package(world: World, package: str) -> tuple[Base, str, tuple[str, ...]] | None:
    found = world.walker.find(package)
    if found is None or found.is_provided:
        return None  # its files come with it
    source, own = _source(world, package)
    if found.kind is ModuleKind.FROZEN or own:
        folder = _here(world, package, source, own=own)
    else:
        folder = found.folders[0] if found.folders else parent(found.entry.path if found.entry is not None else "")
    return Base.PACKAGE, folder, (os.path.dirname(source.source),) if source is not None else ()


# --- what is there ---


def in_dist(tree: Tree, place: Place, *, folder: bool) -> tuple[FileEntry, ...] | None:
    """Return the files of the dist that are read, None if what is read is not there.

    Of a folder, code is left out.
    """
    if place.exact:
        entry = tree.file(place.path)
        if entry is not None and not folder:
            return (entry,)
        if not tree.has_folder(place.path):
            return None
        return tuple(_below(tree, place.path))
    names = _pattern(place.path)
    above = parent(place.path)
    entries: Iterable[FileEntry] = tree.files_in(above) if "*" not in above else tree if place.own else ()
    return tuple(entry for entry in entries if names.fullmatch(fold(entry.path))) or None


def _below(tree: Tree, folder: str) -> Iterator[FileEntry]:
    todo = [folder]
    while todo:
        one = todo.pop()
        yield from (entry for entry in tree.files_in(one) if not fold(entry.name).endswith(_CODE))
        todo += tree.folders_in(one)


@lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(re.escape(fold(piece)) for piece in path.split("*")))


def need_of(world: World, place: Place, *, folder: bool) -> DataNeed:
    """Return what is missing at a place, with what the project or an environment has of it."""
    names = None if place.exact else _pattern(posixpath.normpath(place.tail))
    found = Found()
    for twin in place.twins:
        found = find_files(twin, place.tail, names, refused=(plain_path(world.dist.root), *world.project))
        if found.files or found.reason:
            break
    return DataNeed(place, folder or found.is_folder, found)


def is_called(world: World, module: str, function: str) -> bool:
    """Return True if own code mentions a function of a module that is compiled into the program."""
    found = world.walker.find(module)
    last = function.rpartition(".")[2]
    if not function or found is None or found.kind is not ModuleKind.FROZEN or last.startswith("__"):
        return True
    return last in world.own_mentions


def strength_of(world: World, module: str, use: DataUse, place: Place, surest: Strength) -> Strength:
    """Return how surely a read must succeed."""
    strength = min(use.where.strength(load=True), surest)
    if not place.exact or use.default:
        strength = min(strength, Strength.PROBABLE)
    if place.own and use.where.deferred and not is_called(world, module, use.where.function):
        strength = Strength.POSSIBLE
    return strength
