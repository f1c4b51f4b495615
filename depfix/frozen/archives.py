"""The archives in and beside a program from which its Python imports, whoever made it, as one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from depfix.dist.freezers import Freezer
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.frozen.archive import Archive, Joined, code_of_pyc, join
from depfix.frozen.contents import FrozenModule, Storage
from depfix.frozen.pyinstaller import read_pyinstaller
from depfix.frozen.zips import are_names, read_zip
from depfix.model.names import base_name, fold, parent
from depfix.model.names import join as join_path
from depfix.wording.message import phrase

_MAIN = "__main__"
_LIBRARY, _LIBRARY_NAME = "library.zip", "library.dat"
_LONGEST_TEXT = 1 << 20
_PYTHON_DLL = re.compile(r"(python\d+)t?(?:_d)?\.dll")
_PTH = re.compile(r"python.*\._pth")
_SITE_PACKAGES = "Lib/site-packages"
_EXTENSION = re.compile(r"(.+?)(?:\.cp\d+t?-[a-z0-9_]+)?\.pyd", re.IGNORECASE)
_NO_IDENTIFIER = re.compile(r"[^\w]", re.ASCII)


def read_archives(tree: Tree, program: str, python_dll: str, freezer: str) -> Archive | Joined | None:
    """Return the modules in the archives of a program, None if it has none. Never raises.

    Several are searched in the order in which the program's Python does it.
    `freezer` is the value of a Freezer. An archive of PyInstaller, in the program or beside it, is read whatever the
    freezer is called. What lies loose in folders is not of these.
    """
    if freezer == Freezer.NUITKA.value:
        return None
    made = read_pyinstaller(tree, program)
    if made is not None:
        return made
    if freezer == Freezer.CX_FREEZE.value:
        return join(_with_main(_cx_freeze(tree, program), program))
    return join([*_appended(tree, program), *_on_search_path(tree, python_dll)])


# --- cx_Freeze -------------------------------------------------------------------------------------------------------


def _cx_freeze(tree: Tree, program: str) -> Iterator[Archive]:
    """Yield the archives of a cx_Freeze program: one at its end, as up to 4.3, then library.zip in `lib` or beside it.

    The file library.dat names the zip. Extension modules of packages inside lie beside the zip, with their whole
    dotted names. Source: cx_Freeze, "Scripts", zip_include_packages
    https://cx-freeze.readthedocs.io/en/stable/setup_script.html
    """
    yield from _appended(tree, program)
    for folder in ("lib", ""):
        named = tree.in_folder(folder, _LIBRARY_NAME)
        name = _text(named).strip() if named is not None else ""
        library = tree.in_folder(folder, base_name(name) or _LIBRARY)
        found = read_zip(library.source, origin=library.path) if library is not None else None
        if found is not None:
            beside = {
                name: FrozenModule(name, Storage.EXTENSION)
                for name in map(_dotted_extension, tree.files_in(folder))
                if name.rpartition(".")[0] in found.modules
            }
            yield replace(found, modules=beside | dict(found.modules))
        loose = _loose_main(tree, folder, program)
        if loose is not None:
            yield loose


def _dotted_extension(entry: FileEntry) -> str:
    match = _EXTENSION.fullmatch(entry.name)
    return match[1] if match and are_names(match[1].split(".")) else ""


def _with_main(parts: Iterator[Archive], program: str) -> Iterator[Archive]:
    """Yield the archives; the program's script, which cx_Freeze names after the program, is `__main__` as well."""
    for part in parts:
        script = _script(part, program)
        yield _renamed(part, script) if script and _MAIN not in part.modules else part


def _script(part: Archive, program: str) -> str:
    """Return the module of the program's script; if the program was renamed, the only one of such a name."""
    stem = _script_stem(program)
    scripts = [name for name in part.modules if _MAIN in (name[: len(_MAIN)], name[-len(_MAIN) :]) and "." not in name]
    own = [name for name in scripts if fold(name) in (fold(_MAIN + stem), fold(stem + _MAIN))]
    return next(iter(own or (scripts if len(scripts) == 1 else [])), "")


