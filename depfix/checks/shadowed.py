"""DF209 shadowed-module: modules of the program that bear another one's name, and modules that are there twice.

Which of two is taken: what is inside the program before any file, a package before a module of its name, an extension
module before a source. Tried with programs of Nuitka, PyInstaller 5 and 6 and cx_Freeze 8. Sources: Python, "The
initialization of the sys.path module search path" https://docs.python.org/3/library/sys_path_init.html ; importlib,
FileFinder.find_spec https://github.com/python/cpython/blob/main/Lib/importlib/_bootstrap_external.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.distributions import path_in_dist, records_of
from depfix.closure.graph import Edge, EdgeKind, Graph, chain_texts
from depfix.closure.inside import PROGRAM
from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.tree import FileEntry, FileKind
from depfix.frozen.contents import Storage
from depfix.imports.finder import DiskFolders, ModuleFile, ModuleKind
from depfix.imports.reader import read_source
from depfix.imports.uses import ImportUse, SourceFacts, SourceTarget, Strength
from depfix.imports.walker import absolute_name
from depfix.knowledge.stdlib import stdlib_modules
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import base_name, fold, join, parent
from depfix.wording.message import phrase

_NAME = "shadowed-module"
_MOST_LOCATIONS = 20
_MOST_ENTRIES = 5000  # of a project's folder
_MOST_NAMED = 4
_SUFFIXES = (".py", ".pyc", ".pyd")


@dataclass(frozen=True, slots=True)
class _Shadow:
    """A module that hides another one of its name: `shown` is its path, `hidden` says whose the other is.

    `taken`: that importers in the dist get this one is known. `folder` is the one that its submodules are in, if it is
    a package; `entry` its source. `maybe_real`: it may be a copy of the other one, for nothing here has that.
    """

    name: str
    shown: str
    hidden: str
    entry: FileEntry
    folder: str = ""
    taken: bool = False
    maybe_real: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    """One import of a hidden module by a stranger: the importer, the line, what it takes that is not there."""

    edge: Edge
    strength: Strength
    lacks: str = ""
    sure: bool = False


def check_shadowed(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each module that hides one which others import, and for modules that are there twice."""
    told: set[str] = set()
    for shadow in (*_of_project(closure.world), *_of_dist(closure.world)):
        rows = _importers(closure, shadow) if shadow.name not in told else []
        if rows and ((rows[0].lacks and rows[0].sure) or not shadow.maybe_real):
            told.add(shadow.name)
            yield _finding(closure, shadow, rows)
    yield from _twice(closure.world, told)


# --- which modules hide another one ---


def _of_project(world: World) -> Iterator[_Shadow]:
    """Yield the modules of the program's project that bear a name of the standard library or of a distribution."""
    for root in world.project:
        inside = os.path.normcase(os.path.realpath(root)) + os.sep
        if inside.startswith(os.path.normcase(os.path.realpath(world.tree.root)) + os.sep):
            continue  # the script lies in the dist itself
        for name, entry, folder in _top_level(root):
            hidden = _hidden(world, name, entry)
            taken = _is_taken(world, name, bool(folder)) if hidden else None
            if hidden and taken is not None:
                yield _Shadow(name, entry.path, hidden, entry, folder, taken)


def _top_level(root: str) -> Iterator[tuple[str, FileEntry, str]]:
    """Yield (name, source, folder if it is a package) of the modules directly in a folder on disk."""
    files = DiskFolders(root)
    try:
        with os.scandir(root) as found:
            names = [entry.name for entry, _ in zip(found, range(_MOST_ENTRIES), strict=False)]
    except OSError:
        return
    for file in sorted(names):
        name = file.removesuffix(".py")
        if not name.isidentifier():
            continue
        package = files.in_folder(name, "__init__.py") if name == file else None
        entry = package or (files.in_folder("", file) if name != file else None)
        if entry is not None:
            yield name, entry, os.path.join(root, name) if package else ""


def _hidden(world: World, name: str, entry: FileEntry) -> str:
    """Return whose module of that name a project's module hides, an empty string if there is no other."""
    if name in stdlib_modules(world.version):
        return phrase("the standard library's")
    owned = world.supply.distribution_of(name)
    other = world.supply.module(name)
    if owned is None or other is None or other.entry is None or owned[1].is_editable:
        return ""
    same = os.path.realpath(other.entry.source) == os.path.realpath(entry.source)
    if same or world.facts.same_content(other.entry, entry):
        return ""  # the project itself is installed there
    return phrase("that of {owned} {version}", owned=owned[1].name, version=owned[1].version)


