"""Plans a repair against the dist plus what the plan already adds, until nothing more is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from depfix.closure.build import Closure
from depfix.closure.graph import EdgeKind, Node, NodeKind
from depfix.dist.tree import FileEntry, Tree, file_entry
from depfix.env.protocol import Environment
from depfix.knowledge.rules import rule
from depfix.model.finding import Finding
from depfix.model.names import fold
from depfix.model.plan import Action, Declined, Plan
from depfix.repair.cures import Choice, from_dist, from_environments, module, replacement, stdlib_module

_MOST_ROUNDS = 50
_BY_REPLACEMENT = frozenset(("wrong-machine", "missing-symbol"))
_MODULES = frozenset(("missing-module", "missing-extension-module"))
_BY_COPY = frozenset(
    "missing-dll missing-delay-dll misplaced-dll missing-runtime-dll missing-vc-runtime absent-on-target".split()
)
_BY_TABLE = frozenset((EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.DELAY))

Key = tuple[str, str, str]  # rule, subject and identity of a finding


def key_of(finding: Finding) -> Key:
    """Return what tells a finding from all others of a scan."""
    return finding.rule, finding.subject, finding.identity


def copied_in(finding: Finding) -> bool:
    """Return True if a file that an environment may have could cure a finding of this kind."""
    if finding.name == "wrong-machine":
        return fold(finding.identity).endswith((".dll", ".pyd"))  # no program, and not what the target does not run
    if finding.name == "absent-on-target" and finding.identity:
        return False  # the target is too old for Python itself
    return finding.name in _BY_COPY | _BY_REPLACEMENT | _MODULES | {"missing-stdlib-module"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A tree as the checks see it."""

    closure: Closure
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Cures:
    """For each finding what cures it, or why nothing does."""

    actions: Mapping[Key, Action]
    reasons: Mapping[Key, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what it does for each finding, and what the checks would say of the dist after it."""

    plan: Plan
    cures: Cures
    after: Examined


def first_cures(start: Examined, environments: Sequence[Environment], wanted: Callable[[Finding], bool]) -> Cures:
    """Return a cure or a reason for each finding, without following what the cures need in turn."""
    planner = _Planner(environments, overwrite=True)
    planner.choose(start, [finding for finding in start.findings if wanted(finding)])
    return planner.cures


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
        chosen = planner.choose(
            current, [one for one in current.findings if wanted(one) or planner.brought_with(current, one)]
        )
        if not chosen:
            break
        current = examine(current.closure.world.tree.overlaid(chosen))
    left = {key_of(finding) for finding in current.findings}
    declined = tuple(row for key, row in planner.declined.items() if key in left)
    return Planned(Plan(tuple(planner.actions.values()), declined), planner.cures, current)


class _Planner:
    """Keeps what is planned over the rounds."""

    def __init__(self, environments: Sequence[Environment], overwrite: bool) -> None:
        self._environments = environments
        self._overwrite = overwrite
        self.actions: dict[str, Action] = {}
        self.declined: dict[Key, Declined] = {}
        self._cured: dict[Key, Action] = {}
        self._tried: set[Key] = set()

    @property
    def cures(self) -> Cures:
        return Cures(self._cured, {key: row.reason for key, row in self.declined.items()})

    def brought_with(self, examined: Examined, finding: Finding) -> bool:
        """Return True if a file of this plan cannot be loaded without what is missing, however likely its load is."""
        if finding.name not in _BY_COPY:
            return False
        edges = examined.closure.graph.edges_to(Node(NodeKind.MISSING, finding.subject))
        return any(edge.kind in _BY_TABLE and fold(edge.source.name) in self.actions for edge in edges)

    def choose(self, examined: Examined, findings: Sequence[Finding]) -> list[FileEntry]:
        """Plan for each finding not tried before; return the files that the plan adds now."""
        added: list[FileEntry] = []
        for finding in findings:
            key = key_of(finding)
            if key in self._tried:
                continue
            self._tried.add(key)
            decision = self._decide(examined, finding)
            if isinstance(decision, str):
                self.declined[key] = Declined(finding.rule, finding.subject, decision)
            else:
                added += self._accept(examined, finding, decision)
        return added

    def _decide(self, examined: Examined, finding: Finding) -> Choice | str:
        closure = examined.closure
        if finding.identity.endswith("\0target"):
            return rule(finding.rule).cure  # the program is for another machine than the target
        if finding.name in _BY_REPLACEMENT or (finding.name == "missing-vc-runtime" and finding.identity):
            return replacement(closure, self._environments, finding)
        if finding.name in _MODULES:
            return module(closure, self._environments, finding.subject)
        if finding.name == "missing-stdlib-module":
            return stdlib_module(closure, self._environments, finding.subject)
        node = Node(NodeKind.MISSING, finding.subject)
        edges = [edge for edge in closure.graph.edges_to(node) if edge.expected == finding.identity]
        if finding.name not in _BY_COPY or not edges:
            return rule(finding.rule).cure
        absence = closure.world.system.absence(finding.subject)
        if finding.name == "absent-on-target" and absence is not None and absence.kind == "driver":
            return f"it comes with {absence.words}, and must not be carried along"
        if finding.name != "misplaced-dll":
            return from_environments(closure, self._environments, finding.subject, edges)
        found = from_dist(closure, finding.subject, edges)
        if isinstance(found, str):
            return found
        entry, destination = found
        planned = self.actions.get(fold(entry.path))  # moved on from where this plan first put it
        return Choice(entry.source, destination, planned.provider if planned else "dist")

    def _accept(self, examined: Examined, finding: Finding, choice: Choice) -> list[FileEntry]:
        key = key_of(finding)
        tree = examined.closure.world.tree
        existing = tree.file(choice.destination)
        planned = self.actions.get(fold(choice.destination))
        if planned is not None:
            self._cured[key] = planned  # another finding's cure is this very file
            return []
        if tree.has_folder(choice.destination):
            self.declined[key] = Declined(finding.rule, finding.subject, f"{choice.destination} is a folder")
            return []
        if existing is not None and not self._overwrite:
            reason = f"{existing.path} stands there with other content; --overwrite replaces it, undo brings it back"
            self.declined[key] = Declined(finding.rule, finding.subject, reason)
            return []
        entry = file_entry(existing.path if existing else tree.spelled(choice.destination), choice.source)
        action = Action(
            "replace" if existing else "copy",
            choice.source,
            entry.path,
            choice.provider,
            entry.size,
            finding.rule,
            finding.subject,
            finding.chain,
        )
        self.actions[fold(entry.path)] = self._cured[key] = action
        return [entry]
