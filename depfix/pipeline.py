"""The order of the stages, written once: open, close over, check, plan, apply, check again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from depfix.checks import run_checks
from depfix.closure.build import Entry, build_closure
from depfix.closure.facts import Facts, Progress, no_progress
from depfix.closure.graph import Edge, Graph, Node
from depfix.dist.identify import Dist, dist_root, identify, open_dist
from depfix.dist.tree import FileEntry, FileKind, Tree, read_tree
from depfix.env.discover import list_environments
from depfix.env.open import active_environment, check_machine, open_environment
from depfix.env.protocol import Environment
from depfix.errors import EntryNotFoundError, NoEnvironmentError, RolledBackError, UnknownNameError
from depfix.imports.uses import SourceTarget, Strength
from depfix.knowledge.rules import rule
from depfix.knowledge.targets import default_target, target_named
from depfix.loader.system import CleanSystem
from depfix.model.finding import Confidence, Finding, Fix, Severity
from depfix.model.names import base_name, fold
from depfix.model.plan import Action, Plan
from depfix.model.report import DistSummary, EnvironmentSummary, Report, Verification
from depfix.repair.planner import Cures, Examined, first_cures, key_of, plan_repair
from depfix.repair.transaction import Copied, apply_plan, locked, undo_last

_NO_PYTHON = (3, 8)


@dataclass(frozen=True, slots=True)
class Options:
    """What a user can choose; see docs/usage.md for each."""

    target: str = ""  # chosen by the dist
    entries: tuple[str, ...] = ()
    project: str = ""
    environments: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    overwrite: bool = False
    workers: int = 1
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    progress: Progress = no_progress


def scan(path: str, options: Options) -> Report:
    """Return what is missing or wrong in the dist at `path`, with cures where an environment has them.

    Raises InputError for a path, entry or environment that cannot be worked with. Nothing is written.
    """
    session = _Session(path, options)
    environments = session.environments()
    start = session.examine(session.dist.tree)
    cures = first_cures(start, environments, session.wanted)
    return session.report(_with_fixes(start.findings, cures), environments)


def repair(
    path: str,
    options: Options,
    *,
    dry_run: bool = False,
    agreed: Callable[[Report], bool] = lambda _report: True,
    copied: Copied = lambda _size: None,
) -> Report:
    """Plan the whole closure of the dist's needs, and unless `dry_run` bring it in and check again.

    `agreed` is shown the plan and decides; `copied` is told bytes as they are copied. Raises InputError, WriteError,
    DistLockedError, DiskSpaceError, and RolledBackError if the dist had to be put back.
    """
    if dry_run:
        return _planned(_Session(path, options))[1]
    checked = _Session(path, options)  # bad input is told before anything is written beside the dist
    with locked(checked.dist.root):
        session = checked if checked.is_current() else _Session(path, options)
        examined, report = _planned(session)
        if report.plan is None or not report.plan.actions or not agreed(report):
            return report
        apply_plan(session.dist.root, report.plan, copied)
        return _verified(session, examined, report)


def undo(path: str) -> tuple[str, ...]:
    """Put the dist back as it was before the last repair; return the paths that were removed or restored."""
    root = dist_root(path)
    with locked(root):
        return undo_last(root)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who needs a name: the node it stands for, and each chain from the program, shortest first."""

    node: Node
    chains: tuple[tuple[Edge, ...], ...]


def why(path: str, name: str, options: Options) -> tuple[Explanation, ...]:
    """Return the chains that need a DLL, module or file. Raises UnknownNameError if nothing bears that name."""
    session = _Session(path, options)
    closure = session.examine(session.dist.tree).closure
    graph = closure.graph
    wanted = fold(name.replace("\\", "/"))
    nodes = [node for node in graph.nodes() if wanted in (fold(node.name), fold(base_name(node.name)))]
    if not nodes:
        known = {base_name(node.name) for node in graph.nodes()}
        if session.dist.tree.named(name) or session.dist.tree.file(name):
            return ()
        import difflib

        near = difflib.get_close_matches(wanted, [fold(one) for one in known], n=1)
        raise UnknownNameError(name, "".join(near))
    return tuple(Explanation(node, _chains(graph, node)) for node in nodes)


