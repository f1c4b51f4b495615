"""Imports by name: what functions such as importlib.import_module are given.

Sources: "importlib" https://docs.python.org/3/library/importlib.html ; "pkgutil" and "runpy"
https://docs.python.org/3/library/pkgutil.html https://docs.python.org/3/library/runpy.html ; "`__import__`"
https://docs.python.org/3/library/functions.html#import__
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from depfix.imports.effects import texts_of
from depfix.imports.uses import ImportUse, ModulesUse, ScriptUse, Where
from depfix.imports.values import (
    UNKNOWN,
    Constant,
    Hole,
    Items,
    Own,
    Reference,
    Text,
    Unknown,
    Value,
    alternatives,
    elements,
)

_STATEMENT_LIKE = frozenset(("builtins.__import__", "importlib.__import__"))
IMPORT_FUNCTIONS = _STATEMENT_LIKE | {"importlib.import_module"}
_RUNS = frozenset(("runpy.run_module", "runpy._run_module_as_main"))
_LOOKS = frozenset(("importlib.util.find_spec", "pkgutil.find_loader", "pkgutil.get_loader"))
IMPORT_CALLS = IMPORT_FUNCTIONS | _RUNS | _LOOKS | {"runpy.run_path", "pkgutil.resolve_name"}
_MAPS = frozenset(("builtins.map", "builtins.filter"))

_SPELLED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?::[\w.]+)?", re.ASCII)
_MOST_SPELLED = 200  # names that one source spells

ByName = ImportUse | ModulesUse | ScriptUse


def imports_by_name(name: str, arguments: list[Value], keywords: dict[str, Value], where: Where) -> Iterator[ByName]:
    """Yield what a call of `name` imports or runs by name."""
    first = arguments[0] if arguments else keywords.get("name", keywords.get("mod_name", UNKNOWN))
    if name in IMPORT_FUNCTIONS:
        yield from _imported(name, first, arguments, keywords, where)
    elif name in _MAPS and isinstance(first, Reference) and first.name in IMPORT_FUNCTIONS and len(arguments) > 1:
        for one in elements(arguments[1]):
            yield from imports_by_name(first.name, [one], {}, where)
    elif name in _RUNS:
        for module, level in _modules(first, UNKNOWN):
            yield _use(where, module, level, ("__main__",), mentioned=True)
    elif name == "runpy.run_path":
        given = arguments[0] if arguments else keywords.get("path_name", UNKNOWN)
        yield from (
            ScriptUse(where, path) for path in texts_of(given) if path.parts[0] not in (Hole.ANY, Hole.PARAMETER)
        )
    elif name == "pkgutil.resolve_name":
        yield from _resolved(first, where)
    elif name in _LOOKS:
        yield from _parents(first, where)


def module_names(value: Value) -> list[str]:
    """Return the module names, known to the letter, that a value can be."""
    names: list[str] = []
    for one in alternatives(value):
        known = one.literal if isinstance(one, Text) else None
        if known and all(part.isidentifier() for part in known.lstrip(".").split(".")):
            names.append(known)
    return names


def _imported(
    name: str, first: Value, arguments: list[Value], keywords: dict[str, Value], where: Where
) -> Iterator[ByName]:
    if name in _STATEMENT_LIKE:
        yield from _as_statement(first, arguments, keywords, where)
        return
    package = arguments[1] if len(arguments) > 1 else keywords.get("package", UNKNOWN)
    for module, level in _modules(first, package):
        yield _use(where, module, level)


def is_unknown_import(name: str, arguments: list[Value]) -> bool:
    """Return True for a call that imports by a name of which nothing is known."""
    if name not in IMPORT_FUNCTIONS or not arguments:
        return False
    return all(_is_unknown(one) for one in alternatives(arguments[0]))


def _is_unknown(value: Value) -> bool:
    """Return True if nothing of a value is known."""
    if isinstance(value, Text):
        return not any(isinstance(part, (str, Own)) for part in value.parts)
    return isinstance(value, Unknown)


def spelled_names(tree: ast.Module) -> tuple[str, ...]:
    """Return the strings of a source that are dotted names; of `package.module:name`, what is before the colon."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    found = (match for match in map(_SPELLED.fullmatch, texts) if match is not None)
    return tuple(dict.fromkeys(match[1] for match in found))[:_MOST_SPELLED]


