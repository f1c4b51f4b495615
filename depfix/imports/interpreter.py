"""Follows the statements of one source as Python would run them, for the target.

Functions that are called while the module is imported are followed with their arguments, branches that the target
excludes are left out, and what is left over (functions that only later code calls) is followed as deferred.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import reduce
from typing import Any

from depfix.imports.circumstances import NOTHING, State
from depfix.imports.freezing import asks_freezer
from depfix.imports.guards import Guards, always_leaves, catches_only_imports, handlers_guard, suppress_guards
from depfix.imports.probes import flags, known_by, modules_of, needs_of, on_target
from depfix.imports.running import Running
from depfix.imports.uses import Absence, ImportUse, SourceTarget
from depfix.imports.values import (
    PARAMETER,
    UNKNOWN,
    Constant,
    Function,
    Items,
    Own,
    Reference,
    Text,
    Value,
    alternatives,
    choice,
    either_table,
    elements,
    text,
    truth,
)

_SIMPLE = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Attribute, ast.Name, ast.Constant)
_ATTEMPTS = (ast.For, ast.While, ast.Try, ast.With)


class Interpreter(Running):
    """Follows a module; imports go into `uses`, and hooks tell a subclass of assignments and closed contexts."""

    def __init__(self, target: SourceTarget, evaluating: bool, is_program: bool, is_package: bool = False) -> None:
        super().__init__(target, evaluating)
        self.asked: list[Text] = []  # the files that code asks whether they are there, and goes on without
        self._functions: list[tuple[Function, list[dict[str, Value]], str, frozenset[str]]] = []
        self._learned = NOTHING  # the modules without which control does not come behind the last statement
        self._classes: list[str] = []
        self._class_scopes: list[tuple[ast.ClassDef, dict[str, Value]]] = []
        self._lambdas: set[int] = set()
        if is_program:
            self.scopes[0].update({"__name__": text("__main__"), "__package__": Constant(None)})
        elif is_package:
            self.scopes[0]["__name__"] = Text((Own.PACKAGE,))

    def read(self, tree: ast.Module) -> None:
        """Follow the module, then the functions that its import did not call."""
        self._block(tree.body)
        index = 0
        while index < len(self._functions):
            function, scopes, owner, probed = self._functions[index]
            index += 1
            if id(function.node) not in self._run:
                self.state = State(deferred=True, probed=probed)
                self.scopes, outer = list(scopes), self.scopes
                self.owner = owner
                self.run_function(function, [], {}, unknown=PARAMETER)
                self.scopes = outer
                self.state = State()

    # --- statements ---

    def _block(self, body: list[ast.stmt]) -> bool:
        """Follow statements; return True if control surely does not reach what comes after them."""
        before = self.state
        leaves = False
        for index, statement in enumerate(body):
            handler = _STATEMENTS.get(type(statement))
            if handler is not None:
                if isinstance(statement, _ATTEMPTS) and always_leaves(body[index + 1 :]):
                    with self.within(raises_after=True):
                        leaves = handler(self, statement)
                else:
                    leaves = handler(self, statement)
                if leaves:
                    break
                if self._learned:
                    self.state = self.state._replace(probed=self.state.probed | self._learned)
                    self._learned = NOTHING
            elif self._evaluating:
                self._expressions_of(statement)
        self.state = before
        return leaves

    def _expressions_of(self, statement: ast.AST) -> None:
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.expr):
                self.evaluate(child)

    def _import(self, node: ast.Import) -> bool:
        for alias in node.names:
            self.uses.append(ImportUse(self.where_imported(node, alias.name), alias.name))
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self.scopes[-1][alias.asname or bound] = Reference(bound)
        return False

    def _import_from(self, node: ast.ImportFrom) -> bool:
        names = tuple(alias.name for alias in node.names)
        aliases = tuple((alias.asname, alias.name) for alias in node.names if alias.asname)
        where = self.where_imported(node, node.module or "", node.level)
        self.uses.append(ImportUse(where, node.module or "", names, node.level, aliases))
        prefix = "." * node.level + (f"{node.module}." if node.module else "")
        for alias in node.names:
            name = prefix + alias.name
            self.scopes[-1][alias.asname or alias.name] = self._facts.get(name) or Reference(name)
        return False

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        function = Function(node)
        if self._evaluating:
            for decorator in node.decorator_list:
                self.decorated(decorator, function, self.evaluate(decorator))
        self.scopes[-1][node.name] = function
        if self._class_scopes and self._class_scopes[-1][1] is self.scopes[-1]:
            self._class_of[id(node)] = self._class_scopes[-1][0]
        owner = self.owner or ".".join([*self._classes, node.name])
        self._functions.append((function, list(self.scopes), owner, self.state.probed))
        return False

    def decorated(self, node: ast.expr, function: Value, value: Value) -> None:
        """Take note of a decorator's value."""

    def iterated(self, node: ast.AST, value: Value) -> None:
        """Take note of what a loop iterates over."""

    def defined(self, function: Function) -> None:
        """Have a lambda followed later if nothing calls it; it belongs to the function around it."""
        if id(function.node) not in self._lambdas:
            self._lambdas.add(id(function.node))
            self._functions.append((function, list(self.scopes), self.owner, self.state.probed))

    def _class(self, node: ast.ClassDef) -> bool:
        bases = tuple(self.evaluate(base) for base in node.bases) if self._evaluating else ()
        self.scopes.append({})
        self._classes.append(node.name)
        self._class_scopes.append((node, self.scopes[-1]))
        self._block(node.body)
        self._class_scopes.pop()
        self._classes.pop()
        scope = self.scopes.pop()
        self.scopes[-1][node.name] = self.defines(node, scope, bases) if self._evaluating else UNKNOWN
        return False

    def _if(self, node: ast.If) -> bool:
        asked = len(self.asked)
        value = self.evaluate(node.test)
        known = truth(value)
        if known is not None:
            return self._block(node.body if known else node.orelse)
        if always_leaves(node.body) or always_leaves(node.orelse):
            del self.asked[asked:]  # what is not there ends the program
        when_true, when_false = known_by(value)
        before = dict(self.scopes[-1])
        with self.within(conditional=True, probed=self.state.probed | when_true):
            first_leaves = self._block(node.body)
        after_first = dict(self.scopes[-1])
        self.scopes[-1].clear()
        self.scopes[-1].update(before)
        with self.within(conditional=True, probed=self.state.probed | when_false):
            second_leaves = self._block(node.orelse)
        if first_leaves or second_leaves:
            if first_leaves and second_leaves:
                return True
            if first_leaves and not always_leaves(node.body):
                self._learned = when_false
            if second_leaves:
                self.scopes[-1].update(after_first)
            return False
        self._merge(after_first)
        return False

    def _merge(self, other: dict[str, Value]) -> None:
        scope = self.scopes[-1]
        for name, value in other.items():
            current = scope.get(name)
            if current is None or current == value:
                scope[name] = value
            else:
                scope[name] = either_table(value, current) or choice([value, current])

    def _for(self, node: ast.For | ast.AsyncFor) -> bool:
        iterable = self.evaluate(node.iter) if self._evaluating else UNKNOWN
        self.iterated(node, iterable)
        values = elements(iterable)
        self.bind(node.target, choice(list(values)) if values else UNKNOWN)
        self._block(node.body)
        self._block(node.orelse)
        return False

    def _while(self, node: ast.While) -> bool:
        if self.test(node.test) is not False:
            self._block(node.body)
        self._block(node.orelse)
        return False

    def _try(self, node: ast.Try) -> bool:
        works = asks_freezer(node.body, self._facts) if self._evaluating else None
        if works is not None:
            instead_of_it = node.handlers[0].body if node.handlers else []
            leaves = self._block([*node.body, *node.orelse] if works else instead_of_it)
            return self._block(node.finalbody) or leaves
        guards = handlers_guard(node.handlers, self._known_as)
        start, count = dict(self.scopes[-1]), len(self.uses)
        with self.within(**self.guarded(guards)):
            leaves = self._block(node.body)
        before = dict(self.scopes[-1])
        modules = modules_of(self.uses[count:]) if guards.absence is Absence.CAUGHT else NOTHING
        failed: list[dict[str, Value]] = []
        there = on_target(modules)
        tried = needs_of(self.uses[count:])
        for handler in node.handlers:
            instead = tried if catches_only_imports(handler) else NOTHING
            with self.within(conditional=True, instead=instead):
                handler_leaves = self._block(handler.body)
            if modules and not handler_leaves:
                failed.append(dict(self.scopes[-1]))
            if there:
                self.scopes[-1].update(before)
            elif not leaves and there is None:
                self._keep(before)
        if not leaves:
            kept = dict(self.scopes[-1]) if modules else {}
            with self.within(probed=self.state.probed | modules):
                leaves = self._block(node.orelse)
            if modules:
                changed = {name: value for name, value in self.scopes[-1].items() if kept.get(name) != value}
                self.scopes[-1].update(flags(before | changed, start, failed, modules))
        return self._block(node.finalbody) or (leaves and not node.handlers)

    def _known_as(self, name: str) -> set[str]:
        """Return the names of the exceptions behind a name: it may be another name, or that of a tuple of them."""
        value = self.lookup(name)
        rows = [elements(one) if isinstance(one, Items) else (one,) for one in alternatives(value)]
        known = {one.name.rpartition(".")[2] for row in rows for one in row if isinstance(one, Reference)}
        return known or {name}

    def _keep(self, before: dict[str, Value]) -> None:
        """Let what the body of a `try` bound stand against what a handler bound instead."""
        for name, value in before.items():
            if self.scopes[-1].get(name) != value:
                self.scopes[-1][name] = choice([value, self.scopes[-1].get(name, UNKNOWN)])

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        guards = reduce(Guards.__or__, (suppress_guards(item, self._known_as) for item in node.items))
        opened = [self.evaluate(item.context_expr) if self._evaluating else UNKNOWN for item in node.items]
        for item, value in zip(node.items, opened, strict=True):
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        start, count = dict(self.scopes[-1]), len(self.uses)
        with self.within(**self.guarded(guards)):
            leaves = self._block(node.body)
        if guards.absence is Absence.CAUGHT:
            scope = self.scopes[-1]
            scope.update(flags(scope, start, [start], modules_of(self.uses[count:])))
        for item, value in zip(node.items, opened, strict=True):
            self.closed(item.context_expr, value)
        return leaves

    def _match(self, node: ast.Match) -> bool:
        for case in node.cases:
            with self.within(conditional=True):
                self._block(case.body)
        return False

    def _assign(self, node: ast.Assign) -> bool:
        if not self._evaluating and not isinstance(node.value, _SIMPLE) and not self._calls_local(node.value):
            for target in node.targets:
                self.bind(target, UNKNOWN)
            return False
        value = self.evaluate(node.value)
        for target in node.targets:
            self.bind(target, value)
            self.assigned(target, value)
        return False

    def _annotated(self, node: ast.AnnAssign) -> bool:
        if node.value is not None:
            self.bind(node.target, self.evaluate(node.value) if self._evaluating else UNKNOWN)
        return False

    def _augmented(self, node: ast.AugAssign) -> bool:
        if self._evaluating:
            reading = ast.copy_location(ast.BinOp(_reading(node.target), node.op, node.value), node)
            value = self.evaluate(reading)
            self.bind(node.target, value)
            self.assigned(node.target, value)
        return False

    def assigned(self, target: ast.expr, value: Value) -> None:
        """Take note of an assignment."""

    def closed(self, node: ast.AST, value: Value) -> None:
        """Take note that a `with` block around this value has ended."""

    def _expression(self, node: ast.Expr) -> bool:
        if self._evaluating or self._calls_local(node.value):
            self.evaluate(node.value)
        return False

    def _calls_local(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and isinstance(self.lookup(node.func.id), Function)
        )

    def _return(self, node: ast.Return) -> bool:
        if node.value is not None and self._evaluating:
            value = self.evaluate(node.value)
            if self._returns:
                self._returns[-1].append(value)
        return True

    def _raise(self, node: ast.Raise) -> bool:
        return True

    def _assert(self, node: ast.Assert) -> bool:
        return self.test(node.test) is False


