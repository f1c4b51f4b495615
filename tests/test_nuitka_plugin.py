"""The plugin in a real Nuitka build: it names what is missing, fails a build if asked, or makes the dist whole.

A build takes four minutes; nothing of it is kept, for the plugin and depfix are what is tested.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.nuitka_lab import run
from fixtures.plugin_lab import build_with_plugin

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

PROGRAM = 'import humanize\n\nprint("small", humanize.intcomma(1234567))\n'
LEFT_OUT = ("--nofollow-import-to=humanize", "--deployment")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name of eight characters: Wine's short names of others are sometimes another's."""
    made = Path(tempfile.mkdtemp(prefix=""))
    yield made
    shutil.rmtree(made)


def test_a_build_that_lacks_something_fails_if_that_is_asked_for(folder: Path) -> None:
    arguments = "--depfix-args=--select missing-module --target win11"
    built = build_with_plugin(folder, PROGRAM, *LEFT_OUT, "--depfix-fail-on=error", arguments)
    log = (folder / "main.log").read_text("utf-8", "replace")
    assert built.returncode == 1, log
    assert "DF201 missing-module  humanize" in log
    assert "target Windows 11" in log
    assert "the distribution is not complete" in log
    assert (folder / "main.dist" / "main.exe").is_file()
    assert not (folder / "main.dist" / "humanize").exists()
    code, out, err = run(folder / "main.dist" / "main.exe")
    assert (code, "No module named 'humanize'" in out + err) == (1, True)


def test_a_build_is_made_whole_if_that_is_asked_for(folder: Path) -> None:
    built = build_with_plugin(folder, PROGRAM, *LEFT_OUT, "--depfix-repair", "--depfix-fail-on=error")
    log = (folder / "main.log").read_text("utf-8", "replace")
    assert built.returncode == 0, log
    assert "fixed, 0 left" in log
    shutil.rmtree(folder / "main.build")
    assert run(folder / "main.dist" / "main.exe") == (0, "small 1,234,567\r\n", "")


def test_a_wrong_option_ends_the_build_before_it_begins(folder: Path) -> None:
    built = build_with_plugin(folder, PROGRAM, "--depfix-fail-on=sometimes")
    log = (folder / "main.log").read_text("utf-8", "replace")
    assert built.returncode == 1, log
    assert "--depfix-fail-on=sometimes: it is one of error, warning, never" in log
    assert not (folder / "main.dist").exists()
