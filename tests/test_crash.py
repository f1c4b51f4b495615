"""A repair is killed at each step that writes, in turn; what is there afterwards is exactly old or exactly new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from depfix.model.plan import Action, Plan
from depfix.model.source import Provider
from depfix.pipeline import Options, undo
from depfix.repair import copying
from depfix.repair.errors import RolledBackError
from depfix.repair.journal import records, state_folder, unfinished
from depfix.repair.transaction import apply_plan, locked, undo_repairs
from fixtures.crash_lab import Picture, dies, picture
from tests.conftest import DistMaker
from tests.repairing import repair

# The kills that each shape of a dist takes at least; a change that needs fewer steps may lower them.
KILLS = {"new": 30, "replaced": 32, "folders": 44, "made": 30, "mixed": 75, "many": 120, "links": 32}


@dataclass(frozen=True)
class Shape:
    """A dist and a plan for it; `old` and `new` are what it may look like. `work` is the copy that is tried on."""

    master: Path
    work: Path
    plan: Plan
    link: bool
    old: Picture
    new: Picture

    def fresh(self) -> str:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.rmtree(state_folder(str(self.work)), ignore_errors=True)
        shutil.copytree(self.master, self.work)
        return str(self.work)

    def repair(self) -> None:
        with locked(str(self.work)):
            apply_plan(str(self.work), self.plan, link=self.link)

    def undo(self) -> None:
        with locked(str(self.work)):
            undo_repairs(str(self.work))

    def recover(self) -> None:
        with locked(str(self.work)):
            pass

    def is_new(self) -> bool:
        """Return True for the new dist; the times of the folders that a repair changes are those of the moment."""
        now = picture(self.work)
        timeless = {path for path, row in self.new.items() if row[0] == "folder" and row != self.old.get(path)}
        return now.keys() == self.new.keys() and all(
            (row[0], row[2]) == (now[path][0], now[path][2]) and (path in timeless or row[1] == now[path][1])
            for path, row in self.new.items()
        )

    def is_old(self) -> bool:
        return picture(self.work) == self.old and not state_folder(str(self.work)).exists()


def write(path: Path, content: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_500_000_000_123_456_789))
    return path


def shape(name: str, folder: Path) -> Shape:
    """Return the dist of that name with its plan."""
    dist = folder / "master"
    write(dist / "app.exe", "MZ program", 0o755)
    write(dist / "pkg" / "__init__.py", "old source\n")
    write(dist / "pkg" / "deep" / "core.pyd", "old core", 0o444)
    write(dist / "pkg" / "data.txt", "old data")
    rows = {
        "new": [("copy", "a.dll"), ("copy", "pkg/b.dll")],
        "replaced": [("replace", "pkg/deep/core.pyd"), ("replace", "pkg/data.txt")],
        "folders": [("copy", "one/two/three/c.dll"), ("copy", "one/two/d.dll"), ("copy", "pkg/new/e.dll")],
        "made": [("patch", "pkg/__init__.py"), ("write", "finder.py")],
        "links": [("copy", "a.dll"), ("replace", "pkg/data.txt"), ("patch", "pkg/__init__.py")],
        "many": [("copy", f"lib/{number}.dll") for number in range(18)],
    }
    rows["mixed"] = [*rows["folders"], *rows["replaced"], *rows["made"]]
    actions = []
    for number, (verb, destination) in enumerate(rows[name]):
        made = str(write(folder / "made" / str(number), f"made {number}")) if verb in ("patch", "write") else ""
        source = (
            str(dist / destination)
            if verb == "patch"
            else str(write(folder / "env" / str(number), f"new {number}" * 9))
        )
        size = os.stat(made or source).st_size
        actions.append(Action(verb, source, destination, Provider("env"), size, "DF101", "x", made=made))
    for each in sorted(dist.rglob("*"), reverse=True):
        if each.is_dir():
            os.utime(each, (1_400_000_000, 1_400_000_000))
    os.utime(dist, (1_400_000_000, 1_400_000_000))
    made_up = Shape(dist, folder / "main.dist", Plan(tuple(actions), ()), name == "links", picture(dist), {})
    made_up.fresh()
    made_up.repair()
    return Shape(dist, made_up.work, made_up.plan, made_up.link, made_up.old, picture(made_up.work))


def kills(tried: Shape, work: Callable[[], None], kind: str = "kill", before: Callable[[], None] = lambda: None) -> int:
    """Let `work` die at each step in turn and bring the dist to the wanted state by each way; return how often."""
    at = 0
    while True:
        tried.fresh()
        before()
        if not dies(work, at + 1, tried.work.parent, kind):
            return at
        at += 1
        ended(tried, by_repair=at % 2 == 0)


def ended(tried: Shape, *, by_repair: bool) -> None:
    """Recover, go on by repair or undo, and look at the dist after each."""
    tried.recover()
    done = records(str(tried.work))
    assert tried.is_new() if done else tried.is_old()
    if by_repair and not done:
        tried.repair()
        assert tried.is_new()
    if by_repair or done:
        tried.undo()
    assert tried.is_old()


@pytest.mark.parametrize("name", KILLS)
def test_a_repair_killed_at_any_step(name: str, tmp_path: Path) -> None:
    tried = shape(name, tmp_path)
    assert tried.new != tried.old
    assert kills(tried, tried.repair) >= KILLS[name]


@pytest.mark.parametrize("name", ["mixed", "links"])
def test_an_undo_killed_at_any_step(name: str, tmp_path: Path) -> None:
    tried = shape(name, tmp_path)
    assert kills(tried, tried.undo, before=tried.repair) >= 20


@pytest.mark.parametrize("name", ["mixed", "many"])
def test_a_power_cut_at_any_step_of_a_repair(name: str, tmp_path: Path) -> None:
    tried = shape(name, tmp_path)
    assert kills(tried, tried.repair, "power cut") >= KILLS[name]


@pytest.mark.parametrize("kind", ["kill", "power cut"])
def test_a_repair_by_threads_that_ends_at_any_step(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_LARGE", 0)
    tried = shape("mixed", tmp_path)
    assert kills(tried, tried.repair, kind) >= KILLS["mixed"]


def test_a_power_cut_at_any_step_of_an_undo(tmp_path: Path) -> None:
    tried = shape("mixed", tmp_path)
    assert kills(tried, tried.undo, "power cut", before=tried.repair) >= 20


def test_a_recovery_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    tried = shape("replaced", tmp_path)
    tried.fresh()
    steps = next(at for at in range(1, 1000) if tried.fresh() and not dies(tried.repair, at, tmp_path)) - 1
    count = 0
    for first in range(steps, 0, -4):  # from the last step back: journalled ones, then those before the journal
        second = 0
        while True:
            tried.fresh()
            assert dies(tried.repair, first, tmp_path)
            if not dies(tried.recover, second + 1, tmp_path):
                break
            second += 1
            ended(tried, by_repair=second % 2 == 0)
        count += second
    assert count >= 40


def test_kills_of_a_recovery_after_a_killed_undo(tmp_path: Path) -> None:
    tried = shape("replaced", tmp_path)

    def undone_halfway() -> None:
        tried.repair()
        assert dies(tried.undo, 6, tmp_path)

    assert kills(tried, tried.recover, before=undone_halfway) >= 5


@pytest.mark.parametrize(("name", "threads"), [("mixed", False), ("mixed", True), ("links", False)])
def test_ctrl_c_at_any_step_and_at_all_after_it(
    name: str, threads: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps pressing Ctrl-C breaks nothing: the dist is put back, at the latest by the next start."""
    if threads:
        monkeypatch.setattr(copying, "_LARGE", 0)
    tried = shape(name, tmp_path)

    def pressed() -> None:
        try:
            tried.repair()
        except RolledBackError as error:
            assert "interrupted" in str(error)
            assert not unfinished(str(tried.work))

    at = 0
    while True:
        at += 1
        tried.fresh()
        assert not dies(pressed, at, tmp_path, "ctrl-c")
        tried.recover()
        if records(str(tried.work)):
            break
        assert tried.is_old()
    assert at > KILLS[name]
    assert tried.is_new()


