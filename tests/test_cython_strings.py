"""Strings that Cython modules keep in one packed text: found in real wheels and in generated images, never a crash."""

from __future__ import annotations

import bz2
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depfix.pe.cython_strings import _expanded
from depfix.pe.headers import open_headers
from depfix.pe.stack_tables import _of_code
from depfix.pe.strings import dotted_names, has_string, whole_strings
from fixtures.compile_c import compile_c
from fixtures.windows_lab import download

WHEELS = ("cymem==2.0.16", "preshed==3.0.15", "aiohttp==3.14.5", "srsly==2.5.6")
_IMPORT = re.compile(r"^(?:import ([\w.]+)|from ([\w.]*) import ([\w, ]+))$", re.MULTILINE)


def imported(source: str) -> set[str]:
    """Return the modules and names in the import statements of a .pyx that stand on one line each."""
    found: set[str] = set()
    for plain, module, names in _IMPORT.findall(source):
        if module != "__future__":
            found.update(part for part in (plain, module.lstrip(".")) if part and not module.startswith("."))
            found.update(name.split()[0] for name in names.split(",") if name.strip())
    return {name for name in found if not name.isupper()}  # constants are looked up once, at compile time


@pytest.mark.lab
@pytest.mark.parametrize("requirement", WHEELS)
def test_what_a_real_cython_module_imports_stands_in_its_strings(requirement: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(download(requirement, "3.11")) as wheel:
        wheel.extractall(tmp_path)
    compared = 0
    for source in sorted(tmp_path.rglob("*.pyx")):
        names = imported(source.read_text("utf-8"))
        for image in source.parent.glob(f"{source.stem}.*.pyd"):
            assert b"cython_runtime" in image.read_bytes()
            assert whole_strings(image, frozenset(names)) == names, image.name
            compared += len(names)
    assert compared > 0


# --- generated images ---

STRINGS = ["A message. " * 40, "", "été", "__main__", "__mro_entries__", "__name__", "queue", "package.module", "rr"]
STRINGS += [f"name_{number}" for number in range(30)]


def literal_lzss(text: bytes) -> bytes:
    """Pack a text without any reference back: eight characters behind a byte of flags."""
    return b"".join(b"\xff" + text[at : at + 8] for at in range(0, len(text), 8))


def referring_lzss(text: bytes, nearest: int) -> bytes:
    """Pack a text with references of each of the three forms, wherever what follows stood before."""
    tokens: list[tuple[bool, bytes]] = []
    at = 0
    while at < len(text):
        length, start = 0, -1
        for size in (40, 20, 8, 4):
            start = text.rfind(text[at : at + size], 0, at) if at + size <= len(text) else -1
            if start >= 0:
                length = size
                break
        offset = at - start - length
        if start < 0 or offset < 0:
            tokens.append((True, text[at : at + 1]))
            at += 1
            continue
        tokens.append((False, reference(offset, length - 3, nearest)))
        at += length
    groups = [tokens[begin : begin + 8] for begin in range(0, len(tokens), 8)]
    return b"".join(
        bytes((sum(plain << place for place, (plain, _) in enumerate(group)),)) + b"".join(data for _, data in group)
        for group in groups
    )


def reference(offset: int, length: int, nearest: int) -> bytes:
    if offset < 0x80:
        return bytes((offset, length))
    offset -= nearest
    if offset < 0x200 and length < 0x20:
        return bytes((0x80 | (offset & 0x7F), (offset & 0x180) >> 2 | length))
    return bytes((0x80 | (offset & 0x7F), 0x80 | offset >> 7, length))


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "literal": literal_lzss,
    "lzss": lambda text: referring_lzss(text, 0x80),
    "alpha": lambda text: referring_lzss(text, 0),
}


@pytest.fixture(scope="module", params=PACKED)
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cython")
    raw = [text.encode() for text in STRINGS]
    data = ",".join(map(str, b"\0" + PACKED[request.param](b"".join(raw)) + b"\0"))
    lengths = ",".join(f"{{{len(text)}}}" for text in raw)
    source = f"""
    __declspec(dllexport) const char mark[] = "cython_runtime";
    __declspec(dllexport) const unsigned char text[] = {{{data}}};
    __declspec(dllexport) const struct {{ unsigned int length : 12; }} lengths[] = {{{lengths}}};
    """
    (folder / "made.c").write_text(source)
    return compile_c(folder / "made.c", folder / "made.dll")


def test_each_form_of_the_text_is_read(packed: Path) -> None:
    wanted = frozenset(("queue", "rr", "name_0", "name_29", "absent", "name", "r"))
    assert whole_strings(packed, wanted) == {"queue", "rr", "name_0", "name_29"}
    assert dotted_names(packed, frozenset(("package",))) == {"package.module"}
    assert has_string(packed, frozenset(("queue", "absent"))) == {"queue"}


@pytest.mark.parametrize("nearest", [0, 0x80])
def test_an_expanded_text_is_the_one_that_was_packed(nearest: int) -> None:
    text = b"".join(f"line {number % 37} of a text that repeats itself; ".encode() for number in range(400))
    assert _expanded(referring_lzss(text, nearest) + b"\0", 0, nearest)[: len(text)] == text
    assert _expanded(literal_lzss(text), 0, nearest) == text


@given(st.binary(max_size=400))
def test_random_streams_do_not_raise(data: bytes) -> None:
    _expanded(b"\xffabcdefgh" * 6 + data, 0, 0x80)


def test_what_unpacks_without_end_is_left(tmp_path: Path) -> None:
    bomb = (
        zlib.compress(b"\0" * (1 << 24)) * 8
        + b"\0\xffabcdefgh"
        + b"\x07abc\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff" * 2000
    )
    eights = b"__main__" * 2000 + b"__name__" * 2000
    data = ",".join(map(str, b"cython_runtime\0" + bomb + b"\0" + eights))
    source = f"__declspec(dllexport) const unsigned char text[] = {{{data}}};\n"
    numbers = ",".join(["8"] * 20000)
    (tmp_path / "made.c").write_text(f"{source}__declspec(dllexport) const unsigned int lengths[] = {{{numbers}}};\n")
    made = compile_c(tmp_path / "made.c", tmp_path / "made.dll")
    assert "absent" not in whole_strings(made, frozenset(("absent",)))


# --- tables in code ---


def test_numbers_that_code_puts_on_the_stack(packed: Path) -> None:
    pe = open_headers(packed)
    assert pe is not None
    frame = b"".join(b"\xc7\x45" + bytes((0x80 + 4 * at,)) + (at + 1).to_bytes(4, "little") for at in range(10))
    deep = b"".join(
        b"\xc7\x84\x24" + (0x200 + 4 * at).to_bytes(4, "little") + (at + 50).to_bytes(4, "little") for at in range(9)
    )
    assert [list(row) for row in _of_code(pe, frame + b"\x90" * 20 + deep, 0x1000, iter(range(1000)))] == [
        list(range(50, 59)),
        list(range(1, 11)),
    ]
    apart = [list(row) for row in _of_code(pe, frame + b"\x90" * 1000 + frame, 0x1000, iter(range(1000)))]
    assert apart == [list(range(1, 11))] * 2


@given(st.binary(max_size=600))
def test_random_code_does_not_raise(packed: Path, data: bytes) -> None:
    pe = open_headers(packed)
    assert pe is not None
    list(_of_code(pe, data, 0x1000, iter(range(1000))))