def _chains(graph: Graph, node: Node) -> tuple[tuple[Edge, ...], ...]:
    """Return, for each direct need of a node, the shortest chain from the program to it."""
    import networkx

    drawn = graph.digraph()
    found = []
    for source in drawn.predecessors(node) if node in drawn else ():
        try:
            route = networkx.shortest_path(drawn, graph.root, source)
        except networkx.NetworkXNoPath:
            continue
        route.append(node)
        found.append(tuple(drawn.edges[one, other]["edge"] for one, other in pairwise(route)))
    return tuple(sorted(found, key=len))


# --- one run ---


class _Session:
    """The dist of one run with the facts read of it; everything is read once."""

    def __init__(self, path: str, options: Options) -> None:
        self.options = options
        self._selected = {rule(name).code for name in options.select}
        self._ignored = {rule(name).code for name in options.ignore}
        self.dist = open_dist(path)
        python = self.dist.python
        target = SourceTarget(
            python.version if python is not None else _NO_PYTHON, self.dist.machine.value, calls=bool(options.entries)
        )
        self._facts = Facts(target, options.workers, options.progress)
        if options.target:
            windows = target_named(options.target)
        else:
            windows = default_target(python.version if python is not None else None, self.dist.machine)
        self._system = CleanSystem(windows, self.dist.machine)
        self._opened: tuple[Environment, ...] = ()
        self._entries = tuple(_entry(one) for one in options.entries)
        if options.project and not os.path.isdir(options.project):
            raise EntryNotFoundError(options.project, "no such project folder")
        self._project = (os.path.abspath(options.project),) if options.project else ()

    def is_current(self) -> bool:
        """Return True if the files are still as they were read: taking the lock may have brought back older ones."""
        try:
            now = {(entry.path, entry.size) for entry in read_tree(self.dist.root)}
        except OSError:
            return False
        return now == {(entry.path, entry.size) for entry in self.dist.tree}

    def examine(self, tree: Tree) -> Examined:
        """Return the closure of a tree and what the checks say of it, as far as the user wants to see it."""
        dist = self.dist if tree is self.dist.tree else identify(tree)
        closure = build_closure(dist, tree, self._system, self._facts, self._entries, self._project, self._offers)
        findings = tuple(finding for finding in run_checks(closure) if self._shown(finding))
        return Examined(closure, findings)

    def examine_again(self, written: tuple[Action, ...]) -> Examined:
        """As `examine`, for the folder as it is on disk after these actions."""
        self._facts.forget([os.path.join(self.dist.root, *action.destination.split("/")) for action in written])
        return self.examine(read_tree(self.dist.root))

    def _offers(self, name: str, by: str) -> Strength | None:
        """Return how likely a DLL of an environment is meant where the DLL `by` names it: more so in one package."""
        found = [candidate for environment in self._opened for candidate in environment.find(name)]
        if not found:
            return None
        owners = {one.provider for environment in self._opened for one in environment.find(by) if one.owner}
        return Strength.PROBABLE if any(one.provider in owners for one in found) else Strength.POSSIBLE

    def environments(self) -> tuple[Environment, ...]:
        """Open the environments that the user named, else the active one. To be called before `examine`."""
        opened = [open_environment(spec, self.options.environ) for spec in self.options.environments]
        if not opened:
            active = active_environment(self.options.environ)
            fits = active is not None and active.info.machine in (None, self.dist.machine)
            opened = [active] if active is not None and fits else []
        for environment in opened:
            check_machine(environment, self.dist.machine)
        self._opened = tuple(opened)
        return self._opened

    def wanted(self, finding: Finding) -> bool:
        """Return True if a repair should cure a finding."""
        return finding.severity is not Severity.INFO and finding.confidence is not Confidence.POSSIBLE

    def _shown(self, finding: Finding) -> bool:
        return finding.rule not in self._ignored and (not self._selected or finding.rule in self._selected)

    def report(self, findings: tuple[Finding, ...], environments: tuple[Environment, ...]) -> Report:
        """Return the report of a scan."""
        infos = [environment.info for environment in environments]
        return Report(
            _summary(self.dist),
            self._system.target.name,
            self._system.target.words,
            "entry" if self._entries or self.dist.python is None else "everything",
            tuple(EnvironmentSummary(info.spec, info.root, info.kind, info.python) for info in infos),
            findings,
        )


