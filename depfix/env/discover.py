"""Finds environments on this machine: conda's by name, or all of them; the active virtual environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from depfix.env.conda import CondaEnvironment, conda_problem
from depfix.env.installed import open_venv, venv_problem
from depfix.env.listing import entries
from depfix.env.protocol import EnvironmentInfo
from depfix.model.names import fold

_INSTALLATIONS = (
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "mambaforge",
    "micromamba",
    "Miniconda3",
    "Anaconda3",
    "Miniforge3",
    ".conda",
)
_CONDARC = (
    ".condarc",
    ".conda/.condarc",
    ".conda/condarc",
    ".config/conda/.condarc",
    ".config/conda/condarc",
    ".mambarc",
)


def conda_prefixes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders of all conda environments that conda itself would find, and those of usual installations.

    Sources, in order: the active environment, CONDA_ENVS_PATH and CONDA_ENVS_DIRS, `envs_dirs` of .condarc,
    environments.txt, then the usual installation folders with what is in their `envs`.
    """
    home = environ.get("USERPROFILE") or environ.get("HOME") or os.path.expanduser("~")
    found: dict[str, None] = {}
    for prefix in (environ.get("CONDA_PREFIX", ""), *_registered(home)):
        if prefix:
            found[os.path.abspath(prefix)] = None
    for folder in _environment_folders(environ, home):
        found.update(dict.fromkeys(path for _, path in sorted(entries(folder).items())))
    for base in _installations(environ, home):
        found[base] = None
        found.update(dict.fromkeys(path for _, path in sorted(entries(os.path.join(base, "envs")).items())))
    return tuple(path for path in found if os.path.isdir(os.path.join(path, "conda-meta")))


def find_by_name(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the folder of the environment of that name, one in Windows layout first; `base` is an installation."""
    named = [path for path in conda_prefixes(environ) if fold(environment_name(path)) == fold(name)]
    usable = [path for path in named if not conda_problem(path)[0]]
    return next(iter(usable or named), None)


def environment_name(prefix: str) -> str:
    """Return what conda calls the environment in this folder."""
    is_base = os.path.isdir(os.path.join(prefix, "condabin")) or os.path.isdir(os.path.join(prefix, "envs"))
    return "base" if is_base else os.path.basename(prefix.rstrip("/\\"))


def list_environments(environ: Mapping[str, str]) -> tuple[EnvironmentInfo, ...]:
    """Return the active virtual environment if it can serve, and all of conda's, with a note why one cannot."""
    rows: list[EnvironmentInfo] = []
    venv = environ.get("VIRTUAL_ENV", "")
    if venv and not venv_problem(venv)[0]:
        rows.append(open_venv(venv, f"venv:{venv}").info)
    for prefix in conda_prefixes(environ):
        reason, _ = conda_problem(prefix)
        info = CondaEnvironment(prefix, f"conda:{environment_name(prefix)}").info
        first = not any(row.spec == info.spec for row in rows)
        spec = info.spec if first else f"conda:{prefix}"
        rows.append(replace(info, spec=spec, note=reason))
    return tuple(rows)


def _registered(home: str) -> Iterator[str]:
    try:
        with open(os.path.join(home, ".conda", "environments.txt"), encoding="utf-8", errors="replace") as file:
            yield from (line.strip() for line in file)
    except OSError:
        return


def _environment_folders(environ: Mapping[str, str], home: str) -> Iterator[str]:
    for variable in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        yield from (folder for folder in environ.get(variable, "").split(os.pathsep) if folder)
    configured = [environ.get("CONDARC", ""), *(os.path.join(home, name) for name in _CONDARC)]
    for path in configured:
        for folder in _envs_dirs(path) if path else ():
            yield os.path.expandvars(folder.replace("~", home, 1) if folder.startswith("~") else folder)


def _envs_dirs(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
    except OSError:
        return []
    import yaml

    try:
        settings = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError):
        return []
    folders = settings.get("envs_dirs", settings.get("envs_path")) if isinstance(settings, dict) else None
    return [str(folder) for folder in folders] if isinstance(folders, list) else []


def _installations(environ: Mapping[str, str], home: str) -> Iterator[str]:
    conda = environ.get("CONDA_EXE", "")
    named = [environ.get("MAMBA_ROOT_PREFIX", ""), os.path.dirname(os.path.dirname(conda)) if conda else ""]
    yield from (folder for folder in named if folder)
    above = [home, environ.get("LOCALAPPDATA", ""), environ.get("PROGRAMDATA", ""), "/opt", "C:\\", "D:\\"]
    for folder in above:
        for name in (*_INSTALLATIONS, "conda") if folder else ():
            candidate = os.path.join(folder, name)
            if os.path.isdir(candidate):
                yield candidate
