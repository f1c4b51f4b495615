"""Pythons for Windows that files of a frozen CPython program cannot come from, recognised by their files.

Sources: MSYS2, "Environments" https://www.msys2.org/docs/environments/ and "Python" https://www.msys2.org/docs/python/
(tags such as cp312-mingw_x86_64_ucrt_gnu); Python documentation, "Using Python on Windows", The Microsoft Store package
https://docs.python.org/3/using/windows.html ; Microsoft Learn, "uap3:ExecutionAlias" (the empty files of WindowsApps)
https://learn.microsoft.com/uwp/schemas/appxpackage/uapmanifestschema/element-uap3-executionalias
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from depfix.env.layout import of_store
from depfix.env.listing import entries, folder_inside
from depfix.model.names import fold
from depfix.wording.message import phrase

_PYTHON_ORG = phrase(
    "install Python from python.org in the same version, install the packages there, and give python:FOLDER"
)
_MINGW_DLL = re.compile(r"libpython3[.\d]*\.dll")
_POSIX_DLL = re.compile(r"(?:msys-|cyg|lib)python3[.\d]*m?\.dll")
_RUNTIMES = ("msys-2.0.dll", "cygwin1.dll")
_LIBRARY = re.compile(r"python3\.\d+")
_PYPY_DLL = re.compile(r"libpypy.*\.dll|pypy3?(?:\.\d+)*\.exe")
_STARTER = re.compile(r"python(?:3(?:\.\d+)?)?\.exe")
_MOST_LIBRARIES = 4
_CPYTHON = "cpython"


@dataclass(frozen=True, slots=True)
class Refused:
    """A Python that nothing can be taken from: what it is, why, and what the user should do."""

    kind: str
    reason: str
    advice: str


def refusal_of(root: str, config: Mapping[str, str] | None = None) -> Refused | None:
    """Return why nothing can be taken from a folder as from a Python, None if this is not one of those Pythons.

    `config` is the pyvenv.cfg of a virtual environment.
    """
    found = entries(root)
    implementation = (config or {}).get("implementation", "")
    if any(map(_PYPY_DLL.fullmatch, found)) or implementation.lower() == "pypy":
        return _other("pypy", "PyPy")
    if implementation and implementation.lower() != _CPYTHON:
        return _other(implementation.lower(), implementation)
    return _of_store(root, found) or _of_msys(root, found)


def _other(kind: str, name: str) -> Refused:
    reason = phrase(
        "it is {name}: its extension modules are built for another interpreter than the CPython of the program",
        name=name,
    )
    return Refused(kind, reason, _PYTHON_ORG)


def _of_store(root: str, found: Mapping[str, str]) -> Refused | None:
    aliases = [path for name, path in found.items() if _STARTER.fullmatch(name) and _is_empty(path)]
    advice = phrase(
        "make a virtual environment with it (python -m venv), install the packages there, and give venv:FOLDER with"
        " --env python:FOLDER of a Python from python.org for the standard library; what pip installed for the user is"
        " in %LOCALAPPDATA%\\Packages\\PythonSoftwareFoundation.Python.3.x_...\\LocalCache\\local-packages\\Python3xx,"
        " to be given as python:FOLDER"
    )
    if aliases and of_store(root):
        reason = phrase("it is the Microsoft Store's alias for Python: its python.exe is an empty file")
        return Refused("store", reason, advice)
    if of_store(root) and not found:
        reason = phrase("it is the Microsoft Store's Python, whose folder Windows lets no other program read")
        return Refused("store", reason, advice)
    return None


def _of_msys(root: str, found: Mapping[str, str]) -> Refused | None:
    home = root if fold(os.path.basename(root)) != "bin" else os.path.dirname(root)
    beside = {**found, **entries(os.path.join(home, "bin")), **entries(os.path.join(home, "usr", "bin"))}
    tags = " ".join(_tagged(home))
    if (any(name in beside for name in _RUNTIMES) and any(map(_POSIX_DLL.fullmatch, beside))) or "-cygwin" in tags:
        reason = phrase(
            "it is a Python of Cygwin or MSYS: its modules need cygwin1.dll or msys-2.0.dll and paths as on Linux"
        )
        return Refused("cygwin", reason, _PYTHON_ORG)
    if any(map(_MINGW_DLL.fullmatch, beside)) or "-mingw" in tags or (tags and any(map(_STARTER.fullmatch, beside))):
        reason = phrase(
            "it is MSYS2's Python, built with MinGW: its modules import libpython3.x.dll and another C "
            "runtime, and CPython for Windows does not load them"
        )
        return Refused("msys2", reason, _PYTHON_ORG)
    return None


def is_msys_python(name: str) -> bool:
    """Return True for the folded name of MSYS2's Python DLL, or of an extension module that only it loads."""
    return bool(_MINGW_DLL.fullmatch(name)) or (name.endswith(".pyd") and "-mingw" in name)


def _tagged(home: str) -> list[str]:
    """Return the folded names of extension modules of a library laid out as on Linux, that are DLLs of Windows."""
    library = folder_inside(home, "lib")
    versions = [path for name, path in sorted(entries(library).items()) if _LIBRARY.fullmatch(name)] if library else []
    folders = [folder_inside(path, "lib-dynload") for path in versions[:_MOST_LIBRARIES]]
    return [name for folder in folders if folder for name in entries(folder) if name.endswith((".pyd", ".dll"))]


def _is_empty(path: str) -> bool:
    try:
        return os.path.getsize(path) == 0
    except OSError:  # Windows refuses to open an alias, which its size in the folder's listing does not need
        return True
