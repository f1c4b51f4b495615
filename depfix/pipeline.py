"""The order of the stages, written once: open, close over, check, plan, apply, check again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from depfix.cache.prints import UnknownError, take_print
from depfix.closure.asked import chains, nodes_named
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, Graph, Node
from depfix.dist.identify import dist_root, open_dist
from depfix.dist.tree import Tree, file_entry
from depfix.env.fit import Need
from depfix.env.protocol import EnvironmentInfo
from depfix.errors import NoEnvironmentError
from depfix.knowledge.rules import policy_rules
from depfix.model.difference import Difference, Side
from depfix.model.finding import Finding, Severity
from depfix.model.names import fold
from depfix.model.plan import Action, Declined, Plan
from depfix.model.report import OwnSource, Report
from depfix.repair.copying import Copied, quiet
from depfix.repair.errors import PlanOutdatedError, RolledBackError
from depfix.repair.journal import Record, records, unfinished
from depfix.repair.outcome import compared, cures_of, with_fixes
from depfix.repair.planfile import PlanFile, Workshop, bound_plan, read_plan_file
from depfix.repair.planner import Choices, Examined, first_cures, plan_repair
from depfix.repair.transaction import apply_plan, locked, undo_repairs
from depfix.session import Options, Session, environments_of
from depfix.wording.message import phrase

if TYPE_CHECKING:
    from depfix.model.diagnosis import Cause
    from depfix.model.inventory import Inventory
    from depfix.model.report import DistSummary
    from depfix.model.run import VerificationRun
    from depfix.policy.values import Policy
    from depfix.trial.verification import Settings

__all__ = [
    "Assessment",
    "Explanation",
    "Options",
    "RepairPlan",
    "apply",
    "assess",
    "audit",
    "closure_of",
    "diagnose",
    "diff",
    "environments_for",
    "plan",
    "recover",
    "repairs",
    "scan",
    "tree",
    "undo",
    "verify",
    "why",
]

_MOST_NAMED = 5


def scan(path: str, options: Options) -> Report:
    """Return what is missing or wrong in the dist at `path`, with cures where an environment has them.

    Raises InputError for a path, entry or environment that cannot be worked with. Nothing is written.
    """
    return assess(path, options).report


@dataclass(frozen=True, slots=True)
class Assessment:
    """A scan, with what reports can show besides: its files, the inventory, the graph of needs."""

    report: Report
    inventory: Inventory | None = None
    graph: Graph | None = None
    tree: Tree | None = None


def assess(path: str, options: Options, *, inventory: bool = False, graph: bool = False) -> Assessment:
    """Scan the dist at `path`, take its inventory if that is wanted, and keep the graph if that is. See `scan`."""
    session = Session(path, options)
    environments = session.environments()
    start = session.examine(session.dist.tree)
    cures = first_cures(start, environments, session.wanted)
    taken = None
    if inventory:
        from depfix.inventory.taking import take_inventory

        taken = take_inventory(start.closure, environments, options.progress)
    report = session.report(with_fixes(start.findings, cures), environments)
    return Assessment(report, taken, start.closure.graph if graph else None, session.dist.tree)


def audit(path: str, options: Options, policy: Policy, *, inventory: bool = False) -> Assessment:
    """As `assess`, with what the policy objects to among the findings; the graph is kept. Nothing is accepted yet."""
    from depfix.policy.checks import Shipped, check_policy

    seen = assess(path, options, inventory=inventory or policy.needs_inventory, graph=True)
    if seen.tree is None:
        return seen
    found = check_policy(policy, Shipped(seen.tree, seen.graph, seen.inventory))
    own = (OwnSource(policy.file, os.path.abspath(policy.file)),) if policy.file else ()
    report = replace(
        seen.report,
        findings=(*seen.report.findings, *found),
        checked=(*seen.report.checked, *(code for code in policy_rules() if code not in policy.ignore)),
        own=(*seen.report.own, *own),
    )
    return replace(seen, report=report)


def diff(old: str, new: str, options: Options, *, findings: bool = True) -> Difference:
    """Return what the dist at `new` holds that the one at `old` does not, and the other way round.

    Without `findings` neither is scanned: quicker. Raises InputError for a path, entry or environment that cannot be
    worked with.
    """
    from depfix.inventory.comparing import compare_components, compare_files, compare_findings

    (before, old_inventory, was), (now, new_inventory, found) = (
        _compared(path, options, findings) for path in (old, new)
    )
    appeared, gone = compare_findings(was, found) if findings else (None, None)
    return Difference(
        Side(before, old_inventory.size),
        Side(now, new_inventory.size),
        compare_components(old_inventory, new_inventory),
        compare_files(old_inventory, new_inventory),
        appeared,
        gone,
    )


def _compared(path: str, options: Options, findings: bool) -> tuple[DistSummary, Inventory, tuple[Finding, ...]]:
    from depfix.inventory.taking import take_inventory

    session = Session(path, options)
    environments = session.environments()
    examined = session.examine(session.dist.tree) if findings else None
    closure = examined.closure if examined is not None else session.outline()
    inventory = take_inventory(closure, environments, options.progress)
    return session.summary, inventory, examined.findings if examined is not None else ()


def diagnose(text: str, path: str, options: Options, log: str = "") -> tuple[Cause, ...]:
    """Return the causes that an error text tells of, best first, each with what to do.

    With the dist at `path` (it may be empty) they are joined to what a scan of it finds. `log` is the file that the
    text is from, if any. Raises InputError for a dist, entry or environment that cannot be worked with.
    """
    from depfix.trial.advice import Question, advised
    from depfix.trial.diagnosis import diagnose as causes_of

    if not path:
        return advised(causes_of(text), Question(log))
    session = Session(path, options)
    environments = session.environments()
    start = session.examine(session.dist.tree)
    findings = with_fixes(start.findings, first_cures(start, environments, session.wanted))
    specs = tuple(environment.info.spec for environment in environments)
    question = Question(log, path, options.environments or specs, options.entries)
    return advised(causes_of(text, start.closure, findings), question)


class RepairPlan:
    """What a repair would do to one dist: made by `plan`, carried out by `apply`.

    Files that depfix makes for it, and what it unpacks, are kept in a folder of temporary files as long as it lives.
    """

    def __init__(self, session: Session, before: Examined, report: Report, state: bytes) -> None:
        self._session = session
        self._before = before
        self._state = state
        self.report = report

    @property
    def dist(self) -> str:
        """The folder that it is for."""
        return self.report.dist.root

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is to be copied, replaced, written or changed, in the order in which the needs were met."""
        return self.report.plan.actions if self.report.plan is not None else ()

    @property
    def declined(self) -> tuple[Declined, ...]:
        """The findings that it does not cure, each with the reason."""
        return self.report.plan.declined if self.report.plan is not None else ()

    @property
    def size(self) -> int:
        """How many bytes it brings."""
        return self.report.plan.size if self.report.plan is not None else 0

    def to_json(self) -> str:
        """Return the plan as a file that can be read by people, kept, and carried out later or elsewhere."""
        return self._session.plan_json(self.report.plan or Plan((), ()))

    def apply(self, copied: Copied, *, link: bool) -> Report:
        """Carry it out; see the function `apply`."""
        if not self.actions or self.report.plan is None:
            return self.report
        root = self._session.dist.root
        with locked(root):
            changes = self._changes(root)
            if changes:
                raise PlanOutdatedError("", changes)
            apply_plan(root, self.report.plan, copied, link=link)
            return _verified(self._session, self._before, self.report)

    def close(self) -> None:
        """Write what is to be kept for the next run."""
        self._session.options.cache.close()

    def _changes(self, root: str) -> tuple[str, ...]:
        """Return what of the dist is no longer what it was when the plan was made."""
        if self._state and self._state == _state_of(root):
            return ()
        names = self._session.changed_files()
        return names if names or not self._state else (phrase("a file of the dist"),)