def _is_taken(world: World, name: str, is_package: bool) -> bool | None:
    """Return True if the program surely has the project's module, False if it may, None if it has it not."""
    contents = world.inside.contents
    row = contents.modules.get(name) if contents is not None else None
    if row is not None and row.storage in (Storage.COMPILED, Storage.BYTECODE):
        of_stdlib = name in stdlib_modules(world.version)
        # Nuitka compiles what is not of the standard library, and keeps that as bytecode.
        return row.storage is Storage.COMPILED and of_stdlib and row.is_package == is_package
    if contents is not None and world.inside.is_readable:
        return None
    found = world.finder.find(name)
    return None if found is not None and world.dist.freezer.hides_code else False


def _of_dist(world: World) -> Iterator[_Shadow]:
    """Yield files of the dist that are found instead of a module of the standard library or of a distribution."""
    recorded = _recorded_tops(world)
    all_recorded = {path for paths in recorded.values() for path in paths}
    names = stdlib_modules(world.version)
    for module in world.modules:
        if "." in module.name or module.kind is not ModuleKind.SOURCE or module.entry is None:
            continue
        folder = module.folders[0] if module.is_package else ""
        hidden = ""
        if module.name in names:
            hidden = _hidden_stdlib(world, module)
        elif module.name in recorded and fold(module.entry.path) not in all_recorded:
            hidden = _hidden_distribution(world, module, recorded[module.name])
        if hidden:
            copied = module.name in names and world.supply.stdlib_module(module.name) is None
            maybe_real = copied and world.dist.freezer is not Freezer.PYTHON
            yield _Shadow(module.name, module.entry.path, hidden, module.entry, folder, True, maybe_real)


def _hidden_stdlib(world: World, module: ModuleFile) -> str:
    """Return a non-empty string if a file is not the module of the standard library whose name it bears.

    A dist may hold the standard library's own files: a repair copies what the program lacks.
    """
    if module.entry is None:
        return ""
    if world.dist.freezer is Freezer.PYTHON:
        folders = [one for one in world.dist.layout.search_path if fold(one) != fold(_root_of(module))]
        others = [_in_folder(world, folder, module.name) for folder in folders]
        return (
            phrase("the standard library's")
            if any(one is not None and _is_stdlib_folder(one) for one in others)
            else ""
        )
    if not world.inside.is_readable or not world.dist.freezer.hides_code:
        return ""
    real = world.supply.stdlib_module(module.name)
    if real is not None and real.entry is not None:
        if world.facts.same_content(real.entry, module.entry) or real.is_package != module.is_package:
            return "" if real.is_package == module.is_package else phrase("the standard library's")
        own, other = _names(world, module.entry), _names(world, real.entry)
        common = own.binds.keys() & other.binds.keys()
        return phrase("the standard library's") if len(common) * 2 < len(other.binds) and not own.adds_names else ""
    return phrase("the standard library's")


def _names(world: World, entry: FileEntry) -> SourceFacts:
    """Return the facts of a source with the names that it binds, which are asked of packages alone otherwise."""
    target = SourceTarget(world.version, world.dist.machine.value)
    data = world.facts.content(entry)
    return world.facts.remember(entry.source, "names", lambda _: read_source(data, target, is_package=True))


def _root_of(module: ModuleFile) -> str:
    path = module.entry.path if module.entry is not None else ""
    return parent(parent(path)) if module.is_package else parent(path)


def _is_stdlib_folder(entry: FileEntry) -> bool:
    return fold(entry.path).startswith("lib/") and not fold(entry.path).startswith("lib/site-packages/")


def _in_folder(world: World, folder: str, name: str) -> FileEntry | None:
    found = world.tree.in_folder(join(folder, name), "__init__.py")
    return found or world.tree.in_folder(folder, f"{name}.py")


def _recorded_tops(world: World) -> dict[str, list[str]]:
    """Return {top-level module: folded dist-relative paths} of what the distributions of the dist recorded."""
    found: dict[str, list[str]] = {}
    for present in world.distributions:
        for recorded in records_of(world.tree, world.facts, present):
            top, _, rest = recorded.path.partition("/")
            stem, suffix = os.path.splitext(rest or top)
            if suffix != ".py" or (rest and stem != "__init__"):
                continue
            found.setdefault(top if rest else stem, []).append(fold(path_in_dist(present, recorded)))
    return found


