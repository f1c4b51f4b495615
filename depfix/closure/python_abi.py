"""Which extension modules the Python of a dist can load: by the tag in their names, and by the Python DLL they import.

Sources: PEP 3149, "ABI version tagged .so files" https://peps.python.org/pep-3149/; Python, "C API Stability" (the
stable ABI is python3.dll) https://docs.python.org/3/c-api/stable.html; PEP 703 (free-threaded builds have an ABI of
their own) https://peps.python.org/pep-0703/; PEP 425, "Compatibility Tags" https://peps.python.org/pep-0425/
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from math import prod

from depfix.dist.identify import PythonDll
from depfix.dist.tree import FileEntry, Tree
from depfix.env.tags import accepted_tags
from depfix.imports.finder import ModuleKind, module_suffixes
from depfix.model.image import Exports, Image
from depfix.model.machine import Machine
from depfix.model.names import base_name, dll_file_name, fold, parent
from depfix.wording.message import joined, phrase

STABLE_ABI = "python3.dll"
_PYTHON_DLL = re.compile(r"python(\d)(\d+)(t?)(_d)?\.dll")
_MOST_TAGS = 256


def dll_misfit(python: PythonDll, asked: str) -> str:
    """Return why a DLL that an image imports is not the Python of the dist, an empty string if nothing is wrong.

    Of the DLLs of a debug Python in a dist with a release one nothing is said: those are debug runtimes.
    """
    name, own = fold(dll_file_name(asked)), fold(base_name(python.path))
    if name == STABLE_ABI and python.free_threaded:
        return phrase(
            "it is for the stable ABI of {name}, which a free-threaded Python ({own}) does not have", name=name, own=own
        )
    match = _PYTHON_DLL.fullmatch(name)
    if match is None or name == own or (match[4] and not python.debug):
        return ""
    return phrase("it is for {name}, the program has {own}", name=name, own=own)


def python_of(asked: str) -> str:
    """Return the Python that a DLL name stands for, as "Python 3.11" or "free-threaded Python 3.13"; "" if none."""
    match = _PYTHON_DLL.fullmatch(fold(dll_file_name(asked)))
    if match is None:
        return ""
    return phrase(
        "{part}Python {match}.{match2}{part2}",
        part=phrase("free-threaded ") if match[3] else "",
        match=match[1],
        match2=match[2],
        part2=phrase(" (debug build)") if match[4] else "",
    )


def image_misfit(python: PythonDll | None, image: Image) -> str:
    """Return why an image is for another Python, an empty string if it is for this one or for none."""
    if python is None:
        return ""
    names = (*image.imports, *image.delay_imports)
    return next(filter(None, (dll_misfit(python, name) for name in names)), "")


def forwarding_misfit(python: PythonDll | None, name: str, exports: Exports | None) -> str:
    """Return why a python3.dll does not serve the dist: its exports stand for those of another Python DLL."""
    if python is None or exports is None or fold(name) != STABLE_ABI:
        return ""
    hosts = dict.fromkeys(forwarder.target.rpartition(".")[0] for forwarder in exports.forwarders)
    return next(filter(None, (dll_misfit(python, host) for host in hosts)), "")


def tag_misfit(python: PythonDll | None, machine: Machine, name: str) -> str:
    """Return why Python does not look at a file that is called as an extension module, an empty string if it does.

    A module has the name before the first dot, and one of few suffixes behind it.
    """
    stem, dot, tag = name[: -len(".pyd")].partition(".")
    if python is None or not fold(name).endswith(".pyd") or not dot or not stem:
        return ""
    suffixes = extension_suffixes(python, machine)
    if f".{fold(tag)}.pyd" in suffixes or (python.debug and stem.endswith("_d") and f"_d.{fold(tag)}.pyd" in suffixes):
        return ""
    return phrase(
        "its name says {tag}, and the Python of the program looks for {suffixes} only",
        tag=tag,
        suffixes=joined(phrase(" and "), suffixes),
    )


def extension_suffixes(python: PythonDll, machine: Machine) -> list[str]:
    """Return the suffixes of extension modules, in the order in which Python tries them."""
    return [suffix for suffix, kind in module_suffixes(python, machine) if kind is ModuleKind.EXTENSION]


def foreign_files(tree: Tree, python: PythonDll | None, machine: Machine) -> dict[tuple[str, str], FileEntry]:
    """Return {(folded folder, name of the module in it): file} of the extension modules for another Python."""
    found: dict[tuple[str, str], FileEntry] = {}
    for entry in tree:
        if fold(entry.path).endswith(".pyd") and tag_misfit(python, machine, entry.name):
            stem = entry.name.partition(".")[0]
            for name in (stem, stem.removesuffix("_d")):
                found.setdefault((fold(parent(entry.path)), name), entry)
    return found


def wheel_misfit(python: PythonDll | None, machine: Machine, tags: Iterable[str]) -> str:
    """Return why a distribution with these compatibility tags is not for this Python; "" if one of them is."""
    rows = [tag for row in tags for tag in _expanded(row)]
    if python is None or not rows:
        return ""
    accepted = accepted_tags(python.version, machine, free_threaded=python.free_threaded, debug=python.debug)
    if any(row in accepted for row in rows):
        return ""
    free = "t" if python.free_threaded else ""
    return phrase(
        "it is for {row}, the program has Python {python}{free} for {machine}",
        row=rows[0],
        python=python.text,
        free=free,
        machine=machine.value,
    )


def _expanded(tag: str) -> list[str]:
    """Return the single tags of a compressed set: py2.py3-none-any are two."""
    parts = [part.split(".") for part in tag.strip().lower().split("-")]
    if len(parts) != 3 or prod(map(len, parts)) > _MOST_TAGS:
        return []
    return ["-".join(row) for row in product(*parts)]
