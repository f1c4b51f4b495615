"""Data that native libraries read when they run, as a table knows them: what is there, and what is absent."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.unseen import surely_used
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.env.protocol import Environment
from depfix.imports.uses import SettingUse, Strength
from depfix.knowledge.native_data import NativeData, native_data
from depfix.model.names import base_name, fold, join, parent

_NATIVE_FOLDERS = ("bin", "lib")
_FOR_COMPILERS = (".cmake", ".lib", ".pc", ".h")
_MOST_FILES = 5000  # of one folder of an environment


@dataclass(frozen=True, slots=True)
class NativeNeed:
    """What one DLL reads, by one row of the table: the folders in which it looks, and the files that are there.

    `home` is the folder to which they are brought, None if none of those is in the dist. `elsewhere` are files of the
    wanted names that lie where nobody looks. The dist itself is `.` among folders.
    """

    row: NativeData
    reader: Node
    groups: dict[str, str]
    places: tuple[str, ...]
    home: str | None
    found: tuple[FileEntry, ...]
    elsewhere: tuple[FileEntry, ...]

    @property
    def subject(self) -> str:
        """The dist-relative path that is wanted, or the name of a file that has no place in the dist."""
        return join(self.home, self.row.files[0]) if self.home and self.home != "." else self.row.files[0]


def run_native_data(world: World, graph: Graph) -> tuple[NativeNeed, ...]:
    """Note which data the libraries that are loaded read, and which of those are absent; return what each one needs."""
    needs = tuple(_needs(world, graph))
    for need in needs:
        edge_of = Edge(need.reader, need.reader, EdgeKind.DATA, Strength.PROBABLE, need.row.key, need.reader.name)
        for entry in need.found:
            graph.add(_leading(edge_of, Node(NodeKind.DATA, entry.path)))
        if not need.found:
            graph.add(_leading(edge_of, Node(NodeKind.NO_NATIVE_DATA, need.subject)))
    graph.settle()
    return needs


def _leading(edge: Edge, target: Node) -> Edge:
    return Edge(edge.source, target, edge.kind, edge.strength, edge.asked, edge.path)


def _needs(world: World, graph: Graph) -> Iterator[NativeNeed]:
    """Yield what each loaded DLL reads, met or not."""
    settings: dict[str, set[str]] | None = None
    for node in graph.nodes():
        if node.kind is not NodeKind.IMAGE or graph.strength(node) is None:
            continue
        name = fold(base_name(node.name))
        rows = [(row, match) for pattern, row in native_data() if (match := pattern.fullmatch(name)) is not None]
        if rows and settings is None:
            settings = _settings(world, graph)
        used = [(row, match) for row, match in rows if not row.package or _uses(world, graph, node.name, row.package)]
        owned = {row.files for row, _ in used if row.package}
        for row, match in used:
            if row.package or row.files not in owned:  # a package that looks for itself knows better
                groups = {key: value or "" for key, value in match.groupdict().items()}
                yield from _need(world, node, row, groups, settings or {})


def _uses(world: World, graph: Graph, path: str, package: str) -> bool:
    """Return True if a DLL lies with a package, or with nobody's and the package is imported."""
    owner = owner_of(world, path)
    if owner:
        return owner == package
    strength = graph.strength(Node(NodeKind.MODULE, package))
    return strength is not None and strength >= Strength.PROBABLE


def owner_of(world: World, path: str) -> str:
    """Return the import package in whose folder, or folder of DLLs (`package.libs`), a file lies; empty if in none."""
    for root in world.dist.layout.search_path:
        inner = path[len(root) + 1 :] if root and fold(path).startswith(f"{fold(root)}/") else "" if root else path
        top = inner.partition("/")[0]
        if "/" in inner:
            name = re.sub(r"[._]libs$", "", top, flags=re.IGNORECASE)
            found = world.walker.find(name) if name.isidentifier() else None
            if found is not None and not found.is_provided and found.is_package:
                return name
    return ""


def _need(
    world: World, reader: Node, row: NativeData, groups: dict[str, str], settings: dict[str, set[str]]
) -> Iterator[NativeNeed]:
    places = tuple(filter(None, (_place(world, reader.name, row, one, groups) for one in row.places)))
    given = tuple(folder for name in row.variables for folder in sorted(settings.get(name, ())))
    found: tuple[FileEntry, ...] = ()
    for place in (*given, *places):
        found = found or _files_at(world, place, row.files)
    named = tuple(entry for entry in world.tree if fnmatchcase(fold(entry.name), fold(row.files[0])))
    if not found and row.anywhere:
        found = named[:1]
    if not found and row.offered and not any(True for _ in offered(world, world.supply.environments, row, groups, "")):
        return
    yield NativeNeed(row, reader, groups, (*given, *places), next(iter(places), None), found, () if found else named)


