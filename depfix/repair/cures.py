"""Where the file that cures a finding comes from, and where it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from depfix.checks.missing import copies_in_dist
from depfix.closure.build import Closure
from depfix.closure.graph import Edge
from depfix.dist.tree import FileEntry
from depfix.env.protocol import Environment
from depfix.imports.finder import ModuleKind, module_suffixes
from depfix.knowledge.stdlib import stdlib_extensions
from depfix.loader.search import PlaceKind
from depfix.model.finding import Finding
from depfix.model.names import base_name, dll_file_name, fold, join, parent
from depfix.model.source import Candidate, Provider
from depfix.repair.candidates import imports_of, lacks_of, no_better, unfit
from depfix.wording.message import joined, phrase

NO_FITTING_FILE = phrase("no fitting file")
_FOLDERS_OF_DIST = frozenset((PlaceKind.APPLICATION, PlaceKind.USER, PlaceKind.DLL_LOAD_DIR, PlaceKind.PATH))
_STDLIB_FOLDERS = frozenset(("", "dlls", "lib", "_internal"))  # of a Python installation, and of frozen programs


@dataclass(frozen=True, slots=True)
class Choice:
    """A file for a place."""

    source: str
    destination: str
    provider: Provider


def from_dist(closure: Closure, name: str, edges: Sequence[Edge]) -> tuple[FileEntry, str] | str:
    """Return (a copy that lies in the dist, the place where it is looked for), or why there is none."""
    for path in copies_in_dist(closure.world, name):
        entry = closure.world.tree.file(path)
        destination = _searched_place(closure, base_name(path), "", edges)
        if entry is not None and fold(destination) != fold(path):
            return entry, destination
    return phrase("no place that this load searches is in the dist")


def from_environments(
    closure: Closure, environments: Sequence[Environment], name: str, edges: Sequence[Edge]
) -> Choice | str:
    """Take a DLL from the first environment that has a fitting one."""
    reasons: list[str] = []
    for environment in environments:
        for candidate in _likeliest(closure, environment.find(name), edges):
            reason = unfit(closure, candidate)
            if not reason:
                destination = _searched_place(closure, base_name(candidate.relative), candidate.package_path, edges)
                return Choice(candidate.path, destination, candidate.provider)
            reasons.append(phrase("{relative}: {reason}", relative=candidate.relative, reason=reason))
    return _nothing(environments, name, reasons)


def replacement(closure: Closure, environments: Sequence[Environment], finding: Finding) -> Choice | str:
    """Take the file that cures a finding of a file that is there, and that has most of what importers ask for."""
    path = finding.identity.partition("\0")[0]
    reasons: list[str] = []
    fitting: list[Candidate] = []
    for environment in environments:
        candidates = environment.find(base_name(path))
        own_place = [one for one in candidates if fold(path).endswith(fold(one.package_path or one.relative))]
        for candidate in dict.fromkeys((*own_place, *candidates)):
            reason = unfit(closure, candidate) or no_better(closure, candidate, finding, path)
            if reason:
                reasons.append(phrase("{relative}: {reason}", relative=candidate.relative, reason=reason))
            else:
                fitting.append(candidate)
    if fitting:
        best = min(fitting, key=lambda one: lacks_of(closure, one, path))
        return Choice(best.path, path, best.provider)
    return (
        phrase("{no_fitting_file}: {reasons}", no_fitting_file=NO_FITTING_FILE, reasons=joined("; ", reasons))
        if reasons
        else phrase("no environment has a file of this name")
    )


def module(closure: Closure, environments: Sequence[Environment], name: str) -> Choice | str:
    """Take an extension module from the same place of an environment's packages."""
    reasons: list[str] = []
    for destination in dict.fromkeys(_module_files(closure, name)):
        roots = [root for root in closure.world.dist.layout.search_path if _is_below(destination, root)]
        inner = {destination[len(root) + 1 :] if root else destination for root in roots}
        for environment in environments:
            for candidate in environment.find(base_name(destination)):
                if not any(_is_module(candidate, path) for path in inner):
                    continue
                reason = unfit(closure, candidate)
                if not reason:
                    return Choice(candidate.path, destination, candidate.provider)
                reasons.append(phrase("{relative}: {reason}", relative=candidate.relative, reason=reason))
    return _nothing(environments, name, reasons)


