"""`python:PATH`, an installed or embeddable Windows Python, and `venv:PATH`, a virtual environment of one."""

from __future__ import annotations

import os
from functools import partial

from depfix.env.conda import CondaEnvironment
from depfix.env.kinds import kind_of
from depfix.env.layout import base_of, installation_layout, is_windows_python, packages_layout, venv_layout
from depfix.env.listing import Build, entries, inside
from depfix.env.python import PythonEnvironment
from depfix.env.recognise import advice_for, is_nuget, python_root, scheme_of, user_packages
from depfix.env.records import read_text, settings
from depfix.env.refused import refusal_of
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.names import fold
from depfix.wording.message import phrase

_PYTHON_FOLDER = phrase("give the folder of python.exe")
_AGAIN = phrase("make it again with a Python from python.org (python -m venv), and install the packages there")
_COPIED = phrase("the program runs on Windows: give the Windows one, copied to this machine")


def open_python(value: str, spec: str) -> PythonEnvironment:
    """Return the Windows Python in a folder, or of a python.exe; the packages of one user, too.

    Raises UnknownEnvironmentError if nothing is there, WrongEnvironmentError with the reason if it is another thing.
    """
    folder, program = _folder(value, spec)
    root = python_root(folder)
    reason, advice = python_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    user = user_packages(root)
    if user is not None:
        return PythonEnvironment(root, spec, _python_kind(root), partial(packages_layout, root, Build(*user)))
    return PythonEnvironment(root, spec, _python_kind(root), partial(installation_layout, root, program))


def open_venv(value: str, spec: str) -> PythonEnvironment:
    """Return a virtual environment by its folder, or by the python.exe in its Scripts. Raises as `open_python`.

    One that was made by conda's Python has that one's DLLs, and conda's records say whose they are.
    """
    root, _ = _folder(value, spec)
    if fold(os.path.basename(root)) == "scripts" and inside(os.path.dirname(root), "pyvenv.cfg"):
        root = os.path.dirname(root)
    reason, advice = venv_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    config = venv_config(root)
    kind = kind_of(root, "venv", config)
    base, _ = base_of(config)
    if base and inside(base, "conda-meta"):
        return CondaEnvironment(root, spec, kind, partial(venv_layout, root), base)
    return PythonEnvironment(root, spec, kind, partial(venv_layout, root))


def python_problem(root: str) -> tuple[str, str]:
    """Return (why a folder is no Windows Python to take files from, what to do), two empty strings if it is one."""
    venv = os.path.dirname(root) if fold(os.path.basename(root)) == "scripts" else root
    if inside(venv, "pyvenv.cfg"):
        return phrase("it is a virtual environment"), phrase("give it as venv:{venv}", venv=venv)
    if inside(root, "conda-meta"):
        return phrase("it is a conda environment"), phrase("give it as conda:{root}", root=root)
    refused = refusal_of(root)
    if refused is not None:
        return refused.reason, refused.advice
    if is_windows_python(root) or user_packages(root) is not None:
        return "", ""
    if _is_posix(root):
        return phrase("it is a Linux or macOS Python, which has no Windows files"), _COPIED
    if inside(root, "python.exe"):
        return phrase("its python3xx.dll is not beside python.exe"), phrase(
            "give the folder that python.exe was installed to"
        )
    return phrase("no Windows Python is in it (python.exe, python3xx.dll)"), advice_for(
        root, "python"
    ) or _PYTHON_FOLDER


def venv_problem(root: str) -> tuple[str, str]:
    """Return (why a folder is no virtual environment of Windows, what to do), two empty strings if it is one."""
    if inside(root, "pyvenv.cfg") is None:
        if inside(root, "conda-meta"):
            return phrase("it is a conda environment"), phrase("give it as conda:{root}", root=root)
        if scheme_of(root) == "python":
            return phrase("it is a Python, not a virtual environment of one: it has no pyvenv.cfg"), phrase(
                "give it as python:{root}", root=root
            )
        advice = advice_for(root, "venv") or phrase("for a plain folder of DLLs use dir:{root}", root=root)
        return phrase("it is no virtual environment: it has no pyvenv.cfg"), advice
    refused = refusal_of(inside(root, "Scripts") or root, venv_config(root))
    if refused is not None:
        return refused.reason, refused.advice
    if inside(root, "Lib", "site-packages"):
        return "", ""
    if inside(root, "bin", "python.exe"):
        return phrase(
            "it is a virtual environment of MSYS2's Python, whose modules CPython for Windows does not load"
        ), _AGAIN
    if _is_posix(root):
        return phrase("it is a Linux or macOS environment, which has no Windows files"), _COPIED
    return phrase("it has no Lib\\site-packages"), phrase("copy the whole environment")


def _python_kind(root: str) -> str:
    if is_nuget(root):
        return "nuget"
    kind = kind_of(root, "python")
    if kind == "python" and any(name.endswith("._pth") for name in entries(root)):
        return "embeddable"
    return kind


def venv_config(root: str) -> dict[str, str]:
    """Return the settings of a virtual environment's pyvenv.cfg, none if it has no such file."""
    return settings(read_text(inside(root, "pyvenv.cfg") or ""))


def _folder(value: str, spec: str) -> tuple[str, str]:
    """Return (absolute folder, name of the python.exe in it if the user named that)."""
    path = os.path.abspath(os.path.expanduser(value))
    if os.path.isdir(path):
        return path, ""
    if not os.path.lexists(path):
        raise UnknownEnvironmentError(spec, phrase("no such folder"))
    name = os.path.basename(path)
    if not fold(name).endswith(".exe"):
        raise UnknownEnvironmentError(spec, phrase("it is a file, not a folder"))
    return os.path.dirname(path), name


def _is_posix(root: str) -> bool:
    places = (("bin", "python"), ("bin", "python3"), ("bin", "activate"), ("python",), ("python3",))
    return any(inside(root, *names) is not None for names in places)
