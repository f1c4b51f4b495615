"""Changes of where modules are looked for: sys.path, the `__path__` of a package, and names put into sys.modules.

Sources: "The initialization of the sys.path module search path" https://docs.python.org/3/library/sys_path_init.html ;
"site" https://docs.python.org/3/library/site.html ; "pkgutil.extend_path"
https://docs.python.org/3/library/pkgutil.html#pkgutil.extend_path
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.imports.effects import texts_of
from depfix.imports.uses import PackagePathUse, SearchPathUse, Where
from depfix.imports.values import (
    Anchor,
    Constant,
    Hole,
    Items,
    PackageFolder,
    Reference,
    Table,
    Text,
    Value,
    alternatives,
    elements,
)

ADDS = frozenset(("append", "insert", "extend"))
_NAMESPACES = frozenset(("pkgutil.extend_path", "pkg_resources.declare_namespace"))
_SITES = frozenset(("site.addsitedir", "site.addpackage"))
SEARCH_CALLS = _NAMESPACES | _SITES
_CHANGES = re.compile(
    rb"path(?:__)?\s*(?:\[[^\]\n]*\]\s*)?\+?=(?!=)|path(?:__)?\s*\.\s*(?:append|insert|extend)\b|addsitedir|extend_path"
    rb"|declare_namespace|modules\s*\[[^\]\n]*\]\s*=(?!=)|modules\s*\.\s*(?:setdefault|update)\b"
)
_WORDS = (b"sys.path", b"__path__", b"addsitedir", b"sys.modules", b"from sys import")

Searching = SearchPathUse | PackagePathUse


def changes_search(data: bytes) -> bool:
    """Return True if a source may change where modules are looked for."""
    return any(word in data for word in _WORDS) and _CHANGES.search(data) is not None


def added_paths(name: str, arguments: list[Value], where: Where) -> Iterator[Searching]:
    """Yield the folders that a call of `name` adds."""
    owner, _, method = name.rpartition(".")
    if not arguments:
        return
    if name in _SITES:
        yield from (SearchPathUse(where, path, site=True) for path in _folders(arguments[0]))
    elif name in _NAMESPACES:
        yield PackagePathUse(where, None, package_of(arguments[0]) or "")
    elif owner == "sys.path" and method in ADDS:
        yield from paths_added(Reference(owner), method, arguments, where)


def paths_added(receiver: Value, method: str, arguments: list[Value], where: Where) -> Iterator[Searching]:
    """Yield the folders that a method adds to a list, if that is sys.path or a package's `__path__`."""
    first = method == "insert" and arguments[0] == Constant(0)
    package = package_of(receiver)
    if receiver == Reference("sys.path"):
        yield from (SearchPathUse(where, path, first) for path in _folders(arguments[-1]))
    elif package is not None:
        yield from (PackagePathUse(where, path, package, first) for path in _folders(arguments[-1]))


def paths_assigned(receiver: Value, value: Value, where: Where, *, before: bool) -> Iterator[Searching]:
    """Yield the folders of a list that becomes, or with `before` is put before, sys.path or a package's `__path__`."""
    rows = elements(value) if isinstance(value, Items) else alternatives(value)
    package = package_of(receiver)
    same = [one == receiver or (package is not None and package_of(Items((one,))) == package) for one in rows]
    places = [index for index, holds in enumerate(same) if holds]
    for index, one in enumerate(rows):
        first = before or bool(places and index < places[0])
        for path in _folders(one) if index not in places else ():
            if receiver == Reference("sys.path"):
                yield SearchPathUse(where, path, first)
            elif package is not None:
                yield PackagePathUse(where, path, package, first)


def package_of(value: Value) -> str | None:
    """Return the package whose `__path__` a list is; an empty string for the source's own, None if it is another."""
    first = value.values[0] if isinstance(value, Items) and value.values else None
    parts = first.parts if isinstance(first, Text) else ()
    if len(parts) != 1:
        return None
    return "" if parts[0] is Anchor.HERE else parts[0].package if isinstance(parts[0], PackageFolder) else None


def named_modules(name: str, arguments: list[Value]) -> Iterator[tuple[Text, str]]:
    """Yield (name, module) that a call of `name` puts into sys.modules."""
    if name == "sys.modules.setdefault" and len(arguments) == 2:
        yield from named_module(arguments[0], arguments[1])
    elif name == "sys.modules.update" and arguments and isinstance(arguments[0], Table):
        for key, value in zip(arguments[0].keys, arguments[0].values, strict=True):
            yield from named_module(key, value)


def named_module(key: Value, value: Value) -> Iterator[tuple[Text, str]]:
    """Yield (name, module) for `sys.modules[key] = value`."""
    module = value.name if isinstance(value, Reference) else ""
    for one in texts_of(key):
        if not any(isinstance(part, Hole) for part in one.parts):
            yield one, "" if module.startswith("builtins.") else module


def _folders(value: Value) -> Iterator[Text]:
    """Yield the paths in a value of which something is known."""
    for one in texts_of(value):
        if not isinstance(one.parts[0], Hole) and one.parts != ("",):
            yield one
