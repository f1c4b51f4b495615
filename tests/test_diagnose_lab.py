"""`depfix diagnose` over real errors: real packages are broken, run under Wine, and their own words are explained.

Wine binds an import that a DLL lacks to a stub and goes on, so a missing function is asked in the words of Windows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.fidelity.cases import Case, complete_dist, read_cases
from fixtures.nuitka_lab import build, environment
from fixtures.nuitka_lab import run as run_nuitka
from fixtures.nuitka_programs import PROGRAMS, REQUIREMENTS
from fixtures.windows_lab import CACHE, download, pinned_hashes, run
from tests.conftest import Cli, Forge, linked_copy, put

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

CERTIFICATES = "certifi==2026.10.18"


@dataclass(frozen=True)
class Broken:
    """A complete dist of real wheels without something, and a program beside it."""

    root: Path
    cli: Callable[..., Cli]

    @property
    def dist(self) -> Path:
        return self.root / "dist"

    def without(self, path: str) -> Broken:
        gone = self.dist / path
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
        return self

    def says(self, program: str) -> str:
        """Return what the program prints under Wine when it fails."""
        (self.root / "program.py").write_text(program)
        done = run([self.dist / "app.exe", "program.py"], cwd=self.root)
        assert done.code != 0, done
        return done.out + done.err

    def causes(self, text: str, *more: object) -> list[dict[str, Any]]:
        """Return what is said of a text that a customer saved as Windows PowerShell does."""
        log = self.root / "log.txt"
        log.write_bytes(text.encode("utf-16"))
        result = self.cli("diagnose", log, "--dist", self.dist, "--format", "json", *more)
        assert (result.code, result.err) == (1, ""), result
        found: list[dict[str, Any]] = json.loads(result.out)["causes"]
        return found


@pytest.fixture
def broken(cli: Callable[..., Cli], tmp_path: Path) -> Iterator[Callable[..., Broken]]:
    def copy(case: Case) -> Broken:
        linked_copy(complete_dist(case), tmp_path / "dist")  # on one disk with the lab
        return Broken(tmp_path, cli)

    yield copy
    shutil.rmtree(tmp_path / "dist", ignore_errors=True)


def answer(cause: dict[str, Any]) -> tuple[str, str, str]:
    return cause["cause"], cause["subject"], cause["confidence"]


def test_a_dll_of_a_dll(broken: Callable[..., Broken]) -> None:
    case = read_cases()["shapely"]
    there = broken(case)
    (geos,) = (path.name for path in (there.dist / "shapely.libs").glob("geos-*.dll"))
    text = there.without(f"shapely.libs/{geos}").says(case.program)
    assert geos not in text
    (best, *others) = there.causes(text)
    assert answer(best) == ("missing-dll", geos, "certain")
    assert "geos_c-" in best["message"]
    assert [cause for cause in others if cause["confidence"] == "certain"] == []


def test_a_compiled_module_whose_package_says_something_else(broken: Callable[..., Broken]) -> None:
    case = read_cases()["cv2"]
    there = broken(case).without("cv2/cv2.pyd")
    text = there.says(case.program)
    assert "recursion is detected" in text
    (best, *_) = there.causes(text, "--entry", there.root / "program.py")
    assert answer(best) == ("missing-extension-module", "cv2.cv2", "certain")


def test_a_module_and_metadata(broken: Callable[..., Broken]) -> None:
    there = broken(read_cases()["shapely"]).without("shapely/geometry").without("numpy-1.26.4.dist-info")
    program, entry = "import shapely.geometry\n", there.root / "program.py"
    (best, *_) = there.causes(there.says(program), "--entry", entry)
    assert answer(best) == ("missing-module", "shapely.geometry", "certain")
    program = "import importlib.metadata as metadata\nprint(metadata.version('numpy'))\n"
    (best, *_) = there.causes(there.says(program), "--entry", entry)
    assert answer(best) == ("missing-metadata", "numpy", "certain")


def test_data_of_a_package_with_its_cure(broken: Callable[..., Broken]) -> None:
    there = broken(
        Case("certifi", "pure Python", (CERTIFICATES,), "", hashes=(pinned_hashes()[CERTIFICATES],))
    ).without("certifi/cacert.pem")
    text = there.says("import certifi\nprint(len(open(certifi.where()).read()))\n")
    wheels = f"wheels:{download(CERTIFICATES).parent}"
    entry = there.root / "program.py"
    (best, *_) = there.causes(text, "--env", wheels, "--entry", entry)
    assert answer(best) == ("missing-package-data", "certifi/cacert.pem", "certain")
    assert best["fix"]["destination"] == "certifi/cacert.pem"
    assert best["fix"]["provider"] == CERTIFICATES.replace("==", " ")
    assert best["command"] == f"depfix repair {there.dist} --env {wheels} --entry {entry}"


def test_a_file_for_another_machine_and_one_of_another_release(broken: Callable[..., Broken], forge: Forge) -> None:
    case = read_cases()["shapely"]
    there = broken(case)
    (module,) = (there.dist / "shapely").glob("lib.*.pyd")
    kept = module.rename(there.root / "kept.pyd")
    put(forge(module.name, machine="x86"), module)
    (best, *_) = there.causes(there.says(case.program))
    assert answer(best) == ("wrong-machine", module.name.lower(), "certain")
    module.unlink()
    kept.rename(module)
    (geos,) = (there.dist / "shapely.libs").glob("geos_c-*.dll")
    geos.unlink()
    put(forge(geos.name), geos)
    (best, *_) = there.causes(
        "ImportError: DLL load failed while importing lib: The specified procedure could not be found."
    )
    assert answer(best) == ("missing-symbol", geos.name.lower(), "certain")


def test_torch_names_its_own_dll_and_the_one_that_is_absent_is_told(
    torch_dist: Path, torch_master: tuple[Path, Path], cli: Callable[..., Cli], tmp_path: Path
) -> None:
    done = run([torch_dist / "app.exe", "-c", "import torch"], cwd=torch_dist)
    (tmp_path / "log.txt").write_bytes((done.out + done.err).encode("gbk", "replace"))
    spec = f"conda:{torch_master[0]}"
    result = cli("diagnose", tmp_path / "log.txt", "--dist", torch_dist, "--env", spec, "--format", "json")
    causes = json.loads(result.out)["causes"]
    certain = {cause["subject"]: cause for cause in causes if cause["confidence"] == "certain"}
    assert set(certain) <= {"msvcp140.dll", "uv.dll", "libiomp5md.dll"}
    assert causes[0]["subject"] in certain
    assert causes[0]["fix"]["source"].lower().endswith(causes[0]["subject"])
    assert causes[0]["command"] == f'depfix repair "{torch_dist}" --env {spec}'


def test_the_guard_of_nuitka(cli: Callable[..., Cli], tmp_path: Path) -> None:
    program = next(program for program in PROGRAMS if program.name == "matrix")
    dist = build(program.path, program.options, requirements=REQUIREMENTS) / "main.dist"
    code, out, err = run_nuitka(dist / "main.exe")
    assert code not in (0, None)
    log = tmp_path / "log.txt"
    log.write_text(out + err)
    spec = f"python:{environment(REQUIREMENTS)}"
    result = cli("diagnose", log, "--dist", dist, "--env", spec, "--format", "json")
    (best, *_) = json.loads(result.out)["causes"]
    assert answer(best) == ("excluded-module-guard", "numpy", "certain")
    assert best["command"] == f"depfix repair {dist} --env {spec} --lift-guard"
    assert CACHE in dist.parents
