"""Full and read-only disks, folders without rights, files in use, two repairs at once."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from depfix.model.plan import Plan
from depfix.pipeline import Options, scan
from depfix.repair import disk, transaction
from depfix.repair.errors import DistLockedError, PreflightError, RolledBackError
from depfix.repair.journal import records, state_folder
from depfix.repair.transaction import apply_plan, locked, undo_repairs
from fixtures.crash_lab import picture
from tests.conftest import Cli, DistMaker
from tests.transactions import action, applied, once, refused, write
from tests.transactions import dist as dist

# --- disks ---

_IN_NAMESPACE = """
    import os, shutil, subprocess, sys
    from pathlib import Path
    from depfix.errors import DepfixError
    from depfix.model.plan import Action, Plan
    from depfix.model.source import Provider
    from depfix.repair.journal import state_folder
    from depfix.repair.transaction import apply_plan, locked
    from fixtures.crash_lab import picture

    place, source, case = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    size = {"small": "20m"}.get(case, "40m")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True)
    root = place / "main.dist"
    (root / "pkg").mkdir(parents=True)
    (root / "app.exe").write_text("MZ")
    (root / "pkg" / "old.dll").write_text("old")
    if case == "read-only":
        subprocess.run(["mount", "--bind", str(root), str(root)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)], check=True)
    size = source.stat().st_size
    names = [f"lib/{number}.dll" for number in range(8)] + ["pkg/old.dll"]
    plan = Plan(tuple(Action("copy", str(source), name, Provider(""), size, "DF101", "x") for name in names), ())
    files = [0]

    def copied(done, _size):
        files[0] += done
        if case.isdigit() and done and files[0] == int(case):
            with open(place / "filler", "wb", buffering=0) as filler:
                try:
                    while True:
                        filler.write(b"x" * 65536)
                except OSError:
                    pass

    before = picture(root)
    try:
        with locked(str(root)):
            apply_plan(str(root), plan, copied)
        print("applied")
    except DepfixError as error:
        print(type(error).__name__, error.exit_code, error)
    assert picture(root) == before, "the dist is not as it was"
    (place / "filler").unlink(missing_ok=True)
    with locked(str(root)):
        pass
    assert picture(root) == before
    assert not state_folder(str(root)).exists()
    """


def in_namespace(tmp_path: Path, case: str) -> str:
    """Repair a dist on a small file system of its own, mounted for one process; return what that said."""
    (tmp_path / "mount").mkdir()
    source = write(tmp_path / "source.dll", b"x" * (1 << 20 if case != "small" else 4 << 20))
    script = write(tmp_path / "script.py", textwrap.dedent(_IN_NAMESPACE))
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *rights, sys.executable, str(script), str(tmp_path / "mount"), str(source), case]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("full_after", [1, 4, 8, 9])
def test_a_disk_that_becomes_full_midway(tmp_path: Path, full_after: int) -> None:
    said = in_namespace(tmp_path, str(full_after))
    assert said.startswith("RolledBackError 4") and "No space left on device" in said


def test_a_disk_that_is_too_small_is_told_before_the_first_byte(tmp_path: Path) -> None:
    said = in_namespace(tmp_path, "small")
    assert said.startswith("DiskSpaceError 3") and "are needed beside" in said


def test_a_file_system_that_is_read_only(tmp_path: Path) -> None:
    said = in_namespace(tmp_path, "read-only")
    assert said.startswith("PreflightError 3") and "may not be written" in said


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A folder that the user `nobody` may enter; the permissions of files do not bind root."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o777)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
    shutil.rmtree(folder)


def as_nobody(work: Callable[[], None]) -> None:
    """Run `work` in a child without root's rights."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("when", ["before", "midway"])
