"""What nodes are called in the picture, and what they belong to."""

from __future__ import annotations

from depfix.closure.graph import Node, NodeKind
from depfix.knowledge.stdlib import stdlib_modules
from depfix.model.names import base_name

STANDARD_LIBRARY, WINDOWS, PROGRAM, DLLS = "(standard library)", "(Windows)", "(program)", "(DLLs)"
_LONGEST = 30
_DOTTED = (NodeKind.MODULE, NodeKind.NO_MODULE, NodeKind.NO_METADATA, NodeKind.BEHAVIOUR)
_UNKNOWN = (3, 12)


class Naming:
    """Names nodes for one version of Python, as "3.10"."""

    def __init__(self, python: str | None) -> None:
        major, _, minor = (python or "").partition(".")
        version = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else _UNKNOWN
        self._standard = frozenset(name.partition(".")[0] for name in stdlib_modules(version))

    def package(self, node: Node) -> str:
        """Return what a node belongs to: a package by its first name, or one of this module's words in brackets."""
        if node.kind is NodeKind.SYSTEM:
            return WINDOWS
        if node.kind in _DOTTED:
            top = node.name.partition(".")[0]
            return STANDARD_LIBRARY if top in self._standard else top if top.strip("<>") == top else PROGRAM
        folder, slash, _ = node.name.replace("\\", "/").partition("/")
        if not slash:
            return DLLS if node.kind is NodeKind.MISSING else PROGRAM
        return folder.removesuffix(".libs")

    def label(self, node: Node) -> str:
        """Return what stands in a node: a file without its folder, of a long name its beginning and its end."""
        name = node.name if node.kind in _DOTTED else base_name(node.name.rstrip("/\\")) or node.name
        if len(name) <= _LONGEST:
            return name
        if node.kind in _DOTTED:
            return "…" + name[1 - _LONGEST :]
        half = _LONGEST // 2
        return f"{name[:half]}…{name[1 - half :]}"
