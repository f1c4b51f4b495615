"""One run over a dist: what the user chose, what was read of it, and the environments. Everything is read once."""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from depfix.cache.store import Cache
from depfix.checks import run_checks
from depfix.checks.extended import unchecked
from depfix.closure.build import Closure, Entry, build_closure
from depfix.closure.distributions import present_distributions
from depfix.closure.facts import Facts, Progress, no_progress
from depfix.closure.graph import Graph, Node, NodeKind
from depfix.closure.inside import Inside
from depfix.closure.kept import KeptFacts
from depfix.closure.supply import Supply
from depfix.closure.world import World
from depfix.dist.identify import Dist, identify, open_dist
from depfix.dist.tree import FileEntry, FileKind, Tree, read_tree
from depfix.env.archives import Wanted
from depfix.env.discover import list_environments
from depfix.env.fit import Need, by_fit, misfit
from depfix.env.open import active_environment, check_machine, environment_in, open_environment
from depfix.env.places import project_folders
from depfix.env.protocol import Environment, EnvironmentInfo
from depfix.errors import EntryNotFoundError, ProjectNotFoundError, ReportNotReadError
from depfix.frozen.builder import building_folder
from depfix.frozen.read import packed_words, read_builtin, read_contents, report_problem
from depfix.frozen.zips import unpack_modules
from depfix.imports.finder import module_suffixes
from depfix.imports.uses import SourceTarget
from depfix.knowledge.rules import rule, scan_rules
from depfix.knowledge.targets import default_target, target_named
from depfix.loader.system import CleanSystem
from depfix.model.finding import Confidence, Finding, Severity
from depfix.model.names import plain_path, unsafe_name
from depfix.model.plan import Action, Plan
from depfix.model.report import DistSummary, EnvironmentSummary, OwnSource, Report
from depfix.repair.plan_writer import plan_file, plan_json
from depfix.repair.planner import Examined
from depfix.wording.message import phrase, small_system_words

_READING = phrase("reading the program")
_NO_PYTHON = (3, 8)
_LINE = re.compile(r":\d+$")


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
    cache: Cache = field(default_factory=Cache)


