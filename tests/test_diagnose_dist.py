"""`depfix diagnose` with the dist that failed: text and findings joined, and certain only where both say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli, DistMaker

Run = Callable[..., Cli]
TRACEBACK = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
    import pkg.core
ImportError: DLL load failed while importing core: The specified module could not be found.
"""


def asked(cli: Run, text: str, dist: Path, *more: object) -> list[dict[str, object]]:
    result = cli("diagnose", text, "--dist", dist, "--format", "json", *more)
    assert result.err == "", result
    found: list[dict[str, object]] = json.loads(result.out)["causes"]
    return found


@pytest.fixture
def deep(make_dist: DistMaker) -> Path:
    """A module whose DLL needs one that needs one that is not there."""
    images = {"pkg/core.pyd": ("first.dll",), "pkg/first.dll": ("second.dll",), "pkg/second.dll": ("uvwx.dll",)}
    return make_dist(
        images | {"other/good.pyd": ()}, {"pkg/__init__.py": "from . import core\n", "other/__init__.py": ""}
    )


def test_the_absent_dll_is_named_at_depth_with_its_cure(deep: Path, make_conda: Callable[..., Path], cli: Run) -> None:
    environment = make_conda({"Library/bin/uvwx.dll": ()})
    (best, *_) = asked(cli, TRACEBACK, deep, "--env", f"conda:{environment}")
    assert (best["cause"], best["confidence"], best["subject"]) == ("missing-dll", "certain", "uvwx.dll")
    assert best["message"] == "uvwx.dll, needed by pkg/second.dll, is not in the dist"
    assert isinstance(best["fix"], dict)
    assert best["fix"]["source"].endswith("uvwx.dll")
    assert best["command"] == f"depfix repair {deep} --env conda:{environment}"
    assert best["chain"][-1] == "uvwx.dll"  # type: ignore[index]
    shown = cli("diagnose", TRACEBACK, "--dist", deep, "--env", f"conda:{environment}").out
    assert shown.splitlines()[0] == f"certain    {best['message']}"
    assert f"type       {best['command']}" in shown.splitlines()


def test_a_log_of_another_module_does_not_make_it_certain(deep: Path, cli: Run) -> None:
    (best, *_) = asked(cli, TRACEBACK.replace("importing core", "importing good"), deep)
    assert best["confidence"] != "certain"
    assert "other/good.pyd is in the dist" in str(best["why"])
    assert "another build" in str(best["why"])


def test_an_exit_code_with_a_dist(make_dist: DistMaker, deep: Path, cli: Run) -> None:
    program = make_dist({"app.exe": ("absent.dll",), "pkg/core.pyd": ("uvwx.dll",)}, {"pkg/__init__.py": ""}, name="b")
    (best, *others) = asked(cli, "0xC0000135", program)
    assert (best["subject"], best["confidence"]) == ("absent.dll", "certain")
    assert all(cause["confidence"] != "certain" for cause in others)
    assert (
        asked(cli, "0xC0000135", deep)[0]["confidence"] != "certain"
    )  # nothing that the program starts with is absent
    wrong = make_dist({"pkg/core.pyd": ()}, {"pkg/__init__.py": "from . import core\n"}, name="c")
    (wrong / "python310.dll").unlink()
    other = make_dist(machine="x86", name="d")
    (other / "python310.dll").rename(wrong / "python310.dll")
    (best, *_) = asked(cli, "The application was unable to start correctly (0xc000007b).", wrong)
    assert (best["cause"], best["subject"], best["confidence"]) == ("wrong-machine", "python310.dll", "certain")


def test_modules_are_looked_for(make_dist: DistMaker, cli: Run) -> None:
    sources = {"pkg/__init__.py": "import pkg.absent\n", "there.py": ""}
    dist = make_dist({"pkg/core.pyd": ()}, sources)
    entry = dist.parent / "main.py"
    entry.write_text("import pkg\n")
    (best, *_) = asked(cli, "ModuleNotFoundError: No module named 'pkg.absent'", dist, "--entry", entry)
    assert (best["cause"], best["subject"], best["confidence"]) == ("missing-module", "pkg.absent", "certain")
    (best, *_) = asked(cli, "ModuleNotFoundError: No module named 'there'", dist, "--entry", entry)
    assert best["confidence"] != "certain"
    assert "there is in the dist" in str(best["why"])
    (best, *_) = asked(cli, "ModuleNotFoundError: No module named 'nowhere'", dist, "--entry", entry)
    assert best["confidence"] != "certain"
    assert "nowhere is not in the dist" in str(best["why"])


def test_a_text_that_tells_nothing_shows_what_the_dist_lacks_as_a_possibility(deep: Path, cli: Run) -> None:
    found = asked(cli, "it does not start", deep)
    assert [(cause["subject"], cause["confidence"]) for cause in found] == [("uvwx.dll", "possible")]
