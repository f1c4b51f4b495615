"""What is inside a Nuitka program, joined from its compilation report, its build folder and the exe itself.

The report tells the most, but may be of another build; the exe is always right about what it holds. So the modules come
from the first of the three that agrees with the exe, and the exe gives the constants and the modules that it refuses to
import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from depfix.dist.tree import Tree
from depfix.frozen.contents import FrozenModule, Storage, Usage
from depfix.frozen.nuitka_build import read_build
from depfix.frozen.nuitka_exe import Exe, read_exe
from depfix.frozen.nuitka_report import Report, ReportedUsage, read_report
from depfix.model.names import base_name, fold
from depfix.wording.message import joined, phrase

_HIDES_SINCE = (2, 6)
_MAIN = "__main__"
_FROM = "import fromlist"
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")
_MOST_REPORTS = 20
_SNIFFED = 512


@dataclass(frozen=True, slots=True)
class NuitkaContents:
    """The inside of one Nuitka program; see `depfix.frozen.contents.Contents`. `version` is empty if nothing tells."""

    origin: str
    version: str
    hides_folders: bool
    problem: str
    modules: Mapping[str, FrozenModule] = field(repr=False)
    _exe: Exe = field(repr=False)
    _report: Report | None = field(repr=False)

    @property
    def distributions(self) -> Mapping[str, tuple[str, str]]:
        """{module: (name, version) of its distribution}, if a report tells."""
        return self._report.distributions if self._report is not None else {}

    def code(self, name: str) -> bytes | None:
        """Return the marshalled code object of a BYTECODE module, None if it cannot be had."""
        return self._exe.code(name)

    def source(self, name: str) -> None:
        """Return None: Nuitka keeps no sources."""

    def hides(self, package: str) -> bool:
        """Return True for what is inside, since Nuitka 2.6."""
        return self.hides_folders and package in self.modules

    def strings(self, name: str) -> frozenset[str]:
        """Return the strings among the constants of a COMPILED module, none if they cannot be read."""
        return self._exe.strings(name)

    def usages(self, name: str) -> tuple[Usage, ...]:
        """Return what a COMPILED module imports, if a report tells.

        Left out is what the report has besides imports: the technical modules that every program gets, and attributes
        of modules inside, which `from module import name` makes it list as modules that were not found.
        """
        report = self._report
        if report is None:
            return ()
        reported: Iterable[ReportedUsage] = report.usages.get(name, ())
        if name == _MAIN:
            reported = _without_technical(reported, self.strings(name))
        return tuple(dict.fromkeys(one.usage for one in reported if not self._is_attribute(one, name)))

    def _is_attribute(self, one: ReportedUsage, importer: str) -> bool:
        parent = self.modules.get(one.usage.name.rpartition(".")[0])
        if one.usage.found != "not-found" or parent is None or parent.storage is Storage.EXCLUDED:
            return False
        # Up to 4.2 the statement is not told, but `import a.b` has its name among the constants, `from a import b` not.
        return one.how == _FROM if one.how else one.usage.name not in self.strings(importer)


def _without_technical(reported: Iterable[ReportedUsage], strings: frozenset[str]) -> list[ReportedUsage]:
    """Return the imports of the program's script without the modules that every program gets.

    Up to Nuitka 4.2 these look like imports in its first line, which follow on those of its last.
    """
    rows = [one for one in reported if not one.is_technical]
    if all(one.how for one in rows):
        return rows
    last = next((index for index, one in enumerate(rows) if one.usage.line > 1), None)
    if last is None:
        return [one for one in rows if one.usage.name in strings or one.usage.found != "absolute"]
    return [
        one for index, one in enumerate(rows) if one.usage.line > 1 or index < last or one.usage.found != "absolute"
    ]


def read_nuitka(tree: Tree, program_path: str, report: str = "") -> NuitkaContents | None:
    """Return what is inside the Nuitka program at a dist-relative path, None if nothing tells.

    Args:
        tree: the dist.
        program_path: the exe.
        report: a compilation report; without it, one is looked for in and beside the dist.

    A program packed into one file or compressed gives None, unless a report or a build folder is beside it. Never
    raises.
    """
    entry = tree.file(program_path)
    exe = (read_exe(entry.source) if entry is not None else None) or Exe(None, None)
    inside = exe.table.modules() if exe.table is not None else None
    problems: list[str] = []
    for origin, stated, modules in _sources(tree, program_path, report, problems):
        if (inside is not None and not _agree(modules, inside)) or (stated is not None and not _fits(stated, exe)):
            if report and stated is not None:
                problems.append(phrase("{origin} describes another build", origin=origin))
            continue
        return _contents(origin, stated, modules if inside is None else inside, exe, problems)
    if inside is not None:
        return _contents(
            phrase("the loader table of {program_path}", program_path=program_path), None, inside, exe, problems
        )
    return _from_constants(program_path, exe, problems)


def _sources(
    tree: Tree, program: str, given: str, problems: list[str]
) -> Iterator[tuple[str, Report | None, dict[str, FrozenModule]]]:
    """Yield (what it is, the report, the modules) of each source outside the exe, best first."""
    stated: Report | None = None
    for path in [given] if given else _reports_beside(tree):
        found = read_report(path)
        if isinstance(found, str):
            if given:
                problems.append(phrase("of the compilation report {path}, {found}", path=path, found=found))
        elif found.modules and (given or (found.is_complete and fold(found.program) == fold(base_name(program)))):
            stated = found
            name = os.path.basename(path)
            yield phrase("the compilation report {name}", name=name), stated, {**stated.modules, **stated.excluded()}
    folder = _build_folder(tree)
    built = read_build(folder)
    if built is not None:
        yield phrase("the build folder {basename}", basename=os.path.basename(folder)), None, built


def _reports_beside(tree: Tree) -> list[str]:
    """Return the compilation reports beside and in the dist, those with Nuitka's usual names first."""
    above = os.path.dirname(tree.root)
    usual = [f"{_stem(tree)}.report.xml", "nuitka-compilation-report.xml"]
    inside = [entry.source for entry in tree.files_in("")]
    places = [*(os.path.join(above, name) for name in usual), *_files(above), *inside]
    found = [path for path in dict.fromkeys(places) if path.lower().endswith(".xml") and _is_report(path)]
    return found[:_MOST_REPORTS]