def plan(path: str, options: Options, from_plan: str = "") -> RepairPlan:
    """Plan the whole closure of what the dist at `path` needs. Nothing is written to the dist or beside it.

    `from_plan` is the file of a plan that is taken as it is, without an environment. Raises InputError.
    """
    read = read_plan_file(from_plan) if from_plan else None
    state = _state_of(dist_root(path))
    session = Session(path, options)
    before, report = _planned(session) if read is None else _planned_before(session, from_plan, read)
    return RepairPlan(session, before, report, state)


def apply(plan: RepairPlan, *, copied: Copied = quiet, link: bool = False) -> Report:
    """Carry out exactly this plan in one transaction, and check the dist again; return the report with what became.

    `link` takes clones or hard links instead of copies; `copied` is told (files, bytes) as they come. A plan without
    actions changes nothing. Raises PlanOutdatedError if the dist has changed since, WriteError, DistLockedError,
    DiskSpaceError, PreflightError, and RolledBackError if the dist had to be put back.
    """
    return plan.apply(copied, link=link)


def recover(path: str) -> bool:
    """Put a dist whose repair or undo was cut off back as it was before; return True if there was one."""
    root = dist_root(path)
    if not unfinished(root):
        return False
    with locked(root) as recovered:
        return recovered


def undo(path: str, first: int = 0, *, everything: bool = False) -> tuple[str, ...]:
    """Put the dist back as it was before the last repair, before the one numbered `first`, or before all of them.

    Return the paths that were removed or restored.
    """
    root = dist_root(path)
    with locked(root):
        known = records(root)
        return undo_repairs(root, known[0].number if everything and known else first)


def repairs(path: str) -> tuple[Record, ...]:
    """Return the repairs of a dist that can be undone, oldest first."""
    return records(dist_root(path))


def environments_for(path: str, environ: Mapping[str, str]) -> tuple[Need, list[tuple[EnvironmentInfo, str]]]:
    """Return what the dist at `path` needs of an environment, and (environment, why it does not fit), best first.

    Raises InputError for a path that is no dist.
    """
    return environments_of(open_dist(path), environ)


