"""The plugin in a real Nuitka build: it names what is missing, fails a build if asked, or makes the dist whole.

A build takes two to four minutes; nothing of it is kept, for the plugin and depfix are what is tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.nuitka_lab import run
from fixtures.plugin_lab import PLUGIN, build_with_plugin
from fixtures.windows_lab import download

pytestmark = pytest.mark.lab

PROGRAM = 'import humanize\n\nprint("small", humanize.intcomma(1234567))\n'
LEFT_OUT = ("--nofollow-import-to=humanize", "--deployment")


@pytest.fixture
def folder(wine: None) -> Iterator[Path]:
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


@pytest.fixture(params=["1.9", "2.8", "4.0.8", "4.2.2", "4.3.3"])
def nuitka(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Nuitka unpacked to be imported, of each interface that it had for plugins."""
    with tarfile.open(download(f"nuitka=={request.param}")) as archive:
        archive.extractall(tmp_path / "nuitka", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]
    return next((tmp_path / "nuitka").iterdir())


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--depfix-fail-on=sometimes", "--depfix-fail-on=sometimes: it is one of error, warning, never"),
        ("--depfix-args='unclosed", "--depfix-args: No closing quotation"),
    ],
)
def test_a_wrong_option_ends_the_build_before_it_begins(nuitka: Path, tmp_path: Path, option: str, told: str) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    options = ("--module", "--static-libpython=no", f"--user-plugin={PLUGIN}", option)
    command = [sys.executable, "-m", "nuitka", *options, "main.py"]
    environ = os.environ | {"PYTHONPATH": str(nuitka)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, f"FATAL: depfix: {told}" in done.stdout + done.stderr) == (1, True), done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["main.py", "nuitka"]


@pytest.mark.parametrize("nuitka", ["4.3.3"], indirect=True)
def test_the_environment_is_the_virtual_one_though_nuitka_leaves_the_module_site_out(
    nuitka: Path, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    script = (
        "import runpy, sys\nplugin = runpy.run_path(sys.argv[1])\n"
        "print(plugin['_building_environment']())\nprint(plugin['_words'](sys.argv[2]))"
    )
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    arguments = ["--entry 'C:\\my app\\main.py' --target win11"]
    command = [str(python), "-S", "-c", script, str(PLUGIN), *arguments]
    done = subprocess.run(command, env={"PYTHONPATH": str(nuitka)}, capture_output=True, text=True, check=True)
    words = ["--entry", "C:\\my app\\main.py", "--target", "win11"]
    assert done.stdout.splitlines() == [f"venv:{tmp_path / 'venv'}", repr(words)]
