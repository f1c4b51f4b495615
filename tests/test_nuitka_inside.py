"""What is read of the inside of Nuitka programs: real ones, built once and kept, and damaged or made-up ones."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from depfix.dist.tree import Tree, read_tree
from depfix.frozen import nuitka_build, nuitka_constants, nuitka_report
from depfix.frozen.contents import Contents, Storage
from depfix.frozen.nuitka import NuitkaContents, read_nuitka
from depfix.frozen.nuitka_constants import Dialect
from depfix.frozen.nuitka_exe import read_exe
from depfix.frozen.nuitka_guard import GuardPlace, guard_places
from fixtures import nuitka_lab
from fixtures.windows_lab import embedded_python

VERSIONS = ("4.0.8", "4.2.2", "4.3.3")
PACKAGES = ("six==1.17.0", "pycparser==2.22")
OUTSIDE = ("six", "pycparser")
OPTIONS = ("--nofollow-import-to=" + ",".join(OUTSIDE),)

PROGRAM = {
    "main.py": """\
import inspect
import json
import logging
import os.path
import subprocess
import sys
from importlib import import_module

import helper


def never_called():
    import six
    from six.moves import urllib
    import pycparser.c_ast
    import not_installed.anywhere

    return six, urllib, pycparser, not_installed, {"alpha": ["beta", ("gamma", b"bytes")]}


for name in sys.argv[1:]:
    try:
        print(name, "ok", import_module(name).__name__)
    except ImportError as error:
        print(name, "ImportError", error)
print("done", json.dumps(1), logging.getLogger("x").name, inspect.__name__, subprocess.__name__, os.path.basename("a/b"))
""",
    "helper/__init__.py": "from . import sub\nfrom .sub import leaf\n",
    "helper/sub/__init__.py": "",
    "helper/sub/leaf.py": """\
import decimal
from .. import other

NUMBERS = (1, -1, 2**40, -(2**40), 2**200, -(2**200), 0.5, 0.0, -0.0, float("inf"), 2j, 1 + 2j, complex(0.0, 1e400))
VALUES = {"k\\u00e9y": ["nested text", ("in a tuple", frozenset(("in a frozen set",)), b"", b"x", b"bytes\\0")], "": None}
KINDS = (slice(1, 2), range(3), ..., int, ValueError, NotImplemented, True, {"in a set"}, "z", "nul\\0inside")


class Leaf:
    def method(self, parameter: int, /, *, keyword_only: str = "default text", **rest: float) -> "an annotation":
        from ..other import thing

        yield [thing for parameter in (lambda: (parameter, rest, decimal, other))()]

    async def later(self):
        return KINDS, VALUES, NUMBERS, self.method.__doc__
""",
    "helper/other.py": '"""A text about it."""\nimport bisect\n\n\ndef thing():\n    import string as s\n\n    return s.digits, bisect\n',
}


_IMPORTED = ("inspect", "json", "logging", "subprocess", "sys", "six", "pycparser.c_ast")


@pytest.fixture(scope="session")
def program_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nuitka-program")
    for name, text in PROGRAM.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session", params=VERSIONS)
def built(request: pytest.FixtureRequest, program_folder: Path) -> Path:
    """The output folder of one real build; a cold one takes minutes, so it is kept."""
    return nuitka_lab.build(program_folder, OPTIONS, version=request.param, requirements=PACKAGES)


@pytest.fixture(scope="session")
def newest(program_folder: Path) -> Path:
    return nuitka_lab.build(program_folder, OPTIONS, version=VERSIONS[-1], requirements=PACKAGES)


def bare(built: Path, folder: Path, *beside: str) -> Tree:
    """The dist's exe with these things beside it, and nothing else."""
    (folder / "main.dist").mkdir()
    shutil.copyfile(built / "main.dist" / "main.exe", folder / "main.dist" / "main.exe")
    for name in beside:
        (folder / name).symlink_to(built / name)
    return read_tree(str(folder / "main.dist"))


def contents(tree: Tree, report: str = "") -> NuitkaContents:
    found = read_nuitka(tree, "main.exe", report)
    assert found is not None
    return found


def by_storage(modules: Contents) -> dict[Storage, set[str]]:
    return {kind: {one.name for one in modules.modules.values() if one.storage is kind} for kind in Storage}


