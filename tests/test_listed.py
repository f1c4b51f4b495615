"""DLLs and data files that only Nuitka's package configuration knows: looked for, named with their row, and brought."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.closure.listed import _Wanted
from depfix.pipeline import scan, undo, why
from tests.conftest import DistMaker, Forge, put, snapshot
from tests.repairing import repair
from tests.test_distributions import HAS_STDLIB, SITE, copied, installed, make_python, options, program, words

__all__ = ["make_python"]

CONFIG = """
- module-name: 'pkg'
  data-files:
    - patterns:
        - 'table.json'
        - 'deep/**/*.csv'
    - dirs:
        - 'pages'
      when: 'not linux'
    - patterns:
        - 'of_linux.json'
      when: 'linux'
    - dest_path: './.state'
      patterns:
        - 'moved.json'
    - include-metadata:
        - 'pkg'
  dlls:
    - from_filenames:
        relative_path: 'bin'
        prefixes:
          - 'engine'
- module-name: 'pkg.tool'
  dlls:
    - from_filenames:
        prefixes:
          - 'runner'
        executable: 'yes'
"""
DATA = {
    "pkg/__init__.py": "import os",
    "pkg/tool.py": "",
    "pkg/table.json": "{}",
    "pkg/of_linux.json": "{}",
    "pkg/moved.json": "{}",
    "pkg/deep/a.csv": "",
    "pkg/deep/more/b.csv": "",
    "pkg/deep/more/b.txt": "",
    "pkg/pages/index.html": "",
    "pkg/pages/[1]/en.html": "",
    "pkg/pages/code.py": "",
    "pkg/pages/code.h": "",
    "pkg/tests/test_a.py": "",
}


@pytest.fixture
def environment(make_python: Callable[..., str], forge: Forge) -> str:
    """An environment with Nuitka, and with a package that the configuration above is about."""
    place = f"{SITE}/nuitka/plugins/standard"
    nuitka = {f"{SITE}/nuitka/__init__.py": "", f"{place}/standard.nuitka-package.config.yml": CONFIG}
    spec = make_python(installed("pkg", DATA), nuitka)
    folder = Path(spec.removeprefix("python:")) / SITE / "pkg"
    put(forge("engine.dll", ("helper.dll",)), folder / "bin" / "engine.dll")
    put(forge("helper.dll"), folder / "bin" / "helper.dll")
    put(forge("runner.exe"), folder / "runner.exe")
    record = folder.parent / "pkg-1.0.dist-info" / "RECORD"
    more = ("pkg/bin/engine.dll", "pkg/bin/helper.dll", "pkg/runner.exe")
    record.write_text(record.read_text() + "".join(f"{path},,\n" for path in more))
    return spec


def test_what_is_listed_is_missed_and_brought(make_dist: DistMaker, environment: str, tmp_path: Path) -> None:
    dist = make_dist({}, HAS_STDLIB | {"pkg/__init__.py": "import os", "pkg/tool.py": "", "pkg/table.json": "{}"})
    (dist / ".state").mkdir()
    (dist / ".state" / "moved.json").write_text("{}")
    entry = program(tmp_path, "import pkg.tool")
    before = snapshot(dist)
    found = scan(str(dist), options([environment], entry)).findings
    assert words(found) == {
        "DF302 warning pkg/table.json, pkg/deep/**/*.csv",
        "DF302 warning pkg/pages",
        "DF302 warning pkg/runner.exe",
        "DF106 warning engine.dll",
        "DF207 warning pkg",
    }
    assert all("nuitka-package.config.yml:" in one.message for one in found)
    report = repair(str(dist), options([environment], entry))
    assert copied(report) == {
        "pkg/deep/a.csv",
        "pkg/deep/more/b.csv",
        "pkg/pages/index.html",
        "pkg/pages/[1]/en.html",
        "pkg/runner.exe",
        "pkg/bin/engine.dll",
        "pkg/bin/helper.dll",  # what the DLL needs in turn
        "pkg-1.0.dist-info/METADATA",
        "pkg-1.0.dist-info/RECORD",
    }
    assert words(scan(str(dist), options([environment], entry)).findings) == set()
    (needed,) = why(str(dist), "pkg/deep/a.csv", options([environment], entry))
    assert [edge.target.name for edge in needed.chains[0]][-2:] == ["pkg", "pkg/deep/a.csv"]
    undo(str(dist))
    assert snapshot(dist) == before


def test_nothing_is_said_without_the_configuration_or_of_what_nobody_has(
    make_dist: DistMaker, environment: str, tmp_path: Path
) -> None:
    dist = make_dist({}, HAS_STDLIB | {"pkg/__init__.py": "import os"})
    entry = program(tmp_path, "import pkg")
    assert words(scan(str(dist), options([], entry)).findings) == set()
    folder = Path(environment.removeprefix("python:")) / SITE
    for path in [*(folder / "pkg").rglob("*.csv"), *(folder / "pkg").rglob("*.json"), *(folder / "pkg").rglob("*.dll")]:
        path.unlink()
    found = words(scan(str(dist), options([environment], entry)).findings)
    assert found == {"DF302 warning pkg/pages", "DF207 warning pkg"}


def test_slim_keeps_what_is_listed(make_dist: DistMaker, environment: str, tmp_path: Path) -> None:
    dist = make_dist({}, HAS_STDLIB)
    report = repair(str(dist), options([environment], program(tmp_path, "import pkg.tool"), slim=True))
    kept = copied(report)
    assert {"pkg/pages/index.html", "pkg/deep/a.csv", "pkg/bin/engine.dll", "pkg/runner.exe"} <= kept
    assert not {"pkg/tests/test_a.py", "pkg/pages/code.h"} & kept


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("a*.dll", "abc.dll", True),
        ("A*.DLL", "abc.dll", True),
        ("a*.dll", "a/b.dll", False),
        ("sub/?.txt", "sub/x.txt", True),
        ("sub/?.txt", "sub/xy.txt", False),
        ("**/*.css", "x.css", True),
        ("**/*.css", "a/b/x.css", True),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("[ab.py", "[ab.py", True),
        ("a.b", "axb", False),
    ],
)
def test_patterns_fit_paths_of_the_dist_as_they_do_on_disk(
    pattern: str, path: str, *, fits: bool, tmp_path: Path
) -> None:
    assert _Wanted(pattern).fits(path) is fits
    if pattern == pattern.lower():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
        assert (str(tmp_path / path) in _Wanted(pattern).below(str(tmp_path))) is fits
