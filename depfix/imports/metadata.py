"""Questions to the metadata of installed distributions: importlib.metadata, its backport, and pkg_resources.

Sources: "importlib.metadata" https://docs.python.org/3/library/importlib.metadata.html ; "Package Discovery and
Resource Access using pkg_resources" https://setuptools.pypa.io/en/latest/pkg_resources.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.imports.effects import texts_of
from depfix.imports.uses import MetadataUse, Where
from depfix.imports.values import UNKNOWN, Reference, Text, Value, alternatives, text

_WORDS = (b"importlib.metadata", b"importlib_metadata", b"import metadata", b"pkg_resources", b"entry_points")
_MODULE = re.compile(r"(?:importlib\.|importlib_)metadata\.")
_BY_NAME = frozenset(("version", "distribution", "metadata", "requires", "files", "Distribution.from_name"))
_RESOURCES = "pkg_resources."
_BY_REQUIREMENT = frozenset(("get_distribution", "require", "get_provider", "working_set.require", "get_entry_map"))
_BY_GROUP = frozenset(("iter_entry_points", "working_set.iter_entry_points"))
_BY_ENTRY = frozenset(("load_entry_point", "get_entry_info"))  # distribution, group, name
METADATA_CALLS = _BY_NAME | _BY_REQUIREMENT | _BY_GROUP | _BY_ENTRY | {"entry_points", "select", "get", "by_key"}
ENTRY_POINTS = Reference("importlib.metadata.entry_points()")
_ABSENT = frozenset(("PackageNotFoundError", "ModuleNotFoundError", "ImportError", "Exception", "BaseException"))
_UNRESOLVED = frozenset(("DistributionNotFound", "ResolutionError", "Exception", "BaseException"))
_NO_KEY = frozenset(("KeyError", "LookupError", "Exception", "BaseException"))
_NO_ENTRY = _UNRESOLVED | {"ImportError"}
_NOTHING = text("")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def asks_metadata(data: bytes) -> bool:
    """Return True if a source may ask for metadata."""
    return any(word in data for word in _WORDS)


def metadata_uses(
    name: str, arguments: list[Value], keywords: dict[str, Value], where: Where, caught: frozenset[str]
) -> Iterator[MetadataUse]:
    """Yield what a call of `name` asks for; `caught` are the exceptions that pass there."""
    module = _MODULE.match(name)
    if module is not None:
        last = name[module.end() :]
        if last in _BY_NAME:
            given = arguments[0] if arguments else keywords.get("distribution_name", keywords.get("name", UNKNOWN))
            yield from _asked(given, where, bool(caught & _ABSENT))
        elif last in ("entry_points", "entry_points().select", "entry_points().get"):
            yield from _groups(arguments, keywords, where)
    elif name.startswith(_RESOURCES):
        yield from _resources(name.removeprefix(_RESOURCES), arguments, keywords, where, caught)


def entry_points_value(name: str) -> Value | None:
    """Return what a call of `name` gives if that is the entry points, which are then asked for a group."""
    module = _MODULE.match(name)
    return ENTRY_POINTS if module is not None and name[module.end() :] == "entry_points" else None


def indexed_uses(name: str, index: Value, where: Where, caught: frozenset[str]) -> Iterator[MetadataUse]:
    """Yield what `name[index]` asks for."""
    if name == ENTRY_POINTS.name:
        for group in _literals(index):
            yield MetadataUse(where, _NOTHING, group, guarded=bool(caught & _NO_KEY))
    elif name == f"{_RESOURCES}working_set.by_key":
        yield from _asked(index, where, bool(caught & _NO_KEY))


def _resources(
    last: str, arguments: list[Value], keywords: dict[str, Value], where: Where, caught: frozenset[str]
) -> Iterator[MetadataUse]:
    if last in _BY_REQUIREMENT:
        for given in arguments or [keywords.get("dist", UNKNOWN)]:
            yield from _asked(given, where, bool(caught & _UNRESOLVED))
    elif last in _BY_GROUP:
        yield from _groups([], dict(zip(("group", "name"), arguments, strict=False)) | keywords, where)
    elif last in _BY_ENTRY:
        named = dict(zip(("dist", "group", "name"), arguments, strict=False)) | keywords
        group, name = (next(iter(_literals(named.get(key, UNKNOWN))), "") for key in ("group", "name"))
        guarded = bool(caught & _NO_ENTRY) or last == "get_entry_info"
        yield from _asked(named.get("dist", UNKNOWN), where, guarded, group, name)


def _groups(arguments: list[Value], keywords: dict[str, Value], where: Where) -> Iterator[MetadataUse]:
    """Yield questions for the entry points of a group, which are none where the metadata are absent."""
    names = _literals(keywords.get("name", UNKNOWN)) or [""]
    for group in _literals(arguments[0] if arguments else keywords.get("group", UNKNOWN)):
        yield from (MetadataUse(where, _NOTHING, group, name, guarded=True) for name in names)


def _asked(given: Value, where: Where, guarded: bool, group: str = "", name: str = "") -> Iterator[MetadataUse]:
    """Yield questions for the distributions that a value names, as a name or as a requirement."""
    for one in texts_of(given):
        first = one.parts[0]
        if isinstance(first, str) and len(one.parts) == 1:
            found = _REQUIREMENT.match(first)
            if found is not None:
                yield MetadataUse(where, text(found.group(1)), group, name, guarded)
        else:
            yield MetadataUse(where, one, group, name, guarded)


def _literals(value: Value) -> list[str]:
    known = [one.literal for one in alternatives(value) if isinstance(one, Text)]
    return [one for one in known if one]
