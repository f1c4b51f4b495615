"""The inventory of a folder, and what made it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depfix.dist.freezers import Freezer
from depfix.dist.identify import open_dist
from depfix.dist.tree import FileKind, read_tree
from depfix.model.machine import Machine
from tests.conftest import DistMaker, Forge, put


def test_files_are_found_in_any_case_and_classified_by_what_they_are(tmp_path: Path, forge: Forge) -> None:
    put(forge("tool.dll"), tmp_path / "Pkg" / "Data.bin")  # an image that is not called one
    (tmp_path / "Pkg" / "fake.dll").write_text("no image")
    (tmp_path / "pkg.zip").write_bytes(b"PK\x03\x04rest")
    (tmp_path / "mod.py").write_text("x = 1")
    tree = read_tree(str(tmp_path))
    kinds = {entry.path: entry.kind for entry in tree}
    assert kinds == {
        "Pkg/Data.bin": FileKind.IMAGE,
        "Pkg/fake.dll": FileKind.OTHER,
        "pkg.zip": FileKind.ARCHIVE,
        "mod.py": FileKind.SOURCE,
    }
    found = tree.in_folder("PKG", "DATA.BIN")
    assert found is not None
    assert found.path == "Pkg/Data.bin"
    assert [entry.path for entry in tree.named("FAKE.DLL")] == ["Pkg/fake.dll"]
    assert tree.spelled("pkg/new/File.dll") == "Pkg/new/File.dll"


def test_a_link_into_its_own_parent_is_not_followed_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.txt").write_text("x")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    assert [entry.path for entry in read_tree(str(tmp_path))] == ["a/x.txt"]


def test_a_dangling_link_is_told_and_not_dropped(tmp_path: Path) -> None:
    os.symlink(tmp_path / "nothing", tmp_path / "gone.dll")
    tree = read_tree(str(tmp_path))
    assert len(tree) == 0
    assert [skipped.path for skipped in tree.skipped] == ["gone.dll"]


def test_an_overlay_adds_and_replaces_without_changing_the_tree(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    tree = read_tree(str(tmp_path))
    (tmp_path / "b.txt").write_text("new")
    other = read_tree(str(tmp_path))
    overlay = tree.overlaid([entry for entry in other if entry.path == "b.txt"])
    assert tree.file("b.txt") is None
    assert overlay.file("B.TXT") is not None
    assert len(overlay) == 2


@pytest.mark.parametrize(
    ("files", "freezer", "search_path"),
    [
        ({}, Freezer.PYTHON, ("",)),
        ({"python310._pth": "python310.zip\n.\nLib\\site-packages\n", "Lib/site-packages/x.py": ""}, Freezer.PYTHON,
         ("", "Lib/site-packages")),
        ({"Lib/os.py": "", "DLLs/x.txt": ""}, Freezer.PYTHON, ("", "DLLs", "Lib")),
        ({"_internal/base_library.zip": "PK"}, Freezer.PYINSTALLER, ("_internal",)),
        ({"base_library.zip": "PK"}, Freezer.PYINSTALLER, ("",)),
        ({"lib/library.zip": "PK"}, Freezer.CX_FREEZE, ("lib",)),
    ],
)  # fmt: skip
def test_who_made_the_folder(
    make_dist: DistMaker, files: dict[str, str], freezer: Freezer, search_path: tuple[str, ...]
) -> None:
    dist = open_dist(make_dist({}, files))
    assert (dist.freezer, dist.layout.search_path) == (freezer, search_path)
    assert dist.python is not None
    assert (dist.python.text, dist.machine) == ("3.10", Machine.AMD64)


def test_a_nuitka_program_is_known_by_its_own_runtime(make_dist: DistMaker) -> None:
    root = make_dist()
    with open(root / "app.exe", "ab") as program:
        program.write(b"\0__nuitka_binary_dir\0")
    assert open_dist(root).freezer is Freezer.NUITKA


def test_a_program_without_python(make_dist: DistMaker) -> None:
    dist = open_dist(make_dist(python=False))
    assert (dist.freezer, dist.python) == (Freezer.NONE, None)


def test_the_program_that_hosts_python_comes_first(make_dist: DistMaker, forge: Forge) -> None:
    root = make_dist()
    put(forge("aaa.exe"), root / "aaa.exe")
    assert [program.path for program in open_dist(root).programs] == ["app.exe", "aaa.exe"]


def test_a_python_dll_that_is_missing_still_tells_the_version(make_dist: DistMaker) -> None:
    root = make_dist()
    (root / "python310.dll").unlink()
    python = open_dist(root).python
    assert python is not None
    assert python.version == (3, 10)


def test_pth_files_of_a_plain_python_are_followed(make_dist: DistMaker) -> None:
    site = "Lib/site-packages"
    files = {
        "python310._pth": "python310.zip\n.\nimport site\n",
        f"{site}/thing.pth": "# a comment\nthing_win\nthing_win\\lib\nimport thing_start\n",
        f"{site}/thing_win/lib/thing_start.py": "",
    }
    layout = open_dist(make_dist({}, files)).layout
    assert layout.search_path == ("", site, f"{site}/thing_win", f"{site}/thing_win/lib")
    assert layout.startup == ("thing_start", "sitecustomize")
