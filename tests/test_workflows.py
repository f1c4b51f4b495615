"""What stands ready for GitHub: workflows, forms for issues, and that they name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from depfix.cli.main import cli
from fixtures.release.sources import pyproject
from tests.test_windows import CORE

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def named(path: Path) -> str:
    return path.name


def valid(schema: str, path: Path) -> None:
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def steps(workflow: Any) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_a_workflow_is_one_by_its_schema_and_has_no_more_rights_than_it_needs(path: Path) -> None:
    valid("github-workflows", path)
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "timeout-minutes" in job or "uses" in job
    for step in steps(workflow):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", f"a@{'0' * 40}")), step
        assert "${{" not in step.get("run", ""), step  # values come as variables, so that none becomes a command


@pytest.mark.parametrize("path", [*FORMS, GITHUB / "ISSUE_TEMPLATE" / "config.yml"], ids=named)
def test_a_form_is_one_by_its_schema(path: Path) -> None:
    valid("github-issue-config" if path.name == "config.yml" else "github-issue-forms", path)


def test_what_is_reported_comes_with_what_doctor_prints() -> None:
    asking = [path.name for path in FORMS if any(row.get("id") == "doctor" for row in loaded(path)["body"])]
    assert asking == ["defect.yml", "wrong-finding.yml"]
    assert "doctor" in cli.list_commands(None)  # type: ignore[arg-type]


def test_the_pythons_of_the_workflow_are_those_of_the_project() -> None:
    oldest = pyproject()["project"]["requires-python"].removeprefix(">=")
    for job in ("fast", "windows"):
        pythons = loaded(GITHUB / "workflows" / "test.yml")["jobs"][job]["strategy"]["matrix"]["python"]
        assert pythons == [f"3.{minor}" for minor in range(int(oldest.partition(".")[2]), 15)]


def test_the_same_modules_are_run_in_windows_as_under_wine() -> None:
    runs = "\n".join(step.get("run", "") for step in steps(loaded(GITHUB / "workflows" / "test.yml")))
    found = re.findall(r"-m pytest tests/windows (.*)", runs)
    assert found == [" ".join(f"tests/test_{name}.py" for name in CORE)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=named)
def test_every_make_target_exists(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", path.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), target
