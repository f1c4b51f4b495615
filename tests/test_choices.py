"""A file that stands there with other content is never replaced unasked, and both versions are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Cli, DistMaker, Forge, put, snapshot
from tests.test_distributions import HAS_STDLIB, SITE, installed, make_python, program

__all__ = ["make_python"]

FILES = {"pkg/__init__.py": "from pkg import more", "pkg/more.py": "", "pkg/a.txt": "the new one", "pkg/b.txt": "same"}


def test_files_of_a_package_stay_and_are_named(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path, cli: Callable[..., Cli]
) -> None:
    environment = make_python(installed("pkg", FILES))
    dist = make_dist({}, HAS_STDLIB | {f"{SITE}/pkg/a.txt": "old", f"{SITE}/pkg/b.txt": "same"})
    before = snapshot(dist)
    arguments = ("repair", dist, "--env", environment, "--entry", program(tmp_path, "import pkg"))
    shown = cli(*arguments, "--dry-run")
    words = (
        f"kept {SITE}/pkg/a.txt has other content than in pkg 1.0 (3 bytes; there 11 bytes); --overwrite replaces it"
    )
    assert words in " ".join(shown.out.split())
    plan = json.loads(cli(*arguments, "--dry-run", "--format", "json").out)["plan"]
    assert plan["kept"] == [
        {"path": f"{SITE}/pkg/a.txt", "there": "3 bytes", "offered": "11 bytes", "provider": "pkg 1.0"}
    ]
    assert cli(*arguments).code == 0
    assert (dist / SITE / "pkg" / "a.txt").read_text() == "old"
    assert cli("undo", dist).code == 0
    replaced = cli(*arguments, "--overwrite")
    assert replaced.code == 0 and "kept" not in replaced.out
    assert (dist / SITE / "pkg" / "a.txt").read_text() == "the new one"
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before


def test_a_dll_in_the_way_is_told_with_both_sizes(
    make_dist: DistMaker, make_conda: Callable[..., Path], forge: Forge, cli: Callable[..., Cli]
) -> None:
    environment = make_conda({"Library/bin/need.dll": ()})
    dist = make_dist({"app.exe": ("need.dll",)})
    put(forge("need.dll", machine="x86"), dist / "need.dll")
    there, offered = (dist / "need.dll").stat().st_size, (environment / "Library/bin/need.dll").stat().st_size
    shown = cli("repair", dist, "--env", f"conda:{environment}", "--dry-run")
    assert f"need.dll stands there with other content ({there:,} bytes; " in shown.out
    assert f"has {offered:,} bytes); --overwrite replaces it, undo brings it back" in shown.out