def is_by_name(name: str) -> bool:
    """Return True if a call of `name` is known to import by name, and to do nothing else that matters."""
    return name in IMPORT_FUNCTIONS or name in _RUNS or name in ("runpy.run_path", "pkgutil.resolve_name")


def imported_module(name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    """Return the module that a call of `name` gives."""
    first = arguments[0] if arguments else keywords.get("name", UNKNOWN)
    known = first.literal if isinstance(first, Text) else None
    if not known or known.startswith(".") or name not in IMPORT_FUNCTIONS:
        return UNKNOWN
    whole = name not in _STATEMENT_LIKE or len(arguments) > 3 or "fromlist" in keywords
    return Reference(known if whole else known.partition(".")[0])


def _as_statement(first: Value, arguments: list[Value], keywords: dict[str, Value], where: Where) -> Iterator[ByName]:
    """Yield what `__import__(name, globals, locals, fromlist, level)` imports."""
    wanted = arguments[3] if len(arguments) > 3 else keywords.get("fromlist", UNKNOWN)
    given = arguments[4] if len(arguments) > 4 else keywords.get("level", Constant(0))
    above = given.value if isinstance(given, Constant) and isinstance(given.value, int) else 0
    names = tuple(
        one.literal
        for one in (elements(wanted) if isinstance(wanted, Items) else ())
        if isinstance(one, Text) and one.literal and one.literal.isidentifier()
    )
    for module, level in _modules(first, UNKNOWN):
        yield _use(where, module, max(level, above), names)


def _resolved(first: Value, where: Where) -> Iterator[ByName]:
    """Yield what `package.module:name` imports, or `package.name`, which leaves open what is a module."""
    for one in alternatives(first):
        known = one.literal if isinstance(one, Text) else None
        module, colon, attribute = known.partition(":") if known else ("", "", "")
        if not colon:
            module, _, attribute = module.rpartition(".")
        names = (attribute.partition(".")[0],) if attribute else ()
        if module and _is_dotted(module) and all(map(_is_dotted, names)):
            yield ImportUse(where, module, names, mentioned=True)


def _parents(first: Value, where: Where) -> Iterator[ByName]:
    """Yield the packages that find_spec imports to look for a module in them."""
    for one in alternatives(first):
        known = one.literal if isinstance(one, Text) else None
        package = known.rpartition(".")[0] if known else ""
        if package and _is_dotted(package):
            yield ImportUse(where, package)


def _use(where: Where, module: str, level: int, names: tuple[str, ...] = (), *, mentioned: bool = False) -> ByName:
    if "*" not in module and "?" not in module:
        return ImportUse(where, module, names, level, mentioned=mentioned)
    each = "?" not in module
    return ModulesUse(replace(where, conditional=True), module.replace("?", "*"), level, each)


def _modules(value: Value, package: Value) -> Iterator[tuple[str, int]]:
    """Yield (name, leading dots) of the modules that a value can be; `?` stands for what is computed in a name."""
    for one in alternatives(value):
        if not isinstance(one, Text):
            continue
        first, rest = one.parts[0], one.parts[1:]
        level = 0
        if isinstance(first, Own):
            tail = rest[0] if rest else ""
            if first is not Own.PACKAGE or not isinstance(tail, str) or not tail.startswith("."):
                continue
            rest, level = (tail[1:], *rest[1:]), 1
        elif isinstance(first, str):
            stripped = first.lstrip(".")
            level = len(first) - len(stripped)
            rest = (stripped, *rest)
        else:
            continue  # nothing says where to look
        module = "".join(part if isinstance(part, str) else "*" if part is Hole.EACH else "?" for part in rest)
        plain = module.replace("*", "x").replace("?", "x")
        if _is_dotted(plain) and (level or module[0] not in "*?"):
            yield _absolute(module, level, package)


def _absolute(module: str, level: int, package: Value) -> tuple[str, int]:
    """Return a relative name as an absolute one if it is relative to another package, which is known."""
    known = package.literal if level and isinstance(package, Text) else None
    parts = known.split(".") if known else []
    if not known or level > len(parts):
        return module, level
    return ".".join([*parts[: len(parts) - level + 1], module]), 0


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
