"""What a terminal shows: width, colours, groups, and characters that nobody sees."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.cli.wrapping import wrapped
from depfix.model.shown import cells, shown, shown_line
from tests.conftest import Cli, DistMaker

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(columns: int, *arguments: object, **environ: str) -> str:
    """Return what depfix prints on a terminal of this width, stdout only."""
    inner, outer = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    process = os.fork()
    if process == 0:
        os.dup2(outer, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        command = [sys.executable, "-m", "depfix", *map(str, arguments)]
        os.execvpe(sys.executable, command, {**env, "TERM": "xterm", "PYTHONUTF8": "1", **environ})
    os.close(outer)
    content = b""
    while chunk := _read(inner):
        content += chunk
    os.close(inner)
    os.waitpid(process, 0)
    return content.decode("utf-8").replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.fixture
def broken(make_dist: DistMaker) -> Path:
    many = tuple(f"lib{number:02}.dll" for number in range(30))
    texts = {"pkg/__init__.py": "from . import core\n"}
    return make_dist({"pkg/core.pyd": many}, texts)


def test_lines_fit_and_go_on_below_their_text(broken: Path) -> None:
    narrow = COLOUR.sub("", on_a_terminal(80, "scan", broken))
    lines = narrow.splitlines()
    assert max(cells(line) for line in lines if str(broken) not in line) <= 80
    start = lines.index("error    DF101 missing-dll  30 of one cause (probable)")
    assert lines[start + 1].startswith("         lib00.dll, lib01.dll,")
    assert lines[start + 2].startswith("         lib")
    wide = COLOUR.sub("", on_a_terminal(400, "scan", broken)).splitlines()
    assert any(line.endswith("lib28.dll, lib29.dll") and "lib00.dll" in line for line in wide)
    assert wide[-1] == lines[-1] == "30 errors, 0 warnings"


def test_colours(broken: Path) -> None:
    assert "\x1b[31m" in on_a_terminal(80, "scan", broken)
    for environ in ({"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal(80, "scan", broken, "-q", **environ)
        assert "\x1b" not in on_a_terminal(80, "explain", "DF101", **environ)
    assert "\x1b" in on_a_terminal(80, "explain", "DF101", TERM="dumb", FORCE_COLOR="1")


def test_columns_decides_the_width_of_a_terminal(broken: Path) -> None:
    lines = COLOUR.sub("", on_a_terminal(200, "explain", "DF101", COLUMNS="50")).splitlines()
    assert 40 < max(map(cells, lines)) <= 50


@pytest.mark.parametrize(
    ("before", "text", "width", "expected"),
    [
        ("error    ", "one two three", 0, ["one two three"]),
        ("error    ", "one two three", 22, ["one two three"]),
        ("> ", "one two three", 9, ["one two", "  three"]),
        ("", "  one two", 7, ["  one", "  two"]),
        ("a > ", "b > c > d", 12, ["b > c", "    > d"]),
        ("", "一二三 四五六 七", 13, ["一二三 四五六", "七"]),
        ("", "a/path/that/is/too/long for a line", 12, ["a/path/that/is/too/long", "for a line"]),
        ("get it     ", f"x 1.2: {'a/b' * 11}", 40, ["x 1.2:", " " * 7 + "a/b" * 11]),
        ("x" * 30, "one two", 33, ["one", "    two"]),
        ("", "", 10, [""]),
        ("", "a  b   c", 6, ["a  b", "c"]),
    ],
)
def test_wrapping(before: str, text: str, width: int, expected: list[str]) -> None:
    assert wrapped(before, text, width) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("模型 a\u3000b.dll", "模型 a\u3000b.dll"),
        ("a\x1b[31m\n\t\x9b", r"a\x1b[31m\n\t\x9b"),
        ("\u202egnp.exe\ufeff", r"\u202egnp.exe\ufeff"),
        ("\udcff\U000e0001", r"\udcff\U000e0001"),
        ("::error::x", r"\x3a:error::x"),
        ("  ::error::x::", r"  \x3a:error::x::"),
        ("a ::b::", "a ::b::"),
        ("x ##[group]", r"x \x23#[group]"),
        ("####[group]", r"##\x23#[group]"),
    ],
)
def test_what_is_shown_of_a_name(text: str, expected: str) -> None:
    assert shown_line(text) == expected
    assert shown(text).isprintable() or "\u3000" in text


def test_a_plan_shows_files_for_one_importer_together(
    cli: Callable[..., Cli], make_dist: DistMaker, make_conda: Callable[..., Path]
) -> None:
    names = tuple(f"lib{number}.dll" for number in range(5))
    dist = make_dist({"pkg/core.pyd": names}, {"pkg/__init__.py": "from . import core\n"})
    environment = make_conda({f"Library/bin/{name}": () for name in names[:1]})
    for name in names[1:]:
        shutil.copy(environment / "Library" / "bin" / names[0], environment / "Library" / "bin" / name)
    record = {"name": "libs", "version": "1.0", "files": [f"Library/bin/{name}" for name in names], "depends": []}
    (environment / "conda-meta" / "lib0-1.2.3-0.json").unlink()
    (environment / "conda-meta" / "libs-1.0-0.json").write_text(json.dumps(record))
    shown_plan = cli("repair", dist, "--env", f"conda:{environment}", "--dry-run", "--ignore", "DF104").out
    assert "copy 5 files, " in shown_plan
    assert "         lib0.dll, lib1.dll, lib2.dll, lib3.dll, lib4.dll\n" in shown_plan
    assert "pkg/core.pyd > each of them\n" in shown_plan
    assert f"from       {environment / 'Library' / 'bin'}/\n" in shown_plan
