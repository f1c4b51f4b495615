"""The directories that a process has given to the loader so far, and those that a program's own code gives."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.dist.identify import Dist
from depfix.dist.tree import FileKind, Tree
from depfix.imports.finder import ModuleFinder, ModuleKind
from depfix.loader.search import Directories
from depfix.model.names import base_name, parent
from depfix.pe.reader import map_file


class ProcessDirectories:
    """AddDllDirectory, SetDllDirectory, SetDefaultDllDirectories and PATH, as one process changes them."""

    def __init__(self, user: Iterable[str] = (), dll_directory: str | None = None) -> None:
        self._user = dict.fromkeys(user, 1)  # how often each was added
        self._path: dict[str, None] = {}
        self._dll_directory = dll_directory
        self._default_flags = 0

    def copy(self) -> ProcessDirectories:
        """Return the same directories, to be changed apart from these."""
        twin = ProcessDirectories()
        twin._user = dict(self._user)
        twin._path = dict(self._path)
        twin._dll_directory = self._dll_directory
        twin._default_flags = self._default_flags
        return twin

    def now(self, application: str = "") -> Directories:
        """Return what a load that begins now is given."""
        user = tuple(self._user)
        return Directories(application, user, tuple(self._path), self._dll_directory, self._default_flags)

    def add(self, folder: str) -> None:
        self._user[folder] = self._user.get(folder, 0) + 1

    def remove(self, folder: str) -> None:
        """Take back one addition; the folder goes with the last of them."""
        if self._user.get(folder, 0) > 1:
            self._user[folder] -= 1
        else:
            self._user.pop(folder, None)

    def set(self, folder: str | None) -> None:
        """SetDllDirectory: one folder, which takes the place of the one before; None takes it back."""
        self._dll_directory = folder

    def set_default(self, flags: int) -> None:
        self._default_flags = flags

    def put_on_path(self, folder: str) -> None:
        self._path[folder] = None


def directories_named_in_program(dist: Dist, tree: Tree, finder: ModuleFinder) -> tuple[str, ...]:
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
