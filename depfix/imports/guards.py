"""Which failures a `try` or a `with suppress(...)` lets pass."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from depfix.imports.uses import Absence

_CATCH_IMPORT = frozenset(("ImportError", "Exception", "BaseException"))
_CATCH_ABSENCE = _CATCH_IMPORT | {"ModuleNotFoundError"}
FOR_IMPORTS = frozenset(("ImportError", "ModuleNotFoundError"))
_CATCH_LOAD = frozenset(
    ("OSError", "WindowsError", "EnvironmentError", "IOError", "FileNotFoundError", "Exception", "BaseException")
)


class Guards(NamedTuple):
    """Whether an ImportError passes, or the OSError of a failed DLL load; what becomes of a ModuleNotFoundError.

    `caught` are the plain names of all exceptions that pass.
    """

    imports: bool = False
    loads: bool = False
    absence: Absence = Absence.RAISED
    caught: frozenset[str] = frozenset()

    def __or__(self, other: Guards) -> Guards:
        """Return what either lets pass."""
        absence = other.absence if self.absence is Absence.RAISED else self.absence
        return Guards(self.imports or other.imports, self.loads or other.loads, absence, self.caught | other.caught)


def handlers_guard(handlers: list[ast.ExceptHandler], known_as: Callable[[str], set[str]]) -> Guards:
    """Return what the handlers of a `try` let pass; `known_as` gives the names of the exceptions behind one name.

    A handler that ends in `raise` or ends the program guards nothing: `except ImportError: raise ImportError(advice)`
    is the usual case.
    """
    return clauses_guard((_caught_by(handler, known_as), always_leaves(handler.body)) for handler in handlers)


def _caught_by(handler: ast.ExceptHandler, known_as: Callable[[str], set[str]]) -> set[str]:
    names = {"BaseException"} if handler.type is None else exception_names(handler.type)
    return {known for name in names for known in known_as(name)}


def catches_only_imports(handler: ast.ExceptHandler) -> bool:
    """Return True for a handler that is there for imports that fail, and for nothing else."""
    return handler.type is not None and exception_names(handler.type) <= FOR_IMPORTS


def clauses_guard(clauses: Iterable[tuple[AbstractSet[str], bool]]) -> Guards:
    """As `handlers_guard`, for clauses in order: the names of the exceptions, whether it surely leaves."""
    caught: set[str] = set()
    absence: Absence | None = None  # the first handler that fits decides
    for names, leaves in clauses:
        if not leaves:
            caught |= names
        if absence is None and names & _CATCH_ABSENCE:
            absence = Absence.CHANGED if leaves else Absence.CAUGHT
    return _guards(caught, absence or Absence.RAISED)


def suppress_guards(item: ast.withitem, known_as: Callable[[str], set[str]]) -> Guards:
    """As `handlers_guard`, for one item of a `with` statement."""
    call = item.context_expr
    if not isinstance(call, ast.Call) or _last_name(call.func) != "suppress":
        return Guards()
    caught = {known for argument in call.args for name in exception_names(argument) for known in known_as(name)}
    absence = Absence.CAUGHT if caught & _CATCH_ABSENCE else Absence.RAISED
    return _guards(caught, absence)


def _guards(caught: set[str], absence: Absence) -> Guards:
    return Guards(bool(caught & _CATCH_IMPORT), bool(caught & _CATCH_LOAD), absence, frozenset(caught))


def copes_with_absence(handlers: list[ast.ExceptHandler]) -> bool:
    """Return True if a `try` is there for the case that something cannot be imported: a handler says so by name."""
    named = [handler.type for handler in handlers if handler.type is not None and not always_leaves(handler.body)]
    return any(exception_names(each) & FOR_IMPORTS for each in named)


def exception_names(node: ast.expr) -> set[str]:
    """Return the plain names of the exceptions in an `except` clause."""
    if isinstance(node, ast.Tuple):
        return {name for each in node.elts for name in exception_names(each)}
    return {_last_name(node)}


def always_leaves(body: list[ast.stmt]) -> bool:
    """Return True if a block surely ends in `raise` or ends the program."""
    for statement in body:
        if isinstance(statement, ast.Raise) or _ends_program(statement):
            return True
        if isinstance(statement, ast.If) and statement.orelse:
            if always_leaves(statement.body) and always_leaves(statement.orelse):
                return True
    return False


def _ends_program(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    return (_last_name(call.func.value), call.func.attr) in (("sys", "exit"), ("os", "_exit"), ("os", "abort"))


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