def _files(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries)
    except OSError:
        return []


def _is_report(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"<nuitka-compilation-report" in file.read(_SNIFFED)
    except OSError:
        return False


def _stem(tree: Tree) -> str:
    return os.path.basename(tree.root).removesuffix(".dist")


def _build_folder(tree: Tree) -> str:
    return os.path.join(os.path.dirname(tree.root), f"{_stem(tree)}.build")


def _agree(stated: Mapping[str, FrozenModule], inside: Mapping[str, FrozenModule]) -> bool:
    """True if the modules are those of this exe; what it refuses to import is not told by every source."""
    kinds = (Storage.COMPILED, Storage.EXTENSION, Storage.BYTECODE)
    return all(
        {name for name, module in stated.items() if module.storage is kind}
        == {name for name, module in inside.items() if module.storage is kind}
        for kind in kinds
    )


def _fits(report: Report, exe: Exe) -> bool:
    """True unless the exe lacks the name of a module that its code would import from outside, by the report.

    Two programs may hold the same modules, and so do two builds of one whose own code was changed.
    """
    outside = ((name, row.usage.name) for name, rows in report.usages.items() for row in rows if row.usage.left_out)
    return all(not exe.strings(name) or wanted in exe.strings(name) for name, wanted in outside)


def _contents(
    origin: str, report: Report | None, modules: Mapping[str, FrozenModule], exe: Exe, problems: list[str]
) -> NuitkaContents:
    version = report.version if report is not None else ""
    if exe.constants is None:
        problems = [*problems, phrase("the constants in the exe cannot be read: what compiled modules name is unknown")]
    if exe.table is None:
        problems = [*problems, phrase("the exe has no loader table that is understood")]
    return NuitkaContents(origin, version, _hides(version, exe), joined("; ", problems), modules, exe, report)


def _from_constants(program: str, exe: Exe, problems: list[str]) -> NuitkaContents | None:
    """Return the compiled modules alone, by the sections of the constants; None if there are none."""
    if exe.constants is None:
        return None
    names = [name for name in exe.constants.sections if name and not name.startswith(".")]
    modules = {name: FrozenModule(name, Storage.COMPILED) for name in names}
    problems = [*problems, phrase("which standard modules are inside is unknown")]
    return _contents(phrase("the constants of {program}", program=program), None, modules, exe, problems)


def _hides(version: str, exe: Exe) -> bool:
    if _number(version) > (0, 0):
        return _number(version) >= _HIDES_SINCE
    return exe.constants is None or exe.constants.hides_folders


def _number(version: str) -> tuple[int, int]:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
