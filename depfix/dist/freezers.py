"""How each freezer lays out a folder: where modules, the prefix and the directories given to the loader are."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from enum import Enum

from depfix.dist.tree import Tree
from depfix.model.content import read_plain
from depfix.model.names import fold
from depfix.wording.message import phrase


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
    Freezer.NUITKA: phrase("Nuitka standalone"),
    Freezer.PYINSTALLER: phrase("PyInstaller folder"),
    Freezer.CX_FREEZE: phrase("cx_Freeze folder"),
    Freezer.PYTHON: phrase("Python folder"),
    Freezer.NONE: phrase("program without Python"),
}


_SITE_PACKAGES = "Lib/site-packages"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a freezer puts things, as dist-relative folders.

    `search_path` is `sys.path` without what is inside archives, `prefix` is `sys.prefix`, `user_directories` are those
    that the freezer's own start-up code gives to AddDllDirectory, `dll_directory` the one that it gives to
    SetDllDirectory; `beside` is where a DLL without a package belongs.
    `startup` are the modules that Python imports before the program, if the site module runs. `packages`, `stdlib` and
    `extensions` are where a distribution, a module and an extension module of the standard library belong.
    """

    search_path: tuple[str, ...]
    prefix: str
    user_directories: tuple[str, ...]
    beside: str
    startup: tuple[str, ...] = ()
    dll_directory: str | None = None
    packages: str = ""
    stdlib: str = ""
    extensions: str = ""


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
        return Layout((home,), home, (), home, dll_directory=home, packages=home, stdlib=home, extensions=home)
    if freezer is Freezer.CX_FREEZE:
        home = "lib" if tree.has_folder("lib") else ""
        return Layout((home,), "", ("lib",), home, packages=home, stdlib=home, extensions=home)
    if freezer is Freezer.PYTHON:
        search_path, startup = _python_search_path(tree)
        runs_site = "sitecustomize" in startup
        packages = _SITE_PACKAGES if runs_site else search_path[-1] if search_path else ""
        stdlib, extensions = ("Lib" if tree.has_folder("Lib") else ""), ("DLLs" if tree.has_folder("DLLs") else "")
        return Layout(search_path, "", (), "", startup, packages=packages, stdlib=stdlib, extensions=extensions)
    return Layout(("",), "", (), "")


def _python_search_path(tree: Tree) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the search path of a plain Python folder, and the modules that site imports at start-up.

    Source: "site", https://docs.python.org/3/library/site.html : lines of `.pth` files are folders or imports.
    """
    pth = [entry for entry in tree.files_in("") if re.fullmatch(r"python.*\._pth", fold(entry.name))]
    lines = _lines(pth[0].source) if pth else ["", "DLLs", "Lib", "import site"]
    folders = [_folder(line) for line in lines if not line.startswith(("#", "import "))]
    startup: list[str] = []
    if "import site" in lines:
        folders.append(_SITE_PACKAGES)
        for entry in tree.files_in(_SITE_PACKAGES):
            if fold(entry.name).endswith(".pth"):
                rows = _lines(entry.source)
                folders += [
                    f"{_SITE_PACKAGES}/{_folder(row)}" for row in rows if row and not row.startswith(("#", "import "))
                ]
                startup += [row[7:].strip() for row in rows if row.startswith("import ")]
        startup.append("sitecustomize")
    present = tuple(dict.fromkeys(folder for folder in folders if not folder or tree.has_folder(folder)))
    return present, tuple(name for name in startup if all(part.isidentifier() for part in name.split(".")))


def _lines(source: str) -> list[str]:
    try:
        text = read_plain(source).decode("utf-8-sig", "replace")
    except OSError:
        return []
    return [line.strip() for line in io.StringIO(text, newline=None)]


def _folder(line: str) -> str:
    return "" if line in ("", ".") else line.replace("\\", "/").removeprefix("./").rstrip("/")
