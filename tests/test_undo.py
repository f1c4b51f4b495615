"""Undo of the last repair and of earlier ones, of old journals, and of what a crash left."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.repair import transaction
from depfix.repair.errors import ChangedSinceRepairError, NothingToUndoError, StateDamagedError
from depfix.repair.journal import records, state_folder
from depfix.repair.transaction import locked
from fixtures.crash_lab import Picture, picture
from tests.conftest import Cli, not_on_windows, put
from tests.transactions import BIG, action, applied, undone, write
from tests.transactions import dist as dist

# --- undo ---


@pytest.fixture
def three(dist: Path, tmp_path: Path) -> list[Picture]:
    """Pictures of a dist before each of three repairs, the last two of which touch the same file."""
    pictures = []
    for number, name in enumerate(("a.dll", "b.dll", "b.dll")):
        pictures.append(picture(dist))
        source = write(tmp_path / f"s{number}", f"content {number}")
        applied(dist, action(source, name, action="replace" if number == 2 else "copy"))
    return pictures


def test_repairs_are_listed_with_what_they_brought(dist: Path, three: list[Picture]) -> None:
    rows = records(str(dist))
    assert [(row.number, row.files, row.size, row.summary) for row in rows] == [(n, 1, 9, "env 1") for n in (1, 2, 3)]
    assert all(row.when.startswith("20") and row.when.endswith("+00:00") for row in rows)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_undo_to_any_of_them(dist: Path, three: list[Picture], first: int) -> None:
    undone(dist, first)
    assert picture(dist) == three[first - 1]
    assert len(records(str(dist))) == first - 1


def test_undo_of_all_is_refused_as_a_whole(dist: Path, three: list[Picture]) -> None:
    (dist / "a.dll").write_text("mine")
    before = picture(dist)
    with pytest.raises(ChangedSinceRepairError, match=r"a\.dll"):
        undone(dist, 1)
    assert picture(dist) == before
    assert len(records(str(dist))) == 3
    assert undone(dist, 2) == ("b.dll",)
    with pytest.raises(NothingToUndoError, match="no repair 7"):
        undone(dist, 7)


def test_undo_on_the_command_line(cli: Callable[..., Cli], dist: Path, three: list[Picture]) -> None:
    listed = cli("undo", dist, "--list")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == ["3", "2", "1", "3"]
    assert cli("undo", dist, "--all", "--to", "1").code == 2
    nothing = cli("undo", dist, "--to", "9")
    assert nothing.code == 2 and "--list" in nothing.err
    assert cli("undo", dist, "--to", "3", "-q").out == ""
    assert picture(dist) == three[2]
    assert cli("undo", dist, "--all").code == 0
    assert picture(dist) == three[0]
    assert cli("undo", dist, "--all").code == 2
    assert "0 repairs" in cli("undo", dist, "--list").out


def test_an_old_file_that_is_gone_is_told(dist: Path, three: list[Picture]) -> None:
    (state_folder(str(dist)) / "0003" / "old-0").unlink()
    before = picture(dist)
    with pytest.raises(StateDamagedError, match="no longer there"):
        undone(dist)
    assert picture(dist) == before


def test_a_journal_of_version_one_is_undone(dist: Path) -> None:
    write(dist / "new.dll", "new")
    write(dist / "app.exe", "newer")
    folder = state_folder(str(dist)) / "0001"
    write(folder / "old-1", "MZ")
    digests = {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in ("new.dll", "app.exe")}
    steps = [
        {"destination": "new.dll", "staged": "new-0", "sha256": digests["new.dll"], "size": 3, "backup": ""},
        {"destination": "app.exe", "staged": "new-1", "sha256": digests["app.exe"], "size": 5, "backup": "old-1"},
    ]
    journal = {"version": 1, "phase": "committed", "steps": steps, "folders": [], "times": {".": 1_000_000_000}}
    write(folder / "journal.json", json.dumps(journal))
    (row,) = records(str(dist))
    assert (row.when, row.summary, row.files) == ("", "new.dll, app.exe", 2)
    assert undone(dist) == ("new.dll", "app.exe")
    assert (dist / "app.exe").read_text() == "MZ" and not (dist / "new.dll").exists()
    assert dist.stat().st_mtime_ns == 1_000_000_000


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 3, "phase": "committed"}', "[" * 100_000, "\udcff"])
def test_a_journal_that_cannot_be_read_stops_everything(dist: Path, content: str) -> None:
    write(state_folder(str(dist)) / "0001" / "journal.json", content.encode("utf-8", "surrogateescape"))
    before = picture(dist)
    with pytest.raises(StateDamagedError):
        undone(dist)
    assert picture(dist) == before


@not_on_windows("no process forks there; tests/windows/test_in_use.py kills one that was started")
def test_a_file_that_somebody_put_there_after_a_crash_stays(dist: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "s", "s")
    child = os.fork()
    if child == 0:
        transaction._commit = lambda *_rest: os.kill(os.getpid(), signal.SIGKILL)
        applied(dist, action(source, "a.dll"))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    write(dist / "a.dll", "mine")
    with locked(str(dist)) as recovered:
        assert recovered
    assert (dist / "a.dll").read_text() == "mine"


def test_what_python_compiled_of_a_file_goes_with_it(dist: Path, tmp_path: Path) -> None:
    before = {path: row for path, row in picture(dist).items() if path != "."}
    applied(dist, action(write(tmp_path / "mod.py", "x = 1"), "mod.py"))
    write(dist / "__pycache__" / "mod.cpython-310.pyc", "compiled")
    undone(dist)
    assert {path: row for path, row in picture(dist).items() if path != "."} == before


def test_progress_counts_every_file_and_byte(dist: Path, tmp_path: Path) -> None:
    sources = [put(write(tmp_path / "s", b"x" * size), tmp_path / f"s{size}") for size in (0, 10, BIG)]
    for link in (False, True):
        seen = [0, 0]

        def copied(files: int, size: int, seen: list[int] = seen) -> None:
            seen[0] += files
            seen[1] += size

        applied(dist, *(action(one, one.name) for one in sources), copied=copied, link=link)
        assert seen == [3, BIG + 10]
        undone(dist)
