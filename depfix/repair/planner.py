"""Plans a repair against the dist plus what the plan already adds, until nothing more is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from depfix.closure.build import Closure
from depfix.closure.facts import Facts
from depfix.closure.graph import EdgeKind, Node, NodeKind
from depfix.dist.tree import FileEntry, Tree, file_entry
from depfix.env.protocol import Environment
from depfix.frozen.guard import without_guard
from depfix.model.finding import Finding
from depfix.model.names import fold, parent
from depfix.model.plan import Action, Declined, Kept, Plan
from depfix.model.source import Provider
from depfix.pe.authenticode import lost_by_change
from depfix.repair.completion import (
    completed_modules,
    finder_path,
    finder_source,
    modules_to_patch,
    patched,
)
from depfix.repair.curable import BY_COPY, copied_in
from depfix.repair.cures import Choice
from depfix.repair.decisions import DIST, Decider
from depfix.repair.deliveries import Delivery, Piece
from depfix.repair.rebinding import Rewritten
from depfix.repair.slim import unneeded
from depfix.wording.message import joined, phrase

_MOST_ROUNDS = 50
_METADATA = (".dist-info", ".egg-info")
_DEPFIX = Provider("depfix")
_BY_TABLE = frozenset((EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.DELAY))

Key = tuple[str, str, str]  # rule, subject and identity of a finding


def key_of(finding: Finding) -> Key:
    """Return what tells a finding from all others of a scan."""
    return finding.rule, finding.subject, finding.identity


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
    planner = _Planner(environments, Choices(True, True, False, lambda _content: ""))
    planner.choose(start, [finding for finding in start.findings if wanted(finding)])
    return planner.cures


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user decided on a repair.

    `overwrite`: files with other content are replaced. `completion`: packages inside the program may be completed.
    `slim`: what the program does not reach of whole packages is left out.
    `keep` writes content that depfix makes to a file and returns its path. `lift` lets the program import modules that
    it refuses, from the next `examine` on; None if the user does not want that.
    """

    overwrite: bool
    completion: bool
    slim: bool
    keep: Callable[[bytes], str]
    lift: Callable[[Set[str]], None] | None = None


def plan_repair(
    start: Examined,
    examine: Callable[[Tree], Examined],
    environments: Sequence[Environment],
    choices: Choices,
    wanted: Callable[[Finding], bool],
) -> Planned:
    """Return the whole plan for the findings for which `wanted` is true, second- and third-order files included.

    `examine` checks a tree; it is called once for each round, with the dist and everything planned so far.
    """
    planner = _Planner(environments, choices)
    current = start
    for _ in range(_MOST_ROUNDS):
        chosen = planner.choose(
            current, [one for one in current.findings if wanted(one) or planner.brought_with(current, one)]
        )
        if not chosen and not planner.has_lifted():
            break
        current = examine(current.closure.world.tree.overlaid(chosen))
    added = [*planner.complete(current), *planner.lift(current)]
    if added:
        current = examine(current.closure.world.tree.overlaid(added))
    saved = (0, 0)
    if choices.slim:
        current, saved = planner.slim(start, current, examine)
    left = {key_of(finding) for finding in current.findings}
    declined = tuple(row for key, row in planner.declined.items() if key in left)
    plan = Plan(tuple(planner.actions.values()), declined, *saved, tuple(planner.kept.values()))
    return Planned(plan, planner.cures, current)


