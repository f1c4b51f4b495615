"""The story that started the project, on the real torch 1.13.1 for Windows under Wine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.windows_lab import Run, run
from tests.conftest import Cli, snapshot

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

NEEDED = {"msvcp140.dll", "uv.dll", "libiomp5md.dll"}
PLACE = {"msvcp140.dll": "", "uv.dll": "Library/bin", "libiomp5md.dll": "Library/bin"}


def subjects(result: Cli) -> set[str]:
    report = json.loads(result.out)
    return {finding["subject"] for finding in report["findings"] if finding["severity"] == "error"}


def print_tensor(dist: Path) -> Run:
    return run([dist / "app.exe", "-c", "import torch; print(torch.tensor([1, 2]) + 1)"], cwd=dist)


def test_exactly_the_absent_dlls_are_named(torch_dist: Path, cli: Callable[..., Cli]) -> None:
    before = snapshot(torch_dist)
    result = cli("scan", torch_dist, "--format", "json")
    assert (result.code, subjects(result)) == (1, NEEDED)
    found = json.loads(result.out)["findings"]
    rules = {finding["subject"]: finding["rule"] for finding in found if finding["severity"] == "error"}
    assert rules == {"msvcp140.dll": "DF107", "uv.dll": "DF101", "libiomp5md.dll": "DF101"}
    assert snapshot(torch_dist) == before


def test_the_program_runs_after_the_repair_and_undo_restores_the_folder(
    torch_dist: Path, torch_master: tuple[Path, Path], cli: Callable[..., Cli]
) -> None:
    before = snapshot(torch_dist)
    broken = print_tensor(torch_dist)
    assert broken.code != 0
    assert "WinError 126" in broken.err
    repaired = cli("repair", torch_dist, "--env", f"conda:{torch_master[0]}")
    assert repaired.code == 0, repaired
    assert cli("scan", torch_dist).code == 0
    works = print_tensor(torch_dist)
    assert (works.code, works.out.strip()) == (0, "tensor([2, 3])")
    assert cli("undo", torch_dist).code == 0
    assert snapshot(torch_dist) == before
    assert not torch_dist.with_name(torch_dist.name + ".depfix").exists()


@pytest.mark.parametrize("absent", sorted(NEEDED))
def test_only_the_one_that_is_absent_is_named(
    torch_dist: Path, torch_master: tuple[Path, Path], cli: Callable[..., Cli], absent: str
) -> None:
    for name in NEEDED - {absent}:
        shutil.copy(torch_master[0] / PLACE[name] / name, torch_dist)
    assert subjects(cli("scan", torch_dist, "--format", "json")) == {absent}


def test_nothing_is_named_if_the_dlls_are_where_the_package_itself_looks(
    torch_dist: Path, torch_master: tuple[Path, Path], cli: Callable[..., Cli]
) -> None:
    library = torch_dist / "Library" / "bin"
    library.mkdir(parents=True)
    for name in ("uv.dll", "libiomp5md.dll"):
        shutil.copy(torch_master[0] / "Library" / "bin" / name, library)
    shutil.copy(torch_master[0] / "msvcp140.dll", torch_dist)
    result = cli("scan", torch_dist)
    assert result.code == 0, result.out
    assert "nothing is missing" in result.out
    assert print_tensor(torch_dist).code == 0


def test_an_entry_that_does_not_import_it_needs_none_of_it(
    torch_dist: Path, tmp_path: Path, cli: Callable[..., Cli]
) -> None:
    entry = tmp_path / "program.py"
    entry.write_text("import numpy\nprint(numpy.zeros(2))\n")
    assert subjects(cli("scan", torch_dist, "--entry", entry, "--format", "json")) == set()
    entry.write_text("def main():\n    import torch\n    print(torch.zeros(2))\n\nmain()\n")
    assert subjects(cli("scan", torch_dist, "--entry", entry, "--format", "json")) == NEEDED
