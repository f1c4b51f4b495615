"""What the code of modules asks of the loader: DLLs by name or path, extension modules, folders to look in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from depfix.closure.bound import expanded, note_outside, own_extension
from depfix.closure.directories import ProcessDirectories
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind
from depfix.closure.listed import Listing
from depfix.closure.loading import Load, ProcessLoader, leading_to, missing_edge
from depfix.closure.named import named_places
from depfix.closure.paths import Pattern, folders_of, for_other_systems, images_of
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.uses import (
    CFFI,
    DefaultDirectoriesUse,
    DllDirectoryUse,
    LoadUse,
    PackagePathUse,
    PathUse,
    SearchPathUse,
    Strength,
)
from depfix.imports.values import OWN_FILE, Hole, Outer
from depfix.loader.search import Place, cffi_flags, ctypes_flags, python_import_flags, search_places
from depfix.model.names import base_name, dll_file_name, fold, parent
from depfix.wording.message import phrase, tabled


@dataclass(frozen=True, slots=True)
class _Asked:
    """A load that some code of a module asks for; see `CodeLoads.run`."""

    module: str
    use: LoadUse
    surest: Strength
    called: bool


class CodeLoads:
    """Carries out, in one process, what code asks of the loader."""

    def __init__(self, world: World, graph: Graph, directories: ProcessDirectories, loader: ProcessLoader) -> None:
        self._world = world
        self._graph = graph
        self._directories = directories
        self._loader = loader

    def extension(self, name: str, entry: FileEntry) -> None:
        """Load an extension module as Python's import does."""
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(Edge(Node(NodeKind.MODULE, name), node, EdgeKind.FILE, Strength.REQUIRED, entry.name))
        places = self.places(python_import_flags(self._world.version), parent(entry.path))
        self._loader.load(Load(entry.path, places, self._world.hides_preamble(name)), node)

    def listed(self, listing: Listing, source: Node) -> None:
        """Load the DLLs that a module is known to load, and note those that are not there.

        That it loads one is known, not that it cannot do without.
        """
        for file in listing.files:
            if file.entry is not None:
                node = Node(NodeKind.IMAGE, file.entry.path)
                is_new = self._graph.strength(node) is None
                self._graph.add(Edge(source, node, EdgeKind.NAMED, Strength.POSSIBLE, file.entry.name))
                if is_new:
                    self._loader.load(
                        Load(file.entry.path, named_places(file.entry.path, self._directories.now())), node
                    )
            else:
                strength = Strength.PROBABLE if listing.sure else Strength.POSSIBLE
                path = self._world.source_path(source.name)
                edge = Edge(source, source, EdgeKind.NAMED, strength, path=path, note=tabled(listing.words))
                self._graph.add(missing_edge(edge, base_name(file.path), (), file.path, unsure=False))

    def run_directory(
        self, module: str, use: DllDirectoryUse | PathUse | DefaultDirectoriesUse, surest: Strength
    ) -> None:
        """Let DLLs be looked for in the folders that some code names; note those outside the dist."""
        if isinstance(use, DefaultDirectoriesUse):
            self._directories.set_default(use.flags)
            return
        if use.path is None:
            self._directories.set(None)
            return
        for text, origin in expanded(self._world, module, use.path):
            if not note_outside(self._world, self._graph, module, use, surest, text, origin):
                self._give_directories(use, self._world.surroundings(module).pattern(text))

    def _give_directories(self, use: DllDirectoryUse | PathUse, pattern: Pattern | None) -> None:
        for folder in folders_of(pattern, self._world.tree) if pattern is not None else ():
            if isinstance(use, PathUse):
                self._directories.put_on_path(folder)
            elif use.sole:
                self._directories.set(folder)
            elif use.removed:
                self._directories.remove(folder)
            else:
                self._directories.add(folder)

    def search_bound(self, module: str, use: SearchPathUse | PackagePathUse, surest: Strength) -> None:
        """Note folders outside the dist, and load what a package searches for under its own name in others."""
        for text, origin in expanded(self._world, module, use.path) if isinstance(use, SearchPathUse) else ():
            pattern = self._world.surroundings(module).pattern(text)
            if pattern is None and isinstance(use, SearchPathUse):
                note_outside(self._world, self._graph, module, use, surest, text, origin)
            entry = own_extension(self._world, module, pattern.path) if pattern and origin else None
            if entry is not None:
                self.extension(module, entry)

    def run(self, module: str, use: LoadUse, surest: Strength, *, called: bool) -> None:
        """Load what some code asks for, as far as its name or path is known.

        `surest` bounds how surely it runs; `called`: functions are run that something is seen to call, and no others.
        """
        asked = _Asked(module, use, surest, called)
        pattern = self._world.surroundings(module).pattern(use.path)
        if pattern is None:
            note_outside(self._world, self._graph, module, use, surest, use.path, None)
            if len(use.path.parts) == 1 and (use.path.parts[0] is Hole.ANY or isinstance(use.path.parts[0], Outer)):
                self._unknown(asked)
        elif pattern.is_name:
            self._by_name(asked, pattern)
        else:
            self._by_path(asked, pattern)

    def _by_name(self, asked: _Asked, pattern: Pattern) -> None:
        flags = self._flags(asked.use, has_folder=False)
        places = self.places(flags, None)
        edge = self._edge(asked, pattern)
        if pattern.exact:
            self._loader.need(edge, pattern.path, Load("", places, self._world.hides_preamble(asked.module)))
            return
        for place in places:
            for entry in self._world.tree.files_in(place.folder):
                if pattern.matches(entry.name) and fold(entry.name).endswith(".dll"):
                    self._load(entry, edge, places)

    def _by_path(self, asked: _Asked, pattern: Pattern) -> None:
        if base_name(pattern.path) == OWN_FILE:
            return  # a module that loads its own file has it loaded
        edge = self._edge(asked, pattern)
        entries = images_of(pattern, self._world.tree)
        found = replace(edge, strength=max(edge.strength, Strength.PROBABLE)) if asked.use.where.last_resort else edge
        lost = [path for path in self._world.records.missing_libraries() if pattern.matches(path)]
        for path in lost:
            surely = max(edge.strength, Strength.PROBABLE)
            if entries and not pattern.exact:
                surely = Strength.POSSIBLE  # code that loads whatever lies there goes on with what is left
            self._graph.add(_lost(replace(edge, strength=min(surely, asked.surest)), path))
        for entry in entries:
            flags = self._flags(asked.use, has_folder=True)
            self._load(entry, found, self.places(flags, parent(entry.path)))
        if (
            not entries
            and not lost
            and pattern.exact
            and not asked.use.where.conditional
            and not for_other_systems(pattern.path)
        ):
            expected = dll_file_name(pattern.path)
            self._graph.add(missing_edge(edge, base_name(expected), (), expected, unsure=False))

    def _unknown(self, asked: _Asked) -> None:
        """A path that could not be evaluated: any DLL of the package may be meant."""
        top = self._world.walker.find(asked.module.partition(".")[0])
        folder = top.folders[0] if top is not None and top.folders else None
        if folder is None:
            return
        edge = self._edge(asked, Pattern("*", False, False, is_name=True))
        flags = self._flags(asked.use, has_folder=True)
        inside = fold(folder) + "/"
        entries = [entry for entry in self._world.tree.images() if fold(entry.path).startswith(inside)]
        libraries = [entry for entry in entries if fold(entry.path).endswith(".dll")]
        for entry in libraries:
            self._load(entry, edge, self.places(flags, parent(entry.path)))
        for path in self._world.records.missing_libraries() if not libraries else ():
            if fold(path).startswith(inside):
                self._graph.add(_lost(edge, path))

    def _edge(self, asked: _Asked, pattern: Pattern) -> Edge:
        module, use = asked.module, asked.use
        strength = min(use.where.strength(load=True), asked.surest)
        if use.where.deferred and self._world.is_stdlib_name(module):
            strength = Strength.POSSIBLE  # functions that look for libraries, and tests of them
        if not pattern.exact and not pattern.each:
            strength = min(strength, Strength.PROBABLE)
        source = self._world.module_node(module)
        path = self._world.source_path(module)
        called = asked.called and use.where.deferred and not use.where.conditional
        note = phrase("code calls the function that loads it") if called and strength is Strength.PROBABLE else ""
        return Edge(source, source, EdgeKind.LOAD, strength, path=path, line=use.where.line, note=note)

    def _load(self, entry: FileEntry, edge: Edge, places: tuple[Place, ...]) -> None:
        node = Node(NodeKind.IMAGE, entry.path)
        self._graph.add(leading_to(edge, node, entry.name))
        self._loader.load(Load(entry.path, places), node)

    def _flags(self, use: LoadUse, *, has_folder: bool) -> int:
        if use.flags is None:
            return ctypes_flags(self._world.version, has_folder)
        return cffi_flags(has_folder) if use.flags == CFFI else use.flags

    def places(self, flags: int, asked_folder: str | None) -> tuple[Place, ...]:
        """Return where the loader looks now, for a load with these flags of a DLL asked for in a folder, or in none."""
        return search_places(flags, asked_folder, self._directories.now())


def _lost(edge: Edge, path: str) -> Edge:
    """Return a load as one of a file that the package was installed with and that is not there."""
    missing = missing_edge(edge, base_name(path), (), path, unsure=False)
    return replace(missing, note=phrase("it was installed with its package"))
