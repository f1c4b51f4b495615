"""The order of the stages, written once: open, close over, check, plan, apply, check again."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from depfix.checks import run_checks
from depfix.closure.build import Closure, Entry, build_closure
from depfix.closure.distributions import present_distributions
from depfix.closure.facts import Facts, Progress, no_progress
from depfix.closure.graph import Edge, Graph, Node
from depfix.closure.inside import Inside
from depfix.closure.supply import Supply
from depfix.dist.identify import Dist, dist_root, identify, open_dist
from depfix.dist.tree import FileEntry, FileKind, Tree, read_tree
from depfix.env.archives import Wanted
from depfix.env.discover import list_environments
from depfix.env.fit import Need, by_fit, misfit
from depfix.env.open import active_environment, check_machine, environment_in, open_environment
from depfix.env.places import project_folders
from depfix.env.protocol import Environment, EnvironmentInfo
from depfix.errors import EntryNotFoundError, NoEnvironmentError, ReportNotReadError, RolledBackError, UnknownNameError
from depfix.frozen.builder import building_folder
from depfix.frozen.read import packed_words, read_builtin, read_contents, report_problem
from depfix.frozen.zips import unpack_modules
from depfix.imports.finder import module_suffixes
from depfix.imports.uses import SourceTarget
from depfix.knowledge.rules import rule
from depfix.knowledge.targets import default_target, target_named
from depfix.loader.system import CleanSystem
from depfix.model.finding import Confidence, Finding, Fix, Severity
from depfix.model.names import base_name, fold
from depfix.model.plan import Action, Plan
from depfix.model.report import DistSummary, EnvironmentSummary, Report, Verification
from depfix.repair.planner import Choices, Cures, Examined, first_cures, key_of, plan_repair
from depfix.repair.transaction import Copied, apply_plan, locked, undo_last

_NO_PYTHON = (3, 8)
_MOST_NAMED = 5


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
    report: str = ""
    slim: bool = False
    completion: bool = True
    lift_guard: bool = False
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


def environments_for(path: str, environ: Mapping[str, str]) -> tuple[Need, list[tuple[EnvironmentInfo, str]]]:
    """Return what the dist at `path` needs of an environment, and (environment, why it does not fit), best first.

    Raises InputError for a path that is no dist.
    """
    return _environments_of(open_dist(path), environ)


def _environments_of(dist: Dist, environ: Mapping[str, str]) -> tuple[Need, list[tuple[EnvironmentInfo, str]]]:
    projects = project_folders(os.getcwd(), dist.root)
    need = _need_of(dist)
    return need, by_fit(list_environments(environ, projects, building_folder(dist)), need)


def _need_of(dist: Dist) -> Need:
    python = dist.python
    if python is None:
        return Need(dist.machine)
    return Need(dist.machine, python.version, python.free_threaded, python.debug)


def closure_of(path: str, options: Options) -> Closure:
    """Return the closure of the dist at `path`: its graph, and the world that it was made in."""
    session = _Session(path, options)
    session.environments()
    return session.examine(session.dist.tree).closure


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who needs a name: the node it stands for, and each chain from the program, shortest first."""

    node: Node
    chains: tuple[tuple[Edge, ...], ...]


def why(path: str, name: str, options: Options) -> tuple[Explanation, ...]:
    """Return the chains that need a DLL, module or file. Raises UnknownNameError if nothing bears that name."""
    session = _Session(path, options)
    session.environments()
    graph = session.examine(session.dist.tree).closure.graph
    return tuple(Explanation(node, _chains(graph, node)) for node in _nodes_named(session, graph, name))


def tree(path: str, name: str, options: Options) -> tuple[Graph, tuple[Node, ...]]:
    """Return the graph of the dist, and the nodes that bear a name, or without one the program.

    Raises UnknownNameError if nothing bears that name.
    """
    session = _Session(path, options)
    session.environments()
    graph = session.examine(session.dist.tree).closure.graph
    return graph, _nodes_named(session, graph, name) if name else (graph.root,)


def _nodes_named(session: _Session, graph: Graph, name: str) -> tuple[Node, ...]:
    """Return the nodes with this name or file name; none if it is a file of the dist that nothing needs."""
    wanted = fold(name.replace("\\", "/"))
    nodes = tuple(node for node in graph.nodes() if wanted in _names_of(node))
    if nodes or session.dist.tree.named(name) or session.dist.tree.file(name):
        return nodes
    import difflib

    known = {fold(base_name(node.name)) for node in graph.nodes()}
    raise UnknownNameError(name, "".join(difflib.get_close_matches(wanted, sorted(known), n=1)))


