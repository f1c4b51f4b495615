"""What depfix prints on a console or into a pipe of Windows, in code page 936 and others: no name is a traceback.

Python under Wine dies when its stdout is a regular file, so what is redirected here goes into a pipe; Python writes
to both in the same way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DistMaker

ODD = "gr\u00f6\u00dfe \u4e2d\u6587 \U0001f642 \ufb01.py"  # half of it is not in code page 936


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    return make_dist(
        {"pkg/core.pyd": ("need.dll",)},
        {"pkg/__init__.py": "from . import core\n", f"pkg/{ODD}": "import nowhere\n"},
        name="\u53d1\u5e03 \U0001f642.dist",
    )


def run(encoding: str, *arguments: object, cwd: Path) -> tuple[int, str, str]:
    """Run depfix with standard streams in an encoding, or as Windows has them if it is empty; decode them strictly."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONUTF8", "PYTHONIO"))}
    if encoding:
        environ |= {"PYTHONIOENCODING": f"{encoding}:strict"}
    command = [sys.executable, "-X", "utf8=0", "-m", "depfix", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    used = encoding or "mbcs"  # the code page of Windows
    return done.returncode, done.stdout.decode(used), done.stderr.decode(used)


def commands(dist: Path) -> list[tuple[tuple[object, ...], int]]:
    return [
        (("scan", "-v", dist), 1),
        (("why", dist, "need.dll"), 0),
        (("tree", dist), 0),
        (("repair", dist, "--dry-run", "--env", f"dir:{dist.parent}"), 1),
        (("scan", dist.with_name(f"{ODD}.dist")), 2),
        (("diagnose", dist / "pkg" / ODD), 0),
        (("undo", dist, "--list"), 0),
        (("audit", dist, "--output-dir", dist.parent / f"\u62a5\u544a {ODD}"), 1),
    ]


def test_no_name_is_a_traceback_in_the_code_page_of_windows(dist: Path, tmp_path: Path) -> None:
    for arguments, wanted in commands(dist):
        code, out, err = run("", *arguments, cwd=tmp_path)
        assert (code, "Traceback" in err, "depfix failed" in err) == (wanted, False, False), (arguments, code, out, err)
        assert out or err, arguments


def test_chinese_is_written_and_what_the_code_page_lacks_is_escaped(dist: Path, tmp_path: Path) -> None:
    _, out, _ = run("cp936", "scan", dist, cwd=tmp_path)
    assert "\u53d1\u5e03 \\U0001f642.dist" in out.splitlines()[0]


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_reports_for_programs_are_utf_8_whatever_the_console_is(form: str, dist: Path, tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONIOENCODING": "cp936:strict"}
    command = [sys.executable, "-X", "utf8=0", "-m", "depfix", "scan", str(dist), "--format", form]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert done.returncode == 1
    text = done.stdout.decode("utf-8")
    assert "need.dll" in text
    if form == "json":
        assert json.loads(text)["dist"]["root"] == str(dist)


def test_the_names_of_files_are_what_windows_calls_them(dist: Path, cli: Callable[..., object]) -> None:
    assert {entry.name for entry in os.scandir(dist / "pkg")} == {"__init__.py", "core.pyd", ODD}
