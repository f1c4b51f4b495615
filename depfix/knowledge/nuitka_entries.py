"""The entries of Nuitka's package configuration files, found by module and parsed when asked for.

A file holds a thousand entries of which a program meets a few. So a file is split at its entries, which are named in
their first lines, and only those that are wanted are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.knowledge.when import ALWAYS, Context, Verdict, holds
from depfix.knowledge.yaml_lines import Leaf, Map, Node, Seq, read_yaml

_LARGEST = 8_000_000  # bytes; the file of Nuitka 4.3 has 320,000
_MOST_ENTRIES = 50_000
_ENTRY = re.compile(r"^-(?:[ \t].*)?$", re.MULTILINE)
_NAMED = re.compile(r"-[ \t]+module-name:[ \t]*(?:'([^'\n]+)'|\"([^\"\\\n]+)\"|([\w.]+))[ \t]*(?:#.*)?$")
_HEAD = re.compile(r"(?:[ \t]*(?:#.*|%.*|---[ \t]*(?:#.*)?)?\n)*")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row stands: the file, its line, and a key such as `PIL.Image/implicit-imports`."""

    path: str
    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the configuration that is not understood, or needs code to be run: what it is, and why."""

    what: str
    why: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its text, or what it is once parsed."""

    path: str
    line: int
    text: str
    item: Map | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a section, as it is written."""

    node: Map
    path: str
    key: str

    def origin(self, line: int = 0) -> Origin:
        return Origin(self.path, line or self.node.line, self.key)

    def verdict(self, context: Context) -> Verdict:
        """Return whether the row's `when` holds."""
        condition = self.text("when")
        return ALWAYS if condition is None else holds(condition, context)

    def text(self, key: str) -> str | None:
        node = self.node.get(key)
        return node.text if isinstance(node, Leaf) else None

    def texts(self, key: str) -> tuple[Leaf, ...]:
        """Return the texts of a list, or the one that stands in its place."""
        node = self.node.get(key)
        nodes = node.items if isinstance(node, Seq) else (node,)
        return tuple(item for item in nodes if isinstance(item, Leaf))

    def inner(self, key: str) -> Row | None:
        node = self.node.get(key)
        return Row(node, self.path, self.key) if isinstance(node, Map) else None


def read_entries(path: str, problems: list[Unread]) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of a file with the module of each; what cannot be read is added to `problems`.

    A line that begins with a hyphen begins an entry, whatever stands above: what is inside one is indented further.
    """
    text = _text_of(path, problems)
    if not text:
        return
    starts = [match.start() for match in _ENTRY.finditer(text)]
    head = _HEAD.match(text)
    if not starts or head is None or head.end() != starts[0]:
        starts = [0]  # written in another way: as one
    if len(starts) > _MOST_ENTRIES:
        problems.append(Unread(path, f"it has {len(starts)} entries", Origin(path, 0, "")))
        return
    line, last = 1, 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line, last = line + text.count("\n", last, start), start
        entry = Entry(path, line, text[start:end])
        match = _NAMED.match(entry.text.partition("\n")[0])
        if match:
            yield match.group(1) or match.group(2) or match.group(3), entry
        else:
            yield from _named(entry, problems)


def sections(entry: Entry, module: str, problems: list[Unread]) -> Iterator[tuple[str, Row]]:
    """Yield the rows of an entry with the section of each. A section that is one mapping is one row."""
    for item in (entry.item,) if entry.item is not None else _items(entry, problems):
        for name, node in item.pairs if _name_of(item) == module else ():
            nodes: tuple[Node, ...] = node.items if isinstance(node, Seq) else (node,)
            for one in nodes:
                if isinstance(one, Map):
                    yield name, Row(one, entry.path, f"{module}/{name}")


def _text_of(path: str, problems: list[Unread]) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        problems.append(Unread(path, f"it cannot be read: {error}", Origin(path, 0, "")))
        return ""
    if len(data) > _LARGEST:
        problems.append(Unread(path, "it is too large", Origin(path, 0, "")))
        return ""
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")


def _named(entry: Entry, problems: list[Unread]) -> Iterator[tuple[str, Entry]]:
    """Yield what is in a text that does not begin with a module's name."""
    for item in _items(entry, problems):
        name = _name_of(item)
        if name:
            yield name, Entry(entry.path, item.line, "", item)
        else:
            problems.append(Unread("an entry", "it has no module-name", Origin(entry.path, item.line, "")))


def _items(entry: Entry, problems: list[Unread]) -> tuple[Map, ...]:
    node, problem = read_yaml(entry.text, entry.line)
    items = node.items if isinstance(node, Seq) else ()
    maps = tuple(item for item in items if isinstance(item, Map))
    if problem or not isinstance(node, Seq) or len(maps) != len(items):
        problems.append(
            Unread("an entry", problem or "it is not a list of mappings", Origin(entry.path, entry.line, ""))
        )
    return maps


def _name_of(item: Map) -> str:
    name = item.get("module-name")
    return name.text if isinstance(name, Leaf) else ""
