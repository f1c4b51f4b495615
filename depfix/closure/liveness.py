"""Which functions of the imported modules something may call: a fixed point over names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from depfix.imports.uses import Calls

_Function = tuple[str, str]  # module, qualified name


class Liveness:
    """Grows with the modules that a process imports; nothing that is live ever becomes dead again."""

    def __init__(self, calls_of: Callable[[str], Calls | None]) -> None:
        self._calls_of = calls_of
        self._added: dict[str, Calls | None] = {}
        self._mentioned: set[str] = set()
        self._live: set[_Function] = set()
        self._waiting: dict[str, list[_Function]] = {}

    def add(self, modules: Iterable[str]) -> None:
        """Take in what modules do that were imported since."""
        fresh: set[str] = set()
        for module in modules:
            if module not in self._added:
                calls = self._calls_of(module)
                self._added[module] = calls
                if calls is not None:
                    fresh |= calls.mentions | self._enlist(module, calls)
        self._spread(fresh)

    def is_live(self, module: str, function: str) -> bool:
        """Return True if something may call a function, or nothing is known of it."""
        calls = self._added.get(module)
        if calls is None or function not in calls.functions:
            return module in self._added or not function
        return (module, function) in self._live

    def _enlist(self, module: str, calls: Calls) -> set[str]:
        """Let functions wait for their names; return what is mentioned by those that need no mention."""
        fresh: set[str] = set()
        for name, function in calls.functions.items():
            last = name.rpartition(".")[2]
            special = last.startswith("__") and bool(function.owner)  # called through the class
            key = function.owner if special else last
            if function.always or key in self._mentioned:
                self._live.add((module, name))
                fresh.update(function.mentions)
            else:
                self._waiting.setdefault(key, []).append((module, name))
        return fresh

    def _spread(self, fresh: set[str]) -> None:
        while fresh:
            self._mentioned |= fresh
            woken = [row for name in fresh for row in self._waiting.pop(name, ())]
            self._live.update(woken)
            mentions: set[str] = set()
            for module, name in woken:
                calls = self._added[module]
                if calls is not None:
                    mentions.update(calls.functions[name].mentions)
            fresh = mentions - self._mentioned
