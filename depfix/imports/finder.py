"""Finds modules as the target's Python would: packages, extension modules, sources, namespace packages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from depfix.dist.identify import PythonDll
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.frozen.contents import Contents, Storage
from depfix.model.machine import Machine
from depfix.model.names import fold, join

_PLATFORM_TAG = {Machine.AMD64: "win_amd64", Machine.X86: "win32", Machine.ARM64: "win_arm64"}


class ModuleKind(Enum):
    """What a module is made of."""

    SOURCE = "source"
    EXTENSION = "extension"
    BYTECODE = "bytecode"
    NAMESPACE = "namespace"
    FROZEN = "frozen"  # inside the program or an archive


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A module: its dotted name, its file, and its folders if it is a package.

    A namespace package and what is inside the program have no file. `is_provided`: it is not in the dist; an
    environment has it, and `entry` is the file that would come from there, under the path that it would get.
    """

    name: str
    kind: ModuleKind
    entry: FileEntry | None
    folders: tuple[str, ...] = ()
    is_provided: bool = False

    @property
    def is_package(self) -> bool:
        return bool(self.folders)

    @property
    def has_code(self) -> bool:
        """True if its imports can be read."""
        return self.kind in (ModuleKind.SOURCE, ModuleKind.BYTECODE, ModuleKind.FROZEN)


# In the dist: the modules that the completion finder serves, by their dotted names as a path. It cannot be a package.
COMPLETION_FOLDER = "depfix-completion"
_INSIDE = (Storage.COMPILED, Storage.BYTECODE)


class Folders(Protocol):
    """Files by folder and name."""

    def in_folder(self, folder: str, name: str) -> FileEntry | None: ...
    def has_folder_spelled(self, folder: str) -> bool: ...


def module_suffixes(python: PythonDll | None, machine: Machine) -> tuple[tuple[str, ModuleKind], ...]:
    """Return the file suffixes of modules in the order in which the target's Python tries them.

    Source: PEP 3149 and importlib's `_get_supported_file_loaders`; on Windows `.cp310-win_amd64.pyd`, then `.pyd`.
    """
    extension = [".pyd"]
    if python is not None:
        debug = "_d" if python.debug else ""
        tag = f"cp{python.version[0]}{python.version[1]}{'t' if python.free_threaded else ''}"
        extension = [f"{debug}.{tag}-{_PLATFORM_TAG.get(machine, 'win_amd64')}.pyd", f"{debug}.pyd"]
    rows = [(suffix, ModuleKind.EXTENSION) for suffix in extension]
    return (*rows, (".py", ModuleKind.SOURCE), (".pyc", ModuleKind.BYTECODE))


class ModuleFinder:
    """Finds modules below the folders of a search path, after those inside the program: its loader is asked first.

    Names compare with case, on Windows too. Source: PEP 235, "Import on Case-Insensitive Platforms"
    https://peps.python.org/pep-0235/
    """

    def __init__(
        self,
        files: Folders,
        search_path: Sequence[str],
        suffixes: tuple[tuple[str, ModuleKind], ...],
        contents: Contents | None = None,
    ) -> None:
        self._files = files
        self._search_path = tuple(search_path)
        self._suffixes = suffixes
        self._contents = contents
        self._found: dict[str, ModuleFile | None] = {}
        self._more: dict[str, list[str]] = {}

    def find(self, name: str) -> ModuleFile | None:
        """Return the module of this dotted name, None if it is not in a file here."""
        if name not in self._found:
            found = self._locate(name)
            if found is not None and name in self._more and found.is_package:
                found = replace(found, folders=(*found.folders, *self._more[name]))
            self._found[name] = found
        return self._found[name]

    def _locate(self, name: str) -> ModuleFile | None:
        above, _, last = name.rpartition(".")
        inside = self._contents.modules.get(name) if self._contents is not None else None
        if inside is not None and inside.storage in _INSIDE:
            return ModuleFile(name, ModuleKind.FROZEN, None, self._below_roots(name) if inside.is_package else ())
        if inside is not None and inside.storage is Storage.EXCLUDED:
            return None
        folders = self._search_path
        if above:
            package = self.find(above)
            if package is None or not package.is_package:
                return None
            folders = package.folders
            if inside is None and self.hides(package):
                folders = (join(COMPLETION_FOLDER, above.replace(".", "/")),)
        return self._on_disk(name, last, folders)

    def add_folder(self, folder: str, package: str = "") -> bool:
        """Search one more folder: of the search path, or with `package` for modules of that package.

        Return False if it is searched already.
        """
        if folder in (self._more.get(package, ()) if package else self._search_path):
            return False
        if package:
            self._more.setdefault(package, []).append(folder)
        else:
            self._search_path += (folder,)
        self._found = {name: found for name, found in self._found.items() if _is_final(found) and name != package}
        return True

    def hides(self, package: ModuleFile) -> bool:
        """Return True if the files in a package's folder cannot be imported, since the program's loader has it."""
        return package.kind is ModuleKind.FROZEN and self._contents is not None and self._contents.hides(package.name)

    def _below_roots(self, name: str) -> tuple[str, ...]:
        return tuple(join(root, name.replace(".", "/")) for root in self._search_path)

    def _on_disk(self, name: str, last: str, folders: tuple[str, ...]) -> ModuleFile | None:
        portions = []
        for folder in folders:
            inner = join(folder, last)
            if self._files.has_folder_spelled(inner):
                module = self._first(name, inner, "__init__", (inner,))
                if module is not None:
                    return module
                portions.append(inner)
            module = self._first(name, folder, last, ())
            if module is not None:
                return module
        return ModuleFile(name, ModuleKind.NAMESPACE, None, tuple(portions)) if portions else None

    def _first(self, name: str, folder: str, stem: str, folders: tuple[str, ...]) -> ModuleFile | None:
        for suffix, kind in self._suffixes:
            entry = self._files.in_folder(folder, stem + suffix)
            if entry is not None and entry.name == stem + suffix:
                return ModuleFile(name, kind, entry, folders)
        return None


