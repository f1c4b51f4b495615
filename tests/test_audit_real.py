"""One audit of a broken dist of real wheels; each report is read by its own consumer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from depfix.reports.json import schema
from fixtures.windows_lab import lay_out_flat
from tests.conftest import Cli, run_depfix
from tests.pages import ARGUMENTS, CHROMIUM, opened
from tests.test_formats import check_gitlab, check_junit, check_sarif, commands, results, rows_of

pytestmark = pytest.mark.lab
PROGRAM = "from shapely.geometry import Point\nprint(Point(0, 0).buffer(1).area > 3)\n"
POLICY = """entry = "program.py"
env = "dir:dlls"
output-dir = "reports"

[[accept]]
rule = "missing-extension-module"
reason = "the program draws no random numbers"
expires = 2099-12-31

[[dist]]
path = "main.dist"
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Cli, str]]:
    """A project that was audited: its folder, what the command said, and the name of the DLL that is not there."""
    root = tmp_path_factory.mktemp("project")
    dist = lay_out_flat(root / "main.dist", ("shapely==2.0.7", "numpy==1.26.4", "msvc-runtime==14.42.34433"))
    library = next(dist.rglob("geos_c-*.dll"))
    (root / "dlls").mkdir()
    shutil.move(library, root / "dlls" / library.name)
    next(dist.rglob("mtrand.*.pyd")).unlink()
    (root / "program.py").write_text(PROGRAM)
    (root / "depfix.toml").write_text(POLICY)
    (root / ".git").mkdir()
    yield root, run_depfix("audit", cwd=root), library.name.lower()


def test_the_verdict(audited: tuple[Path, Cli, str]) -> None:
    root, done, name = audited
    assert done.code == 1, done
    assert name in done.out
    assert "failed  main.dist: 1 error, 0 warnings; 1 accepted by depfix.toml" in done.out
    assert len(list((root / "reports").iterdir())) == 9
    assert name in (root / "reports/report.txt").read_text("utf-8")


def test_programs_read_their_reports(audited: tuple[Path, Cli, str]) -> None:
    reports, name = audited[0] / "reports", audited[2]
    report = json.loads((reports / "report.json").read_bytes())
    jsonschema.Draft202012Validator(json.loads(schema())).validate(report)
    assert [row["subject"] for row in report["findings"] if row["severity"] == "error"] == [name]
    assert [row["finding"]["subject"] for row in report["accepted"]] == ["numpy.random.mtrand"]
    rows = results(check_sarif((reports / "report.sarif").read_text("utf-8")))
    suppressed = [row["ruleId"] for row in rows if row.get("suppressions")]
    assert suppressed == ["DF204"]
    assert [row["ruleId"] for row in rows if row["level"] == "error" and not row.get("suppressions")] == ["DF101"]
    suite = check_junit((reports / "junit.xml").read_text("utf-8"))
    assert (suite.failures, suite.skipped) == (1, 1)
    issues = check_gitlab((reports / "gl-code-quality-report.json").read_text("utf-8"))
    assert [row["check_name"] for row in issues if row["severity"] in ("critical", "blocker")] == ["DF101 missing-dll"]
    told = list(commands((reports / "annotations.txt").read_text("utf-8")))
    assert [command for command, _, _ in told] == ["error"]
    assert name in told[0][2]
    assert any(name in row for row in rows_of((reports / "report.md").read_text("utf-8")))


def test_the_bill_of_materials(audited: tuple[Path, Cli, str]) -> None:
    text = (audited[0] / "reports/sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {row["name"]: row["version"] for row in json.loads(text)["components"] if "version" in row}
    assert names["shapely"] == "2.0.7"
    assert names["numpy"] == "1.26.4"


def test_the_page(audited: tuple[Path, Cli, str]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        with opened(browser, audited[0] / "reports/report.html") as seen:
            shown = seen.page.locator("body").inner_text()
            assert audited[2] in shown
            assert "the program draws no random numbers" in shown
            assert seen.page.locator("canvas").count()
        browser.close()
