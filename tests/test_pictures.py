"""The pictures of the docs are current: the terminal shows what the quick start shows, the house what is linted."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from fixtures import house_picture, terminal_picture
from fixtures.site_pages import ROOT

PAGES = {"en": "quick-start.md", "zh": "quick-start.zh.md"}


def _terminal_lines(picture: Path) -> list[str]:
    """The lines that a picture of a terminal shows; each is drawn as runs of one style at one height."""
    matrix = picture.read_text("utf-8").split("-matrix")[-2:][-1]
    rows: dict[float, str] = {}
    for y, text in re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>(.*?)</text>', matrix):
        rows[float(y)] = rows.get(float(y), "") + unescape(text)
    return [rows[y].replace("\xa0", " ").rstrip() for y in sorted(rows)]


@pytest.mark.parametrize("language", PAGES)
def test_the_terminal_shows_what_the_page_shows(language: str) -> None:
    """Each paragraph, however it is wrapped, is on the page, whose commands tests/test_doc_blocks.py runs."""
    name, _ = terminal_picture.LANGUAGES[language]
    lines = _terminal_lines(terminal_picture.ASSETS / name)
    page = (ROOT / "docs" / PAGES[language]).read_text("utf-8")
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    assert commands == [shot.command for shot in terminal_picture.SHOTS]
    assert all(f"$ {command}\n" in page for command in commands)
    paragraphs = re.split(r"\n(?:\$ .*|\.\.\.|)(?=\n|$)", "\n".join(["", *lines]))
    shown = "".join(page.split())
    for paragraph in paragraphs:
        assert "".join(paragraph.split()) in shown, f"python -m fixtures.terminal_picture {language}"
    assert "tensor([2, 3])" in lines


@pytest.mark.parametrize("language", house_picture.LANGUAGES)
def test_the_house_is_drawn_as_it_is_linted(language: str) -> None:
    name, _ = house_picture.LANGUAGES[language]
    shown = (ROOT / "docs" / "assets" / name).read_text("utf-8")
    assert shown == house_picture.draw(language), "python -m fixtures.house_picture"


def test_pictures_ask_no_server_for_anything() -> None:
    for picture in (ROOT / "docs" / "assets").glob("*.svg"):
        text = picture.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"\burl\(\s*[\"']?https?:|href=|@import", text), picture
