"""`depfix audit` as a release manager meets it: verdicts, reports, exit codes, what a policy objects to, bad input."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from depfix.api.auditing import report_folders
from depfix.closure.graph import Graph, Node, NodeKind
from depfix.dist.tree import read_tree
from depfix.model.inventory import Component, ComponentKind, Inventory, InventoryFile
from depfix.policy.checks import Shipped, check_policy
from depfix.policy.values import Budgets, Policy
from depfix.reports.forms import form_names
from depfix.reports.json import schema
from fixtures.signing import sign
from tests.conftest import Cli, DistMaker, snapshot

Run = Callable[..., Cli]
SOURCE = "from . import core\n"
BROKEN_FORMS = """
from depfix.reports.forms import Form

def broken(material):
    raise RuntimeError("no report today")

def interrupted(material):
    raise KeyboardInterrupt

def annotations(material):
    return "".join(f"::error::{one.subject}\\n" for one in material.report.findings)

BROKEN, CUT = Form("broken", "broken.txt", broken), Form("cut", "cut.txt", interrupted)
GITHUB, MARKDOWN = Form("github", "github.txt", annotations), Form("markdown", "report.md", annotations)
"""


@pytest.fixture
def broken(make_dist: DistMaker) -> Path:
    return make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE})


@pytest.fixture
def extension(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Install report formats of another distribution; return the variables with which depfix finds them."""

    def install(**names: str) -> dict[str, str]:
        site = tmp_path / "site"
        (site / "others-1.0.dist-info").mkdir(parents=True)
        (site / "others.py").write_text(BROKEN_FORMS)
        (site / "others-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
        rows = "".join(f"{name} = others:{value}\n" for name, value in names.items())
        (site / "others-1.0.dist-info" / "entry_points.txt").write_text(f"[depfix.formats]\n{rows}")
        return {"PYTHONPATH": os.pathsep.join((str(site), str(Path(__file__).parent.parent)))}

    return install


def report(folder: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads((folder / "report.json").read_text("utf-8"))
    jsonschema.validate(found, json.loads(schema()))
    return found


# --- one run ---


def test_every_report_is_written_and_one_line_is_the_verdict(cli: Run, broken: Path, tmp_path: Path) -> None:
    before = snapshot(broken)
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert result.code == 1
    assert result.out.splitlines()[-1] == "failed  main.dist: 1 error, 0 warnings"
    assert "DF101 missing-dll  need.dll" in result.out
    assert "reports: depfix-report/: report.txt, report.json" in result.err
    names = {one.name for one in (tmp_path / "depfix-report").iterdir()}
    assert {"report.txt", "report.json"} <= names
    assert len(names) == len(form_names())
    assert report(tmp_path / "depfix-report")["findings"][0]["subject"] == "need.dll"
    assert snapshot(broken) == before
    quiet = cli("audit", "main.dist", "-q", cwd=tmp_path)
    assert quiet.out == "failed  main.dist: 1 error, 0 warnings\n"
    assert quiet.err == ""


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("never", 0)])
def test_the_level_decides(cli: Run, broken: Path, tmp_path: Path, level: str, code: int) -> None:
    (tmp_path / "depfix.toml").write_text('fail-on = "never"\nformats = ["json"]\n')
    result = cli("audit", "main.dist", "--fail-on", level, cwd=tmp_path)
    assert result.code == code
    assert result.out.splitlines()[-1].startswith("failed" if code else "passed")
    assert [one.name for one in (tmp_path / "depfix-report").iterdir()] == ["report.json"]


def test_a_sound_dist_passes(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    make_dist()
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert (result.code, result.out) == (0, "passed  main.dist: 0 errors, 0 warnings\n")


def test_what_was_accepted_stands_in_the_reports(cli: Run, broken: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.depfix.accept]]\nsubject = "need.dll"\nreason = "comes with the driver"\nexpires = 2999-01-01\n'
    )
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert result.code == 0
    assert result.out == "passed  main.dist: 0 errors, 0 warnings; 1 accepted by pyproject.toml\n"
    (one,) = report(tmp_path / "depfix-report")["accepted"]
    assert (one["by"], one["reason"], one["expires"]) == ("pyproject.toml", "comes with the driver", "2999-01-01")
    text = (tmp_path / "depfix-report" / "report.txt").read_text("utf-8")
    assert "accepted DF101 missing-dll  need.dll" in text
    assert "by pyproject.toml until 2999-01-01: comes with the driver" in text
    assert text.endswith("nothing else is missing for Windows 10; 1 accepted\n")


