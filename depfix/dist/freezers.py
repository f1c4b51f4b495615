"""How each freezer lays out a folder: where modules, the prefix and the directories given to the loader are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from depfix.dist.tree import Tree
from depfix.model.names import fold


class Freezer(Enum):
    """Who made the folder; `PYTHON` is a plain Windows Python with packages, `NONE` a program without Python."""

    NUITKA = "nuitka"
    PYINSTALLER = "pyinstaller"
    CX_FREEZE = "cx_freeze"
    PYTHON = "python"
    NONE = "none"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @property
    def hides_code(self) -> bool:
        """True if the program, and perhaps whole packages, are inside the exe or an archive instead of in files."""
        return self in (Freezer.NUITKA, Freezer.PYINSTALLER, Freezer.CX_FREEZE)


_WORDS = {
    Freezer.NUITKA: "Nuitka standalone",
    Freezer.PYINSTALLER: "PyInstaller folder",
    Freezer.CX_FREEZE: "cx_Freeze folder",
    Freezer.PYTHON: "Python folder",
    Freezer.NONE: "program without Python",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a freezer puts things, as dist-relative folders.

    `search_path` is `sys.path` without what is inside archives, `prefix` is `sys.prefix`, `user_directories` are those
    that the freezer's own start-up code gives to the loader, `beside` is where a DLL without a package belongs.
    """

    search_path: tuple[str, ...]
    prefix: str
    user_directories: tuple[str, ...]
    beside: str


def detect_freezer(tree: Tree, program: str, has_python: bool, looks_like_nuitka: bool) -> Freezer:
    """Return who made the folder around `program`, judged by what only that freezer leaves."""
    for folder in ("_internal", ""):
        if tree.in_folder(folder, "base_library.zip"):
            return Freezer.PYINSTALLER
    if any(tree.in_folder(folder, "library.zip") or tree.in_folder(folder, "library.dat") for folder in ("lib", "")):
        return Freezer.CX_FREEZE
    if looks_like_nuitka:
        return Freezer.NUITKA
    return Freezer.PYTHON if has_python else Freezer.NONE


def layout(freezer: Freezer, tree: Tree) -> Layout:
    """Return the layout of the folder.

    Sources: PyInstaller manual, "Run-time Information" https://pyinstaller.org/en/stable/runtime-information.html (its
    bootloader calls SetDllDirectory on the folder of the bundle); cx_Freeze's start-up script, which gives `lib` to
    os.add_dll_directory; "Finding modules" https://docs.python.org/3/using/windows.html#finding-modules for `._pth`.
    """
    if freezer is Freezer.PYINSTALLER:
        home = "_internal" if tree.in_folder("_internal", "base_library.zip") else ""
        return Layout((home,), home, (home,), home)
    if freezer is Freezer.CX_FREEZE:
        return Layout(("lib",) if tree.has_folder("lib") else ("",), "", ("lib",), "lib" if tree.has_folder("lib") else "")
    if freezer is Freezer.PYTHON:
        return Layout(_python_search_path(tree), "", (), "")
    return Layout(("",), "", (), "")


def _python_search_path(tree: Tree) -> tuple[str, ...]:
    pth = [entry for entry in tree.files_in("") if fold(entry.name).startswith("python") and fold(entry.name).endswith("._pth")]
    wanted = _read_pth(pth[0].source) if pth else ["", "DLLs", "Lib", "Lib/site-packages"]
    return tuple(dict.fromkeys(folder for folder in wanted if not folder or tree.has_folder(folder)))


def _read_pth(source: str) -> list[str]:
    try:
        with open(source, encoding="utf-8-sig", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return [""]
    folders = []
    for line in lines:
        if line == "import site":
            folders.append("Lib/site-packages")
        elif line and not line.startswith(("#", "import ")):
            folders.append("" if line == "." else line.replace("\\", "/").removeprefix("./").rstrip("/"))
    return folders
