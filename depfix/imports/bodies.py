"""Which global names and which attributes the body of a function mentions, nested functions included.

Local variables are told from globals as Python's compiler does. Source: "Resolution of names"
https://docs.python.org/3/reference/executionmodel.html#resolution-of-names
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Fields that hold no expression or statement, and annotations, which local variables do not evaluate.
_EMPTY = frozenset("ctx op ops name names asname module level attr arg id kind rest kwd_attrs annotation simple "
                   "is_async conversion type_comment cls_name".split())  # fmt: skip
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _EMPTY)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


class _Scope(NamedTuple):
    """The names of one function, class or comprehension: those that it loads and those that it binds."""

    loads: set[str]
    bound: set[str]
    globals: set[str]
    walrus: set[str]  # the names that `:=` binds: those of the function around a comprehension


def functions_of(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield the functions and methods of a module by their qualified names; inner functions are parts of them."""
    todo: list[tuple[ast.AST, str]] = [(statement, "") for statement in reversed(tree.body)]
    while todo:
        node, prefix = todo.pop()
        if isinstance(node, _FUNCTIONS):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            todo += [(statement, f"{prefix}{node.name}.") for statement in reversed(node.body)]
        else:
            for name in _BLOCKS:
                todo += [(statement, prefix) for statement in reversed(getattr(node, name, ()))]


def mentioned_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[set[str], set[str]]:
    """Return the global names (those that it imports among them) and the attributes that a function's body mentions.

    Annotations count for nothing. Raises RecursionError for functions that are nested too deeply.
    """
    reader = _Reader()
    reader.names.update(reader.function(function.args, function.body))
    return reader.names, reader.attributes


class _Reader:
    """Gathers what one function mentions."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def function(self, args: ast.arguments, body: list[ast.stmt] | list[ast.expr]) -> set[str]:
        """Return the names that a function takes from what is around it."""
        scope = self._new()
        for each in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
            if each is not None:
                scope.bound.add(each.arg)
        self._walk([*body], scope)
        scope.bound.update(scope.walrus)
        self.names |= scope.loads & scope.globals
        self.attributes |= (scope.bound & scope.globals) - scope.loads
        return scope.loads - scope.bound - scope.globals

    def _class(self, node: ast.ClassDef) -> set[str]:
        """Return the names that a class body takes from around it; its own names are not seen by its methods."""
        scope = self._new()
        self._walk([*node.body], scope)
        self.attributes |= scope.bound - scope.loads
        return scope.loads

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, around: _Scope
    ) -> None:
        scope = self._new()
        self._walk([node.generators[0].iter], around)
        inner: list[ast.AST] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for index, generator in enumerate(node.generators):
            inner += [generator.target, *generator.ifs, *([generator.iter] if index else [])]
        self._walk(inner, scope)
        around.loads.update(scope.loads - scope.bound)
        around.walrus.update(scope.walrus)

    @staticmethod
    def _new() -> _Scope:
        return _Scope(set(), set(), set(), set())

    def _walk(self, todo: list[ast.AST], scope: _Scope) -> None:
        loads, bound, attributes = scope.loads, scope.bound, self.attributes
        while todo:
            node = todo.pop()
            kind = type(node)
            if kind is ast.Name:
                (loads if type(node.ctx) is ast.Load else bound).add(node.id)  # type: ignore[attr-defined]
            elif kind is ast.Attribute:
                attributes.add(node.attr)  # type: ignore[attr-defined]
                todo.append(node.value)  # type: ignore[attr-defined]
            elif kind is not ast.Constant:
                special = _SPECIAL.get(kind)
                if special is not None and special(self, node, scope, todo):
                    continue
                for name in _FIELDS.get(kind, ()):
                    value = getattr(node, name, None)
                    if value.__class__ is list:
                        todo += filter(None, value)
                    elif value is not None:
                        todo.append(value)

    # --- nodes that are more than their fields; they return True if nothing is left to be walked ---

    def _nested(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope, todo: list[ast.AST]) -> bool:
        scope.bound.add(node.name)
        todo += node.decorator_list
        self._lambda(node, scope, todo)
        return True

    def _lambda(
        self, node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef, scope: _Scope, todo: list[ast.AST]
    ) -> bool:
        todo += filter(None, (*node.args.defaults, *node.args.kw_defaults))
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope.loads.update(self.function(node.args, body))
        return True

    def _inner_class(self, node: ast.ClassDef, scope: _Scope, todo: list[ast.AST]) -> bool:
        scope.bound.add(node.name)
        todo += (*node.decorator_list, *node.bases, *node.keywords)
        scope.loads.update(self._class(node))
        return True

    def _generator(self, node: ast.GeneratorExp, scope: _Scope, _todo: list[ast.AST]) -> bool:
        self._comprehension(node, scope)
        return True

    def _import(self, node: ast.Import, scope: _Scope, _todo: list[ast.AST]) -> bool:
        for alias in node.names:
            scope.bound.add(alias.asname or alias.name.partition(".")[0])
            self.attributes.add(alias.name)
            if alias.asname and "." in alias.name:
                self.names.update(alias.name.split(".")[1:])
        return True

    def _import_from(self, node: ast.ImportFrom, scope: _Scope, _todo: list[ast.AST]) -> bool:
        self.attributes.add(node.module or "")
        for alias in node.names:
            scope.bound.add(alias.asname or alias.name)
            self.names.add(alias.name)
        return True

    def _global(self, node: ast.Global, scope: _Scope, _todo: list[ast.AST]) -> bool:
        scope.globals.update(node.names)
        return True

    def _walrus(self, node: ast.NamedExpr, scope: _Scope, todo: list[ast.AST]) -> bool:
        scope.walrus.add(node.target.id)
        todo.append(node.value)
        return True

    def _added(self, node: ast.AugAssign, scope: _Scope, _todo: list[ast.AST]) -> bool:
        if isinstance(node.target, ast.Name):
            scope.loads.add(node.target.id)
        return False

    def _bound(self, node: ast.AST, scope: _Scope, _todo: list[ast.AST]) -> bool:
        scope.bound.add(getattr(node, "name", None) or getattr(node, "rest", None) or "")
        return False


_SPECIAL: dict[type[ast.AST], Callable[[_Reader, Any, _Scope, list[ast.AST]], bool]] = {
    ast.FunctionDef: _Reader._nested,
    ast.AsyncFunctionDef: _Reader._nested,
    ast.Lambda: _Reader._lambda,
    ast.ClassDef: _Reader._inner_class,
    **dict.fromkeys(_COMPREHENSIONS, _Reader._generator),
    ast.Import: _Reader._import,
    ast.ImportFrom: _Reader._import_from,
    ast.Global: _Reader._global,
    ast.NamedExpr: _Reader._walrus,
    ast.AugAssign: _Reader._added,
    ast.ExceptHandler: _Reader._bound,
    ast.MatchAs: _Reader._bound,
    ast.MatchStar: _Reader._bound,
    ast.MatchMapping: _Reader._bound,
}
