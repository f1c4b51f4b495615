"""What conda has written down of its packages: conda-meta, one JSON file for each.

Source: conda's documentation, "conda-meta"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/environments.html
"""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from depfix.env.licences import short_licence
from depfix.env.listing import entries, folded, inside
from depfix.env.records import read_bytes, safe_relative
from depfix.model.names import normalised

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class CondaPackage(msgspec.Struct, frozen=True):
    """A conda package: `files` are relative to the environment, with `/`. All other fields are skipped.

    `license` is what the recipe says, most often an SPDX expression.
    """

    name: str = ""
    version: str = ""
    files: tuple[str, ...] = ()
    license: str | None = None
    build: str | None = None
    channel: str | None = None
    subdir: str | None = None

    @property
    def licence(self) -> str:
        """The licence in few words."""
        return short_licence(self.license or "")

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What else tells the package apart, as its package URL names it; a channel's address is cut to its name."""
        channel = (self.channel or "").rstrip("/").removesuffix(f"/{self.subdir}").rpartition("/")[2]
        rows = (("build", self.build or ""), ("channel", channel), ("subdir", self.subdir or ""))
        return tuple((key, value) for key, value in rows if value)


class _PathData(msgspec.Struct):
    path: str = msgspec.field(default="", name="_path")
    sha256: str | None = None
    sha256_in_prefix: str | None = None


class _PathsData(msgspec.Struct):
    paths: list[_PathData] = []


class _Hashed(msgspec.Struct):
    paths_data: _PathsData = msgspec.field(default_factory=_PathsData)


class CondaRecords:
    """The packages of one environment; a damaged record owns nothing."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._hashes: dict[str, dict[str, str]] = {}
        self._path_of: dict[str, str] = {}

    @cached_property
    def packages(self) -> tuple[CondaPackage, ...]:
        """All packages, in the order of their records' names."""
        decoder = msgspec.json.Decoder(CondaPackage)
        found = []
        for name, path in sorted(self._records.items()):
            package = _decoded(decoder, path)
            if package is not None and name.endswith(".json"):
                found.append(package)
                self._path_of[package.name] = path
        return tuple(found)

    def owner(self, place: str) -> CondaPackage | None:
        """Return the package that owns a file, by its folded path in the environment."""
        return self._owners.get(place)

    def hash_of(self, package: CondaPackage, place: str) -> str:
        """Return the SHA-256 in hex of a file as conda wrote it, by its folded path; empty if none is recorded."""
        if package.name not in self._hashes:
            self._hashes[package.name] = self._read_hashes(package)
        return self._hashes[package.name].get(place, "")

    def _read_hashes(self, package: CondaPackage) -> dict[str, str]:
        try:
            found = msgspec.json.decode(read_bytes(self._path_of.get(package.name, "")), type=_Hashed)
        except (msgspec.MsgspecError, RecursionError):
            return {}
        rows = [(row.path, row.sha256_in_prefix or row.sha256 or "") for row in found.paths_data.paths]
        hashes = (value.lower() if _SHA256.fullmatch(value) else "" for _, value in rows)
        return dict(zip(folded(path for path, _ in rows), hashes, strict=False))

    def named(self, key: str) -> CondaPackage | None:
        """Return the package of a normalised name."""
        decoder = msgspec.json.Decoder(CondaPackage)
        for name, path in sorted(self._records.items()):
            if normalised(name.rsplit("-", 2)[0]) == key:
                package = _decoded(decoder, path)
                if package is not None and normalised(package.name) == key:
                    return package
        return None

    @cached_property
    def _records(self) -> dict[str, str]:
        folder = inside(self._root, "conda-meta")
        return {name: path for name, path in entries(folder).items() if name.endswith(".json")} if folder else {}

    @cached_property
    def _owners(self) -> dict[str, CondaPackage]:
        owners: dict[str, CondaPackage] = {}
        for package in self.packages:
            owners.update(dict.fromkeys(folded(package.files), package))
        return owners


def _decoded(decoder: msgspec.json.Decoder[CondaPackage], path: str) -> CondaPackage | None:
    try:
        return decoder.decode(read_bytes(path))
    except (msgspec.MsgspecError, RecursionError):
        return None


def safe_files(package: CondaPackage) -> tuple[str, ...]:
    """Return the recorded files of a package that lie in the environment."""
    return tuple(path for path in map(safe_relative, package.files) if path and not path.startswith("../"))


def stray_files(package: CondaPackage) -> tuple[str, ...]:
    """Return the recorded files of a package that lead out of the environment, as they are written."""
    return tuple(path for path in package.files if path and (safe_relative(path) or "../").startswith("../"))
