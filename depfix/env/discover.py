"""Finds environments on this machine: conda's by name, or all of them; the active virtual environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from depfix.env.conda import CondaEnvironment, conda_problem
from depfix.env.installed import open_python, open_venv, python_problem, venv_config, venv_problem
from depfix.env.listing import entries, host_folder, inside, path_key
from depfix.env.places import environment_folders, home_of
from depfix.env.protocol import EnvironmentInfo
from depfix.env.recognise import python_root, scheme_of
from depfix.env.refused import refusal_of
from depfix.model.names import fold
from depfix.wording.message import phrase

_INSTALLATIONS = (
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "mambaforge",
    "micromamba",
    "mamba",
    ".local/share/mamba",
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
    home = home_of(environ)
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
    """Return what conda calls the environment in this folder: one below another's `envs` is no base itself."""
    above, name = os.path.split(prefix.rstrip("/\\"))
    has_envs = os.path.isdir(os.path.join(prefix, "envs")) and fold(os.path.basename(above)) != "envs"
    return "base" if has_envs or os.path.isdir(os.path.join(prefix, "condabin")) else name


def list_environments(
    environ: Mapping[str, str], projects: Iterable[str] = (), built_from: str = ""
) -> tuple[EnvironmentInfo, ...]:
    """Return the environments of this machine: the active one, conda's, those of projects, then all others.

    `built_from` is a folder that comes before all of them, as a build wrote it; `projects` are folders in which the
    user's project may lie.

    One that nothing can come from has a `note` that says why, with what to do. What is made for Linux or macOS is left
    out, but for conda's, which a name can mean.
    """
    rows: dict[str, EnvironmentInfo] = {}
    first = (host_folder(built_from), environ.get("VIRTUAL_ENV", ""), environ.get("CONDA_PREFIX", ""))
    leading = [_key(folder) for folder in first if folder]
    for info in _conda_environments(environ):
        rows[_key(info.root)] = info
    for folder in (*first, *environment_folders(environ, projects)):
        if folder and os.path.isabs(folder) and _key(folder) not in rows and os.path.isdir(folder):
            row = describe(folder)
            if row is not None:
                rows[_key(folder)] = row
    ranks = {key: rank for rank, key in reversed(list(enumerate(leading)))}
    return tuple(rows[key] for key in sorted(rows, key=lambda key: ranks.get(key, len(leading))))


def _conda_environments(environ: Mapping[str, str]) -> Iterator[EnvironmentInfo]:
    """Yield conda's environments; of several with one name, all but the first by their folder."""
    known: set[str] = set()
    for prefix in conda_prefixes(environ):
        name = environment_name(prefix)
        spec = f"conda:{prefix}" if name in known else f"conda:{name}"
        known.add(name)
        yield replace(CondaEnvironment(prefix, spec).info, note=_note(*conda_problem(prefix)))


def _key(folder: str) -> str:
    return path_key(os.path.realpath(folder))


def describe(folder: str) -> EnvironmentInfo | None:
    """Return what is in a folder, with the reason if nothing can come from it; None if no Windows Python is."""
    scheme = scheme_of(folder)
    if scheme == "conda":
        return CondaEnvironment(folder, f"conda:{folder}").info if not conda_problem(folder)[0] else None
    if scheme == "venv" and not venv_problem(folder)[0]:
        return open_venv(folder, f"venv:{folder}").info
    if scheme == "python" and not python_problem(python_root(folder))[0]:
        return open_python(folder, f"python:{folder}").info
    refused = refusal_of(inside(folder, "Scripts") or folder, venv_config(folder))
    if refused is None:
        return None
    spec = f"{'venv' if scheme == 'venv' else 'python'}:{folder}"
    return EnvironmentInfo(spec, folder, refused.kind, "", None, note=_note(refused.reason, refused.advice))


def _note(reason: str, advice: str) -> str:
    return phrase("{reason}; {advice}", reason=reason, advice=advice) if reason and advice else reason


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
