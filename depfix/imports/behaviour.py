"""Code that works in a source tree and may not in a frozen program: processes, sources, caches, paths, the console.

Sources: "multiprocessing", The spawn and forkserver start methods
https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods ; PyInstaller, "Common
Issues and Pitfalls" https://pyinstaller.org/en/stable/common-issues-and-pitfalls.html ; Nuitka, "Use Cases" and
"Tips" https://nuitka.net/user-documentation/ ; and what real builds do (tests/test_behaviour_programs.py).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache

from depfix.imports.commands import commands
from depfix.imports.conditions import argument_of, is_met
from depfix.imports.uses import BehaviourUse, Use, Where
from depfix.imports.values import Function, Items, Method, Reference, Value, alternatives
from depfix.imports.writing import written_places
from depfix.knowledge.conduct import FrozenCall, frozen_calls, process_starters
from depfix.wording.message import phrase, tabled

# What is noted without being a defect by itself.
START = "process-start"
FREEZE_SUPPORT = "freeze-support"
EARLY_SUPPORT = "early-freeze-support"
OUTPUT_GIVEN = "output-given"
WORK = "work"
# Names of rules.
UNGUARDED = "unguarded-multiprocessing"
REPEATED = "repeated-by-workers"
NO_PYTHON = "python-not-there"
SOURCE = "source-needed"
CACHE = "unwritable-cache"
WRITES = "writes-beside-program"
INPUT = "console-input"
OUTPUT = "console-output"

CHILD_NAME = "__mp_main__"  # what `__name__` is where a child runs the program's script again
ENDS = "ends"  # subject of a program whose window closes when it ends
OWN_FUNCTION = "<function>"  # subject where the source of a function of the same module is wanted
# On import, packages do what stands without indentation, decorators of functions included.
_PACKAGES_WORDS = (b"getsource", b"jit.script", b"cache=True", b"sys.executable", b"sys.std", b"faulthandler.")
_OF_PACKAGES = re.compile(rb"^[@\w].*(?:" + b"|".join(map(re.escape, _PACKAGES_WORDS)) + rb")", re.M)
_PACKAGES_RULES = frozenset((NO_PYTHON, SOURCE, CACHE, OUTPUT))
_CATCH_MISSING = frozenset(("OSError", "FileNotFoundError", "WindowsError", "IOError", "EnvironmentError"))
_CATCHES = {
    SOURCE: frozenset(("OSError", "TypeError", "IOError", "RuntimeError")),
    CACHE: frozenset(("RuntimeError",)),
    INPUT: frozenset(("RuntimeError", "EOFError")),
    OUTPUT: frozenset(("AttributeError", "RuntimeError")),
    NO_PYTHON: _CATCH_MISSING,
    WRITES: _CATCH_MISSING | {"PermissionError"},
}
_CATCH_ALL = frozenset(("Exception", "BaseException"))
_STREAM = re.compile(r"sys\.(?:__)?(stdout|stderr|stdin)(?:__)?\.(\w+)")
_TESTED = re.compile(
    rb"(?:\bif|\bnot|\band|\bor|while|elif|hasattr\(|bool\(|=)\s*\(?sys\.(?:__)?(stdout|stderr|stdin)(?:__)?\s*"
    rb"(?:is\b|and\b|or\b|if\b|:|\)|,|==|!=)|getattr\(\s*sys\s*,\s*['\"](stdout|stderr|stdin)"
)
_ITERATING = frozenset(f"builtins.{name}" for name in ("enumerate", "iter", "list", "tuple", "zip", "map", "next"))
ITERATING_CALLS = _ITERATING | {"multiprocessing.get_context", "__enter__"}
# A program with one of these is run from a terminal, waits by itself, or has windows of its own.
_STAYS = re.compile(
    rb"\binput\(|getch|getpass|[\"']pause[\"']|sys\.argv|argparse|\bclick\b|\btyper\b|\bfire\b|docopt|while\s+(?:True|1)"
    rb"|\bsleep\(|mainloop|\.exec_?\(|serve|\.run\(|\.show\(|waitKey|pygame|Thread|asyncio"
)


def may_behave(data: bytes) -> bool:
    """Return True if importing a package's source may do what frozen programs do otherwise, by the words in it."""
    return any(word in data for word in _PACKAGES_WORDS) and _OF_PACKAGES.search(data) is not None


