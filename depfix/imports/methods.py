"""Methods and attributes of texts and lists in the partial evaluator: str's, pathlib.Path's, list's."""

from __future__ import annotations

from collections.abc import Callable

from depfix.imports import texts
from depfix.imports.known import each_text, join_values
from depfix.imports.values import (
    LONGEST_TEXT,
    PARAMETER,
    UNKNOWN,
    Anchor,
    Choice,
    Constant,
    Instance,
    Items,
    Own,
    PackageFolder,
    Part,
    Table,
    Text,
    Value,
    choice,
    elements,
    made_of,
    parts_of,
    text,
)

_SAME = frozenset(
    "resolve absolute expanduser as_posix encode decode strip rstrip lstrip removesuffix removeprefix __str__ "
    "__fspath__ casefold lower upper read_text".split()
)
_MOST_ENTRIES = 4096
_VERSION = ("major", "minor", "micro", "releaselevel", "serial")  # of sys.version_info
_GROWING = frozenset("append add insert extend update extendleft appendleft".split())


def attribute_of(receiver: Value, name: str) -> Value | None:
    """Return a path's attribute, None if it is a method or not known."""
    if isinstance(receiver, Choice):
        found = [attribute_of(one, name) for one in receiver.values]
        return None if any(one is None for one in found) else Choice(tuple(one for one in found if one is not None))
    if isinstance(receiver, Items) and name == "name" and len(receiver.values) == 3:
        return receiver.values[1]  # pkgutil.ModuleInfo.name
    if isinstance(receiver, Constant) and isinstance(receiver.value, tuple) and name in _VERSION[: len(receiver.value)]:
        return Constant(receiver.value[_VERSION.index(name)])
    if not isinstance(receiver, Text):
        return None
    if name == "parent":
        return texts.directory(receiver)
    if name == "parents":
        above: list[Value] = []
        current = receiver
        for _ in range(6):
            current = texts.directory(current)
            above.append(current)
        return Items(tuple(above))
    if name == "name":
        return texts.last_component(receiver)
    if name == "path" and receiver.parts and not receiver.literal:
        return receiver  # os.DirEntry.path
    return None


