"""The distributions whose metadata lie in a dist: what each is, requires, and recorded of its files.

Sources: "Core metadata specifications" https://packaging.python.org/specifications/core-metadata/; "Recording installed
projects" https://packaging.python.org/specifications/recording-installed-packages/; "Binary distribution format", WHEEL
https://packaging.python.org/specifications/binary-distribution-format/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from depfix.closure.facts import Facts
from depfix.dist.tree import FileEntry, Tree
from depfix.env.records import egg_requirements, fields, read_text, record_rows
from depfix.model.names import base_name, join, normalised, parent

_FOLDERS = (".dist-info", ".egg-info")
_METADATA = ("METADATA", "PKG-INFO")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One row of a RECORD: the path relative to the folder of the dist-info, its size and SHA-256 in hex.

    -1 and an empty string where the row does not tell.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Present:
    """A distribution by its metadata: `folder` is the dist-relative dist-info or egg-info, `site` the folder above.

    `requires` are Requires-Dist fields as they are written, `tags` those of its wheel, `top_level` its modules as far
    as it names them.
    """

    name: str
    version: str
    folder: str
    requires: tuple[str, ...]
    tags: tuple[str, ...]
    top_level: tuple[str, ...]

    @property
    def site(self) -> str:
        return parent(self.folder)

    @property
    def key(self) -> str:
        """The name as indexes compare it."""
        return normalised(self.name)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


def present_distributions(tree: Tree, search_path: Sequence[str], facts: Facts) -> tuple[Present, ...]:
    """Return the distributions whose metadata lie in the folders of a search path, in their order."""
    found = []
    for root in search_path:
        for folder in tree.folders_in(root):
            if base_name(folder).lower().endswith(_FOLDERS):
                entry = next(filter(None, (tree.in_folder(folder, name) for name in _METADATA)), None)
                present = _present(tree, facts, folder, entry) if entry is not None else None
                found += [present] if present is not None else []
    return tuple(found)


def by_key(found: Iterable[Present]) -> dict[str, tuple[Present, ...]]:
    """Return distributions by their names as indexes compare them: two if an old dist-info was left behind."""
    rows: dict[str, tuple[Present, ...]] = {}
    for one in found:
        rows[one.key] = (*rows.get(one.key, ()), one)
    return rows


def records_of(tree: Tree, facts: Facts, present: Present) -> tuple[Recorded, ...]:
    """Return the rows of a distribution's RECORD that lead to places below its folder; none if it has no RECORD."""
    entry = tree.in_folder(present.folder, "RECORD")
    return facts.remember(entry.source, "record", read_recorded) if entry is not None else ()


def read_recorded(source: str) -> tuple[Recorded, ...]:
    """Return the rows of the RECORD in a file that lead to places below its folder. Never raises."""
    rows = record_rows(read_text(source))
    return tuple(Recorded(path, size, sha256) for path, sha256, size in rows if not path.startswith("../"))


def _present(tree: Tree, facts: Facts, folder: str, entry: FileEntry) -> Present | None:
    rows = facts.remember(entry.source, "metadata", _read_fields)
    values = dict(reversed(rows))
    name, version = values.get("name", ""), values.get("version", "")
    if not name or not version:
        return None
    requires = [value for key, value in rows if key == "requires-dist"]
    requires += list(egg_requirements(_text(tree, facts, folder, "requires.txt")))
    wheel = fields(_text(tree, facts, folder, "WHEEL"))
    tags = tuple(value for key, value in wheel if key == "tag")
    tops = tuple(filter(None, map(str.strip, _text(tree, facts, folder, "top_level.txt").split("\n"))))
    return Present(name, version, folder, tuple(requires), tags, tops or (name.replace("-", "_"),))


def _read_fields(source: str) -> tuple[tuple[str, str], ...]:
    return tuple(fields(read_text(source)))


def _text(tree: Tree, facts: Facts, folder: str, name: str) -> str:
    entry = tree.in_folder(folder, name)
    return facts.remember(entry.source, "text", read_text) if entry is not None else ""


def path_in_dist(present: Present, recorded: Recorded) -> str:
    """Return the dist-relative path of a recorded file."""
    return join(present.site, recorded.path)