class Conduct:
    """What one source does that is otherwise in a frozen program. Of the program's `own` sources all is wanted."""

    def __init__(self, data: bytes, *, own: bool) -> None:
        self._own = own
        self._data = data

    @cached_property
    def _tested(self) -> frozenset[str]:
        """The streams that the source asks for before it uses them."""
        return frozenset((one or other).decode() for one, other in _TESTED.findall(self._data))

    @cached_property
    def _stays(self) -> bool:
        return _STAYS.search(self._data) is not None

    def of_call(
        self,
        called: Reference | Method,
        arguments: list[Value],
        keywords: dict[str, Value],
        where: Where,
        caught: frozenset[str],
        python: Value,
    ) -> Iterator[BehaviourUse]:
        """Yield what a call does; `caught` are the exceptions that pass there, `python` is sys.executable."""
        if not self._own and where.deferred:
            return
        for use in self._of_call(called, arguments, keywords, where, python):
            passes = _CATCHES[use.rule] | _CATCH_ALL if use.rule in _CATCHES else frozenset()
            if (self._own or use.rule in _PACKAGES_RULES) and not caught & passes:
                yield use

    def _of_call(
        self,
        called: Reference | Method,
        arguments: list[Value],
        keywords: dict[str, Value],
        where: Where,
        python: Value,
    ) -> Iterator[BehaviourUse]:
        if isinstance(called, Reference):
            yield from _started(called.name, arguments, keywords, where)
            row = frozen_calls().get(called.name)
            if row is not None:
                yield from _of_row(called.name, row, arguments, keywords, where)
            yield from (
                BehaviourUse(where, NO_PYTHON, one.words, one.subject)
                for one in commands(called.name, arguments, keywords, python)
            )
        for place in written_places(called, arguments, keywords):
            yield BehaviourUse(where, WRITES, phrase("writes files"), place)
        if self._own and called.name == "builtins.print" and not self._stays and not where.deferred:
            yield BehaviourUse(where, INPUT, phrase("prints, and ends"), ENDS)

    def of_attribute(self, name: str, where: Where, caught: frozenset[str]) -> Iterator[BehaviourUse]:
        """Yield what a use of `sys.stdout.write` and the like does: there is no sys.stdout without a console."""
        found = _STREAM.fullmatch(name)
        if found is None or (where.deferred and not self._own) or found.group(1) in self._tested:
            return
        stream, attribute = found.groups()
        if caught & (_CATCHES[OUTPUT] | _CATCH_ALL) or attribute.startswith("__"):
            return
        yield BehaviourUse(
            where,
            INPUT if stream == "stdin" else OUTPUT,
            phrase("uses sys.{stream}.{attribute}", stream=stream, attribute=attribute),
            stream,
        )

    def of_assignment(self, target: ast.expr, where: Where) -> Iterator[BehaviourUse]:
        """Yield that `sys.stdout` and the like get another stream."""
        if not isinstance(target, ast.Attribute) or target.attr not in ("stdout", "stderr", "stdin"):
            return
        if isinstance(target.value, ast.Name) and target.value.id == "sys":
            yield BehaviourUse(where, OUTPUT_GIVEN, phrase("gives sys.{attr} a stream", attr=target.attr), target.attr)

    def of_iteration(self, value: Value, where: Where) -> Iterator[BehaviourUse]:
        """Yield the start of processes by iterating over something."""
        for one in alternatives(value) if self._own else ():
            if isinstance(one, Reference):
                yield from _started(f"{one.name}[]", [], {}, where)


def result_of(called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
    """Return what a call gives whose result starts processes later: `name()`; None for other calls."""
    if not isinstance(called, Reference):
        return None
    if called.name.endswith("multiprocessing.get_context"):
        return Reference(called.name.rpartition(".")[0])
    if called.name.endswith("().__enter__"):
        return Reference(called.name.removesuffix(".__enter__"))
    row = process_starters().get(called.name)
    if row is not None and is_met(row.terms, arguments, keywords) is False:
        return None
    given = f"{called.name}()"
    return Reference(given) if given in _results() else None


@lru_cache(maxsize=1)
def _results() -> frozenset[str]:
    """Return `name()` for each call whose result matters."""
    return frozenset(name[: name.rfind("()") + 2] for name in process_starters() if "()" in name)


def is_repeated(use: Use) -> bool:
    """Return True for what a child process does again if no guard keeps it from it."""
    return isinstance(use, BehaviourUse) and not use.where.deferred and use.rule in _AGAIN


_AGAIN = {START: UNGUARDED, FREEZE_SUPPORT: EARLY_SUPPORT, WORK: REPEATED, INPUT: REPEATED}


def starts_processes(uses: Iterable[Use]) -> bool:
    """Return True if some code starts processes."""
    return any(isinstance(use, BehaviourUse) and use.rule == START for use in uses)


def repeated(uses: Iterable[Use]) -> Iterator[BehaviourUse]:
    """Yield what a child process repeats, by the uses of a program that is read under the name of a child's."""
    for use in uses:
        if isinstance(use, BehaviourUse) and is_repeated(use) and use.subject != ENDS:
            yield replace(use, rule=_AGAIN[use.rule])


def _started(name: str, arguments: list[Value], keywords: dict[str, Value], where: Where) -> Iterator[BehaviourUse]:
    row = process_starters().get(name)
    met = is_met(row.terms, arguments, keywords) if row is not None else False
    if row is not None and met is not False:
        surely = met is True and not row.prepares
        shown = re.sub(r"\(\)|\[\]", "", name)
        yield BehaviourUse(where if surely else replace(where, conditional=True), START, shown, shown)
    if name in _ITERATING:
        for one in arguments:
            if isinstance(one, Reference):
                yield from _started(f"{one.name}[]", [], {}, where)


def _of_row(
    name: str, row: FrozenCall, arguments: list[Value], keywords: dict[str, Value], where: Where
) -> Iterator[BehaviourUse]:
    met = is_met(row.terms, arguments, keywords)
    if row.rule == WRITES or met is False:
        return  # what is written is looked at with all other paths
    at = where if met else replace(where, conditional=True)
    if row.rule != SOURCE:
        rule = WORK if row.rule == REPEATED else row.rule  # only a child repeats it
        yield BehaviourUse(
            at, rule, phrase("calls {shown}, which {words}", shown=_shown(name), words=tabled(row.words)), _shown(name)
        )
        return
    given = argument_of(row.argument, row.position, arguments, keywords)
    for one in alternatives(given) if given is not None else ():
        subject = OWN_FUNCTION if isinstance(one, Function) else one.name if isinstance(one, Reference) else ""
        if not isinstance(one, Items):
            yield BehaviourUse(
                at, SOURCE, phrase("calls {shown}, which {words}", shown=_shown(name), words=tabled(row.words)), subject
            )


def _shown(name: str) -> str:
    return name.removeprefix("builtins.")
