"""The baseline: findings of a past day do not count, those that are new do, wherever lines move."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import Cli, DistMaker, snapshot

Run = Callable[..., Cli]
MAIN = """
import ctypes
import multiprocessing
import os

import pkg.no_such_part


def load():
    ctypes.CDLL("native.dll")
    return open("settings.json").read()


def place():
    os.add_dll_directory("C:/tools/bin")
    return open(os.path.join(os.path.dirname(__file__), "data", "table.csv")).read()


load()
place()
multiprocessing.Process(target=load).start()
"""
PACKAGE = "from . import core\n\n\ndef late():\n    import pkg.another_part\n\n\nlate()\n"


@pytest.fixture
def project(make_dist: DistMaker, tmp_path: Path) -> Path:
    """A program with findings of many kinds in its sources, and its dist."""
    make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": PACKAGE})
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text(MAIN)
    return tmp_path


def scanned(cli: Run, project: Path, *more: object) -> dict[str, dict[str, object]]:
    arguments = ("--entry", "src/main.py", "--fail-on", "warning", "--format", "json", *more)
    report = json.loads(cli("scan", "main.dist", *arguments, cwd=project).out)
    return {one["fingerprint"]: one for one in report["findings"]}


def moved(text: str) -> str:
    """Return a source with every statement on another line."""
    return "# a licence text\n" * 7 + "\n\n".join(text.split("\n"))


def test_fingerprints_stay_when_lines_move(cli: Run, project: Path) -> None:
    before = scanned(cli, project)
    rules = {str(one["rule"]) for one in before.values()}
    assert {"DF101", "DF201", "DF401"} <= rules
    assert len(rules) >= 5, rules
    for path in (project / "src" / "main.py", project / "main.dist" / "pkg" / "__init__.py"):
        path.write_text(moved(path.read_text()))
    after = scanned(cli, project)
    assert set(after) == set(before)
    changed = [one for one in before if before[one]["locations"] != after[one]["locations"]]
    assert len(changed) >= 4, "the lines did not move"
    absolute = scanned(cli, project, "--entry", project / "src" / "main.py")
    assert set(absolute) == set(before)


def test_a_scan_fails_on_new_findings_alone(cli: Run, project: Path) -> None:
    arguments = ("main.dist", "--entry", "src/main.py", "--baseline", "known.json", "--fail-on", "warning")
    first = cli("scan", *arguments, "--update-baseline", cwd=project)
    assert first.code == 0
    text = (project / "known.json").read_text("utf-8")
    file = json.loads(text)
    jsonschema.validate(file, json.loads(pkgutil.get_data("depfix.reports", "schema/baseline.schema.json") or b""))
    number = len(file["findings"])
    assert f"baseline: known.json holds {number} findings: {number} new, 0 gone" in first.err
    assert [(one["rule"], one["subject"]) for one in file["findings"]] == sorted(
        (one["rule"], one["subject"]) for one in file["findings"]
    )

    (project / "src" / "main.py").write_text(moved(MAIN))
    again = cli("scan", *arguments, cwd=project)
    assert again.code == 0
    assert f"accepted {number} findings by known.json" in again.out
    assert again.out.endswith(f"; {number} accepted\n")
    assert "found no more" not in again.err
    cli("scan", *arguments, "--update-baseline", cwd=project)
    assert (project / "known.json").read_text("utf-8") == text

    (project / "src" / "main.py").write_text(MAIN.replace("no_such_part", "no_other_part"))
    result = cli("scan", *arguments, "--format", "json", cwd=project)
    assert result.code == 1
    report = json.loads(result.out)
    assert [one["subject"] for one in report["findings"] if one["severity"] != "info"] == ["pkg.no_other_part"]
    assert len(report["accepted"]) == number - 1
    assert {one["by"] for one in report["accepted"]} == {"known.json"}
    assert "note: 1 finding of known.json found no more: DF201 pkg.no_such_part" in result.err


def test_rows_of_rules_that_were_not_looked_at_stay(cli: Run, project: Path) -> None:
    cli("scan", "main.dist", "--baseline", "b.json", "--update-baseline", cwd=project)
    both = {one["rule"] for one in json.loads((project / "b.json").read_text())["findings"]}
    assert both == {"DF101", "DF201"}
    result = cli("scan", "main.dist", "--baseline", "b.json", "--select", "DF105", cwd=project)
    assert "found no more" not in result.err
    cli("scan", "main.dist", "--baseline", "b.json", "--update-baseline", "--select", "DF105", cwd=project)
    assert {one["rule"] for one in json.loads((project / "b.json").read_text())["findings"]} == both


def test_a_repair_counts_what_is_left_and_not_accepted(
    cli: Run, project: Path, make_conda: Callable[..., Path]
) -> None:
    make_conda({"Library/bin/other.dll": ()})
    cli("scan", "main.dist", "--baseline", "b.json", "--update-baseline", cwd=project)
    environment = ("--env", "conda:./env")
    assert cli("repair", "main.dist", *environment, "--dry-run", cwd=project).code == 1
    result = cli("repair", "main.dist", *environment, "--baseline", "b.json", "--dry-run", cwd=project)
    assert result.code == 0
    assert re.search(r"note: 2 accepted by b\.json; what has a cure is copied all the same", result.err)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("", "it is damaged, or no baseline"),
        ('{"schema_version": 1, "findings": [', "it is damaged, or no baseline"),
        ("[]", "it is damaged, or no baseline"),
        ('{"schema_version": 1, "findings": [{"rule": "DF101"}]}', "it is damaged, or no baseline"),
        ('{"schema_version": 2, "findings": []}', "it has version 2, and this depfix knows 1"),
        ("\udcff", "it is damaged, or no baseline"),
    ],
)
@pytest.mark.parametrize("command", ["scan", "repair", "audit"])
def test_a_baseline_that_cannot_be_used(cli: Run, project: Path, command: str, content: str | None, words: str) -> None:
    if content is not None:
        (project / "b.json").write_text(content, "utf-8", "surrogateescape")
    before = snapshot(project)
    result = cli(command, "main.dist", "--baseline", "b.json", cwd=project)
    assert (result.code, result.out) == (2, "")
    assert f"error: cannot use the baseline b.json: {words}" in result.err
    assert "hint: " in result.err
    assert snapshot(project) == before
    if content is not None and command != "repair":  # what is no baseline is never written over
        assert cli(command, "main.dist", "--baseline", "b.json", "--update-baseline", cwd=project).code == 2
        assert snapshot(project) == before


@pytest.mark.parametrize("command", ["scan", "audit"])
def test_an_update_needs_a_file_that_can_be_written(cli: Run, project: Path, command: str) -> None:
    result = cli(command, "main.dist", "--update-baseline", cwd=project)
    assert result.code == 2
    assert "--baseline FILE" in result.err
    result = cli(command, "main.dist", "--update-baseline", "--baseline", "no/folder/b.json", cwd=project)
    assert (result.code, result.out) == (3, "")
    assert "cannot write no/folder/b.json" in result.err


def test_an_audit_never_puts_budgets_into_a_baseline(cli: Run, project: Path) -> None:
    (project / "depfix.toml").write_text(
        'baseline = "b.json"\nbudgets.max-files = 1\nforbid-dlls = "python*"\n'
        '[[accept]]\nsubject = "need.dll"\nreason = "old"\nexpires = 2020-01-01\n'
    )
    result = cli("audit", "main.dist", "--update-baseline", cwd=project)
    assert result.code == 1
    rows = json.loads((project / "b.json").read_text("utf-8"))["findings"]
    assert {one["rule"] for one in rows} == {"DF101", "DF201", "DF702"}
    assert "failed  main.dist: 1 error, 0 warnings; " in result.out
    result = cli("scan", "main.dist", "--baseline", "b.json", cwd=project)
    assert "found no more" not in result.err  # a scan asks nothing of the policy
