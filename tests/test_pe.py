"""PE images as values, held against LIEF and against damage."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import lief
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.model.image import Exports, Image, ImageProblem
from depfix.model.machine import Machine
from depfix.pe.reader import read_image, read_image_data
from depfix.pe.symbols import read_exports, read_imported_symbols
from fixtures.windows_lab import embedded_python, lay_out_flat
from tests.conftest import Forge, delay_loading_dll


@pytest.mark.parametrize("machine", [Machine.AMD64, Machine.X86, Machine.ARM64])
def test_machine_kind_and_imports(forge: Forge, machine: Machine) -> None:
    image = read_image(forge("user.dll", ("first.dll", "Second.dll"), machine=machine.value))
    assert isinstance(image, Image)
    assert (image.machine, image.is_dll) == (machine, True)
    assert image.imports[:2] == ("first.dll", "Second.dll")
    program = read_image(forge("app.exe", machine=machine.value))
    assert isinstance(program, Image)
    assert not program.is_dll


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just text, no image", "no Windows image"),
        (b"MZ", "damaged"),
        (b"MZ" + bytes(200), "damaged"),
        (b"\x7fELF" + bytes(60), "no Windows image"),
    ],
)
def test_what_is_no_image_is_a_value_with_a_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.dll"
    path.write_bytes(content)
    problem = read_image(path)
    assert isinstance(problem, ImageProblem)
    assert words in problem.reason
    assert not problem.unreadable


def test_a_truncated_image_is_told(tmp_path: Path, forge: Forge) -> None:
    data = forge("whole.dll").read_bytes()
    problem = read_image_data(data[: len(data) // 2])
    assert isinstance(problem, ImageProblem)
    assert "cut off" in problem.reason


def test_what_cannot_be_read_is_unreadable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.dll", tmp_path, Path("/proc/self/mem")):
        problem = read_image(path)
        assert isinstance(problem, ImageProblem)
        assert problem.unreadable


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=12))
def test_no_damage_of_the_headers_raises(edits: list[tuple[int, int]]) -> None:
    data = bytearray(_small_image())
    for at, value in edits:
        data[at % len(data)] = value
    assert isinstance(read_image_data(bytes(data)), (Image, ImageProblem))


@cache
def _small_image() -> bytes:
    return (embedded_python() / "_uuid.pyd").read_bytes()


@pytest.mark.lab
def test_real_files_read_as_lief_reads_them(tmp_path: Path) -> None:
    requirements = ("numpy==1.26.4", "shapely==2.0.7", "pyzmq==26.2.1", "msvc-runtime==14.42.34433")
    dist = lay_out_flat(tmp_path / "dist", requirements)
    paths = [path for path in sorted(dist.rglob("*")) if path.suffix in (".dll", ".pyd", ".exe")]
    assert len(paths) > 60
    for path in paths:
        other = lief.PE.parse(str(path))
        image = read_image(path)
        assert other is not None
        assert isinstance(image, Image), f"{path.name}: {image}"
        assert list(image.imports) == list(dict.fromkeys(entry.name for entry in other.imports)), path.name
        assert list(image.delay_imports) == [entry.name for entry in other.delay_imports], path.name
        _compare_symbols(path, other)


def _compare_symbols(path: Path, other: lief.PE.Binary) -> None:
    exports, imported = read_exports(path), read_imported_symbols(path)
    assert isinstance(exports, Exports)
    assert not isinstance(imported, ImageProblem)
    table = other.get_export()
    entries = list(table.entries) if table is not None else []
    assert sorted(exports.names) == sorted(str(entry.name) for entry in entries if entry.name), path.name
    assert exports.ordinals == {entry.ordinal for entry in entries if entry.address or entry.is_forwarded}, path.name
    forwarded = sorted(str(entry.name) for entry in entries if entry.is_forwarded)
    assert sorted(one.name for one in exports.forwarders) == forwarded, path.name
    theirs = [(dll.name, sum(1 for _ in dll.entries)) for dll in other.imports]
    ours = [(dll.name, len(dll.symbols) + len(dll.ordinals)) for dll in imported if not dll.delayed]
    assert ours == theirs, path.name


def test_delay_loads_are_read(tmp_path: Path) -> None:
    path = delay_loading_dll(tmp_path, "lazy.dll", "later.dll")
    image = read_image(path)
    assert isinstance(image, Image)
    assert (image.imports, image.delay_imports) == ((), ("later.dll",))
    other = lief.PE.parse(str(path))
    assert other is not None
    assert [entry.name for entry in other.delay_imports] == ["later.dll"]
    imported = read_imported_symbols(path)
    assert not isinstance(imported, ImageProblem)
    assert [(dll.name, dll.symbols, dll.delayed) for dll in imported] == [("later.dll", ("call_later_dll",), True)]
