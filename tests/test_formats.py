"""The forms of a report that other programs read, each checked by its official schema or by a program that reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import junitparser
import pytest
from lxml import etree
from markdown_it import MarkdownIt

from depfix.knowledge.rules import rules
from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
from depfix.model.plan import Action, Declined, Plan
from depfix.model.report import DistSummary, OwnSource, Report
from depfix.model.source import Provider
from depfix.reports.forms import Material, form, form_names
from tests.conftest import Cli, DistMaker, snapshot

Run = Callable[..., Cli]
SCHEMAS = Path(__file__).parent / "schemas"
OWN = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")


def finding(subject: str, **changes: object) -> Finding:
    values: dict[str, object] = {
        "rule": "DF101",
        "name": "missing-dll",
        "severity": Severity.ERROR,
        "confidence": Confidence.CERTAIN,
        "subject": subject,
        "message": f"pkg/core.pyd imports {subject}; it is not in the dist",
        "locations": (Location("pkg/core.pyd"),),
        "chain": ("app.exe", "main.py:3", "pkg/core.pyd", subject),
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def material(findings: tuple[Finding, ...], root: Path, **changes: object) -> Material:
    own = (OwnSource("main.py", str(root / "src" / "main.py")),)
    dist = DistSummary(str(root / "out" / "main.dist"), "python", "Python folder", "3.10", "amd64", ("app.exe",), 9, 3)
    codes = tuple(entry.code for entry in rules())
    report = Report(dist, "win10", "Windows 10", "entry", (), findings, checked=codes, own=own)
    return Material(report, Verdict(bool(findings), "error"), root=str(root), **changes)  # type: ignore[arg-type]


@pytest.fixture
def project(make_dist: DistMaker, tmp_path: Path) -> Path:
    """A repository with a program, and its dist that lacks 30 DLLs of one importer, one more, and a data file."""
    many = tuple(f"lib{number:02}.dll" for number in range(30))
    sources = {"pkg/__init__.py": "from . import core\n", "big/__init__.py": "from . import engine\n"}
    make_dist({"pkg/core.pyd": ("need.dll",), "big/engine.pyd": many}, sources)
    (tmp_path / ".git").mkdir()
    source = tmp_path / "my source" / "main.py"
    source.parent.mkdir()
    source.write_text("import pkg\nimport big\n\nopen('模型.bin')\n", encoding="utf-8")
    return tmp_path


def scan(cli: Run, project: Path, name: str, *more: str) -> str:
    entry = project / "my source" / "main.py"
    environ = {"GITHUB_WORKSPACE": "", "CI_PROJECT_DIR": ""}
    arguments = ("scan", project / "main.dist", "--entry", entry, "--format", name, *more)
    result = cli(*arguments, cwd=project / "my source", environ=environ)
    assert (result.code, "Traceback" in result.err) == (1, False), result
    return result.out


# --- SARIF ---


def check_sarif(text: str) -> dict[str, object]:
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text("utf-8"))
    log: dict[str, list[dict[str, object]]] = json.loads(text)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    return log["runs"][0]


def results(run: dict[str, object]) -> list[dict[str, object]]:
    found = run["results"]
    assert isinstance(found, list)
    return found


def first_place(result: dict[str, object]) -> tuple[str, int | None]:
    physical = result["locations"][0]["physicalLocation"]  # type: ignore[index]
    return physical["artifactLocation"]["uri"], physical.get("region", {}).get("startLine")


def test_sarif_of_a_real_scan(cli: Run, project: Path) -> None:
    run = check_sarif(scan(cli, project, "sarif"))
    found = {result["properties"]["subject"]: result for result in results(run)}  # type: ignore[index]
    assert len(found) == 32
    assert first_place(found["need.dll"]) == ("my%20source/main.py", 1)
    assert first_place(found["模型.bin"]) == ("my%20source/main.py", 4)
    related = found["need.dll"]["relatedLocations"][0]["physicalLocation"]  # type: ignore[index]
    assert related["artifactLocation"] == {"uri": "main.dist/pkg/core.pyd", "uriBaseId": "%SRCROOT%"}
    flow = found["need.dll"]["codeFlows"][0]["threadFlows"][0]["locations"]  # type: ignore[index]
    steps = [step["location"]["message"]["text"] for step in flow]
    assert steps == ["app.exe", "main.py:1", "pkg/__init__.py:1", "pkg/core.pyd", "need.dll"]
    assert all("physicalLocation" in step["location"] for step in flow)


def test_sarif_names_every_rule_with_help_as_github_wants_it(tmp_path: Path) -> None:
    run = check_sarif(form("sarif").render(material((finding("need.dll"),), tmp_path)))
    driver = run["tool"]["driver"]  # type: ignore[index]
    assert [entry["id"] for entry in driver["rules"]] == [entry.code for entry in rules()]
    for entry in driver["rules"]:
        assert 0 < len(entry["shortDescription"]["text"]) <= 1024
        assert 0 < len(entry["fullDescription"]["text"]) <= 1024
        assert entry["help"]["text"] and entry["help"]["markdown"]
        assert entry["properties"]["precision"] in ("very-high", "high", "medium", "low")
        assert "security-severity" not in entry["properties"]
    result = results(run)[0]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_marks_tell_findings_apart(tmp_path: Path) -> None:
    findings = (finding("a.dll"), finding("b.dll"), finding("a.dll"))
    run = check_sarif(form("sarif").render(material(findings, tmp_path)))
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results(run)]  # type: ignore[index]
    assert len(set(marks)) == 3


def test_sarif_suppresses_what_was_accepted(tmp_path: Path) -> None:
    accepted = (Accepted(finding("old.dll"), "depfix.toml", "the vendor's {bug} [1](2)", "2030-12-31"),)
    run = check_sarif(form("sarif").render(material((finding("new.dll"),), tmp_path, accepted=accepted)))
    new, old = results(run)
    assert new["suppressions"] == []
    assert old["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "accepted by depfix.toml until 2030-12-31: the vendor's {{bug}} [1] (2)",
        }
    ]


def test_sarif_levels_and_places_outside_the_repository(tmp_path: Path) -> None:
    info = finding("c.dll", severity=Severity.INFO, confidence=Confidence.POSSIBLE, chain=())
    outside = finding("d.dll", locations=(Location("D:\\Envs\\a b"),), chain=())
    nowhere = finding("e.dll", locations=(), chain=())
    (tmp_path / "repository").mkdir()
    report = material((info, outside, nowhere), tmp_path)
    run = check_sarif(form("sarif").render(Material(report.report, report.verdict, root=str(tmp_path / "repository"))))
    assert [result["level"] for result in results(run)] == ["error", "error", "note"]
    assert [first_place(result)[0] for result in results(run)] == [
        "file:///D%3A/Envs/a%20b",
        "main.dist/app.exe",
        "main.dist/pkg/core.pyd",
    ]
    assert set(run["originalUriBaseIds"]) == {"%SRCROOT%", "DISTROOT"}  # type: ignore[call-overload]


def test_sarif_stays_below_githubs_limits(tmp_path: Path) -> None:
    many = tuple(finding(f"{number}.dll", chain=(), locations=()) for number in range(25_010))
    run = json.loads(form("sarif").render(material(many, tmp_path)))["runs"][0]
    assert len(run["results"]) == 25_000
    assert "10 more results are left out" in run["invocations"][0]["toolExecutionNotifications"][1]["message"]["text"]


# --- JUnit ---


def check_junit(text: str) -> junitparser.TestSuite:
    content = text.encode()
    etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd")).assertValid(etree.fromstring(content))
    (suite,) = junitparser.JUnitXml.fromstring(content)
    return suite


def cases(suite: junitparser.TestSuite) -> dict[str, junitparser.TestCase]:
    return {case.name: case for case in suite}


def test_junit_of_a_real_scan(cli: Run, project: Path) -> None:
    suite = check_junit(scan(cli, project, "junit", "--ignore", "DF104"))
    found = cases(suite)
    assert (suite.name, suite.failures, suite.tests) == ("depfix main.dist", 2, len(found))
    (failure,) = found["DF101 missing-dll"].result
    assert failure.message == "31 findings: lib00.dll and 30 more"
    assert "need.dll" in failure.text
    assert found["DF103 misplaced-dll"].is_passed
    assert "DF104 missing-symbol" not in found  # not looked at
    assert not any(name.startswith("DF6") for name in found)


def test_junit_says_what_does_not_fail_and_what_was_accepted(tmp_path: Path) -> None:
    findings = (finding("a.dll", severity=Severity.WARNING), finding("b.dll", confidence=Confidence.POSSIBLE))
    accepted = (Accepted(finding("old.dll"), "baseline.json"),)
    suite = check_junit(form("junit").render(material(findings, tmp_path, accepted=accepted)))
    found = cases(suite)
    assert (suite.failures, suite.skipped) == (0, 1)
    assert "a.dll" in found["DF101 missing-dll"].system_out
    assert "b.dll (possible)" in found["DF101 missing-dll"].system_out
    (skipped,) = found["DF101 missing-dll: old.dll"].result
    assert skipped.message == "accepted by baseline.json"


# --- GitHub ---


def commands(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the commands that GitHub's runner reads in an output, as it does (ActionCommand.cs)."""
    known = ("error", "warning", "notice", "debug", "add-mask", "stop-commands", "group", "endgroup", "set-output")
    for line in re.split(r"\r\n|\r|\n", text):
        second = re.match(rf"\s*::({'|'.join(known)})(?: ([^:]*(?::(?!:)[^:]*)*))?::(.*)", line, re.S)
        first = re.search(rf"##\[({'|'.join(known)})[^\]]*\](.*)", line)
        if second:
            pairs = (pair.partition("=") for pair in (second[2] or "").split(",") if pair)
            yield second[1], {key: _unescaped(value) for key, _, value in pairs}, _unescaped(second[3])
        elif first:
            yield first[1], {}, first[2]


