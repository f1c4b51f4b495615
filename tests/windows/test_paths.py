"""Paths as Windows users write them: drives, prefixes, either separator, any case, long ones, junctions.

Wine serves no shares, so `\\\\server\\share` is tried on texts alone (tests/test_names.py); and it sets no limit of 260
characters, so that long paths are made here shows only that what is written for real Windows works. The path of the
dist itself stays below that: Wine's GetFinalPathNameByHandleW fails for more, with ERROR_MORE_DATA.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from depfix.pipeline import Options, scan, undo
from tests.conftest import Cli, DistMaker, not_under_wine, snapshot
from tests.repairing import repair

Story = tuple[Path, Path]


@pytest.fixture
def story(make_dist: DistMaker, make_conda: Callable[..., Path]) -> Story:
    """A dist that lacks `first.dll` and what that needs, has `own.dll` where nobody looks, and the environment."""
    dist = make_dist(
        {"pkg/core.pyd": ("first.dll", "own.dll"), "extra/own.dll": ()},
        {"pkg/__init__.py": "from . import core\n"},
    )
    conda = make_conda({"Library/bin/first.dll": ("second.dll",), "Library/bin/second.dll": ()})
    return dist, conda


def loaded(done: Cli) -> Any:
    return json.loads(done.out)


def test_however_the_folder_is_written_it_is_the_same(story: Story, cli: Callable[..., Cli]) -> None:
    dist, above = story[0], story[0].parent
    drive, rest = os.path.splitdrive(dist)
    written = [
        str(dist),
        dist.name,
        f".\\{dist.name}\\",
        dist.as_posix(),
        f"{drive}{dist.name}",  # relative to the drive's own current folder
        rest,  # relative to the drive
        f"\\\\?\\{dist}",
    ]
    wanted = {one.fingerprint for one in scan(str(dist), Options(environ={})).findings}
    before = os.getcwd()
    os.chdir(above)
    try:
        reports = [scan(one, Options(environ={})) for one in written]
    finally:
        os.chdir(before)
    assert [report.dist.root for report in reports] == [str(dist)] * len(written)
    assert all({one.fingerprint for one in report.findings} == wanted for report in reports)
    assert loaded(cli("scan", dist.name.upper(), "--format", "json", cwd=above))["summary"]["error"] > 0


def test_names_are_compared_as_windows_does(make_dist: DistMaker) -> None:
    dist = make_dist({"Pkg/CORE.pyd": ("uv.dll",), "UV.DLL": ()}, {"Pkg/__init__.py": "from . import core\n"})
    found = {(one.name, one.subject) for one in scan(str(dist), Options(environ={})).findings}
    assert ("missing-dll", "uv.dll") not in found


def test_a_plan_has_windows_separators_in_sources_and_none_in_destinations(
    story: Story, cli: Callable[..., Cli]
) -> None:
    dist, conda = story
    plan = dist.parent / "plan.json"
    shown = cli("repair", dist, "--env", f"conda:{conda.as_posix()}", "--dry-run", "--plan", plan, "--format", "json")
    actions = loaded(shown)["plan"]["actions"]
    assert {one["destination"] for one in actions} == {"first.dll", "second.dll", "own.dll"}
    assert {one["source"] for one in actions} == {
        str(conda / "Library" / "bin" / "first.dll"),
        str(conda / "Library" / "bin" / "second.dll"),
        str(dist / "extra" / "own.dll"),
    }
    written = json.loads(plan.read_text("utf-8"))
    assert written["dist"]["root"] == str(dist)
    for one in written["actions"]:
        assert ("/" in one["source"]) is one["in_dist"] and "\\" not in one["destination"]
    text = cli("repair", dist, "--env", f"conda:{conda}", "--dry-run")
    assert "\\\\?\\" not in text.out + text.err
    done = cli("repair", dist, "--from-plan", plan)
    assert (done.code, (dist / "second.dll").is_file()) == (0, True), done


def test_a_dist_and_an_environment_far_down(story: Story, tmp_path: Path) -> None:
    far = f"\\\\?\\{tmp_path}".ljust(245, "d")
    os.makedirs(far)
    for folder in story:
        os.rename(folder, os.path.join(far, folder.name))
    dist, conda = (os.path.join(far, folder.name)[4:] for folder in story)
    assert len(dist) < 260 < len(f"{dist}\\pkg\\core.pyd")
    before = snapshot(Path(f"\\\\?\\{dist}"))
    done = repair(dist, Options(environ={}, environments=(f"conda:{conda}",)))
    assert done.verification is not None and done.verification.remaining == ()
    assert os.path.isfile(f"\\\\?\\{dist}\\second.dll")
    undo(dist)
    assert snapshot(Path(f"\\\\?\\{dist}")) == before


def test_reports_are_not_written_into_the_dist_in_any_case(story: Story, cli: Callable[..., Cli]) -> None:
    dist = story[0]
    place = dist.parent / dist.name.upper() / "reports"
    done = cli("audit", dist, "--output-dir", place)
    assert (done.code, place.exists()) == (2, False), done


def test_no_environment_is_listed_twice(story: Story, cli: Callable[..., Cli]) -> None:
    dist, conda = story
    listed = cli("envs", dist, environ={"CONDA_PREFIX": str(conda)}, cwd=dist.parent).out
    assert listed.count(str(conda)) == 1
    assert "\\\\?\\" not in listed


@not_under_wine("FSCTL_SET_REPARSE_POINT is not implemented in Wine 8, so there are no junctions")
def test_a_junction_out_of_the_dist_is_not_followed(story: Story, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "first.dll").write_bytes((story[0] / "app.exe").read_bytes())
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(tmp_path / "outside"), str(story[0] / "linked"))
    told = {one.subject: one.message for one in scan(str(story[0]), Options(environ={})).findings}
    assert "a link that leads out of the folder" in told["linked"]