def test_several_dists(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    make_dist(name="a/main.dist")
    make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE}, name="b/main.dist")
    (tmp_path / "c").mkdir()
    (tmp_path / "depfix.toml").write_text(
        '[[dist]]\npath = "a/main.dist"\n[[dist]]\npath = "b/main.dist"\nfail-on = "never"\n'
        '[[dist.accept]]\nsubject = "other.dll"\nreason = "nobody knows"\n'
    )
    result = cli("audit", cwd=tmp_path)
    assert result.code == 0
    assert [line for line in result.out.splitlines() if line.startswith(("passed", "failed", "2 dists"))] == [
        "passed  a/main.dist: 0 errors, 0 warnings",
        "passed  b/main.dist: 1 error, 0 warnings",
        "2 dists: 0 failed, 2 passed",
    ]
    assert "DF706 unused-acceptance  other.dll" in result.out
    assert report(tmp_path / "depfix-report" / "main.dist")["findings"] == []
    assert len(report(tmp_path / "depfix-report" / "main.dist-2")["findings"]) == 2

    result = cli("audit", "a/main.dist", "b/main.dist", "c", "--fail-on", "error", cwd=tmp_path)
    assert result.code == 2
    assert "error: c: no Windows program" in result.err
    assert result.out.endswith("3 dists: 1 failed, 1 passed, 1 could not be audited\n")


