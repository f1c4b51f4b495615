"""Which functions of the imported modules something may call: a fixed point over names.

A name that live code mentions makes functions of that name live: of its own module, of modules that it imports, and
of other packages of which it imports something. What a method's name of Python's own types means (`get`, `split`) is
anybody's guess: such a name counts within its module only; the name of a built-in function (`open`) means that one.
"""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable, Iterable

from depfix.imports.uses import Calls

_OWNERS = (str, bytes, list, dict, set, int, float, io.TextIOWrapper, io.BytesIO, Exception)
_EVERYBODYS = frozenset(name for owner in _OWNERS for name in dir(owner) if not name.startswith("__"))
_BUILTINS = frozenset(dir(builtins))
_Function = tuple[str, str]  # module, qualified name


class Liveness:
    """Grows with the modules that a process imports; nothing that is live ever becomes dead again."""

    def __init__(
        self,
        calls_of: Callable[[str], Calls | None],
        imports_of: Callable[[str], Iterable[str]],
        is_own: Callable[[str], bool],
    ) -> None:
        self._calls_of = calls_of
        self._imports_of = imports_of
        self._is_own = is_own
        self._added: dict[str, Calls | None] = {}
        self._imports: dict[str, tuple[frozenset[str], frozenset[str]]] = {}  # modules, their top-level packages
        self._mentioned: dict[str, list[str]] = {}  # name: modules whose live code has it
        self._live: set[_Function] = set()
        self._waiting: dict[str, list[_Function]] = {}

    def add(self, modules: Iterable[str]) -> None:
        """Take in what modules do that were imported since."""
        fresh: list[tuple[str, Iterable[str]]] = []
        for module in modules:
            if module in self._added:
                continue
            calls = self._calls_of(module)
            self._added[module] = calls
            if calls is not None:
                names = frozenset(self._imports_of(module))
                self._imports[module] = (names, frozenset(name.partition(".")[0] for name in names))
                fresh.append((module, calls.mentions))
                fresh += self._enlist(module, calls)
        while fresh:
            module, mentions = fresh.pop()
            fresh += self._spread(module, mentions)

    def is_live(self, module: str, function: str) -> bool:
        """Return True if something may call a function, or nothing is known of it."""
        calls = self._added.get(module)
        if calls is None or function not in calls.functions:
            return module in self._added or not function
        return (module, function) in self._live

    def _enlist(self, module: str, calls: Calls) -> Iterable[tuple[str, Iterable[str]]]:
        """Let functions wait for their names; yield what is mentioned by those that are live at once."""
        own = self._is_own(module)
        for name, function in calls.functions.items():
            last = name.rpartition(".")[2]
            # Special methods are called through the class; whether an instance is called is not to be seen.
            special = last.startswith("__") and bool(function.owner) and last != "__call__"
            key = function.owner if special else last
            # Decorators register functions in programs, and wrap them in libraries.
            called = function.derived or (own and function.decorated)
            if called or any(self._means(one, key, module) for one in self._mentioned.get(key, ())):
                self._live.add((module, name))
                yield module, function.mentions
            else:
                self._waiting.setdefault(key, []).append((module, name))

    def _spread(self, module: str, names: Iterable[str]) -> Iterable[tuple[str, Iterable[str]]]:
        """Wake the functions that live code of a module mentions; yield what these mention in turn."""
        for name in names:
            mentioning = self._mentioned.setdefault(name, [])
            if module in mentioning:
                continue
            mentioning.append(module)
            waiting = self._waiting.get(name)
            if not waiting:
                continue
            woken = [row for row in waiting if self._means(module, name, row[0])]
            self._live.update(woken)
            self._waiting[name] = [row for row in waiting if row not in woken] if woken else waiting
            for owner, function in woken:
                calls = self._added[owner]
                if calls is not None:
                    yield owner, calls.functions[function].mentions

    def _means(self, module: str, name: str, owner: str) -> bool:
        """Return True if code of `module` that mentions a name may mean a function of the module `owner`."""
        if name in _BUILTINS:
            return False
        if module == owner:
            return True
        if name in _EVERYBODYS:
            return False
        names, tops = self._imports.get(module, (frozenset(), frozenset()))
        top = owner.partition(".")[0]
        return owner in names or (top != module.partition(".")[0] and top in tops)
