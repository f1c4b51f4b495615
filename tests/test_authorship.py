"""Whose a module is: what each question says of the same modules, and where the answers differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from depfix.closure.authorship import Authorship
from depfix.closure.inside import PROGRAM
from depfix.closure.supply import Supply
from depfix.dist.tree import file_entry, read_tree
from depfix.imports.finder import DiskFolders, ModuleFile, ModuleFinder, ModuleKind, module_suffixes
from depfix.model.machine import Machine

SUFFIXES = module_suffixes(None, Machine.AMD64)
FROZEN = (PROGRAM, "compiled", "both", "frozen_package")


class OneModule(Supply):
    """An environment that has one module."""

    def module(self, name: str) -> ModuleFile | None:
        return ModuleFile(name, ModuleKind.SOURCE, None, is_provided=True) if name == "both" else None


@pytest.fixture
def authorship(tmp_path: Path) -> Authorship:
    """A program `<main.py>` with a project, a dist, and a source tree beside them that code opens."""
    for path in (
        "project/main.py",
        "project/own.py",
        "project/copied.py",
        "project/compiled.py",
        "project/both.py",
        "dist/copied.py",
        "dist/package.py",
        "elsewhere/opened.py",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    tree = read_tree(str(tmp_path / "dist"))
    project = ModuleFinder(DiskFolders(str(tmp_path / "project")), ("",), SUFFIXES)
    elsewhere = ModuleFinder(DiskFolders(str(tmp_path / "elsewhere")), ("",), SUFFIXES)
    finders = (ModuleFinder(tree, ("",), SUFFIXES), project, elsewhere)
    script = file_entry("main.py", str(tmp_path / "project/main.py"))

    def find(name: str) -> ModuleFile | None:
        if name in FROZEN:
            return ModuleFile(name, ModuleKind.FROZEN, None)
        if name == "<main.py>":
            return ModuleFile(name, ModuleKind.SOURCE, script)
        if name == "provided":
            return ModuleFile(name, ModuleKind.SOURCE, script, is_provided=True)
        return next((found for finder in finders if (found := finder.find(name)) is not None), None)

    return Authorship(tree, find, (project,), OneModule())


@pytest.mark.parametrize(
    ("name", "of_project", "outside", "source", "only_own"),
    [
        ("<main.py>", True, True, "main.py", True),
        (PROGRAM, True, True, "", True),  # it is inside the program, and nobody has its source
        ("own", True, True, "own.py", True),
        ("copied", True, False, "", False),  # the copy in the dist is what runs
        ("compiled", True, False, "compiled.py", True),
        ("both", True, False, "both.py", False),  # the environment's may be the one that was compiled in
        ("frozen_package", False, False, "", False),
        ("package", False, False, "", False),
        ("opened", False, True, "opened.py", True),  # torch.hub opens such trees: no project has it, and no dist
        ("provided", False, False, "", False),
        ("gone", False, False, "", False),
    ],
)
def test_each_question_has_its_own_answer(
    authorship: Authorship, name: str, of_project: bool, outside: bool, source: str, only_own: bool
) -> None:
    found = authorship.source(name)
    assert authorship.is_of_project(name) is of_project
    assert authorship.is_outside(name) is outside
    assert (found.path if found is not None else "") == source
    assert authorship.is_only_own(name) is only_own


def test_a_copy_in_the_dist_is_told_from_the_source_that_it_is_of(authorship: Authorship, tmp_path: Path) -> None:
    def module(folder: str, name: str) -> ModuleFile:
        return ModuleFile(name, ModuleKind.SOURCE, file_entry(f"{name}.py", str(tmp_path / folder / f"{name}.py")))

    assert authorship.is_copy(module("dist", "copied"))
    assert not authorship.is_copy(module("project", "copied"))
    assert not authorship.is_copy(module("dist", "package"))
    assert authorship.lies_in_dist("copied")
    assert not authorship.lies_in_dist("own")
    assert not authorship.lies_in_dist("compiled")
