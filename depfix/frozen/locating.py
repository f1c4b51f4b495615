"""What a user means by a path: the folder of the program, or something beside it that leads there.

People give the .exe instead of its folder, Nuitka's .build folder, PyInstaller's build/NAME, the script, a zip. What
leads to one folder without doubt is taken for it; of everything else it is said what it is, and what to give instead.
Nothing is opened but what was given, and the folders around it are only listed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from depfix.dist.tree import Tree, file_entry
from depfix.frozen.errors import NotADistError
from depfix.frozen.file_kinds import archive_words, installer_words, is_package, programs_in_zip
from depfix.frozen.packed import UPX, recognise_packed
from depfix.model.image import ImageProblem
from depfix.model.names import fold
from depfix.model.shell import quoted
from depfix.pe.headers import map_file, open_headers
from depfix.pe.reader import read_image
from depfix.wording.message import counted, phrase, tabled

_PYTHON_DLL = re.compile(r"python3\d*t?(?:_d)?\.dll")
_MOST_FOUND = 20
_MOST_ABOVE = 6  # folders above a file of a dist
_REPORT_MARK = b"<nuitka-compilation-report"
_PLAN_MARK = b'"left_out"'
_HEAD = 4096
_LOGS = (".log", ".txt", ".err", ".out")


@dataclass(frozen=True, slots=True)
class Located:
    """The folder that is looked at; `note` says why, if it is not what was given."""

    path: str
    note: str = ""


def locate(path: str) -> Located:
    """Return the folder of the program that a path leads to.

    What is not there, and a folder that nothing is known of, comes back as it is: who opens it says what is wrong.
    Raises NotADistError for what surely is no dist.
    """
    if os.path.isdir(path):
        return _of_folder(path)
    return _of_file(path) if os.path.isfile(path) else _of_nothing(path)


def dists_in(folder: str) -> tuple[str, ...]:
    """Return the dists that lie in a folder where freezers put them, as paths that begin with it unless it is ".".

    NAME.dist of Nuitka, dist/NAME of PyInstaller, build/exe.* of cx_Freeze, and the folder itself. Sources: Nuitka User
    Manual https://nuitka.net/user-documentation/user-manual.html ; "Using PyInstaller"
    https://pyinstaller.org/en/stable/usage.html ; cx_Freeze, "build_exe"
    https://cx-freeze.readthedocs.io/en/stable/setup_script.html
    """
    if _looks_frozen(folder):
        return (folder,)
    start = "" if folder == "." else folder
    named = [os.path.join(start, name) for name in _names(folder) if fold(name).endswith(".dist")]
    found = [place for place in named if any(fold(name).endswith(".exe") for name in _names(place))]
    for above in (os.path.join(start, "dist"), os.path.join(start, "build")):
        places = (os.path.join(above, name) for name in _names(above))
        found += [place for place in places if _looks_frozen(place) and not _is_pyinstaller_build(place)]
    return tuple(found[:_MOST_FOUND])


def _of_nothing(path: str) -> Located:
    """Return the dist whose program was named as if it lay here, else the path as it is."""
    folder, name = os.path.split(path)
    if not fold(name).endswith(".exe"):
        return Located(path)
    holding = [one for one in dists_in(folder or ".") if fold(name) in map(fold, _names(one))]
    if len(holding) != 1:
        return Located(path)
    return Located(holding[0], f"{name} is in {holding[0]}: that folder is looked at")


# --- folders ---


def _of_folder(path: str) -> Located:
    plain = path.rstrip("/\\") or path
    names = {fold(name) for name in _names(path)}
    if _is_pyinstaller_build(path):
        return _beside_pyinstaller_build(plain)
    if any(name.endswith(".exe") for name in names):
        return Located(path)
    if fold(plain).endswith((".build", ".onefile-build")) or "scons-report.txt" in names:
        return _beside_nuitka_build(plain)
    if _holds_onefile_parts(names, os.path.basename(plain)):
        what = phrase(
            "what a Nuitka onefile program is packed from: the program in it is a DLL, which cannot be started alone"
        )
        raise NotADistError(path, what, phrase("build with --standalone instead of --onefile, or add --onefile-no-dll"))
    above = _dist_above(path)
    if above:
        raise NotADistError(
            path, phrase("a folder inside of a program's folder, {above}", above=above), f"depfix scan {quoted(above)}"
        )
    below = dists_in(path)
    if len(below) > 1:
        what = counted(len(below), "a folder above {number} program", "a folder above {number} programs")
        raise NotADistError(path, what, phrase("depfix scan {first}, and so on", first=quoted(below[0])))
    if below:
        note = phrase("the program in {path} is {dist}: that folder is looked at", path=path, dist=below[0])
        return Located(below[0], note)
    return Located(path)


def _holds_onefile_parts(names: set[str], folder: str) -> bool:
    """Return True for the folder that Nuitka packs into one file, where newer ones have the program as NAME.dll.

    Source: Nuitka User Manual, --onefile-no-dll https://nuitka.net/user-documentation/user-manual.html ; builds of 4.3
    """
    program = f"{fold(folder).removesuffix('.dist')}.dll"
    return program in names and any(_PYTHON_DLL.fullmatch(name) for name in names)


def _beside_nuitka_build(path: str) -> Located:
    stem = re.sub(r"\.(?:onefile-)?build$", "", path, flags=re.IGNORECASE)
    dist = f"{stem}.dist"
    if os.path.isdir(dist):
        note = phrase(
            "{path} is where Nuitka compiled; what it made is {dist}: that folder is looked at", path=path, dist=dist
        )
        return Located(_of_folder(dist).path, note)
    what = phrase("where Nuitka compiled, and not what it made")
    raise NotADistError(
        path,
        what,
        phrase("build with --standalone; Nuitka then writes {basename} beside it", basename=os.path.basename(dist)),
    )


def _beside_pyinstaller_build(path: str) -> Located:
    full = os.path.abspath(path)
    name = os.path.basename(full)
    above = os.path.dirname(os.path.dirname(full))
    dist = os.path.join(above, "dist", name)
    shown = os.path.relpath(dist) if not os.path.isabs(path) else dist
    if os.path.isdir(dist):
        return Located(
            shown,
            phrase(
                "{path} is where PyInstaller worked; what it made is {shown}: that folder is looked at",
                path=path,
                shown=shown,
            ),
        )
    what = phrase("where PyInstaller worked, and not what it made")
    made = os.path.join("dist", name)
    raise NotADistError(
        path, what, phrase("PyInstaller writes the program to {made}; build it with --onedir and scan that", made=made)
    )


def _is_pyinstaller_build(path: str) -> bool:
    names = {fold(name) for name in _names(path)}
    return "analysis-00.toc" in names and not any(_PYTHON_DLL.fullmatch(name) for name in names)


def _looks_frozen(path: str) -> bool:
    """Return True for a folder with a program in it and what every freezer puts beside one."""
    names = {fold(name) for name in _names(path)}
    programs = [name for name in names if name.endswith(".exe")]
    beside = any(_PYTHON_DLL.fullmatch(name) for name in names) or "_internal" in names
    if programs and not beside and "lib" in names:
        beside = any(fold(name) in ("library.zip", "library.dat") for name in _names(os.path.join(path, "lib")))
    return bool(programs) and beside and "python.exe" not in names


def _dist_above(path: str) -> str:
    """Return the nearest dist that a path lies in, an empty string if there is none near."""
    full = os.path.abspath(path)
    for _ in range(_MOST_ABOVE):
        above = os.path.dirname(full)
        if above == full:
            return ""
        if _looks_frozen(above):
            return above if os.path.isabs(path) else os.path.relpath(above)
        full = above
    return ""


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


# --- files ---


def _of_file(path: str) -> Located:
    """Return the folder of a program's file. Raises NotADistError for every other one."""
    name = fold(os.path.basename(path))
    head = _head(path)
    if name.endswith((".py", ".pyw")):
        raise _of_script(path)
    if head.startswith(b"MZ") and name.endswith((".dll", ".pyd")):
        raise _of_library(path)
    if head.startswith(b"MZ"):
        return _of_program(path)
    if is_package(name):
        folder = os.path.dirname(path) or "."
        raise NotADistError(
            path,
            phrase("a package and no program"),
            phrase("to take files from it: --env wheels:{folder}", folder=folder),
        )
    words = archive_words(head)
    if words:
        raise NotADistError(path, words, _UNPACK)
    raise _of_zip(path) or _of_text(path, name, head)


