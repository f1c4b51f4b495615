"""Where the parts of a Windows Python lie: standard library, folders of packages, native folders.

Sources: Python documentation, "The initialization of the sys.path module search path", and "Finding modules" on Windows
https://docs.python.org/3/library/sys_path_init.html https://docs.python.org/3/using/windows.html#finding-modules
PEP 405, "Python Virtual Environments" https://peps.python.org/pep-0405/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from depfix.env.editable import finder_modules, folder_above
from depfix.env.listing import (
    LIBRARY_SUFFIXES,
    Build,
    entries,
    folder_inside,
    host_folder,
    inside,
    is_absolute,
    is_remote,
    machine_of,
    named_path,
    path_key,
    windows_python,
)
from depfix.env.records import path_lines, read_text, settings
from depfix.wording.message import joined, phrase

_PATH_FILE = re.compile(r"python(\d+t?(_d)?)?\._pth")
_ARCHIVE = re.compile(r"python\d+t?\.zip")
_VERSION = re.compile(r"(\d+)\.(\d+)")
_STORE = re.compile(r"PythonSoftwareFoundation\.Python\.3\.\d+_.*|WindowsApps", re.IGNORECASE)
_MOST_FOLDERS = 1000
_MOST_NAMED = 3
_NOT_HERE = phrase("is not on this machine")
_MOST_BASES = 8


_NO_BUILD = Build()


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of one Python: all folders are absolute and exist.

    `roots` are the folders that its files may lie in: its own, then that of its base Python. `sites` hold packages.
    """

    roots: tuple[str, ...]
    build: Build = _NO_BUILD
    archive: str = ""
    stdlib: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ()
    caveat: str = ""


def installation_layout(root: str, program: str = "") -> Layout:
    """Return the parts of an installed, conda's or an embeddable Python, whose python.exe lies in `root`."""
    build = windows_python(root, program)
    found = entries(root)
    path_file = next((path for name, path in sorted(found.items()) if _PATH_FILE.fullmatch(name)), "")
    if path_file:
        return _embeddable_layout(root, build, path_file)
    archive = next((path for name, path in sorted(found.items()) if _ARCHIVE.fullmatch(name)), "")
    stdlib = [folder for folder in (folder_inside(root, "DLLs"), folder_inside(root, "Lib")) if folder]
    if not stdlib and archive:
        stdlib = [root]
    sites, caveat = _site_folders(folder_inside(root, "Lib", "site-packages"), root)
    before = [*stdlib, root] if root not in stdlib and _holds_modules(found) else stdlib
    return Layout((root,), build, archive, tuple(stdlib), sites, _unique((*before, *sites)), caveat)


def packages_layout(root: str, build: Build) -> Layout:
    """Return the parts of a folder of packages that Python keeps for one user: site-packages alone."""
    sites, caveat = _site_folders(folder_inside(root, "site-packages"), root)
    alone = phrase("it holds packages only: for the standard library give the Python, too (--env python:FOLDER)")
    return Layout((root,), build, sites=sites, search_path=sites, caveat=_joined(alone, caveat))


def venv_layout(root: str) -> Layout:
    """Return the parts of a virtual environment; its standard library is that of its base Python, if it is here."""
    config = settings(read_text(inside(root, "pyvenv.cfg") or ""))
    program = re.split(r"[\\/]", config.get("executable", ""))[-1]
    base, sought = base_of(config)
    own, left_out = _site_folders(folder_inside(root, "Lib", "site-packages"), root)
    if not base:
        why = phrase("is the Microsoft Store's, which no other program can read") if of_store(sought) else _NOT_HERE
        caveat = phrase(
            "its base Python {sought} {why}, so it gives no standard library: give the base Python, too "
            "(--env python:FOLDER)",
            sought=sought,
            why=why,
        )
        caveat = _joined(caveat, left_out)
        return Layout((root,), _build_of(root, config), sites=own, search_path=own, caveat=caveat)
    parts = installation_layout(base, program)
    shared = parts.sites if config.get("include-system-site-packages", "").lower() == "true" else ()
    sites = _unique((*own, *shared))
    before = [folder for folder in parts.search_path if folder in parts.stdlib or folder not in parts.sites]
    caveat = _joined(left_out, parts.caveat)
    return replace(parts, roots=(root, base), sites=sites, search_path=_unique((*before, *sites)), caveat=caveat)


