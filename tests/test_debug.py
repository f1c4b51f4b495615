"""DF112: the debug runtime of Visual C++, and a Python that was built with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.link_image import image
from tests.conftest import Cli, DistMaker, Forge, put, snapshot
from tests.test_runtimes import CORE, brief, findings

DEBUG = ["vcruntime140d.dll", "vcruntime140_1d.dll", "msvcp140d.dll", "ucrtbased.dll", "mfc140ud.dll", "concrt140d.dll"]


@pytest.mark.parametrize("name", DEBUG)
@pytest.mark.parametrize("present", [False, True])
def test_a_debug_runtime_is_an_error_missing_or_not(make_dist: DistMaker, name: str, present: bool) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    image(dist / "pkg" / "core.pyd", "", {name: "one"})
    if present:
        image(dist / name, "one")
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF112", "error", name)
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", name)
    assert "pkg/core.pyd" in finding.message


def test_a_debug_runtime_that_nothing_takes_is_only_ballast(make_dist: DistMaker) -> None:
    dist = make_dist()
    image(dist / "ucrtbased.dll", "one")
    assert [row for row in brief(dist) if row[1] == "error"] == []


def test_a_debug_runtime_is_never_brought(
    cli: Callable[..., Cli], make_dist: DistMaker, make_conda: Callable[..., Path]
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    image(dist / "pkg" / "core.pyd", "", {"vcruntime140d.dll": "one"})
    root = make_conda({})
    image(root / "vcruntime140d.dll", "one")
    before = snapshot(dist)
    done = cli("repair", dist, "--env", f"conda:{root}")
    assert (done.code, "build it in release mode" in done.out) == (1, True)
    assert snapshot(dist) == before


def test_a_delay_loaded_debug_runtime_weighs_the_same_missing_or_not(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    image(dist / "pkg" / "core.pyd", "", {"msvcp140d.dll": "one"}, delays="msvcp140d.dll")
    assert brief(dist) == [("DF112", "warning", "msvcp140d.dll")]
    image(dist / "msvcp140d.dll", "one")
    assert brief(dist) == [("DF112", "warning", "msvcp140d.dll")]
    assert "pkg/core.pyd delay-loads the debug runtime msvcp140d.dll" in findings(dist)[0].message


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("import ctypes\nctypes.CDLL('msvcp140d.dll')\n", "error"),
        ("import ctypes\ntry:\n    ctypes.CDLL('msvcp140d.dll')\nexcept OSError:\n    pass\n", "info"),
    ],
)
def test_a_debug_runtime_that_code_loads_by_name(make_dist: DistMaker, source: str, severity: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": source})
    assert brief(dist) == [("DF112", severity, "msvcp140d.dll")]
    image(dist / "msvcp140d.dll", "one")
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value) == ("DF112", severity)
    assert finding.message.startswith("pkg/__init__.py loads the debug runtime msvcp140d.dll")
    assert finding.chain[-1] == "msvcp140d.dll"


@pytest.mark.parametrize("name", ["python310_d.dll", "python313t_d.dll", "python3_d.dll"])
def test_the_dll_of_a_debug_python_is_a_debug_runtime(make_dist: DistMaker, name: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    image(dist / "pkg" / "core.pyd", "", {name: "Py_Initialize"})
    image(dist / name, "Py_Initialize")
    assert brief(dist) == [("DF112", "error", name)]


def test_the_python_of_a_program_of_a_debug_build_is_its_own(make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist(python=False)
    put(forge("app.exe", ("python310_d.dll",)), dist / "app.exe")
    image(dist / "python310_d.dll", "call_python310_d_dll")
    assert brief(dist) == []
