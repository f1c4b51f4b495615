"""`depfix doctor`: all that a bug report needs, nothing that is nobody's business."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import depfix
from depfix import __version__
from depfix.api import doctoring
from tests.conftest import Cli

Run = Callable[..., Cli]
SECTIONS = {"depfix", "Python", "packages", "system", "texts", "tools", "environments", "cache"}


def test_it_says_what_a_bug_report_needs(cli: Run, make_conda: Callable[..., Path]) -> None:
    environment = make_conda({}, name="envs/app")
    done = cli("doctor", environ={"CONDA_PREFIX": str(environment)})
    assert done.code == 0 and "hint: " in done.err
    rows = done.out.splitlines()
    assert {row for row in rows if row and not row.startswith(" ")} >= SECTIONS
    for words in (
        f"version       {__version__}",
        "tables  ",
        "CPython 3.",
        "conda:app",
        "Python 3.10",
        "standard output",
    ):
        assert words in done.out
    assert [row.split()[0] for row in rows[-5:]] == ["works"] * 5


def test_as_json(cli: Run) -> None:
    found = json.loads(cli("doctor", "--format", "json").out)
    assert found["schema_version"] == 1 and found["works"] is True
    assert {fact["section"] for fact in found["facts"]} == SECTIONS
    assert {check["name"] for check in found["checks"]} >= {"tables of facts", "cache", "libraries"}
    assert all(isinstance(value, str) for fact in found["facts"] for value in fact.values())


def test_no_secret_and_no_name_of_a_person_is_told(cli: Run, tmp_path: Path) -> None:
    home = tmp_path / "jane.doe"
    work = home / "customer" / "job"
    work.mkdir(parents=True)
    secrets = {"TOKEN": "s3cr3t-value", "API_KEY": "k3y-value", "PYTHONIOENCODING": "utf-8", "CI": "who-runs-it"}
    done = cli("doctor", cwd=work, environ={"HOME": str(home), "DEPFIX_CACHE_DIR": str(home / "cache"), **secrets})
    text = done.out + done.err
    assert "jane.doe" not in text and "s3cr3t" not in text and "k3y" not in text and "who-runs-it" not in text
    assert os.path.join("~", "customer", "job") in text and os.path.join("~", "cache") in text
    assert "CI" in text and "is set" in text


def test_a_folder_that_only_begins_like_the_home_is_not_shortened() -> None:
    homes = ("/homes/jane",)
    shown = [doctoring._without_home(text, homes) for text in ("/homes/jane/x", "/homes/jane", "/homes/janet/x")]
    assert shown == ["~/x", "~", "/homes/janet/x"]


def test_a_cache_that_cannot_be_used_is_told(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = cli("doctor", environ={"DEPFIX_CACHE_DIR": str(tmp_path / "file")})
    assert done.code == 1
    assert any(row.startswith("broken  cache: ") for row in done.out.splitlines())


def test_a_damaged_table_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from depfix.errors import DataFileError

    def damaged() -> str:
        raise DataFileError("rules.json", "oh")

    monkeypatch.setitem(doctoring._CHECKS, "tables of facts", damaged)
    found = depfix.doctor()
    (check,) = (check for check in found.checks if not check.works)
    assert not found.is_well and "rules.json is damaged: oh (install depfix again)" in check.words


def test_what_cannot_be_told_keeps_nothing_else_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_environ: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setitem(doctoring._SECTIONS, "system", broken)
    found = depfix.doctor()
    values = [fact.value for fact in found.facts if fact.section == "system"]
    assert values == ["RuntimeError: no such thing"] and found.is_well
