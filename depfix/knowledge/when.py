"""Conditions and small expressions of Nuitka's package configuration, evaluated without running anything.

They are Python expressions over a fixed vocabulary (`win32 and version("x") < (2, 0)`). Here they are read with `ast`
and a whitelist, for a program on Windows; what is outside of it, or not known of the target, makes the outcome unknown.
Source: Nuitka, "Nuitka Package Configuration" https://nuitka.net/user-documentation/nuitka-package-config.html
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from depfix.model.machine import Machine

_LONGEST = 4000  # characters; the longest condition of Nuitka 4.3 has 119
_MOST_STEPS = 200_000
_LARGEST = 10_000  # characters or items of a value that is put together here
_OF_PYTHON = re.compile(r"python(\d)(\d{0,2})_or_higher|before_python(\d)(\d{0,2})")
_RELEASE = re.compile(r"\s*v?(?:\d+!)?(\d+(?:\.\d+)*)")
_PLAIN_FORMAT = re.compile(r"(?:[^%]|%s|%%)*")
_NEVER = ("linux", "macos", "android", "android32", "android64", "debian_python")
_ELSEWHERE = ("module_mode", "dll_mode", "nuitka_python", "monolithpy")  # a dist with a Python DLL is neither of these
_ORDER: dict[type[ast.cmpop], Callable[..., bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Truth(Enum):
    """Whether a condition holds."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that cannot be told, for it depends on `why`: names, calls or forms."""

    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a condition; `unknown` names what it depends on if that is not known."""

    truth: Truth
    unknown: tuple[str, ...] = ()

    def __and__(self, other: Verdict) -> Verdict:
        """Return the verdict of both conditions together."""
        for one in (self, other):
            if one.truth is Truth.NO:
                return one
        unknown = tuple(dict.fromkeys(self.unknown + other.unknown))
        return Verdict(Truth.UNKNOWN if unknown else Truth.YES, unknown)


ALWAYS = Verdict(Truth.YES)


def _not_known(_name: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the target, a standalone program on Windows. Each callable returns None for "not known".

    `version_of` takes a distribution, `dist_of` an import package; `modules_in` returns the dotted names of all modules
    below a package. `tags` gives names that a build decides (`deployment`, `onefile`, `use_tkinter`, `no_asserts`,
    `anaconda`), and beats the rest. `plugins` are the plugins of the build, `parameters` its --module-parameter values.
    """

    python: tuple[int, int]
    machine: Machine = Machine.AMD64
    version_of: Callable[[str], str | None] = _not_known
    dist_of: Callable[[str], str | None] = _not_known
    is_conda: Callable[[str], bool | None] = _not_known
    has_module: Callable[[str], bool | None] = _not_known
    is_builtin: Callable[[str], bool | None] = _not_known
    modules_in: Callable[[str], Sequence[str] | None] = _not_known
    tags: Mapping[str, bool] = field(default_factory=dict)
    plugins: frozenset[str] | None = None
    parameters: Mapping[str, str] | None = None


def holds(condition: str, context: Context) -> Verdict:
    """Return whether a condition holds in a context. Never raises; an empty condition holds."""
    if not condition.strip():
        return ALWAYS
    value = evaluate(condition, context)
    if isinstance(value, Unknown):
        return Verdict(Truth.UNKNOWN, value.why)
    return Verdict(Truth.YES if value else Truth.NO)


