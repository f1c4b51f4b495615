"""Options that a program takes from its user: what they are if the user does not give them.

Sources: "argparse" https://docs.python.org/3/library/argparse.html ; "optparse"
https://docs.python.org/3/library/optparse.html ; Click, "Options" https://click.palletsprojects.com/en/stable/options/
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from depfix.imports.values import (
    PARAMETER,
    UNKNOWN,
    Choice,
    Items,
    Method,
    Reference,
    Text,
    Value,
    alternatives,
    choice,
)

OPTIONS = "options()"  # what parse_args gives
_ADDS = frozenset(("add_argument", "add_option"))
_DECORATORS = frozenset(("option", "argument", "Option", "Argument"))
OPTION_CALLS = _ADDS | _DECORATORS | {"set_defaults"}
_NO_OPTIONS: dict[str, Value] = {}


def given_by_call(called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]) -> dict[str, Value]:
    """Return the dotted names that a call gives values to: `add_argument("--name", default=value)` and set_defaults."""
    last = called.name.rpartition(".")[2]
    if last in _ADDS:
        names = [one.literal or "" for one in arguments if isinstance(one, Text)]
        dest = keywords.get("dest")
        wanted = (dest.literal or "") if isinstance(dest, Text) else _attribute(names)
        return {f"{OPTIONS}.{wanted}": or_given(keywords.get("default", UNKNOWN))} if wanted else _NO_OPTIONS
    if last == "set_defaults":
        return {f"{OPTIONS}.{name}": or_given(value) for name, value in keywords.items()}
    return _NO_OPTIONS


def parsed_options(name: str) -> Value | None:
    """Return what a call of a parser's method gives, None if it is none."""
    owner, _, last = name.rpartition(".")
    if not owner.endswith("()"):
        return None
    if last in ("parse_args", "parse_intermixed_args"):
        return Reference(OPTIONS) if owner.startswith("argparse.") else Items((Reference(OPTIONS), UNKNOWN))
    return Items((Reference(OPTIONS), UNKNOWN)) if last == "parse_known_args" else None


def or_given(default: Value) -> Value:
    """Return what has a default, and what a user or caller may give instead."""
    texts = [one for one in alternatives(default) if isinstance(one, Text)]
    return choice([*texts, PARAMETER]) if texts else PARAMETER


def is_default(value: Value) -> bool:
    """Return True for one known text that a user or caller may give another for."""
    return isinstance(value, Choice) and len(value.values) == 2 and PARAMETER in value.values


def decorated_defaults(
    function: ast.FunctionDef | ast.AsyncFunctionDef, evaluate: Callable[[ast.expr], Value]
) -> Iterator[tuple[str, Value]]:
    """Yield (parameter, value) for what decorators such as `click.option("--name", default=value)` give a function."""
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or _last_name(decorator.func) not in _DECORATORS:
            continue
        default = next((one.value for one in decorator.keywords if one.arg == "default"), None)
        names = [one.value for one in decorator.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        wanted = next((name for name in names if name.isidentifier()), _attribute(names))
        if wanted and default is not None:
            yield wanted, or_given(evaluate(default))


def typer_default(node: ast.expr) -> ast.expr:
    """Return the default inside `typer.Option(default, ...)`, else the expression itself."""
    if isinstance(node, ast.Call) and _last_name(node.func) in ("Option", "Argument") and node.args:
        return node.args[0]
    return node


def _attribute(names: list[str]) -> str:
    """Return the name under which the value of an option is to be had: that of its first long flag."""
    long = next((name for name in names if name.startswith("--")), names[0] if names else "")
    return long.lstrip("-").replace("-", "_")


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
