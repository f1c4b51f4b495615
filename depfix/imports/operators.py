"""Comparisons and arithmetic of the partial evaluator."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from depfix.imports.values import (
    COMPILED_GLOBALS,
    GLOBALS,
    UNKNOWN,
    Constant,
    Items,
    Own,
    Reference,
    Table,
    Text,
    Value,
)
from depfix.imports.variables import is_set

_NUMERIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_PROGRAM = "__main__"
COMPILED = "__compiled__"  # a name that modules compiled by Nuitka have
_ENVIRONMENT = Reference("os.environ")
_LARGEST = 1 << 64
_SMALL = 64  # for operators whose results explode


def compare(kind: ast.cmpop, left: Value, right: Value) -> bool | None:
    """Return the truth of a comparison, None if it is not known."""
    if isinstance(kind, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)):
        same = _same(left, right)
        return None if same is None else same is isinstance(kind, (ast.Eq, ast.Is))
    if isinstance(kind, (ast.In, ast.NotIn)):
        inside = _contains(right, left)
        return None if inside is None else inside is isinstance(kind, ast.In)
    operation = _COMPARISONS.get(type(kind))
    if operation is None or not isinstance(left, Constant) or not isinstance(right, Constant):
        return None
    try:
        return bool(operation(left.value, right.value))
    except TypeError:
        return None


def _same(left: Value, right: Value) -> bool | None:
    if isinstance(left, Constant) and isinstance(right, Constant):
        return left.value == right.value
    if isinstance(left, Text) and isinstance(right, Text):
        one, other = left.literal, right.literal
        if one is not None and other is not None:
            return one == other
        if _PROGRAM in (one, other) and _is_own_name(left if one is None else right):
            return False  # what is read here is imported; a program's own script has that name as a literal
        return True if left == right and left.anchored and len(left.parts) == 1 else None
    kinds = {type(left), type(right)}
    return False if kinds <= {Text, Constant} and Constant(None) in (left, right) else None


def _is_own_name(value: Text) -> bool:
    return value.parts in ((Own.NAME,), (Own.PACKAGE,))


def _contains(container: Value, value: Value) -> bool | None:
    known = value.literal if isinstance(value, Text) else None
    if known is None:
        return None
    if known == COMPILED and container in (GLOBALS, COMPILED_GLOBALS):
        return container == COMPILED_GLOBALS
    if container == _ENVIRONMENT:
        return is_set(known)
    if isinstance(container, Text) and container.literal is not None:
        return known in container.literal
    if isinstance(container, Table):
        container = Items(container.keys, container.exact)
    if isinstance(container, Items) and container.exact:
        inside = [one.literal if isinstance(one, Text) else None for one in container.values]
        return True if known in inside else (None if None in inside else False)
    return None


def numeric(kind: ast.operator, left: object, right: object) -> Value:
    """Return what an operator makes of two integers; UNKNOWN for others, and where the result would be huge."""
    operation = _NUMERIC.get(type(kind))
    if operation is None or not isinstance(left, int) or not isinstance(right, int):
        return UNKNOWN
    if abs(left) > _LARGEST or abs(right) > _LARGEST:
        return UNKNOWN
    if isinstance(kind, (ast.Pow, ast.LShift, ast.RShift)) and not (abs(left) <= _SMALL and 0 <= right <= _SMALL):
        return UNKNOWN
    return Constant(operation(left, right))
