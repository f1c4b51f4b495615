"""A project with a policy and a CI script, as docs/ci.md has them: the script stops a broken dist, and lets a repaired one pass."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import pytest

from depfix.reports.json import schema
from fixtures.windows_lab import CACHE
from tests.conftest import Cli, run_depfix

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "fixtures" / "release_pipeline"


def ci(project: Path) -> Cli:
    """Run the script as a CI runner does: in the project's folder, with depfix and Python on the PATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CONDA", "MAMBA", "GITHUB"))}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}", "PYTHONPATH": str(ROOT)}
    env |= {"HOME": str(CACHE / "nobody"), "PYTHONUTF8": "1"}
    done = subprocess.run(
        ["sh", "ci.sh"], cwd=project, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Cli(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as the first run of the script leaves it: built, and refused."""
    project = tmp_path_factory.mktemp("release") / "project"
    shutil.copytree(PROJECT, project)
    result = ci(project)
    assert result.code == 1, result
    return project


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project"))


def report_of(project: Path) -> dict[str, list[dict[str, str]]]:
    text = (project / "build" / "reports" / "report.json").read_text("utf-8")
    report: dict[str, list[dict[str, str]]] = json.loads(text)
    jsonschema.validate(report, json.loads(schema()))
    return report


def test_a_broken_dist_stops_the_script(project: Path) -> None:
    result = ci(project)
    assert result.code == 1
    assert "can be shipped" not in result.out
    assert "failed  build/main.dist: 2 errors, 0 warnings; 1 accepted by depfix.toml" in result.out
    assert "DF101 missing-dll  codec.dll" in result.out
    assert "hint: depfix repair build/main.dist --env conda:build/env" in result.err
    report = report_of(project)
    assert {one["subject"] for one in report["findings"]} == {"codec.dll", "tables.dll"}
    assert [one["reason"].partition(",")[0] for one in report["accepted"]] == ["left by the old layout"]
    assert "accepted DF702 forbidden-dll  extra/tables.dll" in (project / "build/reports/report.txt").read_text("utf-8")


def test_it_passes_once_the_dist_is_repaired(project: Path) -> None:
    run_depfix("repair", "build/main.dist", "--env", "conda:build/env", cwd=project)
    result = ci(project)
    assert result.code == 0, result
    assert result.out.splitlines()[-2:] == [
        "passed  build/main.dist: 0 errors, 0 warnings; 1 accepted by depfix.toml",
        "build/main.dist can be shipped",
    ]


def test_a_baseline_lets_old_findings_pass_and_stops_new_ones(project: Path) -> None:
    policy = project / "depfix.toml"
    policy.write_text('baseline = "depfix-baseline.json"\n' + policy.read_text("utf-8"), "utf-8")
    assert "no such file" in ci(project).err
    assert run_depfix("audit", "--update-baseline", cwd=project).code == 0
    result = ci(project)
    assert result.code == 0, result
    assert "3 accepted (2 by depfix-baseline.json, 1 by depfix.toml)" in result.out

    (project / "build" / "main.dist" / "python310.dll").unlink()
    result = ci(project)
    assert result.code == 1
    assert "DF101 missing-dll  python310.dll" in result.out
    assert "codec.dll" not in result.out

    (project / "build" / "main.dist" / "python310.dll").write_bytes(
        (project / "build" / "env" / "python310.dll").read_bytes()
    )
    run_depfix("repair", "build/main.dist", "--env", "conda:build/env", cwd=project)
    result = ci(project)
    assert result.code == 0
    assert "note: 2 findings of depfix-baseline.json found no more: DF101 codec.dll, DF103 tables.dll" in result.err


def test_an_acceptance_ends_with_its_day(project: Path) -> None:
    run_depfix("repair", "build/main.dist", "--env", "conda:build/env", cwd=project)
    policy = project / "depfix.toml"
    text = policy.read_text("utf-8")
    yesterday = (datetime.now(timezone.utc).date() - timedelta(days=1)).isoformat()
    policy.write_text(text.replace("2099-12-31", yesterday), "utf-8")
    result = ci(project)
    assert result.code == 1
    assert "DF702 forbidden-dll  extra/tables.dll" in result.out
    assert "DF705 expired-acceptance  DF702 in extra/**" in result.out
    assert f"depfix.toml:15 accepted DF702 in extra/** until {yesterday} (left by the old layout" in result.out
    assert "failed  build/main.dist: 1 error, 1 warning" in result.out

    (project / "build" / "main.dist" / "extra" / "tables.dll").unlink()
    result = ci(project)
    assert result.code == 0
    assert "DF706 unused-acceptance  DF702 in extra/**" in result.out


def test_the_docs_show_these_very_files() -> None:
    for page in ("ci.md", "ci.zh.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        for name, language in (("depfix.toml", "toml"), ("ci.sh", "sh")):
            assert f"```{language}\n{(PROJECT / name).read_text('utf-8')}```" in text, (page, name)
