"""The inside of programs that are not Nuitka's: PyInstaller's archives, zips of modules, one-file programs, Python DLLs.

Those marked `lab` compare with real builds: name by name with what the freezer says it put in, and with what the
program itself says under Wine.
"""

from __future__ import annotations

import contextlib
import marshal
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.dist.tree import read_tree
from depfix.frozen import archive as archive_module
from depfix.frozen.archive import Archive, Joined, code_of_pyc, unpack
from depfix.frozen.archives import read_archives
from depfix.frozen.builtin import builtin_modules
from depfix.frozen.contents import Contents, FrozenModule, Storage
from depfix.frozen.marshalled import load_table
from depfix.frozen.packed import recognise_packed
from depfix.frozen.pyinstaller import read_pyinstaller
from depfix.frozen.zips import read_zip, read_zip_data
from fixtures.archives_of_freezers import MAGIC, a_bundle, a_pyz, a_zip

CODE = marshal.dumps(compile("MARK = 1", "module", "exec"))
PYC = b"\xcb\r\r\n" + bytes(12) + CODE


# --- archives written here -------------------------------------------------------------------------------------------


def program(folder: Path, content: bytes, **others: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "app.exe").write_bytes(content)
    for name, bytes_ in others.items():
        (folder / name.replace("__", ".")).write_bytes(bytes_)
    return folder


def bundle_in(folder: Path, content: bytes, **others: bytes) -> Archive | Joined | None:
    return read_pyinstaller(read_tree(str(program(folder, content, **others))), "app.exe")


USUAL = [
    ("o", "pyi-contents-directory _internal", b"", False),
    ("z", "PYZ.pyz", a_pyz({"pkg": (1, CODE), "pkg.mod": (0, CODE), "space": (3, b""), "text": (2, b"x")}), False),
    ("m", "struct", CODE, True),
    ("M", "early", PYC, True),
    ("s", "pyiboot01_bootstrap", CODE, True),
    ("s", "pyi_rth_inspect", CODE, True),
    ("s", "app", CODE, True),
]
NAMES = {"pkg", "pkg.mod", "space", "struct", "early", "pyiboot01_bootstrap", "pyi_rth_inspect", "__main__"}


def test_an_archive_at_the_end_of_a_program(tmp_path: Path) -> None:
    found = bundle_in(tmp_path, a_bundle(USUAL))
    assert found is not None and set(found.modules) == NAMES
    contents: Contents = found
    assert (contents.problem, contents.hides("pkg")) == ("", False)
    assert contents.modules["pkg"] == FrozenModule("pkg", Storage.BYTECODE, is_package=True)
    assert contents.modules["space"].is_package and contents.code("space") is None
    assert {contents.code(name) for name in NAMES - {"space"}} == {CODE}  # with a header or without
    assert contents.code("absent") is None
    assert contents.usages("pkg") == () and contents.strings("pkg") == frozenset()
    assert contents.origin == "the archive in app.exe and PYZ.pyz in app.exe"


@pytest.mark.parametrize(
    "content",
    [a_bundle(USUAL, old_cookie=True), a_bundle(USUAL, behind=bytes(5000)), a_bundle(USUAL, behind=MAGIC + bytes(90))],
    ids=["2.0", "signed", "the mark again behind it"],
)
def test_where_the_cookie_may_be(tmp_path: Path, content: bytes) -> None:
    found = bundle_in(tmp_path, content)
    assert found is not None and set(found.modules) == NAMES


def test_an_archive_beside_the_program(tmp_path: Path) -> None:
    found = bundle_in(tmp_path, b"MZ" + bytes(500), app__pkg=a_bundle(USUAL))
    assert found is not None and set(found.modules) == NAMES and found.origin.startswith("the archive in app.pkg")


def test_a_table_that_is_a_dict(tmp_path: Path) -> None:
    found = bundle_in(tmp_path, a_bundle([("z", "out00-PYZ.pyz", a_pyz({"a": (1, CODE)}, as_dict=True), False)]))
    assert found is not None and found.modules["a"].is_package and found.code("a") == CODE


