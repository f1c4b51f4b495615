"""Reads compiled Python without its source: what importing it does, for the target.

A code object is a file of its own (.pyc), or lies in an archive or inside a program. It tells what a source tells of
import statements, of their circumstances, and of who may call whom; DLL directories and DLL loads are not read from it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from depfix.imports.byname import IMPORT_FUNCTIONS, module_names
from depfix.imports.calls import HARMLESS
from depfix.imports.flow import Follower
from depfix.imports.guards import Guards
from depfix.imports.machine import Scope
from depfix.imports.marshal import CodeValue, MarshalProblem, read_marshal
from depfix.imports.mentions import ClassBases, all_codes, global_stores, importing, mentions_of, stored_names
from depfix.imports.opcodes import Instructions, InstructionSet, instruction_sets, version_of_magic
from depfix.imports.probes import needs_of
from depfix.imports.stack import CLASS_BUILDER, ImportNote, Slot
from depfix.imports.uses import (
    Absence,
    Calls,
    FunctionCalls,
    ImportUse,
    Mentions,
    SourceFacts,
    SourceTarget,
    Where,
)
from depfix.imports.values import UNKNOWN, Reference, Value
from depfix.wording.message import phrase

_HEADER = struct.Struct("<HHI")
_HEADER_SIZE = 16
_UNGUARDED = Guards()
_FLAGS = 3  # hash-based, checked
_OPTIMIZED = 0x1  # CO_OPTIMIZED: set for functions, not for modules and class bodies
_DEEPEST_CALL = 8
_GENERIC = "<generic parameters of "
_ANNOTATIONS = "__annotate__"  # since Python 3.14: run only if somebody asks for annotations
# Names that tell that a module may bind others in a way that cannot be followed.
_BY_CODE = frozenset(
    "globals __path__ setattr exec vars locals __dict__ f_globals declare_namespace global_enum _convert_".split()
)


def read_pyc(data: bytes, target: SourceTarget, *, is_package: bool = False) -> SourceFacts:
    """Return what a .pyc file uses, for `target`. Never raises: the reason is in `error`.

    The header is magic number, flags, then source time and size or source hash. Source: PEP 552
    https://peps.python.org/pep-0552/
    """
    if len(data) < _HEADER_SIZE:
        return SourceFacts((), phrase("it is shorter than the header of a .pyc file"))
    magic, end, flags = _HEADER.unpack_from(data)
    version = version_of_magic(magic)
    if end != 0x0A0D or version is None:
        return SourceFacts((), phrase("bytecode of an unknown Python (magic number {magic})", magic=magic))
    if version != target.version:
        wanted = ".".join(map(str, target.version))
        return SourceFacts(
            (),
            phrase(
                "bytecode of Python {version}.{version2}, which {wanted} does not read",
                version=version[0],
                version2=version[1],
                wanted=wanted,
            ),
        )
    if flags & ~_FLAGS:
        return SourceFacts((), phrase("unknown flags {flags} in the header", flags=f"{flags:#x}"))
    return read_code(data[_HEADER_SIZE:], target, is_package=is_package)


def read_code(data: bytes, target: SourceTarget, *, is_package: bool = False) -> SourceFacts:
    """Return what a marshalled code object of the target's Python uses, as `read_source` does for a source.

    `is_package`: the names that it binds are wanted too. Never raises: the reason is in `error`.
    """
    code = read_marshal(data, target.version)
    if isinstance(code, MarshalProblem):
        return SourceFacts((), str(code))
    if code.flags & _OPTIMIZED:
        return SourceFacts((), phrase("it is a function, not a module"))
    reader = _ModuleReader(code, target, instruction_sets()[target.version])
    if reader.is_asked or is_package or target.calls:
        reader.read()
    return SourceFacts(
        tuple(dict.fromkeys(reader.uses)),
        "",
        reader.bound if is_package else {},
        reader.adds_names(),
        reader.calls() if target.calls else None,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a code object runs: its qualified name as a prefix, the function around it, and the circumstances."""

    prefix: str = ""
    owner: str = ""
    deferred: bool = False
    conditional: bool = False
    import_guarded: bool = False
    load_guarded: bool = False
    absence: Absence = Absence.RAISED
    instead: frozenset[str] = frozenset()

    def where(self, line: int) -> Where:
        return Where(
            line,
            self.deferred,
            self.conditional,
            self.import_guarded,
            self.load_guarded,
            self.absence,
            function=self.owner if self.deferred else "",
            instead=tuple(sorted(self.instead)),
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """Something that happens at an instruction: an import, or other code that runs; `handlers` protect it."""

    index: int
    place: _Place
    note: ImportNote | None = None
    code: CodeValue | None = None
    handlers: tuple[int, ...] = ()


class _ModuleReader:
    """Follows a module, the classes in it, functions that it calls, then the other functions."""

    def __init__(self, code: CodeValue, target: SourceTarget, known: InstructionSet) -> None:
        self.uses: list[ImportUse] = []
        self.bound: dict[str, str] = {}
        self.functions: dict[str, CodeValue] = {}  # by the name that the module gives them
        self.target = target
        self.scope: Scope = {}
        self.on_import: Counter[tuple[str, bool]] = Counter()
        self.classes: dict[str, dict[str, None]] = {}
        self.defined: dict[str, dict[int, CodeValue]] = {}
        self.decorated: set[str] = set()
        self._known = known
        self._module = code
        self._all = all_codes(code)
        self._asking = importing(self._all, known)
        self._named = {each.name for each in self._all if id(each) in self._asking}  # functions that import something
        self._deferred: list[tuple[CodeValue, _Place, list[Scope]]] = []
        self._followed: set[tuple[int, bool]] = set()
        self.changed = {name for each in self._all[1:] for name in global_stores(each, known)}

    @property
    def is_asked(self) -> bool:
        """Return True if something in the module imports."""
        return self.asks(self._module)

    def read(self) -> None:
        """Follow the module, then the functions that its import did not call."""
        self.follow(self._module, _Place(), [self.scope], 0)
        self.bound |= dict.fromkeys(self.changed, "")
        place = 0
        while place < len(self._deferred):
            code, where, scopes = self._deferred[place]
            place += 1
            if (id(code), False) not in self._followed:
                self.follow(code, where, [*scopes, {}], 0)

    def follow(self, code: CodeValue, place: _Place, scopes: list[Scope], depth: int) -> None:
        """Follow one code object, and what runs with it."""
        key = (id(code), place.deferred)
        on_import = not place.deferred and not code.flags & _OPTIMIZED
        wanted = self.asks(code) or code is self._module or (on_import and self.target.calls)
        wanted = wanted or (self.target.calls and code.name.startswith(_GENERIC))
        wanted = wanted or (not place.deferred and not self._named.isdisjoint(code.names))
        if key in self._followed or depth > _DEEPEST_CALL or not wanted:
            return
        self._followed.add(key)
        if code.flags & _OPTIMIZED and not (place.owner or place.deferred or code.name.startswith(_GENERIC)):
            place = replace(place, owner=code.name)
        body = _Body(self, Instructions(code, self._known), place, scopes)
        body.follow()
        if len(scopes) == 1:
            self.bound = body.bindings()
        for run in body.in_order():
            if run.note is not None:
                where = run.place.where(body.ins.line(run.index))
                self.uses.append(_use(run.note, where))
            elif run.code is not None:
                self.follow(run.code, run.place, [*scopes, {}], depth + 1)

    def wants(self, code: CodeValue) -> bool:
        """Return True if something about a code object inside the module is asked for."""
        return self.target.calls or self.asks(code)

    def asks(self, code: CodeValue) -> bool:
        """Return True if a code object, or one inside it, imports something."""
        return id(code) in self._asking

    def defer(self, code: CodeValue, place: _Place, scopes: list[Scope]) -> None:
        """Keep a function for later."""
        if self.asks(code):
            self._deferred.append((code, place, scopes))

    def mentions(self, codes: Iterable[CodeValue]) -> Mentions:
        """Return what code objects mention."""
        return mentions_of(codes, self._known)

    def adds_names(self) -> str:
        """Return how the module may bind names that no statement names, as `SourceFacts` has it."""
        names = {name for code in self._all for name in code.names}
        if names & _BY_CODE or {"sys", "modules"} <= names or "__getattr__" in self.bound:
            return "code"
        return "star" if any("*" in use.names for use in self.uses) else ""

    def calls(self) -> Calls:
        """Return who may call whom."""
        shown = {
            name: FunctionCalls(name.rpartition(".")[0], self.mentions(codes.values()), name in self.decorated)
            for name, codes in self.defined.items()
        }
        counted = [key for key, count in self.on_import.items() if count > 0]
        names = frozenset(name for name, attribute in counted if not attribute)
        attributes = frozenset(name for name, attribute in counted if attribute)
        return Calls(Mentions(names, attributes), shown, {name: tuple(bases) for name, bases in self.classes.items()})


def _use(note: ImportNote, where: Where) -> ImportUse:
    return ImportUse(where, note.module, note.names, note.level, tuple(note.aliases))


class _Body(Follower):
    """Takes note of what one code object imports, defines and runs."""

    def __init__(self, reader: _ModuleReader, instructions: Instructions, place: _Place, scopes: list[Scope]) -> None:
        super().__init__(instructions, reader.target, scopes)
        self._reader = reader
        self._place = place
        self._runs: list[_Run] = []
        self._bindings: list[tuple[int, str, str, bool]] = []
        self._is_module = len(scopes) == 1
        self._is_function = bool(self.code.flags & _OPTIMIZED)
        self._stores = Counter(stored_names(instructions))

    def in_order(self) -> list[_Run]:
        """Return what happens, by lines; what a handler repeats of a `finally` is there once."""
        instead = self._instead()
        seen: set[object] = set()
        found: list[tuple[int, int, _Run]] = []
        for run in self._runs:
            line = self.ins.line(run.index)
            what = (run.note.module, run.note.names, run.note.level) if run.note is not None else id(run.code)
            if (line, what) not in seen:
                seen.add((line, what))
                if not run.place.conditional and self.conditional(run.index):
                    run = replace(run, place=replace(run.place, conditional=True))
                if run.index in instead:
                    run = replace(run, place=replace(run.place, instead=instead[run.index]))
                found.append((line, run.index, run))
        return [run for _, _, run in sorted(found, key=lambda row: row[:2])]

    def _instead(self) -> dict[int, frozenset[str]]:
        """Return, for what happens in an `except ImportError`, the modules whose imports it stands in for.

        If the `try` runs other code too, whose imports are not known here, nothing can be told.
        """
        found: dict[int, tuple[int, frozenset[str]]] = {}
        protected: dict[int, list[_Run]] = {}
        for run in self._runs:
            for handler in run.handlers:
                protected.setdefault(handler, []).append(run)
        for handler, runs in protected.items():
            uses = [_use(run.note, run.place.where(0)) for run in runs if run.note is not None]
            is_known = not any(run.code is not None and self._reader.asks(run.code) for run in runs)
            tried = needs_of(uses) if is_known else frozenset()
            for clause in self.clauses_for_imports(handler) if tried else ():
                for index in (run.index for run in self._runs if run.index in clause):
                    found[index] = max(found.get(index, (0, tried)), (clause.start, tried), key=lambda row: row[0])
        return {index: tried for index, (_, tried) in found.items()}

    def _now(self) -> _Place:
        guards, here = self.guards(), self._place
        if guards == _UNGUARDED and not self.exceptional:
            return here
        return replace(
            here,
            conditional=here.conditional or self.exceptional,
            import_guarded=here.import_guarded or guards.imports,
            load_guarded=here.load_guarded or guards.loads,
            absence=here.absence if guards.absence is Absence.RAISED else guards.absence,
        )

    def _run_here(self, place: _Place, note: ImportNote | None = None, code: CodeValue | None = None) -> None:
        self._runs.append(_Run(self.index, place, note, code, self.handlers()))

    # --- hooks ---

    def imported(self, note: ImportNote) -> None:
        self._run_here(self._now(), note)

    def called(self, function: Slot, arguments: list[Slot], keywords: dict[str, Slot]) -> Slot | None:
        if function is CLASS_BUILDER:
            self._build(arguments, keywords)
            return Slot()
        if arguments and arguments[0].code is not None and function.code is None:
            by = function.last or function.made_by or "?"
            return replace(arguments[0], decorators=(*arguments[0].decorators, by))
        if function.code is not None:
            self._run_here(self._now(), code=function.code)
            return None
        if function.last == "suppress":
            caught = [name for each in arguments for name in (each.last, *(part.last for part in each.parts)) if name]
            return Slot(suppressed=frozenset(caught))
        if isinstance(function.value, Reference) and function.value.name in IMPORT_FUNCTIONS:
            self._import_by_name(arguments)
        local = self._reader.functions.get(function.written) if not self._place.deferred else None
        if local is not None:
            self._run_here(self._now(), code=local)
        return None

    def _import_by_name(self, arguments: list[Slot]) -> None:
        place = self._now()
        for name in module_names(arguments[0].value) if arguments else ():
            level = len(name) - len(name.lstrip("."))
            self._run_here(place, ImportNote(self.index, name.lstrip("."), (), level))

    def _build(self, arguments: list[Slot], keywords: dict[str, Slot]) -> None:
        """Take note of a class: its body runs here."""
        code = arguments[0].code if arguments else None
        if code is None:
            return
        place = replace(self._now(), prefix=f"{self._place.prefix}{code.name}.")
        self._run_here(place, code=code)
        if not self._place.owner:
            bases = ClassBases(arguments[2:], keywords)
            for name, attribute in bases.read:
                self._reader.on_import[name, attribute] -= 1
            self._reader.classes.setdefault(place.prefix[:-1], {}).update(dict.fromkeys(bases.names))

    def loaded(self, code: CodeValue) -> None:
        place = self._place
        if not self._reader.wants(code):
            return
        if code.name.startswith(_GENERIC):  # it holds the function or class
            self._run_here(self._now(), code=code)
        elif code.name.startswith("<"):
            self._load_nameless(code)
        elif code.flags & _OPTIMIZED and code.name != _ANNOTATIONS:
            name = f"{place.prefix}{code.name}"
            if not place.owner:
                self._reader.defined.setdefault(name, {})[id(code)] = code
            scopes = self.scopes if self._is_function or self._is_module else self.scopes[:-1]
            self._reader.defer(code, _Place(place.prefix, place.owner or name, deferred=True), scopes)

    def _load_nameless(self, code: CodeValue) -> None:
        """Take note of a comprehension, which runs here, or of a lambda; both are parts of what surrounds them."""
        if code.name == "<lambda>":
            self._reader.defer(code, _Place(self._place.prefix, self._place.owner, deferred=True), self.scopes)
        else:
            self._run_here(self._now(), code=code)
        if not self._place.owner and self._reader.target.calls:
            found = self._reader.mentions((code,))
            self._reader.on_import.update((name, False) for name in found.names)
            self._reader.on_import.update((name, True) for name in found.attributes)

    def mentioned(self, name: str, *, attribute: bool) -> None:
        if not self._place.owner:
            self._reader.on_import[name, attribute] += 1

    def stored(self, name: str, slot: Slot) -> None:
        if not self._is_function and "FAST" in self.ins.names[self.index]:  # the variable of a comprehension
            return
        if not self._place.owner and any(each not in HARMLESS for each in slot.decorators):
            self._reader.decorated.add(f"{self._place.prefix}{name}")
        if not (self.exceptional and name in self.scopes[-1]):  # a handler binds what is used without it, too
            self.scopes[-1][name] = slot.value if self._is_sure(name, slot.value) else UNKNOWN
        if self._is_module:
            given = slot.value.name if isinstance(slot.value, Reference) else ""
            self._bindings.append((self.index, name, given, self.exceptional))
            self._reader.functions.pop(name, None)
            if slot.code is not None and not slot.decorators:
                self._reader.functions[name] = slot.code

    def _is_sure(self, name: str, value: Value) -> bool:
        """Return True if a name has this value wherever it is read later."""
        if self._is_module and name in self._reader.changed:
            return False
        if self._stores[name] < 2 or isinstance(value, Reference):
            return True
        return not (self.exceptional or self.perhaps_again(self.index) or any(self.guards()[:2]))

    def bindings(self) -> dict[str, str]:
        """Return the names that the module binds, with what an import gives them; to be asked after `follow`."""
        bound: dict[str, str] = {}
        for index, name, given, exceptional in self._bindings:
            if name == "__doc__":  # no statement binds it
                continue
            perhaps = exceptional or self.conditional(index)
            bound[name] = given if not perhaps or bound.get(name, given) == given else ""
        return bound
