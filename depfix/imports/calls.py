"""Who may call whom, judged by names alone: what no live code mentions is not called.

This errs on the safe side. A function counts as called if its name stands anywhere in code that runs, whatever it
belongs to there. A base class from elsewhere may call the methods of a class, a decorator the function given to it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType

from depfix.imports.uses import Calls, FunctionCalls

_OPTIMIZED = 0x1  # CO_OPTIMIZED: set for functions, not for modules and class bodies
_HARMLESS = frozenset(
    "property staticmethod classmethod lru_cache cache cached_property wraps abstractmethod contextmanager "
    "asynccontextmanager overload setter getter deleter final override".split()
)
_NO_BASES = frozenset(("object", "Generic", "Protocol"))


def read_calls(tree: ast.Module) -> Calls | None:
    """Return who may call whom in a source, None if Python's compiler refuses it."""
    try:
        code = compile(tree, "source", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    derived, decorated = _called_by_others(tree)
    functions: dict[str, FunctionCalls] = {}
    for name, mentions in _functions(code, ""):
        known = functions.get(name)
        both = mentions if known is None else mentions | set(known.mentions)
        owner, _, last = name.rpartition(".")
        special = last.startswith("__") and not owner
        functions[name] = FunctionCalls(
            owner.rpartition(".")[2], tuple(both), special or name in derived, name in decorated
        )
    return Calls(frozenset(_mentions(tree)), functions)


def _functions(code: CodeType, prefix: str) -> Iterator[tuple[str, set[str]]]:
    """Yield (qualified name, names that it mentions) of the functions and methods of a module or class body."""
    for inner in code.co_consts:
        if not isinstance(inner, CodeType):
            continue
        if inner.co_name.startswith("<"):  # a lambda, a comprehension, type parameters: a part of what surrounds it
            yield from _functions(inner, prefix)
        elif inner.co_flags & _OPTIMIZED:
            yield prefix + inner.co_name, _all_names(inner)
        else:
            yield from _functions(inner, f"{prefix}{inner.co_name}.")


def _all_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= _all_names(inner)
    return names


def _mentions(tree: ast.Module) -> Iterator[str]:
    """Yield the names and attributes that are read by code that runs when the module is imported."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            todo += [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one)]
            continue
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                yield node.id
            continue
        if isinstance(node, ast.Attribute):
            yield node.attr
        todo.extend(ast.iter_child_nodes(node))


def _called_by_others(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the qualified names of functions that a base class may call, and of those that a decorator may."""
    derived: set[str] = set()
    decorated: set[str] = set()
    local = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    todo: list[tuple[ast.AST, str, bool]] = [(child, "", False) for child in tree.body]
    while todo:
        node, prefix, inherits = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if inherits:
                derived.add(prefix + node.name)
            if any(_last_name(each) not in _HARMLESS for each in node.decorator_list):
                decorated.add(prefix + node.name)
        elif isinstance(node, ast.ClassDef):
            foreign = _has_foreign_base(node, local, set())
            todo += [(child, f"{prefix}{node.name}.", foreign) for child in node.body]
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            todo += [(child, prefix, inherits) for child in ast.iter_child_nodes(node)]
        elif isinstance(node, ast.ExceptHandler):
            todo += [(child, prefix, inherits) for child in node.body]
    return derived, decorated


def _has_foreign_base(node: ast.ClassDef, local: dict[str, ast.ClassDef], seen: set[str]) -> bool:
    """Return True if a class derives from one that is not in this source, which may call its methods."""
    seen.add(node.name)
    for base in node.bases:
        name = _last_name(base)
        if name in _NO_BASES or name in seen:
            continue
        if name not in local or _has_foreign_base(local[name], local, seen):
            return True
    return bool(node.keywords)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