def test_files_of_a_onefile_program(tmp_path: Path) -> None:
    base = a_zip({"encodings/__init__.pyc": PYC, "encodings/utf_8.pyc": PYC})
    files = [
        ("b", "python310.dll", b"dll", True),
        ("b", "pkg\\_fast.cp310-win_amd64.pyd", b"pyd", True),
        ("b", "_ssl.pyd", b"pyd!", False),
        ("x", "base_library.zip", base, True),
        ("x", "loose\\__init__.pyc", PYC, True),
        ("x", "pkg-1.0.dist-info\\METADATA", b"Name: pkg", True),
    ]
    found = bundle_in(tmp_path, a_bundle([*USUAL, *files]))
    assert isinstance(found, Joined)
    assert found.files[:3] == (("python310.dll", 3), ("pkg/_fast.cp310-win_amd64.pyd", 3), ("_ssl.pyd", 4))
    assert len(found.files) == len(files)
    assert found.modules["pkg._fast"] == FrozenModule("pkg._fast", Storage.EXTENSION)
    assert found.modules["_ssl"].storage is Storage.EXTENSION and found.code("_ssl") is None
    assert found.modules["loose"].is_package and found.code("loose") == CODE
    assert found.code("encodings.utf_8") == CODE
    assert (found.hides("encodings"), found.hides("pkg"), found.hides("absent")) == (True, False, False)


