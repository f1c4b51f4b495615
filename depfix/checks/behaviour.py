"""DF401 to DF410: what works in a source tree and not, or otherwise, in a frozen program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from depfix.checks.findings import finding, surest_first
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, NodeKind, chain_texts
from depfix.closure.inside import PROGRAM
from depfix.dist.freezers import Freezer
from depfix.frozen.contents import Storage
from depfix.imports.behaviour import (
    CACHE,
    EARLY_SUPPORT,
    ENDS,
    FREEZE_SUPPORT,
    INPUT,
    NO_PYTHON,
    OUTPUT,
    OUTPUT_GIVEN,
    OWN_FUNCTION,
    REPEATED,
    SOURCE,
    START,
    UNGUARDED,
    WRITES,
)
from depfix.imports.commands import BY_NAME, RESTART
from depfix.imports.finder import ModuleKind
from depfix.imports.uses import Strength
from depfix.imports.writing import BESIDE
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.wording.message import joined, phrase

_WINDOWS_GUI = (
    2  # IMAGE_SUBSYSTEM_WINDOWS_GUI https://learn.microsoft.com/windows/win32/debug/pe-format#windows-subsystem
)
_WORKERS_MAIN = "__parents_main__"  # the program's script as Nuitka compiles it once more, for workers
_ARCHIVES = (Freezer.PYINSTALLER, Freezer.CX_FREEZE)
_MOST_LOCATIONS = 20
_GUARD = 'if __name__ == "__main__"'


@dataclass(frozen=True, slots=True)
class _Act:
    """One thing that some code does: how surely, the edge that tells, and which of several kinds it is."""

    strength: Strength
    edge: Edge
    subject: str

    @property
    def place(self) -> str:
        return f"{self.edge.path or self.edge.source.name}:{self.edge.line}"

    @property
    def sure(self) -> bool:
        return self.strength is Strength.REQUIRED


class _Acts:
    """What the modules of a closure do, by the name of the behaviour and by module, surest first."""

    def __init__(self, closure: Closure) -> None:
        self.closure = closure
        self.world = closure.world
        self.freezer = closure.world.dist.freezer
        self._rows: dict[str, dict[str, list[_Act]]] = {}
        edges = [edge for edge in closure.graph.edges() if edge.target.kind is NodeKind.BEHAVIOUR]
        for strength, edge in surest_first(closure.graph, edges):
            act = _Act(strength, edge, edge.asked.rpartition(":")[0])
            self._rows.setdefault(edge.target.name, {}).setdefault(edge.source.name, []).append(act)

    def by_module(self, name: str, *, own: bool = False) -> Mapping[str, list[_Act]]:
        rows = self._rows.get(name, {})
        return {module: acts for module, acts in rows.items() if not own or self.is_own(module)}

    def own(self, name: str) -> list[_Act]:
        """Return what the program's own code does, surest first."""
        return [act for acts in self.by_module(name, own=True).values() for act in acts]

    def is_own(self, module: str) -> bool:
        return self.world.authorship.is_of_project(module)

    def is_inside(self, module: str) -> bool:
        """Return True for a module that runs from inside the program, or from no file of the dist, as compiled code."""
        return self.freezer.hides_code and not self.world.authorship.lies_in_dist(module)

    @cached_property
    def is_windowed(self) -> bool:
        """True if the program has no console: its image says so."""
        entry = self.world.tree.file(self.world.dist.host.path)
        image = self.world.facts.image(entry) if entry is not None else None
        return isinstance(image, Image) and image.subsystem == _WINDOWS_GUI

    def has_inside(self, module: str) -> bool | None:
        """Return True if a module is inside the program, None if that cannot be known."""
        inside = self.world.inside
        if inside.contents is None or not inside.is_readable:
            return None
        row = inside.contents.modules.get(module)
        return row is not None and row.storage is not Storage.EXCLUDED


def check_behaviour(closure: Closure) -> Iterator[Finding]:
    """Yield one finding for each rule and module, with all lines as locations."""
    acts = _Acts(closure)
    if acts.freezer is Freezer.NONE:
        return
    for check in (_processes, _pythons, _sources, _caches, _writes, _console):
        yield from check(acts)


