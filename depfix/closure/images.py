"""What is asked of the images of a dist: whether they load, what they export and import, which DLLs they name."""

from __future__ import annotations

import re

from depfix.closure.facts import Facts
from depfix.dist.identify import Dist
from depfix.dist.tree import Tree
from depfix.model.image import Exports, Image, ImageOrProblem, ImageProblem, ImportedDll
from depfix.model.machine import Machine
from depfix.model.names import base_name, dll_file_name, fold
from depfix.wording.message import phrase

_STABLE_ABI = "python3.dll"
# Functions of Python's C API that import modules, or run code that may.
_IMPORTING = re.compile(r"_?PyImport_|PyCapsule_Import|_?PyRun_|PyEval_EvalCode|Py_CompileString|PyEval_GetBuiltins")


class DistImages:
    """The images of a dist, or of the dist with a plan laid over it, by their dist-relative paths."""

    def __init__(self, dist: Dist, tree: Tree, facts: Facts) -> None:
        self._dist = dist
        self._tree = tree
        self._facts = facts

    def at(self, path: str) -> ImageOrProblem:
        """Return the image at a dist-relative path."""
        entry = self._tree.file(path)
        return (
            self._facts.image(entry) if entry is not None else ImageProblem(phrase("it is not there"), unreadable=True)
        )

    def fits(self, image: Image) -> bool:
        """Return True if a process of the program's machine loads such an image.

        An ARM64X image holds code for arm64 and for amd64 processes. Source: Microsoft Learn, "Arm64X PE files"
        https://learn.microsoft.com/windows/arm/arm64x-pe
        """
        both = (Machine.ARM64, Machine.AMD64)
        return image.machine is self._dist.machine or (image.hybrid and self._dist.machine in both)

    def exports(self, path: str) -> Exports | None:
        """Return the export directory of an image of the dist, None if it cannot be read."""
        entry = self._tree.file(path)
        return self._facts.exports(entry) if entry is not None else None

    def imported(self, path: str) -> dict[str, ImportedDll]:
        """Return what an image takes from each DLL, by the folded file name of the DLL."""
        entry = self._tree.file(path)
        return self._facts.imported(entry) if entry is not None else {}

    def can_import(self, path: str) -> bool:
        """Return True unless what an image takes from Python shows that it imports no module.

        What it takes from other DLLs of the dist that use Python may do so for it. Source: Python, "Importing Modules"
        https://docs.python.org/3/c-api/import.html
        """
        own = fold(base_name(self._dist.python.path)) if self._dist.python is not None else ""
        imported = self.imported(path)
        taken = [imported[name] for name in (own, _STABLE_ABI) if name in imported]
        if not taken or any(row.ordinals or any(map(_IMPORTING.match, row.symbols)) for row in taken):
            return True
        others = (entry for name in imported for entry in self._tree.named(name))
        return any(self._uses_python(entry.path, own) for entry in others)

    def _uses_python(self, path: str, python: str) -> bool:
        image = self.at(path)
        return isinstance(image, Image) and python in {fold(dll_file_name(name)) for name in image.imports}

    def forwarded(self, path: str, wanted: ImportedDll) -> tuple[ImportedDll, ...]:
        """Return which of the wanted exports an image only forwards: for each host what is wanted of it."""
        exports = self.exports(path)
        if exports is None or not exports.forwarders:
            return ()
        names, ordinals = set(wanted.symbols), set(wanted.ordinals)
        hosts: dict[str, list[str]] = {}
        for forwarder in exports.forwarders:
            if forwarder.name in names or forwarder.ordinal in ordinals:
                host, _, symbol = forwarder.target.rpartition(".")
                hosts.setdefault(host, []).append(symbol)
        return tuple(_wanted_of(host, symbols, wanted.delayed) for host, symbols in hosts.items() if host)

    def named_dlls(self, path: str) -> tuple[str, ...]:
        """Return the DLL names that stand as strings in the data of an image, without those that its tables name."""
        entry = self._tree.file(path)
        image = self.at(path)
        if entry is None or not isinstance(image, Image):
            return ()
        known = {fold(dll_file_name(name)) for name in (*image.imports, *image.delay_imports)}
        return tuple(name for name in self._facts.dll_names(entry) if name not in known)


def _wanted_of(host: str, symbols: list[str], delayed: bool) -> ImportedDll:
    ordinals = tuple(int(symbol[1:]) for symbol in symbols if symbol.startswith("#") and symbol[1:].isdigit())
    names = tuple(symbol for symbol in symbols if not symbol.startswith("#"))
    return ImportedDll(host, names, ordinals, delayed)