def _unescaped(text: str) -> str:
    for escaped, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, character)
    return text


def test_github_annotations_of_a_real_scan(cli: Run, project: Path) -> None:
    text = scan(cli, project, "github")
    found = list(commands(text))
    assert [command for command, _, _ in found] == ["error"] * 3
    assert found[0][1] == {"file": "my source/main.py", "line": "2", "title": "DF101 missing-dll"}
    assert found[0][2].startswith("30 of one cause: lib00.dll, lib01.dll")
    assert found[1][1]["line"] == "1"
    assert "\nNeeded by app.exe > main.py:1 > pkg/__init__.py:1 > pkg/core.pyd > need.dll." in found[1][2]
    assert text.splitlines()[-1] == "depfix: main.dist: 32 errors, 0 warnings"


def test_github_shows_ten_of_a_level_and_the_tenth_counts_the_rest(tmp_path: Path) -> None:
    findings = tuple(finding(f"{number}.dll", confidence=Confidence.PROBABLE) for number in range(15))
    surest = finding("surest.dll")
    warnings = tuple(finding(f"w{number}.dll", severity=Severity.WARNING) for number in range(3))
    found = list(commands(form("github").render(material((*warnings, *findings, surest), tmp_path))))
    assert [command for command, _, _ in found] == ["error"] * 10 + ["warning"] * 3
    assert found[0][2].startswith("surest.dll: ")
    assert found[9][2] == "7 more errors: 8.dll, 9.dll, 10.dll, 11.dll, 12.dll, 13.dll, 14.dll"


