"""Nuitka programs that are made up byte by byte: other pointer widths, older versions, and what nobody meant to be read."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.dist.tree import read_tree
from depfix.frozen.contents import FrozenModule, Storage
from depfix.frozen.nuitka import read_nuitka
from depfix.frozen.nuitka_build import read_build
from depfix.frozen.nuitka_constants import Dialect, _decode
from depfix.frozen.nuitka_exe import read_exe
from depfix.frozen.nuitka_guard import guard_places
from depfix.frozen.nuitka_report import read_report

EXTENSION, PACKAGE, BYTECODE, EXCLUDED, MAIN = 1, 2, 4, 64, 128
TEXT, DATA, RAW = 0x1000, 0x2000, 0x400


@dataclass(frozen=True)
class Row:
    name: str
    flags: int = 0
    code: bytes = b""
    reason: str = ""


CODES = {f"standard{number}": b"\xe3" + bytes([number]) * (number + 3) for number in range(30)}
ROWS = (
    Row("__main__"),
    Row("app", PACKAGE),
    Row("app.größe"),
    Row("_ssl", EXTENSION),
    *(Row(name, BYTECODE | (PACKAGE if name.endswith("7") else 0), code) for name, code in CODES.items()),
    Row("outside", EXCLUDED, reason="Module is exact match of 'outside'."),
    Row("outside", EXCLUDED, reason="Twice."),
    Row("standard3", EXCLUDED, reason="It is inside, too."),
)
EXPECTED = {
    row.name: FrozenModule(
        row.name,
        {0: Storage.COMPILED, EXTENSION: Storage.EXTENSION, BYTECODE: Storage.BYTECODE, EXCLUDED: Storage.EXCLUDED}[
            row.flags & ~PACKAGE
        ],
        bool(row.flags & PACKAGE),
        row.reason,
    )
    for row in reversed(ROWS)
}
# The values of a module in the way of each dialect, with a function f(a) in all that have code objects.
MODULES = {
    Dialect.FIXED: (b"anumpy\0", b"l\1\0\0\0", b"q\1\0\0\0\0\0\0\0", b"T\2utext in it\0p", b"g-\1\0\0\0" + bytes(8)),
    Dialect.FLAGS_NO_QUALNAME: (b"anumpy\0", b"C\2af\0\5T\1aa\0\1\0", b"D\1s\x76\x0atext in it"),
    Dialect.FLAGS: (
        b"anumpy\0",
        b"C\5af\0\5T\1aa\0\1aX.f\0\0",
        b"D\1s\x76\x0atext in it",
        b"K\0",
        b"W\0aC\0\1n",
        b"Y\2\1nn",
    ),
}


def section(values: Iterable[bytes]) -> bytes:
    values = tuple(values)
    return struct.pack("<H", len(values)) + b"".join(values)


def blob(dialect: Dialect = Dialect.FLAGS, shared: tuple[bytes, ...] = ()) -> bytes:
    def sized(code: bytes) -> bytes:
        return b"X" + (struct.pack("<I", len(code)) if dialect is Dialect.FIXED else bytes((len(code),))) + code

    names = ("__main__", "app", "app.größe")
    parts = {
        ".bytecode": section(map(sized, CODES.values())),
        "": section(shared),
        **{name: section(MODULES[dialect]) for name in names},
    }
    return b"".join(name.encode() + b"\0" + struct.pack("<I", len(part)) + part for name, part in parts.items())


def image(wide: bool, pointers: bool, rows: Iterable[Row] = ROWS, constants: bytes | None = None) -> bytes:
    """A program with a loader table of one of the two kinds, for 64 or 32 bits."""
    width, base = (8, 0x140000000) if wide else (4, 0x400000)
    data = bytearray(16)

    def put(raw: bytes, align: int = 1) -> int:
        data.extend(bytes(-len(data) % align))
        data.extend(raw)
        return base + DATA + len(data) - len(raw)

    def number(value: int) -> bytes:
        return value.to_bytes(width, "little")

    entries, index = [], 0
    for row in rows:
        name, function = put(row.name.encode() + b"\0"), put(row.reason.encode() + b"\0") if row.reason else 0
        function = base + TEXT if not row.flags & (EXTENSION | BYTECODE | EXCLUDED) else function
        rest = struct.pack("<iiI", index if row.code else 0, len(row.code), row.flags)
        index += bool(row.code)
        fields = [name, *[0] * 6, function, *[0] * 3] if pointers else [name, function]
        entries.append(b"".join(map(number, fields)) + rest + bytes(-len(rest) % width))
    if pointers:
        places = [put(entry, width) for entry in entries]
        put(b"".join(map(number, places)), width)
    else:
        put(b"".join(entries), width)
    put(number(0) * 4)
    put(blob() if constants is None else constants)
    return headers(wide, base, len(data)) + bytes(0x200) + bytes(data)


def headers(wide: bool, base: int, size: int) -> bytes:
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<HHIIIHH", 0x8664 if wide else 0x14C, 2, 0, 0, 0, 240 if wide else 224, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 14, 0, 0x200, size, 0, TEXT, TEXT)
    optional += struct.pack("<Q", base) if wide else struct.pack("<II", DATA, base)
    optional += struct.pack("<IIHHHHHHIIIIHH", 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x1000000, RAW // 2, 0, 3, 0)
    optional += struct.pack("<4QII" if wide else "<4III", *[0x1000] * 4, 0, 16) + bytes(128)
    sections = struct.pack("<8sIIIIIIHHI", b".text", 0x200, TEXT, 0x200, RAW // 2, 0, 0, 0, 0, 0x60000020)
    sections += struct.pack("<8sIIIIIIHHI", b".data", size, DATA, size, RAW, 0, 0, 0, 0, 0xC0000040)
    return (dos + b"PE\0\0" + coff + optional + sections).ljust(RAW // 2, b"\0")


@pytest.mark.parametrize("pointers", [False, True], ids=["structs", "pointers"])
@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits"])
def test_both_tables_are_read_for_both_widths(tmp_path: Path, wide: bool, pointers: bool) -> None:
    (tmp_path / "a.exe").write_bytes(image(wide, pointers))
    found = read_nuitka(read_tree(str(tmp_path)), "a.exe")
    assert found is not None
    assert found.modules == EXPECTED
    assert {name: found.code(name) for name in CODES} == CODES
    assert found.strings("app.größe") == {"numpy", "text in it", ""}
    places = guard_places(str(tmp_path / "a.exe"))
    assert not isinstance(places, str)
    assert {name: len(rows) for name, rows in places.items()} == {"outside": 2}
    data = (tmp_path / "a.exe").read_bytes()
    for place in places["outside"]:
        assert data[place.offset : place.offset + place.width] == place.present.to_bytes(place.width, "little")
        at = place.lifted - (0x140000000 if wide else 0x400000) - DATA + RAW
        assert data[at:].startswith((b"Module is exact match", b"Twice"))


@pytest.mark.parametrize("dialect", Dialect)
def test_the_constants_of_each_age_are_read(tmp_path: Path, dialect: Dialect) -> None:
    (tmp_path / "a.exe").write_bytes(image(True, False, constants=blob(dialect)))
    exe = read_exe(str(tmp_path / "a.exe"))
    assert exe is not None and exe.constants is not None
    assert exe.constants.dialect is dialect
    assert {"numpy", "text in it"} <= exe.strings("app") <= {"numpy", "text in it", ""}
    assert exe.code("standard29") == CODES["standard29"]


@pytest.mark.parametrize(("shared", "hides"), [((b"alower\0", b"alstat\0"), True), ((b"alower\0",), False)])
def test_whether_folders_are_hidden_is_told_by_the_shared_constants(
    tmp_path: Path, shared: tuple[bytes, ...], hides: bool
) -> None:
    (tmp_path / "a.exe").write_bytes(image(True, False, constants=blob(shared=shared)))
    found = read_nuitka(read_tree(str(tmp_path)), "a.exe")
    assert found is not None and found.hides_folders is hides


def test_a_main_module_in_a_package_is_called_main(tmp_path: Path) -> None:
    rows = (Row("app.__main__", MAIN), *ROWS[1:])
    (tmp_path / "a.exe").write_bytes(image(True, True, rows, blob().replace(b"\0__main__\0", b"\0app.__main__\0")))
    exe = read_exe(str(tmp_path / "a.exe"))
    assert exe is not None and exe.table is not None
    assert exe.table.modules()["__main__"] == FrozenModule("__main__", Storage.COMPILED)
    assert "numpy" in exe.strings("__main__")


def test_constants_without_a_table_still_tell_the_compiled_modules(tmp_path: Path) -> None:
    (tmp_path / "a.exe").write_bytes(image(True, False, ROWS[:2]))
    found = read_nuitka(read_tree(str(tmp_path)), "a.exe")
    assert found is not None
    assert set(found.modules) == {"__main__", "app", "app.größe"}
    assert found.origin == "the constants of a.exe"
    assert "no loader table" in found.problem and "which standard modules" in found.problem
    assert guard_places(str(tmp_path / "a.exe")) == "its loader table has an unknown layout"


def test_sections_that_lead_out_of_the_file_end_the_constants(tmp_path: Path) -> None:
    whole = blob()
    for damaged in (
        whole[:20],
        whole[:-3],
        whole.replace(b"app\0", b"ap\n\0"),
        b".bytecode\0" + b"\xff" * 40,
        b".bytecode",
    ):
        (tmp_path / "a.exe").write_bytes(image(True, True, constants=damaged))
        exe = read_exe(str(tmp_path / "a.exe"))
        assert exe is not None and exe.table is not None
        assert exe.strings("app.größe") == frozenset()
        assert exe.code("standard1") in (None, CODES["standard1"])


@pytest.mark.parametrize("pointers", [False, True], ids=["structs", "pointers"])
def test_wild_pointers_and_cut_ends_are_survived(tmp_path: Path, pointers: bool) -> None:
    whole, chance = image(True, pointers), random.Random(4)
    path = tmp_path / "a.exe"
    started = time.perf_counter()
    for turn in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 40)):
            at = RAW + chance.randrange(len(data) - RAW - 8)
            wild = chance.choice((0, 2**64 - 1, 0x140000000 + chance.randrange(0x4000), chance.getrandbits(64)))
            data[at : at + 8] = wild.to_bytes(8, "little")
        path.write_bytes(data[: chance.randrange(len(data))] if turn % 3 == 0 else data)
        exe = read_exe(str(path))
        guard_places(str(path))
        for row in ROWS if exe is not None else ():
            assert exe is not None
            exe.strings(row.name)
            exe.code(row.name)
    assert time.perf_counter() - started < 60


def test_a_file_full_of_the_same_pointer_takes_no_long_time(tmp_path: Path) -> None:
    """Each pointer could begin a table of its own."""
    name = 0x140000000 + DATA + 16
    cells = struct.pack("<Q", name) * 400_000
    data = bytes(16) + b"__main__".ljust(16, b"\0") + cells
    (tmp_path / "a.exe").write_bytes(headers(True, 0x140000000, len(data)) + bytes(0x200) + data)
    started = time.perf_counter()
    assert read_nuitka(read_tree(str(tmp_path)), "a.exe") is None
    assert time.perf_counter() - started < 60


@settings(max_examples=400, deadline=None)
@given(
    raw=st.binary(max_size=200)
    | st.lists(st.sampled_from([*map(bytes, b"TLDSPeauvwsCKWYgGlqZ:JAHX\0\1\2.")]), max_size=80).map(b"".join),
    dialect=st.sampled_from(Dialect),
)
def test_any_bytes_may_be_constants(raw: bytes, dialect: Dialect) -> None:
    found = _decode(raw, dialect)
    assert found is None or all(isinstance(one, str) for one in found)


def test_huge_counts_and_deep_values_are_survived() -> None:
    most = b"\xff" * 8 + b"\x7f"
    for letter in (b"T", b"D", b"g", b"v", b"X", b"b"):
        assert _decode(b"\1\0" + letter + most, Dialect.FLAGS) is None
    assert _decode(b"\1\0" + b"T\1" * 200_000 + b"adeep\0", Dialect.FLAGS) == frozenset(("deep",))


# --- reports and build folders ---------------------------------------------------------------------------------------


def report(body: str, head: str = "") -> str:
    return f'<?xml version="1.0" encoding="utf8"?>{head}<nuitka-compilation-report nuitka_version="4.3.3" completion="yes">{body}</nuitka-compilation-report>'


def test_a_report_with_a_document_type_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    (tmp_path / "r.xml").write_text(report("<x>&b;</x>", bomb), encoding="utf-8")
    assert "document type" in str(read_report(str(tmp_path / "r.xml")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no complete XML"),
        ("<project/>", "no compilation report"),
        (report("")[:-5], "no complete XML"),
        (report("<a>&undefined;</a>"), "no complete XML"),
        ("\0\1", "no complete XML"),
    ],
)
def test_what_is_no_report_is_told(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.xml").write_text(text, encoding="utf-8")
    assert reason in str(read_report(str(tmp_path / "r.xml")))
    assert "cannot be read" in str(read_report(str(tmp_path / "none.xml")))
    assert "cannot be read" in str(read_report(str(tmp_path)))


def test_odd_values_in_a_report_are_survived(tmp_path: Path) -> None:
    usages = '<module_usages><module_usage/><module_usage name="x" line="²"/><module_usage name="y" line="-1"/></module_usages>'
    body = f'<module_usage name="outside"/><module/><module name="a" kind="?"/><module name="m" kind="PythonMainModule">{usages}</module>'
    (tmp_path / "r.xml").write_text(report(body + "<output/><option/>"), encoding="utf-8")
    found = read_report(str(tmp_path / "r.xml"))
    assert not isinstance(found, str)
    assert set(found.modules) == {"a", "__main__"}
    assert [(one.usage.name, one.usage.line) for one in found.usages["__main__"]] == [("x", 0), ("y", 0)]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.sampled_from('{"\\,&=;\n $0123abNULL_|xé'), max_size=200))
def test_any_text_may_be_the_loader_source(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("build")
    (folder / "__loader.c").write_text(
        "struct Nuitka_MetaPathBasedLoaderEntry meta_path_loader_entries[] = {\n" + text, encoding="utf-8"
    )
    found = read_build(str(folder))
    assert found is None or found


def test_escapes_in_c_strings_are_undone(tmp_path: Path) -> None:
    (tmp_path / "__loader.c").write_text(
        'x meta_path_loader_entries[] = {\n{"gr\\303\\266\\xc3\\x9fe", NULL, 3, 9, NUITKA_BYTECODE_FLAG | NUITKA_PACKAGE_FLAG\n},\n'
        '{"out", NUITKA_CAST_INIT_REASON("not \\"in\\" it\\\\"), 0, 0, NUITKA_EXCLUDED_MODULE_FLAG\n},\n};\n',
        encoding="utf-8",
    )
    assert read_build(str(tmp_path)) == {
        "größe": FrozenModule("größe", Storage.BYTECODE, True),
        "out": FrozenModule("out", Storage.EXCLUDED, reason='not "in" it\\'),
    }
    assert read_build(str(tmp_path / "none")) is None
