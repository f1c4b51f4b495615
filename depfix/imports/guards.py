"""Which failures a `try` or a `with suppress(...)` lets pass."""

from __future__ import annotations

import ast

_CATCH_IMPORT = frozenset(("ImportError", "Exception", "BaseException"))
_CATCH_LOAD = frozenset(
    ("OSError", "WindowsError", "EnvironmentError", "IOError", "FileNotFoundError", "Exception", "BaseException")
)


def handlers_guard(handlers: list[ast.ExceptHandler]) -> tuple[bool, bool]:
    """Return (an ImportError passes, the OSError of a failed load passes).

    A handler that ends in `raise` or ends the program guards nothing: `except ImportError: raise ImportError(advice)`
    is the usual case.
    """
    caught: set[str] = set()
    for handler in handlers:
        if not always_leaves(handler.body):
            caught |= {"BaseException"} if handler.type is None else exception_names(handler.type)
    return bool(caught & _CATCH_IMPORT), bool(caught & _CATCH_LOAD)


def suppress_guards(item: ast.withitem) -> tuple[bool, bool]:
    """As `handlers_guard`, for one item of a `with` statement."""
    call = item.context_expr
    if not isinstance(call, ast.Call) or _last_name(call.func) != "suppress":
        return False, False
    caught = {name for argument in call.args for name in exception_names(argument)}
    return bool(caught & _CATCH_IMPORT), bool(caught & _CATCH_LOAD)


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
