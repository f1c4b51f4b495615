"""Names as Windows compares them."""

from __future__ import annotations

import pytest

from depfix.model.names import base_name, dll_file_name, fold


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
