"""PE images as values: made by compilers, by hand, and damaged. Real files are in test_pe_facts."""

from __future__ import annotations

import struct
import time
from functools import cache
from pathlib import Path

import lief
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.model.image import Assembly, Exports, Image, ImageProblem, ImportedDll
from depfix.model.machine import Machine
from depfix.pe.manifest import parse_manifest, read_manifest
from depfix.pe.reader import read_image, read_image_data
from depfix.pe.strings import dll_names, dotted_names, has_string
from depfix.pe.symbols import read_exports, read_imported_symbols
from depfix.pe.version import parse_version, read_version
from fixtures.windows_lab import CACHE, embedded_python
from tests.conftest import Forge, delay_loading_dll, zig
from tests.test_pe_facts import disagreements


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


# --- made by a linker ------------------------------------------------------------------------------------------------

_SOURCE = r"""
struct load_configuration { unsigned size; char a[0x4A]; unsigned short flags; char b[0x78]; void *chpe; char c[0x70]; };
const struct load_configuration _load_config_used = { sizeof(struct load_configuration), {0}, 0, {0}, 0, {0} };
__declspec(dllexport) const char *const texts[] = {
    "plain.dll", "folder/Inner.DLL", "c:\\back\\slash.dll", "%s.dll", "lib*.dll", ".dll", "name.dll.mui", "plain.dll",
    "cannot load words.dll", "pkg.sub.module", "pkg.", "other.sub", "pkg.sub words", "alone", "not-alone", "xalonex",
    "v1.2-x+y_z.dll",
};
__declspec(dllexport) const unsigned short *const wide[] = { u"wide.dll", u"x\\deep.Dll", u"%ls.dll", u"no.dllx" };
"""
_MANIFEST = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <assemblyIdentity type="win32" name="own" version="1.2.3.4" processorArchitecture="amd64"/>
  <dependency><dependentAssembly>
    <assemblyIdentity type="win32" name="Microsoft.VC90.CRT" version="9.0.21022.8" processorArchitecture="amd64"
      publicKeyToken="1fc8b3b9a1e18e3b" language="*"/>
  </dependentAssembly></dependency>
  <file name="msvcr90.dll" hashalg="SHA1"/><file name="msvcp90.dll"/>
  <asmv3:trustInfo xmlns:asmv3="urn:schemas-microsoft-com:asm.v3"><asmv3:security/></asmv3:trustInfo>
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1"><application>
    <supportedOS Id="{8E0F7A12-BFB3-4FE8-B9A5-48FD50A15A9A}"/></application></compatibility>
</assembly>
"""
_RESOURCES = """%d 24 "app.manifest"
1 VERSIONINFO
FILEVERSION 1,2,3,4
PRODUCTVERSION 5,6,7,65535
BEGIN
  BLOCK "StringFileInfo"
  BEGIN
    BLOCK "040704b0" BEGIN VALUE "CompanyName", "Firma" VALUE "ProductName", "Produkt" END
    BLOCK "040904b0" BEGIN VALUE "CompanyName", "Company" VALUE "OriginalFilename", "resource.dll" END
  END
  BLOCK "VarFileInfo" BEGIN VALUE "Translation", 0x407, 1200, 0x409, 1200 END
END
"""


@cache
def _linked(suffix: str) -> Path:
    """Return an image with a load configuration, texts, a manifest and a version, linked as Microsoft's linker would."""
    folder = CACHE / "facts" / suffix.strip(".")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.c").write_text(_SOURCE)
    (folder / "app.manifest").write_text(_MANIFEST)
    (folder / "a.rc").write_text(_RESOURCES % (2 if suffix == ".dll" else 1))
    zig("cc", "-target", "x86_64-windows-gnu", "-c", "a.c", "-o", "a.obj", cwd=folder)
    zig("rc", "a.rc", cwd=folder)
    kind = ("-dll", "-noentry") if suffix == ".dll" else ("-entry:texts", "-subsystem:console")
    options = ("-dependentloadflag:0x800", f"-out:made{suffix}", "-guard:no")
    zig("lld-link", *kind, *options, "a.obj", "a.res", cwd=folder)
    return folder / f"made{suffix}"


@pytest.mark.parametrize("suffix", [".dll", ".exe"])
def test_load_configuration_manifest_and_version(suffix: str) -> None:
    image = read_image(_linked(suffix))
    assert isinstance(image, Image)
    assert (image.dependent_load_flags, image.by_msvc, image.guarded, image.hybrid) == (0x800, False, False, False)
    assert image.manifest is not None
    assert image.manifest.identity == Assembly("own", "1.2.3.4", "amd64", "", "")
    needed = Assembly("Microsoft.VC90.CRT", "9.0.21022.8", "amd64", "1fc8b3b9a1e18e3b", "*")
    assert image.manifest.dependencies == (needed,)
    assert image.manifest.files == ("msvcr90.dll", "msvcp90.dll")
    assert image.manifest.supported_os == ("{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}",)
    assert disagreements(_linked(suffix)) == []


