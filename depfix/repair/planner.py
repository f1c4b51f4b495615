"""Plans a repair against the dist plus what the plan already adds, until nothing more is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from depfix.checks.missing import copies_in_dist
from depfix.checks.symbols import lacks
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, Node, NodeKind
from depfix.dist.tree import FileEntry, Tree, file_entry
from depfix.env.protocol import Environment
from depfix.imports.finder import module_suffixes
from depfix.knowledge.rules import rule
from depfix.loader.search import PlaceKind
from depfix.model.finding import Finding, Severity
from depfix.model.image import Exports, Image
from depfix.model.names import base_name, fold, join, parent
from depfix.model.plan import Action, Declined, Plan
from depfix.model.source import Candidate

_MOST_ROUNDS = 50
_BY_REPLACEMENT = frozenset(("wrong-machine", "missing-symbol"))
_MODULES = frozenset(("missing-module", "missing-extension-module"))
_BY_COPY = frozenset(
    "missing-dll missing-delay-dll misplaced-dll missing-runtime-dll missing-vc-runtime absent-on-target".split()
)
_FOLDERS_OF_DIST = frozenset((PlaceKind.APPLICATION, PlaceKind.USER, PlaceKind.DLL_LOAD_DIR, PlaceKind.PATH))


@dataclass(frozen=True, slots=True)
class Examined:
    """A tree as the checks see it."""

    closure: Closure
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what the checks would say of the dist after it."""

    plan: Plan
    after: Examined


def first_cures(
    start: Examined, environments: Sequence[Environment], wanted: Callable[[Finding], bool]
) -> tuple[tuple[Action, ...], tuple[Declined, ...]]:
    """Return a cure or a reason for each finding, without following what the cures need in turn."""
    planner = _Planner(environments, overwrite=True)
    planner.choose(start, [finding for finding in start.findings if wanted(finding)])
    return tuple(planner.actions.values()), tuple(planner.declined.values())


def plan_repair(
    start: Examined,
    examine: Callable[[Tree], Examined],
    environments: Sequence[Environment],
    *,
    overwrite: bool,
    wanted: Callable[[Finding], bool],
) -> Planned:
    """Return the whole plan for the findings for which `wanted` is true, second- and third-order files included.

    `examine` checks a tree; it is called once for each round, with the dist and everything planned so far.
    """
    planner = _Planner(environments, overwrite)
    current = start
    for _ in range(_MOST_ROUNDS):
        chosen = planner.choose(current, [finding for finding in current.findings if wanted(finding)])
        if not chosen:
            break
        current = examine(current.closure.world.tree.overlaid(chosen))
    left = {(finding.rule, finding.subject) for finding in current.findings}
    declined = tuple(row for key, row in planner.declined.items() if key[:2] in left)
    return Planned(Plan(tuple(planner.actions.values()), declined), current)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A file for a place."""

    source: str
    destination: str
    provider: str


class _Planner:
    """Keeps what is planned over the rounds."""

    def __init__(self, environments: Sequence[Environment], overwrite: bool) -> None:
        self._environments = environments
        self._overwrite = overwrite
        self.actions: dict[str, Action] = {}
        self.declined: dict[tuple[str, str, str], Declined] = {}
        self._tried: set[tuple[str, str, str]] = set()

    def choose(self, examined: Examined, findings: Sequence[Finding]) -> list[FileEntry]:
        """Plan for each finding not tried before; return the files that the plan adds now."""
        added: list[FileEntry] = []
        for finding in findings:
            key = (finding.rule, finding.subject, finding.identity)
            if key in self._tried or finding.severity is Severity.INFO:
                continue
            self._tried.add(key)
            decision = self._decide(examined, finding)
            if isinstance(decision, str):
                self.declined[key] = Declined(finding.rule, finding.subject, decision)
            else:
                added += self._accept(examined, finding, decision)
        return added

    def _decide(self, examined: Examined, finding: Finding) -> _Choice | str:
        if finding.name in _BY_REPLACEMENT or (finding.name == "missing-vc-runtime" and finding.identity):
            return self._replacement(examined, finding)
        if finding.name in _MODULES:
            return self._module(examined, finding)
        node = Node(NodeKind.MISSING, finding.subject)
        edges = [edge for edge in examined.closure.graph.edges_to(node) if edge.expected == finding.identity]
        if finding.name not in _BY_COPY or not edges:
            return rule(finding.rule).cure
        absence = examined.closure.world.system.absence(finding.subject)
        if finding.name == "absent-on-target" and absence is not None and absence.kind == "driver":
            return f"it comes with {absence.words}, and must not be carried along"
        if finding.name == "misplaced-dll":
            return self._from_dist(examined, finding, edges)
        return self._from_environments(examined, finding.subject, edges)

    def _module(self, examined: Examined, finding: Finding) -> _Choice | str:
        """Take a module from the same place of an environment's packages."""
        world = examined.closure.world
        package, _, last = finding.subject.rpartition(".")
        above = world.walker.find(package)
        suffixes = [suffix for suffix, _ in module_suffixes(world.dist.python, world.dist.machine)]
        for folder in above.folders if above is not None else ():
            for destination in (join(folder, last + suffix) for suffix in suffixes):
                for environment in self._environments:
                    for candidate in environment.find(base_name(destination)):
                        inside = any(
                            fold(join(root, candidate.package_path)) == fold(destination)
                            for root in world.dist.layout.search_path
                        )
                        if inside and not (destination.endswith(".pyd") and _unfit(examined, candidate)):
                            return _Choice(candidate.path, destination, candidate.provider)
        if not self._environments:
            return "no environment was given to take it from"
        return f"not found in {', '.join(environment.info.spec for environment in self._environments)}"

    def _from_dist(self, examined: Examined, finding: Finding, edges: list[Edge]) -> _Choice | str:
        world = examined.closure.world
        for path in copies_in_dist(world, finding.subject):
            entry = world.tree.file(path)
            destination = _searched_place(examined, base_name(path), "", edges)
            if entry is not None and fold(destination) != fold(path):
                planned = self.actions.get(fold(path))  # moved on from where this plan first put it
                return _Choice(entry.source, destination, planned.provider if planned else "dist")
        return "no place that this load searches is in the dist"

    def _from_environments(self, examined: Examined, name: str, edges: list[Edge]) -> _Choice | str:
        unfit: list[str] = []
        for environment in self._environments:
            for candidate in environment.find(name):
                reason = _unfit(examined, candidate)
                if not reason:
                    destination = _place(examined, candidate, edges)
                    return _Choice(candidate.path, destination, candidate.provider)
                unfit.append(f"{candidate.relative}: {reason}")
        if unfit:
            return f"no fitting file: {'; '.join(unfit)}"
        if not self._environments:
            return "no environment was given to take it from"
        return f"not found in {', '.join(environment.info.spec for environment in self._environments)}"

    def _replacement(self, examined: Examined, finding: Finding) -> _Choice | str:
        path = finding.identity.partition("\0")[0]
        unfit: list[str] = []
        for environment in self._environments:
            candidates = environment.find(base_name(path))
            own_place = [one for one in candidates if fold(path).endswith(fold(one.package_path or one.relative))]
            for candidate in dict.fromkeys((*own_place, *candidates)):
                reason = _unfit(examined, candidate) or _no_better(examined, candidate, finding, path)
                if not reason:
                    return _Choice(candidate.path, path, candidate.provider)
                unfit.append(f"{candidate.relative}: {reason}")
        return f"no fitting file: {'; '.join(unfit)}" if unfit else "no environment has a file of this name"

    def _accept(self, examined: Examined, finding: Finding, choice: _Choice) -> list[FileEntry]:
        key = (finding.rule, finding.subject, finding.identity)
        tree = examined.closure.world.tree
        existing = tree.file(choice.destination)
        if fold(choice.destination) in self.actions:
            return []  # another finding's cure is this very file
        if tree.has_folder(choice.destination):
            self.declined[key] = Declined(finding.rule, finding.subject, f"{choice.destination} is a folder")
            return []
        if existing is not None and not self._overwrite:
            reason = f"{existing.path} stands there with other content; --overwrite replaces it, undo brings it back"
            self.declined[key] = Declined(finding.rule, finding.subject, reason)
            return []
        entry = file_entry(existing.path if existing else tree.spelled(choice.destination), choice.source)
        self.actions[fold(entry.path)] = Action(
            "replace" if existing else "copy",
            choice.source,
            entry.path,
            choice.provider,
            entry.size,
            finding.rule,
            finding.subject,
            finding.chain,
        )
        return [entry]


