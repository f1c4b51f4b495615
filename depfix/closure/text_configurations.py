"""Text files that tell a library, or Python itself, where things are: those with paths of the build machine.

Sources: "Using qt.conf" https://doc.qt.io/qt-6/qt-conf.html ; "site" https://docs.python.org/3/library/site.html ;
"venv", pyvenv.cfg https://docs.python.org/3/library/venv.html ; "Recording the Direct URL Origin"
https://packaging.python.org/specifications/direct-url/ ; the rows of text-configurations.tsv name their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.closure.graph import Graph, Node, NodeKind
from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.tree import FileEntry
from depfix.knowledge.native_data import TextConfiguration, text_configurations
from depfix.model.names import base_name, fold, parent
from depfix.wording.message import tabled

_LARGEST = 1 << 20
_LONGEST_TOLD = 120


@dataclass(frozen=True, slots=True)
class BoundConfiguration:
    """A line of a text file that names a place of the build machine; `reader` is who reads it, None for Python."""

    entry: FileEntry
    line: int
    text: str
    key: str
    severity: str
    words: str
    reader: Node | None


def bound_configurations(world: World, graph: Graph) -> Iterator[BoundConfiguration]:
    """Yield the first line with an absolute path of each text file that something of the dist reads."""
    names = {fold(base_name(node.name)): node for node in _images(graph)}
    for entry in world.tree:
        for row in text_configurations():
            if re.fullmatch(row.file, fold(entry.path)) is None or not _is_read(world, entry, row):
                continue
            reader = next((node for name, node in names.items() if re.fullmatch(row.trigger, name)), None)
            if row.trigger and reader is None:
                continue
            found = _first(world, entry, row, reader)
            if found is not None:
                yield found
            break


def _images(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes():
        if node.kind in (NodeKind.IMAGE, NodeKind.PROGRAM) and graph.strength(node) is not None:
            yield node


def _is_read(world: World, entry: FileEntry, row: TextConfiguration) -> bool:
    """Return True if a file lies where it is read, by a dist of this kind."""
    python = world.dist.freezer is Freezer.PYTHON
    if row.where == "program":
        return fold(parent(entry.path)) == fold(parent(world.dist.host.path))
    if row.where == "site":
        return python and "site-packages" in fold(parent(entry.path)) and bool(world.dist.layout.startup)
    if row.where == "python":
        # With a ._pth file Python does not read it; a zip of the standard library is found without it.
        settled = any(re.fullmatch(r"python.*\.(_pth|zip)", fold(one.name)) for one in world.tree.files_in(""))
        return world.dist.freezer in (Freezer.PYTHON, Freezer.NONE) and "/" not in entry.path and not settled
    return True


def _first(world: World, entry: FileEntry, row: TextConfiguration, reader: Node | None) -> BoundConfiguration | None:
    if entry.size > _LARGEST:
        return None
    content = world.facts.content(entry)
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        match = re.search(row.line, line)
        if match is not None:
            text = line.strip()[:_LONGEST_TOLD]
            key = match.groupdict().get("key") or ""
            return BoundConfiguration(entry, number, text, key, row.severity, tabled(row.words), reader)
    return None
