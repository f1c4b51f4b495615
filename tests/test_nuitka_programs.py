"""Real Nuitka builds whose packages were left out: each fails, is repaired by one command, runs, and is put back.

A cold build of all takes about ten minutes; they are kept in the lab (fixtures/nuitka_lab.py). A dist is copied away from
its report and its build folder first, so what the exe holds is read from the exe alone, unless a test says otherwise.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.nuitka_lab import PYTHON, build, environment, run
from fixtures.nuitka_programs import PROGRAMS, REQUIREMENTS, Program
from fixtures.windows_lab import download
from tests.conftest import Cli, snapshot

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

BY_NAME = {program.name: program for program in PROGRAMS}


@pytest.fixture(scope="session")
def python() -> str:
    """Where the packages are, as `--env` wants it."""
    return f"python:{environment(REQUIREMENTS)}"


@pytest.fixture
def place() -> Iterator[Callable[..., Path]]:
    """Copy a program's dist, and what else of its build a test asks for, to a folder of its own.

    The folder's name has eight characters. Nuitka's programs ask Windows for the short form of their path, and Wine
    makes that up from the first four characters and a hash of 15 bits; one of two thousand test folders had another's.
    """
    folder = Path(tempfile.mkdtemp(prefix=""))

    def copy(program: Program, *beside: str, options: tuple[str, ...] = ("--deployment",), again: bool = False) -> Path:
        built = build(program.path, (*program.options, *options), requirements=REQUIREMENTS)
        for name in (*(() if again else ("main.dist",)), *beside):
            source = built / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        return folder / "main.dist"

    yield copy
    shutil.rmtree(folder)


def runs(dist: Path, program: Program) -> bool:
    """Say whether the program works; torch warns on stderr if it has no numpy, which it does not require."""
    code, out, err = run(dist / "main.exe")
    assert (code, out) == (0, program.expected + "\r\n"), err
    return True


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of all packages, and with the Python as NuGet has it: no installation of anything."""
    folder = tmp_path_factory.mktemp("wheels")
    for requirement in REQUIREMENTS:
        file = download(requirement, PYTHON)
        (folder / file.name).symlink_to(file)
    home = environment(REQUIREMENTS)
    with zipfile.ZipFile(folder / f"python.{PYTHON}.9.nupkg", "w") as archive:
        for path in sorted(home.rglob("*")):
            inner = path.relative_to(home).as_posix()
            if path.is_file() and "site-packages" not in inner and "__pycache__" not in inner:
                archive.write(path, f"tools/{inner}")
    return folder


def errors(result: Cli) -> list[tuple[str, str]]:
    report = json.loads(result.out)
    found = [finding for finding in report["findings"] if finding["severity"] == "error"]
    return [(finding["name"], finding["subject"]) for finding in found]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_one_repair_makes_it_run_and_undo_puts_it_back(
    program: Program, python: str, place: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    dist = place(program)
    before = snapshot(dist)
    code, out, err = run(dist / "main.exe")
    assert code not in (0, None)
    assert program.failure in out + err
    assert program.expected not in out
    repaired = cli("repair", dist, "--env", python, "--yes")
    assert repaired.code == 0, repaired
    assert runs(dist, program)
    scanned = cli("scan", dist, "--format", "json")
    assert (scanned.code, errors(scanned)) == (0, [])
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before
    assert [path.name for path in dist.parent.iterdir()] == ["main.dist"]


def test_what_was_left_out_is_missed_if_something_tells(place: Callable[..., Path], cli: Callable[..., Cli]) -> None:
    dist = place(BY_NAME["matrix"])
    alone = cli("scan", dist)
    assert (alone.code, "only --env, --report or --entry can tell" in alone.out) == (0, True)
    place(BY_NAME["matrix"], "main.report.xml", again=True)
    told = cli("scan", dist, "--format", "json")
    assert (told.code, errors(told)) == (1, [("missing-module", "numpy")])
    assert "it was left out when the program was frozen" in told.out
    refused = cli("repair", dist, "--yes")
    assert refused.code == 2, refused
    assert "numpy" in refused.err
    report = dist.parent / "main.report.xml"
    report.write_text(report.read_text("utf-8").replace('usage name="numpy"', 'usage name="lxml"'), "utf-8")
    assert "by the loader table" in cli("scan", dist).out  # its code does not import what this report says


@pytest.mark.parametrize(("name", "hidden"), [("service", "logging.handlers"), ("notes", "xml.etree.ElementTree")])
def test_without_the_completion_it_lacks_what_is_hidden_and_the_options_for_a_rebuild_are_said(
    name: str, hidden: str, python: str, place: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    dist = place(BY_NAME[name])
    repaired = cli("repair", dist, "--env", python, "--yes", "--no-completion")
    assert repaired.code == 1, repaired
    assert f"--include-module={hidden}" in repaired.out
    code, out, err = run(dist / "main.exe")
    assert code not in (0, None)
    assert f"No module named '{hidden.rpartition('.')[0] if hidden.count('.') > 1 else hidden}'" in out + err


@pytest.mark.parametrize("beside", ["main.report.xml", "main.build"])
def test_what_lies_beside_the_dist_leads_to_the_same_repair(
    beside: str, python: str, place: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    program = BY_NAME["service"]
    dist = place(program, beside)
    assert cli("repair", dist, "--env", python, "--yes").code == 0
    assert runs(dist, program)


def test_the_guard_is_named_and_copying_does_not_help(
    python: str, place: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    dist = place(BY_NAME["matrix"], options=())
    scanned = cli("scan", dist, "--format", "json")
    assert scanned.code == 1
    assert ("excluded-module-guard", "numpy") in errors(scanned)
    repaired = cli("repair", dist, "--env", python, "--yes")
    assert repaired.code == 1, repaired
    assert "--no-deployment-flag=excluded-module-usage" in repaired.out
    code, out, err = run(dist / "main.exe")
    assert code not in (0, None)
    assert "actively excluded" in out + err


def test_the_guard_is_lifted_and_undo_puts_it_back(
    python: str, place: Callable[..., Path], cli: Callable[..., Cli]
) -> None:
    program = BY_NAME["matrix"]
    dist = place(program, options=())
    before = snapshot(dist)
    lifted = cli("repair", dist, "--env", python, "--yes", "--lift-guard")
    assert lifted.code == 0, lifted
    assert runs(dist, program)
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before


@pytest.mark.parametrize("name", ["tensors", "service"])
def test_wheels_alone_make_it_run(name: str, wheels: Path, place: Callable[..., Path], cli: Callable[..., Cli]) -> None:
    dist = place(BY_NAME[name])
    before = snapshot(dist)
    repaired = cli("repair", dist, "--env", f"wheels:{wheels}", "--yes")
    assert repaired.code == 0, repaired
    assert runs(dist, BY_NAME[name])
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before
