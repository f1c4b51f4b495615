"""Opens what `--env` names."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping

from depfix.env.archives import Wanted
from depfix.env.conda import conda_problem, open_conda
from depfix.env.discover import conda_prefixes, environment_name, find_by_name
from depfix.env.extended import extension_schemes, open_extended
from depfix.env.folder import open_folder
from depfix.env.installed import open_python, open_venv, venv_problem
from depfix.env.listing import host_folder
from depfix.env.protocol import Environment
from depfix.env.recognise import scheme_of
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.machine import Machine
from depfix.wording.message import phrase

_OPENERS: dict[str, Callable[[str, str], Environment]] = {
    "venv": open_venv,
    "python": open_python,
    "dir": open_folder,
}
SCHEMES = ("conda", *_OPENERS, "wheels")


def open_environment(spec: str, environ: Mapping[str, str], wanted: Wanted | None = None) -> Environment:
    """Return the environment that `spec` names: `conda:NAME`, a kind with a folder, or what an extension opens.

    `wanted` is what the dist takes, on which depends what of `wheels:FOLDER` can serve. Raises UnknownEnvironmentError
    if there is none, WrongEnvironmentError if Windows files cannot come from it, ExtensionError.
    """
    scheme, colon, value = spec.partition(":")
    if not colon or len(scheme) == 1:  # a bare name or path, with a drive letter perhaps
        raise UnknownEnvironmentError(spec, phrase("it does not say what kind it is"), _guess(spec))
    if scheme not in SCHEMES and scheme not in extension_schemes():
        near = difflib.get_close_matches(scheme, (*SCHEMES, *extension_schemes()), n=1)
        raise UnknownEnvironmentError(
            spec, phrase("unknown kind {scheme}", scheme=repr(scheme)), f"{near[0]}:{value}" if near else ""
        )
    if not value:
        raise UnknownEnvironmentError(spec, phrase("it names nothing"))
    if scheme == "conda":
        return open_conda(_prefix(value, spec, environ), spec)
    if scheme in _OPENERS:
        return _OPENERS[scheme](value, spec)
    if wanted is None:
        raise UnknownEnvironmentError(spec, phrase("what of it serves depends on the dist"))
    if scheme != "wheels":
        return open_extended(scheme, value, spec, wanted)
    from depfix.env.wheel_folder import open_wheels

    return open_wheels(value, spec, wanted)


def active_environment(environ: Mapping[str, str]) -> Environment | None:
    """Return the activated virtual or conda environment if Windows files can come from it."""
    venv = environ.get("VIRTUAL_ENV", "")
    if venv and os.path.isdir(venv) and not venv_problem(venv)[0]:
        return open_venv(venv, f"venv:{venv}")
    prefix = environ.get("CONDA_PREFIX", "")
    if not prefix or not os.path.isdir(prefix) or conda_problem(prefix)[0]:
        return None
    return open_conda(prefix, f"conda:{prefix}")


def environment_in(folder: str) -> Environment | None:
    """Return the environment in a folder, written as Windows writes it; None if none can serve or none is here."""
    path = host_folder(folder)
    scheme = scheme_of(path) if path else ""
    if scheme not in ("conda", *_OPENERS):
        return None
    try:
        return open_environment(f"{scheme}:{path}", {})
    except (UnknownEnvironmentError, WrongEnvironmentError):
        return None


def check_machine(environment: Environment, machine: Machine) -> None:
    """Raise WrongEnvironmentError if the environment's Python is for another machine than the dist."""
    found = environment.info.machine
    if found is not None and found is not machine:
        advice = phrase("give the {machine} environment that the program was built from", machine=machine.words)
        raise WrongEnvironmentError(
            environment.info.spec,
            phrase("it is {found}, the dist is {machine}", found=found.words, machine=machine.words),
            advice,
        )


def _prefix(value: str, spec: str, environ: Mapping[str, str]) -> str:
    path = os.path.abspath(os.path.expanduser(value))
    if "/" in value or "\\" in value or os.path.isdir(path):
        if os.path.isdir(path):
            return path
        raise UnknownEnvironmentError(
            spec, phrase("it is a file, not a folder") if os.path.exists(path) else phrase("no such folder")
        )
    found = find_by_name(value, environ)
    if found is not None:
        return found
    known = tuple(dict.fromkeys(environment_name(prefix) for prefix in conda_prefixes(environ)))
    near = difflib.get_close_matches(value, known, n=1)
    specs = tuple(f"conda:{name}" for name in known)
    raise UnknownEnvironmentError(
        spec, phrase("no conda environment of this name"), f"conda:{near[0]}" if near else "", specs
    )


def _guess(spec: str) -> str:
    if os.path.isdir(spec):
        return f"{scheme_of(os.path.abspath(spec)) or 'dir'}:{spec}"
    return f"conda:{spec}"
