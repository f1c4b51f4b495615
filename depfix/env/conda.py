"""`conda:NAME` and `conda:PREFIX`: a conda, mamba or micromamba environment in its Windows layout, on any host.

Source: conda's documentation, "Managing environments" and "conda-meta"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/environments.html
"""

from __future__ import annotations

from functools import cached_property, partial

from depfix.env.conda_meta import CondaPackage, CondaRecords, safe_files
from depfix.env.layout import installation_layout
from depfix.env.listing import inside, path_key, windows_python
from depfix.env.packages import ExistingFiles, Installed, PackageFolder, top_level_of
from depfix.env.protocol import Distribution
from depfix.env.python import PythonEnvironment
from depfix.env.records import normalized
from depfix.errors import WrongEnvironmentError
from depfix.model.source import Provider


class CondaEnvironment(PythonEnvironment):
    """A conda prefix: a file belongs to the distribution whose RECORD names it, else to the package of conda-meta."""

    def __init__(self, root: str, spec: str) -> None:
        super().__init__(root, spec, "conda", partial(installation_layout, root))
        self._conda = CondaRecords(root)
        self._made_of_conda: dict[str, Distribution] = {}

    def distribution_of(self, path: str) -> Distribution | None:
        """Return the distribution of a RECORD, else the conda package; None for the stdlib's and for nobody's."""
        found = super().distribution_of(path)
        if found is not None or self.is_stdlib(path):
            return found
        package = self._conda.owner(self._place_key(path_key(path)))
        return self._of_package(package) if package is not None else None

    def distribution(self, name: str) -> Distribution | None:
        """Return the distribution of this name, else the conda package; None if neither is installed."""
        found = super().distribution(name)
        package = self._conda.named(normalized(name)) if found is None else None
        return self._of_package(package) if package is not None else found

    def _of_package(self, package: CondaPackage) -> Distribution:
        found = self._python_of.get(package.name, ())
        if len(found) == 1:
            return self._distribution(*found[0])
        if package.name not in self._made_of_conda:
            paths = dict.fromkeys(ExistingFiles().below(self._root, safe_files(package)))
            own = [path for path in paths if self._recorded_owner(path_key(path)) is None]
            files, outside = self._parted(own)
            top_level = top_level_of(self.destination(path) for path in files if path not in set(outside))
            made = Distribution(package.name, package.version, "", files, outside, top_level=top_level)
            self._made_of_conda[package.name] = made
        return self._made_of_conda[package.name]

    @cached_property
    def _python_of(self) -> dict[str, list[tuple[PackageFolder, Installed]]]:
        """{conda package: the Python distributions that it installed}: conda-meta lists their metadata, too."""
        found: dict[str, list[tuple[PackageFolder, Installed]]] = {}
        for folder in self._package_folders:
            for one in folder.installed:
                package = self._package_of(one)
                if package is not None:
                    found.setdefault(package.name, []).append((folder, one))
        return found

    def _package_of(self, one: Installed) -> CondaPackage | None:
        """Return the conda package that installed a distribution; None for what pip installed."""
        place = self._place_key(path_key(one.folder))
        inner = (f"{place}/metadata", f"{place}/pkg-info", place)
        return next((package for name in inner if (package := self._conda.owner(name)) is not None), None)

    def _also_installed(self, one: Installed) -> tuple[str, ...]:
        package = self._package_of(one)
        if package is None or len(self._python_of.get(package.name, ())) != 1:
            return ()
        return safe_files(package)

    def _shadowed_owner(self, one: Installed, files: tuple[str, ...]) -> str:
        if self._package_of(one) is not None:
            return ""
        owners = (self._conda.owner(self._place_key(path_key(path))) for path in files)
        return next((f"{package.name} {package.version}" for package in owners if package is not None), "")

    def _owner(self, key: str) -> Provider | None:
        """A conda package goes by conda's name, unless pip put its own file in the place."""
        package = self._conda.owner(self._place_key(key))
        if package is None:
            return super()._owner(key)
        found = self._recorded_owner(key) if self._folder_on_path(key) else None
        if found is not None and self._package_of(found[1]) is None:
            return Provider(found[1].name, found[1].version)
        return Provider(package.name, package.version)

    def _place_key(self, key: str) -> str:
        return key.removeprefix(path_key(self._root) + "/")


def conda_problem(root: str) -> tuple[str, str]:
    """Return (why no Windows files can come from this folder as a conda environment, what to do), empty if they can."""
    if inside(root, "conda-meta") is None:
        return "it is no conda environment: it has no conda-meta folder", f"for a plain folder of DLLs use dir:{root}"
    if windows_python(root).version or inside(root, "python.exe") or inside(root, "Library"):
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