class _Planner:
    """Keeps what is planned over the rounds."""

    def __init__(self, environments: Sequence[Environment], choices: Choices) -> None:
        self._environments = environments
        self._overwrite = choices.overwrite
        self._decider = Decider(environments, completion=choices.completion, lifts=choices.lift is not None)
        self._keep = choices.keep
        self.actions: dict[str, Action] = {}
        self.declined: dict[Key, Declined] = {}
        self.kept: dict[str, Kept] = {}
        self._cured: dict[Key, Action] = {}
        self._tried: set[Key] = set()
        self._lift = choices.lift
        self._hidden: list[tuple[Finding, Provider]] = []
        self._lifted: dict[str, Finding] = {}
        self._asked_to_lift: set[str] = set()

    @property
    def cures(self) -> Cures:
        return Cures(self._cured, {key: row.reason for key, row in self.declined.items()})

    def brought_with(self, examined: Examined, finding: Finding) -> bool:
        """Return True if a file of this plan cannot be loaded without what is missing, however likely its load is."""
        if finding.name not in BY_COPY:
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
            decision = self._decider.decide(examined.closure, finding, self.actions)
            if isinstance(decision, str):
                self.declined[key] = Declined(finding.rule, finding.subject, decision)
            elif isinstance(decision, frozenset):
                self._lifted.update(dict.fromkeys(decision, finding))
            elif isinstance(decision, Rewritten):
                added += self._rewrite(finding, decision)
            elif isinstance(decision, Delivery):
                added += self._accept_all(examined, finding, decision)
            else:
                added += self._accept(examined, finding, decision)
        return added

    def slim(
        self, start: Examined, current: Examined, examine: Callable[[Tree], Examined]
    ) -> tuple[Examined, tuple[int, int]]:
        """Leave out what is not needed; return what the checks say then, and (files, bytes) saved.

        If the checks miss something then, nothing is left out.
        """
        gone = unneeded(current.closure, self.actions.values())
        kept = {key: action for key, action in self.actions.items() if action.destination not in gone}
        entries = [file_entry(action.destination, action.made or action.source) for action in kept.values()]
        after = examine(start.closure.world.tree.overlaid(entries))
        known = {key_of(finding) for finding in current.findings}
        if any(key_of(finding) not in known and copied_in(finding) for finding in after.findings):
            return current, (0, 0)
        saved = sum(action.size for action in self.actions.values() if action.destination in gone)
        self.actions = kept
        return after, (len(gone), saved)

    def has_lifted(self) -> bool:
        """Return True if modules were planned to be refused no longer since this was last asked."""
        new = self._lifted.keys() - self._asked_to_lift
        if new and self._lift is not None:
            self._asked_to_lift |= new
            self._lift(self._asked_to_lift)
        return bool(new)

    def lift(self, examined: Examined) -> list[FileEntry]:
        """Plan the program that no longer refuses what was planned to be lifted."""
        if not self._lifted:
            return []
        host = examined.closure.world.tree.file(examined.closure.world.dist.host.path)
        finding = next(iter(self._lifted.values()))
        new = (
            without_guard(host.source, self._lifted.keys()) if host is not None else phrase("the program is not there")
        )
        if isinstance(new, str) or host is None:
            for one in self._lifted.values():
                self.declined[key_of(one)] = Declined(one.rule, one.subject, str(new))
            return []
        provider = Provider(DIST.name, note=lost_by_change(host.source))
        return [self._add(finding, "patch", Piece(host.source, host.path), provider, made=self._keep(new))]

    def complete(self, examined: Examined) -> list[FileEntry]:
        """Plan the completion finder, and the lines that load it, for what was planned to be served by it."""
        if not self._hidden:
            return []
        closure = examined.closure
        modules = completed_modules(closure)
        finding, provider = self._hidden[0]
        source = self._keep(finder_source(modules, str(provider)))
        added = [self._add(finding, "write", Piece(source, finder_path(closure)), _DEPFIX, made=source)]
        for one in modules_to_patch(closure, modules):
            added += self._patch(finding, one.entry) if one.entry is not None else []
        return added

    def _patch(self, finding: Finding, entry: FileEntry) -> list[FileEntry]:
        with open(entry.source, "rb") as file:
            old = file.read()
        new = patched(old)
        if isinstance(new, str):
            self.declined[key_of(finding)] = Declined(
                finding.rule, finding.subject, phrase("{path}: {new}", path=entry.path, new=new)
            )
            return []
        planned = self.actions.get(fold(entry.path))
        provider = planned.provider if planned is not None else DIST
        piece = Piece(entry.source, entry.path)
        return [self._add(finding, "patch", piece, provider, made=self._keep(new))] if new != old else []

    def _rewrite(self, finding: Finding, new: Rewritten) -> list[FileEntry]:
        """Plan a configuration with other content; what another finding of it has planned is the same."""
        planned = self.actions.get(fold(new.entry.path))
        if planned is not None and planned.action == "patch":
            self._cured[key_of(finding)] = planned
            return []
        provider = planned.provider if planned is not None else DIST
        piece = Piece(new.entry.source, new.entry.path)
        return [self._add(finding, "patch", piece, provider, made=self._keep(new.content))]

    def _accept_all(self, examined: Examined, finding: Finding, delivery: Delivery) -> list[FileEntry]:
        """Plan every file of a delivery; what stands there with the same content stays, with other content too."""
        tree, facts = examined.closure.world.tree, examined.closure.world.facts
        added: list[FileEntry] = []
        for piece in delivery.pieces:
            existing = tree.file(piece.destination)
            if self._plans(piece) or tree.has_folder(piece.destination):
                continue
            if existing is not None:
                new = file_entry(existing.path, piece.source)
                if facts.same_content(existing, new):
                    continue
                if not self._overwrite:
                    self._keep_old(facts, existing, new, delivery.provider)
                    continue
            verb = "replace" if existing is not None else "copy"
            path = existing.path if existing is not None else tree.spelled(piece.destination)
            added.append(self._add(finding, verb, Piece(piece.source, path), delivery.provider))
        planned = [self.actions[fold(piece.destination)] for piece in delivery.pieces if self._plans(piece)]
        if not added and planned:
            self._cured[key_of(finding)] = planned[0]  # another finding's cure brings it
        elif not added:
            reason = phrase("what {provider} has of it stands in the dist already", provider=delivery.provider)
            self.declined[key_of(finding)] = Declined(finding.rule, finding.subject, reason)
        elif finding.name == "hidden-module":
            self._hidden.append((finding, delivery.provider))
        return added

    def _keep_old(self, facts: Facts, existing: FileEntry, new: FileEntry, provider: Provider) -> None:
        if not parent(fold(existing.path)).endswith(_METADATA):  # installers write into those
            row = Kept(existing.path, _words(facts, existing), _words(facts, new), provider)
            self.kept.setdefault(fold(existing.path), row)

    def _plans(self, piece: Piece) -> bool:
        return fold(piece.destination) in self.actions

    def _add(self, finding: Finding, verb: str, piece: Piece, provider: Provider, made: str = "") -> FileEntry:
        entry = file_entry(piece.destination, made or piece.source)
        origins = (one.origin(piece.source) for one in self._environments)
        origin = next((one for one in origins if one != piece.source), piece.source)
        if origin != piece.source:
            made = made or piece.source  # it was unpacked for as long as this run lives
        action = Action(
            verb, origin, entry.path, provider, entry.size, finding.rule, finding.subject, finding.chain, made
        )
        self.actions[fold(entry.path)] = action
        self._cured.setdefault(key_of(finding), action)
        return entry

    def _accept(self, examined: Examined, finding: Finding, choice: Choice) -> list[FileEntry]:
        key = key_of(finding)
        tree = examined.closure.world.tree
        existing = tree.file(choice.destination)
        planned = self.actions.get(fold(choice.destination))
        if planned is not None:
            self._cured[key] = planned  # another finding's cure is this very file
            return []
        if tree.has_folder(choice.destination):
            self.declined[key] = Declined(
                finding.rule, finding.subject, phrase("{destination} is a folder", destination=choice.destination)
            )
            return []
        if existing is not None and not self._overwrite:
            facts = examined.closure.world.facts
            there, offered = _words(facts, existing), _words(facts, file_entry(existing.path, choice.source))
            reason = phrase(
                "{existing} stands there with other content ({there}; {provider} has {offered}); --overwrite "
                "replaces it, undo brings it back",
                existing=existing.path,
                there=there,
                provider=choice.provider,
                offered=offered,
            )
            self.declined[key] = Declined(finding.rule, finding.subject, reason)
            return []
        path = existing.path if existing is not None else tree.spelled(choice.destination)
        verb = "replace" if existing is not None else "copy"
        return [self._add(finding, verb, Piece(choice.source, path), choice.provider)]


def _words(facts: Facts, entry: FileEntry) -> str:
    """Return what tells a file from another of its name: the version that an image says, and the size."""
    version = facts.version(entry) if fold(entry.name).endswith((".dll", ".pyd", ".exe")) else None
    number = ".".join(map(str, version.file_version)) if version is not None else ""
    return joined(", ", filter(None, (number, phrase("{size:,} bytes", size=entry.size))))
