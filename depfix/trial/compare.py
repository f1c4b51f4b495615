"""What ran against what was foreseen: gaps of depfix on the one hand, files that nothing touched on the other."""

from __future__ import annotations

from depfix.closure.build import Closure
from depfix.closure.graph import NodeKind
from depfix.dist.tree import FileEntry, FileKind
from depfix.model.names import base_name, fold
from depfix.model.run import Comparison, Observed, Unused

_LARGEST_SHOWN = 20
_METADATA = (".dist-info/", ".egg-info/")


def compare(observed: Observed, closure: Closure) -> Comparison:
    """Return how what was seen of a run differs from the closure of the dist."""
    graph, tree = closure.graph, closure.world.tree
    images = {fold(n.name) for n in graph.nodes() if n.kind in (NodeKind.IMAGE, NodeKind.PROGRAM)}
    images |= {fold(program.path) for program in closure.world.dist.programs}
    loaded = observed.inside
    unforeseen = [load.inside for load in observed.loads if load.inside and fold(load.inside) not in images]
    idle = [entry for entry in tree if _is_library(entry) and fold(entry.path) not in loaded]
    return Comparison(
        len(loaded & images),
        tuple(dict.fromkeys(path for path in unforeseen if tree.file(path) is not None)),
        _unforeseen_modules(observed, closure),
        _unused(idle),
        _unread(observed, closure),
    )


def _unforeseen_modules(observed: Observed, closure: Closure) -> tuple[str, ...]:
    sources = {
        fold(closure.world.source_path(node.name)) for node in closure.graph.nodes() if node.kind is NodeKind.MODULE
    }
    read = sorted(observed.read or ())
    return tuple(path for path in read if path.endswith(".py") and fold(path) not in sources)


def _unread(observed: Observed, closure: Closure) -> Unused | None:
    if observed.read is None:
        return None
    read = {fold(path) for path in observed.read}
    # The bytecode of a source that was imported stands for it.
    read |= {fold(_source_of(path)) for path in observed.read if path.endswith(".pyc")}
    others = (entry for entry in closure.world.tree if not _is_library(entry) and not entry.name.endswith(".exe"))
    return _unused([entry for entry in others if fold(entry.path) not in read])


def _source_of(bytecode: str) -> str:
    """Return the source of a file in `__pycache__` (PEP 3147), or of one that lies beside it."""
    folder, _, name = bytecode.rpartition("/")
    if folder.endswith("__pycache__"):
        return f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
    return bytecode.removesuffix("c")


def _is_library(entry: FileEntry) -> bool:
    return entry.kind is FileKind.IMAGE and not entry.name.lower().endswith(".exe")


def _unused(entries: list[FileEntry]) -> Unused:
    kept = [entry for entry in entries if not any(part in entry.path for part in _METADATA)]
    largest = sorted(kept, key=lambda entry: (-entry.size, entry.path))[:_LARGEST_SHOWN]
    return Unused(len(kept), sum(entry.size for entry in kept), tuple((one.path, one.size) for one in largest))


def names_in_closure(closure: Closure) -> frozenset[str]:
    """Return the folded names of the DLLs and extension modules that the dist needs, whether they are there or not."""
    kinds = (NodeKind.IMAGE, NodeKind.MISSING)
    return frozenset(fold(base_name(node.name)) for node in closure.graph.nodes() if node.kind in kinds)