def _embeddable_layout(root: str, build: Build, path_file: str) -> Layout:
    """A ._pth file says all of sys.path; `import site` in it adds Lib/site-packages with its .pth files.

    Source: Python documentation, "Finding modules", ._pth files https://docs.python.org/3/using/windows.html
    """
    text = "\n".join(line.partition("#")[0] for line in read_text(path_file).split("\n"))
    folders: list[str] = []
    archive = caveat = ""
    for line in list(path_lines(text))[:_MOST_FOLDERS]:
        path = named_path(root, line)
        if path and os.path.isdir(path):
            folders.append(path)
        elif path and path.lower().endswith(".zip"):
            archive = archive or path
    if re.search(r"^\s*import\s+site\s*$", text, re.MULTILINE):
        added, caveat = _site_folders(folder_inside(root, "Lib", "site-packages"), root)
        folders += added
    own = [path_key(path) for path in (root, os.path.join(root, "Lib"), os.path.join(root, "DLLs"))]
    stdlib = tuple(folder for folder in dict.fromkeys(folders) if path_key(folder) in own)
    # Packages may be put beside the extension modules of the standard library, but never into Lib or DLLs.
    sites = _unique([folder for folder in folders if folder not in stdlib or folder == root])
    return Layout((root,), build, archive, stdlib, sites, _unique(folders), caveat)


def _site_folders(site: str, root: str) -> tuple[tuple[str, ...], str]:
    """Return site-packages and the folders that its .pth files and editable finders add, as site.addsitedir does.

    With them comes what a user is to know: which lines were not followed, as they lead up and out of the environment.
    An absolute folder is the user's own project, and is followed as Python does.
    """
    if not site:
        return (), ""
    found = [site]
    strays: list[str] = []
    below = path_key(root) + "/"
    for name, path in sorted(entries(site).items()):
        if name.endswith(".pth") and not name.startswith(".") and len(found) < _MOST_FOLDERS:
            for line in path_lines(read_text(path)):
                folder = named_path(site, line)
                if folder and not is_absolute(line) and not f"{path_key(folder)}/".startswith(below):
                    strays.append(phrase("{line} in {basename}", line=line, basename=os.path.basename(path)))
                elif folder and os.path.isdir(folder):
                    found.append(folder)
                elif is_remote(line):
                    strays.append(phrase("{line} in {basename}", line=line, basename=os.path.basename(path)))
    modules = finder_modules(site, sorted(entries(site)))  # these finders are asked after all of sys.path
    found += filter(None, (folder_above(module, path) for module, path in modules.items()))
    caveat = (
        phrase("not followed, as it leads out of the environment: {strays}", strays=", ".join(strays[:_MOST_NAMED]))
        if strays
        else ""
    )
    return _unique(found[:_MOST_FOLDERS]), caveat


def _joined(*texts: str) -> str:
    return joined("; ", filter(None, texts))


def base_of(config: dict[str, str]) -> tuple[str, str]:
    """Return (folder of the base Python, where it should be); the folder is empty if it is not on this host."""
    sought = config.get("home", "") or config.get("base-prefix", "")
    for _ in range(_MOST_BASES):
        named = (config.get("home", ""), config.get("base-prefix", ""), _parent(config.get("executable", "")))
        folder = next((found for path in named if path and (found := host_folder(path))), "")
        outer = inside(os.path.dirname(folder), "pyvenv.cfg") if folder else None
        if outer is None:  # else it was made by the Python of another virtual environment
            return (folder if is_windows_python(folder) else ""), sought or phrase("(pyvenv.cfg names none)")
        config = settings(read_text(outer))
    return "", sought


def is_windows_python(folder: str) -> bool:
    """Return True if a Windows Python lies in a folder."""
    return bool(folder) and bool(windows_python(folder).version)


def of_store(path: str) -> bool:
    """Return True for a folder of the Microsoft Store's Python, or one below it, as a pyvenv.cfg writes it."""
    return any(_STORE.fullmatch(part) for part in re.split(r"[\\/]+", path))


def store_base(root: str) -> str:
    """Return the folder of the Microsoft Store's Python that a venv was made with, or `root` if it is one itself."""
    home = settings(read_text(inside(root, "pyvenv.cfg") or "")).get("home", "")
    return home if of_store(home) else root if of_store(root) else ""


def _parent(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\"), 0)]


def _build_of(root: str, config: dict[str, str]) -> Build:
    version = _VERSION.match(config.get("version_info", "") or config.get("version", ""))
    program = inside(root, "Scripts", "python.exe")
    executable = re.split(r"[\\/]", config.get("executable", ""))[-1].lower()
    return Build(
        f"{version[1]}.{version[2]}" if version else "",
        machine_of(program) if program else None,
        free_threaded=bool(re.fullmatch(r"python\d\.\d+t(_d)?\.exe", executable)),
        debug=executable.endswith("_d.exe"),
    )


def _holds_modules(found: dict[str, str]) -> bool:
    return any(name.endswith((".py", ".pyc", LIBRARY_SUFFIXES[1])) for name in found)


def _unique(folders: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return folders without repetition; a folder that is the root of the file system is none to import from."""
    kept: dict[str, str] = {}
    for folder in folders:
        kept.setdefault(path_key(folder), folder)
    return tuple(folder for key, folder in kept.items() if key)