def _is_final(found: ModuleFile | None) -> bool:
    """Return False for what a further folder may hold: a folder without `__init__` gives way to any module."""
    return found is not None and found.kind is not ModuleKind.NAMESPACE


def all_modules(tree: Tree, search_path: Sequence[str], finder: ModuleFinder) -> Iterator[ModuleFile]:
    """Yield every module that can be imported from the tree, packages before what is in them."""
    roots = {fold(folder) for folder in search_path}
    pending = [(folder, "") for folder in reversed(search_path)]
    seen: set[str] = set()
    while pending:
        folder, package = pending.pop()
        for name in sorted(_names_in(tree, folder)):
            module = finder.find(join_name(package, name))
            if module is not None and module.entry is not None and module.name not in seen:
                seen.add(module.name)
                yield module
        for inner in reversed(tree.folders_in(folder)):
            last = inner.rpartition("/")[2]
            if last.isidentifier() and last != "__pycache__" and fold(inner) not in roots:
                pending.append((inner, join_name(package, last)))


def join_name(package: str, name: str) -> str:
    return f"{package}.{name}" if package else name


def _names_in(tree: Tree, folder: str) -> set[str]:
    names = set()
    for entry in tree.files_in(folder):
        stem, suffix = os.path.splitext(entry.name)
        if suffix.lower() in (".py", ".pyd", ".pyc"):
            names.add(stem.partition(".")[0])
    for inner in tree.folders_in(folder):
        names.add(inner.rpartition("/")[2])
    return {name for name in names if name.isidentifier() and name != "__init__"}


class ZippedFolders:
    """The folders of a dist, and zips of modules that were put on the search path, each as a folder of its name."""

    def __init__(self, files: Folders) -> None:
        self._files = files
        self._mounted: dict[str, DiskFolders] = {}

    def mount(self, archive: str, root: str) -> None:
        """Serve what was unpacked to `root` as the folder `archive`, the dist-relative path of the zip."""
        self._mounted[archive] = DiskFolders(root)

    def in_folder(self, folder: str, name: str) -> FileEntry | None:
        """Return a file; of one in a zip, the path goes through the zip."""
        for archive, unpacked in self._mounted.items():
            if folder == archive or folder.startswith(f"{archive}/"):
                found = unpacked.in_folder(folder[len(archive) + 1 :], name)
                return replace(found, path=join(folder, name)) if found is not None else None
        return self._files.in_folder(folder, name)

    def has_folder_spelled(self, folder: str) -> bool:
        """Return True if there is such a folder, spelled so."""
        for archive, unpacked in self._mounted.items():
            if folder == archive or folder.startswith(f"{archive}/"):
                return unpacked.has_folder_spelled(folder[len(archive) + 1 :])
        return self._files.has_folder_spelled(folder)


class DiskFolders:
    """The folders of a project on disk, looked at only where a module is asked for: it may lie in a large folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    def in_folder(self, folder: str, name: str) -> FileEntry | None:
        """Return a file of the project; its path is relative to the project."""
        path = os.path.join(self.root, folder, name)
        if not os.path.isfile(path):
            return None
        kind = FileKind.SOURCE if name.endswith(".py") else FileKind.OTHER
        return FileEntry(join(folder, name), path, os.path.getsize(path), kind)

    def has_folder_spelled(self, folder: str) -> bool:
        """Return True if the project has this folder."""
        return os.path.isdir(os.path.join(self.root, folder))
