"""The site of the docs: it is built strictly, in English and Chinese, and loads nothing from the web."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.site_pages import ROOT, TOP_LEVEL, gather, site_markdown
from tests.pages import ARGUMENTS, CHROMIUM

# What a page of the site has and a browser fetches by itself; links that a reader may follow are no such thing.
_LOADED = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]*)"|<link[^>]*\shref="([^"]*)"[^>]*rel="stylesheet"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    target = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--quiet", "--site-dir", str(target)]
    environ = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_every_page_is_there_in_both_languages(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    pages += [Path(page) for page in TOP_LEVEL.values()]
    for page in pages:
        name = Path(str(page).replace(".zh.md", ".md")).with_suffix(".html")
        assert (site / name).is_file()
        assert '<html lang="zh"' in (site / "zh" / name).read_text("utf-8")


def test_every_page_has_its_place_and_a_chinese_title() -> None:
    """The build does not say so: its plugin for languages keeps it from seeing pages that the menu does not have."""
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    menu = settings.partition("\nnav:\n")[2]
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    pages = [page for page in (*pages, *TOP_LEVEL.values()) if not page.endswith(".zh.md")]
    assert sorted(re.findall(r": (\S+\.md)$", menu, re.MULTILINE)) == sorted(pages)
    for title in re.findall(r"^ *- ([^:]+):", menu, re.MULTILINE):
        assert re.search(rf"^            {title}: \S", settings, re.MULTILINE), title


def test_pages_load_nothing_from_the_web(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        for match in _LOADED.finditer(text):
            assert not re.match(r"(https?:)?//", match[1] or match[2]), (page, match[0])


def test_links_are_rewritten_for_the_site() -> None:
    text = (
        "[a](docs/usage.md#exit-codes) ![p](docs/assets/a.svg) [中](README.zh-CN.md) [w](https://x.y/z) [m](Makefile)"
    )
    home = site_markdown(text, "README.md")
    assert home == "[a](usage.md#exit-codes) ![p](assets/a.svg) [中](index.zh.md) [w](https://x.y/z) m"
    inner = site_markdown("[u](usage.zh.md) [r](../rules.md)", "docs/tutorials/one.zh.md")
    assert inner == "[u](usage.md) [r](../rules.md)"
    assert site_markdown("[s](../../SECURITY.md)", "docs/tutorials/one.md") == "[s](../reporting.md)"


def test_gathering_follows_the_pages(tmp_path: Path) -> None:
    gone = tmp_path / "gone.md"
    gone.write_text("no page any more")
    gather(tmp_path)
    assert not gone.exists()
    home = tmp_path / "index.md"
    before = home.stat().st_mtime_ns
    gather(tmp_path)
    assert home.stat().st_mtime_ns == before


PAIRS = [(ROOT / "README.md", ROOT / "README.zh-CN.md")] + [
    (page.with_name(page.name.replace(".zh.md", ".md")), page) for page in sorted((ROOT / "docs").rglob("*.zh.md"))
]


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)
def test_a_page_is_built_alike_in_both_languages(english: Path, chinese: Path) -> None:
    """Headings, tables, blocks, options and rules are the same in number and order: what one says, the other says, too."""
    assert _outline(english) == _outline(chinese)


def _outline(page: Path) -> dict[str, list[str]]:
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    code = [piece.strip("`") for piece in re.findall(r"`[^`\n]+`", prose)]
    return {
        "headings": re.findall(r"^#+(?= )", prose, re.MULTILINE),
        "rows of tables": [str(row.count("|") - row.count("\\|")) for row in prose.splitlines() if row.startswith("|")],
        "languages of blocks": [language for language, _ in blocks],
        "commands": [
            re.sub(r"\s+#\s.*", "", line)
            for language, body in blocks
            if language == "console"
            for line in body.splitlines()
            if line.startswith("$ ")
        ],
        "configuration": [body for language, body in blocks if language in ("toml", "yaml", "sh")],
        "options": sorted({option for piece in code for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", piece)}),
        "rules": sorted(set(re.findall(r"\bDF\d{3}\b", text))),
        "pictures": [re.sub(r"\.zh\.svg", ".svg", one) for one in re.findall(r"!\[[^]]*\]\(([^)]*)\)", prose)],
    }


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_quotes_the_figures_of_the_fidelity_page(readme: str) -> None:
    page = (ROOT / "docs" / "fidelity.md").read_text("utf-8")
    text = (ROOT / readme).read_text("utf-8")

    def figure(pattern: str) -> list[int]:
        found = re.search(pattern, page)
        assert found, pattern
        return [int(number) for number in found.groups()]

    repaired, dists = figure(r"repair rate, bare \| \d+ dists \| (\d+)/(\d+)")
    removals, named, needed = figure(r"ablation, recall \| (\d+) removals \| (\d+)/(\d+)")
    silent, harmless = figure(r"silent on (\d+) of (\d+)")
    for number in (repaired, dists, removals, named, needed, harmless - silent, harmless):
        assert re.search(rf"(?<![\d,]){number:,}(?![\d,]*\d)", text), number


@pytest.mark.lab
@pytest.mark.parametrize(
    ("start", "words", "wanted"),
    [("index.html", "exit codes", "usage.html"), ("zh/index.html", "延迟加载", "zh/how-it-decides.html")],
)
def test_the_search_works_in_pages_that_are_opened_as_files(site: Path, start: str, words: str, wanted: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / start).as_uri())
        page.click("[data-md-component=search-query]")
        page.wait_for_function(
            "!/Initializing|初始化/.test(document.querySelector('.md-search-result__meta').textContent)"
        )
        page.type("[data-md-component=search-query]", words)
        page.press(
            "[data-md-component=search-query]", "End"
        )  # a key that comes up starts the search, and no key has 延
        page.wait_for_selector(f'a.md-search-result__link[href*="{wanted}"]', state="attached")
        chromium.close()
    assert not [url for url in asked if not url.startswith(("file:", "blob:", "data:"))]
