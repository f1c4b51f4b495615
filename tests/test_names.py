"""Names as Windows compares them."""

from __future__ import annotations

import ntpath

import pytest

from depfix.model.names import base_name, dll_file_name, fold, long_path, plain_path, unsafe_name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("UV.DLL", "uv.dll", True),
        ("Ä.dll", "ä.DLL", True),
        ("中文.dll", "中文.DLL", True),
        ("straße.dll", "STRASSE.dll", False),
        ("\u212a.dll", "k.dll", False),  # the Kelvin sign
        ("ı.dll", "i.dll", False),  # the dotless i
        ("ﬁ.dll", "fi.dll", False),  # a ligature
    ],
)
def test_two_names_are_the_same_file(one: str, other: str, same: bool) -> None:
    assert (fold(one) == fold(other)) is same


@pytest.mark.parametrize(
    ("asked", "name"),
    [("kernel32", "kernel32.dll"), ("a.dll", "a.dll"), ("a.pyd", "a.pyd"), ("noext.", "noext"), ("a.b", "a.b")],
)
def test_load_library_adds_a_suffix_where_there_is_none(asked: str, name: str) -> None:
    assert dll_file_name(asked) == name


def test_base_name_knows_both_separators() -> None:
    assert base_name("a/b\\c.dll") == "c.dll"


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a.dll", "\\a.dll", "//server/share/a.dll", "\\\\?\\C:\\a.dll", "C:/a.dll", "C:a.dll", "c:"),
        *("..", "../a.dll", "a/../b.dll", "a/..", "./a.dll", "a//b.dll", "a/", "a/./b", "a\\b.dll", "a\\..\\b"),
        *(
            "CON",
            "con",
            "nul",
            "aux.txt",
            "AUX.tar.gz",
            "pkg/prn/a.dll",
            "com1",
            "COM9.dll",
            "lpt1.pyd",
            "com0",
            "lpt0",
        ),
        *("com\u00b9", "LPT\u00b3.txt", "conin$", "CONOUT$", "nul .txt", "a/nul", "nul/a"),
        *("a.", "a ", "a./b", "a /b", "...", "a.dll.", "a.dll "),
        *("a<b", "a>b", "a:b", "a.dll:stream", 'a"b', "a|b", "a?b", "a*b", "a\0b", "a\nb", "a\x1fb", "pkg/a\x01"),
        *("\udc80.dll", "\ud800", "a" * 256, "\U0001f600" * 128, f"a/{'b' * 300}/c"),
    ],
)
def test_what_windows_would_read_as_something_else_is_unsafe(path: str) -> None:
    assert unsafe_name(path)


@pytest.mark.parametrize(
    "path",
    [
        *("a.dll", "pkg/a.dll", ".hidden", "..a", "a..b", " a", "a b.dll", "a'b", "a,b;c=d", "$recycle", "a~1", "~"),
        *("console.dll", "con1", "com", "com10", "com1a.dll", "lpt\u00b4", "auxiliary/nullable.py", "xnul", "conin"),
        *("\u4e2d\u6587.dll", "\u00e4/\u00df.pyd", "a" * 255, "\U0001f600" * 127, "\x7f", "deep/" * 100 + "a"),
    ],
)
def test_what_windows_takes_as_it_is_written_is_safe(path: str) -> None:
    assert unsafe_name(path) == ""


@pytest.mark.parametrize(
    ("path", "long"),
    [
        (r"C:\app\main.dist", r"\\?\C:\app\main.dist"),
        (r"\\server\share\main.dist", r"\\?\UNC\server\share\main.dist"),
        (r"\\?\C:\app", r"\\?\C:\app"),
        (r"\\?\UNC\server\share", r"\\?\UNC\server\share"),
        (r"\\.\C:\app", r"\\.\C:\app"),
    ],
)
def test_a_long_path_is_written_with_a_prefix_and_shown_without(path: str, long: str) -> None:
    assert long_path(path) == long
    if not path.startswith((r"\\?", r"\\.")):
        assert plain_path(long) == path
        assert ntpath.splitdrive(plain_path(ntpath.join(long, "x")))[0] == ntpath.splitdrive(path)[0]


@pytest.mark.parametrize(
    "path", ["/srv/main.dist", r"C:\app", r"\\server\share", r"\\?\Volume{0}\app", "main.dist", ""]
)
def test_other_paths_are_shown_as_they_are(path: str) -> None:
    assert plain_path(path) == path