def _script_stem(program: str) -> str:
    stem = base_name(program).rpartition(".")[0].partition(".")[0]
    return _NO_IDENTIFIER.sub("_", stem)


def _renamed(part: Archive, script: str) -> Archive:
    def code(name: str) -> bytes | None:
        return part.read(script if name == _MAIN else name)

    def source(name: str) -> bytes | None:
        return part.read_source(script if name == _MAIN else name)

    modules = {_MAIN: FrozenModule(_MAIN, Storage.BYTECODE), **part.modules}
    return replace(part, modules=modules, read=code, read_source=source)


def _loose_main(tree: Tree, folder: str, program: str) -> Archive | None:
    """Return the program's script of a build without a zip, where it is a file beside the modules."""
    stem = _script_stem(program)
    names = (f"{_MAIN}{stem}.pyc", f"{stem}{_MAIN}.pyc")
    entry = next((found for name in names if (found := tree.in_folder(folder, name)) is not None), None)
    if entry is None:
        return None
    source = entry.source
    modules = {_MAIN: FrozenModule(_MAIN, Storage.BYTECODE)}
    return Archive(entry.path, modules, False, read=lambda name: code_of_pyc(_bytes(source)))


# --- a plain Python --------------------------------------------------------------------------------------------------


def _appended(tree: Tree, program: str) -> Iterator[Archive]:
    """Yield the zip at the end of the program, if modules are in it."""
    entry = tree.file(program)
    found = (
        read_zip(entry.source, origin=phrase("the zip in {program}", program=program)) if entry is not None else None
    )
    if found is not None and found.modules:
        yield found


def _on_search_path(tree: Tree, python_dll: str) -> Iterator[Archive]:
    """Yield the zips on the search path of a plain Python: lines of the `._pth` file, else python3xx.zip, then eggs.

    Source: "Finding modules", https://docs.python.org/3/using/windows.html#finding-modules
    """
    seen = set()
    for folder, line in _lines(tree, python_dll):
        entry, inner = _zip_at(tree, join_path(folder, line.replace("\\", "/").removeprefix("./")))
        if entry is None or (entry.path, inner) in seen:
            continue
        seen.add((entry.path, inner))
        found = read_zip(entry.source, inner, origin=entry.path)
        if found is not None:
            yield replace(found, modules={name: one for name, one in found.modules.items() if name != _MAIN})


def _lines(tree: Tree, python_dll: str) -> Iterator[tuple[str, str]]:
    """Yield (folder, line) of what is on the search path, as far as it may be a zip."""
    home = parent(python_dll)
    pth = next((entry for entry in tree.files_in(home) if _PTH.fullmatch(fold(entry.name))), None)
    if pth is not None:
        yield from ((home, line) for line in _text_lines(pth))
    else:
        match = _PYTHON_DLL.fullmatch(fold(base_name(python_dll)))
        if match:
            yield home, f"{match[1]}.zip"
    for entry in tree.files_in(_SITE_PACKAGES):
        if fold(entry.name).endswith(".pth"):
            yield from ((_SITE_PACKAGES, line) for line in _text_lines(entry))


def _zip_at(tree: Tree, path: str) -> tuple[FileEntry | None, str]:
    """Return the zip that a path is, or leads into, and the folder in it."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        entry = tree.file("/".join(parts[:count]))
        if entry is not None:
            return (entry if entry.kind is FileKind.ARCHIVE else None), "/".join(parts[count:])
    return None, ""


def _text_lines(entry: FileEntry) -> list[str]:
    lines = [line.strip() for line in _text(entry).splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "import "))]


def _text(entry: FileEntry) -> str:
    return (_bytes(entry.source) or b"").decode("utf-8-sig", "replace")


def _bytes(source: str) -> bytes | None:
    try:
        with open(source, "rb") as file:
            return file.read(_LONGEST_TEXT)
    except OSError:
        return None
