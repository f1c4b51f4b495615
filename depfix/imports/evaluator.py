"""The partial evaluator: what an expression is, for the target, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from depfix.imports import texts
from depfix.imports.items import either_of, item_of, percent_of, sliced
from depfix.imports.known import as_text, facts_of, join_values, module_attribute, pure_calls
from depfix.imports.methods import attribute_of, call_method, grown, with_entries
from depfix.imports.operators import compare, numeric
from depfix.imports.options import given_by_call, parsed_options
from depfix.imports.probes import compared, joined, negated
from depfix.imports.uses import SourceTarget
from depfix.imports.values import (
    PARAMETER,
    UNKNOWN,
    Bound,
    Choice,
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Method,
    Reference,
    Table,
    Text,
    Unknown,
    Value,
    alternatives,
    choice,
    elements,
    made_of,
    pairs_of,
    parts_of,
    text,
    truth,
    unpacked,
)
from depfix.imports.variables import environment

_MOST_ELEMENTS = 1 << 14  # of a list that takes in another one, which may be itself, again and again


class Evaluator:
    """Evaluates expressions in the scopes of one source. What has effects is handed to `effect`."""

    def __init__(self, target: SourceTarget) -> None:
        self.target = target
        self.scopes: list[dict[str, Value]] = [{}]
        self.given: dict[str, Value] = {}  # what this source gives to dotted names: the defaults of its options
        self._facts = facts_of(target)
        self._calls = pure_calls(target)

    def evaluate(self, node: ast.expr) -> Value:
        """Return the value of an expression; UNKNOWN if it cannot be known."""
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child)
        return UNKNOWN

    def effect(
        self, call: ast.Call, called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value | None:
        """Take note of a call of a dotted name or a method; return its value, or None if it is an ordinary call."""
        return None

    def run_function(self, function: Function, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Return what a function of this source gives."""
        return UNKNOWN

    def run_method(
        self, function: Function, receiver: Class | Instance, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value:
        """Return what a method of a class of this source gives."""
        return UNKNOWN

    def make(self, made: Class, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Return an object of a class of this source."""
        return Instance(made.node)

    def member(self, receiver: Class | Instance, name: str) -> Value | None:
        """Return what a class of this source, or its objects, have by a name; None if it is not known."""
        return None

    def set_member(self, receiver: Class | Instance, name: str, value: Value) -> None:
        """Take note of what an object of a class of this source is given."""

    def defined(self, function: Function) -> None:
        """Take note of a lambda."""

    def lookup(self, name: str) -> Value:
        """Return the value bound to a name."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self._facts.get(f"builtins.{name}") or Reference(f"builtins.{name}")

    def bind(self, target: ast.expr, value: Value) -> None:
        """Bind a target of an assignment."""
        if isinstance(target, ast.Name):
            self.scopes[-1][target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            given = unpacked(value, len(target.elts))
            rest = PARAMETER if value == PARAMETER else UNKNOWN
            for index, each in enumerate(target.elts):
                self.bind(each.value if isinstance(each, ast.Starred) else each, given[index] if given else rest)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            table = self.lookup(target.value.id)
            if isinstance(table, Table):
                self._rebind(target.value.id, with_entries(table, (self.evaluate(target.slice),), (value,)))
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            owner = self.lookup(target.value.id)
            if isinstance(owner, (Class, Instance)):
                self.set_member(owner, target.attr, value)

    def _rebind(self, name: str, value: Value) -> None:
        for scope in reversed(self.scopes):
            if name in scope:
                scope[name] = value
                return

    def test(self, node: ast.expr) -> bool | None:
        """Return the truth of a condition, None if it depends on more than the target."""
        return truth(self.evaluate(node))

    # --- literals and names ---

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, str):
            return text(node.value)
        if isinstance(node.value, bytes):
            return text(node.value.decode("utf-8", "replace"))
        return Constant(node.value)

    def _name(self, node: ast.Name) -> Value:
        return self.lookup(node.id)

    def _attribute(self, node: ast.Attribute) -> Value:
        receiver = self.evaluate(node.value)
        if isinstance(receiver, Choice) and any(isinstance(one, Reference) for one in receiver.values):
            given = [one for one in receiver.values if one != Constant(None)]
            return choice([self._attribute_of(node, one) for one in given])
        return self._attribute_of(node, receiver)

    def _attribute_of(self, node: ast.Attribute, receiver: Value) -> Value:
        if isinstance(receiver, Reference):
            name = f"{receiver.name}.{node.attr}"
            known = self._facts.get(name) or self.given.get(name) or module_attribute(receiver.name, node.attr)
            return known or self.attribute_effect(node, name) or Reference(name)
        if isinstance(receiver, (Class, Instance)):
            return self.member(receiver, node.attr) or Method(receiver, node.attr)
        found = attribute_of(receiver, node.attr)
        return found if found is not None else Method(receiver, node.attr)

    def attribute_effect(self, node: ast.Attribute, name: str) -> Value | None:
        """Take note of an attribute whose mere use has an effect; return its value then."""
        return None

    def index_effect(self, node: ast.Subscript, name: str, index: Value) -> Value | None:
        """Take note of `name[index]` whose mere use has an effect; return its value then."""
        return None

    def _joined_text(self, node: ast.JoinedStr) -> Value:
        parts = [parts_of(self.evaluate(value)) for value in node.values]
        return made_of(tuple(part for row in parts for part in row))

    def _formatted_value(self, node: ast.FormattedValue) -> Value:
        value = self.evaluate(node.value)
        return as_text(value) if not isinstance(value, Choice) else UNKNOWN

    # --- containers ---

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        values: list[Value] = []
        exact = True
        for each in node.elts:
            if isinstance(each, ast.Starred):
                inner = self.evaluate(each.value)
                values += [inner] if isinstance(inner, Reference) else elements(inner)
                if len(values) > _MOST_ELEMENTS:
                    return UNKNOWN
                exact = exact and isinstance(inner, Items) and inner.exact
            else:
                values.append(self.evaluate(each))
        constants = [value.value for value in values if isinstance(value, Constant)]
        if exact and values and len(constants) == len(values) and isinstance(node, ast.Tuple) and _is_flat(constants):
            return Constant(tuple(constants))
        return Items(tuple(values), exact)

    def _dictionary(self, node: ast.Dict) -> Value:
        keys: list[Value] = []
        values: list[Value] = []
        exact = True
        for key, given in zip(node.keys, node.values, strict=True):
            value = self.evaluate(given)
            if key is not None:
                keys.append(self.evaluate(key))
                values.append(value)
            elif isinstance(value, Table):
                keys += value.keys
                values += value.values
                exact = exact and value.exact
                if len(keys) > _MOST_ELEMENTS:
                    return UNKNOWN
            else:
                exact = False
        return Table(tuple(keys), tuple(values), exact)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        self.scopes.append({})
        exact = self._generators(node.generators)
        value = self.evaluate(node.elt)
        self.scopes.pop()
        return Items(alternatives(value), exact)

    def _table_comprehension(self, node: ast.DictComp) -> Value:
        self.scopes.append({})
        self._generators(node.generators)
        pairs = pairs_of(self.evaluate(node.key), self.evaluate(node.value))
        self.scopes.pop()
        return Table(tuple(key for key, _ in pairs), tuple(value for _, value in pairs), exact=False)

    def _generators(self, generators: list[ast.comprehension]) -> bool:
        """Bind the names of a comprehension; return True if all that it gives is known."""
        exact = True
        for generator in generators:
            iterable = self.evaluate(generator.iter)
            exact = exact and isinstance(iterable, Items) and iterable.exact and not generator.ifs
            self.bind(generator.target, choice(list(elements(iterable))) if elements(iterable) else UNKNOWN)
            for condition in generator.ifs:
                self.evaluate(condition)
        return exact

    def _lambda(self, node: ast.Lambda) -> Value:
        function = Function(node)
        self.defined(function)
        return function

    def _subscript(self, node: ast.Subscript) -> Value:
        receiver = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            return sliced(receiver, [Constant(None) if one is None else self.evaluate(one) for one in bounds])
        index = self.evaluate(node.slice)
        if receiver == Reference("os.environ"):
            return environment(index, UNKNOWN)
        noted = self.index_effect(node, receiver.name, index) if isinstance(receiver, Reference) else None
        if noted is not None:
            return noted
        return choice([self._given(item_of(one, index)) for one in alternatives(receiver)])

    def _given(self, value: Value) -> Value:
        """Return what this source is known to give to a dotted name, instead of a reference to it."""
        return self.given.get(value.name, value) if isinstance(value, Reference) else value

    # --- operators ---

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(node.op, ast.Div) and (isinstance(left, (Text, Choice)) or isinstance(right, Text)):
            return join_values([left, right])
        if isinstance(node.op, ast.Mod) and isinstance(left, Text):
            return percent_of(left, right)
        if isinstance(left, Table) and isinstance(right, Table):
            return with_entries(left, right.keys, right.values, right.exact)
        if isinstance(left, Items) or isinstance(right, Items):
            rows = [elements(one) if isinstance(one, Items) else (one,) for one in (left, right)]
            return Items(tuple(dict.fromkeys(one for row in rows for one in row)), exact=False)
        if isinstance(left, Constant) and isinstance(right, Constant):
            return numeric(node.op, left.value, right.value)
        if isinstance(node.op, ast.Add) and isinstance(left, (Text, Choice)) | isinstance(right, (Text, Choice)):
            return choice([texts.concat(parts_of(one), parts_of(other)) for one, other in pairs_of(left, right)])
        return PARAMETER if PARAMETER in (left, right) else UNKNOWN

    def _boolean(self, node: ast.BoolOp) -> Value:
        decides = isinstance(node.op, ast.Or)
        reached: list[Value] = []
        for each in node.values:
            value = self.evaluate(each)
            known = truth(value)
            if known is decides:
                return value if not reached or isinstance(value, Constant) else either_of(reached, value)
            if known is None:
                reached.append(value)
            last = value
        if not reached:
            return last
        return joined(reached, decides=decides) or either_of(reached, last)

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not):
            known = truth(value)
            return negated(value) or UNKNOWN if known is None else Constant(not known)
        if isinstance(node.op, ast.USub) and isinstance(value, Constant) and isinstance(value.value, (int, float)):
            return Constant(-value.value)
        return UNKNOWN

    def _compare(self, node: ast.Compare) -> Value:
        left = self.evaluate(node.left)
        result: bool | None = True
        for kind, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(right_node)
            found = compare(kind, left, right)
            if found is False:
                return Constant(False)
            result = None if found is None else result
            if found is None and len(node.ops) == 1:
                return compared(kind, left, right) or UNKNOWN
            left = right
        return UNKNOWN if result is None else Constant(True)

    def _conditional(self, node: ast.IfExp) -> Value:
        known = self.test(node.test)
        if known is None:
            return choice([self.evaluate(node.body), self.evaluate(node.orelse)])
        return self.evaluate(node.body if known else node.orelse)

    def _walrus(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.bind(node.target, value)
        return value

    def _inner(self, node: ast.Await | ast.Starred) -> Value:
        return self.evaluate(node.value)

    # --- calls ---

    def _call(self, node: ast.Call) -> Value:
        function = self.evaluate(node.func)
        arguments: list[Value] = []
        for each in node.args:
            arguments += elements(self.evaluate(each.value)) if isinstance(each, ast.Starred) else [self.evaluate(each)]
        keywords = {each.arg or "**": self.evaluate(each.value) for each in node.keywords}
        values = [self._call_one(node, one, arguments, keywords) for one in alternatives(function)]
        return choice(values)

    def _call_one(self, node: ast.Call, function: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        if isinstance(function, Function):
            return self.run_function(function, arguments, keywords)
        if isinstance(function, Bound):
            return self.run_method(function.function, function.receiver, arguments, keywords)
        if isinstance(function, Class):
            return self.make(function, arguments, keywords)
        if isinstance(function, (Reference, Method)):
            self.given.update(given_by_call(function, arguments, keywords))
            noted = self.effect(node, function, arguments, keywords)
            if noted is not None:
                return noted
        if isinstance(function, Reference):
            pure = self._calls.get(function.name)
            if pure is not None:
                return pure(arguments, keywords)
            parsed = parsed_options(function.name)
            if parsed is not None:
                return parsed
            return PARAMETER if PARAMETER in arguments else UNKNOWN
        if isinstance(function, Method):
            return self._call_method(node, function, arguments, keywords)
        return function if isinstance(function, Unknown) else UNKNOWN

    def _call_method(self, node: ast.Call, method: Method, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        longer = grown(method.receiver, method.name, arguments)
        if longer is None:
            return call_method(method.receiver, method.name, arguments, keywords)
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(owner, ast.Name):
            self._rebind(owner.id, longer)
        return Constant(None)


_HANDLERS: dict[type[ast.AST], Callable[[Evaluator, Any], Value]] = {
    ast.Constant: Evaluator._constant,
    ast.Name: Evaluator._name,
    ast.Attribute: Evaluator._attribute,
    ast.JoinedStr: Evaluator._joined_text,
    ast.FormattedValue: Evaluator._formatted_value,
    ast.List: Evaluator._sequence,
    ast.Tuple: Evaluator._sequence,
    ast.Set: Evaluator._sequence,
    ast.Dict: Evaluator._dictionary,
    ast.ListComp: Evaluator._comprehension,
    ast.SetComp: Evaluator._comprehension,
    ast.GeneratorExp: Evaluator._comprehension,
    ast.DictComp: Evaluator._table_comprehension,
    ast.Lambda: Evaluator._lambda,
    ast.Subscript: Evaluator._subscript,
    ast.BinOp: Evaluator._binary,
    ast.BoolOp: Evaluator._boolean,
    ast.UnaryOp: Evaluator._unary,
    ast.Compare: Evaluator._compare,
    ast.IfExp: Evaluator._conditional,
    ast.NamedExpr: Evaluator._walrus,
    ast.Await: Evaluator._inner,
    ast.Starred: Evaluator._inner,
    ast.Call: Evaluator._call,
}


def _is_flat(constants: list[object]) -> bool:
    """Return True for what holds no tuples of tuples: these share their parts, and hashing one visits each anew."""
    return not any(isinstance(one, tuple) and any(isinstance(part, tuple) for part in one) for one in constants)
