"""Brings the texts of the evaluator to places of the dist."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from depfix.dist.freezers import Layout
from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.imports.values import Anchor, Hole, PackageFolder, Text
from depfix.imports.walker import ModuleWalker
from depfix.model.names import dll_file_name, fold, parent

_OTHER_SYSTEMS = re.compile(r"\.(so|dylib)(\.\d+)*$|\.framework/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A dist-relative path with `/`, in which `*` stands for what is not known.

    `each`: the unknown pieces are every name that is there (a listing), not one computed name. `is_name`: it is a bare
    name to be searched, not a path.
    """

    path: str
    exact: bool
    each: bool
    is_name: bool

    def matches(self, path: str) -> bool:
        pieces = [re.escape(fold(piece)) for piece in self.path.split("*")]
        return re.fullmatch("[^/]*".join(pieces), fold(path)) is not None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What anchors mean for one module: its folder, the layout of the dist, and where packages are."""

    here: str
    layout: Layout
    walker: ModuleWalker

    def pattern(self, text: Text) -> Pattern | None:
        """Return the place that a text names, None if it lies outside the dist or nothing of it is known."""
        start, parts = self._start(text)
        if parts is None:
            return None
        tail = "".join(part if isinstance(part, str) else "*" for part in parts).replace("\\", "/")
        if start is None:
            return self._bare(text, tail)
        path = _normal(f"{start}/{tail}")
        if path is None:
            return None
        exact = "*" not in path
        return Pattern(path, exact, not text.has(Hole.ANY) and not text.has(Hole.PARAMETER), is_name=False)

    def _start(self, text: Text) -> tuple[str | None, tuple[object, ...] | None]:
        first, rest = text.parts[0], text.parts[1:]
        if any(isinstance(part, (Anchor, PackageFolder)) for part in rest):
            return None, None
        if first is Anchor.HERE:
            return self.here, rest
        if first is Anchor.PREFIX:
            return self.layout.prefix, rest
        if first is Anchor.PROGRAM:
            return "", rest
        if isinstance(first, PackageFolder):
            module = self.walker.find(first.package)
            if module is None:
                return None, None
            return (module.folders[0] if module.folders else parent(module.entry.path if module.entry else "")), rest
        return (None, None) if isinstance(first, Anchor) else (None, text.parts)

    def _bare(self, text: Text, tail: str) -> Pattern | None:
        known = fold(tail).removesuffix(".dll").strip("*. ")  # a pattern of wildcards alone says nothing
        if "/" in tail or ":" in tail or not known or _OTHER_SYSTEMS.search(tail):
            return None
        exact = text.literal is not None and "*" not in tail
        return Pattern(tail, exact, False, is_name=True)


def _normal(path: str) -> str | None:
    normal = posixpath.normpath(path.strip("/") or ".")
    if normal.startswith(".."):
        return None
    return "" if normal == "." else normal


def folders_of(pattern: Pattern, tree: Tree) -> tuple[str, ...]:
    """Return the folders of the tree that a pattern names; an exact one even if it does not exist yet."""
    if pattern.is_name:
        return ()
    if pattern.exact:
        return (pattern.path,)
    found = {parent(entry.path) for entry in tree.images()}
    return tuple(sorted(folder for folder in found if pattern.matches(folder)))


def images_of(pattern: Pattern, tree: Tree) -> tuple[FileEntry, ...]:
    """Return the images of the tree that a pattern names, in the order in which a listing gives them."""
    if pattern.exact:
        entry = tree.file(pattern.path) or tree.file(dll_file_name(pattern.path))
        return (entry,) if entry is not None else ()
    folder = parent(pattern.path)
    entries = tree.files_in(folder) if "*" not in folder else tuple(tree.images())
    loadable = (
        entry for entry in entries if entry.kind is FileKind.IMAGE and fold(entry.path).endswith((".dll", ".pyd"))
    )
    return tuple(entry for entry in loadable if pattern.matches(entry.path))


def for_other_systems(name: str) -> bool:
    """Return True for the name of a shared library that no Windows has."""
    return _OTHER_SYSTEMS.search(name) is not None
