"""Listing folders of an environment, with names compared as Windows does on any host."""

from __future__ import annotations

import os
import re

from depfix.model.image import Image
from depfix.model.machine import Machine
from depfix.model.names import fold
from depfix.pe.reader import read_image

_PYTHON_DLL = re.compile(r"python(\d)(\d+)t?(_d)?\.dll")
LIBRARY_SUFFIXES = (".dll", ".pyd")


def entries(folder: str) -> dict[str, str]:
    """Return {folded name: full path} of what is in a folder; empty if it cannot be listed."""
    try:
        with os.scandir(folder) as found:
            return {fold(entry.name): entry.path for entry in found}
    except OSError:
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


def libraries_below(root: str) -> list[str]:
    """Return the full paths of all DLLs and extension modules below a folder, in a stable order."""
    found = []
    for folder, folders, files in os.walk(root):
        folders.sort(key=fold)
        found += [
            os.path.join(folder, name) for name in sorted(files, key=fold) if fold(name).endswith(LIBRARY_SUFFIXES)
        ]
    return found


def windows_python(root: str) -> tuple[str, Machine | None]:
    """Return (version such as "3.10", machine) of the Windows Python in a folder; ("", None) if there is none."""
    for name, path in sorted(entries(root).items()):
        match = _PYTHON_DLL.fullmatch(name)
        if match:
            image = read_image(path)
            return f"{match[1]}.{match[2]}", image.machine if isinstance(image, Image) else None
    return "", None


def relative(root: str, path: str) -> str:
    """Return a path below `root` with `/`."""
    return os.path.relpath(path, root).replace(os.sep, "/")
