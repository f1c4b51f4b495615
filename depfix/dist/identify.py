"""Opens a folder: inventory, programs, machine, Python, freezer."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from depfix.dist.freezers import Freezer, Layout, detect_freezer, layout
from depfix.dist.tree import FileEntry, FileKind, Tree, read_tree
from depfix.errors import DistNotFoundError, NoProgramError, NotAFolderError, UnreadableFolderError
from depfix.model.image import Image, ImageProblem
from depfix.model.machine import Machine
from depfix.model.names import fold, long_path
from depfix.pe.reader import map_file, read_image
from depfix.wording.message import phrase, system_words

_PYTHON_DLL = re.compile(r"python(\d)(\d{1,4})(t?)(_d)?\.dll")
_NUITKA_MARKS = (b"__nuitka_binary_dir", b"nuitka_module_loader", b"NUITKA_PACKAGE_")
_MOST_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class PythonDll:
    """The Python that runs in the dist: its version (major, minor), its DLL's dist-relative path."""

    version: tuple[int, int]
    path: str
    debug: bool
    free_threaded: bool

    @property
    def text(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a user can start: its dist-relative path and its image."""

    path: str
    image: Image


@dataclass(frozen=True, slots=True)
class Dist:
    """A folder that holds a frozen program.

    `programs` are the executables in the folder itself, the one that hosts Python first; `broken_programs` the files
    there that are called .exe and that Windows would not start, with the reason.
    """

    tree: Tree
    programs: tuple[Program, ...]
    broken_programs: tuple[tuple[str, str], ...]
    machine: Machine
    python: PythonDll | None
    freezer: Freezer
    layout: Layout

    @property
    def root(self) -> str:
        return self.tree.root

    @property
    def host(self) -> Program:
        """The program in whose process Python runs, or simply the first one."""
        return self.programs[0]


def open_dist(path: str | Path) -> Dist:
    """Return what the folder at `path` is.

    Raises DistNotFoundError, NotAFolderError, UnreadableFolderError, and NoProgramError if nothing in the folder itself
    can be started on Windows.
    """
    root = dist_root(os.fspath(path))
    try:
        tree = read_tree(root)
    except OSError as error:
        raise UnreadableFolderError(os.fspath(path), system_words(error)) from error
    return identify(tree, os.fspath(path))


def identify(tree: Tree, shown: str = "") -> Dist:
    """Return what the folder behind `tree` is; `shown` is how the user called it. Raises NoProgramError."""
    found = _programs(tree)
    programs = [program for program in found if isinstance(program, Program)]
    broken = tuple(program for program in found if not isinstance(program, Program))
    if not programs:
        problems = tuple(phrase("{name}: {reason}", name=name, reason=reason) for name, reason in broken)
        raise NoProgramError(shown or tree.root, problems, _candidates(tree, shown or tree.root))
    python = _python_dll(tree)
    programs.sort(key=lambda program: (not _hosts_python(program, python), fold(program.path)))
    host = programs[0]
    freezer = detect_freezer(tree, host.path, python is not None, _looks_like_nuitka(tree, host.path, python))
    return Dist(tree, tuple(programs), broken, host.image.machine, python, freezer, layout(freezer, tree))


def dist_root(path: str) -> str:
    """Return the full path of a dist's folder. Raises DistNotFoundError and NotAFolderError."""
    if not path or not os.path.lexists(path):
        raise DistNotFoundError(path, _near(path))
    if not os.path.isdir(path):
        raise NotAFolderError(path, os.path.dirname(os.path.abspath(path)))
    root = os.path.abspath(path)
    return long_path(root) if os.name == "nt" else root


def _near(path: str) -> str:
    folder, name = os.path.split(path.rstrip("/\\"))
    if name and os.path.isdir(f"{path}.dist"):
        return f"{path}.dist"
    try:
        names = [entry.name for entry in os.scandir(folder or ".") if entry.is_dir()]
    except OSError:
        return ""
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return os.path.join(folder, found[0]) if found else ""


def _programs(tree: Tree) -> list[Program | tuple[str, str]]:
    found: list[Program | tuple[str, str]] = []
    for entry in tree.files_in(""):
        if not fold(entry.name).endswith(".exe"):
            continue
        image = read_image(entry.source)
        if isinstance(image, ImageProblem):
            found.append((entry.path, image.reason))
        elif not image.is_dll:
            found.append(Program(entry.path, image))
    return found


def _candidates(tree: Tree, shown: str) -> tuple[str, ...]:
    folders = {entry.path.rpartition("/")[0] for entry in tree.images() if fold(entry.name).endswith(".exe")}
    ranked = sorted(folders, key=lambda folder: (folder.count("/"), folder))
    return tuple(f"{shown.rstrip('/')}/{folder}" for folder in ranked[:_MOST_CANDIDATES])


def _python_dll(tree: Tree) -> PythonDll | None:
    for folder in ("", "_internal", "lib"):
        for entry in tree.files_in(folder):
            match = _PYTHON_DLL.fullmatch(fold(entry.name))
            if match and entry.kind is FileKind.IMAGE:
                version = (int(match[1]), int(match[2]))
                return PythonDll(version, entry.path, bool(match[4]), bool(match[3]))
    return _imported_python(tree)


def _imported_python(tree: Tree) -> PythonDll | None:
    """Return the Python DLL that a program imports although it is not in the folder: then it is what is missing."""
    for program in _programs(tree):
        for name in program.image.imports if isinstance(program, Program) else ():
            match = _PYTHON_DLL.fullmatch(fold(name))
            if match:
                return PythonDll((int(match[1]), int(match[2])), fold(name), bool(match[4]), bool(match[3]))
    return None


def _hosts_python(program: Program, python: PythonDll | None) -> bool:
    if python is None:
        return False
    return any(fold(name) == fold(python.path).rpartition("/")[2] for name in program.image.imports)


def _looks_like_nuitka(tree: Tree, program: str, python: PythonDll | None) -> bool:
    """True if the program holds names that only Nuitka's C runtime has, and the stdlib is neither zip nor folder."""
    entry: FileEntry | None = tree.file(program)
    if python is None or entry is None or tree.in_folder("Lib", "os.py"):
        return False
    try:
        data = map_file(entry.source)
    except (OSError, ValueError):
        return False
    return data is not None and any(data.find(mark) >= 0 for mark in _NUITKA_MARKS)