def closure_of(path: str, options: Options) -> Closure:
    """Return the closure of the dist at `path`: its graph, and the world that it was made in."""
    session = Session(path, options)
    session.environments()
    return session.examine(session.dist.tree).closure


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who needs a name: the node it stands for, and each chain from the program, shortest first."""

    node: Node
    chains: tuple[tuple[Edge, ...], ...]


def why(path: str, name: str, options: Options) -> tuple[Explanation, ...]:
    """Return the chains that need a DLL, module or file. Raises UnknownNameError if nothing bears that name."""
    session = Session(path, options)
    session.environments()
    graph = session.examine(session.dist.tree).closure.graph
    return tuple(Explanation(node, chains(graph, node)) for node in nodes_named(graph, session.dist.tree, name))


def tree(path: str, name: str, options: Options) -> tuple[Graph, tuple[Node, ...]]:
    """Return the graph of the dist, and the nodes that bear a name, or without one the program.

    Raises UnknownNameError if nothing bears that name.
    """
    session = Session(path, options)
    session.environments()
    graph = session.examine(session.dist.tree).closure.graph
    return graph, nodes_named(graph, session.dist.tree, name) if name else (graph.root,)


def verify(path: str, options: Options, settings: Settings, *, closure: bool = True) -> tuple[Report, VerificationRun]:
    """Start the dist at `path` as on a clean machine, or read a trace of a run; report what was seen.

    Its findings are those of the run alone. Without `closure` it is not compared with what the dist's files say. Raises
    InputError, and CannotRunError if Windows programs cannot be run here. The dist stays as it is.
    """
    from depfix.trial.advice import Question, advised
    from depfix.trial.diagnosis import diagnose as causes_of
    from depfix.trial.verification import check_settings, verify_dist

    session = Session(path, options)
    check_settings(session.dist, settings)
    environments = session.environments(()) if closure else ()
    start = session.examine(session.dist.tree) if closure else None
    run, findings = verify_dist(session.dist, session.system, settings, start.closure if start is not None else None)
    if run.failure and run.ended is not None:
        text = f"{run.ended.out}\n{run.ended.err}"
        told = causes_of(text, start.closure, start.findings) if start is not None else causes_of(text)
        run = replace(run, causes=advised(told, Question("", path, (), options.entries)))
    return session.report(tuple(row for row in findings if session.shown(row)), environments), run


def _planned(session: Session) -> tuple[Examined, Report]:
    environments = session.environments()
    start = session.examine(session.dist.tree)
    options = session.options
    lift = session.lift if options.lift_guard else None
    choices = Choices(options.overwrite, options.completion, options.slim, session.keep, lift)
    planned = plan_repair(start, session.examine, environments, choices, session.wanted)
    if not environments and not session.options.environments:
        _need_environment(session, planned.plan)
    findings = with_fixes(start.findings, planned.cures)
    report = replace(session.report(findings, environments), plan=planned.plan)
    return start, replace(report, verification=compared(start.findings, planned.after.findings))


def _planned_before(session: Session, path: str, read: PlanFile) -> tuple[Examined, Report]:
    """As `_planned`, for a plan that was read from a file: it decides nothing, and asks no environment."""
    session.environments(())
    dist = session.dist
    plan = bound_plan(path, read, dist, Workshop(session.folder, session.unpacked, session.keep))
    start = session.examine(dist.tree)
    if any(fold(action.destination) == fold(dist.host.path) for action in plan.actions):
        session.lift(session.inside.refused)
    entries = (file_entry(action.destination, action.made or action.source) for action in plan.actions)
    after = session.examine(dist.tree.overlaid(entries))
    report = session.report(with_fixes(start.findings, cures_of(plan, start.findings)), ())
    return start, replace(report, plan=plan, verification=compared(start.findings, after.findings))


def _need_environment(session: Session, plan: Plan) -> None:
    """Raise NoEnvironmentError if files are needed that only an environment can give."""
    wanted = tuple(dict.fromkeys(row.subject for row in plan.declined if "environment" in row.reason))
    if wanted:
        _, rows = environments_of(session.dist, session.options.environ)
        fitting = [row.spec for row, reason in rows if not reason]
        others = [row.spec for row, _ in rows if not row.note and row.machine in (None, session.dist.machine)]
        raise NoEnvironmentError(wanted, tuple(fitting or others)[:_MOST_NAMED])


def _state_of(root: str) -> bytes:
    """Return what a folder with all that is in it looks like from outside; nothing if that cannot be told."""
    try:
        return take_print((root,)).digest
    except UnknownError:
        return b""


def _verified(session: Session, before: Examined, report: Report) -> Report:
    """Check the dist as it is now; take everything back if the repair made something worse."""
    after = session.examine_again(report.plan.actions if report.plan is not None else ())
    verification = compared(before.findings, after.findings)
    worse = [finding for finding in verification.introduced if finding.severity is Severity.ERROR]
    predicted = {f.fingerprint for f in report.verification.introduced} if report.verification else set()
    unforeseen = [finding.subject for finding in worse if finding.fingerprint not in predicted]
    if unforeseen:
        undo_repairs(session.dist.root)
        raise RolledBackError(
            phrase("it would have brought new errors: {unforeseen}", unforeseen=", ".join(unforeseen))
        )
    return replace(report, verification=verification, applied=True)