# --- GitLab ---


def check_gitlab(text: str) -> list[dict[str, Any]]:
    """GitLab Docs, "Code Quality report format"
    https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
    """
    issues: list[dict[str, Any]] = json.loads(text)
    location = {
        "type": "object",
        "required": ["path", "lines"],
        "properties": {
            "path": {"type": "string", "pattern": r"^[^/.]"},
            "lines": {
                "type": "object",
                "required": ["begin"],
                "properties": {"begin": {"type": "integer", "minimum": 1}},
            },
        },
    }
    keys = {"description", "check_name", "fingerprint", "severity", "location"}
    issue = {
        "type": "object",
        "required": sorted(keys),
        "properties": {
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": location,
        },
    }
    jsonschema.Draft202012Validator({"type": "array", "items": issue}).validate(issues)
    assert all(set(row) == keys for row in issues)
    assert len({row["fingerprint"] for row in issues}) == len(issues)
    return issues


def test_gitlab_code_quality_of_a_real_scan(cli: Run, project: Path) -> None:
    issues = check_gitlab(scan(cli, project, "gitlab"))
    assert len(issues) == 32
    assert {row["location"]["path"] for row in issues} == {"my source/main.py"}


def test_gitlab_fingerprints_stay_when_lines_move(tmp_path: Path) -> None:
    before = finding("a.dll", chain=("app.exe", "main.py:3", "a.dll"))
    after = finding("a.dll", chain=("app.exe", "main.py:9", "a.dll"))
    rows = [json.loads(form("gitlab").render(material((one,), tmp_path)))[0] for one in (before, after)]
    assert rows[0]["fingerprint"] == rows[1]["fingerprint"]
    assert [row["location"] for row in rows] == [
        {"path": "src/main.py", "lines": {"begin": 3}},
        {"path": "src/main.py", "lines": {"begin": 9}},
    ]


