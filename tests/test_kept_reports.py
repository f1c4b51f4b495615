"""A scan that is shown again is the scan that would be made: byte for byte, and only while nothing has changed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Cli, DistMaker, Forge, run_depfix

FORMS = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")
SOURCES = {"pkg/__init__.py": "import os, ctypes\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'own.dll'))\n"}


@dataclass
class Place:
    """A dist with an environment, both older than the two seconds in which a change could go unseen."""

    folder: Path
    dist: Path
    env: Path

    def scan(self, *options: object, cwd: Path | None = None, **environ: str) -> tuple[Cli, bool]:
        """Scan the dist; return how it ended, and whether it was a report of before that was shown."""
        variables = {"DEPFIX_CACHE_DIR": str(self.folder / "cache"), "PYTHONPROFILEIMPORTTIME": "1"} | environ
        done = run_depfix("scan", self.dist, *options, environ=variables, cwd=cwd or self.folder)
        rows = done.err.splitlines()
        told = "\n".join(row for row in rows if not row.startswith("import time:"))
        assert done.code in (0, 1), told
        return Cli(done.code, done.out, told), not any(row.endswith(" depfix.pipeline") for row in rows)

    def is_kept(self, *options: object, cwd: Path | None = None, **environ: str) -> bool:
        return self.scan(*options, cwd=cwd, **environ)[1]


@pytest.fixture
def place(make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path) -> Place:
    dist = make_dist({"core.pyd": ("gone.dll", "there.dll")}, SOURCES)
    env = make_conda({"Library/bin/there.dll": ()})
    time.sleep(2.1)
    return Place(tmp_path, dist, env)


def test_every_form_of_a_kept_report_is_byte_for_byte_that_of_a_new_one(place: Place) -> None:
    env = ("--env", f"conda:{place.env}")
    new = {form: place.scan(*env, "--no-cache", "--format", form) for form in FORMS}
    assert not any(was_kept for _, was_kept in new.values())
    assert not place.is_kept(*env)
    again = {form: place.scan(*env, "--format", form) for form in FORMS}
    assert all(was_kept for _, was_kept in again.values())
    assert {form: run for form, (run, _) in again.items()} == {form: run for form, (run, _) in new.items()}
    assert place.scan(*env, "-v")[0] == place.scan(*env, "-v", "--no-cache")[0]


def test_another_option_is_another_scan(place: Place, tmp_path: Path) -> None:
    assert not place.is_kept() and place.is_kept()
    for options in (["--select", "DF101"], ["--ignore", "DF101"], ["--target", "win11"], ["--env", f"dir:{place.env}"]):
        assert not place.is_kept(*options)
        assert place.is_kept(*options)
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert not place.is_kept(cwd=other)
    assert place.is_kept()
    assert not place.is_kept(VIRTUAL_ENV=str(other))  # an environment that is active is looked at


def test_a_changed_file_with_the_size_and_times_of_before_is_seen(place: Place) -> None:
    library = place.dist / "core.pyd"
    seen = library.stat()
    before = place.scan("--format", "json")[0]
    assert "gone.dll" in before.out and place.is_kept("--format", "json")
    library.write_bytes(library.read_bytes().replace(b"gone.dll", b"lost.dll"))
    os.utime(library, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    after = library.stat()
    assert (after.st_size, after.st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)
    now, was_kept = place.scan("--format", "json")
    assert not was_kept and "gone.dll" not in now.out and "lost.dll" in now.out


def test_what_appears_in_the_dist_or_in_the_environment_is_seen(place: Place, forge: Forge) -> None:
    env = ("--env", f"conda:{place.env}")
    assert not place.is_kept(*env) and place.is_kept(*env)
    shutil.copy(forge("gone.dll"), place.env / "Library" / "bin")
    found, was_kept = place.scan(*env, "--format", "json")
    assert not was_kept and str(place.env / "Library" / "bin" / "gone.dll") in found.out
    shutil.copy(forge("gone.dll"), place.dist / "gone.dll")
    now, was_kept = place.scan(*env, "--format", "json")
    assert not was_kept and "gone.dll" not in now.out


def test_a_report_that_appears_beside_the_dist_is_seen(place: Place) -> None:
    assert not place.is_kept() and place.is_kept()
    (place.folder / "unrelated.txt").write_text("a log beside the dist")
    assert place.is_kept()


def test_a_link_to_another_tree_is_seen(place: Place) -> None:
    real = place.dist.rename(place.folder / "first")
    place.dist.symlink_to(real, target_is_directory=True)
    time.sleep(2.1)
    assert not place.is_kept() and place.is_kept()
    place.dist.unlink()
    shutil.copytree(real, place.folder / "second")
    place.dist.symlink_to(place.folder / "second", target_is_directory=True)
    assert not place.is_kept()


def test_what_was_changed_just_now_is_not_kept(place: Place) -> None:
    (place.dist / "new.txt").write_text("x")
    os.utime(place.dist / "new.txt", (2**32, 2**32))  # a clock is wrong, or the file system's is
    told, was_kept = place.scan("-v")
    assert not was_kept and "not kept for the next run: a file or folder had just been changed" in told.err
    assert not place.is_kept()


def test_nothing_is_kept_inside_of_what_is_scanned(place: Place) -> None:
    for inside in (place.dist, place.env):
        variables = {"DEPFIX_CACHE_DIR": str(inside / "cache")}
        for _ in range(2):
            assert not place.scan("--env", f"conda:{place.env}", cwd=None, **variables)[1]
    assert not (place.dist / "cache").exists()


def test_a_damaged_or_forbidden_cache_is_slower_and_never_wrong(place: Place) -> None:
    expected = place.scan("--no-cache", "--format", "json")[0]
    place.scan()
    file = next((place.folder / "cache").iterdir())
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 97):
        content[start] ^= 0x55
    file.write_bytes(content)
    assert place.scan("--format", "json")[0] == expected
    (place.folder / "file").write_text("")
    assert place.scan("--format", "json", DEPFIX_CACHE_DIR=str(place.folder / "file"))[0] == expected
    told = place.scan("-v", DEPFIX_CACHE_DIR=str(place.folder / "file"))[0].err
    assert "is not used: " in told


def test_info_and_clear(place: Place) -> None:
    variables = {"DEPFIX_CACHE_DIR": str(place.folder / "cache")}
    assert "empty" in run_depfix("cache", "info", environ=variables).out
    assert "there was nothing" in run_depfix("cache", "clear", environ=variables).out
    place.scan()
    shown = run_depfix("cache", "info", environ=variables).out
    assert str(place.folder / "cache") in shown and " rows, " in shown
    assert "removed " in run_depfix("cache", "clear", environ=variables).out
    assert list((place.folder / "cache").iterdir()) == []
    assert not place.is_kept()
