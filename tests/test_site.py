"""The site of the docs: it is built strictly, in English and Chinese, and loads nothing from the web."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.site_pages import ROOT, TOP_LEVEL, gather, site_markdown

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