def test_whole_repairs_and_undos_killed_at_any_step(
    make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path
) -> None:
    """The stages from scan to verification, with an environment, a file to be replaced and a chain of needs."""
    dist = make_dist({"pkg/core.pyd": ("first.dll",)}, {"pkg/__init__.py": "from . import core\n"}, name="master")
    write(dist / "second.dll", "half a download")
    environment = make_conda({"Library/bin/first.dll": ("second.dll",), "Library/bin/second.dll": ()})
    options = Options(environ={}, environments=(f"conda:{environment}",), overwrite=True)
    work = tmp_path / "main.dist"
    old, count = picture(dist), 0
    for again, job in ((False, lambda: repair(str(work), options)), (True, lambda: undo(str(work)))):
        at = 0
        while True:
            at += 1
            shutil.rmtree(work, ignore_errors=True)
            shutil.rmtree(state_folder(str(work)), ignore_errors=True)
            shutil.copytree(dist, work)
            if again:
                repair(str(work), options)
            if not dies(job, at, work.parent):
                break
            with locked(str(work)):
                done = bool(records(str(work)))
            if done:
                undo(str(work))
            elif at % 4 == 0:
                assert repair(str(work), options).applied
                undo(str(work))
            assert picture(work) == old
            count += 1
    assert count >= 40


def test_all_of_these_are_at_least_three_hundred_kills() -> None:
    power_cuts, undos, recoveries, whole = KILLS["mixed"] + KILLS["many"] + 20, 2 * 20, 40 + 5, 40
    assert sum(KILLS.values()) + power_cuts + undos + recoveries + whole >= 300