def test_a_folder_that_may_not_be_written(anybodys: Path, when: str) -> None:
    def work() -> None:
        root = anybodys / "main.dist"
        write(root / "pkg" / "old.dll", "old")
        write(root / "app.exe", "MZ")
        source = write(anybodys / "s", "s")
        actions = (action(source, "a.dll"), action(source, "new/b.dll"), action(source, "pkg/c.dll"))
        if when == "before":
            (root / "pkg").chmod(0o555)
            refused(root, PreflightError, *actions, words="pkg may not be written")
            return
        before = picture(root)
        with pytest.raises(RolledBackError, match=r"Permission denied: pkg/c\.dll"):
            applied(root, *actions, copied=once(lambda: (root / "pkg").chmod(0o555)))
        (root / "pkg").chmod(0o755)
        assert picture(root) == before

    as_nobody(work)


def test_a_source_that_may_not_be_read(anybodys: Path) -> None:
    def work() -> None:
        write(anybodys / "main.dist" / "app.exe", "MZ")
        source = write(anybodys / "secret.dll", "s", 0o000)
        refused(
            anybodys / "main.dist", PreflightError, action(source, "a.dll"), words=r"secret\.dll: permission denied"
        )

    as_nobody(work)


def test_a_file_in_use_is_named(dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows says it when another program has the file open."""
    real = disk.move

    def move(source: str, target: str) -> None:
        if source == str(dist / "pkg" / "old.dll"):
            error = PermissionError(13, "The process cannot access the file", source)
            error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
            raise error
        real(source, target)

    monkeypatch.setattr(transaction, "move", move)
    new = write(tmp_path / "s", "s")
    rows = action(new, "a.dll"), action(new, "pkg/old.dll", action="replace")
    refused(dist, RolledBackError, *rows, words=r"pkg/old\.dll is in use: close the program")


# --- two at once ---

_WAITING = """
    import sys, time
    from pathlib import Path
    from depfix.pipeline import Options
    from tests.repairing import repair
    flag = Path(sys.argv[3])

    def copied(_files, _size):
        flag.touch()
        while flag.exists():
            time.sleep(0.01)

    repair(sys.argv[1], Options(environ={}, environments=(sys.argv[2],)), copied=copied)
    """


@pytest.fixture
def story(make_dist: DistMaker, make_conda: Callable[..., Path]) -> tuple[Path, str]:
    dist = make_dist({"pkg/core.pyd": ("first.dll",)}, {"pkg/__init__.py": "from . import core\n"})
    return dist, f"conda:{make_conda({'Library/bin/first.dll': ()})}"


def test_two_repairs_at_once(cli: Callable[..., Cli], story: tuple[Path, str], tmp_path: Path) -> None:
    dist, spec = story
    flag = tmp_path / "flag"
    command = [sys.executable, "-c", textwrap.dedent(_WAITING), str(dist), spec, str(flag)]
    first = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for command_line in (("repair", dist, "--env", spec), ("undo", dist)):
        second = cli(*command_line)
        assert second.code == 3 and "another depfix is working on" in second.err
    flag.unlink()
    while first.poll() is None:
        flag.unlink(missing_ok=True)
        time.sleep(0.01)
    assert first.returncode == 0
    assert scan(str(dist), Options(environ={})).findings == ()
    assert len(records(str(dist))) == 1


def test_a_lock_whose_folder_goes_away_is_still_one_lock(dist: Path, tmp_path: Path) -> None:
    """Many short repairs and undos race for the lock and for the folder that holds it; none meets another."""
    meeting, source = tmp_path / "meeting", write(tmp_path / "s", "s")

    def work() -> None:
        for _ in range(150):
            with contextlib.suppress(DistLockedError), locked(str(dist)):
                meeting.mkdir()
                apply_plan(str(dist), Plan((action(source, "a.dll"),), ()))
                undo_repairs(str(dist))
                meeting.rmdir()
            time.sleep(0.0005)

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException as error:
                sys.stderr.write(f"{error!r}\n")
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert not state_folder(str(dist)).exists()
