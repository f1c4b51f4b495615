"""Members of families that the program chooses, and those whose name is put together at run time."""

# ruff: noqa: F401, F811 (fixtures of another file)
from __future__ import annotations

from pathlib import Path

import pytest

from depfix.imports.reader import read_source
from depfix.imports.uses import SettingUse, SourceTarget
from tests.conftest import put
from tests.test_modules import put_text
from tests.test_named import (
    MakeDist,
    Namer,
    findings,
    loading,
    namer,
    needy,
    plain,
    rows,
    stocked,
)

WINDOWS = {"DF106 error probable qwindows.dll"}
OFFSCREEN = {"DF106 error probable qoffscreen.dll"}


# --- what a source says ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("os.environ['NAME'] = 'value'", [("NAME", "value", False)]),
        ("os.environ['name'] = 'value'", [("NAME", "value", False)]),  # Windows: without case
        ("os.environ.setdefault('NAME', 'value')", [("NAME", "value", True)]),
        ("os.environ.update(NAME='value', OTHER='more')", [("NAME", "value", False), ("OTHER", "more", False)]),
        ("os.environ.update({'NAME': 'value', 'OTHER': 'more'})", [("NAME", "value", False), ("OTHER", "more", False)]),
        ("os.putenv('NAME', 'value')", [("NAME", "value", False)]),
        ("VALUE = 'val' + 'ue'\nos.environ['NAME'] = VALUE", [("NAME", "value", False)]),
        ("os.environ['NAME'] = input()", [("NAME", "", False)]),
        ("os.environ['PATH'] = 'value'", []),
        ("other.environ['NAME'] = 'value'", []),
        ("print(os.environ['NAME'], os.environ.get('NAME', 'value'))", []),
        ("run(['-name', 'value'])", [("-name", "value", False)]),
        ("run(argv + ('--name', 'value'))", [("--name", "value", False)]),
        ("run(['-name'], 'value')", []),
        ("os.environ.update([('NAME', 'value')])", []),
    ],
)
def test_what_is_set(source: str, expected: list[tuple[str, str, bool]]) -> None:
    facts = read_source(f"import os\n{source}\n".encode(), SourceTarget((3, 10)))
    uses = [use for use in facts.uses if isinstance(use, SettingUse)]
    assert [(use.name, use.value, use.default) for use in uses] == expected


# --- what the program asks for ---


def scanned(dist: Path, folder: Path, source: str) -> set[str]:
    put_text(folder / "program.py", f"import os\n{source}\nimport pkg\n")
    return rows(dist, None, folder / "program.py")


@pytest.mark.parametrize("trigger", ["qt5gui.dll", "qt6gui.dll"])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", WINDOWS),
        ("os.environ['QT_QPA_PLATFORM'] = 'offscreen'", OFFSCREEN),
        ("os.environ['QT_QPA_PLATFORM'] = 'Offscreen:fontengine=freetype'", OFFSCREEN),
        ("os.environ.setdefault('QT_QPA_PLATFORM', 'offscreen')", OFFSCREEN),
        ("os.environ['QT_QPA_PLATFORM'] = 'windows'\nos.environ.setdefault('QT_QPA_PLATFORM', 'minimal')", WINDOWS),
        ("os.environ['QT_QPA_PLATFORM'] = 'minimal'\nos.environ['QT_QPA_PLATFORM'] = 'offscreen'", OFFSCREEN),
        ("os.environ['QT_QPA_PLATFORM'] = 'minimal'\narguments = ['-platform', 'offscreen']", OFFSCREEN),
        (
            "def main():\n    os.environ['QT_QPA_PLATFORM'] = 'offscreen'\nif __name__ == '__main__':\n    main()",
            OFFSCREEN,
        ),
        ("def unused():\n    os.environ['QT_QPA_PLATFORM'] = 'offscreen'", WINDOWS),
        ("if os.cpu_count() == 1:\n    os.environ['QT_QPA_PLATFORM'] = 'offscreen'", WINDOWS),
        ("if os.name != 'nt':\n    os.environ['QT_QPA_PLATFORM'] = 'offscreen'", WINDOWS),
        ("os.environ['QT_QPA_PLATFORM'] = input()", set()),
        ("os.environ['QT_STYLE'] = 'offscreen'", WINDOWS),
        ("os.environ['QT_QPA_PLATFORM'] = 'offscreen;minimal'", OFFSCREEN),
        ("import mine", OFFSCREEN),
    ],
)
def test_the_platform_that_the_program_asks_for(
    loading: MakeDist, tmp_path: Path, trigger: str, source: str, expected: set[str]
) -> None:
    put_text(tmp_path / "mine.py", "import os\nos.environ['QT_QPA_PLATFORM'] = 'offscreen'\n")
    assert scanned(loading(trigger), tmp_path, source) == expected


def test_what_is_asked_for_is_there(loading: MakeDist, plain: Path, stocked: MakeDist, tmp_path: Path) -> None:
    dist = loading("qt6gui.dll")
    put(plain, dist / "pkg" / "bin" / "platforms" / "qminimal.dll")
    assert scanned(dist, tmp_path, "os.environ['QT_QPA_PLATFORM'] = 'minimal'") == set()
    assert scanned(dist, tmp_path, "os.environ['QT_QPA_PLATFORM'] = 'offscreen;minimal'") == set()  # the next is taken
    assert scanned(dist, tmp_path, "os.environ['QT_QPA_PLATFORM'] = 'offscreen'") == OFFSCREEN


def test_who_asks_for_it_is_told(loading: MakeDist, tmp_path: Path) -> None:
    dist = loading("qt6gui.dll")
    put_text(tmp_path / "program.py", "import os\nos.environ['QT_QPA_PLATFORM'] = 'offscreen'\nimport pkg\n")
    (finding,) = findings(dist, None, tmp_path / "program.py")
    assert finding.identity == "pkg/bin/platforms/qoffscreen.dll"
    assert "the program asks for it by QT_QPA_PLATFORM" in finding.message


def test_a_library_does_not_choose(loading: MakeDist, tmp_path: Path) -> None:
    dist = loading("qt6gui.dll")
    put_text(dist / "library" / "__init__.py", "import os\nos.environ['QT_QPA_PLATFORM'] = 'offscreen'\n")
    assert scanned(dist, tmp_path, "import library") == WINDOWS


# --- names that are put together ---

FFMPEG = "opencv_videoio_ffmpeg4100_64.dll"


@pytest.mark.parametrize("trigger", ["cv2.pyd", "cv2.cp310-win_amd64.pyd", "opencv_videoio4100.dll"])
def test_ffmpeg_of_opencv(loading: MakeDist, namer: Namer, needy: Path, stocked: MakeDist, trigger: str) -> None:
    dist = loading(trigger, ["opencv_videoio_", "4100_64.dll"])
    environment = stocked(f"Library/bin/{FFMPEG}")
    assert rows(dist) == set()  # the program goes on without
    assert rows(dist, environment) == {f"DF106 info possible {FFMPEG}"}
    put(needy, dist / "pkg" / "bin" / FFMPEG)
    assert rows(dist, environment) == {"DF101 info possible need.dll"}


def test_opencv_of_another_release(loading: MakeDist, stocked: MakeDist) -> None:
    dist = loading("cv2.pyd", ["opencv_videoio_", "490_64.dll"])
    assert rows(dist, stocked(f"Library/bin/{FFMPEG}")) == set()
    dist = loading("cv2.pyd", ["opencv_videoio_"])
    assert rows(dist, stocked(f"Library/bin/{FFMPEG}", name="other")) == set()