def _planned(session: _Session) -> tuple[Examined, Report]:
    environments = session.environments()
    start = session.examine(session.dist.tree)
    planned = plan_repair(
        start, session.examine, environments, overwrite=session.options.overwrite, wanted=session.wanted
    )
    if not environments and not session.options.environments:
        _need_environment(session, planned.plan)
    findings = _with_fixes(start.findings, planned.cures)
    report = replace(session.report(findings, environments), plan=planned.plan)
    return start, replace(report, verification=_compared(start, planned.after))


def _need_environment(session: _Session, plan: Plan) -> None:
    """Raise NoEnvironmentError if files are needed that only an environment can give."""
    wanted = tuple(dict.fromkeys(row.subject for row in plan.declined if "environment" in row.reason))
    if wanted:
        rows = [row for row in list_environments(session.options.environ) if not row.note]
        fitting = [row for row in rows if row.machine in (None, session.dist.machine)]
        raise NoEnvironmentError(wanted, tuple(row.spec for row in fitting))


def _verified(session: _Session, before: Examined, report: Report) -> Report:
    """Check the dist as it is now; take everything back if the repair made something worse."""
    after = session.examine_again(report.plan.actions if report.plan is not None else ())
    verification = _compared(before, after)
    worse = [finding for finding in verification.introduced if finding.severity is Severity.ERROR]
    predicted = {f.fingerprint for f in report.verification.introduced} if report.verification else set()
    unforeseen = [finding.subject for finding in worse if finding.fingerprint not in predicted]
    if unforeseen:
        undo_last(session.dist.root)
        raise RolledBackError(f"it would have brought new errors: {', '.join(unforeseen)}")
    return replace(report, verification=verification, applied=True)


def _compared(before: Examined, after: Examined) -> Verification:
    old = {finding.fingerprint: finding for finding in before.findings}
    new = {finding.fingerprint: finding for finding in after.findings}
    return Verification(
        tuple(finding for key, finding in old.items() if key not in new),
        tuple(finding for key, finding in new.items() if key in old),
        tuple(finding for key, finding in new.items() if key not in old),
    )


def _with_fixes(findings: tuple[Finding, ...], cures: Cures) -> tuple[Finding, ...]:
    """Return findings with their cure, or with why there is none."""
    found = []
    for finding in findings:
        action = cures.actions.get(key_of(finding))
        if action is None:
            found.append(replace(finding, no_fix=cures.reasons.get(key_of(finding), "")))
        else:
            fix = Fix(action.action, action.source, action.destination, action.provider)
            found.append(replace(finding, fix=fix))
    return tuple(found)


def _summary(dist: Dist) -> DistSummary:
    return DistSummary(
        root=dist.root.removeprefix("\\\\?\\"),
        freezer=dist.freezer.value,
        freezer_words=dist.freezer.words,
        python=dist.python.text if dist.python is not None else None,
        machine=dist.machine.value,
        programs=tuple(program.path for program in dist.programs),
        files=len(dist.tree),
        images=len(dist.tree.images()),
    )


def _entry(shown: str) -> Entry:
    path = Path(shown)
    if path.is_dir():
        raise EntryNotFoundError(shown, "it is a folder")
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            if b"\0" in file.read(1024):
                raise EntryNotFoundError(shown, "it is no Python source")
    except OSError as error:
        raise EntryNotFoundError(shown, (error.strerror or str(error)).lower()) from error
    file_entry = FileEntry(path.name, str(path.absolute()), size, FileKind.SOURCE)
    return Entry(shown, file_entry, str(path.absolute().parent))