def test_folders_are_told_apart_as_windows_would(make_dist: DistMaker, tmp_path: Path) -> None:
    dists = [str(make_dist(name=name, python=False)) for name in ("a/App", "b/app", "c/app-2", "d/app")]
    assert report_folders(dists, "out") == [os.path.join("out", one) for one in ("App", "app-2", "app-2-2", "app-3")]


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("arguments", "policy", "words"),
    [
        ((), "", ("no DIST is given", "hint: depfix audit main.dist")),
        ((), "target = 'win10'", ("depfix.toml has no section that names one",)),
        (("main.dst",), "", ("no such folder", "did you mean main.dist")),
        (("main.dist",), "tagret = 'x'", ("depfix.toml: line 1: unknown key tagret (did you mean target?)",)),
        (("main.dist", "--config", "no.toml"), "", ("no.toml: cannot read it",)),
        (("main.dist", "--format", "jsn"), "", ("no such format: jsn", "did you mean json?")),
        (("main.dist", "--baseline", "no.json"), "", ("cannot use the baseline no.json: no such file",)),
        (("main.dist", "--output-dir", "main.dist/reports"), "", ("inside of main.dist", "--output-dir")),
        (("main.dist", "--env", "conda:nowhere"), "", ("no conda environment",)),
        (("main.dist", "--ignore", "DF1O1"), "", ("no such rule",)),
    ],
)
def test_bad_input(
    cli: Run, broken: Path, tmp_path: Path, arguments: tuple[str, ...], policy: str, words: tuple[str, ...]
) -> None:
    if policy:
        (tmp_path / "depfix.toml").write_text(policy)
    result = cli("audit", *arguments, cwd=tmp_path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    for word in words:
        assert word in result.err
    assert not (broken / "reports").exists()


def test_a_folder_that_cannot_be_written_is_told_before_the_work(cli: Run, broken: Path, tmp_path: Path) -> None:
    (tmp_path / "depfix-report").write_text("a file")
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert (result.code, result.out) == (3, "")
    assert "cannot write depfix-report" in result.err


def test_a_form_that_fails_does_not_lose_the_others(
    cli: Run, broken: Path, tmp_path: Path, extension: Callable[..., dict[str, str]]
) -> None:
    environ = extension(broken="BROKEN", absent="NO_SUCH_THING")
    (tmp_path / "depfix-report").mkdir()
    (tmp_path / "depfix-report" / "broken.txt").write_text("of an earlier run")
    result = cli("audit", "main.dist", cwd=tmp_path, environ=environ)
    assert result.code == 3
    assert "the extension 'broken' of others 1.0 cannot be used: RuntimeError: no report today" in result.err
    assert "the report absent could not be made: the extension 'absent' of others 1.0 cannot be used" in result.err
    assert result.out.splitlines()[-1] == "failed  main.dist: 1 error, 0 warnings"
    assert not (tmp_path / "depfix-report" / "broken.txt").exists()
    assert report(tmp_path / "depfix-report")["findings"]
    chosen = cli("audit", "main.dist", "--format", "json", cwd=tmp_path, environ=environ)
    assert chosen.code == 1
    asked = cli("audit", "main.dist", "--format", "absent", cwd=tmp_path, environ=environ)
    assert (asked.code, asked.out) == (3, "")


def test_an_interrupt_leaves_whole_files_alone(
    cli: Run, broken: Path, tmp_path: Path, extension: Callable[..., dict[str, str]]
) -> None:
    environ = extension(cut="CUT")
    result = cli("audit", "main.dist", "--format", "json", "--format", "cut", cwd=tmp_path, environ=environ)
    assert result.code == 130
    assert [one.name for one in (tmp_path / "depfix-report").iterdir()] == ["report.json"]
    assert report(tmp_path / "depfix-report")["findings"]


def test_github_actions_gets_annotations_and_a_summary(
    cli: Run, broken: Path, tmp_path: Path, extension: Callable[..., dict[str, str]]
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    environ = extension(github="GITHUB", markdown="MARKDOWN") | actions  # where depfix has its own, those are taken
    result = cli("audit", "main.dist", "--format", "json", cwd=tmp_path, environ=environ)
    assert result.code == 1
    assert re.search(r"(?m)^::error.*need\.dll", result.out)
    assert "error    DF101" not in result.out  # once is enough
    text = summary.read_text("utf-8")
    assert text.startswith("before\n")
    assert "need.dll" in text


def test_the_policy_in_effect_is_shown(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "depfix.toml").write_text(
        'target = "win7"\nbudgets.max-size = "1 MB"\n[[accept]]\nrule = "DF101"\nreason = "\\u001b[31mred"\n'
    )
    result = cli("audit", "--show-policy", "--fail-on", "never", cwd=tmp_path)
    assert result.code == 0
    lines = result.out.splitlines()
    assert 'target = "win7"  # depfix.toml:1' in lines
    assert "budgets.max-size = 1000000  # depfix.toml:2" in lines
    assert 'fail-on = "never"  # --fail-on' in lines
    assert 'output-dir = "depfix-report"  # default' in lines
    assert "[[accept]]  # depfix.toml:3" in lines
    assert 'reason = "\\U0000001b[31mred"' in lines
    assert "\x1b" not in result.out


# --- what a policy objects to ---


def objections(dist: Path, policy: Policy, inventory: Inventory | None = None) -> dict[tuple[str, str], str]:
    graph = Graph(Node(NodeKind.PROGRAM, "app.exe"))
    return {
        (one.rule, one.subject): one.message
        for one in check_policy(policy, Shipped(read_tree(str(dist)), graph, inventory))
    }


def test_budgets(make_dist: DistMaker) -> None:
    dist = make_dist(sources={"data/big.txt": "x" * 2_000_000})
    size = sum(path.stat().st_size for path in dist.rglob("*") if path.is_file())
    found = objections(dist, Policy(budgets=Budgets(size - 1, 2)))
    assert set(found) == {("DF701", "size"), ("DF701", "files")}
    assert "most of it is data/ (2.0 MB), " in found["DF701", "size"]
    assert "3 files, 1 more than allowed" in found["DF701", "files"]
    assert objections(dist, Policy(budgets=Budgets(size, 3))) == {}
    assert objections(dist, Policy(budgets=Budgets(1, 1), ignore=("DF701",))) == {}


def test_a_policy_is_where_its_findings_are(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    make_dist()
    (tmp_path / "depfix.toml").write_text('require-signature = "setup.exe"\n\n[budgets]\nmax-files = 1\n')
    cli("audit", "main.dist", cwd=tmp_path, environ={"GITHUB_WORKSPACE": str(tmp_path)})
    text = (tmp_path / "depfix-report" / "report.json").read_text("utf-8")
    places = {one["rule"]: one["locations"] for one in json.loads(text)["findings"]}
    assert places == {"DF701": [{"path": "depfix.toml", "line": 3}], "DF704": [{"path": "depfix.toml", "line": 1}]}
    annotations = (tmp_path / "depfix-report" / "annotations.txt").read_text("utf-8")
    assert "::error file=depfix.toml,line=3,title=DF701 over-budget::files: the dist has 2 files" in annotations
    sarif = json.loads((tmp_path / "depfix-report" / "report.sarif").read_text("utf-8"))
    place = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("depfix.toml", 3)
    cases = (tmp_path / "depfix-report" / "junit.xml").read_text("utf-8")
    assert 'name="DF702 forbidden-dll"' in cases  # it was checked, and passed


def test_dlls(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    make_dist({"pkg/core.pyd": ("libs.dll",), "libs.dll": (), "pkg/x264.dll": ()}, {"pkg/__init__.py": SOURCE})
    (tmp_path / "depfix.toml").write_text('forbid-dlls = ["X264*"]\nallow-dlls = ["python3*.dll", "pkg/*"]\n')
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert result.code == 1
    found = {one["subject"]: one for one in report(tmp_path / "depfix-report")["findings"] if one["rule"] == "DF702"}
    assert set(found) == {"libs.dll", "pkg/x264.dll"}
    assert list(found["libs.dll"]["chain"]) == ["app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "libs.dll"]
    assert "allow-dlls" in found["libs.dll"]["message"]
    assert 'forbid-dlls has "X264*"; nothing that depfix can see needs it' in found["pkg/x264.dll"]["message"]
    assert cli("audit", "main.dist", "--select", "DF101", cwd=tmp_path).code == 1  # what the policy asks stays asked
    assert cli("audit", "main.dist", "--ignore", "DF702", cwd=tmp_path).code == 0


def test_licences_and_components(make_dist: DistMaker) -> None:
    def component(name: str, licence: str, kind: ComponentKind = ComponentKind.DISTRIBUTION) -> Component:
        files = (InventoryFile(f"{name}/a.py", 3000, "", False),)
        return Component(kind, name, "1.0", licence, f"{name}-1.0.dist-info", files, ("app.exe", name))

    rows = (component("good", "MIT"), component("bad", "GPL-3.0-only"), component("mute", ""))
    inventory = Inventory((*rows, component("app.exe", "", ComponentKind.PROGRAM)))
    dist = make_dist(python=False)
    found = objections(dist, Policy(allow_licences=("MIT",)), inventory)
    assert set(found) == {("DF703", "bad"), ("DF703", "mute")}
    assert found["DF703", "bad"].startswith("bad 1.0 is under GPL-3.0-only, which the policy does not allow")
    assert found["DF703", "mute"].startswith("nothing says under which licence mute 1.0 is")
    assert set(objections(dist, Policy(forbid_licences=("GPL-*",)), inventory)) == {("DF703", "bad")}
    found = objections(dist, Policy(budgets=Budgets(components=(("b*", 2999), ("GOOD", 3000)))), inventory)
    assert set(found) == {("DF701", "bad")}


def test_licences_of_real_metadata(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    record = "pkg/__init__.py,,\npkg-1.0.dist-info/METADATA,,\npkg-1.0.dist-info/RECORD,,\n"
    metadata = "Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\nLicense-Expression: GPL-3.0-only OR MIT\n"
    make_dist(
        sources={"pkg/__init__.py": "", "pkg-1.0.dist-info/METADATA": metadata, "pkg-1.0.dist-info/RECORD": record}
    )
    (tmp_path / "depfix.toml").write_text('forbid-licences = ["GPL-*", "MIT"]\n')
    result = cli("audit", "main.dist", cwd=tmp_path)
    assert "pkg 1.0 is under GPL-3.0-only OR MIT, which the policy does not allow" in result.out
    (tmp_path / "depfix.toml").write_text('forbid-licences = ["GPL-*"]\n')
    assert cli("audit", "main.dist", cwd=tmp_path).code == 0


def test_signatures(make_dist: DistMaker) -> None:
    dist = make_dist({"signed.dll": (), "changed.dll": ()})
    sign(dist / "signed.dll")
    sign(dist / "changed.dll")
    with open(dist / "changed.dll", "ab") as file:
        file.write(b"more")
    found = objections(dist, Policy(require_signature=("*.exe", "*ed.dll", "setup.exe")))
    assert set(found) == {("DF704", "app.exe"), ("DF704", "changed.dll"), ("DF704", "setup.exe")}
    assert found["DF704", "app.exe"] == "app.exe has to be signed, and it has no signature"
    assert "were put behind its signature" in found["DF704", "changed.dll"]
    assert "no image of the dist is called so" in found["DF704", "setup.exe"]
