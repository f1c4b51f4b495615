"""Which functions of the imported modules something may call: a fixed point over the names that live code mentions.

A global name means what its module defines or imports under it, followed through re-exports. An attribute may mean
what a module has that the code can get at by that name, and the methods of that name of every live class. A class is
live if live code mentions it, or a class derived from it. A class with a base that no source here defines may have any
of its methods called. This is rapid type analysis without types. Source: Bacon and Sweeney, "Fast Static Analysis of
C++ Virtual Function Calls" https://doi.org/10.1145/236337.236371
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from typing import NamedTuple

from depfix.imports.uses import Calls, Mentions

_CALL = frozenset(("__call__",))
_Definition = tuple[str, str]  # module, qualified name


class Binding(NamedTuple):
    """A name that an import statement binds: `name` of `module`, or with no name the module itself."""

    local: str
    module: str
    name: str


class Liveness:
    """Grows with the modules that a process imports; nothing that is live ever becomes dead again."""

    def __init__(
        self,
        calls_of: Callable[[str], Calls | None],
        bindings_of: Callable[[str], Iterable[Binding]],
        is_own: Callable[[str], bool],
    ) -> None:
        self._calls_of = calls_of
        self._bindings_of = bindings_of
        self._is_own = is_own
        self._scopes: dict[str, _Scope | None] = {}
        self._children: defaultdict[str, set[str]] = defaultdict(set)  # of packages: the modules in them
        self._live: set[_Definition] = set()
        self._foreign: dict[_Definition, bool] = {}
        self._attributes: set[str] = set()  # every attribute that live code mentions
        self._methods: defaultdict[str, list[_Definition]] = defaultdict(list)  # of live classes, by name, not yet live
        self._users: defaultdict[str, list[str]] = defaultdict(list)  # modules whose code can get at a module
        self._awaited: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)  # names wanted of modules to come
        self._fresh: list[tuple[str, Mentions]] = []  # mentions that are yet to be followed

    def add(self, modules: Iterable[str]) -> None:
        """Take in what modules do that were imported since."""
        added = [module for module in modules if module not in self._scopes]
        for module in added:
            calls = self._calls_of(module)
            self._scopes[module] = _Scope(calls, self._bindings_of(module)) if calls is not None else None
            package, _, name = module.rpartition(".")
            self._children[package].add(name)
        for module in added:
            package, _, name = module.rpartition(".")
            for user in tuple(self._users[package]) if package else ():
                if name in self._attributes_of(user):
                    self._reach(user, module)
            for user, wanted in self._awaited.pop(module, ()):
                self._touch(user, module, wanted)
            for user in tuple(self._users[module]):
                self._look(user, module, self._attributes_of(user))
            self._begin(module)
        while self._fresh:
            module, mentions = self._fresh.pop()
            self._follow(module, mentions)

    def is_live(self, module: str, function: str) -> bool:
        """Return True if something may call a function, or nothing is known of it."""
        if not function or module not in self._scopes:
            return not function
        scope = self._scopes[module]
        return scope is None or function not in scope.calls.functions or (module, function) in self._live

    def takes(self, package: str, name: str) -> bool:
        """Return True if live code that has a package in its hands mentions an attribute of that name."""
        return any(name in self._attributes_of(user) for user in self._users.get(package, ()))

    def _attributes_of(self, module: str) -> set[str]:
        scope = self._scopes.get(module)
        return scope.attributes if scope is not None else set()

    def _begin(self, module: str) -> None:
        """Note what a module's import runs, and what is called without being mentioned."""
        scope = self._scopes[module]
        if scope is None:
            return
        self._fresh.append((module, scope.calls.mentions))
        for name in (*scope.modules, *scope.stars):
            self._reach(module, name)
        own = self._is_own(module)
        for name, function in scope.calls.functions.items():
            # Decorators register functions in programs, and wrap them in libraries.
            if (_is_special(name) and not function.owner) or (own and function.decorated):
                self._wake(module, name)
        for name, bases in scope.calls.classes.items() if own else ():
            if bases:
                self._enliven(module, name)

    # --- mentions ---

    def _follow(self, module: str, mentions: Mentions) -> None:
        """Let code of a module mention names."""
        scope = self._scopes[module]
        if scope is None:
            return
        for name in (mentions.names - scope.mentioned) & scope.names:
            self._touch(module, module, name)
        scope.mentioned |= mentions.names
        new = mentions.attributes - scope.attributes
        scope.attributes |= new
        for name in (new - self._attributes) | (new & _CALL):
            # Whether an instance is called is not to be seen: that name counts where it stands.
            waiting = [one for one in self._methods.get(name, ()) if name != "__call__" or one[0] == module]
            for definition in waiting:
                self._wake(*definition)
        self._attributes |= new
        for space in tuple(scope.spaces):
            self._look(module, space, new)

    def _reach(self, user: str, space: str) -> None:
        """Note that code of `user` has a module in its hands, and so everything in it."""
        scope = self._scopes[user]
        if scope is None or space in scope.spaces or space == user:
            return
        scope.spaces.add(space)
        self._users[space].append(user)
        self._look(user, space, scope.attributes)

    def _look(self, user: str, space: str, attributes: Set[str]) -> None:
        """Take from a module what code of `user` mentions as attributes of something."""
        for name in attributes & self._children[space]:
            self._reach(user, f"{space}.{name}")
        scope = self._scopes.get(space)
        if scope is None:
            return
        for other in scope.stars:
            self._reach(user, other)
        for name in attributes & scope.names:
            self._touch(user, space, name)

    def _touch(self, user: str, module: str, name: str) -> None:
        """Let code of `user` use what a module has by a name, wherever that comes from."""
        todo, seen = [(module, name)], set()
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            module, name = place
            if not name:
                self._reach(user, module)
                continue
            if module not in self._scopes:
                self._awaited[module].append((user, name))
                continue
            if f"{module}.{name}" in self._scopes:
                self._reach(user, f"{module}.{name}")
            scope = self._scopes[module]
            if scope is None:
                continue
            self._use(module, name, scope)
            todo += scope.bindings.get(name, ())
            if name not in scope.names:
                todo += [(other, name) for other in scope.stars]

    def _use(self, module: str, name: str, scope: _Scope) -> None:
        if name in scope.calls.functions:
            self._wake(module, name)
        if name in scope.calls.classes:
            self._enliven(module, name)

    # --- what becomes live ---

    def _wake(self, module: str, function: str) -> None:
        """Let a function be called."""
        scope = self._scopes[module]
        if scope is None or (module, function) in self._live:
            return
        self._live.add((module, function))
        self._fresh.append((module, scope.calls.functions[function].mentions))

    def _enliven(self, module: str, name: str) -> None:
        """Let there be instances of a class: its special methods are called, and those that are mentioned."""
        todo = [(module, name)]
        while todo:
            one = todo.pop()
            scope = self._scopes[one[0]]
            if one in self._live or scope is None:
                continue
            self._live.add(one)
            everything = self._is_foreign(one, set())
            for method in scope.methods.get(one[1], ()):
                last = method.rpartition(".")[2]
                if everything or _is_called(last, scope.attributes if last == "__call__" else self._attributes):
                    self._wake(one[0], method)
                else:
                    self._methods[last].append((one[0], method))
            todo += [base for each in scope.calls.classes[one[1]] for base in self._resolved(one, each)]
            todo += [(one[0], inner) for inner in scope.calls.classes if inner.rpartition(".")[0] == one[1]]

    def _is_foreign(self, one: _Definition, seen: set[_Definition]) -> bool:
        """Return True if a class derives from one that is in no source here, which may call any of its methods."""
        if one in self._foreign or one in seen:
            return self._foreign.get(one, False)
        seen.add(one)
        scope = self._scopes[one[0]]
        bases = [tuple(self._resolved(one, base)) for base in scope.calls.classes[one[1]]] if scope is not None else []
        found = any(not classes or any(self._is_foreign(base, seen) for base in classes) for classes in bases)
        self._foreign[one] = found
        return found

    def _resolved(self, one: _Definition, base: str) -> Iterator[_Definition]:
        """Yield the classes that an expression for a base may mean, `a.b.Class` as it stands in the source."""
        places, seen = [(one[0], base)], set()
        while places:
            place = places.pop()
            scope = self._scopes.get(place[0])
            if place in seen or scope is None:
                continue
            seen.add(place)
            module, dotted = place
            if dotted in scope.calls.classes:
                if place != one:
                    yield place
                continue
            first, _, rest = dotted.partition(".")
            for source, name in scope.bindings.get(first, ()):
                places.append((source, ".".join(part for part in (name, rest) if part)))
                if name and rest:
                    places.append((f"{source}.{name}", rest))
            if rest:
                places.append((f"{module}.{first}", rest))
            places += [(other, dotted) for other in scope.stars]


class _Scope:
    """One module: what it defines and imports, and what its live code mentions and can get at."""

    def __init__(self, calls: Calls, bindings: Iterable[Binding]) -> None:
        self.calls = calls
        self.bindings: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self.stars: list[str] = []
        self.modules: list[str] = []
        for local, module, name in bindings:
            if name == "*":
                self.stars.append(module)
                continue
            if not name:
                self.modules.append(module)
            self.bindings[local].append((module, name))
        self.methods: defaultdict[str, list[str]] = defaultdict(list)
        for name, function in calls.functions.items():
            self.methods[function.owner].append(name)
        self.names = self.bindings.keys() | {name for name in (*calls.functions, *calls.classes) if "." not in name}
        self.mentioned: set[str] = set()
        self.attributes: set[str] = set()
        self.spaces: set[str] = set()


def _is_called(name: str, attributes: Set[str]) -> bool:
    return name in attributes or (_is_special(name) and name != "__call__")


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
