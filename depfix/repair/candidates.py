"""Whether a file of an environment can serve in a dist, and whether it is better than the one that it would replace."""

from __future__ import annotations

from depfix.checks.runtimes import newest_toolset
from depfix.checks.symbols import Request, exported, exports_of, requests
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind
from depfix.dist.tree import file_entry
from depfix.model.finding import Finding
from depfix.model.image import Image
from depfix.model.names import fold
from depfix.model.source import Candidate
from depfix.repair.fitness import file_misfit
from depfix.wording.message import phrase


def unfit(closure: Closure, candidate: Candidate) -> str:
    """Return why a file cannot serve in this dist, an empty string if it can."""
    return candidate.refused or file_misfit(closure, candidate)


def imports_of(closure: Closure, candidate: Candidate) -> tuple[str, ...]:
    """Return the DLL names that a file imports, none if it cannot be read."""
    try:
        image = closure.world.facts.image(file_entry(candidate.relative, candidate.path))
    except OSError:
        return ()
    return image.imports if isinstance(image, Image) else ()


def no_better(closure: Closure, candidate: Candidate, finding: Finding, path: str) -> str:
    """Return why a file would not cure what is wrong with the one that it is to replace, or would break other things.

    What is delay-loaded and what is taken at once are two findings: a file that cures one of them is better.
    """
    if finding.name == "missing-symbol":
        delayed = finding.identity.endswith("\0delayed")
        asking = [request for request in _requests_of(closure, path) if request.delayed is delayed]
        still = [name for name in _lacking(closure, candidate, asking) if not _has(closure, path, name)]
        if still:
            return phrase("it lacks {still} too", still=still[0])
    if finding.name == "missing-vc-runtime":
        reason = _too_old(closure, candidate, path)
        if reason:
            return reason
    lost = _lost(closure, candidate, path)
    return phrase("it lacks {lost}, which {path} has", lost=lost[0], path=path) if lost else ""


def lacks_of(closure: Closure, candidate: Candidate, path: str) -> int:
    """Return how many of the symbols that are taken from the DLL at `path` a file does not have."""
    return len(_lacking(closure, candidate, _requests_of(closure, path)))


def _requests_of(closure: Closure, path: str) -> list[Request]:
    found = (request for request in requests(closure) if fold(request.provider) == fold(path))
    return [request for request in found if closure.graph.edge_strength(request.edge) is not None]


def _lacking(closure: Closure, candidate: Candidate, wanted: list[Request]) -> list[str]:
    exports = closure.world.facts.exports(file_entry(candidate.relative, candidate.path))
    symbols = dict.fromkeys(symbol for request in wanted for symbol in request.symbols)
    return [symbol for symbol in symbols if exports is None or not exported(exports, symbol)]


def _lost(closure: Closure, candidate: Candidate, path: str) -> list[str]:
    """Return what importers get from the DLL at `path` now and would not get from a file."""
    return [name for name in _lacking(closure, candidate, _requests_of(closure, path)) if _has(closure, path, name)]


def _has(closure: Closure, path: str, symbol: str) -> bool:
    exports = exports_of(closure, path)
    return exports is not None and exported(exports, symbol)


def _too_old(closure: Closure, candidate: Candidate, path: str) -> str:
    facts, entry = closure.world.facts, closure.world.tree.file(path)
    old = facts.version(entry) if entry is not None else None
    new = facts.version(file_entry(candidate.relative, candidate.path))
    if new is None or (old is not None and new.file_version <= old.file_version):
        return phrase("it is not newer")
    wanted = newest_toolset(closure, Node(NodeKind.IMAGE, path))
    major, minor = new.file_version[:2]
    if old is not None and major == old.file_version[0] and minor < wanted:
        return phrase(
            "it is of toolset {major}.{minor}, and {major}.{wanted} is needed", major=major, minor=minor, wanted=wanted
        )
    return ""
