"""Paths that only the machine has on which a program was built: absolute ones in code and configuration, and those
that lead out of the dist.

Some code is given them by a source that it executes, as configuration is; that source is evaluated with the names that
it finds there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.executed import BoundPath, Origin, read_executed
from depfix.imports.uses import (
    DataUse,
    DllDirectoryUse,
    ExecutedUse,
    ImportUse,
    LoadUse,
    PathUse,
    SearchPathUse,
    SettingUse,
    SourceTarget,
    Strength,
    Where,
)
from depfix.imports.values import Anchor, Executed, PackageFolder, Text
from depfix.imports.walker import absolute_name
from depfix.model.names import fold, parent

OutsideUse = DataUse | LoadUse | DllDirectoryUse | PathUse | SearchPathUse | SettingUse
_ABSOLUTE = re.compile(r"(?:[A-Za-z]:[\\/]|[\\/]{2}[^\\/.?*]|/(?:home|Users|root|mnt|media|content|kaggle|workspace)/)")
_LONG = re.compile(r"^[\\/]{2}\?[\\/](UNC[\\/])?", re.IGNORECASE)


class Owner(Enum):
    """Whose a path outside the dist is, which tells how surely others lack it."""

    WINDOWS = "Windows"
    BUILD = "the build machine"  # somebody's own folder, an environment, a site-packages
    SOFTWARE = "other software"
    NETWORK = "a server"
    DRIVE = "a drive"
    ABOVE = "the folders above the dist"


_OWNERS = (
    (Owner.WINDOWS, re.compile(r"[a-z]:/windows(/|$)")),
    (Owner.BUILD, re.compile(r".*/((ana|mini)conda\d*/|(mini|mamba)forge\d*/|micromamba/|envs/|site-packages(/|$))")),
    (Owner.BUILD, re.compile(r"([a-z]:)?/(users|documents and settings|home)/(?!public/|all users/|default/)[^/]+")),
    (Owner.SOFTWARE, re.compile(r"[a-z]:/(program files|program files \(x86\)|programdata)(/|$)")),
    (Owner.NETWORK, re.compile(r"//")),
    (Owner.ABOVE, re.compile(r"\.\.(/|$)")),
)


def owner_of(path: str) -> Owner:
    """Return whose a path with `/` is."""
    folded = fold(path)
    return next((owner for owner, pattern in _OWNERS if pattern.match(folded)), Owner.DRIVE)


def outside_path(world: World, module: str, text: Text) -> str:
    """Return the path with `/` that a text names outside the dist, empty if it names none or nothing of it is known.

    What lies above the dist is told relative to it: `../data/table.csv`.
    """
    first = text.parts[0]
    tail = "".join(part if isinstance(part, str) else "*" for part in text.parts)
    if isinstance(first, str):
        plain = _LONG.sub(lambda match: "//" if match[1] else "", tail)
        return plain.replace("\\", "/") if _ABSOLUTE.match(plain) else ""
    known = first in (Anchor.HERE, Anchor.PREFIX, Anchor.PROGRAM) or isinstance(first, PackageFolder)
    if not known or any(not isinstance(part, str) for part in text.parts[1:]):
        return ""
    surroundings = world.surroundings(module)
    home = surroundings.pattern(Text((first,)))
    if home is None or surroundings.pattern(text) is not None:
        return ""
    return _above(home.path, tail[1:])


def _above(folder: str, tail: str) -> str:
    """Return `folder/tail`, which leads out of the dist, relative to the dist."""
    parts: list[str] = []
    for part in f"{folder}/{tail}".replace("\\", "/").split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def expanded(world: World, module: str, text: Text) -> Iterator[tuple[Text, Origin | None]]:
    """Yield a text, or what the sources that the module executed give to the name that it stands for."""
    first = text.parts[0]
    if not isinstance(first, Executed):
        yield text, None
        return
    for origin in world.executed.get((module, first.name), ()):
        yield Text((*origin.row.path.parts, *text.parts[1:])), origin


def execute(world: World, graph: Graph, module: str, use: ExecutedUse, surest: Strength) -> None:
    """Note what a source of the dist binds to names when a module executes it."""
    pattern = world.surroundings(module).pattern(use.path)
    entry = world.tree.file(pattern.path) if pattern is not None and pattern.exact else None
    if entry is None or (use.through and not _executes(world, module, use.through)):
        return
    strength = min(use.where.strength(load=True), surest)
    source, path = world.module_node(module), world.source_path(module)
    graph.add(Edge(source, Node(NodeKind.DATA, entry.path), EdgeKind.DATA, strength, "exec", path, use.where.line))
    target = SourceTarget(world.version, world.dist.machine.value)

    def read(source: str) -> tuple[BoundPath, ...]:
        return read_executed(world.facts.content(entry), target, use.given)

    for row in world.facts.remember(entry.source, ("executed", use.given), read):
        world.executed.setdefault((module, row.name), {})[Origin(entry, row, use.given)] = None


def _executes(world: World, module: str, through: str) -> bool:
    """Return True if a function, by the name that a module has for it, is in a source that executes others."""
    found = world.walker.find(module)
    if found is None:
        return False
    name = through.lstrip(".")
    level = len(through) - len(name)
    owner = absolute_name(found, ImportUse(Where(0), name.rpartition(".")[0], level=level))
    if not owner or owner.partition(".")[0] != module.partition(".")[0]:
        return False
    other = world.walker.find(owner)
    return other is not None and other.entry is not None and b"exec" in world.facts.content(other.entry)


def note_outside(
    world: World, graph: Graph, module: str, use: OutsideUse, surest: Strength, text: Text | None, origin: Origin | None
) -> bool:
    """Note a path outside the dist that some code gives to the loader, to the search for modules, or reads.

    Return True if the text is such a path, noted or not.
    """
    path = outside_path(world, module, text) if text is not None else ""
    if not path:
        return False
    if owner_of(path) is Owner.WINDOWS or world.is_stdlib_name(module):
        return True
    strength = use.where.strength(load=True)
    if use.where.conditional:
        strength = min(strength, Strength.OPTIONAL)  # code that asks first copes with the answer
    source, node = world.module_node(module), Node(NodeKind.BOUND, path)
    place, line = (origin.entry.path, origin.row.line) if origin else (world.source_path(module), use.where.line)
    edge = Edge(source, node, EdgeKind.BOUND, min(strength, surest), purpose_of(use), place, line)
    graph.add(edge if origin is None else _configured(edge, origin))
    return True


def _configured(edge: Edge, origin: Origin) -> Edge:
    return Edge(
        edge.source,
        edge.target,
        edge.kind,
        edge.strength,
        edge.asked,
        edge.path,
        edge.line,
        expected=origin.entry.path,
        note=origin.row.name,
    )


def purpose_of(use: OutsideUse) -> str:
    """Return what a path is for, as `asked` of its edge has it."""
    if isinstance(use, SettingUse):
        return use.name
    return _PURPOSES[type(use)]


DLL_DIRECTORY, ON_PATH, MODULES, LOADED = "dll directory", "PATH", "modules", "loaded"
_PURPOSES = {DllDirectoryUse: DLL_DIRECTORY, PathUse: ON_PATH, SearchPathUse: MODULES, LoadUse: LOADED, DataUse: "read"}


def own_extension(world: World, module: str, folder: str) -> FileEntry | None:
    """Return the extension module that bears the name of a package, in a folder that the package searches for it."""
    name = module.rpartition(".")[2]
    for entry in world.tree.files_in(folder):
        if fold(entry.name).endswith(".pyd") and entry.name.partition(".")[0] == name:
            return entry
    return None


def own_extensions(world: World, module: str) -> tuple[FileEntry, ...]:
    """Return the extension modules that bear the name of a package, wherever they lie in its folders."""
    found = world.walker.find(module)
    inside = tuple(f"{fold(folder)}/" for folder in found.folders) if found is not None else ()
    name = f"{fold(module.rpartition('.')[2])}."
    images = (entry for entry in world.tree.images() if inside and fold(entry.path).startswith(inside))
    return tuple(one for one in images if fold(one.name).startswith(name) and fold(one.name).endswith(".pyd"))


def searched_folders(world: World, module: str) -> tuple[str, ...]:
    """Return the folders of the dist that a module puts on sys.path by what the sources say that it executed."""
    found: dict[str, None] = {}
    facts = world.walker.find(module)
    uses = world.read(facts).uses if facts is not None and facts.has_code else ()
    for use in uses:
        if isinstance(use, SearchPathUse):
            for text, origin in expanded(world, module, use.path):
                pattern = world.surroundings(module).pattern(text) if origin is not None else None
                if pattern is not None and pattern.exact:
                    found[pattern.path] = None
    return tuple(found)


def lies_below(path: str, folder: str) -> bool:
    """Return True if a dist-relative path is in a folder or one below it."""
    return not folder or fold(parent(path)) == fold(folder) or fold(path).startswith(f"{fold(folder)}/")
