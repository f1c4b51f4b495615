"""What a DLL is by itself: by the tables of runtimes, its version resource, or its file name."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.inventory.ledger import About
from depfix.knowledge.redistribution import redistribution, runtime_name
from depfix.knowledge.tables import python_libraries
from depfix.model.image import Version, VersionInfo
from depfix.model.inventory import ComponentKind, Identity
from depfix.model.names import fold, normalised, parent
from depfix.wording.message import phrase

# delvewheel puts eight or more digits of a hash behind the name of a DLL that it vendors, auditwheel before the suffix.
# Source: delvewheel, "Name-Mangling" https://github.com/adang1345/delvewheel#name-mangling
_MANGLED = re.compile(r"(.+?)-[0-9a-f]{8,64}(\.dll)", re.IGNORECASE)
_NUMBERED = re.compile(r"[-_]v?(\d{1,4}(?:\.\d{1,5}){1,3})(?![\d.]*\d)")
_TOLD = re.compile(r"v?(\d[\w.+-]*)", re.IGNORECASE)
_GENERIC = re.compile(r"operating system", re.IGNORECASE)  # the product of each DLL of Windows
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_LONGEST = 120
_THEMSELVES = (ComponentKind.PROGRAM, ComponentKind.PYTHON, ComponentKind.NATIVE, ComponentKind.RUNTIME)
_VENDORED = (".libs", "_libs", ".dylibs")


def identity_of(entry: FileEntry, about: About, world: World) -> Identity | None:
    """Return what an image is apart from the component that has it, None if it is a part of that and no more."""
    if not fold(entry.name).endswith(".dll") or about.kind in _THEMSELVES or plain_name(entry.name) == about.name:
        return None
    info = world.facts.version(entry)
    runtime = runtime_identity(entry, info)
    if runtime is not None:
        return runtime
    is_vendored = fold(parent(entry.path)).endswith(_VENDORED) or _MANGLED.fullmatch(entry.name) is not None
    if info is not None and (is_anothers(info, about) or (is_vendored and (info.product or info.description))):
        name = native_name(entry, info)
        return Identity(
            name, version_words(info), cleaned(info.company), phrase("its version resource"), _licence(entry)
        )
    if is_vendored:
        return _named_identity(entry)
    return None


def is_anothers(info: VersionInfo | None, about: About) -> bool:
    """Return True if a version resource tells of a product that does not bear the name of a component."""
    if info is None or not (info.product or info.description):
        return False
    told = normalised(f"{info.product} {info.description} {info.company}".replace(" ", "-"))
    return normalised(about.name) not in told


def runtime_identity(entry: FileEntry, info: VersionInfo | None) -> Identity | None:
    """Return which redistributable of Windows a DLL is of, whatever suffix was put behind its name; None if of none."""
    name = runtime_name(fold(plain_name(entry.name)))
    if not name or info is None or "microsoft" not in info.company.lower():
        return None
    terms = redistribution(fold(plain_name(entry.name)), info.company)
    licence = terms.licence if terms is not None else ""
    return Identity(
        name, version_words(info), cleaned(info.company), phrase("its name and version resource"), licence, True
    )


def native_name(entry: FileEntry, info: VersionInfo | None) -> str:
    """Return what a DLL calls itself: its product, else what describes it, else its file name."""
    told = (info.product, info.description) if info is not None else ()
    named = (cleaned(one) for one in told if one and not _GENERIC.search(one))
    return next(filter(None, named), "") or plain_name(entry.name)


def plain_name(name: str) -> str:
    """Return the name of a DLL without the hash that a tool for wheels put into it."""
    match = _MANGLED.fullmatch(name)
    return f"{match[1]}{match[2]}" if match else name


def version_words(info: VersionInfo | None) -> str:
    """Return the version of a product as its resource writes it, else as the numbers say; empty if it says none."""
    if info is None:
        return ""
    for text in (info.product_text, info.file_text):
        match = _TOLD.match(re.sub(r"\s*,\s*", ".", text.strip()))
        if match:
            return match[1].rstrip(".")[:_LONGEST]
    return _numbers(info.product_version) or _numbers(info.file_version)


def cleaned(text: str) -> str:
    """Return a text of a resource in one line, without control characters."""
    return _SPACES.sub(" ", text).strip()[:_LONGEST]


def library_licence(name: str) -> str:
    """Return the licence of a DLL that CPython's installers bring, too; empty if it is no such."""
    return next((licence for pattern, licence in python_libraries() if fnmatchcase(fold(name), pattern)), "")


def _licence(entry: FileEntry) -> str:
    return library_licence(plain_name(entry.name))


def _named_identity(entry: FileEntry) -> Identity:
    name = plain_name(entry.name)
    match = _NUMBERED.search(name)
    return Identity(name, match[1] if match else "", "", phrase("its file name"), _licence(entry))


def _numbers(version: Version) -> str:
    return ".".join(map(str, version)) if any(version) else ""
