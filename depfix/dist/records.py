"""What distributions in the dist say that they installed: their RECORD files.

Source: "Recording installed projects", https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import lru_cache

from depfix.dist.tree import Tree
from depfix.model.names import fold, join, parent

_MODULES = (".pyd", ".py", ".dll")


class Records:
    """The modules and DLLs that RECORD files name, whether they are still there or not."""

    def __init__(self, tree: Tree, search_path: Sequence[str]) -> None:
        self._tree = tree
        self._roots = {fold(folder) for folder in search_path}
        self._by_folder: dict[str, list[str]] | None = None
        self._gone: dict[str, tuple[str, ...]] = {}

    def module_file(self, folder: str, name: str) -> str:
        """Return the dist-relative path of the file that held a module in `folder`, an empty string if none did."""
        for path in self.in_folder(folder):
            file = path.rpartition("/")[2]
            if file.partition(".")[0] == name and not fold(file).endswith(".dll"):
                return path
        return ""

    def in_folder(self, folder: str) -> tuple[str, ...]:
        """Return the recorded files of one folder."""
        if self._by_folder is None:
            self._by_folder = self._read()
        return tuple(self._by_folder.get(fold(folder), ()))

    def missing_extensions(self) -> tuple[str, ...]:
        """Return the recorded extension modules that are not there under their name although their package is."""
        return self._missing(".pyd")

    def missing_libraries(self) -> tuple[str, ...]:
        """Return the recorded DLLs that are not there."""
        return self._missing(".dll")

    def _missing(self, suffix: str) -> tuple[str, ...]:
        if suffix not in self._gone:
            self.in_folder("")
            paths = [path for row in (self._by_folder or {}).values() for path in row]
            self._gone[suffix] = tuple(p for p in paths if fold(p).endswith(suffix) and self._tree.file(p) is None)
        return self._gone[suffix]

    def _read(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self._tree.named("record"):
            home = parent(entry.path)
            if not fold(home).endswith(".dist-info") or fold(parent(home)) not in self._roots:
                continue
            for path in _recorded(entry.source):
                if path.endswith(_MODULES) and not path.startswith(("/", "..")):
                    whole = join(parent(home), path)
                    found.setdefault(fold(parent(whole)), []).append(whole)
        return found


@lru_cache(maxsize=512)
def _recorded(source: str) -> tuple[str, ...]:
    try:
        with open(source, encoding="utf-8", errors="replace", newline="") as file:
            return tuple(row[0].replace("\\", "/") for row in csv.reader(file) if row)
    except (OSError, csv.Error):
        return ()