# --- Markdown ---


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the tokens that a parser of GitHub's Markdown reads: (kind, content)."""
    for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        yield token.type, token.content
        for child in token.children or ():
            yield child.type, child.content


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| DF")]


def test_markdown_of_a_real_scan(cli: Run, project: Path) -> None:
    text = scan(cli, project, "markdown")
    found = list(tokens(text))
    assert ("code_inline", "main.dist") in found
    assert {content for kind, content in found if kind == "text"} >= {"32 errors, 0 warnings", "Errors (32)"}
    assert len(rows_of(text)) == 3
    assert "`app.exe` → `main.py:1` → `pkg/__init__.py:1` → `pkg/core.pyd` → `need.dll`" in text
    assert [kind for kind, _ in found].count("tr_open") == 4
    assert {content for kind, content in found if kind == "html_inline"} == {"<br>"}


def test_markdown_stays_short_enough_for_a_comment(tmp_path: Path) -> None:
    many = tuple(finding(f"{'x' * 90}{number}.dll") for number in range(2000))
    text = form("markdown").render(material(many, tmp_path))
    assert len(text) < 65_536
    shown = len(rows_of(text))
    assert f"{2000 - shown} more are left out here" in text


def test_markdown_shows_a_plan_and_what_was_accepted(tmp_path: Path) -> None:
    action = Action(
        "copy", "/env/need.dll", "need.dll", Provider("need", "1.2.3"), 10, "DF101", "need.dll", ("app.exe",)
    )
    plan = Plan((action,), (Declined("DF101", "other.dll", "nobody has it"),))
    accepted = (Accepted(finding("old.dll"), "depfix.toml", "it is never loaded"),)
    made = material((finding("other.dll"),), tmp_path, accepted=accepted)
    from dataclasses import replace

    text = form("markdown").render(replace(made, report=replace(made.report, plan=plan)))
    for words in ("To be copied (1 file", "need 1.2.3", "Without a cure (1)", "nobody has it", "Accepted (1)"):
        assert words in text
    assert "accepted by depfix.toml: it is never loaded" in text


# --- all of them ---


@pytest.mark.parametrize("name", OWN)
def test_every_form_of_a_clean_dist(cli: Run, make_dist: DistMaker, name: str) -> None:
    result = cli("scan", make_dist(), "--format", name)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("\n")


@pytest.mark.parametrize("name", OWN)
def test_every_form_of_a_repair_says_what_is_left(
    cli: Run, make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll", "gone.dll")}, {"pkg/__init__.py": "from . import core\n"})
    spec = f"conda:{make_conda({'Library/bin/need.dll': ()})}"
    before = snapshot(dist)
    target = tmp_path / "report"
    dry = cli("repair", dist, "--env", spec, "--dry-run", "--format", name, "-o", target)
    assert (dry.code, snapshot(dist)) == (1, before)
    done = cli("repair", dist, "--env", spec, "--format", name)
    assert done.code == 1
    for text in (target.read_text("utf-8"), done.out):
        assert "gone.dll" in text
        left = {"sarif": check_sarif, "junit": check_junit}.get(name)
        if left is not None:
            left(text)
        if name in ("sarif", "junit", "github", "gitlab"):
            assert "need.dll" not in text.replace("depfix repair", "")


def test_help_names_every_form_of_depfix(cli: Run) -> None:
    for command in ("scan", "repair"):
        words = " ".join(cli(command, "--help", environ={"COLUMNS": "200"}).out.split())
        assert all(re.search(rf"\b{name}\b", words) for name in OWN)
    assert set(OWN) <= set(form_names())


def test_paths_are_those_of_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from depfix.reports.places import repository_root

    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".git").touch()  # as in a worktree
    assert repository_root({}, str(tmp_path / "a" / "b")) == str(tmp_path / "a")
    assert repository_root({"CI_PROJECT_DIR": "/builds/x"}, str(tmp_path)) == "/builds/x"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    made = material((finding("a.dll"),), tmp_path)
    issues = json.loads(form("gitlab").render(Material(made.report, made.verdict)))
    assert unquote(issues[0]["location"]["path"]) == "src/main.py"


def test_a_fix_is_told_in_words(tmp_path: Path) -> None:
    fix = Fix("copy", "/env/need.dll", "need.dll", "need 1.2.3", "it is debug")
    for name in ("sarif", "junit", "github", "gitlab"):
        text = form(name).render(material((finding("need.dll", fix=fix),), tmp_path))
        assert "Get it from need 1.2.3" in text.replace("%3A", ":")
