"""Follows calls of functions and classes of one source, with their arguments."""

from __future__ import annotations

import ast
import re

from depfix.imports.circumstances import Circumstanced
from depfix.imports.options import decorated_defaults, or_given, typer_default
from depfix.imports.uses import DataUse, SourceTarget, Use, Where
from depfix.imports.values import (
    PARAMETER,
    UNKNOWN,
    Bound,
    Class,
    Constant,
    Function,
    Instance,
    Items,
    Text,
    Value,
    alternatives,
    choice,
)

_DEEPEST_CALL = 8
_MOST_CALLS = 64  # of one function
_MOST_METHOD_CALLS = 8
_MOST_BASES = 16
_MOST_MEMBERS = 512
_PROPERTIES = frozenset(("property", "cached_property"))
_SUFFIXES = "json|ya?ml|toml|ini|cfg|conf|txt|csv|tsv|xml|db|pt|pth|onnx|pkl|npy|npz|h5|bin|png|jpe?g|ico|ui|qss|html"
_FILE_NAME = re.compile(rf"[^\n]*(?:[\\/]|\.(?:{_SUFFIXES})$)")  # not the dotted name of a module


class Running(Circumstanced):
    """Follows functions; `_block`, which follows statements, is for the subclass."""

    def __init__(self, target: SourceTarget, evaluating: bool) -> None:
        super().__init__(target)
        self._evaluating = evaluating
        self._run: set[int] = set()
        self._stack: list[ast.AST] = []
        self._returns: list[list[Value]] = []
        self._times: dict[tuple[int, bool, bool], int] = {}
        self.uses: list[Use] = []
        self.modules: list[tuple[Text, str]] = []  # what is put into sys.modules
        self.unknown: list[Where] = []  # where a module is imported by a name of which nothing is known
        self._in_methods = 0
        self._class_of: dict[int, ast.ClassDef] = {}  # of functions that are methods, by id
        self._members: dict[int, dict[str, Value]] = {}  # of classes, by id
        self._bases: dict[int, tuple[Value, ...]] = {}

    def _block(self, body: list[ast.stmt]) -> bool:
        """Follow statements."""
        raise NotImplementedError

    # --- functions ---

    def run_function(
        self, function: Function, arguments: list[Value], keywords: dict[str, Value], unknown: Value = UNKNOWN
    ) -> Value:
        """Follow a call of a function of this source and return what it gives."""
        node = function.node
        if node in self._stack or len(self._stack) >= _DEEPEST_CALL or not self._may_run(node):
            return UNKNOWN
        if not self._in_methods:
            self._run.add(id(node))
        self._stack.append(node)
        self.scopes.append(self._bound(node, arguments, keywords, unknown))
        self._returns.append([])
        if isinstance(node, ast.Lambda):
            self._returns[-1].append(self.evaluate(node.body))
        else:
            with self.within(raises_after=False):
                self._block(node.body)
        self.scopes.pop()
        self._stack.pop()
        returned = self._returns.pop()
        if not self._evaluating:
            return UNKNOWN  # what it returns is not followed
        return choice(returned) if returned else Constant(None)

    def _may_run(self, node: ast.AST) -> bool:
        """Return True unless a function was followed often enough: arguments matter only where they are evaluated."""
        key = (id(node), self.state.deferred, self._in_methods > 0)
        self._times[key] = self._times.get(key, 0) + 1
        most = _MOST_METHOD_CALLS if self._in_methods else _MOST_CALLS
        return self._times[key] <= (most if self._evaluating else 1)

    def _bound(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
        arguments: list[Value],
        keywords: dict[str, Value],
        unknown: Value,
    ) -> dict[str, Value]:
        spec = node.args
        names = [each.arg for each in (*spec.posonlyargs, *spec.args)]
        bound: dict[str, Value] = {each.arg: unknown for each in spec.kwonlyargs} | dict.fromkeys(names, unknown)
        defaults = [*zip(reversed(names), reversed(spec.defaults), strict=False)]
        defaults += [(one.arg, given) for one, given in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if given]
        for name, default in defaults:
            if unknown != PARAMETER:
                bound[name] = self.evaluate(typer_default(default))
            elif self._evaluating:
                bound[name] = _file_default(self.evaluate(typer_default(default)))
        if self._evaluating and not isinstance(node, ast.Lambda) and node.decorator_list:
            bound.update({name: value for name, value in decorated_defaults(node, self.evaluate) if name in bound})
        bound.update(zip(names, arguments, strict=False))
        bound.update({name: value for name, value in keywords.items() if name in bound})
        if unknown == PARAMETER and names and id(node) in self._class_of and not arguments:
            bound[names[0]] = self._first_argument(node)
        if spec.kwarg is not None:
            bound[spec.kwarg.arg] = unknown
        if spec.vararg is not None:
            bound[spec.vararg.arg] = unknown if unknown == PARAMETER else Items(tuple(arguments[len(names) :]))
        return bound

    def _first_argument(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Value:
        decorators = _decorators(node)
        owner = self._class_of[id(node)]
        if "staticmethod" in decorators:
            return PARAMETER
        return Class(owner) if "classmethod" in decorators else Instance(owner)

    # --- classes ---

    def defines(self, node: ast.ClassDef, scope: dict[str, Value], bases: tuple[Value, ...]) -> Value:
        """Take note of a class and what its body binds; return its value."""
        self._members[id(node)] = scope
        self._bases[id(node)] = bases
        return Class(node)

    def run_method(
        self, function: Function, receiver: Class | Instance, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value:
        """Follow a call of a method, and return what it gives.

        Only what it reads counts here: which methods may be called is judged by names, so each is followed on its own.
        """
        counts = len(self.uses), len(self.modules), len(self.unknown)
        self._in_methods += 1
        value = self.run_function(function, [receiver, *arguments], keywords)
        self._in_methods -= 1
        self.uses[counts[0] :] = [use for use in self.uses[counts[0] :] if isinstance(use, DataUse)]
        del self.modules[counts[1] :]
        del self.unknown[counts[2] :]
        return choice([PARAMETER if _is_vague(one) else one for one in alternatives(value)])

    def make(self, made: Class, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Follow the making of an object of a class of this source."""
        made_object = Instance(made.node)
        start = self._found(made.node, "__init__")
        if isinstance(start, Function):
            self.run_method(start, made_object, arguments, keywords)
        else:
            members = self._members.get(id(made.node), {})
            for name, value in keywords.items():  # of a dataclass
                if name in members:
                    self.set_member(made_object, name, value)
        return made_object

    def member(self, receiver: Class | Instance, name: str) -> Value | None:
        """Return what a class, or its objects, have by a name: a method is bound, a property is followed."""
        found = self._found(receiver.node, name)
        if not isinstance(found, Function):
            return found
        decorators = _decorators(found.node)
        if "staticmethod" in decorators:
            return found
        if "classmethod" in decorators:
            return Bound(found, Class(receiver.node))
        if isinstance(receiver, Class):
            return found
        return self.run_method(found, receiver, [], {}) if decorators & _PROPERTIES else Bound(found, receiver)

    def members_of(self, value: Class | Instance) -> dict[str, Value]:
        """Return what the objects of a class are known to have."""
        return self._members.get(id(value.node), {})

    def set_member(self, receiver: Class | Instance, name: str, value: Value) -> None:
        """Give an object something; another object of its class may have been given something else by that name."""
        if not self._evaluating:
            return  # not all that they are given is followed
        members = self._members.setdefault(id(receiver.node), {})
        known = [one for one in alternatives(members.get(name, value)) if one not in (Constant(None), UNKNOWN)]
        if name in members or len(members) < _MOST_MEMBERS:
            members[name] = choice([*known, *([value] if value != Constant(None) else [])]) if known else value

    def _found(self, node: ast.ClassDef, name: str) -> Value | None:
        todo, seen = [node], 0
        while todo and seen < _MOST_BASES:
            one = todo.pop(0)
            seen += 1
            members = self._members.get(id(one), {})
            if name in members:
                return members[name]
            todo += [base.node for base in self._bases.get(id(one), ()) if isinstance(base, Class)]
        return None


def _is_vague(value: Value) -> bool:
    """Return True for what is not known, and for a text that is neither known nor a path of a known place."""
    if isinstance(value, Text):
        return value.literal is None and not value.anchored
    return value == UNKNOWN


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    rows = node.decorator_list if not isinstance(node, ast.Lambda) else []
    return {str(getattr(one, "attr", "") or getattr(one, "id", "")) for one in rows}


def _file_default(value: Value) -> Value:
    """Return the default of a parameter, with what callers may give instead, if it looks like a file."""
    texts = [one for one in alternatives(value) if isinstance(one, Text)]
    named = [one for one in texts if one.anchored or _FILE_NAME.match(one.literal or "")]
    return or_given(choice(list(named))) if named else PARAMETER