def call_method(receiver: Value, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    """Return what a method without effects gives; UNKNOWN where it is not known."""
    if isinstance(receiver, Choice):
        return choice([call_method(one, name, arguments, keywords) for one in receiver.values])
    if isinstance(receiver, Text):
        return _call_on_text(receiver, name, arguments, keywords)
    if isinstance(receiver, Items) and name in ("copy", "__iter__", "values", "keys"):
        return receiver
    if isinstance(receiver, Table):
        return _call_on_table(receiver, name, arguments)
    return PARAMETER if receiver == PARAMETER or isinstance(receiver, Instance) else UNKNOWN


def _call_on_table(receiver: Table, name: str, arguments: list[Value]) -> Value:
    if name == "values":
        return Items(receiver.values, receiver.exact)
    if name in ("keys", "__iter__"):
        return Items(receiver.keys, receiver.exact)
    if name == "items":
        return Items(tuple(map(Items, zip(receiver.keys, receiver.values, strict=True))), receiver.exact)
    if name == "copy":
        return receiver
    if name in ("get", "pop", "setdefault") and arguments:
        return entry_of(receiver, arguments[0], arguments[1] if len(arguments) > 1 else Constant(None))
    return UNKNOWN


def entry_of(table: Table, key: Value, default: Value | None = None) -> Value:
    """Return what a dict has under a key."""
    known = key.literal is not None if isinstance(key, Text) else isinstance(key, Constant)
    if known and key in table.keys:
        return table.values[len(table.keys) - 1 - table.keys[::-1].index(key)]
    return choice([*table.values, *([default] if default is not None else [])])


def with_entries(table: Table, keys: tuple[Value, ...], values: tuple[Value, ...], exact: bool = True) -> Table:
    """Return a dict after entries were added to it."""
    if len(table.keys) >= _MOST_ENTRIES:
        return table
    return Table((*table.keys, *keys), (*table.values, *values), table.exact and exact)


def grown(receiver: Value, name: str, arguments: list[Value]) -> Items | Table | None:
    """Return a list or dict after a method that adds to it, None if the method does not."""
    if name == "update" and isinstance(receiver, Table) and arguments:
        other = arguments[0]
        return (
            with_entries(receiver, other.keys, other.values, other.exact)
            if isinstance(other, Table)
            else with_entries(receiver, (), (), exact=False)
        )
    if name not in _GROWING or not isinstance(receiver, Items) or not arguments:
        return None
    if len(receiver.values) >= _MOST_ENTRIES:
        return Items(receiver.values, exact=False)
    added = elements(arguments[0]) if name in ("extend", "update", "extendleft") else (arguments[-1],)
    exact = receiver.exact and (name not in ("extend", "update") or getattr(arguments[0], "exact", False))
    return Items(tuple(dict.fromkeys((*receiver.values, *added))), exact)


def _call_on_text(receiver: Text, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if name in _STRUCTURAL:
        return _STRUCTURAL[name](receiver, arguments)
    if name == "format":
        named = {key: parts_of(value) for key, value in keywords.items()}
        template = receiver.literal
        return (
            texts.formatted(template, [parts_of(one) for one in arguments], named) if template is not None else UNKNOWN
        )
    if isinstance(receiver.parts[0], Own) and len(receiver.parts) == 1:
        found = _CUT.get((receiver.parts[0], name))
        if found is not None:
            return Items((Text((found,)), UNKNOWN, UNKNOWN), exact=True)
    known = receiver.literal
    literals = [one.literal for one in arguments if isinstance(one, Text)]
    if known is not None and len(literals) == len(arguments) and None not in literals:
        return _call_on_literal(known, name, [one for one in literals if one is not None])
    if known is not None and name in ("startswith", "endswith") and len(arguments) == 1:
        return _fits(known, name, arguments[0])
    if name == "replace" and len(literals) == 2 and None not in literals:
        old, new = literals
        if any(_grows(part, old or "\0", new or "") for part in receiver.parts if isinstance(part, str)):
            return UNKNOWN
        return made_of(tuple(p.replace(old or "\0", new or "") if isinstance(p, str) else p for p in receiver.parts))
    return receiver if name in _SAME else UNKNOWN


def _fits(known: str, name: str, given: Value) -> Value:
    """Return what startswith or endswith gives for a tuple."""
    texts_given = [one.literal if isinstance(one, Text) else None for one in elements(given)]
    words = tuple(one for one in texts_given if one is not None)
    if not isinstance(given, Items) or not given.exact or len(words) < len(texts_given):
        return UNKNOWN
    return Constant(known.startswith(words) if name == "startswith" else known.endswith(words))


def _call_on_literal(known: str, name: str, arguments: list[str]) -> Value:
    if name in _SAME and name not in ("lower", "upper", "casefold", "strip", "rstrip", "lstrip"):
        if name not in ("removesuffix", "removeprefix"):
            return text(known)
    method: Callable[..., object] | None = _LITERAL.get(name)
    if method is None or (name == "replace" and len(arguments) == 2 and _grows(known, *arguments)):
        return UNKNOWN
    try:
        result = method(known, *arguments)
    except (TypeError, ValueError):
        return UNKNOWN
    if isinstance(result, str):
        return text(result)
    if isinstance(result, (list, tuple)):
        return Items(tuple(text(str(one)) for one in result))
    return Constant(result)


def _grows(known: str, old: str, new: str) -> bool:
    """Return True if a text with something replaced would be longer than is sensible."""
    return len(known) + known.count(old) * len(new) > LONGEST_TEXT


_LITERAL: dict[str, Callable[..., object]] = {
    name: getattr(str, name)
    for name in "lower upper casefold strip rstrip lstrip removesuffix removeprefix replace startswith endswith split "
    "rsplit partition rpartition splitlines isdigit title count find".split()
}


# The first item of what these methods give for a module's own name; the separator is a dot.
_CUT = {
    **{(own, name): Own.TOP for own in Own for name in ("split", "partition")},
    **{(Own.NAME, name): Own.PACKAGE for name in ("rsplit", "rpartition")},
}


def _joined(separator: Text, arguments: list[Value]) -> Value:
    if not arguments:
        return UNKNOWN
    if separator.literal == ";":  # a PATH-like list: its elements matter, not the text
        return Items(elements(arguments[0]), exact=False)
    if not isinstance(arguments[0], Items) or not arguments[0].exact:
        return UNKNOWN
    parts: list[Part] = []
    for index, value in enumerate(arguments[0].values):
        parts += [*(separator.parts if index else ()), *parts_of(value)]
    return made_of(tuple(parts))


def _globbed(receiver: Text, arguments: list[Value]) -> Value:
    joined = join_values([receiver, *arguments])
    return Items((each_text(joined, texts.globbed),), exact=False)


def _suffixed(receiver: Text, arguments: list[Value]) -> Value:
    last = receiver.parts[-1]
    new = arguments[0].literal if arguments and isinstance(arguments[0], Text) else None
    if new is None or not isinstance(last, str) or isinstance(last, (Anchor, PackageFolder)):
        return UNKNOWN
    stem, dot, _ = last.rpartition(".")
    return made_of((*receiver.parts[:-1], (stem if dot else last) + new))


_STRUCTURAL: dict[str, Callable[[Text, list[Value]], Value]] = {
    "join": _joined,
    "joinpath": lambda receiver, arguments: join_values([receiver, *arguments]),
    "glob": _globbed,
    "rglob": _globbed,
    "iterdir": lambda receiver, _arguments: Items((texts.listed(receiver),), exact=False),
    "with_name": lambda receiver, arguments: (
        each_text(arguments[0], lambda one: texts.with_last(receiver, one)) if arguments else UNKNOWN
    ),
    "with_suffix": _suffixed,
}
