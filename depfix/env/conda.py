"""`conda:NAME` and `conda:PREFIX`: a conda, mamba or micromamba environment in its Windows layout, on any host.

Source: conda's documentation, "Managing environments" and "conda-meta"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/environments.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

from depfix.env.conda_meta import CondaPackage, CondaRecords, safe_files, stray_files
from depfix.env.kinds import kind_of
from depfix.env.layout import Layout, installation_layout
from depfix.env.links import refused as refused_files
from depfix.env.listing import inside, path_key, windows_python
from depfix.env.packages import ExistingFiles, Installed, PackageFolder, top_level_of
from depfix.env.protocol import Distribution
from depfix.env.python import PythonEnvironment
from depfix.env.recognise import advice_for, conda_prefix
from depfix.env.refused import refusal_of
from depfix.errors import WrongEnvironmentError
from depfix.model.names import normalised
from depfix.model.source import Provider
from depfix.wording.message import phrase


class CondaEnvironment(PythonEnvironment):
    """A conda prefix: a file belongs to the distribution whose RECORD names it, else to the package of conda-meta.

    `prefix` is that of the base Python where the environment itself is a virtual one.
    """

    def __init__(
        self, root: str, spec: str, kind: str = "", read_layout: Callable[[], Layout] | None = None, prefix: str = ""
    ) -> None:
        kind = kind or kind_of(root, "conda")
        super().__init__(root, spec, kind, read_layout or partial(installation_layout, root))
        self._prefix = prefix or root
        self._conda = CondaRecords(self._prefix)
        self._made_of_conda: dict[str, Distribution | None] = {}

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
        package = self._conda.named(normalised(name)) if found is None else None
        return self._of_package(package) if package is not None else found

    def _of_package(self, package: CondaPackage) -> Distribution | None:
        found = self._python_of.get(package.name, ())
        if len(found) == 1:
            return self._distribution(*found[0])
        if package.name not in self._made_of_conda:
            self._made_of_conda[package.name] = self._make_of_package(package)
        return self._made_of_conda[package.name]

    def _make_of_package(self, package: CondaPackage) -> Distribution | None:
        """Return a conda package as a distribution, None if a virtual environment over it cannot import it."""
        paths = tuple(dict.fromkeys(ExistingFiles().below(self._prefix, safe_files(package))))
        unfit = refused_files(paths, self._prefix, self.refusal)
        own = [path for path in paths if path not in unfit and self._recorded_owner(path_key(path)) is None]
        if self._prefix != self._root:
            hidden = path_key(self._prefix) + "/lib/site-packages/"
            if hidden[:-1] not in self._path_keys:
                own = [path for path in own if not path_key(path).startswith(hidden)]
            if paths and not own:
                return None
        files, outside = self._parted(own)
        top_level = top_level_of(self.destination(path) for path in files if path not in set(outside))
        left_out = (
            *_stray(package),
            *(phrase("{place}: {reason}", place=self._place(path)[1], reason=reason) for path, reason in unfit.items()),
        )
        return Distribution(
            package.name,
            package.version,
            "",
            files,
            outside,
            top_level=top_level,
            licence=package.licence,
            left_out=left_out,
            details=package.details,
        )

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

    def _also_installed(self, one: Installed, existing: ExistingFiles) -> tuple[str, ...]:
        package = self._sole_package_of(one)
        return tuple(existing.below(self._prefix, safe_files(package))) if package is not None else ()

    def _left_out(self, folder: PackageFolder, one: Installed) -> tuple[str, ...]:
        package = self._sole_package_of(one)
        return (*super()._left_out(folder, one), *(_stray(package) if package is not None else ()))

    def _sole_package_of(self, one: Installed) -> CondaPackage | None:
        """Return the conda package that installed a distribution and no other one."""
        package = self._package_of(one)
        return package if package is not None and len(self._python_of.get(package.name, ())) == 1 else None

    def _shadowed_owner(self, one: Installed, files: tuple[str, ...]) -> str:
        if self._package_of(one) is not None:
            return ""
        owners = (self._conda.owner(self._place_key(path_key(path))) for path in files)
        return next((f"{package.name} {package.version}" for package in owners if package is not None), "")

    def recorded_sha256(self, path: str) -> str:
        """Return the hash in hex of pip's RECORD, else that of conda's record of the package that owns a file."""
        key = path_key(path)
        package = self._conda.owner(self._place_key(key))
        if package is None or (key in self._of_pip and self._folder_on_path(key)):
            return super().recorded_sha256(path)
        return self._conda.hash_of(package, self._place_key(key))

    def _owner(self, key: str) -> Provider | None:
        """A conda package goes by conda's name, unless pip put its own file in the place."""
        package = self._conda.owner(self._place_key(key))
        if package is None:
            return super()._owner(key)
        one = self._of_pip.get(key)
        if one is not None and self._folder_on_path(key):
            return Provider(
                one.name,
                one.version,
                one.licence,
                phrase("put over conda's {package} {version}", package=package.name, version=package.version),
            )
        if one is not None:
            note = phrase(
                "{one} {version}, which pip installed, has it in its RECORD, too", one=one.name, version=one.version
            )
        else:
            note = self._replaced(package)
        return Provider(package.name, package.version, package.licence, note)

    @cached_property
    def _of_pip(self) -> dict[str, Installed]:
        """{path key: the distribution that has it in its RECORD} of those that conda did not install."""
        found: dict[str, Installed] = {}
        for folder in self._package_folders:
            for one in folder.installed:
                if self._package_of(one) is None:
                    for key in folder.keys_of(one):
                        found.setdefault(key, one)
        return found

    def _replaced(self, package: CondaPackage) -> str:
        """Say so if pip installed a distribution of the same name over a package, and this is a file left of that."""
        for folder in self._package_folders:
            one = folder.named(normalised(package.name))
            if one is not None and self._package_of(one) is None:
                return phrase(
                    "left of conda's {package}: pip put {one} {version} over it",
                    package=package.name,
                    one=one.name,
                    version=one.version,
                )
        return ""

    def _place_key(self, key: str) -> str:
        return key.removeprefix(path_key(self._prefix) + "/")


def _stray(package: CondaPackage) -> tuple[str, ...]:
    return tuple(
        phrase("{path} in conda's record leads out of the environment", path=path) for path in stray_files(package)
    )


def conda_problem(root: str) -> tuple[str, str]:
    """Return (why no Windows files can come from this folder as a conda environment, what to do), empty if they can."""
    if inside(root, "conda-meta") is None:
        advice = advice_for(root, "conda") or phrase("for a plain folder of DLLs use dir:{root}", root=root)
        return phrase("it is no conda environment: it has no conda-meta folder"), advice
    refused = refusal_of(root)
    if refused is not None and refused.kind == "pypy":
        return refused.reason, phrase("give a conda environment with CPython")
    if windows_python(root).version or inside(root, "python.exe") or inside(root, "Library"):
        return "", ""
    if inside(root, "bin", "python") or inside(root, "bin", "python3") or inside(root, "lib"):
        advice = phrase("the program runs on Windows: give the Windows environment, copied to this machine")
        return phrase("it is a Linux or macOS environment, which has no Windows DLLs"), advice
    return phrase("it is empty: neither python.exe nor Library is in it"), ""


def open_conda(root: str, spec: str) -> CondaEnvironment:
    """Return the environment at `root`. Raises WrongEnvironmentError if it is none, or not one of Windows."""
    root = conda_prefix(root)
    reason, advice = conda_problem(root)
    if reason:
        raise WrongEnvironmentError(spec, reason, advice)
    return CondaEnvironment(root, spec)
