"""Names that somebody else chose must not become markup, commands or escape sequences in any form of a report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from markdown_it import MarkdownIt

from depfix.model.audit import Accepted, Verdict
from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
from depfix.model.plan import Action, Declined, Plan
from depfix.model.report import DistSummary, EnvironmentSummary, OwnSource, Report
from depfix.model.source import Provider
from depfix.reports.forms import Material, form
from tests.conftest import Cli, DistMaker
from tests.test_formats import check_junit, check_sarif, commands, results

NAMES = (
    "new\nline.dll",
    "a\r\n::error file=x::injected\r\n.dll",
    "::stop-commands::token",
    "x::add-mask::y.dll",
    "##[add-mask]secret",
    "%0A::error::x%0D%3A%2C%25",
    "\x1b[2J\x1b]0;title\x07\x9b31m.dll",
    "tab\tbell\x07null\0back\b.dll",
    "<script>alert(1)</script><img src=x onerror=alert(1)>.dll",
    "]]></failure><testcase name='x'/><!--.dll",
    "&lt;&#60;&amp;&nbsp;.dll",
    "`code` ``more`` | cell | `",
    "\\|\\`\\\\|.dll",
    "[click](https://evil.example/) ![img](x) <https://evil.example>",
    "https://evil.example www.evil.example a@evil.example",
    "@somebody #12 GH-1 **bold** _em_ ~~gone~~ $x$",
    "# heading\n- item\n> quote\n---\n| a | b |",
    "{0} {1} {{x}} [text](1)",
    "\u202egnp.exe\u2066\u200b\u2028\u2029\ufeff.dll",
    "\udcff\ud800 \ufffe\uffff.dll",
    "模型 Ünï \U0001f600\u3000.dll",
    "=cmd|'/c calc'!A1",
    "../../etc/passwd",
    "C:\\Windows\\x.dll",
    " ",
)
PLAIN = "plain.dll"
FORMS = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")


def material(name: str, root: Path) -> Material:
    """Return a report in which everything that comes from files, environments and policies bears this name."""
    one = Finding(
        "DF101",
        "missing-dll",
        Severity.ERROR,
        Confidence.CERTAIN,
        name,
        f"{name} imports it",
        (Location(name, 3), Location(f"pkg/{name}")),
        (name, f"pkg/{name}:3", f"own{name}.py:7", name),
        Fix("copy", f"/env/{name}", name, name, name),
        trail=(name,),
    )
    cureless = replace(one, fix=None, no_fix=name, severity=Severity.WARNING, chain=(), locations=())
    alike = tuple(replace(one, subject=f"{name}{number}", chain=(name, f"{name}{number}")) for number in range(5))
    provider = Provider(name, "1")
    plan = Plan(
        (Action("copy", f"/e/{name}", name, provider, 1, "DF101", name, (name,)),), (Declined("DF101", name, name),)
    )
    dist = DistSummary(f"{root}/{name.replace('/', '-')}", "python", "Python folder", "3.10", "amd64", (name,), 1, 1)
    environments = (EnvironmentSummary(name, f"/env/{name}", "conda", "3.10", name),)
    own = (OwnSource(f"own{name}.py", f"{root}/src/own{name}.py".replace("\0", "")),)
    findings = (one, cureless, *alike)
    report = Report(
        dist, "win10", "Windows 10", "entry", environments, findings, plan, inside=name, checked=("DF101",), own=own
    )
    accepted = (Accepted(replace(one, identity="old"), name, name, "2030-01-01"),)
    return Material(report, Verdict(True, "error"), accepted, root=str(root))


def rendered(form_name: str, name: str, root: Path) -> str:
    return form(form_name).render(material(name, root))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_form_lets_a_name_do_anything(name: str, tmp_path: Path) -> None:
    for form_name in FORMS:
        text = rendered(form_name, name, tmp_path)
        text.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", text), form_name
        assert form_name == "github" or not list(commands(text)), form_name
        CHECKS[form_name](text, rendered(form_name, PLAIN, tmp_path))


def check_text(text: str, plain: str) -> None:
    assert len(text.split("\n")) == len(plain.split("\n"))


def check_json(text: str, plain: str) -> None:
    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: keys(each) for key, each in value.items()}
        return [keys(each) for each in value] if isinstance(value, list) else None

    assert keys(json.loads(text)) == keys(json.loads(plain))


def check_log(text: str, plain: str) -> None:
    run, like = check_sarif(text), check_sarif(plain)
    assert len(results(run)) == len(results(like)) == 8
    uris = re.findall(r'"uri": "([^"]*)"', text)
    assert all(re.fullmatch(r"[A-Za-z0-9._~%/:-]+", uri) for uri in uris)
    for result in results(run):
        words = result["message"]["text"]  # type: ignore[index]
        assert "](" not in words
        assert not re.search(r"(?<!\{)\{(?:\{\{)*\d", words)


def check_suites(text: str, plain: str) -> None:
    found, like = check_junit(text), check_junit(plain)
    assert (found.tests, found.failures, found.skipped) == (like.tests, like.failures, like.skipped) == (2, 1, 1)
    tags = [[element.tag for element in etree.fromstring(one.encode()).iter()] for one in (text, plain)]
    assert tags[0] == tags[1]


def check_commands(text: str, plain: str) -> None:
    found, like = list(commands(text)), list(commands(plain))
    assert [command for command, _, _ in found] == [command for command, _, _ in like]
    assert all(set(properties) <= {"file", "line", "title"} for _, properties, _ in found)
    assert len(text.split("\n")) == len(plain.split("\n"))


def check_issues(text: str, plain: str) -> None:
    found, like = json.loads(text), json.loads(plain)
    assert len(found) == len(like)
    assert all(row["description"].isprintable() or "\u3000" in row["description"] for row in found)


def check_markdown(text: str, plain: str) -> None:
    def blocks(one: str) -> list[str]:
        return [token.type for token in parser.parse(one)]

    parser = MarkdownIt("gfm-like")
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False})  # GitHub links no bare "name.py"; `www.` is looked for below
    assert blocks(text) == blocks(plain)
    inline = [child for token in parser.parse(text) for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "code_inline", "html_inline", "strong_open", "strong_close"}
    assert {child.content for child in inline if child.type == "html_inline"} == {"<br>"}
    assert sum(child.type == "strong_open" for child in inline) == 1
    prose = "\n".join(child.content for child in inline if child.type == "text")
    assert not re.search(r"@\w|#\d", prose)
    assert not re.search(r"://|www\.", re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", text))


CHECKS: dict[str, Callable[[str, str], None]] = {
    "text": check_text,
    "json": check_json,
    "sarif": check_log,
    "junit": check_suites,
    "github": check_commands,
    "gitlab": check_issues,
    "markdown": check_markdown,
}


@pytest.mark.parametrize(
    "name", ["\x1b]0;title\x07\n::error::x.dll", "::add-mask::x.dll", "##[error]\u202ex.dll"], ids=ascii
)
def test_no_command_prints_what_a_name_holds(cli: Callable[..., Cli], make_dist: DistMaker, name: str) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core\n"})
    os.symlink(dist / "nowhere", dist / name)
    for arguments in (
        ("scan", dist, "-v"),
        ("repair", dist),
        ("why", dist, name),
        ("tree", dist, name),
        ("undo", dist),
    ):
        result = cli(*arguments)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", result.out + result.err), arguments
        assert not list(commands(result.out + result.err)), arguments
    assert "DF501 not-looked-at  " in cli("scan", dist).out


# --- a dist and an environment in which every name is hostile, through every command ---

ESCAPE, COMMAND, ELEMENT = "\x1b]0;owned\x07", "\n::error::owned\n", "<img src=x onerror=owned()>"
BARE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(make_dist: DistMaker, make_conda: Callable[..., Path]) -> tuple[Path, Path]:
    """Return a dist and an environment: files, folders, imported DLLs, modules, data, packages, versions, licences."""
    need = "need_whose_name_is_long_enough.dll"
    source = f"""import ctypes, importlib