class Session:
    """The dist of one run with the facts read of it; everything is read once."""

    def __init__(self, path: str, options: Options) -> None:
        self.options = options
        self._selected = {rule(name).code for name in options.select}
        self._ignored = {rule(name).code for name in options.ignore}
        self.dist = open_dist(path)
        self._cache = Cache() if options.cache.is_in(plain_path(self.dist.root)) else options.cache
        python = self.dist.python
        self._entries = tuple(_entry(one) for one in options.entries)
        if options.project and not os.path.isdir(options.project):
            reason = phrase("it is a file") if os.path.isfile(options.project) else phrase("no such folder")
            raise ProjectNotFoundError(options.project, reason)
        self._project = (os.path.abspath(options.project),) if options.project else ()
        target = SourceTarget(
            python.version if python is not None else _NO_PYTHON,
            self.dist.machine.value,
            calls=bool(options.entries) or self.dist.freezer.hides_code,
            freezer=self.dist.freezer.value,
            own=tuple(dict.fromkeys((*self._project, *(entry.project for entry in self._entries)))),
            not_own=(self.dist.root,),
        )
        problem = report_problem(options.report) if options.report else ""
        if problem:
            raise ReportNotReadError(options.report, problem)
        self._facts = Facts(target, options.workers, options.progress, self._cache)
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

    def changed_files(self) -> tuple[str, ...]:
        """Return the files that came, went, or have another size since they were read."""
        before = {entry.path: entry.size for entry in self.dist.tree}
        now = {entry.path: entry.size for entry in read_tree(self.dist.root)}
        return tuple(sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path)))

    def examine(self, tree: Tree) -> Examined:
        """Return the closure of a tree and what the checks say of it, as far as the user wants to see it."""
        dist = self.dist if tree is self.dist.tree else identify(tree)
        with _rarely_collected():
            try:
                closure = build_closure(
                    dist, tree, self._system, self._facts, self._entries, self._project, self._supply, self.inside
                )
            finally:
                self._facts.stop_reading()
            findings = tuple(finding for finding in run_checks(closure) if self.shown(finding))
        return Examined(closure, findings)

    def outline(self) -> Closure:
        """Return the world of the dist with nothing followed in it: for those who only ask whose its files are."""
        world = World(self.dist, self.dist.tree, self._system, self._facts, self._project, self._supply, self.inside)
        return Closure(Graph(Node(NodeKind.PROGRAM, self.dist.host.path)), world, from_program=False, native=())

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
            self.options.progress(_READING, 0, 1)
            contents = read_contents(self.dist, self.options.report)
            kept = KeptFacts(self._cache, self._target)
            self._inside = Inside(contents, read_builtin(self.dist), self._target, packed_words(self.dist), kept)
        return self._inside

    @property
    def summary(self) -> DistSummary:
        """The dist as reports name it."""
        return _summary(self.dist)

    @property
    def system(self) -> CleanSystem:
        """The clean Windows that the program is to run on."""
        return self._system

    def lift(self, names: Set[str]) -> None:
        """Let the program import modules that it refuses, as if it had been changed already."""
        self._inside = self.inside.without_refusal(names)

    def environments(self, specs: tuple[str, ...] | None = None) -> tuple[Environment, ...]:
        """Open these environments, or those that the user named, else the one that the dist was built from, else the
        active one. To be called before `examine`.
        """
        wanted = self._wanted_of_environments()
        named = self.options.environments if specs is None else specs
        opened = [open_environment(spec, self.options.environ, wanted) for spec in named]
        if not opened and specs is None:
            built_from = environment_in(building_folder(self.dist))
            if built_from is not None and not misfit(built_from.info, need_of(self.dist)):
                opened = [built_from]
        if not opened and specs is None:
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
            self.folder,
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
            folder = self.folder()
            unpack_modules(archive, folder)
            self._unpacked[archive] = folder
        return self._unpacked[archive]

    def folder(self) -> str:
        """Make a folder that lives as long as this run."""
        return tempfile.mkdtemp(dir=self._scratch_folder())

    def plan_json(self, plan: Plan) -> str:
        """Return a plan as a file that can be carried out after this run."""
        return plan_json(plan_file(self.dist, plan, self._unpacked, self._scratch))

    def _scratch_folder(self) -> str:
        if not self._scratch:
            self._scratch = tempfile.mkdtemp(prefix="depfix-")
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def wanted(self, finding: Finding) -> bool:
        """Return True if a repair should cure a finding."""
        return finding.severity is not Severity.INFO and finding.confidence is not Confidence.POSSIBLE

    def shown(self, finding: Finding) -> bool:
        """Return True if the user wants to see findings of its rule."""
        return self._chosen(finding.rule) or (
            finding.rule not in self._ignored and not self._selected.isdisjoint(unchecked(finding))
        )

    def _chosen(self, code: str) -> bool:
        return code not in self._ignored and (not self._selected or code in self._selected)

    def _reach(self) -> str:
        if self._entries or self.dist.python is None:
            return "entry"
        return "program" if self.inside.has_program else "everything"

    def report(self, findings: tuple[Finding, ...], environments: tuple[Environment, ...]) -> Report:
        """Return the report of a scan."""
        infos = [environment.info for environment in environments]
        failed = {code for finding in findings for code in unchecked(finding)}
        codes = (code for code in scan_rules(bool(self._sources())) if self._chosen(code) and code not in failed)
        inside = self.inside.words
        if not infos and not self._entries and not self.inside.knows_imports:
            inside += phrase("; what else it imports, only --env, --report or --entry can tell")
        return Report(
            self.summary,
            self._system.target.name,
            self._system.target.words,
            self._reach(),
            tuple(EnvironmentSummary(info.spec, info.root, info.kind, info.python, info.caveat) for info in infos),
            findings,
            inside=inside,
            checked=tuple(codes),
            own=tuple(self._own_sources(findings)),
        )

    def _sources(self) -> tuple[str, ...]:
        """Return the folders of the program's own sources."""
        return tuple(dict.fromkeys((*(entry.project for entry in self._entries), *self._project)))

    def _own_sources(self, findings: tuple[Finding, ...]) -> Iterator[OwnSource]:
        """Yield the program's own sources among the places that findings name."""
        if not self._sources():
            return
        steps = (step for finding in findings for step in finding.chain)
        places = (place.path for finding in findings for place in finding.locations)
        for name in dict.fromkeys((*places, *(_LINE.sub("", step) for step in steps))):
            paths = (os.path.join(folder, *name.split("/")) for folder in self._sources())
            path = "" if unsafe_name(name) else next(filter(os.path.isfile, paths), "")
            if path:
                yield OwnSource(name, path)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Look for garbage seldom: what a closure is made of stays, and to look through it is a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def environments_of(dist: Dist, environ: Mapping[str, str]) -> tuple[Need, list[tuple[EnvironmentInfo, str]]]:
    projects = project_folders(os.getcwd(), plain_path(dist.root))
    need = need_of(dist)
    return need, by_fit(list_environments(environ, projects, building_folder(dist)), need)


def need_of(dist: Dist) -> Need:
    python = dist.python
    if python is None:
        return Need(dist.machine)
    return Need(dist.machine, python.version, python.free_threaded, python.debug)


def _summary(dist: Dist) -> DistSummary:
    return DistSummary(
        root=plain_path(dist.root),
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
        raise EntryNotFoundError(shown, phrase("it is a folder"))
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            if b"\0" in file.read(1024):
                raise EntryNotFoundError(shown, phrase("it is no Python source"))
    except OSError as error:
        raise EntryNotFoundError(shown, small_system_words(error)) from error
    return Entry(shown, FileEntry(path.name, str(path.absolute()), size, FileKind.SOURCE), str(path.absolute().parent))