def _hidden_distribution(world: World, module: ModuleFile, recorded: list[str]) -> str:
    """Return whose module a file stands for, if that one is a package and this is none, or the other way round."""
    was_package = any(path.endswith("/__init__.py") for path in recorded)
    if was_package == module.is_package:
        return ""  # of the same shape: DF208 compares its content
    for present in world.distributions:
        paths = {fold(path_in_dist(present, one)) for one in records_of(world.tree, world.facts, present)}
        if not paths.isdisjoint(recorded):
            return phrase("that of {present}", present=present)
    return ""


# --- who imports them ---


def _importers(closure: Closure, shadow: _Shadow) -> list[_Taken]:
    """Return the imports of a hidden module by code that is not the program's own, the worst first."""
    world, graph = closure.world, closure.graph
    own = {name for root in world.project for name, _, _ in _top_level(root)}
    facts = _names(world, shadow.entry)
    rows = []
    for edge in graph.edges():
        name, importer = edge.target.name, edge.source.name
        if edge.kind is not EdgeKind.IMPORT or not (name == shadow.name or name.startswith(f"{shadow.name}.")):
            continue
        top = importer.partition(".")[0]
        strength = graph.edge_strength(edge)
        if strength is None or top in own or top == shadow.name or importer == PROGRAM or importer.startswith("<"):
            continue
        rows.append(_taken(world, graph, shadow, facts, edge))
    return sorted(rows, key=lambda row: (not row.lacks, not row.sure, -row.strength, row.edge.source.name))


def _taken(world: World, graph: Graph, shadow: _Shadow, facts: SourceFacts, edge: Edge) -> _Taken:
    strength = graph.edge_strength(edge) or Strength.POSSIBLE
    module = world.walker.find(edge.source.name)
    if module is None or not module.has_code:
        return _Taken(edge, strength)
    reached = graph.strength(edge.source) or Strength.POSSIBLE
    for use in world.read(module).uses:
        if not isinstance(use, ImportUse) or use.computed or use.mentioned or use.where.instead:
            continue  # `instead`: where the module had the name long ago, as urllib in Python 2
        lacks = _lacks(shadow, facts, absolute_name(module, use) or "", use.names)
        if lacks:
            certain = use.where.strength(load=False) is Strength.REQUIRED and reached >= Strength.PROBABLE
            return _Taken(edge, strength, lacks, certain)
    return _Taken(edge, strength)


def _lacks(shadow: _Shadow, facts: SourceFacts, base: str, names: tuple[str, ...]) -> str:
    """Return what an import takes of a module that its shadow does not have, an empty string if it has all."""
    if base.startswith(f"{shadow.name}."):
        first = base.split(".")[1]
        return "" if _has_submodule(shadow, first) or facts.adds_names or facts.error else base
    if base != shadow.name or facts.adds_names or facts.error or facts.lazy or "__getattr__" in facts.binds:
        return ""
    return next((n for n in names if n != "*" and n not in facts.binds and not _has_submodule(shadow, n)), "")


def _has_submodule(shadow: _Shadow, name: str) -> bool:
    if not shadow.folder:
        return False
    folder = os.path.dirname(shadow.entry.source)
    return any(os.path.exists(os.path.join(folder, f"{name}{end}")) for end in ("", *_SUFFIXES))


def _finding(closure: Closure, shadow: _Shadow, rows: list[_Taken]) -> Finding:
    first = rows[0]
    error = bool(shadow.taken and first.lacks and first.sure)
    where = f"{first.edge.path}:{first.edge.line}" if first.edge.path and first.edge.line else first.edge.source.name
    count = len({row.edge.source for row in rows})
    more = phrase(" (and {count} more)", count=count - 1) if count > 1 else ""
    takes = (
        phrase("takes {lacks} from it", lacks=first.lacks)
        if first.lacks
        else phrase("imports {shadow}", shadow=shadow.name)
    )
    effect = phrase("which the file does not have") if first.lacks else phrase("and gets this file")
    if first.lacks and first.lacks.startswith(f"{shadow.name}."):
        takes = phrase("imports {lacks}", lacks=first.lacks)
    verb = phrase("hides") if shadow.taken else phrase("may hide")
    chain = chain_texts(closure.graph.chain(first.edge.source), closure.graph.root)
    return finding(
        _NAME,
        shadow.name,
        phrase(
            "{shadow} {verb} {hidden} {shadow2}: {where}{more} {takes}, {effect}; rename the file and what "
            "imports it, and freeze again",
            shadow=shadow.shown,
            verb=verb,
            hidden=shadow.hidden,
            shadow2=shadow.name,
            where=where,
            more=more,
            takes=takes,
            effect=effect,
        ),
        severity=Severity.ERROR if error else Severity.WARNING,
        confidence=Confidence.CERTAIN if error else Confidence.PROBABLE if shadow.taken else Confidence.POSSIBLE,
        locations=tuple(
            dict.fromkeys((Location(shadow.shown), *(Location(r.edge.path, r.edge.line) for r in rows if r.edge.path)))
        )[:_MOST_LOCATIONS],
        chain=(*(chain[:-1] if chain[-1] in (where, first.edge.path) else chain), where, shadow.name),
        identity=shadow.shown,
    )