def _files_at(world: World, folder: str, names: tuple[str, ...]) -> tuple[FileEntry, ...]:
    """Return the files of a folder that bear each of these names; none if one of them is absent."""
    entries = world.tree.files_in("" if folder == "." else folder)
    rows = [[entry for entry in entries if fnmatchcase(fold(entry.name), fold(name))] for name in names]
    return tuple(entry for row in rows for entry in row) if all(rows) else ()


def _installation(folder: str) -> str:
    """Return what is above the nearest bin or lib that a folder is or lies in, else the folder itself."""
    inner = folder
    while inner:
        if fold(base_name(inner)) in _NATIVE_FOLDERS:
            return parent(inner)
        inner = parent(inner)
    return folder


def _place(world: World, dll: str, row: NativeData, template: str, groups: dict[str, str]) -> str | None:
    """Return a place as a dist-relative folder, `.` for the dist itself, None if it is not in the dist."""
    folder = parent(dll)
    above = parent(folder) if fold(base_name(folder)) in _NATIVE_FOLDERS else folder
    names = groups | {
        "dll": folder,
        "home": above,
        "root": _installation(folder),
        "prefix": world.dist.layout.prefix,
        "package": _package_folder(world, row.package),
        "owner": _package_folder(world, owner_of(world, dll)),
    }
    if any(f"{{{key}}}" in template and names[key] is None for key in ("package", "owner")):
        return None
    path = posixpath.normpath(template.format(**names).lstrip("/"))
    return None if path.startswith("..") else path


def _package_folder(world: World, package: str) -> str | None:
    found = world.walker.find(package) if package else None
    if found is None:
        return None
    if found.folders:
        return found.folders[0]
    return parent(found.entry.path) if found.entry is not None else join(world.dist.layout.packages, package)


def _settings(world: World, graph: Graph) -> dict[str, set[str]]:
    """Return the folders of the dist that code which may run gives to variables of the environment."""
    found: dict[str, set[str]] = {}
    for module in surely_used(world, graph):
        for use in world.read(module).uses if module.has_code and not module.is_provided else ():
            if isinstance(use, SettingUse) and use.path is not None:
                pattern = world.surroundings(module.name).pattern(use.path)
                if pattern is not None and pattern.exact:
                    found.setdefault(use.name, set()).add(pattern.path or ".")
    return found


# --- what environments have ---


def offered(
    world: World, environments: tuple[Environment, ...], row: NativeData, groups: dict[str, str], owner: str
) -> Iterator[tuple[str, str]]:
    """Yield (absolute path, path below the folder) of what the first environment with the files has of them."""
    for environment in environments:
        for template in row.have:
            folder = _had(world, environment, template, row, groups, owner)
            if folder and _has_all(folder, row.files):
                yield from _below(folder, row, groups)
                return


def _had(
    world: World, environment: Environment, template: str, row: NativeData, groups: dict[str, str], owner: str
) -> str:
    """Return a folder of an environment, empty if there is none."""
    package = row.package if "{package}" in template else owner if "{owner}" in template else ""
    if package:
        found = world.supply.module(package)
        home = os.path.dirname(found.entry.source) if found is not None and found.entry is not None else ""
        inner = template.partition("}/")[2].format(**groups)
        return os.path.join(home, *inner.split("/")) if home else ""
    if "{package}" in template or "{owner}" in template:
        return ""
    return os.path.join(environment.info.root, *template.format(**groups).split("/"))


def _has_all(folder: str, names: tuple[str, ...]) -> bool:
    try:
        there = os.listdir(folder)
    except OSError:
        return False
    return all(any(fnmatchcase(fold(one), fold(name)) for one in there) for name in names)


def _below(folder: str, row: NativeData, groups: dict[str, str]) -> Iterator[tuple[str, str]]:
    beside = [os.path.normpath(os.path.join(folder, *one.format(**groups).split("/"))) for one in row.beside]
    count = 0
    for top in (folder, *filter(os.path.isdir, beside)):
        for above, folders, files in os.walk(top):
            folders[:] = sorted(one for one in folders if one != "__pycache__") if not row.only else []
            for name in sorted(files):
                count += 1
                if count > _MOST_FILES:
                    return
                if fold(name).endswith(_FOR_COMPILERS):
                    continue
                if not row.only or any(fnmatchcase(fold(name), fold(one)) for one in row.only):
                    path = os.path.join(above, name)
                    yield path, os.path.relpath(path, folder).replace(os.sep, "/")