# --- real builds -----------------------------------------------------------------------------------------------------


@pytest.mark.lab
def test_report_build_folder_and_exe_agree_name_by_name(built: Path, tmp_path: Path) -> None:
    found = {}
    for name, beside in {"exe": (), "build": ("main.build",), "report": ("main.build", "main.report.xml")}.items():
        (tmp_path / name).mkdir()
        found[name] = contents(bare(built, tmp_path / name, *beside))
    assert found["exe"].origin == "the loader table of main.exe"
    assert found["build"].origin == "the build folder main.build"
    assert found["report"].origin == "the compilation report main.report.xml"
    assert found["exe"].modules == found["build"].modules == found["report"].modules
    assert not any(one.problem for one in found.values())


@pytest.mark.lab
def test_each_source_alone_knows_the_modules(built: Path) -> None:
    """What is joined cannot hide that one of them is wrong: here none sees another."""
    exe = read_exe(str(built / "main.dist" / "main.exe"))
    assert exe is not None and exe.table is not None
    inside = exe.table.modules()
    assert nuitka_build.read_build(str(built / "main.build")) == inside
    report = nuitka_report.read_report(str(built / "main.report.xml"))
    assert not isinstance(report, str)
    assert report.modules == {name: one for name, one in inside.items() if one.storage is not Storage.EXCLUDED}
    assert set(report.excluded()) <= {name for name, one in inside.items() if one.storage is Storage.EXCLUDED}
    assert report.has_guard


@pytest.mark.lab
def test_what_is_inside_is_what_the_program_was_made_of(built: Path) -> None:
    found = contents(read_tree(str(built / "main.dist")))
    kinds = by_storage(found)
    assert kinds[Storage.COMPILED] == {"__main__", "helper", "helper.sub", "helper.sub.leaf", "helper.other"}
    assert {"json", "json.decoder", "logging", "inspect"} <= kinds[Storage.BYTECODE]
    assert "_decimal" in kinds[Storage.EXTENSION]
    assert set(OUTSIDE) <= kinds[Storage.EXCLUDED]
    assert "'six' instructed by user to not follow to" in found.modules["six"].reason
    packages = {name for name, one in found.modules.items() if one.is_package}
    assert {"helper", "helper.sub", "json", "logging"} <= packages
    assert not packages & {"__main__", "helper.other", "inspect", "_decimal"}
    assert found.hides_folders


@pytest.mark.lab
def test_the_constants_have_every_name_that_is_imported_from_outside(built: Path, tmp_path: Path) -> None:
    """Names of modules inside may be compiled away; a name that is looked for at run time must be there, or its parts."""
    found = contents(read_tree(str(built / "main.dist")))
    outside = 0
    for name, module in found.modules.items():
        if module.storage is not Storage.COMPILED:
            assert found.usages(name) == () and found.strings(name) == frozenset()
            continue
        strings = found.strings(name)
        for usage in found.usages(name):
            if usage.name in found.modules and found.modules[usage.name].storage is not Storage.EXCLUDED:
                continue
            parent, _, last = usage.name.rpartition(".")
            outside += usage.name not in ("sys", "builtins")
            assert usage.name in strings or usage.name in ("sys", "builtins") or {parent, last} <= strings, usage
    assert outside >= 4


@pytest.mark.lab
def test_usages_are_the_imports_of_the_source(built: Path) -> None:
    found = contents(read_tree(str(built / "main.dist")))
    leaf = {(usage.name, usage.line, usage.found) for usage in found.usages("helper.sub.leaf")}
    assert {("decimal", 1, "absolute"), ("helper.other", 2, "relative"), ("helper.other", 11, "relative")} <= leaf
    main = {usage.name: usage for usage in found.usages("__main__")}
    assert {"helper", *_IMPORTED} <= set(main)
    assert main["six"].found == "excluded" and main["six"].line == 13
    assert main["not_installed.anywhere"].found == "not-found"
    assert set(main) - {"ntpath", "six.moves"} <= {"importlib", "helper", "not_installed.anywhere", *_IMPORTED}
    assert [(usage.name, usage.line) for usage in found.usages("helper.other")] == [("bisect", 2), ("string", 6)]