# --- modules that are there twice ---


def _twice(world: World, told: set[str]) -> Iterator[Finding]:
    """Yield a finding for each top-level module that is there as a package and as a file, and one for all of which the
    program takes its own instead of a file.
    """
    inside: list[tuple[str, FileEntry]] = []
    contents = world.inside.contents
    for root in world.dist.layout.search_path:
        for name, entries in _by_name(world, root).items():
            row = contents.modules.get(name) if contents is not None else None
            if (
                row is not None
                and row.storage in (Storage.COMPILED, Storage.BYTECODE)
                and _is_importable(world, entries)
            ):
                inside.append((name, entries[0]))
            elif len(entries) > 1 and name not in told and not _is_installed(world, entries):
                yield _both(name, entries)
    if inside:
        yield _ignored(inside)


def _by_name(world: World, root: str) -> dict[str, list[FileEntry]]:
    """Return {name: its package's `__init__`, then its file} of sources and bytecode directly in a folder."""
    found: dict[str, list[FileEntry]] = {}
    for folder in world.tree.folders_in(root):
        for suffix in _SUFFIXES:
            entry = world.tree.in_folder(folder, f"__init__{suffix}")
            if entry is not None:
                found.setdefault(base_name(folder), []).append(entry)
                break
    for entry in world.tree.files_in(root):
        stem, suffix = os.path.splitext(entry.name)
        if entry.kind in (FileKind.SOURCE, FileKind.BYTECODE) and suffix in _SUFFIXES and stem.isidentifier():
            found.setdefault(stem, []).append(entry)
    return found


def _is_importable(world: World, entries: list[FileEntry]) -> bool:
    """Return True unless the program's own loader has just these files, as cx_Freeze lists those in its folder."""
    return world.dist.freezer is not Freezer.NONE and all(entry.kind is FileKind.SOURCE for entry in entries)


def _is_installed(world: World, entries: list[FileEntry]) -> bool:
    """Return True if distributions recorded all of these files: their makers know which is taken."""
    recorded = {path for paths in _recorded_tops(world).values() for path in paths}
    return all(fold(entry.path) in recorded for entry in entries)


def _both(name: str, entries: list[FileEntry]) -> Finding:
    wins, loses = entries[0], entries[1]
    kind = phrase("the package") if base_name(wins.path).startswith("__init__") else phrase("the source")
    return finding(
        _NAME,
        name,
        phrase(
            "{name} is there twice: {kind} {wins} is imported, never {loses}; delete the one that is not meant",
            name=name,
            kind=kind,
            wins=wins.path,
            loses=loses.path,
        ),
        severity=Severity.WARNING,
        locations=(Location(wins.path), Location(loses.path)),
        identity=f"{loses.path}\0twice",
    )


def _ignored(rows: list[tuple[str, FileEntry]]) -> Finding:
    name, entry = rows[0]
    others = ", ".join(other for other, _ in rows[1 : _MOST_NAMED + 1])
    more = (
        phrase(" (so are {others})", others=others + (", ..." if len(rows) > _MOST_NAMED + 1 else ""))
        if len(rows) > 1
        else ""
    )
    return finding(
        _NAME,
        name,
        phrase(
            "{name} is inside the program, which never imports {path}{more}; a change to such a file has no effect",
            name=name,
            path=entry.path,
            more=more,
        ),
        severity=Severity.INFO,
        locations=tuple(Location(one.path) for _, one in rows[:_MOST_LOCATIONS]),
        identity="inside",
    )
