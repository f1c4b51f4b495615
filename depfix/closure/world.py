"""What does not change while the processes of one scan run: the dist, the rules of Windows, the modules."""

from __future__ import annotations

from depfix.closure.facts import Facts
from depfix.closure.graph import Node, NodeKind
from depfix.dist.identify import Dist
from depfix.dist.tree import FileKind, Tree
from depfix.imports.finder import DiskFolders, ModuleFinder, ModuleKind, module_suffixes
from depfix.imports.walker import ImportStep, ModuleWalker
from depfix.loader.system import CleanSystem
from depfix.model.image import ImageOrProblem, ImageProblem
from depfix.model.names import base_name, parent
from depfix.pe.reader import map_file

_NO_PYTHON = (3, 8)


class World:
    """The dist (or the dist with a plan laid over it), its modules, and the clean Windows around it."""

    def __init__(self, dist: Dist, tree: Tree, system: CleanSystem, facts: Facts, project: tuple[str, ...]) -> None:
        self.dist = dist
        self.tree = tree
        self.system = system
        self.facts = facts
        self.version = dist.python.version if dist.python is not None else _NO_PYTHON
        suffixes = module_suffixes(dist.python, dist.machine)
        self.finder = ModuleFinder(tree, dist.layout.search_path, suffixes)
        finders = [self.finder] + [ModuleFinder(DiskFolders(root), ("",), suffixes) for root in project]
        self.walker = ModuleWalker(finders, facts.source)
        self._noted: set[tuple[str, int]] = set()
        self.start_directories = (
            *dist.layout.user_directories,
            *_directories_named_in_program(dist, tree, self.finder),
        )

    def image(self, path: str) -> ImageOrProblem:
        """Return the image at a dist-relative path."""
        entry = self.tree.file(path)
        return self.facts.image(entry) if entry is not None else ImageProblem("it is not there", unreadable=True)

    def is_first_note(self, module: str, step: ImportStep) -> bool:
        """Return True once for each import statement: it says the same in every process."""
        key = (module, id(step))
        if key in self._noted:
            return False
        self._noted.add(key)
        return True

    def module_node(self, module: str) -> Node:
        return Node(NodeKind.MODULE, module)

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
