"""What two builds hold: the comparison as a pure function, and `depfix diff` as a user calls it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from depfix.inventory.comparing import compare_components, compare_files
from depfix.model.difference import Change
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.reports.difference import schema
from fixtures.fidelity.cases import complete_dist, linked_copy, read_cases
from tests.conftest import Cli, DistMaker, Forge, put
from tests.test_inventory import install

Run = Callable[..., Cli]


def file(path: str, content: str = "", size: int = 1) -> InventoryFile:
    image = path.endswith((".dll", ".pyd", ".exe"))
    return InventoryFile(path, size, content and content * 64, image)


def package(
    name: str, version: str, *files: InventoryFile, kind: ComponentKind = ComponentKind.DISTRIBUTION
) -> Component:
    return Component(kind, name, version, "", "", files)


def changes(old: tuple[InventoryFile, ...], new: tuple[InventoryFile, ...]) -> list[tuple[str, str, str]]:
    one, other = (Inventory((package("x", "1", *files),)) for files in (old, new))
    rows = compare_files(one, other)
    return [(row.change.value, row.old.path if row.old else "", row.new.path if row.new else "") for row in rows]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((file("a.dll", "1"),), (file("A.DLL", "1"),), []),
        ((file("a.dll", "1"),), (file("a.dll", "2"),), [("changed", "a.dll", "a.dll")]),
        ((file("a.dll", "1"),), (), [("removed", "a.dll", "")]),
        ((), (file("a.txt", "1"),), [("added", "", "a.txt")]),
        ((file("a.dll", "1"),), (file("lib/a.dll", "1"),), [("moved", "a.dll", "lib/a.dll")]),
        ((file("a.dll", "1"),), (file("b.dll", "1"),), [("moved", "a.dll", "b.dll")]),
        ((file("a.dll", "1"),), (file("lib/a.dll", "2"),), [("replaced", "a.dll", "lib/a.dll")]),
        ((file("x.libs/a-0123456789ab.dll", "1"),), (file("x.libs/a-ba9876543210.dll", "2"),),
         [("replaced", "x.libs/a-0123456789ab.dll", "x.libs/a-ba9876543210.dll")]),
        # alike by chance: an empty file, a small file under another name, a module of another package
        ((file("a/__init__.py", "1", 0),), (file("b/__init__.py", "1", 0),),
         [("added", "", "b/__init__.py"), ("removed", "a/__init__.py", "")]),
        ((file("a/x.txt", "1"),), (file("b/y.txt", "1"),), [("added", "", "b/y.txt"), ("removed", "a/x.txt", "")]),
        ((file("a/lib.pyd", "1"),), (file("b/lib.pyd", "2"),), [("added", "", "b/lib.pyd"), ("removed", "a/lib.pyd", "")]),
        # two copies of one content: each old one goes with one new one
        ((file("a.dll", "1"), file("b/a.dll", "1")), (file("c/a.dll", "1"),), [("removed", "b/a.dll", ""), ("moved", "a.dll", "c/a.dll")]),
        # what could not be read is compared by its size
        ((file("a.bin", ""),), (file("a.bin", ""),), []),
        ((file("a.bin", "", 1),), (file("a.bin", "", 2),), [("changed", "a.bin", "a.bin")]),
    ],
)  # fmt: skip
def test_what_became_of_files(
    old: tuple[InventoryFile, ...], new: tuple[InventoryFile, ...], expected: list[tuple[str, str, str]]
) -> None:
    assert sorted(changes(old, new)) == sorted(expected)


def test_what_became_of_packages() -> None:
    runtime = ComponentKind.RUNTIME
    old = Inventory((
        package("Big_Pkg", "1.0", file("a.py", "1")), package("same", "1", file("b.py", "1")), package("gone", "1"),
        package("content", "2", file("c.py", "1")), package("VC", "14.1", kind=runtime), package("VC", "14.2", kind=runtime),
        package("old.exe", "", file("old.exe", "1"), kind=ComponentKind.PROGRAM),
    ))  # fmt: skip
    new = Inventory((
        package("big-pkg", "2.0", file("a.py", "2")), package("same", "1", file("b.py", "1")), package("come", "3"),
        package("content", "2", file("c.py", "2")), package("VC", "14.2", kind=runtime), package("VC", "14.3", kind=runtime),
        package("new.exe", "", file("new.exe", "2"), kind=ComponentKind.PROGRAM),
    ))  # fmt: skip
    found = {(row.change.value, row.name, row.old.version if row.old else "", row.new.version if row.new else "")
             for row in compare_components(old, new)}  # fmt: skip
    assert found == {
        ("version", "big-pkg", "1.0", "2.0"), ("removed", "gone", "1", ""), ("added", "come", "", "3"),
        ("changed", "content", "2", "2"), ("version", "VC", "14.1", "14.3"), ("changed", "new.exe", "", ""),
    }  # fmt: skip


def test_another_licence_of_the_same_files_is_a_change() -> None:
    one = replace(package("x", "1", file("a.py", "1")), licence="BSD")
    (row,) = compare_components(Inventory((one,)), Inventory((replace(one, licence="MIT"),)))
    assert row.change is Change.CHANGED


def test_what_only_one_of_the_two_knows_is_no_change() -> None:
    """Beside one build lies the compilation report, or an environment; of the other nothing tells."""
    one = package("x", "1", file("a.py", "1"))
    unknown = replace(one, version="", kind=ComponentKind.UNKNOWN)
    assert compare_components(Inventory((unknown,)), Inventory((replace(one, licence="MIT"),))) == ()


# --- the command ---


@pytest.fixture
def builds(make_dist: DistMaker, forge: Forge) -> tuple[Path, Path]:
    """Two builds: a package renewed, a DLL moved, another one gone that the program needs, a file added."""
    old = make_dist({"need.dll": (), "moves.dll": (), "core.pyd": ("need.dll",)}, name="old.dist")
    new = make_dist({"lib/moves.dll": (), "core.pyd": ("need.dll",)}, {"more.txt": "x"}, name="new.dist")
    install(old, "pkg", "1.0", {"pkg/__init__.py": b"", "pkg/a.py": b"1"})
    install(new, "pkg", "2.0", {"pkg/__init__.py": b"", "pkg/a.py": b"22"})
    put(forge("gone.pyd", ("never.dll",)), old / "gone.pyd")
    return old, new


def test_a_user_reads_what_changed(cli: Run, builds: tuple[Path, Path]) -> None:
    old, new = builds
    done = cli("diff", old, new)
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert any(line.startswith("version pkg 1.0 -> 2.0 (+1 B") for line in lines)
    assert "moved moves.dll -> lib/moves.dll" in lines
    assert any(line.startswith("error DF101 missing-dll need.dll") for line in lines)
    assert "error DF101 missing-dll never.dll" in lines  # under "gone"
    assert lines[-1].endswith("new findings: 1 error; 1 gone")
    assert "more.txt" not in done.out and "added more.txt, +1 B" in " ".join(cli("diff", old, new, "-v").out.split())
    assert cli("diff", old, new, "-q").out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 0), (("--fail-on", "error"), 1), (("--fail-on", "warning"), 1), (("--fail-on", "never"), 0),
     (("--fail-on", "error", "--ignore", "DF101"), 0)],
)  # fmt: skip
def test_only_new_findings_fail(cli: Run, builds: tuple[Path, Path], arguments: tuple[str, ...], code: int) -> None:
    assert cli("diff", *builds, *arguments, "-q").code == code


def test_an_old_finding_fails_nobody(cli: Run, builds: tuple[Path, Path]) -> None:
    _, new = builds
    done = cli("diff", new, new, "--fail-on", "warning")
    assert (done.code, done.out.splitlines()[-1]) == (0, "the two hold the same, and the same is wrong with them")


def test_json_follows_its_schema(cli: Run, builds: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "diff.json"
    assert cli("diff", *builds, "--format", "json", "-o", output).out == ""
    found: dict[str, Any] = json.loads(output.read_text("utf-8"))
    jsonschema.validate(found, json.loads(schema()))
    assert [one["subject"] for one in found["findings"]["appeared"]] == ["need.dll"]
    assert [one["subject"] for one in found["findings"]["gone"]] == ["never.dll"]
    moved = [one for one in found["files"] if one["change"] == "moved"]
    assert [(one["old"]["path"], one["new"]["path"]) for one in moved] == [("moves.dll", "lib/moves.dll")]
    quick = json.loads(cli("diff", *builds, "--format", "json", "--no-findings").out)
    jsonschema.validate(quick, json.loads(schema()))
    assert quick["findings"] is None
    assert {key: quick[key] for key in ("components", "files")} == {key: found[key] for key in ("components", "files")}


def test_markdown_shows_names_as_they_are(cli: Run, builds: tuple[Path, Path]) -> None:
    old, new = builds
    shutil.copy(new / "lib" / "moves.dll", new / "a|b`<img>.dll")
    text = cli("diff", old, new, "--format", "markdown").out
    assert text.startswith("## depfix diff: `old.dist` → `new.dist`\n")
    assert "| version | pkg | 1.0 -\\> 2.0 |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} <= {3, 5} and "<img>" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("nowhere", "nowhere"), "no such folder"), (("--no-findings", "--fail-on", "error"), "give one of them")],
)
def test_wrong_use_is_told(cli: Run, builds: tuple[Path, Path], arguments: tuple[str, ...], said: str) -> None:
    done = cli("diff", *(arguments if arguments[0] == "nowhere" else (*builds, *arguments)))
    assert done.code == 2 and said in done.err and "Traceback" not in done.err


def test_neither_dist_is_changed(cli: Run, builds: tuple[Path, Path]) -> None:
    before = [sorted((path, path.stat().st_mtime_ns) for path in build.parent.rglob("*")) for build in builds]
    cli("diff", *builds)
    assert before == [sorted((path, path.stat().st_mtime_ns) for path in build.parent.rglob("*")) for build in builds]


@pytest.mark.lab
def test_real_wheels(cli: Run, tmp_path: Path) -> None:
    """A DLL that a wheel brought goes to another folder, another one is taken from another wheel."""
    dist = complete_dist(read_cases()["shapely"])
    new = linked_copy(dist, tmp_path)
    runtime = next(new.glob("shapely.libs/msvcp140-*.dll"))
    runtime.unlink()
    (new / "libffi-7.dll").rename(new / "shapely" / "libffi-7.dll")
    done = cli("diff", dist, new, "--no-findings")
    assert "moved    libffi-7.dll -> shapely/libffi-7.dll" in done.out
    assert "changed  shapely 2.0.7, " in done.out and "files: 1 removed, 1 moved" in done.out
