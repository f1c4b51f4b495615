"""The program of a user who asked for help, frozen with its packages left out: class names, weights, a hub source tree.

One repair brings the packages and what the program reads. `inference.py` names its files as seen from the current
directory, so it runs in its own folder only, as depfix says; `anywhere.py` looks for them beside itself.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.image_classifier import ANYWHERE, FOLDER, INFERENCE, REQUIREMENTS, checkpoint
from fixtures.nuitka_lab import build, environment, run
from tests.conftest import Cli, snapshot

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]


@pytest.fixture(scope="module")
def python() -> str:
    """Where the packages are, as `--env` wants it."""
    return f"python:{environment(REQUIREMENTS)}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name of eight characters: see `place` in test_nuitka_programs."""
    made = Path(tempfile.mkdtemp(prefix=""))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def project(folder: Path) -> Path:
    """The project as it is on the developer's machine, with the weights."""
    copied = folder / "分类 project"
    shutil.copytree(FOLDER, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "__init__.py").unlink()
    shutil.copytree(checkpoint(), copied / "checkpoint", ignore=shutil.ignore_patterns(".complete"))
    return copied


def frozen(folder: Path, script: str, options: tuple[str, ...]) -> Path:
    """Return a copy of the dist of one of the two programs."""
    built = build(FOLDER / script, (*options, "--deployment"), requirements=REQUIREMENTS)
    shutil.copytree(built / "main.dist", folder / "main.dist")
    return folder / "main.dist"


def test_one_repair_brings_what_it_reads(folder: Path, project: Path, python: str, cli: Callable[..., Cli]) -> None:
    dist = frozen(folder, "inference.py", INFERENCE)
    before = snapshot(dist)
    entry = ("--entry", project / "inference.py")
    scanned = cli("scan", dist, "--env", python, *entry, "--format", "json")
    missing = [row for row in json.loads(scanned.out)["findings"] if row["name"] == "missing-data-file"]
    assert {row["subject"] for row in missing} == {"idx2cls.json", "checkpoint/dinov2_head.pt", "dinov2"}
    assert all("looks in the current directory" in row["message"] for row in missing)
    repaired = cli("repair", dist, "--env", python, *entry, "--yes")
    assert repaired.code == 0, repaired
    for inner in ("idx2cls.json", "checkpoint/dinov2_head.pt", "dinov2/hubconf.py", "dinov2/dinov2/configs/tiny.yaml"):
        assert (dist / inner).read_bytes() == (project / inner).read_bytes()
    arguments = ("--image_path", str(project / "frog.ppm"), "--output", "title.png")
    code, out, err = run(dist / "main.exe", *arguments)
    assert (code, out) == (0, "inference green frog\r\n"), err
    (dist / "title.png").unlink()
    code, out, err = run(dist / "main.exe", *arguments, cwd=folder)
    assert code not in (0, None)
    assert "./idx2cls.json" in err  # its own code looks for it where it was started

    again = cli("scan", dist, *entry, "--format", "json")
    rows = json.loads(again.out)["findings"]
    assert [row for row in rows if row["severity"] == "error"] == []
    assert "relative-path" in {row["name"] for row in rows}
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before


def test_what_looks_beside_itself_runs_from_anywhere(
    folder: Path, project: Path, python: str, cli: Callable[..., Cli]
) -> None:
    dist = frozen(folder, "anywhere.py", ANYWHERE)
    repaired = cli("repair", dist, "--env", python, "--entry", project / "anywhere.py", "--yes")
    assert repaired.code == 0, repaired
    assert (dist / "checkpoint" / "prototypes.npy").is_file()
    assert not (dist / "dinov2").exists()  # nothing reads it here
    for cwd in (dist, folder):
        code, out, err = run(dist / "main.exe", str(project / "frog.ppm"), cwd=cwd)
        assert (code, out) == (0, "anywhere green frog\r\n"), err
    again = json.loads(cli("scan", dist, "--entry", project / "anywhere.py", "--format", "json").out)
    assert "relative-path" not in {row["name"] for row in again["findings"]}
