"""What does not change while the processes of one scan run: the dist, the rules of Windows, the modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from depfix.closure.facts import Facts
from depfix.closure.graph import Node, NodeKind
from depfix.closure.liveness import Binding
from depfix.dist.identify import Dist
from depfix.dist.records import Records
from depfix.dist.tree import FileKind, Tree
from depfix.imports.finder import DiskFolders, ModuleFile, ModuleFinder, ModuleKind, all_modules, module_suffixes
from depfix.imports.naming import sets_attribute
from depfix.imports.uses import Calls, ImportUse, Strength
from depfix.imports.walker import ImportStep, ModuleWalker, absolute_name
from depfix.knowledge.stdlib import stdlib_extensions, stdlib_needs
from depfix.loader.assemblies import NeededAssembly, external_manifest, manifest_places, needed_assemblies
from depfix.loader.system import CleanSystem
from depfix.model.image import Exports, Image, ImageOrProblem, ImageProblem, ImportedDll, Manifest
from depfix.model.machine import Machine
from depfix.model.names import base_name, dll_file_name, fold, join, parent
from depfix.pe.manifest import read_manifest
from depfix.pe.reader import map_file

_NO_PYTHON = (3, 8)

# (name of a DLL, name of the DLL that names it) -> how likely an environment's file is meant, None if it has none
Offers = Callable[[str, str], Strength | None]


def no_offers(_name: str, _by: str) -> Strength | None:
    """Offer nothing: there is no environment."""
    return None


class World:
    """The dist (or the dist with a plan laid over it), its modules, and the clean Windows around it."""

    def __init__(
        self,
        dist: Dist,
        tree: Tree,
        system: CleanSystem,
        facts: Facts,
        project: tuple[str, ...],
        offers: Offers = no_offers,
    ) -> None:
        self.dist = dist
        self.tree = tree
        self.system = system
        self.facts = facts
        self.offers = offers
        self.records = Records(tree, dist.layout.search_path)
        self.version = dist.python.version if dist.python is not None else _NO_PYTHON
        suffixes = module_suffixes(dist.python, dist.machine)
        self.finder = ModuleFinder(tree, dist.layout.search_path, suffixes)
        finders = [self.finder] + [ModuleFinder(DiskFolders(root), ("",), suffixes) for root in project]
        stdlib = stdlib_needs(self.version) if self._has_stdlib_files() else {}
        self.walker = ModuleWalker(
            finders, facts.source, stdlib, lambda name: bool(self.recorded_file(name)), self.may_get
        )
        self._noted: set[tuple[str, int]] = set()
        self.start_directories = (
            *dist.layout.user_directories,
            *_directories_named_in_program(dist, tree, self.finder),
        )

    def image(self, path: str) -> ImageOrProblem:
        """Return the image at a dist-relative path."""
        entry = self.tree.file(path)
        return self.facts.image(entry) if entry is not None else ImageProblem("it is not there", unreadable=True)

    def fits(self, image: Image) -> bool:
        """Return True if a process of the program's machine loads such an image.

        An ARM64X image holds code for arm64 and for amd64 processes. Source: Microsoft Learn, "Arm64X PE files"
        https://learn.microsoft.com/windows/arm/arm64x-pe
        """
        both = (Machine.ARM64, Machine.AMD64)
        return image.machine is self.dist.machine or (image.hybrid and self.dist.machine in both)

    def exports(self, path: str) -> Exports | None:
        """Return the export directory of an image of the dist, None if it cannot be read."""
        entry = self.tree.file(path)
        return self.facts.exports(entry) if entry is not None else None

    def imported(self, path: str) -> dict[str, ImportedDll]:
        """Return what an image takes from each DLL, by the folded file name of the DLL."""
        entry = self.tree.file(path)
        return self.facts.imported(entry) if entry is not None else {}

    def forwarded(self, path: str, wanted: ImportedDll) -> tuple[ImportedDll, ...]:
        """Return which of the wanted exports an image only forwards: for each host what is wanted of it."""
        exports = self.exports(path)
        if exports is None or not exports.forwarders:
            return ()
        names, ordinals = set(wanted.symbols), set(wanted.ordinals)
        hosts: dict[str, list[str]] = {}
        for forwarder in exports.forwarders:
            if forwarder.name in names or forwarder.ordinal in ordinals:
                host, _, symbol = forwarder.target.rpartition(".")
                hosts.setdefault(host, []).append(symbol)
        return tuple(_wanted_of(host, symbols, wanted.delayed) for host, symbols in hosts.items() if host)

    def assemblies(self, path: str) -> tuple[NeededAssembly, ...]:
        """Return the side-by-side assemblies that an image's manifest names, with those that they need in turn."""
        own = self._manifest(path)
        return tuple(needed_assemblies(own[1], parent(path), self._assembly_manifest)) if own is not None else ()

    def unread_manifests(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield (dist-relative path, reason) of each manifest that counts for an image and cannot be read."""
        own = self._manifest(path)
        places = [own] if own is not None else []
        asked = {asked for _, manifest in places for asked in manifest.dependencies}
        found = (self._assembly_manifest(place) for one in asked for place in manifest_places(one, parent(path)))
        yield from ((place, one.problem) for place, one in (*places, *filter(None, found)) if one.problem)

    def _manifest(self, path: str) -> tuple[str, Manifest] | None:
        """Return (where it stands, the manifest) of an image."""
        image = self.image(path)
        if not isinstance(image, Image):
            return None
        if image.manifest is not None:
            return path, image.manifest
        entry = self.tree.file(external_manifest(path, is_dll=image.is_dll))
        manifest = read_manifest(entry.source) if entry is not None else None
        return (entry.path, manifest) if entry is not None and manifest is not None else None

    def _assembly_manifest(self, place: str) -> tuple[str, Manifest] | None:
        entry = self.tree.file(place)
        if entry is None:
            return None
        if place.endswith(".manifest"):
            manifest = read_manifest(entry.source)
        else:
            image = self.image(place)
            manifest = image.manifest if isinstance(image, Image) else None
        return (entry.path, manifest) if manifest is not None else None

    def _has_stdlib_files(self) -> bool:
        """Return True unless every extension module of the standard library is linked into the Python DLL."""
        return any(self.finder.find(name) is not None for name in stdlib_extensions(self.version))

    def is_stdlib(self, module: str) -> bool:
        """Return True for modules of the standard library that need extension modules, and for what is in them."""
        return module.partition(".")[0] in {name.partition(".")[0] for name in stdlib_needs(self.version)}

    def recorded_file(self, module: str) -> str:
        """Return the file that once held a module by what is left of its package, an empty string if nothing tells.

        That is the RECORD of its distribution, or without one the stub that lies beside an extension module.
        """
        package, _, name = module.rpartition(".")
        above = self.finder.find(package) if package else None
        folders = self.dist.layout.search_path if not package else above.folders if above is not None else ()
        # What was installed as a source may have been compiled into the program, unless its package is a source here.
        hidden = self.dist.freezer.hides_code and (above is None or above.kind is not ModuleKind.SOURCE)
        for folder in folders:
            found = self.records.module_file(folder, name)
            if found and not (hidden and fold(found).endswith(".py")):
                return found
            if not package or self.records.in_folder(folder):
                continue
            if self.tree.in_folder(folder, f"{name}.pyi") and not self.tree.in_folder(folder, f"{name}.py"):
                return join(folder, f"{name}.pyd")
        return ""

    def may_get(self, package: str, name: str) -> bool:
        """Return True if code other than a package's own `__init__` may give it an attribute of that name.

        That is compiled code in the package or in the program, and sources of the package that set names of modules.
        """
        found = self.finder.find(package)
        if found is None or self.dist.freezer.hides_code:
            return True
        inside = tuple(f"{fold(folder)}/" for folder in found.folders)
        for entry in self.tree:
            if not fold(entry.path).startswith(inside):
                continue
            if fold(entry.path).endswith((".pyd", ".pyc")) and "/__pycache__/" not in fold(entry.path):
                return True
            if entry.kind is FileKind.SOURCE and sets_attribute(self.facts.content(entry), name):
                return True
        return False

    def named_dlls(self, path: str) -> tuple[str, ...]:
        """Return the DLL names that stand as strings in the data of an image, without those that its tables name."""
        entry = self.tree.file(path)
        image = self.image(path)
        if entry is None or not isinstance(image, Image):
            return ()
        known = {fold(dll_file_name(name)) for name in (*image.imports, *image.delay_imports)}
        return tuple(name for name in self.facts.dll_names(entry) if name not in known)

    def is_first_note(self, module: str, step: ImportStep) -> bool:
        """Return True once for each import statement: it says the same in every process."""
        key = (module, id(step))
        if key in self._noted:
            return False
        self._noted.add(key)
        return True

    def module_node(self, module: str) -> Node:
        return Node(NodeKind.MODULE, module)

    def calls(self, module: str) -> Calls | None:
        """Return who may call whom in a module's source, None if that is unknown."""
        found = self.walker.find(module)
        if found is None or found.entry is None or found.kind is not ModuleKind.SOURCE:
            return None
        return self.facts.source(found.entry).calls

    def is_own(self, module: str) -> bool:
        """Return True for the program's script and the modules of its project, which are not in the dist."""
        found = self.walker.find(module)
        return found is not None and found.entry is not None and self.tree.file(found.entry.path) is not found.entry

    @cached_property
    def modules(self) -> tuple[ModuleFile, ...]:
        """The modules in the files of the dist."""
        return tuple(all_modules(self.tree, self.dist.layout.search_path, self.finder))

    @cached_property
    def tops(self) -> frozenset[str]:
        """The names of the top-level modules and packages of the dist."""
        return frozenset(module.name.partition(".")[0] for module in self.modules)

    def bindings(self, module: str) -> Iterator[Binding]:
        """Yield the names that the import statements of a module bind, wherever they stand."""
        found = self.walker.find(module)
        if found is None or found.entry is None or found.kind is not ModuleKind.SOURCE:
            return
        for use in self.facts.source(found.entry).uses:
            base = absolute_name(found, use) if isinstance(use, ImportUse) else None
            if base is None or not isinstance(use, ImportUse):
                continue
            if not use.names:
                yield Binding(base.partition(".")[0], base.partition(".")[0], "")
                yield Binding(base, base, "")
            for name in use.names:
                yield Binding(name, base, name)
            for local, name in use.aliases:
                yield Binding(local, base, name)
        for name in self.facts.source(found.entry).lazy:
            yield Binding(name, self.walker.lazy_module(module, name), name)

    def source_path(self, module: str) -> str:
        """Return the dist-relative path of a module's file, an empty string if it has none."""
        found = self.walker.find(module)
        return found.entry.path if found is not None and found.entry is not None else ""

    def hides_preamble(self, module: str) -> bool:
        """Return True if code that runs before this module is in no readable file, so that it may add directories."""
        if not self.dist.freezer.hides_code:
            return False
        package = module.rpartition(".")[0]
        while package:
            found = self.finder.find(package)
            if found is None or found.kind is not ModuleKind.SOURCE:
                return True
            package = package.rpartition(".")[0]
        return False


def _wanted_of(host: str, symbols: list[str], delayed: bool) -> ImportedDll:
    ordinals = tuple(int(symbol[1:]) for symbol in symbols if symbol.startswith("#") and symbol[1:].isdigit())
    names = tuple(symbol for symbol in symbols if not symbol.startswith("#"))
    return ImportedDll(host, names, ordinals, delayed)


def _directories_named_in_program(dist: Dist, tree: Tree, finder: ModuleFinder) -> tuple[str, ...]:
    """Return folders with DLLs whose name is a whole string in the program, of packages whose source is not here.

    A package that is compiled into the program adds its DLL folder (such as `package.libs`) from there; its constants,
    with a type letter before and a NUL behind, are all that can be seen of that code.
    """
    if not dist.freezer.hides_code:
        return ()
    folders = {
        parent(entry.path) for entry in tree if entry.kind is FileKind.IMAGE and entry.path.lower().endswith(".dll")
    }
    candidates = [folder for folder in sorted(folders) if folder and not _has_source(folder, finder)]
    entry = tree.file(dist.host.path)
    data = map_file(entry.source) if candidates and entry is not None else None
    if data is None:
        return ()
    named = (folder for folder in candidates if any(data.find(text) >= 0 for text in _constants(base_name(folder))))
    return tuple(named)


def _constants(name: str) -> tuple[bytes, ...]:
    text = name.encode("utf-8", "surrogatepass")
    return (b"a" + text + b"\0", b"u" + text + b"\0")


def _has_source(folder: str, finder: ModuleFinder) -> bool:
    top = finder.find(folder.partition("/")[0])
    return top is not None and top.kind is ModuleKind.SOURCE
