"""Which kind of `--env` a folder is, by what lies in it, and where in it the environment itself is.

Sources: PEP 405, "Python Virtual Environments" https://peps.python.org/pep-0405/ (pyvenv.cfg); Python documentation,
"The nuget.org packages" https://docs.python.org/3/using/windows.html (tools/python.exe); pixi documentation,
"Environment" https://pixi.sh/latest/workspace/environment/ (.pixi/envs)
"""

from __future__ import annotations

import os
import re

from depfix.env.layout import is_windows_python
from depfix.env.listing import entries, folder_inside, inside
from depfix.model.machine import Machine
from depfix.model.names import fold
from depfix.wording.message import phrase

_ARCHIVES = (".whl", ".conda", ".tar.bz2")
_NUGET = re.compile(r"python.*\.(?:nuspec|nupkg)")
_USER = re.compile(r"python(\d)(\d+)(t?)(?:-(32|arm64))?")
_MACHINES = {"32": Machine.X86, "arm64": Machine.ARM64}


def scheme_of(root: str) -> str:
    """Return how a folder is to be given (`venv`, `conda`, `python` or `wheels`), empty if it is none of these."""
    if inside(root, "pyvenv.cfg"):
        return "venv"
    if inside(conda_prefix(root), "conda-meta"):
        return "conda"
    if is_windows_python(python_root(root)) or user_packages(root) is not None:
        return "python"
    return "wheels" if any(name.endswith(_ARCHIVES) for name in entries(root)) else ""


def advice_for(root: str, wanted: str) -> str:
    """Return what to do about a folder that is not of the wanted kind: how to give it, if it is another one."""
    scheme = scheme_of(root)
    if not scheme or scheme == wanted:
        return ""
    return phrase("give it as {scheme}:{root}", scheme=scheme, root=root)


def python_root(root: str) -> str:
    """Return the folder of python.exe: the folder itself, or `tools` in that of a package from nuget.org."""
    tools = folder_inside(root, "tools")
    return tools if tools and not is_windows_python(root) and is_windows_python(tools) else root


def is_nuget(root: str) -> bool:
    """Return True for the `tools` of a package from nuget.org."""
    above = os.path.dirname(root)
    return fold(os.path.basename(root)) == "tools" and any(map(_NUGET.fullmatch, entries(above)))


def user_packages(root: str) -> tuple[str, Machine | None, bool] | None:
    """Return (version, machine, free-threaded) of a folder in which Python keeps packages for one user, else None.

    Python calls it Python311, Python311-32 or Python313t; it holds site-packages and no Python. Source: Python
    documentation, "site", USER_SITE https://docs.python.org/3/library/site.html#site.USER_SITE
    """
    match = _USER.fullmatch(fold(os.path.basename(root)))
    if match is None or not folder_inside(root, "site-packages") or is_windows_python(root):
        return None
    return f"{match[1]}.{match[2]}", _MACHINES.get(match[4]), bool(match[3])


def conda_prefix(root: str) -> str:
    """Return the prefix in a folder: itself, or for a project of pixi its default environment, else its only one."""
    envs = folder_inside(root, ".pixi", "envs")
    if inside(root, "conda-meta") or not envs:
        return root
    found = entries(envs)
    return found.get("default") or (next(iter(found.values())) if len(found) == 1 else root)
