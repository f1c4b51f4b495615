"""Extensions: the worked example installed as a user installs it, and others that fail in every way."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from depfix.reports.json import schema
from tests.conftest import Cli, DistMaker, Forge

EXAMPLE = Path(__file__).parent.parent / "fixtures" / "example_extension"
Run = Callable[..., Cli]
KEY = "-----BEGIN RSA PRIVATE KEY-----\nnot a real one\n"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables under which depfix has the example: pip built and installed it."""
    target = tmp_path_factory.mktemp("extension")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--target", str(target), str(EXAMPLE)], check=True)
    return {"PYTHONPATH": str(target)}


@pytest.fixture
def broken(make_dist: DistMaker) -> Path:
    """A dist that lacks need.dll and holds a private key."""
    sources = {"pkg/__init__.py": "from . import core\n", "certs/server.pem": KEY}
    return make_dist({"pkg/core.pyd": ("need.dll",)}, sources)


def rules_of(result: Cli) -> set[tuple[str, str]]:
    report = json.loads(result.out)
    jsonschema.validate(report, json.loads(schema()))
    return {(one["rule"], one["subject"]) for one in report["findings"]}


def test_the_check_of_an_extension_is_like_one_of_depfix(cli: Run, broken: Path, installed: dict[str, str]) -> None:
    found = cli("scan", broken, "--format", "json", environ=installed)
    assert found.code == 1
    assert rules_of(found) == {("DF101", "need.dll"), ("EXK101", "certs/server.pem")}
    only = cli("scan", broken, "--format", "json", "--select", "shipped-private-key", environ=installed)
    assert rules_of(only) == {("EXK101", "certs/server.pem")}
    assert rules_of(cli("scan", broken, "--format", "json", "--ignore", "exk101", environ=installed)) == {
        ("DF101", "need.dll")
    }
    sarif = json.loads(cli("scan", broken, "--format", "sarif", environ=installed).out)["runs"][0]
    described = {rule["id"]: rule for rule in sarif["tool"]["driver"]["rules"]}
    assert "Whoever has the dist has the key" in described["EXK101"]["help"]["text"]
    assert rules_of(cli("scan", broken, "--format", "json")) == {("DF101", "need.dll")}
    dry = cli("repair", broken, "--dry-run", "--env", f"dir:{broken}", environ=installed)
    assert "leave the file out when the program is frozen" in dry.out


def test_explain_and_version_name_the_extension(cli: Run, installed: dict[str, str]) -> None:
    listed = cli("explain", environ=installed).out
    assert "EXK101  shipped-private-key" in listed
    explained = cli("explain", "EXK101", environ=installed)
    assert (explained.code, "Whoever has the dist has the key" in explained.out) == (0, True)
    assert "depfix-example 1.0" in explained.out
    version = cli("--version", environ=installed).out
    for group, name in (("checks", "shipped-keys"), ("environments", "dllzip"), ("formats", "csv")):
        assert any(line.split() == [f"depfix.{group}", name, "depfix-example", "1.0"] for line in version.splitlines())
    unknown = cli("explain", "EXK102", environ=installed)
    assert (unknown.code, "hint: did you mean EXK101?" in unknown.err) == (2, True)


def test_an_environment_of_an_extension_serves_a_repair(
    cli: Run, broken: Path, forge: Forge, tmp_path: Path, installed: dict[str, str]
) -> None:
    archive = tmp_path / "vendor dlls.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(forge("need.dll"), "../../bin/need.dll")
    (broken / "certs" / "server.pem").unlink()
    repaired = cli("repair", broken, "--env", f"dllzip:{archive}", "--yes", environ=installed)
    assert repaired.code == 0, repaired
    assert (broken / "need.dll").read_bytes() == forge("need.dll").read_bytes()
    assert f"{archive}!need.dll" in repaired.out
    assert cli("scan", broken, environ=installed).code == 0
    absent = cli("scan", broken, "--env", "dllzip:absent.zip", environ=installed)
    assert (absent.code, absent.err.startswith("error: environment dllzip:absent.zip: no such file")) == (2, True)
    near = cli("scan", broken, "--env", f"dlzip:{archive}", environ=installed)
    assert (near.code, f"hint: did you mean dllzip:{archive}?" in near.err) == (2, True)