@pytest.mark.lab
def test_strings_are_found_at_any_depth(built: Path) -> None:
    found = contents(read_tree(str(built / "main.dist")))
    leaf = found.strings("helper.sub.leaf")
    wanted = {"kéy", "nested text", "in a tuple", "in a frozen set", "in a set", "z", "nul\0inside", "default text"}
    assert wanted <= leaf
    assert {"alpha", "beta", "gamma"} <= found.strings("__main__")


@pytest.mark.lab
def test_every_section_of_the_constants_reads_to_its_end(built: Path) -> None:
    exe = read_exe(str(built / "main.dist" / "main.exe"))
    assert exe is not None and exe.constants is not None
    assert exe.constants.dialect is Dialect.FLAGS
    for name, (start, end) in exe.constants.sections.items():
        if name != ".bytecode":
            assert nuitka_constants._decode(exe.constants.data[start:end], Dialect.FLAGS) is not None, name


@pytest.mark.lab
def test_the_code_of_each_bytecode_module_is_had(built: Path) -> None:
    found = contents(read_tree(str(built / "main.dist")))
    for name in by_storage(found)[Storage.BYTECODE]:
        code = found.code(name)
        assert code is not None and code[:1] in (b"\xe3", b"c"), name
        # Nuitka makes the file name in a code object of the module's name, which tells whose code it is.
        assert name.replace(".", "\\").encode() + b".py" in code, name
    assert found.code("__main__") is None and found.code("no_such_module") is None


@pytest.mark.lab
def test_a_report_of_another_build_is_not_believed(newest: Path, tmp_path: Path) -> None:
    tree = bare(newest, tmp_path)
    text = (newest / "main.report.xml").read_text(encoding="utf-8")
    other = text.replace('name="helper.other"', 'name="helper.another"')
    (tmp_path / "main.report.xml").write_text(other, encoding="utf-8")
    assert contents(tree).origin == "the loader table of main.exe"
    assert contents(tree).problem == ""
    told = contents(tree, str(tmp_path / "main.report.xml"))
    assert told.origin == "the loader table of main.exe"
    assert "main.report.xml describes another build" in told.problem
    given = contents(tree, str(newest / "main.report.xml"))
    assert given.origin == "the compilation report main.report.xml" and given.problem == ""


@pytest.mark.lab
def test_a_report_is_found_by_what_it_is_whatever_it_is_called(newest: Path, tmp_path: Path) -> None:
    for place in ("nuitka-compilation-report.xml", "aaa.XML", "main.dist/inside.xml"):
        folder = tmp_path / place.replace("/", "-")
        folder.mkdir()
        bare(newest, folder)
        (folder / "other.xml").write_text("<project/>", encoding="utf-8")
        (folder / "bad.xml").write_bytes(b"\xff\xfe<nuitka-compilation-report")
        shutil.copy(newest / "main.report.xml", folder / place)
        found = contents(read_tree(str(folder / "main.dist")))
        assert found.origin == f"the compilation report {place.rpartition('/')[2]}"
        assert found.version == VERSIONS[-1]


@pytest.mark.lab
def test_without_a_loader_table_a_report_still_tells_the_modules(newest: Path, tmp_path: Path) -> None:
    """As if the exe were packed: its constants and code cannot be had, and that is said."""
    shutil.copy(embedded_python() / "python.exe", tmp_path / "main.exe")
    tree = read_tree(str(tmp_path))
    assert read_nuitka(tree, "main.exe") is None
    assert read_nuitka(tree, "no-such.exe") is None
    found = contents(tree, str(newest / "main.report.xml"))
    assert "helper.sub.leaf" in found.modules and found.modules["six"].storage is Storage.EXCLUDED
    assert found.strings("__main__") == frozenset() and found.code("json") is None
    assert "no loader table" in found.problem and "constants" in found.problem
    missing = read_nuitka(tree, "main.exe", str(tmp_path / "no.xml"))
    assert missing is None


# --- the guard -------------------------------------------------------------------------------------------------------


def with_packages(built: Path, folder: Path) -> Path:
    """A copy of the dist, into which the packages that stayed outside were copied."""
    shutil.copytree(built / "main.dist", folder)
    packages = nuitka_lab.environment(PACKAGES) / "Lib" / "site-packages"
    shutil.copy(packages / "six.py", folder)
    shutil.copytree(packages / "pycparser", folder / "pycparser")
    return folder / "main.exe"


