"""Repairs: the whole closure at once, all or nothing, and back again byte for byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.errors import NoEnvironmentError
from depfix.model.plan import Action, Plan
from depfix.model.report import Report
from depfix.model.source import Provider
from depfix.pipeline import Options, scan, undo
from depfix.repair import disk, transaction
from depfix.repair.errors import (
    ChangedSinceRepairError,
    DiskSpaceError,
    DistLockedError,
    NothingToUndoError,
    RolledBackError,
    StateDamagedError,
    UnsafePathError,
)
from depfix.repair.journal import state_folder
from tests.conftest import DistMaker, Forge, not_under_wine, put, snapshot
from tests.repairing import repair

MakeConda = Callable[..., Path]
SOURCE = "from . import core\n"


@pytest.fixture
def story(make_dist: DistMaker, make_conda: MakeConda) -> tuple[Path, Path]:
    """(dist, environment): core needs first, first needs second, second needs third; all three stayed behind."""
    dist = make_dist({"pkg/core.pyd": ("first.dll",)}, {"pkg/__init__.py": SOURCE})
    environment = make_conda(
        {
            "Library/bin/first.dll": ("second.dll",),
            "Library/bin/second.dll": ("third.dll",),
            "third.dll": (),
        }
    )
    return dist, environment


def run(dist: Path, *environments: Path, overwrite: bool = False, dry_run: bool = False) -> Report:
    specs = tuple(f"conda:{path}" for path in environments)
    return repair(str(dist), Options(environ={}, environments=specs, overwrite=overwrite), dry_run=dry_run)


def plan_of(report: Report) -> dict[str, tuple[str, str]]:
    assert report.plan is not None
    return {action.destination: (action.action, str(action.provider)) for action in report.plan.actions}


def test_one_repair_brings_the_whole_chain_and_undo_takes_it_back(story: tuple[Path, Path]) -> None:
    dist, environment = story
    before = snapshot(dist)
    dry = run(dist, environment, dry_run=True)
    assert plan_of(dry) == {
        "first.dll": ("copy", "first 1.2.3"),
        "second.dll": ("copy", "second 1.2.3"),
        "third.dll": ("copy", "third 1.2.3"),
    }
    assert snapshot(dist) == before
    assert not state_folder(str(dist)).exists()
    done = run(dist, environment)
    assert done.applied
    assert plan_of(done) == plan_of(dry)
    assert done.verification is not None
    assert [one.subject for one in done.verification.fixed] == ["first.dll"]
    assert done.verification.remaining == done.verification.introduced == ()
    assert scan(str(dist), Options(environ={})).findings == ()
    assert undo(str(dist)) == ("first.dll", "second.dll", "third.dll")
    assert snapshot(dist) == before
    assert not state_folder(str(dist)).exists()


def test_a_clean_dist_is_left_alone(make_dist: DistMaker) -> None:
    dist = make_dist()
    before = snapshot(dist)
    report = run(dist)
    assert not report.applied
    assert snapshot(dist) == before
    assert not state_folder(str(dist)).exists()


def test_repairs_are_undone_one_by_one(story: tuple[Path, Path], make_conda: MakeConda, forge: Forge) -> None:
    dist, environment = story
    first = snapshot(dist)
    run(dist, environment)
    second = snapshot(dist)
    put(forge("extra.pyd", ("fourth.dll",)), dist / "extra.pyd")
    with_extra = snapshot(dist)
    run(dist, make_conda({"Library/bin/fourth.dll": ()}, name="other"))
    assert undo(str(dist))
    assert snapshot(dist) == with_extra
    (dist / "extra.pyd").unlink()
    undo(str(dist))
    assert {path: row[0] for path, row in snapshot(dist).items()} == {path: row[0] for path, row in first.items()}
    assert second != first
    with pytest.raises(NothingToUndoError):
        undo(str(dist))


def test_a_dll_of_a_package_goes_where_the_package_has_it_if_that_is_searched(
    make_dist: DistMaker, make_conda: MakeConda
) -> None:
    dist = make_dist({"pkg/core.pyd": ("own.dll", "foreign.dll")}, {"pkg/__init__.py": SOURCE})
    environment = make_conda({"Lib/site-packages/pkg/own.dll": (), "Lib/site-packages/other/foreign.dll": ()})
    assert set(plan_of(run(dist, environment))) == {"pkg/own.dll", "foreign.dll"}


def test_a_dll_loaded_by_path_goes_to_that_path(make_dist: DistMaker, make_conda: MakeConda) -> None:
    source = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), '.libs', 'need.dll'))\n"
    dist = make_dist({}, {"pkg/__init__.py": source})
    before = snapshot(dist)
    assert set(plan_of(run(dist, make_conda({"Library/bin/need.dll": ()})))) == {"pkg/.libs/need.dll"}
    undo(str(dist))
    assert snapshot(dist) == before, "the new folder is gone, too"


def test_a_misplaced_dll_is_copied_from_the_dist_itself(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",), "bin/need.dll": ()}, {"pkg/__init__.py": SOURCE})
    report = run(dist)
    assert plan_of(report) == {"need.dll": ("copy", "dist")}
    assert report.applied
    assert (dist / "bin" / "need.dll").exists()


def test_environments_are_tried_in_order_and_unfit_files_passed_over(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge
) -> None:
    dist = make_dist({"core.pyd": ("need.dll",)})
    wrong = make_conda({}, name="wrong")
    put(forge("need.dll", machine="x86"), wrong / "Library" / "bin" / "need.dll")
    right = make_conda({"Library/bin/need.dll": ()}, name="right")
    assert plan_of(run(dist, wrong, right)) == {"need.dll": ("copy", "need 1.2.3")}


def test_what_has_no_cure_is_declined_with_the_reason(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge
) -> None:
    dist = make_dist({"core.pyd": ("need.dll", "nowhere.dll")})
    environment = make_conda({})
    put(forge("need.dll", machine="x86"), environment / "Library" / "bin" / "need.dll")
    (environment / "Library" / "bin" / "other.dll").write_text("no image")
    report = run(dist, environment)
    assert report.plan is not None
    reasons = {row.subject: row.reason for row in report.plan.declined}
    assert "32-bit" in reasons["need.dll"]
    assert "not found in" in reasons["nowhere.dll"]
    assert not report.applied


def test_a_file_with_other_content_is_replaced_only_if_the_user_says_so(
    make_dist: DistMaker, make_conda: MakeConda
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE})
    (dist / "need.dll").write_text("half a download")
    before = snapshot(dist)
    environment = make_conda({"Library/bin/need.dll": ()})
    report = run(dist, environment)
    assert report.plan is not None
    assert (report.applied, report.plan.actions) == (False, ())
    assert "--overwrite" in report.plan.declined[0].reason
    assert snapshot(dist) == before
    replaced = run(dist, environment, overwrite=True)
    assert plan_of(replaced) == {"need.dll": ("replace", "need 1.2.3")}
    assert scan(str(dist), Options(environ={})).findings == ()
    undo(str(dist))
    assert snapshot(dist) == before


def test_without_an_environment_the_user_is_told_which_there_are(
    make_dist: DistMaker, make_conda: MakeConda, tmp_path: Path
) -> None:
    dist = make_dist({"core.pyd": ("need.dll",)})
    make_conda({}, name="envs/nuitka")
    environ = {"HOME": "/nowhere", "CONDA_ENVS_PATH": str(tmp_path / "envs")}
    with pytest.raises(NoEnvironmentError) as caught:
        repair(str(dist), Options(environ=environ))
    assert "need.dll" in str(caught.value)
    assert "conda:nuitka" in caught.value.hint


def test_the_active_environment_is_taken_by_itself(make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({"core.pyd": ("need.dll",)})
    environment = make_conda({"Library/bin/need.dll": ()})
    report = repair(str(dist), Options(environ={"HOME": "/nowhere", "CONDA_PREFIX": str(environment)}))
    assert report.applied


def test_a_user_who_says_no_keeps_the_dist(story: tuple[Path, Path]) -> None:
    dist, environment = story
    before = snapshot(dist)
    options = Options(environ={}, environments=(f"conda:{environment}",))
    report = repair(str(dist), options, agreed=lambda _report: False)
    assert not report.applied
    assert snapshot(dist) == before


# --- cut off, changed, full, locked ---


def interrupted_at(story: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException) -> None:
    dist, environment = story
    real, calls = disk.move, [0]

    def move(source: str, target: str) -> None:
        calls[0] += 1
        if calls[0] == call:
            raise error
        real(source, target)

    monkeypatch.setattr(transaction, "move", move)
    with pytest.raises(RolledBackError):
        run(dist, environment)


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_or_ctrl_c_in_the_middle_leaves_the_old_dist(
    story: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, call: int, error: BaseException
) -> None:
    before = snapshot(story[0])
    interrupted_at(story, monkeypatch, call, error)
    assert snapshot(story[0]) == before
    assert not state_folder(str(story[0])).exists()


def test_undo_does_not_lose_what_the_user_changed_since(story: tuple[Path, Path]) -> None:
    dist, environment = story
    run(dist, environment)
    (dist / "first.dll").write_text("mine")
    before = snapshot(dist)
    with pytest.raises(ChangedSinceRepairError, match=r"first\.dll"):
        undo(str(dist))
    assert snapshot(dist) == before
    (dist / "first.dll").unlink()
    undo(str(dist))
    assert not (dist / "third.dll").exists()


def test_a_full_disk_is_told_before_anything_is_written(
    story: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dist, environment = story
    before = snapshot(dist)
    usage = shutil.disk_usage(dist)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(DiskSpaceError, match="1,000 are free"):
        run(dist, environment)
    assert snapshot(dist) == before


def test_two_at_once_do_not_meet(story: tuple[Path, Path]) -> None:
    dist, environment = story
    with transaction.locked(str(dist)), pytest.raises(DistLockedError):
        run(dist, environment)


def test_a_damaged_journal_is_told_and_nothing_is_touched(story: tuple[Path, Path]) -> None:
    dist, environment = story
    run(dist, environment)
    (state_folder(str(dist)) / "0001" / "journal.json").write_text("{")
    before = snapshot(dist)
    with pytest.raises(StateDamagedError):
        undo(str(dist))
    assert snapshot(dist) == before


LINKED = pytest.param(
    "link/x.dll", marks=not_under_wine("CreateSymbolicLinkW does nothing in Wine 8, and says that it did")
)


@pytest.mark.parametrize("destination", ["../x.dll", "/x.dll", "a/../../x.dll", "", "C:x.dll", "a\\..\\x.dll", LINKED])
def test_nothing_is_written_outside_the_dist(story: tuple[Path, Path], tmp_path: Path, destination: str) -> None:
    dist, environment = story
    outside = tmp_path / "outside"
    outside.mkdir()
    os.symlink(outside, dist / "link")
    source = environment / "third.dll"
    plan = Plan((Action("copy", str(source), destination, Provider(""), 1, "DF101", "x.dll"),), ())
    with transaction.locked(str(dist)), pytest.raises(UnsafePathError):
        transaction.apply_plan(str(dist), plan)
    assert list(outside.iterdir()) == []


def test_times_and_content_of_copies_are_those_of_the_source(story: tuple[Path, Path]) -> None:
    dist, environment = story
    os.utime(environment / "third.dll", (1_600_000_000, 1_600_000_000))
    run(dist, environment)
    assert (dist / "third.dll").read_bytes() == (environment / "third.dll").read_bytes()
    assert int((dist / "third.dll").stat().st_mtime) == 1_600_000_000
