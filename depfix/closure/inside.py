"""The inside of the program for the import analysis: what its modules import, and what its loader refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from functools import cached_property, partial

from depfix.closure.kept import KeptFacts
from depfix.frozen.contents import Contents, FrozenModule, Storage, Usage
from depfix.imports.bytecode import read_code
from depfix.imports.finder import ModuleFile
from depfix.imports.reader import read_source
from depfix.imports.uses import Calls, ImportUse, Mentions, SourceFacts, SourceTarget, Where
from depfix.wording.message import phrase

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
# What Python has from its start under a second name. Source: CPython, Lib/importlib/__init__.py
# https://github.com/python/cpython/blob/main/Lib/importlib/__init__.py
_ALIASES = {"importlib._bootstrap": "_frozen_importlib", "importlib._bootstrap_external": "_frozen_importlib_external"}
_LONGEST = 200  # characters of a dotted name
_ABSENT_AT_BUILD = "not-found"
PROGRAM = "__main__"  # the module that the program starts with


class Inside:
    """What is inside the program of a dist; nothing, if it cannot be read or holds no modules.

    `builtin` are the modules linked into the Python DLL. `packed` says in words that the program is packed into one
    file, if it is.
    """

    def __init__(
        self,
        contents: Contents | None = None,
        builtin: frozenset[str] = frozenset(),
        target: SourceTarget | None = None,
        packed: str = "",
        kept: KeptFacts | None = None,
    ) -> None:
        self.contents = contents
        self.builtin = builtin | {alias for alias, name in _ALIASES.items() if name in builtin}
        self.packed = packed
        self._target = target
        self._kept = kept
        self._facts: dict[str, SourceFacts] = {}
        self._lacking: dict[str, bool] = {}

    @property
    def is_readable(self) -> bool:
        """True if every module inside is known by name."""
        return self.contents is not None and not self.contents.problem

    @property
    def has_stdlib(self) -> bool:
        """True if the standard library, as far as the program has it, is among what is known."""
        return self.contents is not None and self.is_readable and "os" in self.contents.modules

    @property
    def has_program(self) -> bool:
        """True if the module that the program starts with can be read."""
        return self.is_readable and self.contents is not None and PROGRAM in self.contents.modules

    @property
    def words(self) -> str:
        """What a user is told of the inside, an empty string if there is none."""
        if self.contents is None:
            return ""
        if self.contents.problem:
            return phrase("not all is known: {problem}", problem=self.contents.problem)
        modules = [row for row in self.contents.modules.values() if row.storage is not Storage.EXCLUDED]
        refused = len(self.contents.modules) - len(modules)
        more = phrase(", {refused} that it refuses to import", refused=refused) if refused else ""
        return phrase(
            "are {number} modules{more}, by {origin}", number=len(modules), more=more, origin=self.contents.origin
        )

    @property
    def knows_imports(self) -> bool:
        """False for machine code of which nothing tells what it imports from outside."""
        if self.contents is None or not self.is_machine_code(PROGRAM):
            return True
        return any(self.contents.usages(row.name) for row in self.contents.modules.values())

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The modules that the program imports and that its user had left out when it was frozen, if a report tells."""
        contents = self.contents
        if contents is None:
            return frozenset()
        return frozenset(usage.name for name in contents.modules for usage in contents.usages(name) if usage.left_out)

    @property
    def problem(self) -> str:
        """Why not everything inside is known, an empty string if it is, or if there is nothing to be known."""
        return self.packed or (self.contents.problem if self.contents is not None else "")

    def refusal(self, name: str) -> str | None:
        """Return what the loader says when it refuses to import a module, None if it does not."""
        if name in self.builtin:
            return None  # before 4.3 Nuitka lists some of these as left out
        row = self.contents.modules.get(name) if self.contents is not None else None
        return row.reason if row is not None and row.storage is Storage.EXCLUDED else None

    @property
    def refused(self) -> frozenset[str]:
        """The modules that the loader refuses to import."""
        rows = self.contents.modules.values() if self.contents is not None else ()
        return frozenset(row.name for row in rows if row.storage is Storage.EXCLUDED)

    def refused_below(self, name: str) -> frozenset[str]:
        """Return which modules the loader refuses of a package, with the package itself."""
        return frozenset(one for one in self.refused if one == name or one.startswith(f"{name}."))

    def without_refusal(self, names: Set[str]) -> Inside:
        """Return the inside as it is once the loader no longer refuses to import these modules."""
        if self.contents is None:
            return self
        return Inside(_Lifted(self.contents, names), self.builtin, self._target, self.packed, self._kept)

    def is_machine_code(self, name: str) -> bool:
        """Return True for a module that is compiled into the program."""
        row = self.contents.modules.get(name) if self.contents is not None else None
        return row is not None and row.storage is Storage.COMPILED

    def lacks_code(self, name: str) -> bool:
        """Return True for bytecode that is known by name alone."""
        if name not in self._lacking:
            self._lacking[name] = self._is_without_code(name)
        return self._lacking[name]

    def _is_without_code(self, name: str) -> bool:
        row = self.contents.modules.get(name) if self.contents is not None else None
        is_bytecode = row is not None and row.storage is Storage.BYTECODE
        if not is_bytecode or self.contents is None:
            return False
        return self.contents.code(name) is None and self.contents.source(name) is None

    def facts(self, module: ModuleFile, is_importable: Callable[[str], bool]) -> SourceFacts:
        """Return what a module inside imports, as far as its code tells.

        Machine code tells by the freezer's report, else by the strings among its constants: those that name what
        `is_importable` knows are probably imported.
        """
        if module.name not in self._facts:
            self._facts[module.name] = self._read(module, is_importable)
        return self._facts[module.name]

    def _read(self, module: ModuleFile, is_importable: Callable[[str], bool]) -> SourceFacts:
        row = self.contents.modules.get(module.name) if self.contents is not None else None
        if row is None or self.contents is None or self._target is None:
            return SourceFacts(())
        if row.storage is Storage.BYTECODE:
            return self._of_bytecode(self.contents, module, self._target)
        return self._of_machine_code(self.contents, module.name, is_importable)

    def _of_bytecode(self, contents: Contents, module: ModuleFile, target: SourceTarget) -> SourceFacts:
        code, text = contents.code(module.name), contents.source(module.name)
        content = text if text is not None else code
        if content is None:
            return SourceFacts(())
        read = partial(read_source if text is not None else read_code, content, target, is_package=module.is_package)
        how = f"{'source' if text is not None else 'code'} inside, package={module.is_package}"
        return self._kept.read(content, how, read) if self._kept is not None else read()

    def _of_machine_code(self, contents: Contents, name: str, is_importable: Callable[[str], bool]) -> SourceFacts:
        strings = contents.strings(name)
        mentions = Mentions(strings, strings)
        told = contents.usages(name)
        uses = [
            ImportUse(Where(usage.line, conditional=True, import_guarded=usage.found == _ABSENT_AT_BUILD), usage.name)
            for usage in told
        ]
        if not told:
            uses = [
                ImportUse(Where(0, conditional=True), one, mentioned=True)
                for one in _named(strings, contents, is_importable)
            ]
        calls = Calls(mentions, {}, {}) if self._target is not None and self._target.calls else None
        return SourceFacts(tuple(uses), adds_names="code", calls=calls)


