"""Files that others have open, locks, and a repair that is killed at any step, where Windows decides."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from depfix.repair.errors import DistLockedError, RolledBackError
from depfix.repair.journal import state_folder
from fixtures.crash_lab import FINISHED, picture
from tests.transactions import action, applied, refused, undone, write
from tests.transactions import dist as dist

STRIDE = 4  # of the steps at which a repair is killed: each takes a process

_HOLDING = """
import sys, time
{}
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another(*lines: str) -> Iterator[subprocess.Popen[str]]:
    """Have another process do something and wait."""
    command = [sys.executable, "-c", _HOLDING.format("\n".join(lines))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_file_that_another_program_has_open_is_named_and_nothing_is_changed(dist: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "s", "s")
    rows = action(new, "a.dll"), action(new, "pkg/old.dll", action="replace")
    with another(f"file = open({str(dist / 'pkg' / 'old.dll')!r}, 'rb')"):
        refused(dist, RolledBackError, *rows, words=r"old\.dll is in use: close the program")
    applied(dist, *rows)
    assert (dist / "pkg" / "old.dll").read_text() == "s"


def test_a_file_that_is_held_for_a_moment_is_waited_for(dist: Path, tmp_path: Path) -> None:
    lines = (
        f"file = open({str(dist / 'pkg' / 'old.dll')!r}, 'rb')",
        "print('held', flush=True)",
        "time.sleep(0.3)",
        "file.close()",
    )
    with another(*lines):
        applied(dist, action(write(tmp_path / "s", "s"), "pkg/old.dll", action="replace"))
    assert (dist / "pkg" / "old.dll").read_text() == "s"


def test_the_lock_of_another_process_holds_until_that_dies(dist: Path, tmp_path: Path) -> None:
    source = action(write(tmp_path / "s", "s"), "a.dll")
    lines = "from depfix.repair.transaction import locked", f"lock = locked({str(dist)!r})", "lock.__enter__()"
    with another(*lines), pytest.raises(DistLockedError):
        applied(dist, source)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # the system lets go of a lock after the process is gone
        try:
            applied(dist, source)
            break
        except DistLockedError:
            time.sleep(0.05)
    assert undone(dist) == ("a.dll",)
    assert not state_folder(str(dist)).exists()


def test_a_repair_that_is_killed_leaves_the_old_dist_or_the_new(dist: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    for name in ("new.dll", "lib/deep.dll", "pkg/old.dll"):
        write(sources / name, f"content of {name}")
    old, kills, step = picture(dist), 0, 1
    while True:
        command = [sys.executable, "-m", "fixtures.crash_child", str(dist), str(sources), str(step)]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if ended.returncode == FINISHED:
            break
        assert ended.returncode == 9, ended.stderr
        kills += 1
        undone_or_none(dist)
        assert picture(dist) == old, step
        assert not state_folder(str(dist)).exists()
        step += STRIDE
    assert kills >= 5
    assert (dist / "lib" / "deep.dll").read_text() == "content of lib/deep.dll"
    assert undone(dist)
    assert picture(dist) == old


def undone_or_none(dist: Path) -> None:
    """Undo what is recorded; what was cut off before that is put back by the lock alone."""
    from depfix.repair.journal import records
    from depfix.repair.transaction import locked

    with locked(str(dist)):
        pass
    if records(str(dist)):
        undone(dist)
