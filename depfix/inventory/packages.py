"""Import packages whose metadata are nowhere: what their own version files say, read as text and never run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.inventory.ledger import About, Ledger
from depfix.inventory.lent import Lender
from depfix.model.finding import Confidence
from depfix.model.inventory import ComponentKind
from depfix.model.names import fold, join, parent
from depfix.wording.message import phrase

_VERSION_FILES = ("_version.py", "version.py", "__about__.py", "__init__.py")
_VERSION = re.compile(
    rb"""^(?:__version__|version|full_version|VERSION)(?:\s*:\s*\w+)?\s*=\s*(?:[\w.]+\s*=\s*)?['"]v?(\d[\w.+!-]{0,60})['"]""",
    re.MULTILINE,
)
_MODULES = (".py", ".pyc", ".pyd")
_LARGEST = 1 << 18
_LIBRARIES = ".libs"


def claim_packages(ledger: Ledger, world: World, lenders: Sequence[Lender]) -> None:
    """Give the files of each import package that is left to a component of its own."""
    roots = sorted({"", world.dist.layout.packages, *world.dist.layout.search_path}, key=len, reverse=True)
    tops: dict[str, list[FileEntry]] = {}
    for entry in ledger.left():
        top = _top(entry, world, roots)
        if top:
            tops.setdefault(top, []).append(entry)
    for top, entries in tops.items():
        if any(fold(entry.name).endswith(_MODULES) for entry in entries) and not _is_own(top, world):
            ledger.claim(_about(top, entries, world, lenders), [entry.path for entry in entries])


def _top(entry: FileEntry, world: World, roots: Sequence[str]) -> str:
    """Return the dist-relative folder of the import package that a file lies in, or that has it in its `.libs`."""
    path = fold(entry.path)
    root = next(one for one in roots if not one or path.startswith(f"{fold(one)}/"))
    inner = entry.path[len(root) + 1 :] if root else entry.path
    first, slash, _ = inner.partition("/")
    top = first.removesuffix(_LIBRARIES)
    if top != first and not world.tree.has_folder(join(root, top)):
        return ""
    return join(root, top) if slash and top.isidentifier() else ""


def _is_own(top: str, world: World) -> bool:
    name = top.rpartition("/")[2]
    return world.authorship.project_source(name) is not None


def _about(top: str, entries: list[FileEntry], world: World, lenders: Sequence[Lender]) -> About:
    name = top.rpartition("/")[2]
    version, where = _version(top, world)
    for lender in lenders:
        owner = next(filter(None, map(lender.owner_at_place, entries)), None)
        if owner is not None:
            shown = f"{owner.name} {owner.version}"
            known = lender.words(
                owner, phrase("has other files at the places of {shown}", shown=shown), Confidence.POSSIBLE
            )
            return replace(known, version=version, details=())
    if version:
        return About(ComponentKind.DISTRIBUTION, name, version, evidence=where, confidence=Confidence.POSSIBLE)
    words = phrase("the folder {top}, of which nothing tells where it is from", top=top)
    return About(ComponentKind.UNKNOWN, name, evidence=words, confidence=Confidence.POSSIBLE)


def _version(top: str, world: World) -> tuple[str, str]:
    """Return (version, file that says it) of a package, two empty strings if none of its files says it plainly."""
    for name in _VERSION_FILES:
        entry = world.tree.in_folder(top, name)
        if entry is not None and entry.kind is FileKind.SOURCE and entry.size <= _LARGEST:
            match = _VERSION.search(world.facts.content(entry).replace(b"\r\n", b"\n"))
            if match:
                return match[1].decode("ascii", "replace"), f"{parent(entry.path)}/{entry.name}"
    return "", ""
