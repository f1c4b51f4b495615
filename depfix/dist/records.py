"""What distributions in the dist say that they installed: their RECORD files.

Source: "Recording installed projects", https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from depfix.dist.tree import Tree
from depfix.model.content import read_plain
from depfix.model.names import base_name, fold, join, parent

_SUFFIXES = (".pyd", ".py", ".dll")
_TESTS = ("test", "tests")  # packages that freezers leave out, and that no program misses


class Records:
    """The modules and DLLs that RECORD files name, whether they are still there or not."""

    def __init__(self, tree: Tree, search_path: Sequence[str]) -> None:
        self._tree = tree
        self._roots = {fold(folder) for folder in search_path}
        self._by_folder: dict[str, list[str]] | None = None
        self._gone: dict[str, tuple[str, ...]] = {}

    def module_file(self, folder: str, name: str) -> str:
        """Return the dist-relative path of the file that held a module in `folder`, an empty string if none did.

        Of a package that is its `__init__`.
        """
        for path in self.in_folder(join(folder, name)) if name not in _TESTS else ():
            if base_name(parent(path)) == name and _is_module(path, "__init__"):
                return path
        return next((path for path in self.in_folder(folder) if _is_module(path, name)), "")

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
                if fold(path).endswith(_SUFFIXES) and not path.startswith(("/", "..")):
                    whole = join(parent(home), path)
                    found.setdefault(fold(parent(whole)), []).append(whole)
        return found


def _is_module(path: str, name: str) -> bool:
    """Return True if a file holds the module of that name: names compare with case, suffixes do not."""
    file = base_name(path)
    return file.partition(".")[0] == name and not fold(file).endswith(".dll")


def _recorded(source: str) -> Iterator[str]:
    """Yield the paths that a RECORD names, with `/`. A line that cannot be understood is worth no other line."""
    try:
        text = read_plain(source).decode("utf-8-sig", "replace")
    except OSError:
        return
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        path = _first_field(line)
        if path:
            yield path.replace("\\", "/")


def _first_field(line: str) -> str:
    """Return the first field of a line of CSV, an empty string if its quotation mark is never closed.

    A quoted field with a line break in it would be no path: no file name of Windows holds one.
    """
    if not line.startswith('"'):
        return line.partition(",")[0]
    field, quote, rest = line[1:].replace('""', "\0").partition('"')
    return field.replace("\0", '"') if quote and rest[:1] in ("", ",") else ""