def evaluate(expression: str, context: Context) -> object:
    """Return the value of an expression: text, number, True, False, None, a tuple of such, or Unknown. Never raises."""
    if len(expression) > _LONGEST:
        return Unknown(("an expression that is too long",))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(expression.strip(), mode="eval")
        return _Evaluator(context).value(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Unknown(("an expression that cannot be parsed",))


def release_of(version: str) -> tuple[int, ...] | None:
    """Return the release of a version as numbers, None if it does not begin with one: `2.0.1+cu118` is (2, 0, 1)."""
    match = _RELEASE.match(version)
    if match is None or len(match.group(1)) > 100:
        return None
    return tuple(int(part) for part in match.group(1).split("."))


class _Evaluator:
    """Evaluates one expression; each step is counted."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bound: dict[str, object] = {}
        self._steps = 0

    def value(self, node: ast.expr) -> object:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            return Unknown(("an expression that takes too long",))
        method = _METHODS.get(type(node))
        return Unknown((f"the form {ast.unparse(node)}",)) if method is None else method(self, node)

    def constant(self, node: ast.Constant) -> object:
        known = node.value is None or isinstance(node.value, str | int)
        return node.value if known else Unknown((f"the constant {ast.unparse(node)}",))

    def name(self, node: ast.Name) -> object:
        if node.id in self._bound:
            return self._bound[node.id]
        known = _named(node.id, self._context)
        return Unknown((node.id,)) if known is None else known

    def sequence(self, node: ast.Tuple | ast.List) -> object:
        return _flat([self.value(item) for item in node.elts])

    def unary(self, node: ast.UnaryOp) -> object:
        value = self.value(node.operand)
        if isinstance(value, Unknown):
            return value
        if isinstance(node.op, ast.Not):
            return not value
        if isinstance(node.op, ast.USub) and isinstance(value, int):
            return -value
        return Unknown((f"the form {ast.unparse(node)}",))

    def boolean(self, node: ast.BoolOp) -> object:
        """Evaluate `and` and `or`: one operand may decide although others are unknown."""
        decides = isinstance(node.op, ast.Or)
        unknown: list[str] = []
        value: object = not decides
        for operand in node.values:
            value = self.value(operand)
            if isinstance(value, Unknown):
                unknown += value.why
            elif bool(value) is decides:
                return decides if unknown else value
        return Unknown(tuple(dict.fromkeys(unknown))) if unknown else value

    def choice(self, node: ast.IfExp) -> object:
        test = self.value(node.test)
        return test if isinstance(test, Unknown) else self.value(node.body if test else node.orelse)

    def comparison(self, node: ast.Compare) -> object:
        operands = [self.value(one) for one in (node.left, *node.comparators)]
        unknown: list[str] = []
        for index, kind in enumerate(node.ops):
            outcome = _compared(kind, operands[index], operands[index + 1])
            if outcome is False:
                return False
            if isinstance(outcome, Unknown):
                unknown += outcome.why
        return Unknown(tuple(dict.fromkeys(unknown))) if unknown else True

    def arithmetic(self, node: ast.BinOp) -> object:
        both = _together([self.value(node.left), self.value(node.right)])
        found = both if isinstance(both, Unknown) else _joined(node.op, *both)
        return Unknown((f"the form {ast.unparse(node)}",)) if found is None else found

    def item(self, node: ast.Subscript) -> object:
        both = _together([self.value(node.value), self.value(node.slice)])
        if isinstance(both, Unknown):
            return both
        whole, index = both
        if isinstance(whole, str | tuple) and isinstance(index, int) and -len(whole) <= index < len(whole):
            return whole[index]
        return Unknown((f"the form {ast.unparse(node)}",))

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> object:
        """Evaluate `[... for name in ... if ...]` with one `for`."""
        loop = node.generators[0]
        if len(node.generators) > 1 or loop.is_async or not isinstance(loop.target, ast.Name):
            return Unknown((f"the form {ast.unparse(node)}",))
        source = self.value(loop.iter)
        if not isinstance(source, tuple):
            return source if isinstance(source, Unknown) else Unknown((f"the form {ast.unparse(node)}",))
        found: list[object] = []
        outer = dict(self._bound)
        for each in source:
            self._bound[loop.target.id] = each
            passed = self.boolean(ast.BoolOp(ast.And(), [ast.Constant(True), *loop.ifs]))
            if passed:
                found.append(passed if isinstance(passed, Unknown) else self.value(node.elt))
            if found and isinstance(found[-1], Unknown):
                break
        self._bound = outer
        return _flat(found)

    def call(self, node: ast.Call) -> object:
        what = ast.unparse(node)
        arguments = _together([self.value(one) for one in node.args])
        if isinstance(arguments, Unknown) or node.keywords:
            return arguments if isinstance(arguments, Unknown) else Unknown((what,))
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, arguments, what)
        function = _FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None or not arguments or not isinstance(arguments[0], str):
            return Unknown((what,))
        known = function(self._context, *arguments[:2]) if len(arguments) == 1 or function is _parameter else None
        return Unknown((what,)) if known is None else known

    def _method(self, function: ast.Attribute, arguments: tuple[object, ...], what: str) -> object:
        if function.attr not in _TEXT_METHODS or (isinstance(function.value, ast.Name) and function.value.id == "os"):
            return Unknown((what,))
        text = self.value(function.value)
        if not isinstance(text, str):
            return text if isinstance(text, Unknown) else Unknown((what,))
        try:
            found = getattr(text, function.attr)(*arguments)
        except (TypeError, ValueError, OverflowError):
            return Unknown((what,))
        return tuple(found) if isinstance(found, list) else found


_METHODS: dict[type[ast.expr], Callable[[_Evaluator, Any], object]] = {
    ast.Constant: _Evaluator.constant,
    ast.Name: _Evaluator.name,
    ast.Tuple: _Evaluator.sequence,
    ast.List: _Evaluator.sequence,
    ast.UnaryOp: _Evaluator.unary,
    ast.BoolOp: _Evaluator.boolean,
    ast.IfExp: _Evaluator.choice,
    ast.Compare: _Evaluator.comparison,
    ast.BinOp: _Evaluator.arithmetic,
    ast.Subscript: _Evaluator.item,
    ast.ListComp: _Evaluator.comprehension,
    ast.GeneratorExp: _Evaluator.comprehension,
    ast.Call: _Evaluator.call,
}
_TEXT_METHODS = frozenset(("split", "rsplit", "startswith", "endswith", "lower", "strip"))


# --- the vocabulary ---


def _named(name: str, context: Context) -> object:
    """Return what a name stands for, None if that is not known."""
    if name in context.tags:
        return context.tags[name]
    if name in ("win32", "standalone"):
        return True
    if name in _NEVER or name in _ELSEWHERE or name == "static_libpython":
        return False
    if name.startswith("arch_"):
        return context.machine.value == name[5:] if name[5:] in ("x86", "amd64", "arm64") else None
    if name == "python_version_str":
        return f"{context.python[0]}.{context.python[1]}"
    match = _OF_PYTHON.fullmatch(name)
    if match is None:
        return None
    higher, before = match.group(1, 2), match.group(3, 4)
    major, minor = higher if higher[0] else before
    reached = context.python >= (int(major), int(minor or 0))
    return reached if higher[0] else not reached


def _version(context: Context, name: str) -> object:
    text = context.version_of(name)
    return None if text is None else release_of(text)


def _version_text(context: Context, name: str) -> object:
    release = _version(context, name)
    return ".".join(map(str, release)) if isinstance(release, tuple) else None


def _modules_in(context: Context, name: str) -> object:
    found = context.modules_in(name)
    return None if found is None else tuple(found)


def _plugin(context: Context, name: str) -> object:
    return None if context.plugins is None else name in context.plugins


def _parameter(context: Context, name: str, default: object = None) -> object:
    if context.parameters is None:
        return None
    value = context.parameters.get(name, default)
    return Unknown((f"the parameter {name}",)) if value is None else value


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "version": _version,
    "version_str": _version_text,
    "get_dist_name": lambda context, name: context.dist_of(name),
    "is_conda_package": lambda context, name: context.is_conda(name),
    "has_module": lambda context, name: context.has_module(name),
    "has_builtin_module": lambda context, name: context.is_builtin(name),
    "iterate_modules": _modules_in,
    "plugin": _plugin,
    "get_parameter": _parameter,
}


# --- values ---


def _together(values: Iterable[object]) -> tuple[object, ...] | Unknown:
    """Return values as a tuple, or as one Unknown if some of them is unknown."""
    found = tuple(values)
    why = [reason for value in found if isinstance(value, Unknown) for reason in value.why]
    return Unknown(tuple(dict.fromkeys(why))) if why else found


def _flat(values: Iterable[object]) -> tuple[object, ...] | Unknown:
    """As `_together`, for the items of a sequence: none may be a sequence itself, so that values stay small."""
    found = _together(values)
    nested = not isinstance(found, Unknown) and any(isinstance(value, tuple) for value in found)
    return Unknown(("a sequence of sequences",)) if nested else found


def _joined(kind: ast.operator, left: object, right: object) -> object:
    """Return `left + right` or `left % right` for texts, and sums of tuples; None for what is none of these."""
    found: object = None
    if isinstance(kind, ast.Add) and isinstance(left, str):
        found = left + right if isinstance(right, str) else None
    elif isinstance(kind, ast.Add) and isinstance(left, tuple):
        found = left + right if isinstance(right, tuple) else None
    elif isinstance(kind, ast.Mod) and isinstance(left, str) and _PLAIN_FORMAT.fullmatch(left):
        try:
            found = left % right
        except TypeError:
            return None
    return found if isinstance(found, str | tuple) and len(found) <= _LARGEST else None


def _compared(kind: ast.cmpop, left: object, right: object) -> bool | Unknown:
    both = _together((left, right))
    if isinstance(both, Unknown):
        return both
    if isinstance(kind, ast.Is | ast.IsNot):
        same = left is right or (type(left) is type(right) and left == right)
        return same is isinstance(kind, ast.Is)
    if isinstance(kind, ast.In | ast.NotIn):
        inside = isinstance(right, tuple) or (isinstance(right, str) and isinstance(left, str))
        return (left in right) is isinstance(kind, ast.In) if inside else Unknown(("a comparison",))  # type: ignore[operator]
    try:
        return bool(_ORDER[type(kind)](left, right))
    except TypeError:
        return Unknown((f"a comparison of {left!r} with {right!r}",))
