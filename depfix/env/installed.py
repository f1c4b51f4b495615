"""`python:PATH`, an installed or embeddable Windows Python, and `venv:PATH`, a virtual environment of one."""

from __future__ import annotations

import os
from functools import partial

from depfix.env.layout import installation_layout, is_windows_python, venv_layout
from depfix.env.listing import inside
from depfix.env.python import PythonEnvironment
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.names import fold

_COPIED = "the program runs on Windows: give the Windows one, copied to this machine"


def open_python(value: str, spec: str) -> PythonEnvironment:
    """Return the Windows Python in a folder, or of a python.exe.

    Raises UnknownEnvironmentError if nothing is there, WrongEnvironmentError with the reason if it is another thing.
    """
    root, program = _folder(value, spec)
    reason, advice = python_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    return PythonEnvironment(root, spec, "python", partial(installation_layout, root, program))


def open_venv(value: str, spec: str) -> PythonEnvironment:
    """Return a virtual environment by its folder, or by the python.exe in its Scripts. Raises as `open_python`."""
    root, _ = _folder(value, spec)
    if fold(os.path.basename(root)) == "scripts" and inside(os.path.dirname(root), "pyvenv.cfg"):
        root = os.path.dirname(root)
    reason, advice = venv_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    return PythonEnvironment(root, spec, "venv", partial(venv_layout, root))


def python_problem(root: str) -> tuple[str, str]:
    """Return (why a folder is no Windows Python to take files from, what to do), two empty strings if it is one."""
    venv = os.path.dirname(root) if fold(os.path.basename(root)) == "scripts" else root
    if inside(venv, "pyvenv.cfg"):
        return "it is a virtual environment", f"give it as venv:{venv}"
    if inside(root, "conda-meta"):
        return "it is a conda environment", f"give it as conda:{root}"
    if is_windows_python(root):
        return "", ""
    if _is_posix(root):
        return "it is a Linux or macOS Python, which has no Windows files", _COPIED
    if inside(root, "python.exe"):
        return "its python3xx.dll is not beside python.exe", "give the folder that python.exe was installed to"
    return "no Windows Python is in it (python.exe, python3xx.dll)", "give the folder of python.exe"


def venv_problem(root: str) -> tuple[str, str]:
    """Return (why a folder is no virtual environment of Windows, what to do), two empty strings if it is one."""
    if inside(root, "pyvenv.cfg") is None:
        if inside(root, "conda-meta"):
            return "it is a conda environment", f"give it as conda:{root}"
        if is_windows_python(root):
            return "it is a Python, not a virtual environment of one: it has no pyvenv.cfg", f"give it as python:{root}"
        return "it is no virtual environment: it has no pyvenv.cfg", f"for a plain folder of DLLs use dir:{root}"
    if inside(root, "Lib", "site-packages"):
        return "", ""
    if _is_posix(root):
        return "it is a Linux or macOS environment, which has no Windows files", _COPIED
    return "it has no Lib\\site-packages", "copy the whole environment"


def _folder(value: str, spec: str) -> tuple[str, str]:
    """Return (absolute folder, name of the python.exe in it if the user named that)."""
    path = os.path.abspath(os.path.expanduser(value))
    if os.path.isdir(path):
        return path, ""
    if not os.path.exists(path):
        raise UnknownEnvironmentError(spec, "no such folder")
    name = os.path.basename(path)
    if not fold(name).endswith(".exe"):
        raise UnknownEnvironmentError(spec, "it is a file, not a folder")
    return os.path.dirname(path), name


def _is_posix(root: str) -> bool:
    places = (("bin", "python"), ("bin", "python3"), ("bin", "activate"), ("python",), ("python3",))
    return any(inside(root, *names) is not None for names in places)
