"""Under which circumstances a statement runs, as the interpreter keeps them while it follows a source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from depfix.imports.evaluator import Evaluator
from depfix.imports.guards import Guards
from depfix.imports.probes import covers
from depfix.imports.uses import Absence, SourceTarget, Where

NOTHING: frozenset[str] = frozenset()


class State(NamedTuple):
    """The circumstances of the statement at hand.

    `caught`: exceptions that pass here; `probed`: modules without which control does not come here; `instead`: modules
    and names of them with all of which control does not come here.
    """

    deferred: bool = False
    conditional: bool = False
    import_guarded: bool = False
    load_guarded: bool = False
    absence: Absence = Absence.RAISED
    raises_after: bool = False
    caught: frozenset[str] = NOTHING
    probed: frozenset[str] = NOTHING
    instead: frozenset[str] = NOTHING


class Circumstanced(Evaluator):
    """An evaluator that knows under which circumstances it is; `owner` is the function that is followed as deferred."""

    def __init__(self, target: SourceTarget) -> None:
        super().__init__(target)
        self.state = State()
        self.owner = ""

    @contextmanager
    def within(self, **changes: Any) -> Iterator[None]:
        """Change the circumstances for a while."""
        outer = self.state
        self.state = outer._replace(**changes)
        try:
            yield
        finally:
            self.state = outer

    def guarded(self, guards: Guards) -> dict[str, Any]:
        """Return how the circumstances change where `guards` let failures pass."""
        return {
            "import_guarded": self.state.import_guarded or guards.imports,
            "load_guarded": self.state.load_guarded or guards.loads,
            "absence": self.state.absence if guards.absence is Absence.RAISED else guards.absence,
            "caught": self.state.caught | guards.caught,
        }

    def where(self, node: ast.AST) -> Where:
        """Return where a node stands, with the circumstances of now."""
        state = self.state
        line = getattr(node, "lineno", 0)
        return Where(
            line,
            state.deferred,
            state.conditional,
            state.import_guarded,
            state.load_guarded,
            state.absence,
            state.raises_after,
            self.owner if state.deferred else "",
            tuple(sorted(state.instead)),
            tuple(sorted(state.probed)),
        )

    def where_imported(self, node: ast.AST, module: str, level: int = 0) -> Where:
        """As `where`, for an import: one that is not reached unless the module is there copes with its absence."""
        where = self.where(node)
        if self.state.probed and covers(self.state.probed, "." * level + module):
            return replace(where, absence=Absence.CAUGHT)
        return where
