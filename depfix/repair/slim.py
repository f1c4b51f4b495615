"""What of whole packages a program cannot need: tests, what only compilers read, sub-packages that nothing reaches."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.closure.build import Closure
from depfix.closure.graph import NodeKind
from depfix.closure.listed import FOR_COMPILERS
from depfix.model.names import fold, parent
from depfix.model.plan import Action

_CODE = (".py", ".pyd", ".pyc")
_METADATA = (".dist-info", ".egg-info")


def unneeded(closure: Closure, actions: Iterable[Action]) -> frozenset[str]:
    """Return the destinations of copies that can be left out of a plan, by its closure.

    A folder of modules stays if something may import one of them, or one below it; then all that is in it stays, data
    too, but for what only compilers read. DLLs, metadata and data files that are known to be read stay in any case.
    """
    copied = [action for action in actions if action.action == "copy" and "/" in action.destination]
    with_modules = {parent(action.destination) for action in copied if fold(action.destination).endswith(_CODE)}
    reached = _reached_folders(closure)
    read = {fold(node.name) for node in closure.graph.nodes() if node.kind is NodeKind.DATA}
    found = set()
    for action in copied:
        path = fold(action.destination)
        if path.endswith(".dll") or any(fold(part).endswith(_METADATA) for part in path.split("/")):
            continue
        stays = path in read or _stays(parent(action.destination), with_modules, reached)
        if path.endswith(FOR_COMPILERS) or not stays:
            found.add(action.destination)
    return frozenset(found)


def _stays(folder: str, with_modules: set[str], reached: set[str]) -> bool:
    """Return True if the nearest folder upwards that holds modules is reached; data lie with the package above them."""
    while folder and folder not in with_modules:
        folder = parent(folder)
    return not folder or fold(folder) in reached


def _reached_folders(closure: Closure) -> set[str]:
    """Return the folders, folded, that hold a module or image which is reached, and those above them."""
    found: set[str] = set()
    for node in closure.graph.nodes():
        if closure.graph.strength(node) is None:
            continue
        path = ""
        if node.kind is NodeKind.MODULE:
            path = closure.world.source_path(node.name)
        elif node.kind is NodeKind.IMAGE:
            path = node.name
        folder = fold(parent(path))
        while folder and folder not in found:
            found.add(folder)
            folder = parent(folder)
    return found