def changed(exe: Path, places: dict[str, tuple[GuardPlace, ...]]) -> None:
    data = bytearray(exe.read_bytes())
    for place in (place for found in places.values() for place in found):
        assert int.from_bytes(data[place.offset : place.offset + place.width], "little") == place.present
        data[place.offset : place.offset + place.width] = place.lifted.to_bytes(place.width, "little")
    exe.write_bytes(data)


@pytest.mark.lab
def test_the_lifted_guard_lets_copied_packages_be_imported(built: Path, tmp_path: Path) -> None:
    exe = with_packages(built, tmp_path / "dist")
    names = ("six", "pycparser", "pycparser.c_ast")
    code, out, err = nuitka_lab.run(exe, *names)
    assert out.count("actively excluded") == len(names), (code, out, err)

    places = guard_places(str(exe))
    assert not isinstance(places, str)
    wanted = {name: found for name, found in places.items() if name.partition(".")[0] in OUTSIDE}
    assert set(OUTSIDE) <= set(wanted)
    changed(exe, wanted)
    code, out, err = nuitka_lab.run(exe, *names)
    assert [line for line in out.splitlines() if " ok " in line] == [f"{name} ok {name}" for name in names], (out, err)
    assert code == 0 and "done 1 x inspect subprocess b" in out

    assert guard_places(str(exe)) == {name: found for name, found in places.items() if name not in wanted}
    inside = contents(read_tree(str(exe.parent)))
    assert not set(wanted) & set(inside.modules) and "helper.sub.leaf" in inside.modules


@pytest.mark.lab
def test_only_the_names_that_are_asked_for_are_lifted(newest: Path, tmp_path: Path) -> None:
    exe = with_packages(newest, tmp_path / "dist")
    places = guard_places(str(exe))
    assert not isinstance(places, str)
    changed(exe, {"six": places["six"]})
    _, out, _ = nuitka_lab.run(exe, "six", "pycparser")
    assert "six ok six" in out and "pycparser ImportError Module 'pycparser' was actively excluded" in out


@pytest.mark.lab
def test_a_package_inside_hides_its_folder(built: Path, tmp_path: Path) -> None:
    """What `hides_folders` says, and that a package that is not inside does not do so."""
    exe = with_packages(built, tmp_path / "dist")
    for package in ("json", "whole"):
        (exe.parent / package).mkdir()
        (exe.parent / package / "extra.py").write_text("", encoding="utf-8")
    (exe.parent / "whole" / "__init__.py").write_text("", encoding="utf-8")
    _, out, err = nuitka_lab.run(exe, "json.extra", "whole.extra")
    assert "json.extra ImportError No module named 'json.extra'" in out, (out, err)
    assert "whole.extra ok whole.extra" in out
    assert contents(read_tree(str(exe.parent))).hides_folders


@pytest.mark.lab
def test_nothing_is_lifted_where_the_table_does_not_fit(newest: Path, tmp_path: Path) -> None:
    exe = read_exe(str(newest / "main.dist" / "main.exe"))
    assert exe is not None and exe.table is not None and exe.constants is not None
    entry = exe.table.by_name["json"]
    data = bytearray((newest / "main.dist" / "main.exe").read_bytes())
    at = entry.place + exe.table.layout.index
    struct.pack_into("<i", data, at + 4, entry.size - 1)
    (tmp_path / "size.exe").write_bytes(data)
    assert guard_places(str(tmp_path / "size.exe")) == "its loader table does not fit the code that it has for json"
    data = bytearray((newest / "main.dist" / "main.exe").read_bytes())
    data[exe.constants.start] = 0x2D
    (tmp_path / "constants.exe").write_bytes(data)
    assert "constants cannot be read" in str(guard_places(str(tmp_path / "constants.exe")))
    assert guard_places(str(embedded_python() / "python.exe")) == "its loader table has an unknown layout"
    (tmp_path / "text.exe").write_text("MZ", encoding="utf-8")
    assert guard_places(str(tmp_path / "text.exe")) == "it is no Windows program that can be read"