def test_a_format_of_an_extension_writes_the_report(cli: Run, broken: Path, installed: dict[str, str]) -> None:
    (broken / "=HYPERLINK(1).pem").write_text(KEY)
    made = cli("scan", broken, "--format", "csv", environ=installed)
    assert made.code == 1
    rows = list(csv.DictReader(io.StringIO(made.out)))
    assert {row["rule"]: row["subject"] for row in rows if "HYPERLINK" not in row["subject"]} == {
        "DF101": "need.dll",
        "EXK101": "certs/server.pem",
    }
    assert [row["subject"] for row in rows if "HYPERLINK" in row["subject"]] == ["'=HYPERLINK(1).pem"]
    near = cli("scan", broken, "--format", "csb", environ=installed)
    assert (near.code, "hint: did you mean csv?" in near.err) == (2, True)


# --- extensions that fail ---

RULE = """
from depfix.extending import *
def rule(code="BAD101", name="bad-thing"):
    return Rule(code, name, Severity.WARNING, "s", "w", "e", "c", "s")
"""


@pytest.fixture
def distribution(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Lay out an installed distribution with an entry point for each of these texts of modules."""

    def make(group: str, *texts: str) -> dict[str, str]:
        target = tmp_path / "site"
        info = target / "depfix_bad-2.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        names = ["bad", *(f"bad{number}" for number in range(1, len(texts)))]
        entries = "".join(f"{name} = depfix_{name}:EXTENSION\n" for name in names)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: depfix-bad\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[depfix.{group}]\n{entries}")
        for name, text in zip(names, texts, strict=True):
            (target / f"depfix_{name}.py").write_text(RULE + text)
        return {"PYTHONPATH": str(target)}

    return make


FAILING = (
    ("raise RuntimeError('at import')", "RuntimeError: at import"),
    ("import sys; sys.exit(7)", "SystemExit: 7"),
    ("import absent_module_of_it", "No module named 'absent_module_of_it'"),
    ("EXTENSION = 5", "its rules are no tuple of Rule"),
    ("EXTENSION = CheckExtension((), lambda closure: ())", "its rules are no tuple of Rule"),
    ("EXTENSION = CheckExtension((rule('DF901'),), lambda closure: ())", "two to eight capital letters, not DF"),
    ("EXTENSION = CheckExtension((rule('bad1'),), lambda closure: ())", "two to eight capital letters, not DF"),
    ("EXTENSION = CheckExtension((rule('BAD001', 'Bad <b>'),), lambda closure: ())", "small letters"),
    ("EXTENSION = CheckExtension((rule('BAD001', 'missing-dll'),), lambda closure: ())", "that is taken"),
    ("EXTENSION = CheckExtension((rule(), rule()), lambda closure: ())", "that is taken"),
    ("EXTENSION = CheckExtension((rule('BAD101', 'bad-a'),), lambda closure: None)", "TypeError"),
    ("EXTENSION = CheckExtension((rule('BAD101', 'bad-b'),), lambda closure: ())", "that is taken"),
    ("EXTENSION = CheckExtension((rule('BAD103', 'bad-c'),), lambda closure: 1 / 0)", "ZeroDivisionError"),
    ("EXTENSION = CheckExtension((rule('BAD104', 'bad-d'),), lambda closure: [None])", "it gave NoneType for a"),
    ("EXTENSION = CheckExtension((rule('BAD105', 'bad-e'),), lambda c: [finding('missing-dll', 'x', 'y')])", "own"),
    ("EXTENSION = CheckExtension((rule('BAD106', 'bad-f'),), lambda c: [finding('bad-f', 5, 'y')])", "that is none"),
    ("class E: rules = (rule('BAD107', 'bad-g'),)\nEXTENSION = E()", "takes a CheckExtension, not E"),
)


def test_each_check_that_fails_is_a_finding_and_loses_no_other(
    cli: Run, broken: Path, distribution: Callable[..., dict[str, str]]
) -> None:
    environ = distribution("checks", *(text for text, _ in FAILING))
    result = cli("scan", broken, "--format", "json", environ=environ)
    assert (result.code, "Traceback" in result.err) == (1, False)
    names = ["bad", *(f"bad{number}" for number in range(1, len(FAILING)))]
    assert rules_of(result) == {("DF101", "need.dll"), *(("DF501", f"extension:{name}") for name in names)}
    told = {one["subject"]: one for one in json.loads(result.out)["findings"]}
    for name, (_, reason) in zip(names, FAILING, strict=True):
        finding = told[f"extension:{name}"]
        assert reason in finding["message"], finding
        assert ("depfix-bad 2.0" in finding["message"], finding["severity"]) == (True, "warning")


def test_what_a_check_found_before_it_failed_is_kept(
    cli: Run, broken: Path, distribution: Callable[..., dict[str, str]]
) -> None:
    text = (
        "def check(closure):\n    yield finding('bad-thing', 'first', 'm')\n    raise OSError('then')\n"
        "EXTENSION = CheckExtension((rule(),), check)"
    )
    result = cli("scan", broken, "--format", "json", environ=distribution("checks", text))
    assert rules_of(result) == {("DF101", "need.dll"), ("BAD101", "first"), ("DF501", "extension:bad")}


def test_a_rule_that_nobody_looked_for_is_not_told_to_have_passed(
    cli: Run, broken: Path, distribution: Callable[..., dict[str, str]]
) -> None:
    text = "EXTENSION = CheckExtension((rule(),), lambda closure: {})"
    whole = distribution("checks", text.format("()"))
    passed = cli("scan", broken, "--format", "junit", environ=whole)
    assert "BAD101" in passed.out
    failing = distribution("checks", text.format("1 / 0"))
    assert "BAD101" not in cli("scan", broken, "--format", "junit", environ=failing).out
    selected = cli("scan", broken, "--format", "json", "--select", "BAD101", "--fail-on", "warning", environ=failing)
    assert (selected.code, rules_of(selected)) == (1, {("DF501", "extension:bad")})


def test_an_audit_takes_checks_and_formats_of_extensions(
    cli: Run, broken: Path, tmp_path: Path, installed: dict[str, str]
) -> None:
    (tmp_path / "depfix.toml").write_text(
        'select = ["EXK101"]\n[[accept]]\nrule = "shipped-private-key"\nreason = "a test key"\n'
    )
    done = cli("audit", broken, environ=installed, cwd=tmp_path)
    assert (done.code, "1 accepted by depfix.toml" in done.out) == (0, True), done
    assert (tmp_path / "depfix-report" / "findings.csv").read_text("utf-8").startswith("severity,confidence,rule,")


OPENED = "EXTENSION = EnvironmentExtension('bad', lambda value, spec, wanted: {})"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("EXTENSION = 5", "depfix.environments takes an EnvironmentExtension, not int"),
        ("EXTENSION = EnvironmentExtension('other', print)", "its scheme is 'other', its entry point is called 'bad'"),
        (OPENED.format("1 / 0"), "ZeroDivisionError"),
        (OPENED.format("object()"), "its environment lacks info, find"),
        (
            "class E(FolderEnvironment):\n    def find(self, name):\n        raise KeyError(name)\n"
            + OPENED.format("E(value, spec)"),
            "KeyError: 'need.dll'",
        ),
        (
            "class E(FolderEnvironment):\n    @property\n    def info(self):\n        return 5\n"
            + OPENED.format("E(value, spec)"),
            "info is no EnvironmentInfo but int",
        ),
    ],
)
def test_an_environment_that_fails_is_named(
    cli: Run, broken: Path, distribution: Callable[..., dict[str, str]], text: str, reason: str
) -> None:
    result = cli("scan", broken, "--env", f"bad:{broken}", environ=distribution("environments", text))
    assert (result.code, result.out) == (3, ""), result
    assert result.err.startswith("error: the extension 'bad' of depfix-bad 2.0 cannot be used: ")
    assert reason in result.err
    assert "hint: mend or uninstall that distribution" in result.err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("EXTENSION = print", "depfix.formats takes a Form, not builtin_function_or_method"),
        ("EXTENSION = Form('other', 'x.txt', str)", "its form is called 'other', its entry point 'bad'"),
        ("EXTENSION = Form('bad', '../x.txt', str)", "its file name '../x.txt' is none"),
        ("EXTENSION = Form('bad', 'x.txt', lambda material: 1 / 0)", "ZeroDivisionError"),
        ("EXTENSION = Form('bad', 'x.txt', lambda material: b'')", "its form gave bytes for a text"),
    ],
)
def test_a_format_that_fails_is_named(
    cli: Run, broken: Path, distribution: Callable[..., dict[str, str]], text: str, reason: str
) -> None:
    result = cli("scan", broken, "--format", "bad", environ=distribution("formats", text))
    assert (result.code, result.out) == (3, ""), result
    assert reason in result.err