def stdlib_module(closure: Closure, environments: Sequence[Environment], name: str) -> Choice | str:
    """Take an extension module of the standard library from the Python of an environment, if it is of one version."""
    python = closure.world.dist.python
    reasons: list[str] = []
    for suffix in _extension_suffixes(closure):
        destination = join(_stdlib_folder(closure), name + suffix)
        for environment in environments:
            other = environment.info.python
            for candidate in environment.find(name + suffix):
                if fold(base_name(parent(candidate.relative))) not in _STDLIB_FOLDERS:
                    continue
                reason = unfit(closure, candidate)
                if other and python is not None and other != python.text:
                    reason = phrase(
                        "it is of Python {other}, the program has {python}", other=other, python=python.text
                    )
                if not reason:
                    return Choice(candidate.path, destination, candidate.provider)
                reasons.append(phrase("{relative}: {reason}", relative=candidate.relative, reason=reason))
    return _nothing(environments, name, reasons)


def _nothing(environments: Sequence[Environment], name: str, reasons: Sequence[str]) -> str:
    if reasons:
        return phrase(
            "{no_fitting_file}: {fromkeys}",
            no_fitting_file=NO_FITTING_FILE,
            fromkeys=joined("; ", dict.fromkeys(reasons)),
        )
    return absent_from(environments, name)


def absent_from(environments: Sequence[Environment], name: str) -> str:
    """Return that no environment has a module, DLL or distribution, with what of that name cannot serve there."""
    if not environments:
        return phrase("no environment was given to take it from")
    unusable = filter(None, (one.why_not(name) for one in environments))
    return joined(
        "; ",
        (
            phrase("not found in {environments}", environments=", ".join(one.info.spec for one in environments)),
            *unusable,
        ),
    )


def _likeliest(closure: Closure, candidates: Sequence[Candidate], edges: Sequence[Edge]) -> list[Candidate]:
    """Put files first that import the DLL that loads them: plugins of two releases of a toolkit bear one name."""
    if len(candidates) < 2:
        return list(candidates)
    loaders = {fold(base_name(edge.source.name)) for edge in edges}

    def is_foreign(candidate: Candidate) -> bool:
        imported = imports_of(closure, candidate)
        return loaders.isdisjoint(fold(dll_file_name(name)) for name in imported)

    return sorted(candidates, key=is_foreign)


# --- modules ---


def _module_files(closure: Closure, name: str) -> Iterator[str]:
    """Yield the dist-relative paths at which Python would find an extension module, the recorded one first."""
    world = closure.world
    package, _, last = name.rpartition(".")
    recorded = world.lacks.recorded_file(name)
    if fold(recorded).endswith(".pyd"):
        yield recorded
    above = world.walker.find(package) if package else None
    folders = world.dist.layout.search_path if not package else above.folders if above is not None else ()
    for folder in folders:
        for suffix in _extension_suffixes(closure):
            yield join(folder, last + suffix)


def _extension_suffixes(closure: Closure) -> list[str]:
    suffixes = module_suffixes(closure.world.dist.python, closure.world.dist.machine)
    return [suffix for suffix, kind in suffixes if kind is ModuleKind.EXTENSION]


def _is_below(path: str, root: str) -> bool:
    return not root or fold(path).startswith(fold(root) + "/")


def _is_module(candidate: Candidate, inner: str) -> bool:
    """Return True if a file is the one at `inner` below the folder of packages.

    In a plain folder that is the folder itself, or a site-packages in it.
    """
    place, wanted = fold(candidate.relative), fold(inner)
    if candidate.package_path:
        return fold(candidate.package_path) == wanted
    return place == wanted or f"/{place}".endswith(f"/site-packages/{wanted}")


def _stdlib_folder(closure: Closure) -> str:
    """Return the folder that holds most of the standard library's extension modules that are in the dist."""
    world = closure.world
    found = [world.finder.find(name) for name in sorted(stdlib_extensions(world.version))]
    folders = Counter(
        parent(one.entry.path)
        for one in found
        if one is not None and one.kind is ModuleKind.EXTENSION and one.entry is not None
    )
    return folders.most_common(1)[0][0] if folders else world.dist.layout.beside


# --- places ---


def _searched_place(closure: Closure, name: str, package_path: str, edges: Sequence[Edge]) -> str:
    """Return where a DLL goes: the path that code asks for, its package's folder, or beside the program.

    A package's folder serves only if the load that fails looks there; else the DLL goes where every load looks.
    """
    expected = [edge.expected for edge in edges if edge.expected]
    if expected:
        return expected[0]
    layout = closure.world.dist.layout
    folders = [place.folder for edge in edges for place in edge.trail if place.kind in _FOLDERS_OF_DIST]
    searched = set(map(fold, folders))
    for root in layout.search_path if package_path else ():
        path = join(root, package_path)
        if fold(parent(path)) in searched:
            return path
    if not searched or fold(layout.beside) in searched:
        return join(layout.beside, name)
    return join(folders[0], name)