def _reading(target: ast.Name | ast.Attribute | ast.Subscript) -> ast.expr:
    copied = ast.copy_location(type(target)(**{name: getattr(target, name) for name in target._fields}), target)
    copied.ctx = ast.Load()
    return copied


_STATEMENTS: dict[type[ast.AST], Callable[[Interpreter, Any], bool]] = {
    ast.Import: Interpreter._import,
    ast.ImportFrom: Interpreter._import_from,
    ast.FunctionDef: Interpreter._function,
    ast.AsyncFunctionDef: Interpreter._function,
    ast.ClassDef: Interpreter._class,
    ast.If: Interpreter._if,
    ast.For: Interpreter._for,
    ast.AsyncFor: Interpreter._for,
    ast.While: Interpreter._while,
    ast.Try: Interpreter._try,
    ast.With: Interpreter._with,
    ast.AsyncWith: Interpreter._with,
    ast.Match: Interpreter._match,
    ast.Assign: Interpreter._assign,
    ast.AnnAssign: Interpreter._annotated,
    ast.AugAssign: Interpreter._augmented,
    ast.Expr: Interpreter._expression,
    ast.Return: Interpreter._return,
    ast.Raise: Interpreter._raise,
    ast.Assert: Interpreter._assert,
}
if hasattr(ast, "TryStar"):  # Python 3.11
    _STATEMENTS[ast.TryStar] = Interpreter._try