def _names_of(node: Node) -> tuple[str, str]:
    """Return what a node can be called by: its name, or the file's alone; a script's without its brackets."""
    name = fold(node.name.strip("<>").replace("\\", "/"))
    return name, base_name(name)


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
            python.version if python is not None else _NO_PYTHON,
            self.dist.machine.value,
            calls=bool(options.entries) or self.dist.freezer.hides_code,
        )
        problem = report_problem(options.report) if options.report else ""
        if problem:
            raise ReportNotReadError(options.report, problem)
        self._facts = Facts(target, options.workers, options.progress)
        self._target = target
        if options.target:
            windows = target_named(options.target)
        else:
            windows = default_target(python.version if python is not None else None, self.dist.machine)
        self._system = CleanSystem(windows, self.dist.machine)
        self._supply = Supply()
        self._inside: Inside | None = None
        self._scratch = ""
        self._unpacked: dict[str, str] = {}
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
        closure = build_closure(
            dist, tree, self._system, self._facts, self._entries, self._project, self._supply, self.inside
        )
        findings = tuple(finding for finding in run_checks(closure) if self._shown(finding))
        return Examined(closure, findings)

    def examine_again(self, written: tuple[Action, ...]) -> Examined:
        """As `examine`, for the folder as it is on disk after these actions."""
        copies = {self._path_of(action): action.made or action.source for action in written}
        self._facts.forget(copies)
        self._facts.adopt(copies)  # they were hashed while they were copied
        self._inside = None
        return self.examine(read_tree(self.dist.root))

    def _path_of(self, action: Action) -> str:
        return os.path.join(self.dist.root, *action.destination.split("/"))

    @property
    def inside(self) -> Inside:
        """What is inside the program."""
        if self._inside is None:
            self.options.progress("reading the program", 0, 1)
            contents = read_contents(self.dist, self.options.report)
            self._inside = Inside(contents, read_builtin(self.dist), self._target, packed_words(self.dist))
        return self._inside

    def lift(self, names: Set[str]) -> None:
        """Let the program import modules that it refuses, as if it had been changed already."""
        self._inside = self.inside.without_refusal(names)

    def environments(self) -> tuple[Environment, ...]:
        """Open the environments that the user named, else the one that the dist was built from, else the active one.

        To be called before `examine`.
        """
        wanted = self._wanted_of_environments()
        opened = [open_environment(spec, self.options.environ, wanted) for spec in self.options.environments]
        if not opened:
            built_from = environment_in(building_folder(self.dist))
            if built_from is not None and not misfit(built_from.info, _need_of(self.dist)):
                opened = [built_from]
        if not opened:
            active = active_environment(self.options.environ)
            fits = active is not None and active.info.machine in (None, self.dist.machine)
            opened = [active] if active is not None and fits else []
        for environment in opened:
            check_machine(environment, self.dist.machine)
        python = self.dist.python
        suffixes = module_suffixes(python, self.dist.machine)
        version = python.version if python is not None else _NO_PYTHON
        self._supply = Supply(opened, self.dist.layout, suffixes, version, self.unpacked, self.dist.machine)
        return tuple(opened)

    def _wanted_of_environments(self) -> Wanted:
        python = self.dist.python
        present = present_distributions(self.dist.tree, self.dist.layout.search_path, self._facts)
        return Wanted(
            python.version if python is not None else None,
            self.dist.machine,
            python is not None and python.free_threaded,
            {one.key: one.version for one in present},
            lambda: tempfile.mkdtemp(dir=self._scratch_folder()),
        )

    def keep(self, content: bytes) -> str:
        """Write content that depfix makes to a file that lives as long as this run, and return its path."""
        handle, path = tempfile.mkstemp(dir=self._scratch_folder())
        with open(handle, "wb") as file:
            file.write(content)
        return path

    def unpacked(self, archive: str) -> str:
        """Unpack a zip of modules for as long as this run lives; return the folder."""
        if archive not in self._unpacked:
            folder = tempfile.mkdtemp(dir=self._scratch_folder())
            unpack_modules(archive, folder)
            self._unpacked[archive] = folder
        return self._unpacked[archive]

    def _scratch_folder(self) -> str:
        if not self._scratch:
            self._scratch = tempfile.mkdtemp(prefix="depfix-")
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def wanted(self, finding: Finding) -> bool:
        """Return True if a repair should cure a finding."""
        return finding.severity is not Severity.INFO and finding.confidence is not Confidence.POSSIBLE

    def _shown(self, finding: Finding) -> bool:
        return finding.rule not in self._ignored and (not self._selected or finding.rule in self._selected)

    def _reach(self) -> str:
        if self._entries or self.dist.python is None:
            return "entry"
        return "program" if self.inside.has_program else "everything"

    def report(self, findings: tuple[Finding, ...], environments: tuple[Environment, ...]) -> Report:
        """Return the report of a scan."""
        infos = [environment.info for environment in environments]
        inside = self.inside.words
        if not infos and not self._entries and not self.inside.knows_imports:
            inside += "; what else it imports, only --env, --report or --entry can tell"
        return Report(
            _summary(self.dist),
            self._system.target.name,
            self._system.target.words,
            self._reach(),
            tuple(EnvironmentSummary(info.spec, info.root, info.kind, info.python, info.caveat) for info in infos),
            findings,
            inside=inside,
        )


def _planned(session: _Session) -> tuple[Examined, Report]:
    environments = session.environments()
    start = session.examine(session.dist.tree)
    options = session.options
    lift = session.lift if options.lift_guard else None
    choices = Choices(options.overwrite, options.completion, options.slim, session.keep, lift)
    planned = plan_repair(start, session.examine, environments, choices, session.wanted)
    if not environments and not session.options.environments:
        _need_environment(session, planned.plan)
    findings = _with_fixes(start.findings, planned.cures)
    report = replace(session.report(findings, environments), plan=planned.plan)
    return start, replace(report, verification=_compared(start, planned.after))


def _need_environment(session: _Session, plan: Plan) -> None:
    """Raise NoEnvironmentError if files are needed that only an environment can give."""
    wanted = tuple(dict.fromkeys(row.subject for row in plan.declined if "environment" in row.reason))
    if wanted:
        _, rows = _environments_of(session.dist, session.options.environ)
        fitting = [row.spec for row, reason in rows if not reason]
        others = [row.spec for row, _ in rows if not row.note and row.machine in (None, session.dist.machine)]
        raise NoEnvironmentError(wanted, tuple(fitting or others)[:_MOST_NAMED])


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
            fix = Fix(action.action, action.source, action.destination, str(action.provider), action.provider.note)
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