_UNPACK = phrase("unpack or install it, and scan the folder in which the program's .exe then is")


def _of_program(path: str) -> Located:
    """Return the folder of a program that has Python beside it. Raises NotADistError for one in a single file."""
    folder = os.path.dirname(path)
    pe = open_headers(path)
    if pe is None:
        raise NotADistError(
            path, phrase("no Windows program that can be read"), phrase("it may be cut off: copy it again")
        )
    files = (path, f"{os.path.splitext(path)[0]}.pkg")
    entries = [file_entry(os.path.basename(one), one) for one in files if os.path.isfile(one)]
    packed = recognise_packed(Tree(folder, entries), os.path.basename(path))
    what, _, advice = packed.partition(": ")
    shown = folder or "."
    if packed in ("", UPX) and (_looks_frozen(shown) or _hosts_python(path)):
        return Located(
            shown, phrase("{path} is the program; its whole folder is looked at: {shown}", path=path, shown=shown)
        )
    if what:
        raise NotADistError(path, tabled(what.removeprefix("it is ")), _folder_of_onefile(path) or tabled(advice))
    installer = installer_words(pe)
    if installer:
        raise NotADistError(path, installer, _UNPACK)
    what = phrase("a program without Python beside it, and depfix looks at whole folders")
    raise NotADistError(path, what, phrase("if its DLLs lie beside it: depfix scan {shown}", shown=quoted(shown)))


