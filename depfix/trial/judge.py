"""What was seen of a run as findings: failure, loads from outside, what was looked for in vain or not foreseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.loader.system import CleanSystem
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.names import base_name, fold
from depfix.model.run import Comparison, Ended, Load, Observed, Order, Sought
from depfix.trial.compare import names_in_closure
from depfix.trial.exits import exit_words
from depfix.wording.message import counted, joined, phrase

_LAST_LINES = 6
_LONGEST_LINE = 300
_MOST_GAPS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """All that findings are made of: the run (None of a trace), what was observed of it, and the closure.

    `is_own` tells of a path outside the dist that it is the run's own, such as what it unpacked; `strange_loads` is
    True where this machine may load into any program what is its own (hooks, drivers): on Windows, not under Wine.
    """

    program: str
    order: Order
    ended: Ended | None
    observed: Observed
    system: CleanSystem
    closure: Closure | None
    comparison: Comparison | None
    is_own: Callable[[str], bool]
    strange_loads: bool

    @property
    def gaps(self) -> tuple[str, ...]:
        """What Wine lacks and a clean Windows has, as far as the program asked for it."""
        absent = [base_name(one.name) for one in self.observed.sought if self.system.has(_dll(one.name))]
        return (*self.observed.gaps, *dict.fromkeys(absent))

    @property
    def failure(self) -> str:
        """Why the run is no success, as a clause on the program; empty if it is one, or if there was none."""
        order, ended = self.order, self.ended
        if ended is None:
            return ""
        if order.expect and not ended.says(order.expect):
            how = (
                phrase("ended with {exit_words}", exit_words=self.exit_words)
                if ended.code is not None
                else phrase("ran for {seconds:.0f} s", seconds=ended.seconds)
            )
            return phrase("never printed {expect}; it {how}", expect=repr(order.expect), how=how)
        if ended.code is None:
            return (
                ""
                if order.alive or order.expect
                else phrase("did not end within {timeout:.0f} s", timeout=order.timeout)
            )
        return (
            phrase("ended with {exit_words} after {seconds:.1f} s", exit_words=self.exit_words, seconds=ended.seconds)
            if ended.code
            else ""
        )

    @property
    def exit_words(self) -> str:
        """The exit code in words; where the system cuts it to its last byte, the log may tell the whole."""
        code = self.ended.code if self.ended is not None else None
        if code is None:
            return ""
        whole = [status for status in self.observed.statuses if status & 0xFF == code & 0xFF]
        if self.ended is not None and not self.ended.whole_code and code and whole:
            return phrase("exit code {exit}", exit=exit_words(whole[0]))
        return phrase("exit code {exit}", exit=exit_words(code))


def judged(seen: Seen) -> tuple[Finding, ...]:
    """Return the findings of a run, worst first."""
    found = [*_failed(seen), *_from_outside(seen), *_not_found(seen), *_unresolved(seen), *_unforeseen(seen)]
    return tuple(sorted(found, key=lambda row: (row.severity.rank, row.rule, row.subject)))


# --- it failed -------------------------------------------------------------------------------------------------------


def _failed(seen: Seen) -> Iterator[Finding]:
    waits = seen.ended is not None and seen.ended.code is None
    if seen.failure:
        parts = [
            phrase("{program} {failure}", program=seen.program, failure=seen.failure),
            *_boxes(seen),
            *_last_words(seen),
        ]
        severity = None
        if seen.gaps:
            lacks = ", ".join(seen.gaps[:_MOST_GAPS])
            parts.append(
                phrase(
                    "Wine lacks {lacks}, which Windows has: try it on Windows before you blame the dist", lacks=lacks
                )
            )
            severity = Severity.WARNING
        elif _could_not_print(seen):
            parts.append(
                phrase("it printed to a pipe, which takes the characters of one code page; a console takes every one")
            )
            severity = Severity.WARNING
        sure = Confidence.PROBABLE if severity is not None else Confidence.CERTAIN
        yield finding("program-failed", seen.program, joined("; ", parts), severity=severity, confidence=sure)
    elif waits and seen.observed.boxes:
        message = phrase(
            "{program} still ran, but {boxes}: look whether that is an error",
            program=seen.program,
            boxes=joined("; ", _boxes(seen)),
        )
        yield finding("program-failed", seen.program, message, severity=Severity.WARNING)


def _could_not_print(seen: Seen) -> bool:
    """Return True if a program that does not heed PYTHONIOENCODING stumbled over what it printed itself."""
    last = seen.ended.err.rstrip().rpartition("\n")[2] if seen.ended is not None else ""
    return last.startswith("UnicodeEncodeError: ")


def _boxes(seen: Seen) -> list[str]:
    texts = (" ".join(box.split())[:_LONGEST_LINE] for box in seen.observed.boxes)
    return [phrase('it shows a message box: "{text}"', text=text) for text in texts]


def _last_words(seen: Seen) -> list[str]:
    ended = seen.ended
    lines = [line.strip() for line in (ended.err or ended.out).splitlines()] if ended is not None else []
    shown = [line[:_LONGEST_LINE] for line in lines if line][-_LAST_LINES:]
    return [phrase("its last lines: {shown}", shown=" | ".join(shown))] if shown else [phrase("it printed nothing")]


# --- it loaded what only this machine has ----------------------------------------------------------------------------


def _from_outside(seen: Seen) -> Iterator[Finding]:
    needed = names_in_closure(seen.closure) if seen.closure is not None else frozenset[str]()
    for load in seen.observed.loads:
        name = fold(load.name)
        if load.inside or (not load.system and seen.is_own(load.path)):
            continue
        if load.system:
            if name in needed and not _on_clean_windows(seen.system, name):
                carried = seen.closure is not None and bool(seen.closure.world.tree.named(name))
                yield _outside(load, _system_words(seen, load), Severity.INFO if carried else None)
        elif not seen.strange_loads or name in needed or name.endswith(".pyd"):
            words = phrase(
                "{load} was loaded from {load2}: it works only where that file is", load=load.name, load2=load.path
            )
            yield _outside(load, words, None)
        else:
            words = phrase(
                "{load} was loaded from {load2}; nothing in the dist names it, so it may be this machine's",
                load=load.name,
                load2=load.path,
            )
            yield _outside(load, words, Severity.INFO)


def _outside(load: Load, message: str, severity: Severity | None) -> Finding:
    sure = Confidence.POSSIBLE if severity is Severity.INFO else Confidence.CERTAIN
    return finding("loaded-from-outside", fold(load.name), message, severity=severity, confidence=sure)


def _system_words(seen: Seen, load: Load) -> str:
    if load.builtin:
        return phrase(
            "Wine has a {load} of its own; {target} has none, and the dist needs it",
            load=load.name,
            target=seen.system.target.words,
        )
    return phrase(
        "{load} was loaded from {load2}, where {target} has none when it is new",
        load=load.name,
        load2=load.path,
        target=seen.system.target.words,
    )


def _on_clean_windows(system: CleanSystem, name: str) -> bool:
    return system.has(name) or system.api_set_host(name) is not None


# --- it did not find -------------------------------------------------------------------------------------------------


def _not_found(seen: Seen) -> Iterator[Finding]:
    """Yield one finding for each DLL, whoever looked for it."""
    by_name: dict[str, list[Sought]] = {}
    for one in seen.observed.sought:
        if not _on_clean_windows(seen.system, _dll(one.name)):
            by_name.setdefault(_dll(one.name), []).append(one)
    for name, rows in by_name.items():
        node = Node(NodeKind.MISSING, name)
        known = seen.closure is not None and seen.closure.graph.strength(node) is not None
        importers = tuple(dict.fromkeys(one.importer for one in rows if one.importer))
        blamed = bool(seen.failure) and (bool(importers) or known)
        message = phrase(
            "{row} was not found{importers}{status}",
            row=base_name(rows[0].name),
            importers=_importers(importers),
            status=_status(rows[0]),
        )
        if known:
            message += phrase("; scan names it, too: `depfix repair` copies it in")
        elif not importers:
            message += phrase("; code asked for it when it ran")
            message += "" if seen.failure else phrase(", and went on without it")
        yield finding(
            "not-found-when-run",
            name,
            message,
            severity=None if blamed else Severity.INFO,
            confidence=Confidence.CERTAIN if blamed else Confidence.POSSIBLE,
            locations=tuple(Location(importer) for importer in importers),
            chain=_chain(seen, rows[0], node),
        )


def _importers(importers: tuple[str, ...]) -> str:
    if not importers:
        return ""
    more = phrase(" and {number} more", number=len(importers) - 2) if len(importers) > 2 else ""
    names = ", ".join(importers[:2])
    return counted(len(importers), "; {names}{more} imports it", "; {names}{more} import it", names=names, more=more)


def _status(one: Sought) -> str:
    return phrase(" (status {exit})", exit=exit_words(one.status)) if one.status and one.status != 0xC0000135 else ""


def _chain(seen: Seen, one: Sought, node: Node) -> tuple[str, ...]:
    if seen.closure is None:
        return (one.importer, _dll(one.name)) if one.importer else ()
    chain = seen.closure.graph.chain(node)
    if chain:
        return chain_texts(chain, seen.closure.graph.root)
    image = Node(NodeKind.IMAGE, one.importer)
    above = chain_texts(seen.closure.graph.chain(image), seen.closure.graph.root) if one.importer else ()
    return (*above, _dll(one.name)) if above else ()


def _dll(asked: str) -> str:
    return fold(base_name(asked))


def _unresolved(seen: Seen) -> Iterator[Finding]:
    """Wine loads a DLL although a symbol that it imports is absent, and fails when it is called; Windows does not."""
    here = {fold(base_name(load.inside)): load.inside for load in seen.observed.loads if load.inside}
    rows: dict[tuple[str, str], list[str]] = {}
    for one in seen.observed.unresolved:
        if fold(one.dll) in here:
            rows.setdefault((fold(one.dll), one.importer), []).append(one.symbol)
    for (dll, importer), symbols in rows.items():
        more = phrase(" and {number} more", number=len(symbols) - 1) if len(symbols) > 1 else ""
        message = phrase(
            "{here} lacks {symbol}{more}, which {importer} imports: Windows does not load that one",
            here=here[dll],
            symbol=symbols[0],
            more=more,
            importer=importer,
        )
        yield finding("unresolved-when-run", dll, message, locations=(Location(importer),), identity=importer)


# --- it was not foreseen ---------------------------------------------------------------------------------------------


def _unforeseen(seen: Seen) -> Iterator[Finding]:
    comparison = seen.comparison
    if comparison is None:
        return
    for path in comparison.unforeseen:
        message = phrase("{path} was loaded, and depfix did not find out who needs it: a gap of depfix", path=path)
        yield finding("unforeseen-load", path, message, locations=(Location(path),))
    paths = comparison.unforeseen_modules
    if paths:
        message = phrase(
            "{number} sources were read that depfix did not expect, such as {paths}",
            number=len(paths),
            paths=", ".join(paths[:3]),
        )
        yield finding("unforeseen-load", paths[0], message, locations=tuple(Location(path) for path in paths[:20]))
