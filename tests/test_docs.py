"""README, docs and changelog say what is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix import __version__
from depfix.knowledge.rules import rules
from fixtures.write_rules import TARGETS, rules_page
from tests.conftest import Cli

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_shows_the_help_as_it_is(cli: Callable[..., Cli]) -> None:
    for name, language in (("README.md", "en"), ("README.zh-CN.md", "zh")):
        shown = cli("--help", environ={"COLUMNS": "100", "DEPFIX_LANG": language}).out.rstrip()
        assert f"$ depfix --help\n{shown}\n```" in (ROOT / name).read_text("utf-8")


def _readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


COMMANDS = (
    "scan",
    "repair",
    "audit",
    "undo",
    "verify",
    "diagnose",
    "diff",
    "why",
    "tree",
    "envs",
    "cache",
    "cache info",
    "cache clear",
    "explain",
    "doctor",
    "nuitka-plugin",
    "completion",
)


def test_every_option_in_the_docs_exists_and_every_option_is_in_the_docs(cli: Callable[..., Cli]) -> None:
    page = "".join((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("usage", "environments"))
    helps = {"": cli("--help").out} | {name: cli(*name.split(), "--help").out for name in COMMANDS}
    real = {option for text in helps.values() for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)}
    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
    nuitka = {"--deployment", "--nofollow-import-to", "--include-module", "--standalone", "--user-plugin"}
    nuitka |= {"--depfix-fail-on", "--depfix-repair"}  # of the plugin
    pip = {"--platform", "--python-version", "--only-binary"}
    assert written <= real | nuitka | pip
    common = {"--help", "--all", "--quiet", "--verbose", "--output"}
    assert real - written <= common | nuitka


def test_the_rule_page_is_the_catalogue() -> None:
    for language, page in TARGETS.items():
        assert page.read_text("utf-8") == rules_page(language), "run: python -m fixtures.write_rules"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_rules_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    assert set(re.findall(r"\bDF\d{3}\b", text)) <= {rule.code for rule in rules()}
    assert max(map(len, text.splitlines())) < 700


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in text or f"## [{__version__}]" in text


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)", _readme())):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_nothing_names_a_machine_or_a_registry() -> None:
    private = re.compile(r"/root/|/home/[a-z]|/work/|files\.pythonhosted|pypi\.org/simple", re.I)
    folders = ("depfix", "docs", "fixtures", "tests", ".ci")
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".json", ".tsv")
    ]
    for path in [*files, ROOT / "README.md", ROOT / "Makefile", ROOT / "CHANGELOG.md", ROOT / "pyproject.toml"]:
        if path.name != Path(__file__).name:
            assert not private.search(path.read_text("utf-8")), path
