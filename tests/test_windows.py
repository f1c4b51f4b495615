"""depfix in the real Windows CPython, under Wine: its core's tests, and those in `windows` that no other system can run.

What Windows, or Wine, has nothing for is left out in the tests themselves, each with its reason; what is left out here
must be one of those. On a Windows machine the whole suite can be run without this.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixtures.nuitka_lab import windows_path
from fixtures.release.installing import Installed
from fixtures.release.places import ROOT, version
from fixtures.release.zipapp import build as build_zipapp
from fixtures.windows_lab import kept_alive
from fixtures.windows_pytest import run_python, run_tests

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

CORE = ("names", "transaction", "undo", "repair", "scan")


@pytest.fixture(scope="module")
def alive(wine: None) -> Iterator[None]:
    with kept_alive():
        yield


@pytest.fixture
def folder(alive: None) -> Iterator[Path]:
    """A folder with a short path, which Windows takes."""
    with tempfile.TemporaryDirectory(prefix="") as made:
        yield Path(made)


def passes(folder: Path, *arguments: str, chinese: bool = False) -> None:
    """Assert that tests pass in Windows, and that each that is left out has a reason."""
    results = run_tests(folder, "-q", "--tb=short", *arguments, chinese=chinese)
    assert results.code == 0, results.out[-6000:]
    cases = list(ElementTree.fromstring(results.report).iter("testcase"))
    reasons = [each.get("message", "") for case in cases for each in case.iter("skipped")]
    assert len(cases) > len(reasons)
    assert all(re.match(r"(Windows|Wine): ", reason) for reason in reasons), reasons


@pytest.mark.parametrize("module", CORE)
def test_the_core_passes_in_windows(module: str, folder: Path) -> None:
    passes(folder, f"tests/test_{module}.py")


def test_paths_locks_and_crashes(folder: Path) -> None:
    passes(folder, "tests/windows/test_paths.py", "tests/windows/test_in_use.py")


def test_a_console_in_chinese(folder: Path) -> None:
    passes(folder, "tests/windows/test_console.py", chinese=True)


def test_one_file_for_windows_runs_there_and_says_elsewhere_where_it_belongs(folder: Path) -> None:
    made = build_zipapp(ROOT, platform="win_amd64", python="3.11", folder=folder)
    done = run_python(folder, windows_path(made), "--version")
    assert (done.code, done.out.splitlines()[:2]) == (0, [f"depfix, version {version()}", "Python 3.11.9, win32"])
    elsewhere = Installed((sys.executable, str(made)), {"SHIV_ROOT": str(folder / "root")})
    assert elsewhere.run("--version", codes=(1,)).startswith(
        "error: this file is depfix for Python 3.11 on win_amd64; this is Python 3."
    )