class _Lifted:
    """Contents of a program, without modules that its loader refuses."""

    def __init__(self, contents: Contents, names: Set[str]) -> None:
        self._contents = contents
        self.origin = contents.origin
        self.problem = contents.problem
        self.distributions = contents.distributions
        self.modules: Mapping[str, FrozenModule] = {
            name: row for name, row in contents.modules.items() if name not in names
        }

    def code(self, name: str) -> bytes | None:
        return self._contents.code(name)

    def source(self, name: str) -> bytes | None:
        return self._contents.source(name)

    def hides(self, package: str) -> bool:
        return self._contents.hides(package)

    def usages(self, name: str) -> tuple[Usage, ...]:
        return self._contents.usages(name)

    def strings(self, name: str) -> frozenset[str]:
        return self._contents.strings(name)


def _named(strings: frozenset[str], contents: Contents, is_importable: Callable[[str], bool]) -> list[str]:
    """Return the modules that strings name: by a dotted name, or by a package and a name that is imported from it."""
    texts = {text for text in strings if len(text) < _LONGEST and _NAME.fullmatch(text)}
    inside = {row.name for row in contents.modules.values() if row.storage is not Storage.EXCLUDED}
    found = {text for text in texts - inside if is_importable(text)}
    plain = [text for text in texts if "." not in text]
    found |= {f"{one}.{other}" for one in tuple(found) for other in plain if is_importable(f"{one}.{other}")}
    return sorted(found)