def test_a_library_in_the_folder_that_an_option_names(tmp_path: Path) -> None:
    folder = program(tmp_path, a_bundle([("o", "pyi-contents-directory inner", b"", False), *USUAL[1:]]))
    (folder / "inner").mkdir()
    (folder / "inner" / "base_library.zip").write_bytes(a_zip({"abc.pyc": PYC}))
    found = read_pyinstaller(read_tree(str(folder)), "app.exe")
    assert found is not None and "abc" in found.modules and found.origin.endswith("inner/base_library.zip")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("z", "PYZ.pyz", b"PYZ\0" + bytes(40), False)], "PYZ.pyz in app.exe: it is damaged"),
        ([("z", "PYZ.pyz", a_pyz({"a": (0, CODE)})[:-3], False)], "PYZ.pyz in app.exe: it is damaged"),
        ([("z", "PYZ.pyz", a_pyz({"a": (0, CODE)}), True)], "PYZ.pyz in app.exe: it is damaged"),
        ([("z", "PYZ.pyz", a_pyz({"a": (0, b"no code")}), False)], "its modules cannot be unpacked"),
        (
            [("z", "P", a_pyz({"a": (0, b"sealed")}), False), ("m", "pyimod00_crypto_key", CODE, True)],
            "its modules are encrypted (--key): their names are known, what they import is not",
        ),
        ([("d", "other.exe:_ssl.pyd", b"", False)], "it takes files from other programs (other.exe)"),
        ([("x", "base_library.zip", b"no zip", True)], "base_library.zip in app.exe: it is damaged"),
    ],
    ids=["empty PYZ", "cut PYZ", "packed PYZ", "no code", "encrypted", "other program", "library"],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, entries: list[tuple[str, str, bytes, bool]], words: str) -> None:
    found = bundle_in(tmp_path, a_bundle(entries))
    assert found is not None and words in found.problem


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_does_not_raise(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = bytearray(a_bundle([*USUAL, ("x", "base_library.zip", a_zip({"abc.pyc": PYC}), False)]))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(100, len(whole) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(whole[: data.draw(st.integers(0, len(whole)))]) if data.draw(st.booleans()) else bytes(whole)
    folder = program(tmp_path_factory.mktemp("damaged"), content)
    tree = read_tree(str(folder))
    found = read_archives(
        tree, "app.exe", "python310.dll", data.draw(st.sampled_from(["pyinstaller", "cx_freeze", ""]))
    )
    for name in found.modules if found is not None else ():
        found.code(name)  # type: ignore[union-attr]
    assert recognise_packed(tree, "app.exe") == ""
    assert builtin_modules(tree, "app.exe") == frozenset()


# --- marshalled tables -----------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.integers(-(2**58), 2**58) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(VALUES, st.integers(0, 4))
def test_tables_are_read_as_marshal_wrote_them(value: Any, version: int) -> None:
    try:
        found = load_table(marshal.dumps(value, version))
    except ValueError as error:
        assert "too deep" in str(error)
    else:
        assert found == value


def test_values_that_occur_twice() -> None:
    name, place = "pkg." + "x" * 3, (0, 17, 4000)
    table = [(name, place), (name, place), (name + "y", place)]
    assert load_table(marshal.dumps(table)) == table


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"(\xff\xff\xff\xff",
        b"[\xff\xff\xff\x7fNNN",
        b"u\xff\xff\xff\xffabc",
        b"r\0\0\0\0",
        b"l\xff\xff\xff\x7f",
        b"[\x01\0\0\0" * 5000,
        b"{[\0\0\0\0N0",
        CODE,
        marshal.dumps(1.5),
        marshal.dumps(frozenset({1})),
        marshal.dumps([b"bytes"]),
    ],
)
def test_whatever_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        load_table(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_table(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        load_table(data)


# --- zips ------------------------------------------------------------------------------------------------------------


def test_modules_of_a_zip(tmp_path: Path) -> None:
    members = {
        "a.pyc": PYC,
        "b.py": b"x = 1",
        "pkg/__init__.pyc": PYC,
        "pkg/__init__.py": b"",
        "pkg.py": b"never found",
        "pkg/sub.py": b"y = 1",
        "pkg/_fast.pyd": b"",
        "no-name.py": b"",
        "pkg/data.txt": b"",
    }
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        (tmp_path / "all.zip").write_bytes(a_zip(members, method))
        found = read_zip(tmp_path / "all.zip")
        assert found is not None and found.problem == "" and found.hides_folders
        assert {name: module.is_package for name, module in found.modules.items()} == {
            "a": False,
            "b": False,
            "pkg": True,
            "pkg.sub": False,
        }
        assert (found.code("a"), found.code("pkg"), found.code("b")) == (CODE, CODE, None)
        assert (found.source("b"), found.source("pkg")) == (b"x = 1", None)
    inner = read_zip(tmp_path / "all.zip", "pkg/")
    assert inner is not None and set(inner.modules) == {"__init__", "sub"}


def test_python_itself_finds_the_same_modules(tmp_path: Path) -> None:
    """zipimport is asked for each name: same modules, same packages, also where the zip is behind other bytes."""
    import zipimport

    members = {
        "a.pyc": PYC,
        "b.py": b"",
        "p/__init__.py": b"",
        "p.pyc": PYC,
        "p/q.py": b"",
        "r/s.py": b"",
        "p/t/u.py": b"",
    }
    path = tmp_path / "behind.zip"
    path.write_bytes(b"MZ" + bytes(777) + a_zip(members))
    found = read_zip(path)
    assert found is not None
    importer = zipimport.zipimporter(str(path))
    for name in ("a", "b", "p", "q", "absent"):
        spec = importer.find_spec(name)
        assert (spec is not None) == (name in found.modules)
        assert spec is None or (spec.submodule_search_locations is not None) == found.modules[name].is_package
    assert zipimport.zipimporter(f"{path}/r").find_spec("s") is not None and "r.s" in found.modules


@pytest.mark.parametrize("content", [b"", b"MZ", b"PK", bytes(1000), b"PK\5\6"])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no.zip").write_bytes(content)
    assert read_zip(tmp_path / "no.zip") is None
    assert read_zip(tmp_path / "absent.zip") is None


def test_damaged_and_hostile_zips() -> None:
    good = a_zip({"a.pyc": PYC, "b.pyc": PYC})
    encrypted = bytearray(good)
    at = good.index(b"PK\1\2")
    encrypted[at + 8] |= 1
    overlapping = bytearray(good)
    second = good.index(b"PK\1\2", at + 4)
    overlapping[second + 42 : second + 46] = bytes(4)
    large = bytearray(good)
    large[at + 24 : at + 28] = struct.pack("<I", 1 << 31)
    zip64 = bytearray(good)
    zip64[-10:-6] = b"\xff" * 4  # the size of the directory
    fewer = bytearray(good)
    fewer[second] = 0
    for data, words in (
        (good[:-30], "it is damaged: its directory is missing"),
        (encrypted, "1 of its 2 members are encrypted"),
        (overlapping, "it is damaged: its members overlap"),
        (large, "1 of its modules claim to be larger than 64 MiB"),
        (zip64, "it is a zip64 archive, which is not read"),
        (fewer, "it is damaged: 1 of its members are found, it says 2"),
    ):
        found = read_zip_data(bytes(data), "x.zip")
        assert found is not None and found.problem == f"x.zip: {words}"
    sealed = read_zip_data(bytes(encrypted), "x.zip")
    assert sealed is not None and (sealed.code("a"), sealed.code("b")) == (None, CODE)


def test_a_bomb_is_not_unpacked() -> None:
    """64 MiB of zeros in 64 kB: what claims its size is left out, and so is what lies about it."""
    data = bytearray(a_zip({"a.py": bytes(archive_module.LARGEST_MEMBER + 1)}))
    found = read_zip_data(bytes(data), "x.zip")
    assert found is not None and found.source("a") is None and "larger" in found.problem
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    lying = read_zip_data(bytes(data), "x.zip")
    assert lying is not None and lying.source("a") is None
    bomb = zlib.compress(bytes(archive_module.LARGEST_MEMBER + 1))
    assert unpack(bomb, 0, len(bomb)) is None


@given(st.binary(max_size=300), st.integers(0, 400))
def test_random_zips_do_not_raise(noise: bytes, at: int) -> None:
    good = a_zip({"a.pyc": PYC, "pkg/__init__.py": b""})
    for data in (noise + good, good[:at] + noise + good[at + len(noise) :], b"PK\3\4" + noise, noise + good[-22:]):
        found = read_zip_data(data, "x.zip")
        for name in found.modules if found is not None else ():
            found.code(name), found.source(name)  # type: ignore[union-attr]


def test_code_of_a_pyc() -> None:
    assert code_of_pyc(PYC) == CODE
    assert [code_of_pyc(data) for data in (None, b"", PYC[:16], CODE, b"\xcb\r\r\n" + bytes(40))] == [None] * 5


# --- which archives a program has ------------------------------------------------------------------------------------


def tree_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def archives_of(
    root: Path, files: dict[str, bytes], freezer: str, dll: str = "python310.dll"
) -> Archive | Joined | None:
    return read_archives(read_tree(str(tree_of(root, files))), "my-app.exe", dll, freezer)


@pytest.mark.parametrize("script", ["__main__my_app", "my_app__main__", "__main__renamed"])
def test_the_script_of_cx_freeze_is_main(tmp_path: Path, script: str) -> None:
    library = a_zip({f"{script}.pyc": PYC, "os.pyc": PYC, "pkg/__init__.pyc": PYC, "json/__main__.pyc": PYC})
    files = {"my-app.exe": b"MZ", "lib/named.zip": library, "lib/library.dat": b"named.zip\n"}
    files |= {"lib/pkg._fast.cp310-win_amd64.pyd": b"", "lib/_ssl.pyd": b"", "lib/other.mod.pyd": b""}
    found = archives_of(tmp_path, files, "cx_freeze")
    assert found is not None and found.code("__main__") == CODE and found.origin == "lib/named.zip"
    assert set(found.modules) == {"__main__", script, "os", "pkg", "pkg._fast", "json.__main__"}
    assert found.modules["pkg._fast"].storage is Storage.EXTENSION and found.code("pkg._fast") is None


def test_two_scripts_of_which_none_is_the_program(tmp_path: Path) -> None:
    library = a_zip({"__main__a.pyc": PYC, "__main__b.pyc": PYC})
    found = archives_of(tmp_path, {"my-app.exe": b"MZ", "library.zip": library}, "cx_freeze")
    assert found is not None and "__main__" not in found.modules


def test_older_and_looser_forms_of_cx_freeze(tmp_path: Path) -> None:
    appended = archives_of(
        tmp_path / "a",
        {"my-app.exe": b"MZ" + a_zip({"my_app__main__.pyc": PYC}), "library.zip": a_zip({"os.pyc": PYC})},
        "cx_freeze",
    )
    assert appended is not None and set(appended.modules) == {"my_app__main__", "__main__", "os"}
    loose = archives_of(tmp_path / "b", {"my-app.exe": b"MZ", "lib/__main__my_app.pyc": PYC}, "cx_freeze")
    assert loose is not None and loose.code("__main__") == CODE


def test_zips_on_the_search_path(tmp_path: Path) -> None:
    files = {
        "my-app.exe": b"MZ",
        "python310._pth": b"\xef\xbb\xbfpython310.zip\n.\n# no.zip\nother.zip/inner\nabsent.zip\nimport site\n",
        "python310.zip": a_zip({"os.pyc": PYC, "__main__.pyc": PYC}),
        "other.zip": a_zip({"inner/os.pyc": PYC, "inner/more.pyc": PYC, "outside.pyc": PYC}),
        "no.zip": a_zip({"never.pyc": PYC}),
        "Lib/site-packages/easy.pth": b"./pkg-1.0.egg\nimport never\n",
        "Lib/site-packages/pkg-1.0.egg": a_zip({"pkg/__init__.py": b""}),
    }
    found = archives_of(tmp_path, files, "python")
    assert isinstance(found, Joined) and set(found.modules) == {"os", "more", "pkg"}
    assert found.owners["os"].origin == "python310.zip" and found.hides_folders and found.source("pkg") == b""


def test_without_a_pth_file_the_zip_has_the_name_of_the_dll(tmp_path: Path) -> None:
    files = {"my-app.exe": b"MZ", "python313.zip": a_zip({"os.pyc": PYC})}
    found = archives_of(tmp_path, files, "python", "python313t.dll")
    assert found is not None and set(found.modules) == {"os"}
    assert archives_of(tmp_path, files, "nuitka", "python313.dll") is None
    assert archives_of(tmp_path, {}, "none", "") is None


# --- one-file programs -----------------------------------------------------------------------------------------------


def image(sections: tuple[str, ...] = (".text",), overlay: bytes = b"") -> bytes:
    """Return the smallest program that counts as one, with empty sections."""
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, 0, 0, 0x1000, 0x1000)
    optional += struct.pack(
        "<QIIHHHHHHIIIIHHQQQQII",
        0x140000000,
        0x1000,
        0x200,
        *[6, 0] * 3,
        0,
        0x3000,
        0x400,
        0,
        3,
        0,
        *[0x1000] * 4,
        0,
        16,
    )
    optional += bytes(128)
    coff = struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, len(optional), 0x22)
    rows = b"".join(
        struct.pack("<8sIIIIIIHHI", name.encode(), 0x200, 0x1000 * (at + 1), 0x200, 0x400, 0, 0, 0, 0, 0x60000020)
        for at, name in enumerate(sections)
    )
    head = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + rows
    return head.ljust(0x400, b"\0") + bytes(0x200) + overlay


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (image(), ""),
        (image(("UPX0", "UPX1", ".rsrc")), "packed with UPX"),
        (image(("UPX0",)), ""),
        (image(overlay=b"KAY\x28\xb5\x2f\xfd" + bytes(50)), "Nuitka onefile"),
        (image(overlay=b"KAX" + "main.exe\0".encode("utf-16-le") + bytes(50)), "Nuitka onefile"),
        (image(overlay=b"KAX" + bytes(50)), ""),
        (image(overlay=a_zip({"__main__.py": b"", "pkg.py": b""})), "zipapp"),
        (image(overlay=a_zip({"pkg.py": b""})), ""),
        (image(overlay=a_bundle(USUAL)), ""),
        (image(("UPX0", "UPX1"), overlay=a_bundle(USUAL)), ""),
        (image(overlay=a_bundle([*USUAL, ("b", "python310.dll", b"", False)])), "PyInstaller onefile"),
        (b"no program", ""),
    ],
)
def test_one_file_programs_are_recognised(tmp_path: Path, content: bytes, words: str) -> None:
    found = recognise_packed(read_tree(str(program(tmp_path, content))), "app.exe")
    assert words in found if words else found == ""
    assert recognise_packed(read_tree(str(tmp_path)), "absent.exe") == ""
