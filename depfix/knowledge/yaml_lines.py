"""YAML as plain values that know their lines.

The tree is built here from the parser's events: libyaml's own composer recurses in C, and a file of nothing but
brackets ends the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

_DEEPEST = 40
_MOST_EVENTS = 5_000_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar as it is written, without its quotes."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Seq:
    """A sequence."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping in the order of the file; keys that are no scalars are left out."""

    pairs: tuple[tuple[str, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        """Return the value of a key; of two alike the last."""
        return next((node for name, node in reversed(self.pairs) if name == key), None)


Node: TypeAlias = "Leaf | Seq | Map"


def read_yaml(text: str, first_line: int = 1) -> tuple[Node | None, str]:
    """Return the first document of a text with lines counted from `first_line`, and what is wrong with it, if anything.

    Of a text that is wrong somewhere there is no tree. Never raises.
    """
    import yaml

    builder = _Builder(first_line)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for count, event in enumerate(yaml.parse(text, Loader=loader)):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(type(event).__name__, event)
            if builder.problem or count > _MOST_EVENTS:
                return None, builder.problem or "it is too long"
    except yaml.YAMLError as error:
        return None, f"it is no YAML: {' '.join(str(error).split())[:200]}"
    except (ValueError, RecursionError, MemoryError) as error:  # the pure parser's, on odd characters and numbers
        return None, f"it is no YAML: {type(error).__name__}"
    return builder.root, ""


class _Builder:
    """Puts events together; `_open` holds the collections that have not ended yet."""

    def __init__(self, first_line: int) -> None:
        self.root: Node | None = None
        self.problem = ""
        self._first = first_line
        self._open: list[tuple[str, int, str | None, list[Node]]] = []
        self._anchors: dict[str, Node] = {}

    def take(self, kind: str, event: Any) -> None:
        line = event.start_mark.line + self._first
        if kind == "ScalarEvent":
            self._add(Leaf(event.value, line), event.anchor)
        elif kind == "AliasEvent":
            known = self._anchors.get(event.anchor)
            if known is None:
                self.problem = f"line {line} refers to an anchor that is not here: {event.anchor}"
            else:
                self._add(known, None)
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            if len(self._open) >= _DEEPEST:
                self.problem = f"line {line} is nested too deeply"
            self._open.append((kind, line, event.anchor, []))
        elif kind in ("SequenceEndEvent", "MappingEndEvent"):
            start, at, anchor, nodes = self._open.pop()
            self._add(Seq(tuple(nodes), at) if start == "SequenceStartEvent" else _mapping(nodes, at), anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1][3].append(node)
        else:
            self.root = node


def _mapping(nodes: list[Node], line: int) -> Map:
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    return Map(tuple((key.text, value) for key, value in pairs if isinstance(key, Leaf)), line)
