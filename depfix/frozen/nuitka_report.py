"""Nuitka's compilation report: the modules of a program, and what each compiled one imports.

Made with `--report=FILE`. Source: Nuitka User Manual, "Compilation Report"
https://nuitka.net/user-documentation/user-manual.html#compilation-report
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from depfix.frozen.contents import FrozenModule, Storage, Usage
from depfix.model.names import normalised
from depfix.wording.message import phrase, small_system_words

_ROOT = "nuitka-compilation-report"
_LARGEST = 512 << 20
_PIECE = 1 << 20
_STORAGES = {"Compiled": Storage.COMPILED, "Uncompiled": Storage.BYTECODE, "": Storage.EXTENSION}
_GUARD_OFF = ("--deployment", "--no-deployment-flag=excluded-module-usage")
# Modules that every program gets; the report has them as imports of the program's script.
_TECHNICAL = "stdlib"
_PARENT = "import path parent"


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """One import as the report has it. `how` is an empty string up to Nuitka 4.2, which do not tell."""

    usage: Usage
    how: str
    reason: str

    @property
    def is_technical(self) -> bool:
        return self.how == _TECHNICAL


@dataclass(frozen=True, slots=True)
class Report:
    """What one report tells. `program` is the base name of the exe it is about.

    `distributions` are {module: (name, version) of its distribution}; up to Nuitka 2 modules do not name theirs.
    """

    path: str
    version: str
    program: str
    is_complete: bool
    has_guard: bool
    modules: Mapping[str, FrozenModule] = field(repr=False)
    usages: Mapping[str, tuple[ReportedUsage, ...]] = field(repr=False)
    distributions: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    def excluded(self) -> dict[str, FrozenModule]:
        """Return the modules that the program refuses to import, with the reason, as far as a compiled module asks."""
        found: dict[str, FrozenModule] = {}
        if self.has_guard:
            for one in (one for usages in self.usages.values() for one in usages):
                if one.usage.found == "excluded" and one.usage.name not in self.modules:
                    module = FrozenModule(one.usage.name, Storage.EXCLUDED, reason=one.reason)
                    found.setdefault(module.name, module)
        return found


def read_report(path: str) -> Report | str:
    """Return the compilation report in a file, or why it cannot be read. Never raises.

    A document type is refused, so that no entity is expanded.
    """
    reader = _Reader()
    try:
        if os.path.getsize(path) > _LARGEST:
            return phrase("it is too large")
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                reader.feed(piece)
        reader.feed(b"", last=True)
    except OSError as error:
        return phrase("it cannot be read ({error})", error=small_system_words(error))
    except expat.ExpatError as error:
        return phrase("it is no complete XML ({error})", error=error)
    except _RefusedError as error:
        return str(error)
    return reader.report(path)


# In the reason of what `--nofollow-import-to` left out: plug-ins leave out what they know to be of no use.
_BY_USER = "instructed by user to not follow"


class _RefusedError(Exception):
    pass


class _Reader:
    """Follows the elements of one report."""

    def __init__(self) -> None:
        self._root: dict[str, str] = {}
        self._modules: dict[str, FrozenModule] = {}
        self._usages: dict[str, list[ReportedUsage]] = {}
        self._current: list[ReportedUsage] = []
        self._options: list[str] = []
        self._program = ""
        self._distributions: dict[str, str] = {}
        self._installed_by: dict[str, str] = {}
        self._depth = 0
        # Nuitka writes "utf8" into the declaration, a name that the parser does not know.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, piece: bytes, last: bool = False) -> None:
        self._parser.Parse(piece, last)

    def report(self, path: str) -> Report:
        usages = {name: tuple(found) for name, found in self._usages.items() if found}
        return Report(
            path=path,
            version=self._root.get("nuitka_version", ""),
            program=self._program,
            is_complete=self._root.get("completion", "yes") == "yes",
            has_guard=not any(option.startswith(_GUARD_OFF) for option in self._options),
            modules=self._modules,
            usages=usages,
            distributions=self._owners(),
        )

    def _owners(self) -> dict[str, tuple[str, str]]:
        by_key = {normalised(name): name for name in self._distributions}
        found = {}
        for module in self._modules:
            named = self._installed_by.get(module) or by_key.get(normalised(module.partition(".")[0]), "")
            if named:
                found[module] = (named, self._distributions.get(named, ""))
        return found

    def _refuse(self, *_: object) -> None:
        raise _RefusedError(phrase("it has a document type, which a compilation report has not"))

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            if element != _ROOT:
                raise _RefusedError(phrase("it is no compilation report but {element}", element=repr(element)))
            self._root = attributes
        elif element == "module" and self._depth == 2:
            self._module(attributes)
        elif element == "module_usage":
            self._usage(attributes)
        elif element == "distribution" and attributes.get("name"):
            self._distributions.setdefault(attributes["name"], attributes.get("version", ""))
        elif element == "option":
            self._options.append(attributes.get("value", ""))
        elif element == "output":
            self._program = attributes.get("run_filename", "").replace("\\", "/").rpartition("/")[2]

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _module(self, attributes: dict[str, str]) -> None:
        name, kind = attributes.get("name", ""), attributes.get("kind", "")
        self._current = []
        if kind == "PythonMainModule":
            name, storage = "__main__", Storage.COMPILED
        else:
            storage = _STORAGES.get(kind.partition("Python")[0], Storage.EXTENSION)
        if name:
            module = FrozenModule(name, storage, kind.endswith("Package"))
            self._modules.setdefault(name, module)
            self._installed_by.setdefault(name, attributes.get("distribution", ""))
            if storage is Storage.COMPILED:
                self._current = self._usages.setdefault(name, [])

    def _usage(self, attributes: dict[str, str]) -> None:
        line, how = attributes.get("line", ""), attributes.get("reason", "")
        name = attributes.get("name", "")
        if name and how != _PARENT:
            number = int(line) if line.isascii() and line.isdigit() and len(line) < 9 else 0
            reason = attributes.get("exclusion_reason", "")
            usage = Usage(name, number, attributes.get("finding", ""), _BY_USER in reason)
            self._current.append(ReportedUsage(usage, how, reason))