def _folder_of_onefile(path: str) -> str:
    """Return what to do if the folder that a program was packed from is still there."""
    stem = os.path.splitext(path)[0]
    beside = next((one for one in (f"{stem}.dist", stem) if _looks_frozen(one)), "")
    return (
        phrase("the folder that it was packed from is still there: depfix scan {beside}", beside=quoted(beside))
        if beside
        else ""
    )


def _hosts_python(path: str) -> bool:
    image = read_image(path)
    return not isinstance(image, ImageProblem) and any(_PYTHON_DLL.fullmatch(fold(one)) for one in image.imports)


def _of_script(path: str) -> NotADistError:
    stem = os.path.splitext(path)[0]
    folder, name = os.path.split(stem)
    made = [f"{stem}.dist", os.path.join(folder, "dist", name), *dists_in(folder or ".")]
    dist = next((one for one in made if _looks_frozen(one)), "")
    what = phrase("the program's source, and not what a freezer made of it")
    if dist:
        return NotADistError(path, what, f"depfix scan {quoted(dist)} --entry {quoted(path)}")
    advice = phrase(
        "freeze it (nuitka --standalone {path}), then: depfix scan {name}.dist --entry {path}",
        path=quoted(path),
        name=name,
    )
    return NotADistError(path, what, advice)


def _of_library(path: str) -> NotADistError:
    above = _dist_above(path)
    name = os.path.basename(path)
    if not above:
        return NotADistError(
            path, phrase("a library and no program"), phrase("give the folder of the program that loads it")
        )
    advice = phrase(
        "depfix tree {above} {name} shows what it needs, depfix scan {above} all of it",
        above=quoted(above),
        name=quoted(name),
    )
    return NotADistError(path, phrase("a library of a program"), advice)


def _of_zip(path: str) -> NotADistError | None:
    try:
        data = map_file(path)
    except (OSError, ValueError):
        return None
    programs = programs_in_zip(data) if data is not None else None
    if programs is None:
        return None
    if not programs:
        return NotADistError(
            path, phrase("a zip in which is no program"), phrase("give the folder that the freezer wrote")
        )
    folder = os.path.dirname(programs[0])
    place = (
        phrase(", and scan the folder {folder} in it", folder=folder) if folder else phrase(", and scan that folder")
    )
    return NotADistError(path, phrase("a zip of a program"), phrase("unpack it{place}", place=place))


def _of_text(path: str, name: str, head: bytes) -> NotADistError:
    """Return what is said of a file that holds no program."""
    if _REPORT_MARK in head:
        return NotADistError(path, phrase("Nuitka's compilation report"), f"depfix scan DIST --report {quoted(path)}")
    if name.endswith(_LOGS):
        return NotADistError(
            path,
            phrase("a text and no program"),
            phrase("if it is an error text: depfix diagnose {path}", path=quoted(path)),
        )
    if name.endswith(".spec"):
        made = os.path.join("dist", os.path.splitext(os.path.basename(path))[0])
        return NotADistError(
            path, phrase("a recipe for PyInstaller, and not what it made"), f"depfix scan {quoted(made)}"
        )
    if name.endswith(".toml"):
        return NotADistError(path, phrase("a file of settings"), f"depfix audit --config {quoted(path)}")
    if name.endswith(".json") and _PLAN_MARK in head[-_HEAD:] + _tail(path):
        return NotADistError(path, phrase("a plan for a repair"), f"depfix repair DIST --from-plan {quoted(path)}")
    around = os.path.dirname(os.path.abspath(path))
    advice = phrase("depfix looks at whole folders; the one around this file is {around}", around=around)
    return NotADistError(path, phrase("a file, not a folder"), advice)


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def _tail(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _HEAD))
            return file.read(_HEAD)
    except OSError:
        return b""
