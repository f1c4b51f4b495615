"""The loader of one simulated process: images with their imports at any depth, forwarders, assemblies, delay loads.

What is missing is noted and the load goes on as if it were there, so that one run tells everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from depfix.closure.directories import ProcessDirectories
from depfix.closure.graph import Edge, EdgeKind, Graph, Node, NodeKind, Shadowed
from depfix.closure.named import named_needs, named_places
from depfix.closure.world import World
from depfix.imports.uses import Strength
from depfix.loader.assemblies import Provision
from depfix.loader.resolve import Outcome, Resolution, resolve
from depfix.loader.search import STANDARD, Place, PlaceKind, dependent_places, search_places
from depfix.model.image import Image, ImportedDll
from depfix.model.names import base_name, dll_file_name, fold, parent

_LONGEST_FORWARDING = 8
_SEARCHING = (EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.LOAD)


@dataclass(frozen=True, slots=True)
class Load:
    """One load: the path of the image asked for, and the places that serve what it imports.

    `unsure`: code that cannot be read may have added places before it.
    """

    root: str
    places: tuple[Place, ...]
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class _Pending:
    """A need that was not met when its DLL was loaded; a later load of the same root may meet it."""

    root: str
    edge: Edge


class ProcessLoader:
    """The loaded-module list of a process, and what becomes of each load."""

    def __init__(self, world: World, graph: Graph, directories: ProcessDirectories) -> None:
        self._world = world
        self._graph = graph
        self._directories = directories
        self._loaded: dict[str, str] = {}
        self._paths: set[str] = set()
        self._private: dict[str, str] = {}
        self._unread: list[str] = []
        self._delayed: list[tuple[str, str, bool]] = []
        self._pending: dict[tuple[Node, str], _Pending] = {}

    def fork(self, directories: ProcessDirectories) -> ProcessLoader:
        """Return a loader in the same state that goes its own way from here."""
        twin = ProcessLoader(self._world, self._graph, directories)
        twin._loaded = dict(self._loaded)
        twin._paths = set(self._paths)
        twin._private = dict(self._private)
        return twin

    def has(self, path: str) -> bool:
        """Return True if the file is in the process."""
        return fold(path) in self._paths

    def start(self, path: str, node: Node) -> None:
        """Load a program: the assemblies of its manifest serve every image of the process without one of its own."""
        self._private = self._assemblies(path, node)
        self.load(Load(path, search_places(STANDARD, None, self._directories.now())), node)

    def load(self, load: Load, node: Node) -> None:
        """Load an image and everything that it imports, at any depth, all with the search of the image asked for."""
        if self.has(load.root):
            self._retry(load)
            return
        todo = [(load.root, node)]
        while todo:
            path, current = todo.pop()
            if not self.has(path):
                todo += self._map(path, current, load)

    def need(self, edge: Edge, asked: str, load: Load) -> Resolution:
        """Resolve a name that code loads, and load what is found; `edge` says who needs it and how."""
        found = self._resolve(edge, asked, load, self._private)
        if found.outcome is Outcome.FILE:
            self.load(replace(load, root=found.path), Node(NodeKind.IMAGE, found.path))
        return found

    def finish(self) -> None:
        """Note what is missing, and look for delay-loaded DLLs with the directories that the process ended with."""
        places = search_places(STANDARD, None, self._directories.now())
        for importer, asked, unsure in self._delayed:
            node = Node(NodeKind.IMAGE, importer)
            edge = Edge(node, node, EdgeKind.DELAY, Strength.REQUIRED)
            load = Load(importer, places, unsure)
            found = self.need(edge, asked, load)
            if found.outcome in (Outcome.FILE, Outcome.LOADED):
                # What a delayed function is forwarded to is missed at its first call only.
                for path, host in self._forwarded(importer, asked, found.path, load, self._private, Strength.OPTIONAL):
                    self.load(replace(load, root=path), host)
        self._delayed.clear()
        self._load_named()
        for pending in self._pending.values():
            self._graph.add(pending.edge)
        self._pending.clear()

    def _load_named(self) -> None:
        """Load what the images of the process may load by name; those may name others in turn."""
        while self._unread:
            path = self._unread.pop()
            directories = self._directories.now()
            for edge, entry in named_needs(self._world, path, directories, self._loaded):
                if entry is None:
                    self._pending.setdefault((edge.source, fold(edge.asked)), _Pending(path, edge))
                    continue
                self._graph.add(edge)
                self.load(Load(entry.path, named_places(entry.path, directories)), edge.target)

    def _map(self, path: str, node: Node, load: Load) -> list[tuple[str, Node]]:
        """Put one image into the process; return the images that it brings with it."""
        self._paths.add(fold(path))
        self._loaded.setdefault(fold(base_name(path)), path)
        image = self._world.images.at(path)
        if not isinstance(image, Image) or not self._world.images.fits(image):
            return []
        self._unread.append(path)
        private = {**self._private, **self._assemblies(path, node)}
        folder = parent(path)
        places = dependent_places(image.dependent_load_flags, folder, load.places, self._directories.now())
        served = replace(load, places=places)
        brought: list[tuple[str, Node]] = []
        for asked in image.imports:
            edge = Edge(node, node, EdgeKind.STATIC, Strength.REQUIRED)
            found = self._resolve(edge, asked, served, private)
            if found.outcome is Outcome.FILE:
                brought.append((found.path, Node(NodeKind.IMAGE, found.path)))
            if found.outcome in (Outcome.FILE, Outcome.LOADED):
                brought += self._forwarded(path, asked, found.path, served, private)
        self._delayed += [(path, asked, load.unsure) for asked in image.delay_imports]
        return brought

    def _forwarded(
        self,
        importer: str,
        asked: str,
        provider: str,
        load: Load,
        private: dict[str, str],
        strength: Strength = Strength.REQUIRED,
    ) -> list[tuple[str, Node]]:
        """Follow the exports that are only forwarders: their hosts are loaded with the import.

        Source: Microsoft Learn, "PE Format", Export Address Table
        https://learn.microsoft.com/windows/win32/debug/pe-format#export-address-table
        """
        wanted = self._world.images.imported(importer).get(fold(dll_file_name(asked)))
        brought: list[tuple[str, Node]] = []
        todo = [(provider, wanted)] if wanted is not None else []
        for _ in range(_LONGEST_FORWARDING):
            further: list[tuple[str, ImportedDll]] = []
            for path, symbols in todo:
                node = Node(NodeKind.IMAGE, path)
                for host in self._world.images.forwarded(path, symbols):
                    edge = Edge(node, node, EdgeKind.FORWARD, strength)
                    found = self._resolve(edge, host.name, load, private)
                    if found.outcome is Outcome.FILE:
                        brought.append((found.path, Node(NodeKind.IMAGE, found.path)))
                    if found.outcome in (Outcome.FILE, Outcome.LOADED):
                        further.append((found.path, host))
            todo = further
        return brought

    def _assemblies(self, path: str, node: Node) -> dict[str, str]:
        """Return {DLL name: path} of the assemblies that an image's manifest names; note what is missing.

        The path is empty for a DLL that Windows serves.
        """
        found: dict[str, str] = {}
        for one in self._world.manifests.assemblies(path):
            if one.provision is Provision.NOBODY:
                missing = Node(NodeKind.MISSING, fold(one.name))
                edge = Edge(node, missing, EdgeKind.ASSEMBLY, Strength.REQUIRED, one.name, path=one.by, note=one.note)
                self._pending.setdefault((node, fold(one.name)), _Pending(path, edge))
            for file in one.files:
                found.setdefault(fold(base_name(file)), file if one.provision is Provision.PRIVATE else "")
        return found

    def _from_assembly(self, found: Resolution, asked: str) -> tuple[Resolution, str]:
        """Return where a DLL of an assembly leads, and its path if it is not there: nothing else is looked at then."""
        if not found.path:
            return Resolution(Outcome.SYSTEM, fold(dll_file_name(asked)), found.trail), ""
        if self._world.tree.file(found.path) is None:
            place = Place(PlaceKind.ASSEMBLY, parent(found.path))
            return Resolution(Outcome.MISSING, "", (place,)), found.path
        return found, ""

    def _resolve(self, edge: Edge, asked: str, load: Load, private: dict[str, str]) -> Resolution:
        """Resolve one name and note where it leads."""
        found = resolve(asked, load.places, self._loaded, self._world.tree, self._world.system, private)
        expected = ""
        if found.outcome is Outcome.FILE and found.trail[-1].kind is PlaceKind.ASSEMBLY:
            found, expected = self._from_assembly(found, asked)
        if found.outcome is Outcome.MISSING:
            missing = missing_edge(edge, asked, found.trail, expected, load.unsure and not expected)
            self._pending.setdefault((edge.source, fold(asked)), _Pending(load.root, missing))
            return found
        target = Node(NodeKind.SYSTEM if found.outcome is Outcome.SYSTEM else NodeKind.IMAGE, found.path)
        self._graph.add(leading_to(edge, target, asked))
        if found.outcome is Outcome.LOADED:
            self._note_shadowed(edge, asked, found.path, load)
        return found

    def _note_shadowed(self, edge: Edge, asked: str, winner: str, load: Load) -> None:
        """Note that a search would have found another file than the one that is in the process by that name."""
        if len(self._world.tree.named(fold(dll_file_name(asked)))) < 2:
            return
        other = resolve(asked, load.places, {}, self._world.tree, self._world.system)
        if other.outcome is Outcome.FILE and fold(other.path) != fold(winner):
            self._graph.shadowed[Shadowed(edge.source, asked, winner, other.path)] = None

    def _retry(self, load: Load) -> None:
        """Load a DLL again that is there already: needs that its first load did not meet may be met now."""
        again = [key for key, pending in self._pending.items() if pending.root == load.root]
        for key in again:
            pending = self._pending.pop(key)
            if pending.edge.expected or pending.edge.kind not in _SEARCHING:
                self._pending[key] = pending
                continue
            edge = replace(pending.edge, trail=(), unsure=False)
            if not self.need(edge, pending.edge.asked, load).found:
                self._pending[key] = pending  # the first attempt's trail is the one to tell


def leading_to(edge: Edge, target: Node, asked: str) -> Edge:
    """Return `edge` with where it leads."""
    return Edge(edge.source, target, edge.kind, edge.strength, asked, edge.path, edge.line)


def missing_edge(edge: Edge, asked: str, trail: tuple[Place, ...], expected: str, unsure: bool) -> Edge:
    """Return `edge` as one that leads nowhere."""
    node = Node(NodeKind.MISSING, fold(dll_file_name(asked)))
    return replace(edge, target=node, asked=asked, trail=trail, expected=expected, unsure=unsure)
