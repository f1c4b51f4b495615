"""Which Python froze a program, by the folders that the freezer leaves beside the dist. They are read, never run.

Nuitka's compilation report says ${sys.prefix} for that folder; the report of its C build has it as it is, among the
include folders. PyInstaller's tables of contents name the source of every file.

Sources: Nuitka User Manual, "Compilation Report" https://nuitka.net/user-documentation/user-manual.html#compilation-report
and builds of Nuitka 2.8 to 4.2 (NAME.build/scons-report.txt); PyInstaller Manual, "Build-time Messages"
https://pyinstaller.org/en/stable/when-things-go-wrong.html and builds of PyInstaller 5 and 6 (build/NAME/*.toc)
"""

from __future__ import annotations

import os
import re
from collections import Counter

from depfix.dist.freezers import Freezer
from depfix.dist.identify import Dist

_MOST = 16 << 20
_TABLES = ("Analysis-00.toc", "COLLECT-00.toc", "PKG-00.toc")
_PACKAGES = re.compile(r"'((?:[A-Za-z]:|\\\\)[^'\n]{1,400}?)[\\/]+lib[\\/]+site-packages[\\/]", re.IGNORECASE)
_OWN_PACKAGE = re.compile(
    r"'((?:[A-Za-z]:|\\\\)[^'\n]{1,400}?)[\\/]+lib[\\/]+site-packages[\\/]+nuitka[\\/]+build\b", re.IGNORECASE
)
_INCLUDE = re.compile(r"'([A-Za-z]:[^'\n]{1,400}?)[\\/]+include'", re.IGNORECASE)


def building_folder(dist: Dist) -> str:
    """Return the folder of the environment that a dist was frozen from, as the freezer wrote it; empty if none tells.

    It need not exist on this machine.
    """
    above, name = os.path.split(dist.tree.root)
    if dist.freezer is Freezer.NUITKA:
        report = os.path.join(above, f"{name.removesuffix('.dist')}.build", "scons-report.txt")
        text = _text(report)
        return _most_named(_OWN_PACKAGE, text) or _most_named(_INCLUDE, text)
    if dist.freezer is Freezer.PYINSTALLER:
        folder = os.path.join(os.path.dirname(above), "build", name)
        return _most_named(_PACKAGES, "".join(_text(os.path.join(folder, table)) for table in _TABLES))
    return ""


def _most_named(pattern: re.Pattern[str], text: str) -> str:
    """Return the folder that a pattern finds most often; short names of DOS count only where there is no other."""
    found = Counter(match.replace("\\\\", "\\") for match in pattern.findall(text))
    return max(found, key=lambda folder: ("~" not in folder, found[folder]), default="")


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""
