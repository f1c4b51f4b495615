"""`conda:NAME` and `conda:PREFIX`: a conda, mamba or micromamba environment in its Windows layout, on any host.

Source: conda's documentation, "Managing environments" and "conda-meta"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/environments.html
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import msgspec

from depfix.env.listing import entries, inside, libraries_below, relative, windows_python
from depfix.env.protocol import EnvironmentInfo
from depfix.errors import WrongEnvironmentError
from depfix.model.names import fold
from depfix.model.source import Candidate

# Where an activated environment lets Windows find DLLs, in this order: the folder of python.exe, then what activation
# puts on PATH; DLLs is Python's own folder. Source: conda's activate.py, _get_path_dirs
_NATIVE_FOLDERS = (
    (),
    ("Library", "mingw-w64", "bin"),
    ("Library", "usr", "bin"),
    ("Library", "bin"),
    ("Scripts",),
    ("bin",),
    ("DLLs",),
)

# Where conda keeps what a library loads by its path, never through PATH: the plugins of Qt 5, Qt 6 and GStreamer.
_PLUGIN_FOLDERS = (
    ("Library", "plugins"),
    ("Library", "lib", "qt6", "plugins"),
    ("Library", "lib", "gstreamer-1.0"),
)


class _Package(msgspec.Struct):
    name: str = ""
    version: str = ""
    files: list[str] = []


class CondaEnvironment:
    """A conda prefix: DLLs of its native folders first, then those inside packages, then plugins."""

    def __init__(self, root: str, spec: str) -> None:
        self._root = root
        self._spec = spec

    @cached_property
    def info(self) -> EnvironmentInfo:
        python, machine = windows_python(self._root)
        return EnvironmentInfo(self._spec, self._root, "conda", python, machine)

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name: native folders in the order of PATH, site-packages, plugins."""
        paths = dict.fromkeys(self._native.get(fold(name), ()))
        paths.update(dict.fromkeys(self._packaged.get(fold(name), ())))
        return tuple(self._candidate(path) for path in paths)

    @cached_property
    def _native(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for names in _NATIVE_FOLDERS:
            folder = inside(self._root, *names)
            for name, path in entries(folder).items() if folder else ():
                if name.endswith((".dll", ".pyd")):
                    index.setdefault(name, []).append(path)
        return index

    @cached_property
    def _packaged(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for folder in (self._site_packages, *(inside(self._root, *names) for names in _PLUGIN_FOLDERS)):
            for path in libraries_below(folder) if folder else ():
                index.setdefault(fold(os.path.basename(path)), []).append(path)
        return index

    @cached_property
    def _site_packages(self) -> str | None:
        return inside(self._root, "Lib", "site-packages")

    @cached_property
    def _owners(self) -> dict[str, tuple[str, str]]:
        """{folded path in the prefix: (package, version)}, from conda-meta; a damaged record owns nothing."""
        owners: dict[str, tuple[str, str]] = {}
        decoder = msgspec.json.Decoder(_Package)
        folder = inside(self._root, "conda-meta")
        for name, path in sorted(entries(folder).items()) if folder else ():
            if not name.endswith(".json"):
                continue
            try:
                package = decoder.decode(Path(path).read_bytes())
            except (OSError, msgspec.MsgspecError):
                continue
            owners.update(dict.fromkeys(map(fold, package.files), (package.name, package.version)))
        return owners

    @cached_property
    def _installed_by_pip(self) -> dict[str, tuple[str, str]]:
        """{folded path below site-packages: (distribution, version)}, from the RECORD files."""
        from importlib_metadata import distributions

        owners: dict[str, tuple[str, str]] = {}
        for distribution in distributions(path=[self._site_packages or ""]):
            owner = (distribution.name or "", distribution.version or "")
            owners.update((fold(str(file)), owner) for file in distribution.files or ())
        return owners

    def _candidate(self, path: str) -> Candidate:
        place = relative(self._root, path)
        package_path = relative(self._site_packages, path) if self._site_packages else ""
        if package_path.startswith("../"):
            package_path = ""
        owner = self._owners.get(fold(place))
        if owner is None and package_path:
            owner = self._installed_by_pip.get(fold(package_path))
        name, version = owner or ("", "")
        return Candidate(path, place, self._spec, package_path, name, version)


def conda_problem(root: str) -> tuple[str, str]:
    """Return (why no Windows files can come from this folder as a conda environment, what to do), empty if they can."""
    if inside(root, "conda-meta") is None:
        return "it is no conda environment: it has no conda-meta folder", f"for a plain folder of DLLs use dir:{root}"
    if windows_python(root)[0] or inside(root, "python.exe") or inside(root, "Library"):
        return "", ""
    if inside(root, "bin", "python") or inside(root, "bin", "python3") or inside(root, "lib"):
        advice = "the program runs on Windows: give the Windows environment, copied to this machine"
        return "it is a Linux or macOS environment, which has no Windows DLLs", advice
    return "it is empty: neither python.exe nor Library is in it", ""


def open_conda(root: str, spec: str) -> CondaEnvironment:
    """Return the environment at `root`. Raises WrongEnvironmentError if it is none, or not one of Windows."""
    reason, advice = conda_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    return CondaEnvironment(root, spec)