def test_version_texts_prefer_english() -> None:
    version = read_version(_linked(".dll"))
    assert version is not None
    assert (version.file_version, version.product_version) == ((1, 2, 3, 4), (5, 6, 7, 65535))
    assert (version.company, version.product, version.description) == ("Company", "Produkt", "")
    assert version.original_name == "resource.dll"


def test_exports_tell_the_name_that_the_linker_gave(tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.dll"
    renamed.write_bytes(_linked(".dll").read_bytes())
    exports = read_exports(renamed)
    assert isinstance(exports, Exports)
    assert (exports.internal_name, exports.names) == ("made.dll", frozenset({"texts", "wide"}))


def test_dll_names_in_data() -> None:
    expected = {"plain.dll", "inner.dll", "slash.dll", "words.dll", "v1.2-x+y_z.dll", "wide.dll", "deep.dll"}
    names = dll_names(_linked(".dll"))
    assert set(names) == expected
    assert len(names) == len(expected)


def test_module_names_and_words_in_data() -> None:
    path = _linked(".dll")
    assert dotted_names(path, frozenset({"pkg"})) == {"pkg.sub.module"}
    assert dotted_names(path, frozenset()) == set()
    few = frozenset({"alone", "pkg", "xalone", "absent"})
    assert has_string(path, few) == {"alone", "pkg"}
    many = few | {f"absent{number}" for number in range(20)}
    assert has_string(path, many) == {"alone", "pkg"}


# --- made by hand ----------------------------------------------------------------------------------------------------

_RVA = 0x1000
_BASE32 = 0x400000


def _image(
    content: bytes, directories: dict[int, tuple[int, int]], *, wide: bool = False, flags: int = 0x40000040
) -> bytes:
    """Return an image of one section, at RVA 0x1000 and file offset 0x400, with these directories."""
    optional = struct.pack("<HBB", 0x20B if wide else 0x10B, 14, 29) + bytes(20)
    optional += struct.pack("<Q", 0x180000000) if wide else struct.pack("<II", 0, _BASE32)
    optional += struct.pack("<II", 0x1000, 0x200) + bytes(8) + struct.pack("<HH", 6, 2) + bytes(4)
    optional += struct.pack("<IIIHH", 0x100000, 0x400, 0, 3, 0x4000) + bytes(36 if wide else 20) + struct.pack("<I", 16)
    for index in range(16):
        optional += struct.pack("<II", *directories.get(index, (0, 0)))
    content = content.ljust(-(-len(content) // 512) * 512, b"\0")
    section = b".data".ljust(8, b"\0") + struct.pack("<IIII12xI", len(content), _RVA, len(content), 0x400, flags)
    coff = struct.pack("<HH12xHH", 0x8664 if wide else 0x14C, 1, len(optional), 0x2002)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0" + coff + optional + section
    return head.ljust(0x400, b"\0") + content


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("uses_rva", [False, True])
def test_delay_loads_with_virtual_addresses(tmp_path: Path, uses_rva: bool) -> None:
    base = 0 if uses_rva else _BASE32
    names = base + _RVA + 0x80
    descriptor = struct.pack("<8I", int(uses_rva), base + _RVA + 0x60, 0, 0, names, 0, 0, 0)
    table = struct.pack("<3I", base + _RVA + 0xA0, 0x80000007, 0)
    content = descriptor.ljust(0x60, b"\0") + b"old.dll".ljust(0x20, b"\0") + table.ljust(0x20, b"\0") + b"\0\0call\0"
    path = _write(tmp_path / "x.dll", _image(content, {13: (_RVA, 64)}))
    image = read_image(path)
    assert isinstance(image, Image)
    assert (image.delay_imports, image.subsystem, image.subsystem_version) == (("old.dll",), 3, (6, 2))
    assert read_imported_symbols(path) == (ImportedDll("old.dll", ("call",), (7,), True),)


def test_bound_imports_with_their_forwarders() -> None:
    directory = struct.pack("<IHHIHHIHHII", 1, 32, 1, 2, 40, 0, 3, 48, 0, 0, 0) + b"one.dll\0two.dll\0six.dll\0"
    data = _image(b"\0", {11: (0x300, 56)})
    image = read_image_data(data[:0x300] + directory + data[0x300 + len(directory) :])
    assert isinstance(image, Image)
    assert image.bound == ("one.dll", "two.dll", "six.dll")


@pytest.mark.parametrize(("size", "hybrid"), [(0xD0, True), (0xC8, False), (0, False)])
def test_hybrid_images_and_the_length_of_the_load_configuration(size: int, hybrid: bool) -> None:
    content = struct.pack("<I", size).ljust(0x4E, b"\0") + b"\0\x08"
    content = content.ljust(0xC8, b"\0") + struct.pack("<Q", 0x180001000)
    image = read_image_data(_image(content, {10: (_RVA, 0x140)}, wide=True))
    assert isinstance(image, Image)
    assert (image.hybrid, image.dependent_load_flags) == (hybrid, 0x800 if size else 0)


def test_a_resource_directory_that_leads_back_to_itself() -> None:
    entry = struct.pack("<12xHHII", 0, 1, 24, 0x80000000)
    image = read_image_data(_image(entry, {2: (_RVA, 0x100)}))
    assert isinstance(image, Image)
    assert image.manifest is None


def test_strings_of_code_and_of_a_damaged_image_are_none(tmp_path: Path) -> None:
    content = b"\0name.dll\0\0pkg.sub\0"
    path = _write(tmp_path / "data.dll", _image(content, {}))
    assert (dll_names(path), dotted_names(path, frozenset({"pkg"}))) == (("name.dll",), frozenset({"pkg.sub"}))
    code = _write(tmp_path / "code.dll", _image(content, {}, flags=0x60000020))
    text = _write(tmp_path / "text.dll", content)
    for other in (code, text, tmp_path / "absent.dll", tmp_path):
        assert (dll_names(other), dotted_names(other, frozenset({"pkg"}))) == ((), frozenset())
        assert has_string(other, frozenset({"name"})) == frozenset()
        assert read_version(other) is None


def test_words_over_the_borders_of_blocks(tmp_path: Path) -> None:
    many = frozenset({"needle", "eedle", "need", *(f"absent{number}" for number in range(10))})
    for shift in range(-8, 9):
        content = b"\1" * ((1 << 20) + shift) + b"needle\1"
        path = _write(tmp_path / "x.dll", _image(content, {}))
        assert has_string(path, many) == {"needle"}, shift


# --- manifests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_manifests_in_their_encodings(tmp_path: Path, encoding: str) -> None:
    text = _MANIFEST.replace("UTF-8", encoding.removesuffix("-sig"))
    path = tmp_path / "app.exe.manifest"
    path.write_bytes(text.encode(encoding) + "\0\0".encode(encoding.removesuffix("-sig").replace("16", "16-le")))
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.problem, len(manifest.dependencies), len(manifest.files)) == ("", 1, 2)
    assert read_manifest(tmp_path / "other.manifest") is None
    assert read_manifest(path / "inside.manifest") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no element"),
        ("<assembly>", "no element"),
        ("<configuration/>", "root element is configuration"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><assembly/>', "document type"),
        ('<?xml version="1.0" encoding="no-such"?><assembly/>', "unknown encoding"),
        ("<assembly><x:y/></assembly>", "unbound prefix"),
    ],
)
def test_manifests_that_cannot_be_read(text: str, words: str) -> None:
    manifest = parse_manifest(text.encode())
    assert words in manifest.problem
    assert (manifest.identity, manifest.dependencies, manifest.files) == (None, (), ())


def test_a_manifest_that_is_a_folder_has_a_problem(tmp_path: Path) -> None:
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert "cannot be read" in manifest.problem


# --- damage ----------------------------------------------------------------------------------------------------------


def _read_everything(path: Path) -> None:
    start = time.process_time()
    assert isinstance(read_image(path), (Image, ImageProblem))
    assert isinstance(read_exports(path), (Exports, ImageProblem))
    assert isinstance(read_imported_symbols(path), (tuple, ImageProblem))
    read_version(path)
    dll_names(path)
    dotted_names(path, frozenset({"pkg"}))
    has_string(path, frozenset({"alone"}))
    assert time.process_time() - start < 60


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4)), min_size=1, max_size=12),
    st.integers(0, 1 << 16),
)
def test_no_damage_raises_or_hangs(edits: list[tuple[int, bytes]], length: int) -> None:
    data = bytearray(_linked(".dll").read_bytes())
    for at, value in edits:
        data[at % len(data) : at % len(data) + len(value)] = value
    scratch = CACHE / "facts" / "damaged.dll"
    _read_everything(_write(scratch, bytes(data)))
    _read_everything(_write(scratch, bytes(data[: length % len(data)]) or b"M"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_no_random_bytes_raise(content: bytes) -> None:
    parse_manifest(content)
    parse_version(content)
    parse_version(struct.pack("<HHH", len(content) + 40, 52, 0) + "VS_VERSION_INFO\0".encode("utf-16-le") + content)
    directories = {index: (_RVA, len(content)) for index in (0, 1, 2, 6, 10, 13)} | {11: (0x40, 200)}
    for wide in (False, True):
        scratch = CACHE / "facts" / "random.dll"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        _read_everything(_write(scratch, _image(content, directories, wide=wide)))


def test_tables_that_name_one_long_text_are_refused(tmp_path: Path) -> None:
    count = 100_000
    text = b"a" * 30_000 + b"\0"
    table = _RVA + 0x40
    tables = struct.pack("<I", table + 6 * count) * count + b"\0\0" * count
    directory = struct.pack("<12x7I", 0, 1, 0, count, 0, table, table + 4 * count)
    path = _write(tmp_path / "x.dll", _image(directory.ljust(0x40, b"\0") + tables + text, {0: (_RVA, 40)}))
    problem = read_exports(path)
    assert isinstance(problem, ImageProblem)
    assert "overlap" in problem.reason