from . import core
for name in ({ESCAPE + ".dll"!r}, {COMMAND + ".dll"!r}, {ELEMENT + ".dll"!r}):
    ctypes.CDLL(name)
    importlib.import_module(name)
open(__file__ + {"/" + ESCAPE + ELEMENT!r}).read()
open({"/home/" + COMMAND + ELEMENT!r}).read()
"""
    dist = make_dist({"pkg/core.pyd": (need,)}, {"pkg/__init__.py": source})
    core = dist / "pkg" / "core.pyd"
    name = f"{ESCAPE}{ELEMENT}".encode()[: len(need) - 4] + b".dll"
    core.write_bytes(core.read_bytes().replace(need.encode(), name.ljust(len(need), b"x")))
    for one in (ESCAPE, COMMAND, ELEMENT, "\u202egnp"):
        (dist / f"{one}.dll").write_bytes(b"MZ")
        (dist / f"{one}.dist").mkdir()
        (dist / f"{one}.dist" / "x.py").write_text("import (")
        (dist / f"{one}.exe.manifest").write_text("<assembly>")
        info = dist / f"p{one}-1.0.dist-info"
        info.mkdir()
        fields = (
            f"Name: p{one}\nVersion: 1{one}\nLicense: MIT {one}\nRequires-Dist: q{one} >1\nRequires-Dist: q >{one}\n"
        )
        (info / "METADATA").write_text(fields)
        (info / "RECORD").write_text(f'"gone{one}.pyd",sha256=x,1\npkg/gone.pyd,,\n')
    env = make_conda({"Library/bin/good.dll": ()}, name=f"env{ELEMENT}")
    for number, one in enumerate((ESCAPE, COMMAND, ELEMENT)):
        row = {
            "name": f"n{one}",
            "version": f"1{one}",
            "files": [f"Library/bin/{one}.dll"],
            "license": one,
            "depends": [],
        }
        (env / "conda-meta" / f"n{number}-1-0.json").write_text(json.dumps(row))
        (env / "Library" / "bin" / f"{one}.dll").write_bytes((env / "Library" / "bin" / "good.dll").read_bytes())
    return dist, env


def harmless(text: str, words: str) -> None:
    found = re.search("[\x1b\x07\u202e]" if text.startswith("<!DOCTYPE html>") else BARE, text)  # else of its libraries
    assert not found, (words, found)
    assert not [found for found in commands(text) if "owned" in str(found[0])], words
    assert "\n::error::owned" not in text, words


@pytest.mark.parametrize("form_name", [*FORMS, "html", "cyclonedx"])
def test_every_form_of_a_real_scan(cli: Callable[..., Cli], hostile: tuple[Path, Path], form_name: str) -> None:
    dist, env = hostile
    result = cli("scan", dist, "--env", f"conda:{env}", "--format", form_name, "-v")
    assert result.code in (0, 1), result.err
    harmless(result.out + result.err, form_name)
    if form_name == "html":
        page = etree.fromstring(result.out.encode(), etree.HTMLParser())
        assert not page.xpath("//*[@onerror]") and not page.xpath("//img[@src='x']")
    if form_name in ("markdown", "html"):
        assert ELEMENT not in re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", result.out)


def test_every_command_on_hostile_names(cli: Callable[..., Cli], hostile: tuple[Path, Path], tmp_path: Path) -> None:
    dist, env = hostile
    log = tmp_path / f"{ELEMENT}.log"
    log.write_text(f"ImportError: DLL load failed while importing {ESCAPE}{ELEMENT}: {COMMAND}\n{ESCAPE}\n" * 3)
    spec = f"conda:{env}"
    for arguments in (
        ("why", dist, "core.pyd", "--env", spec),
        ("why", dist, f"{ESCAPE}.dll"),
        ("tree", dist, "--env", spec),
        ("tree", dist, "core.pyd"),
        ("diff", dist, dist / "pkg"),
        ("diff", dist, dist, "--format", "markdown"),
        ("envs", dist),
        ("diagnose", log),
        ("diagnose", log, "--dist", dist, "--format", "json"),
        ("audit", dist, "--env", spec, "--output-dir", tmp_path / "reports"),
        ("repair", dist, "--env", spec, "--dry-run"),
        ("scan", f"{dist}{ESCAPE}{COMMAND}"),
        ("scan", dist, "--env", f"conda:{ESCAPE}{COMMAND}"),
        ("scan", dist, "--select", f"{ESCAPE}{COMMAND}"),
        ("explain", f"{ESCAPE}{COMMAND}"),
    ):
        result = cli(*arguments)
        assert result.code in (0, 1, 2), (arguments, result.err)
        assert "Traceback" not in result.err
        harmless(result.out + result.err, str(arguments[0]))
    for path in (tmp_path / "reports").iterdir():
        harmless(path.read_text("utf-8"), path.name)


def test_completion_offers_no_hostile_name(cli: Callable[..., Cli], hostile: tuple[Path, Path]) -> None:
    dist, env = hostile
    for words, number in ((f"depfix why {dist} ", "3"), ("depfix scan --env conda:", "3")):
        asked = {"_DEPFIX_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}
        result = cli(environ={**asked, "CONDA_PREFIX": str(env)}, cwd=dist)
        harmless(result.out + result.err, words)