# --- processes -------------------------------------------------------------------------------------------------------


def _processes(acts: _Acts) -> Iterator[Finding]:
    starts, unguarded = acts.own(START), acts.by_module(UNGUARDED, own=True)
    if not starts:
        return
    left_out = acts.freezer is Freezer.NUITKA and acts.has_inside(_WORKERS_MAIN) is False
    if left_out:
        yield from (_left_out(acts, module, rows) for module, rows in acts.by_module(START, own=True).items())
    if acts.freezer in _ARCHIVES and acts.own(EARLY_SUPPORT):
        unguarded = {}  # a worker gets no further than that
    yield from (_unguarded(acts, module, rows) for module, rows in unguarded.items())
    if acts.freezer in _ARCHIVES and not unguarded and not acts.own(FREEZE_SUPPORT):
        yield from (_unsupported(acts, module, rows) for module, rows in acts.by_module(START, own=True).items())
    for module, rows in acts.by_module(REPEATED, own=True).items():
        yield _repeated(acts, module, rows)


def _unguarded(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    effect = phrase("starts processes of its own, without end")
    if not acts.freezer.hides_code:
        effect = phrase("ends with RuntimeError where it would start processes")
    cure = phrase("Put what starts them under {guard}", guard=_GUARD)
    if acts.freezer in _ARCHIVES:
        cure += phrase(", behind multiprocessing.freeze_support()")
    message = phrase(
        "{place} starts processes by {note} outside of {guard}; each worker runs the script from its "
        "start, and {effect}. {cure}.",
        place=first.place,
        note=first.edge.note,
        guard=_GUARD,
        effect=effect,
        cure=cure,
    )
    return _finding(acts, UNGUARDED, module, rows, message, _severity(first))


def _unsupported(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    message = phrase(
        "{place} starts processes by {note}, and nothing calls multiprocessing.freeze_support(): each "
        "worker is the program once more, from its start. Call it first under {guard}.",
        place=first.place,
        note=first.edge.note,
        guard=_GUARD,
    )
    return _finding(acts, "missing-freeze-support", module, rows, message, _severity(first))


def _repeated(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    what = joined(
        "; ",
        dict.fromkeys(
            phrase("line {line} {note}", line=act.edge.line, note=act.edge.note) for act in sorted(rows, key=_line)[:4]
        ),
    )
    more = phrase("; and {number} more", number=len(rows) - 4) if len(rows) > 4 else ""
    message = phrase(
        "each worker that the program starts runs what stands outside of {guard} once more: "
        "{what}{more}. Put it into a function that is called under that guard.",
        guard=_GUARD,
        what=what,
        more=more,
    )
    return _finding(acts, REPEATED, module, rows, message, Severity.WARNING)


def _left_out(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    message = phrase(
        "{place} starts processes by {note}, and the program was compiled without what makes it a "
        "worker: each one runs the program from its start, without end. Build it again with import "
        "multiprocessing in the program's script, and with Nuitka's multiprocessing plug-in.",
        place=first.place,
        note=first.edge.note,
    )
    return _finding(acts, "multiprocessing-left-out", module, rows, message, _severity(first))


# --- Python, sources, caches -----------------------------------------------------------------------------------------


def _pythons(acts: _Acts) -> Iterator[Finding]:
    for module, rows in acts.by_module(NO_PYTHON).items() if acts.freezer.hides_code else ():
        wrong = [act for act in rows if act.subject not in (RESTART, BY_NAME)]
        restarts = [act for act in rows if act.subject == RESTART]
        named = [act for act in rows if act.subject == BY_NAME]
        if acts.freezer is Freezer.NUITKA and acts.has_inside(_WORKERS_MAIN) is False:
            wrong += restarts
        for found in (wrong, named):
            if found:
                yield _no_python(acts, module, found)
                break


def _no_python(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    severity = _severity(first)
    if first.subject == BY_NAME:
        effect = phrase("which a clean machine does not have")
        severity = Severity.WARNING
    elif acts.freezer is Freezer.NUITKA:
        effect = phrase("and sys.executable is python.exe in the dist, which is not there (WinError 2)")
        if acts.has_inside("multiprocessing") is not False:
            effect += phrase("; once multiprocessing is imported it is the program itself")
    else:
        effect = phrase(
            "and sys.executable is the program itself: it starts once more, and does not do what it is told"
        )
    cure = phrase("Import and call what is wanted instead; what pip would install has to be frozen into the program.")
    return _finding(
        acts,
        NO_PYTHON,
        module,
        rows,
        phrase("{place} {note}, {effect}. {cure}", place=first.place, note=first.edge.note, effect=effect, cure=cure),
        severity,
    )


def _sources(acts: _Acts) -> Iterator[Finding]:
    for module, rows in acts.by_module(SOURCE).items():
        wanted = [act for act in rows if _lacks_source(acts, module, act) is not False]
        wanted.sort(key=lambda act: (_lacks_source(acts, module, act) is not True, -act.strength))
        if not wanted:
            continue
        first = wanted[0]
        known = _lacks_source(acts, module, first)
        severity = _severity(first) if known and acts.is_own(module) else Severity.WARNING
        file = _source_file(acts, module)
        cure = (
            phrase(
                "Put the source beside the program as {file} (--include-data-files=SOURCE={file}), or do without it.",
                file=file,
            )
            if acts.freezer is Freezer.NUITKA and file
            else phrase("Do without it, or ship the module as a source file.")
        )
        frozen = "compiled" if acts.freezer is Freezer.NUITKA else "frozen"
        error = phrase("OSError: could not get source code")
        message = phrase(
            "{place} {note}; of {frozen} code there is none ({error}). {cure}",
            place=first.place,
            note=first.edge.note,
            frozen=frozen,
            error=error,
            cure=cure,
        )
        yield _finding(acts, SOURCE, module, wanted, message, severity)


def _lacks_source(acts: _Acts, module: str, act: _Act) -> bool | None:
    """Return True if what an act wants the source of surely has none, None if that is not known."""
    if act.subject == OWN_FUNCTION:
        return acts.is_inside(module) and not _has_source_file(acts, module)
    if not act.subject:
        return None if acts.is_inside(module) and not _has_source_file(acts, module) else False
    name = act.subject
    while name:
        found = acts.world.walker.find(name)
        if found is not None and found.kind is not ModuleKind.NAMESPACE:
            return None if acts.is_inside(name) and not _has_source_file(acts, name) else False
        name = name.rpartition(".")[0]
    return None


def _has_source_file(acts: _Acts, module: str) -> bool:
    """Return True if a source lies where compiled code says that it is from: Python reads it there."""
    file = _source_file(acts, module)
    return bool(file) and acts.freezer is Freezer.NUITKA and acts.world.tree.file(file) is not None


def _source_file(acts: _Acts, module: str) -> str:
    """Return the dist-relative path that Nuitka gives a compiled module, an empty string for a script elsewhere."""
    found = acts.world.walker.find(module)
    if module.startswith("<") or module == PROGRAM:
        path = acts.world.source_path(module)
        return path.replace("\\", "/").rpartition("/")[2]
    return module.replace(".", "/") + ("/__init__.py" if found is not None and found.is_package else ".py")


def _caches(acts: _Acts) -> Iterator[Finding]:
    for module, rows in acts.by_module(CACHE).items():
        if not acts.is_inside(module) or _has_source_file(acts, module):
            continue
        first = rows[0]
        message = phrase(
            "{place} {note}: the cache belongs beside the source, and of code inside the program there is "
            "none (RuntimeError: cannot cache function: no locator available). Leave out cache=True.",
            place=first.place,
            note=first.edge.note,
        )
        severity = (
            _severity(first) if acts.freezer in _ARCHIVES else Severity.WARNING
        )  # a Nuitka function has no bytecode
        yield _finding(acts, CACHE, module, rows, message, severity)


# --- files and the console -------------------------------------------------------------------------------------------


def _writes(acts: _Acts) -> Iterator[Finding]:
    for module, rows in acts.by_module(WRITES, own=True).items() if acts.freezer.hides_code else ():
        beside = [act for act in rows if act.subject == BESIDE]
        found = beside or rows
        first = found[0]
        where = (
            phrase("beside the program")
            if beside
            else phrase("into the current directory, which may be the program's folder")
        )
        message = phrase(
            "{place} writes {where}; in Program Files users may not (PermissionError). Write to a folder of "
            "the user, such as os.environ['LOCALAPPDATA'].",
            place=first.place,
            where=where,
        )
        yield _finding(acts, WRITES, module, found, message, Severity.WARNING if beside else Severity.INFO)


def _console(acts: _Acts) -> Iterator[Finding]:
    for module, rows in acts.by_module(INPUT).items() if acts.freezer.hides_code else ():
        asking = [act for act in rows if act.subject != ENDS]
        if acts.freezer is Freezer.NUITKA:
            asking = [act for act in asking if act.subject != "stdin"]  # NUL, which is empty
        if acts.is_windowed and asking and not _is_given(acts, "stdin"):
            yield _no_input(acts, module, asking)
        elif (
            not acts.is_windowed
            and all(act.subject == ENDS for act in rows)
            and acts.is_own(module)
            and len(acts.own(INPUT)) == len(rows)
        ):
            last = max(rows, key=_line)
            message = phrase(
                "the program prints, last in line {line}, and ends: started by a double click, its window is "
                "gone before anybody can read it. End with input() if users start it so.",
                line=last.edge.line,
            )
            yield _finding(acts, INPUT, module, [last], message, Severity.INFO)
    streams = acts.is_windowed and acts.freezer in _ARCHIVES  # Nuitka opens NUL where there is no console
    for module, rows in acts.by_module(OUTPUT).items() if streams else ():
        lost = [act for act in rows if not _is_given(acts, _stream(act))]
        if lost:
            yield _no_output(acts, module, lost)


def _no_input(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    effect = phrase("RuntimeError: lost sys.stdin") if first.subject != "stdin" else phrase("sys.stdin is None")
    if acts.freezer is Freezer.NUITKA:
        effect = phrase("EOFError: EOF when reading a line")
    message = phrase(
        "{place} {note}, and the program was built without a console ({effect}). Build it with one, or "
        "ask in a window.",
        place=first.place,
        note=first.edge.note,
        effect=effect,
    )
    return _finding(acts, INPUT, module, rows, message, _severity(first))


def _no_output(acts: _Acts, module: str, rows: list[_Act]) -> Finding:
    first = rows[0]
    message = phrase(
        "{place} {note}, and without a console sys.{stream} is None. Give it a stream at the very start: "
        'if sys.{stream} is None: sys.{stream} = open(os.devnull, "w").',
        place=first.place,
        note=first.edge.note,
        stream=_stream(first),
    )
    return _finding(acts, OUTPUT, module, rows, message, _severity(first))


def _stream(act: _Act) -> str:
    return act.subject if act.subject in ("stdout", "stderr", "stdin") else "stderr"


def _is_given(acts: _Acts, stream: str) -> bool:
    return any(act.subject == stream for act in acts.own(OUTPUT_GIVEN))


# --- what all of them share ------------------------------------------------------------------------------------------


def _line(act: _Act) -> int:
    return act.edge.line


def _severity(act: _Act) -> Severity:
    return Severity.ERROR if act.sure else Severity.WARNING


def _finding(acts: _Acts, rule: str, module: str, rows: list[_Act], message: str, severity: Severity) -> Finding:
    graph = acts.closure.graph
    first = rows[0]
    lines = sorted(dict.fromkeys((act.edge.path, act.edge.line) for act in rows))
    chain = chain_texts(graph.chain(first.edge.source), graph.root)
    return finding(
        rule,
        acts.world.source_path(module) if module.startswith("<") else module,
        message,
        severity=severity,
        confidence=Confidence.CERTAIN if first.sure else Confidence.PROBABLE,
        locations=tuple(Location(path, line) for path, line in lines[:_MOST_LOCATIONS]),
        chain=chain if chain[-1:] == (first.place,) else (*chain, first.place),
    )
