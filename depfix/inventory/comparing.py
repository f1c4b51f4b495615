"""Compares two inventories: components by their names, files by their places and their content. It reads nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from depfix.inventory.identities import plain_name
from depfix.model.difference import Change, ComponentChange, FileChange
from depfix.model.finding import Finding
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.model.names import base_name, fold, normalised

_T = TypeVar("_T")
_ORDER = tuple(Change)
_MODULE = ".pyd"  # many packages have one of the same name: that says nothing


def compare_components(old: Inventory, new: Inventory) -> tuple[ComponentChange, ...]:
    """Return what became of each component, those first that changed the size most.

    Two of one name are the same component, whatever tells of them; of several with one name those of one version
    belong together, then the others in the order of their versions.
    """
    names = dict.fromkeys(map(_name, (*old.components, *new.components)))
    olds, news = _by(old.components, _name), _by(new.components, _name)
    pairs = (pair for name in names for pair in _paired(olds.get(name, []), news.get(name, [])))
    changes = [change for change in (_component_change(*pair) for pair in pairs) if change is not None]
    return tuple(sorted(changes, key=lambda one: (-abs(one.grown), one.name, _version(one.new or one.old))))


def compare_files(old: Inventory, new: Inventory) -> tuple[FileChange, ...]:
    """Return what became of each file, by the kind of change and the place.

    A file that went and one that came with the same content are one that moved; for what is no image the name must be
    the same, too, for small files are often alike. DLLs of one name and other content are one that was replaced.
    """
    before, now = _files(old), _files(new)
    both = ((file, now[path]) for path, file in before.items() if path in now)
    changes = [FileChange(Change.CHANGED, file, other) for file, other in both if _differ(file, other)]
    gone = [file for path, file in before.items() if path not in now]
    come = [file for path, file in now.items() if path not in before]
    for change, key in ((Change.MOVED, _content), (Change.MOVED, _image_content), (Change.REPLACED, _dll_name)):
        pairs = list(_matched(gone, come, key))
        changes += [FileChange(change, *pair) for pair in pairs]
        gone = _without(gone, (one for one, _ in pairs))
        come = _without(come, (other for _, other in pairs))
    changes += [FileChange(Change.REMOVED, file, None) for file in gone]
    changes += [FileChange(Change.ADDED, None, file) for file in come]
    return tuple(sorted(changes, key=lambda one: (_ORDER.index(one.change), fold(one.path))))


def compare_findings(old: Iterable[Finding], new: Iterable[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return (those that appeared, those that are gone), by their fingerprints."""
    before = {finding.fingerprint: finding for finding in old}
    now = {finding.fingerprint: finding for finding in new}
    appeared = tuple(finding for key, finding in now.items() if key not in before)
    return appeared, tuple(finding for key, finding in before.items() if key not in now)


# --- components ---


def _name(component: Component) -> str:
    return "" if component.kind is ComponentKind.PROGRAM else normalised(component.name)


def _version(component: Component | None) -> str:
    return component.version if component is not None else ""


def _paired(
    olds: Sequence[Component], news: Sequence[Component]
) -> Iterator[tuple[Component | None, Component | None]]:
    same = list(_matched(olds, news, _version))
    yield from same
    left = sorted(_without(olds, (one for one, _ in same)), key=_version)
    right = sorted(_without(news, (other for _, other in same)), key=_version)
    for place in range(max(len(left), len(right))):
        yield left[place] if place < len(left) else None, right[place] if place < len(right) else None


def _component_change(old: Component | None, new: Component | None) -> ComponentChange | None:
    if old is None or new is None:
        return ComponentChange(Change.ADDED if old is None else Change.REMOVED, old, new)
    if old.version != new.version and old.version and new.version:  # one that nothing tells is no other version
        return ComponentChange(Change.VERSION, old, new)
    same = sorted(file.sha256 for file in old.files) == sorted(file.sha256 for file in new.files)
    relicensed = old.licence != new.licence and old.licence and new.licence
    return ComponentChange(Change.CHANGED, old, new) if relicensed or not same else None


# --- files ---


def _files(inventory: Inventory) -> dict[str, InventoryFile]:
    return {fold(file.path): file for component in inventory.components for file in component.files}


def _differ(old: InventoryFile, new: InventoryFile) -> bool:
    """Return True if two files hold other bytes; of one that could not be read, as far as its size tells."""
    if old.sha256 and new.sha256:
        return old.sha256 != new.sha256
    return old.size != new.size


def _content(file: InventoryFile) -> tuple[str, str] | None:
    return (file.sha256, fold(base_name(file.path))) if file.sha256 and file.size else None


def _image_content(file: InventoryFile) -> str | None:
    return file.sha256 or None if file.is_image else None


def _dll_name(file: InventoryFile) -> str | None:
    name = fold(plain_name(base_name(file.path)))
    return name if file.is_image and not name.endswith(_MODULE) else None


# --- both ---


def _by(rows: Iterable[_T], key: Callable[[_T], object]) -> Mapping[object, list[_T]]:
    found: dict[object, list[_T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _matched(olds: Iterable[_T], news: Iterable[_T], key: Callable[[_T], object]) -> Iterator[tuple[_T, _T]]:
    """Yield pairs with one key, each row once, in their order; rows whose key is None are in no pair."""
    wanted = _by(news, key)
    for one in olds:
        found = wanted.get(key(one), []) if key(one) is not None else []
        if found:
            yield one, found.pop(0)


def _without(rows: Iterable[_T], taken: Iterable[_T]) -> list[_T]:
    gone = {id(row) for row in taken}
    return [row for row in rows if id(row) not in gone]