def _unfit(examined: Examined, candidate: Candidate) -> str:
    """Return why a file cannot serve in this dist, an empty string if it can."""
    world = examined.closure.world
    try:
        image = world.facts.image(file_entry(candidate.relative, candidate.path))
    except OSError as error:
        return error.strerror or str(error)
    if not isinstance(image, Image):
        return image.reason
    wanted = world.dist.machine
    return "" if world.fits(image) else f"it is {image.machine.words}, the program is {wanted.words}"


def _no_better(examined: Examined, candidate: Candidate, finding: Finding, path: str) -> str:
    """Return why a file would not cure what is wrong with the one that it is to replace."""
    facts = examined.closure.world.facts
    entry = file_entry(candidate.relative, candidate.path)
    if finding.name == "missing-symbol":
        exports = facts.exports(entry)
        lacking = [lack for lack in lacks(examined.closure) if lack.provider == path]
        symbols = [symbol for lack in lacking for symbol in lack.symbols]
        still = [name for name in symbols if exports is None or not _exported(exports, name)]
        return f"it lacks {still[0]} too" if still else ""
    if finding.name == "missing-vc-runtime":
        current = examined.closure.world.tree.file(path)
        old = facts.version(current) if current is not None else None
        new = facts.version(entry)
        if old is not None and (new is None or new.file_version <= old.file_version):
            return "it is not newer"
    return ""


def _exported(exports: Exports, symbol: str) -> bool:
    if symbol.startswith("#"):
        return int(symbol[1:]) in exports.ordinals
    return symbol in exports.names


def _place(examined: Examined, candidate: Candidate, edges: list[Edge]) -> str:
    return _searched_place(examined, base_name(candidate.relative), candidate.package_path, edges)


def _searched_place(examined: Examined, name: str, package_path: str, edges: list[Edge]) -> str:
    """Return where a DLL goes: the path that code asks for, its package's folder, or beside the program.

    A package's folder serves only if the load that fails looks there; else the DLL goes where every load looks.
    """
    expected = [edge.expected for edge in edges if edge.expected]
    if expected:
        return expected[0]
    layout = examined.closure.world.dist.layout
    searched = {fold(place.folder) for edge in edges for place in edge.trail if place.kind in _FOLDERS_OF_DIST}
    for root in layout.search_path if package_path else ():
        path = join(root, package_path)
        if fold(parent(path)) in searched:
            return path
    if not searched or fold(layout.beside) in searched:
        return join(layout.beside, name)
    folders = [place.folder for edge in edges for place in edge.trail if place.kind in _FOLDERS_OF_DIST]
    return join(folders[0], name)
