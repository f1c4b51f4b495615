"""What conda has written down of its packages: conda-meta, one JSON file for each.

Source: conda's documentation, "conda-meta"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/environments.html
"""

from __future__ import annotations

from functools import cached_property

import msgspec

from depfix.env.listing import entries, folded, inside
from depfix.env.records import normalized, read_bytes, safe_relative


class CondaPackage(msgspec.Struct, frozen=True):
    """A conda package: `files` are relative to the environment, with `/`. All other fields are skipped."""

    name: str = ""
    version: str = ""
    files: tuple[str, ...] = ()


class CondaRecords:
    """The packages of one environment; a damaged record owns nothing."""

    def __init__(self, root: str) -> None:
        self._root = root

    @cached_property
    def packages(self) -> tuple[CondaPackage, ...]:
        """All packages, in the order of their records' names."""
        decoder = msgspec.json.Decoder(CondaPackage)
        found = []
        for name, path in sorted(self._records.items()):
            package = _decoded(decoder, path)
            if package is not None and name.endswith(".json"):
                found.append(package)
        return tuple(found)

    def owner(self, place: str) -> CondaPackage | None:
        """Return the package that owns a file, by its folded path in the environment."""
        return self._owners.get(place)

    def named(self, key: str) -> CondaPackage | None:
        """Return the package of a normalised name."""
        decoder = msgspec.json.Decoder(CondaPackage)
        for name, path in sorted(self._records.items()):
            if normalized(name.rsplit("-", 2)[0]) == key:
                package = _decoded(decoder, path)
                if package is not None and normalized(package.name) == key:
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
