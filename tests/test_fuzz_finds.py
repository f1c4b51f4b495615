"""What mutated images showed of the PE reader: each is read to its end, and says nothing that is not in it."""

from __future__ import annotations

import os
import random
import struct
import zlib
from pathlib import Path

import pytest

from depfix.model.image import Exports, Image, ImageProblem, ImportedDll
from depfix.pe.headers import Headers, _odd_headers, _regular_headers, parse_headers
from depfix.pe.manifest import parse_manifest
from depfix.pe.reader import read_image, read_image_data
from depfix.pe.strings import dll_names, has_string, whole_strings
from depfix.pe.symbols import read_exports, read_imported_symbols
from fixtures.fuzz import pe
from fixtures.fuzz.pe_places import layout_of
from fixtures.fuzz.pe_seeds import cython_image, forged, long_image
from fixtures.windows_lab import embedded_python

_RVA = 0x1000
_MARKED = b"cython_runtime\0__main__ __name__ "


def headers(content: bytes, directories: dict[int, tuple[int, int]] | None = None) -> Headers:
    """Return the headers of an image with this content."""
    return parse_headers(forged(content, directories or {}))


# --- two readers of headers ------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_headers_of_real_images_are_read_as_pefile_reads_them() -> None:
    paths = [path for path in sorted(embedded_python().iterdir()) if path.suffix in (".dll", ".pyd", ".exe")]
    assert len(paths) > 20
    for path in paths:
        data = path.read_bytes()
        assert _regular_headers(data) == _odd_headers(data), path.name


@pytest.mark.parametrize("number", range(150))
def test_headers_of_mutated_images_are_read_as_pefile_reads_them(number: int) -> None:
    seed = (cython_image(), long_image())[number % 2]
    data = pe._at_random(seed, layout_of(seed), random.Random(number))
    own = _regular_headers(data) if data[:2] == b"MZ" else None
    assert own is None or own == _odd_headers(data)


def test_a_section_that_no_alignment_allows_is_left_to_pefile() -> None:
    data = bytearray(forged(b"x", {}))
    row = data.index(b".data")
    struct.pack_into("<I", data, row + 20, 0x401)
    assert _regular_headers(bytes(data)) is None
    assert isinstance(read_image_data(bytes(data) + bytes(0x200)), Image)


@pytest.mark.lab
def test_mutated_images_are_read_by_every_function() -> None:
    for seed in pe.seeds():
        layout, rng = layout_of(seed), random.Random(1)
        for _ in range(40):
            pe.run(pe._at_random(seed, layout, rng))


# --- names of exports and imports ------------------------------------------------------------------------------------


def exporting(rvas: list[int], text: bytes) -> Headers:
    """Return an image that exports the names at these places of a text."""
    count = len(rvas)
    tables = _RVA + 64
    at = tables + 10 * count
    head = struct.pack("<12x7I", 0, 1, count, count, tables, tables + 4 * count, tables + 8 * count).ljust(64, b"\0")
    body = struct.pack(f"<{count}I", *[0x5000] * count) + struct.pack(f"<{count}I", *[at + one for one in rvas])
    return headers(head + body + struct.pack(f"<{count}H", *range(count)) + text, {0: (_RVA, 40)})


@pytest.mark.parametrize(
    ("rvas", "text", "names"),
    [
        ([0, 4, 8], b"one\0two\0six\0", {"one", "two", "six"}),
        ([8, 0, 4], b"one\0two\0six\0", {"one", "two", "six"}),
        ([0, 0, 8], b"one\0two\0six\0", {"one", "six"}),
        ([0, 8], b"one\0two\0six\0", {"one", "six"}),
        ([0, 1, 4], b"one\0two\0", {"one", "ne", "two"}),
        ([0, 3], b"one\0", {"one", ""}),
        ([0, 4], b"\xffne\0two\0", {"\\xffne", "two"}),
        ([0, 4], "é1\0two\0".encode(), {"é1", "two"}),
    ],
)
def test_names_are_those_of_the_table_wherever_they_stand(rvas: list[int], text: bytes, names: set[str]) -> None:
    exports = read_exports(exporting(rvas, text))
    assert isinstance(exports, Exports)
    assert exports.names == names
    assert exports.ordinals == set(range(1, len(rvas) + 1))


def test_two_images_with_the_same_exports_are_equal_wherever_the_names_stand() -> None:
    first, second = exporting([0, 4], b"one\0two\0"), exporting([0, 8], b"one\0six\0two\0")
    assert read_exports(first) == read_exports(second)
    assert read_exports(first) != read_exports(exporting([0, 4], b"one\0ten\0"))


def test_symbols_without_an_end_are_refused() -> None:
    table = _RVA + 64
    count = 3000
    thunks = struct.pack(f"<{count}Q", *[table + 8 * count + 8 + number for number in range(count)]) + bytes(8)
    descriptor = struct.pack("<5I", table, 0, 0, _RVA + 48, table).ljust(48, b"\0") + b"a.dll".ljust(16, b"\0")
    problem = read_imported_symbols(headers(descriptor + thunks + b"a" * (1 << 20), {1: (_RVA, 40)}))
    assert isinstance(problem, ImageProblem)
    assert "overlap or have no end" in problem.reason


def test_one_symbol_and_an_ordinal_are_read() -> None:
    thunks = struct.pack("<3Q", _RVA + 96, 1 << 63 | 7, 0)
    descriptor = struct.pack("<5I", _RVA + 64, 0, 0, _RVA + 48, _RVA + 64).ljust(48, b"\0") + b"a.dll".ljust(16, b"\0")
    content = (descriptor + thunks).ljust(96, b"\0") + b"\xff\xffcall\0"
    assert read_imported_symbols(headers(content, {1: (_RVA, 40)})) == (ImportedDll("a.dll", ("call",), (7,), False),)


# --- strings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("behind", "found"), [(b" queue ", {"queue"}), (b"xqueue ", set())])
def test_a_name_that_is_a_part_of_very_many_words(behind: bytes, found: set[str]) -> None:
    assert has_string(headers(b"xqueue" * 150_000 + behind), frozenset({"queue"})) == found


def test_very_many_dll_names_end() -> None:
    assert dll_names(headers(b"a.dll\0" * 150_000 + b"last.dll\0")) == ("a.dll",)


@pytest.mark.parametrize(
    "content",
    [
        b"\0" + b"\xffabcdefg\0" * 100_000,
        zlib.compress(b"abc") * 20_000,
        b"__main__x__name__" * 1000 + b"\0" + struct.pack("<I", 8) * 300_000,
        b"__main__x__name__" * 1000 + b"\0\0" + struct.pack("<2I", 8, 1) * 200_000,
    ],
)
def test_what_only_looks_like_packed_strings_holds_none(content: bytes) -> None:
    assert whole_strings(headers(_MARKED + content), frozenset({"queue"})) == frozenset()


def test_packed_strings_are_found_beside_code() -> None:
    names = frozenset({"queue", "package.module", "other"})
    assert whole_strings(parse_headers(cython_image()), names) == {"queue", "package.module"}


def test_a_manifest_of_more_than_a_megabyte_is_none() -> None:
    assert "larger than" in parse_manifest(b"<assembly>" + b"<a/>" * 300_000 + b"</assembly>").problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has named pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dll")
    problem = read_image(tmp_path / "pipe.dll")
    assert isinstance(problem, ImageProblem)
    assert (problem.unreadable, "no plain file" in problem.reason) == (True, True)
