"""Which findings of a dist say the same as its error text."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from depfix.closure.build import Closure
from depfix.closure.graph import EdgeKind, Node, NodeKind
from depfix.imports.finder import ModuleFile
from depfix.model.finding import Confidence, Finding
from depfix.model.names import base_name, dll_file_name, fold, normalised
from depfix.trial.messages import Frame, Hit
from depfix.trial.naming import Told, inside_path
from depfix.wording.message import phrase

_DLLS = (
    *("missing-dll", "misplaced-dll", "missing-vc-runtime", "debug-runtime", "missing-runtime-dll", "absent-on-target"),
    *("incomplete-gpu-runtime", "missing-delay-dll"),
)
_MODULES = (
    *("missing-module", "missing-stdlib-module", "missing-extension-module", "abi-mismatch", "hidden-module"),
    *("missing-optional-module", "excluded-module-guard"),
)
_LATER = ("missing-delay-dll", "missing-runtime-dll")
_DATA = ("missing-package-data", "missing-data-file")
RULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("missing-dll", "missing-runtime-dll", "missing-vc-runtime", "incomplete-gpu-runtime"), _DLLS),
    **dict.fromkeys(("debug-runtime", "missing-delay-dll", "absent-on-target"), _DLLS),
    "missing-symbol": ("missing-symbol", "conflicting-dll"),
    "wrong-machine": ("wrong-machine", "damaged-file"),
    "damaged-file": ("damaged-file", "wrong-machine"),
    "dll-init-failed": ("duplicate-openmp", "conflicting-dll", "missing-vc-runtime"),
    "duplicate-openmp": ("duplicate-openmp",),
    **dict.fromkeys(("missing-module", "missing-stdlib-module", "missing-extension-module"), _MODULES),
    **dict.fromkeys(("excluded-module-guard", "abi-mismatch"), _MODULES),
    "shadowed-module": ("shadowed-module", *_MODULES),
    "version-conflict": ("version-conflict", *_MODULES),
    "missing-metadata": ("missing-metadata",),
    **dict.fromkeys(_DATA, (*_DATA, "relative-path", "machine-bound-path")),
    "multiprocessing": ("unguarded-multiprocessing", "missing-freeze-support", "multiprocessing-left-out"),
    **{name: (name,) for name in ("python-not-there", "source-needed", "unwritable-cache", "writes-beside-program")},
    **{name: (name,) for name in ("console-output", "console-input")},
}
_BY_RULE_ALONE = frozenset(
    (
        *("multiprocessing", "python-not-there", "source-needed", "unwritable-cache"),
        *("writes-beside-program", "console-output", "console-input"),
    )
)
_LOADED = (EdgeKind.STATIC, EdgeKind.FORWARD, EdgeKind.ASSEMBLY)
_MOST_PARTS = 12


class Match(Enum):
    """How a finding goes with a text: it is about the very thing, what that needs, one alike, or anything else."""

    SAME = 0
    NEEDED = 1
    ALIKE = 2
    NEAR = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """A finding that a text speaks of.

    `distance`: how many loads lie between the two; `absent`: a DLL is not there; `settled`: what the text names loads
    it for sure.
    """

    finding: Finding
    match: Match
    distance: int = 0
    absent: bool = False
    settled: bool = False

    @property
    def rank(self) -> tuple[int, int, int, int]:
        sure = list(Confidence).index(self.finding.confidence)
        return (self.match.value, self.finding.severity.rank, sure, self.distance)

    @property
    def confidence(self) -> Confidence:
        """How sure it is that this is the cause: certain only if both are about one thing."""
        if self.match in (Match.ALIKE, Match.NEAR):
            return Confidence.PROBABLE if self.match is Match.ALIKE else Confidence.POSSIBLE
        # A finding says how surely the program comes there: it did.
        sure = self.finding.confidence is Confidence.CERTAIN or self.match is Match.SAME or self.settled
        possible = self.finding.confidence is Confidence.POSSIBLE
        return Confidence.CERTAIN if sure and not possible else Confidence.PROBABLE


class Evidence:
    """A closure with its findings, asked what they say of one failure."""

    def __init__(self, closure: Closure, findings: Sequence[Finding]) -> None:
        self._graph, self._world = closure.graph, closure.world
        self._findings = tuple(findings)
        self._loads: dict[Node, list[tuple[Node, EdgeKind]]] = {}
        self._absent: set[str] = set()
        for edge in closure.graph.edges():
            self._loads.setdefault(edge.source, []).append((edge.target, edge.kind))
            if edge.target.kind is NodeKind.MISSING:
                self._absent.add(fold(edge.target.name))

    def of(self, hit: Hit, told: Told) -> list[Joined]:
        """Return the findings that say the same as one failure, best first."""
        code, frames = hit.code, hit.frames
        wanted = RULES.get(told.cause, ())
        rows = [finding for finding in self._findings if finding.name in wanted]
        if told.cause in _BY_RULE_ALONE:
            found = list(self._of_behaviour(told, rows, frames))
        elif told.cause in _DATA:
            found = list(self._of_data(told, rows))
        elif told.cause == "missing-metadata":
            found = [Joined(row, Match.SAME) for row in rows if normalised(row.subject) == normalised(told.subject)]
        elif wanted is RULES["missing-module"] or told.cause in ("shadowed-module", "version-conflict"):
            found = list(self._of_module(told, hit.groups, rows))
        else:
            found = list(self._of_image(told, rows, frames, delayed=code.startswith("0xC06D")))
            if not found and not told.subject:
                found = self._of_program(rows, code)
        return sorted(found, key=lambda joined: joined.rank)

    def is_absent(self, name: str) -> bool:
        """Return True for a DLL that something needs and that is in no place that counts."""
        return fold(name) in self._absent

    def errors(self) -> list[Joined]:
        """Return the errors of the dist, for a text that does not tell which it is about."""
        return [Joined(row, Match.NEAR) for row in self._findings if row.severity.value == "error"]

    # --- DLLs ---

    def images(self, subject: str, frames: tuple[Frame, ...] = ()) -> list[str]:
        """Return the images of the dist that a text names, as a file or as a module; of many those of its frames."""
        tree = self._world.tree
        name = base_name(subject.replace("\\", "/"))
        if not name:
            return []
        if fold(name).endswith((".dll", ".pyd", ".exe")):
            found = [entry.path for entry in tree.named(name)]
        else:
            last = name.rpartition(".")[2]
            found = [entry.path for entry in tree.images() if _is_module(entry.path, last)]
            if not found:
                found = [entry.path for entry in tree.named(dll_file_name(name))]
        tails = [fold(path) for path in (inside_path(subject), subject.replace(".", "/")) if "/" in path]
        exact = [path for path in found if any(_without_suffix(fold(path)).endswith(_without_suffix(t)) for t in tails)]
        folders = self._packages(frames)
        near = [path for path in found if any(fold(path).startswith(f"{folder}/") for folder in folders)]
        return exact or near or found

    def _packages(self, frames: Iterable[Frame]) -> list[str]:
        """Return the packages that frames are of, folded, innermost first."""
        found = [self._inside(frame.path).split("/") for frame in frames]
        return list(dict.fromkeys(fold(parts[0]) for parts in reversed(found) if len(parts) > 1))

    def _inside(self, path: str) -> str:
        """Return a path of a text relative to the dist; the customer's folder may bear any name."""
        parts = re.sub(r"[\\/]+", "/", path).split("/")[-_MOST_PARTS:]
        known = (
            "/".join(parts[index:]) for index in range(len(parts) - 1) if self._world.tree.has_folder(parts[index])
        )
        return next((one for one in known if self._world.tree.has_folder(one.rpartition("/")[0])), inside_path(path))

    def _of_image(
        self, told: Told, rows: Sequence[Finding], frames: tuple[Frame, ...], *, delayed: bool
    ) -> Iterator[Joined]:
        subject = told.path if "/" in told.path or "\\" in told.path else told.subject or told.path
        starts = self.images(subject, frames)
        if not told.subject:
            folders = tuple(f"{folder}/" for folder in self._packages(frames[-1:]))
            starts = [entry.path for entry in self._world.tree.images() if fold(entry.path).startswith(folders)]
        reached = self._reached(starts, (*_LOADED, EdgeKind.DELAY) if delayed else _LOADED)
        named = fold(base_name(told.subject.replace("\\", "/")))
        for row in rows:
            absent = fold(row.subject) in self._absent
            if row.name in _DLLS and not absent and told.cause != "dll-init-failed":
                continue  # it is there, and old
            if named and fold(base_name(row.subject)) in (named, dll_file_name(named)):
                yield Joined(row, Match.SAME, absent=absent)
            elif _is_reached(row, reached):
                places = (row.subject, *(place.path for place in row.locations[:1]))
                distance = min(reached[key] for key in map(fold, places) if key in reached)
                sure = bool(named) and len(starts) == 1
                yield Joined(row, Match.NEEDED if sure else Match.ALIKE, distance, absent, sure)

    def _reached(self, starts: Iterable[str], kinds: tuple[EdgeKind, ...]) -> dict[str, int]:
        """Return by folded name which images and missing DLLs a load of some images leads to, with how far they are."""
        queue = deque((Node(kind, path), 0) for path in starts for kind in (NodeKind.IMAGE, NodeKind.PROGRAM))
        found: dict[str, int] = {}
        seen = {node for node, _ in queue}
        while queue:
            node, distance = queue.popleft()
            found.setdefault(fold(node.name), distance)
            for target, kind in self._loads.get(node, ()):
                if kind in kinds and target not in seen:
                    seen.add(target)
                    queue.append((target, distance + 1))
        return found

    def _of_program(self, rows: Sequence[Finding], code: str) -> list[Joined]:
        """Return what keeps the program from starting if an exit code says that; else everything of the kind."""
        if not code.startswith("0x"):
            return [Joined(row, Match.NEAR) for row in rows]
        delayed = code.startswith("0xC06D")
        programs = [program.path for program in self._world.dist.programs]
        reached = self._reached(programs, _LOADED)
        found = []
        for row in rows:
            if delayed:  # which of them was used, the number does not tell
                found.append(Joined(row, Match.ALIKE if row.name in _LATER else Match.NEAR))
            elif _is_reached(row, reached):
                distance = reached.get(fold(row.subject), 0)
                found.append(Joined(row, Match.NEEDED, distance, self.is_absent(row.subject), settled=True))
            else:
                found.append(Joined(row, Match.NEAR))
        return found

    # --- modules, data, behaviour ---

    def _of_module(self, told: Told, groups: dict[str, str], rows: Sequence[Finding]) -> Iterator[Joined]:
        name = groups.get("name", "")
        module = groups.get("module") or groups.get("package") or told.subject
        wanted = {module, f"{module}.{name}"} if name else {module}
        whole = not name and told.cause != "version-conflict"
        for row in rows:
            if not module:
                yield Joined(row, Match.NEAR)
            elif row.subject in wanted or any(one.startswith(f"{row.subject}.") for one in wanted):
                yield Joined(row, Match.SAME)
            elif row.subject.startswith(f"{module}."):
                yield Joined(row, Match.NEEDED if whole else Match.ALIKE)
            elif name and row.subject.rpartition(".")[2] == name:
                yield Joined(row, Match.ALIKE)

    def _of_data(self, told: Told, rows: Sequence[Finding]) -> Iterator[Joined]:
        path = fold(re.sub(r"[\\/]+", "/", told.path or told.subject)).strip("/")
        for row in rows:
            subject = fold(row.subject).strip("/")
            if path == subject or path.endswith(f"/{subject}") or f"/{subject}/" in f"/{path}":
                yield Joined(row, Match.SAME)
            elif subject.split("/")[0] == path or base_name(subject) == path:
                yield Joined(row, Match.NEEDED)
            elif base_name(subject) == base_name(path):
                yield Joined(row, Match.ALIKE)

    def _of_behaviour(self, told: Told, rows: Sequence[Finding], frames: tuple[Frame, ...]) -> Iterator[Joined]:
        paths = {fold(base_name(frame.path.replace("\\", "/"))) for frame in frames}
        elsewhere = Match.NEEDED if told.cause == "multiprocessing" else Match.ALIKE
        for row in rows:
            here = any(fold(base_name(place.path)) in paths for place in row.locations)
            yield Joined(row, Match.SAME if here else elsewhere)

    # --- what is there ---

    def words_on(self, told: Told) -> str:
        """Return what the dist and the environments say of something that no finding is about."""
        if told.cause == "excluded-module-guard" or not told.subject:
            return ""
        if RULES.get(told.cause) is RULES["missing-module"]:
            return self._words_on_module(told.subject)
        if told.cause in _DATA and told.subject:
            tree = self._world.tree
            known = tree.file(told.subject) or next(iter(tree.named(base_name(told.subject))), None)
            return (
                phrase("{known} is in the dist{other}", known=known.path, other=_OTHER)
                if known is not None
                else phrase("{subject} is not in the dist", subject=told.subject)
            )
        images = self.images(told.path or told.subject)
        if images:
            return phrase(
                "{image} is in the dist, and nothing that it imports is missing there{other}",
                image=images[0],
                other=_OTHER,
            )
        name = base_name(told.subject.replace("\\", "/"))
        return (
            phrase("{name} is not in the dist, and nothing in the dist is seen to need it", name=name)
            if _is_file(name)
            else ""
        )

    def _words_on_module(self, name: str) -> str:
        found: ModuleFile | None = self._world.walker.find(name)
        if found is not None and not found.is_provided:
            where = found.entry.path if found.entry is not None else phrase("inside the program")
            return phrase("{name} is in the dist ({where}){other}", name=name, where=where, other=_OTHER)
        supplied = self._world.supply.module(name)
        if supplied is not None:
            return phrase("{name} is not in the dist, and an environment has it", name=name)
        if self._world.supply:
            return phrase("{name} is not in the dist, nor in the environments given", name=name)
        return phrase("{name} is not in the dist", name=name)

    def placed(self, told: Told) -> Told:
        """Return what is told of a path as a path of the dist; the folder of the program may bear any name."""
        if told.cause not in _DATA or not re.search(r"[\\/]", told.path):
            return told
        inside = self._inside(told.path)
        if "/" not in inside or not self._world.tree.has_folder(inside.partition("/")[0]):
            return told
        package = self._world.walker.find(inside.partition("/")[0])
        here = package is not None and package.is_package and not package.is_provided
        return replace(told, cause="missing-package-data" if here else told.cause, subject=inside)

    def refusal(self, module: str) -> str:
        """Return what the program's loader says when it refuses a module, an empty string if it does not."""
        return (module and self._world.inside.refusal(module)) or ""


_OTHER = phrase(": the text comes from another build, or another machine")


def _is_file(name: str) -> bool:
    return name.lower().endswith((".dll", ".pyd", ".exe"))


def _is_module(path: str, stem: str) -> bool:
    name = base_name(path)
    return fold(name).endswith(".pyd") and name.partition(".")[0].lower() == stem.lower()


def _without_suffix(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"


def _is_reached(row: Finding, reached: dict[str, int]) -> bool:
    """Return True if loads lead to what a finding is about; of a missing function, both to who has it and who asks."""
    places = [fold(place.path) in reached for place in row.locations]
    if row.name in _DLLS:
        return fold(row.subject) in reached
    return any(places[:1]) and (row.name != "missing-symbol" or any(places[1:]))
