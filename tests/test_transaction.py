"""The transaction: what stops a plan beforehand, modes and links, sources that change under it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from depfix.model.plan import Action, Plan
from depfix.model.source import Provider
from depfix.repair.disk import place_in
from depfix.repair.errors import PreflightError, RolledBackError, UnsafePathError
from depfix.repair.journal import state_folder
from fixtures.crash_lab import picture
from tests.conftest import not_on_windows, not_under_wine
from tests.transactions import BIG, action, applied, once, refused, undone, write
from tests.transactions import dist as dist

# --- before the first byte ---


@pytest.mark.parametrize("destination", ["CON", "lib/aux.dll", "a.", "a /b", "x?.dll", "x:y", "a\nb", "../x", "/x"])
def test_a_name_that_windows_does_not_take_is_refused(dist: Path, tmp_path: Path, destination: str) -> None:
    refused(dist, UnsafePathError, action(write(tmp_path / "s", "s"), destination))


@pytest.mark.parametrize(
    ("destinations", "words"),
    [
        (("APP.exe",), "app.exe stands there, which is the same name"),
        (("PKG/new.dll",), "pkg stands there, which is the same name"),
        (("one.dll", "ONE.dll"), "planned twice"),
        (("lib/one.dll", "Lib/two.dll"), "is planned too"),
        (("pkg",), "pkg is a folder"),
        (("app.exe/x.dll",), "app.exe is a file"),
        (("lib", "lib/x.dll"), "lib is planned as a file"),
    ],
)
def test_names_that_clash_are_refused(dist: Path, tmp_path: Path, destinations: tuple[str, ...], words: str) -> None:
    source = write(tmp_path / "s", "s")
    refused(dist, PreflightError, *(action(source, one) for one in destinations), words=words)


@not_on_windows("a folder holds no pipes there")
def test_every_reason_is_told_at_once(dist: Path, tmp_path: Path) -> None:
    gone = action(write(tmp_path / "gone.dll", "s"), "a.dll")
    (tmp_path / "gone.dll").unlink()
    grown = action(write(tmp_path / "grown.dll", "s"), "b.dll")
    write(tmp_path / "grown.dll", "longer")
    os.mkfifo(tmp_path / "pipe")
    pipe = action(tmp_path / "pipe", "c.dll")
    with pytest.raises(PreflightError) as caught:
        applied(dist, gone, grown, pipe, action(dist / "app.exe", "app.exe"))
    told = str(caught.value)
    assert all(word in told for word in ("gone.dll: no such file", "6 bytes now, not 1", "is no file", "the very file"))


@not_under_wine("CreateSymbolicLinkW does nothing in Wine 8, and says that it did")
def test_a_linked_destination_folder_does_not_lead_outside(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    os.symlink(tmp_path / "outside", dist / "link")
    refused(dist, UnsafePathError, action(write(tmp_path / "s", "s"), "link/x.dll"))
    assert list((tmp_path / "outside").iterdir()) == []


def test_long_destinations_are_told(dist: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "s", "s")
    plan = Plan((action(source, "a/" * 102 + "x.dll"), action(source, "short.dll")), ())
    assert plan.long_paths("main.dist") == ("a/" * 102 + "x.dll",)


# --- modes, times, links ---


@not_on_windows("files have no modes there")
def test_a_copy_of_a_read_only_file_can_be_removed_and_keeps_its_time(dist: Path, tmp_path: Path) -> None:
    sources = [write(tmp_path / "plain", "s", 0o444), write(tmp_path / "tool", "s", 0o555)]
    applied(dist, action(sources[0], "a.dll"), action(sources[1], "b.exe"))
    assert [stat.S_IMODE((dist / name).stat().st_mode) for name in ("a.dll", "b.exe")] == [0o644, 0o755]
    assert (dist / "a.dll").stat().st_mtime_ns == sources[0].stat().st_mtime_ns


def test_a_read_only_file_is_replaced_and_comes_back_as_it_was(dist: Path, tmp_path: Path) -> None:
    before = picture(dist)
    applied(dist, action(write(tmp_path / "s", "new"), "pkg/old.dll", action="replace"))
    assert (dist / "pkg" / "old.dll").read_text() == "new"
    assert undone(dist) == ("pkg/old.dll",)
    assert picture(dist) == before


def test_a_link_shares_content_and_undo_removes_the_link_alone(dist: Path, tmp_path: Path) -> None:
    before = picture(dist)
    source = write(tmp_path / "env" / "need.dll", "content")
    made = write(tmp_path / "made", "patched")
    patch = Action("patch", str(dist / "app.exe"), "app.exe", Provider("x"), 7, "DF101", "x", made=str(made))
    applied(dist, action(source, "need.dll"), action(source, "pkg/old.dll", action="replace"), patch, link=True)
    is_clone = not os.path.samefile(source, dist / "need.dll")
    assert (source.stat().st_nlink == 1) is is_clone
    assert made.stat().st_nlink == 1
    assert undone(dist)
    assert picture(dist) == before
    assert source.read_text() == "content" and source.stat().st_nlink == 1


def test_a_link_whose_source_was_changed_in_place_is_still_the_repairs_own(dist: Path, tmp_path: Path) -> None:
    before = picture(dist)
    source = write(tmp_path / "need.dll", "content")
    applied(dist, action(source, "need.dll"), link=True)
    source.write_text("another")
    assert undone(dist) == ("need.dll",)
    assert picture(dist) == before
    assert source.read_text() == "another"


def test_replacing_a_link_breaks_it(dist: Path, tmp_path: Path) -> None:
    source, other = write(tmp_path / "need.dll", "content"), write(tmp_path / "other.dll", "other")
    applied(dist, action(source, "need.dll"), link=True)
    applied(dist, action(other, "need.dll", action="replace"))
    assert (source.read_text(), other.read_text()) == ("content", "other")
    assert (dist / "need.dll").read_text() == "other"
    undone(dist)
    assert (dist / "need.dll").read_text() == "content"


def test_a_read_only_source_is_copied_even_where_links_are_wanted(dist: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "cached.dll", "content", 0o444)
    applied(dist, action(source, "need.dll"), link=True)
    assert source.stat().st_nlink == 1
    assert (dist / "need.dll").stat().st_mode & stat.S_IWUSR


def test_a_link_to_another_file_system_is_a_copy(dist: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        source = write(Path(folder) / "need.dll", "content")
        assert source.stat().st_dev != dist.stat().st_dev
        applied(dist, action(source, "need.dll"), link=True)
        assert source.stat().st_nlink == 1
    assert (dist / "need.dll").read_text() == "content"


# --- sources that vanish or change ---


@pytest.mark.parametrize("link", [False, True])
def test_a_source_that_vanishes_midway(dist: Path, tmp_path: Path, link: bool) -> None:
    first, second = write(tmp_path / "1", "one"), write(tmp_path / "2", "two")
    before = picture(dist)
    with pytest.raises(RolledBackError, match="2 is gone"):
        applied(dist, action(first, "1.dll"), action(second, "2.dll"), copied=once(second.unlink), link=link)
    assert picture(dist) == before and not state_folder(str(dist)).exists()


@pytest.mark.parametrize(
    "change",
    [
        "longer",
        "shorter",
        "as long",
        pytest.param("replaced", marks=not_on_windows("what somebody reads cannot be replaced there")),
    ],
)
def test_a_source_that_changes_midway(dist: Path, tmp_path: Path, change: str) -> None:
    source = write(tmp_path / "big.dll", b"x" * BIG)

    def changed() -> None:
        if change == "replaced":  # another file takes the name: what is being read is still what was planned
            os.replace(write(tmp_path / "new", b"y" * BIG), source)
            return
        with open(source, "r+b") as file:
            file.truncate(BIG // 2 if change == "shorter" else BIG)
            file.seek(0, os.SEEK_END if change == "longer" else os.SEEK_SET)
            file.write(b"changed")

    if change == "replaced":
        applied(dist, action(source, "big.dll"), copied=once(changed))
        assert (dist / "big.dll").read_bytes() == b"x" * BIG
    else:
        refused(dist, RolledBackError, action(source, "big.dll"), words="changed while", copied=once(changed))


def test_a_source_that_is_not_what_the_plan_says(dist: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "s", "s")
    refused(dist, RolledBackError, action(source, "s.dll", sha256="0" * 64), words="not what it was")


def test_a_path_in_the_dist_is_made_of_parts() -> None:
    """A root with the prefix for long paths takes no `/` on Windows."""
    assert place_in("/dist", "a/b") == os.path.join("/dist", "a", "b")
    assert place_in("/dist", "") == place_in("/dist", ".") == "/dist"
