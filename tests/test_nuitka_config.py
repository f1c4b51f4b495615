"""Nuitka's package configuration: the real files of four releases, and generated ones for the corners."""

from __future__ import annotations

import random
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from depfix.knowledge.nuitka_config import PackageConfig, expand, find_config, load_config
from depfix.knowledge.when import Context, Truth, Unknown, evaluate, holds
from depfix.knowledge.yaml_lines import read_yaml
from depfix.model.machine import Machine
from fixtures.fuzz.documents import KNOWN, NOTHING_KNOWN
from fixtures.windows_lab import CACHE, download

VERSIONS = ("1.9", "2.8", "4.0.8", "4.3.3")
SECTIONS = ("implicit-imports", "data-files", "dlls")


def standard_file(version: str) -> Path:
    """Return the standard configuration of a release of Nuitka, beside it its siblings."""
    folder = CACHE / "nuitka-config" / version / "nuitka" / "plugins" / "standard"
    if not (folder / "standard.nuitka-package.config.yml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(download(f"nuitka=={version}")) as archive:
            for member in archive.getmembers():
                if "/plugins/standard/" in member.name and member.name.endswith(".nuitka-package.config.yml"):
                    data = archive.extractfile(member)
                    assert data is not None
                    (folder / Path(member.name).name).write_bytes(data.read())
    return folder / "standard.nuitka-package.config.yml"


def as_yaml_reads(path: Path) -> Iterator[dict[str, Any]]:
    for one in sorted(path.parent.glob("*.yml")):
        yield from yaml.load(one.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def rows_of(entry: dict[str, Any], section: str) -> list[dict[str, Any]]:
    found = entry.get(section, [])
    return found if isinstance(found, list) else [found]


@pytest.fixture(params=VERSIONS)
def real(request: pytest.FixtureRequest) -> Path:
    return standard_file(request.param)


# --- the real files ---


def test_every_entry_of_a_real_file_is_found_and_parsed(real: Path) -> None:
    config = load_config(str(real))
    assert set(config.modules()) == {entry["module-name"] for entry in as_yaml_reads(real)}
    assert not config.problems()
    assert not [problem for module in config.modules() for problem in config.problems(module)]


def test_a_real_file_gives_what_a_yaml_library_reads(real: Path) -> None:
    config = load_config(str(real))
    for entry in as_yaml_reads(real):
        module = entry["module-name"]
        lines = [
            line
            for row in rows_of(entry, "implicit-imports")
            if holds(row.get("when", ""), KNOWN).truth is not Truth.NO
            for line in row.get("depends", ())
        ]
        plain = [f"{module}{line}" if line.startswith(".") else line for line in lines if "(" not in line]
        names = [one.name for one in config.implicit_imports(module, KNOWN, is_package=True)]
        assert [name for name in names if name in plain] == plain
        data = [row for row in rows_of(entry, "data-files") if holds(row.get("when", ""), KNOWN).truth is not Truth.NO]
        found = config.data_files(module, KNOWN)
        assert [one.metadata for one in found] == [tuple(row.get("include-metadata", ())) for row in data]
        assert [one.dest_path for one in found] == [row.get("dest_path") for row in data]
        assert [one.dirs for one in found] == [tuple(row.get("dirs", ())) for row in data]


def test_the_line_of_every_implicit_import_is_the_one_that_spells_it(real: Path) -> None:
    config = load_config(str(real))
    texts = {str(path): path.read_text(encoding="utf-8").splitlines() for path in real.parent.glob("*.yml")}
    checked = 0
    for module in config.modules():
        for one in config.implicit_imports(module, KNOWN, is_package=True):
            line = texts[one.origin.path][one.origin.line - 1]
            assert one.name.removeprefix(module) in line or "(" in line, (one, line)
            checked += 1
    assert checked > 800


def test_no_condition_of_a_real_file_is_left_unknown_but_those_of_plugins(real: Path) -> None:
    unknown: set[str] = set()
    counts = dict.fromkeys(Truth, 0)
    for entry in as_yaml_reads(real):
        for section in SECTIONS:
            for row in rows_of(entry, section):
                for part in (row, *(value for value in row.values() if isinstance(value, dict))):
                    if "when" in part:
                        verdict = holds(part["when"], KNOWN)
                        counts[verdict.truth] += 1
                        unknown.update(verdict.unknown)
    qt = {"use_pyqt5", "use_pyqt6", "use_pyside2", "use_pyside6"}
    assert unknown <= {"use_tkinter", "get_variable('bpy_has_versioned_scripts_dir')", *qt}
    assert counts[Truth.UNKNOWN] <= 7
    assert counts[Truth.NO] >= 60
    assert counts[Truth.YES] >= 31


def test_all_other_conditions_of_a_real_file_are_understood_too(real: Path) -> None:
    unknown = {
        name
        for entry in as_yaml_reads(real)
        for section in ("anti-bloat", "import-hacks", "options", "variables", "constants", "include-config")
        for row in rows_of(entry, section)
        if isinstance(row, dict)
        for name in holds(row.get("when", ""), KNOWN).unknown
    }
    assert not [name for name in unknown if not name.startswith(("use_", "no_"))]


def test_each_row_of_a_real_file_can_be_asked() -> None:
    path = str(standard_file("4.3.3"))
    config = load_config(path)
    for module in config.modules():
        config.dlls(module, KNOWN)
    assert len(config) == 1279  # 1,193 of packages, 86 of the standard library


def test_facts_of_real_entries() -> None:
    config = load_config(str(standard_file("4.3.3")))

    def imports(module: str, context: Context = KNOWN, *, is_package: bool = True) -> list[str]:
        return [one.name for one in config.implicit_imports(module, context, is_package=is_package)]

    assert imports("sqlalchemy") == ["sqlalchemy.dialects.*"]
    assert imports("win32ctypes.core") == ["win32ctypes.core.ctypes.*"]
    assert imports("win32ctypes.core", NOTHING_KNOWN) == ["win32ctypes.core.ctypes.*", "win32ctypes.core.cffi.*"]
    assert imports("rich._unicode_data") == ["rich._unicode_data.unicode16"]
    assert imports("cv2") == ["cv2.cv2", "numpy", "numpy.core"]
    assert [one.why for one in config.unread("cv2", NOTHING_KNOWN)] == ["get_variable('cv2_extra_sub_modules')"]
    assert [one.why for one in config.unread("rtree.finder", KNOWN)] == ["pre-import-code"]
    zmq = config.dlls("zmq", KNOWN)
    assert [(one.patterns, one.dest_path, one.by_code) for one in zmq] == [(("libzmq*.pyd",), ".", False)]
    assert config.dlls("torchvision", KNOWN)[0].patterns[-4:-3] == ("libpng**.dll",)
    assert [one.dest_path for one in config.data_files("jpype", KNOWN)] == ["jpype"]
    (rtree,) = config.dlls("rtree.finder", KNOWN)
    assert rtree.by_code and not rtree.patterns and 'get_variable("rtree_dll_names")' in rtree.unread
    assert not config.unread("<main>", KNOWN)  # its one row is for `--mode=module`


# --- finding it ---


def test_the_configuration_of_an_environment_is_found_before_that_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, hosts = tmp_path / "env", tmp_path / "host"
    for folder in (ours, hosts):
        place = folder / "nuitka" / "plugins" / "standard"
        place.mkdir(parents=True)
        (folder / "nuitka" / "__init__.py").write_text("raise SystemExit('it was imported')")
        (place / "standard.nuitka-package.config.yml").write_text("- module-name: 'a'\n")
    monkeypatch.syspath_prepend(str(hosts))
    assert find_config([str(tmp_path), str(ours)]).startswith(str(ours))
    assert find_config([str(tmp_path)]).startswith(str(hosts))
    assert find_config([str(tmp_path)], host=False) == ""
    assert "nuitka" not in sys.modules


def test_without_nuitka_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert find_config([]) == ""


# --- generated files ---


def config_of(tmp_path: Path, text: str | bytes, *more: str) -> PackageConfig:
    path = tmp_path / "user.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    others = []
    for index, other in enumerate(more):
        (tmp_path / f"more{index}.yml").write_text(other)
        others.append(str(tmp_path / f"more{index}.yml"))
    return load_config(str(path), others)


def names(config: PackageConfig, module: str, *, is_package: bool = True) -> list[str]:
    return [one.name for one in config.implicit_imports(module, KNOWN, is_package=is_package)]


@pytest.mark.parametrize(
    "text",
    [
        "- module-name: 'a.b'\n  implicit-imports:\n    - depends: ['c']\n",
        "# words\n%YAML 1.1\n---\n- module-name: a.b # checksum: 1\n  implicit-imports:\n  - depends:\n    - c\n",
        '- implicit-imports:\n    - depends: ["c"]\n  module-name: "a.b"\n',
        "-\n  module-name: a.b\n  implicit-imports:\n    depends:\n      - c\n",
        "  - module-name: a.b\n    implicit-imports: [{depends: c}]\n",
        "[{module-name: a.b, implicit-imports: [{depends: [c]}]}]",
        "\ufeff- module-name: a.b\r\n  implicit-imports:\r\n    - depends: [c]\r\n",
    ],
)
def test_every_way_to_write_an_entry(tmp_path: Path, text: str) -> None:
    config = config_of(tmp_path, text)
    assert config.modules() == ("a.b",)
    assert names(config, "a.b") == ["c"]
    assert not config.problems() and not config.problems("a.b")


def test_relative_names_count_from_a_package_or_beside_a_module(tmp_path: Path) -> None:
    config = config_of(tmp_path, "- module-name: a.b\n  implicit-imports:\n    - depends: ['.c', '.d.*', 'e.']\n")
    assert names(config, "a.b") == ["a.b.c", "a.b.d.*"]
    assert names(config, "a.b", is_package=False) == ["a.c", "a.d.*"]
    top = config_of(tmp_path, "- module-name: a\n  implicit-imports:\n    - depends: ['.c']\n")
    assert names(top, "a", is_package=False) == []


def test_the_entries_of_several_files_add_up(tmp_path: Path) -> None:
    one = "- module-name: a\n  implicit-imports:\n    - depends: ['b']\n"
    config = config_of(tmp_path, one, one.replace("'b'", "'c'"))
    assert names(config, "a") == ["b", "c"]
    origins = [Path(row.origin.path).name for row in config.implicit_imports("a", KNOWN, is_package=True)]
    assert origins == ["user.yml", "more0.yml"]


def test_dlls_hold_only_where_both_conditions_do(tmp_path: Path) -> None:
    text = """
- module-name: a
  dlls:
    - from_filenames:
        relative_path: 'lib/x64'
        relative_to: 'a.core'
        prefixes: ['']
        when: 'arch_amd64'
      by_code:
        filename_code: 'a.path()'
        when: 'nobody_knows'
      dest_path: '.'
      when: 'win32'
    - from_filenames:
        prefixes: ['tool']
        executable: 'yes'
    - from_filenames:
        relative_path: 'get_variable("x")'
        prefixes: ['tool']
"""
    config = config_of(tmp_path, text)
    found = config.dlls("a", KNOWN)
    assert [one.patterns[:1] for one in found] == [("lib/x64/*.dll",), (), ("tool*.exe",), ()]
    assert [one.verdict.truth for one in found] == [Truth.YES, Truth.UNKNOWN, Truth.YES, Truth.YES]
    assert (found[0].relative_to, found[0].dest_path) == ("a.core", ".")
    assert found[1].by_code and found[1].verdict.unknown == ("nobody_knows",)
    assert found[2].executable
    assert found[3].unread == ('get_variable("x")',)
    assert config_of(tmp_path, text).dlls("a", Context((3, 11), Machine.ARM64))[0].by_code


def test_patterns_are_expanded_level_by_level() -> None:
    tree = {"a": ["b", "c", "_d"], "a.b": ["x1", "x2", "y"], "a.c": ["x1"]}
    children = {name: tuple(parts) for name, parts in tree.items()}

    def modules_of(package: str) -> tuple[str, ...]:
        return children.get(package, ())

    assert expand("a.*", modules_of) == ("a.b", "a.c", "a._d")
    assert expand("a.*.x?", modules_of) == ("a.b.x1", "a.b.x2", "a.c.x1")
    assert expand("a.*.x1", modules_of) == ("a.b.x1", "a.c.x1", "a._d.x1")  # whether it exists is the finder's to say
    assert expand("a.b", modules_of) == ("a.b",)
    assert expand("*.a", modules_of) == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- module-name: a\n  dlls: [\n", "no YAML"),
        ("- module-name: a\n  dlls: *gone\n", "anchor"),
        ("- module-name: a\n  dlls: " + "[" * 100_000, "deep"),
        ("- module-name: a\n  dlls: \x01\n", "no YAML"),
    ],
)
def test_a_damaged_entry_is_told_and_spares_the_others(tmp_path: Path, text: str, why: str) -> None:
    config = config_of(tmp_path, f"{text}\n- module-name: b\n  implicit-imports:\n    - depends: [c]\n")
    assert names(config, "b") == ["c"]
    assert not config.dlls("a", KNOWN)
    assert why in config.problems("a")[0].why
    assert config.problems("a")[0].origin.line == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\xff\xfe",
        b"a: b",
        b"- 1\n- [x]\n- {}\n",
        b"[" * 200_000,
        b"- " * 100_000,
        b"-\n" * 60_000,
        b"&a [*a, *a]",
    ],
)
def test_what_is_no_configuration_gives_nothing(tmp_path: Path, data: bytes) -> None:
    config = config_of(tmp_path, data)
    assert len(config) == 0
    assert config.problems() or not data


def test_a_file_that_is_absent_or_a_folder_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.yml", Path("nul\0name")):
        config = load_config(str(path))
        assert len(config) == 0
        assert "cannot be read" in config.problems()[0].why


def test_a_real_file_cut_or_scrambled_anywhere_never_raises(tmp_path: Path) -> None:
    data = standard_file("4.3.3").read_bytes()[:40_000]
    dice = random.Random(4)
    for _ in range(60):
        scrambled = bytearray(data[: dice.randrange(len(data))])
        for _ in range(dice.randrange(40) if scrambled else 0):
            scrambled[dice.randrange(len(scrambled))] = dice.choice(b"\n[]{}&*-:'\"#!|>%@ \t\xff\0")
        config = config_of(tmp_path, bytes(scrambled))
        for module in config.modules():
            config.implicit_imports(module, KNOWN, is_package=True)
            config.data_files(module, NOTHING_KNOWN)
            config.dlls(module, NOTHING_KNOWN)
            config.unread(module, KNOWN)


def test_yaml_knows_its_lines() -> None:
    node, problem = read_yaml("a: 1\nb:\n  - &x c\n  - *x\n", 10)
    assert not problem and node is not None
    assert "Leaf(text='c', line=12)" in repr(node)


# --- conditions ---


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("", Truth.YES),
        ("True", Truth.YES),
        ("win32 and standalone", Truth.YES),
        ("linux or macos or android", Truth.NO),
        ("arch_amd64 and not arch_x86 and not arch_arm64", Truth.YES),
        ("module_mode", Truth.NO),
        ("deployment and not onefile", Truth.YES),
        ("python310_or_higher and before_python312 and python3_or_higher", Truth.YES),
        ("before_python311 or before_python3", Truth.NO),
        ('version("x") >= (1, 2) and version("x") < (1, 2, 4)', Truth.YES),
        ('None is not version("x") >= (5,1,3)', Truth.NO),
        ('version(get_dist_name("cv2")) < (4,6)', Truth.YES),
        ('version_str("x") == "1.2.3"', Truth.YES),
        ('is_conda_package("x")', Truth.NO),
        ('plugin("x") or has_module("x") or has_builtin_module("x")', Truth.NO),
        ('get_parameter("x", "no") == "no"', Truth.YES),
        ('"b" in ("a", "b") and "c" not in ("a", "b")', Truth.YES),
        ("win32 if deployment else linux", Truth.YES),
        # an operand that decides settles it, whatever is not known
        ("use_tkinter and linux", Truth.NO),
        ("nobody_knows() or win32", Truth.YES),
        ("use_tkinter and win32", Truth.UNKNOWN),
        ("not use_tkinter", Truth.UNKNOWN),
        ('experimental("x")', Truth.UNKNOWN),
        ('get_variable("x") == 1', Truth.UNKNOWN),
        ('os.getenv("X") == "1"', Truth.UNKNOWN),
        ('version("x") < None', Truth.UNKNOWN),
        ('__import__("os").system("true")', Truth.UNKNOWN),
        ("().__class__.__bases__[0]", Truth.UNKNOWN),
        ("(lambda: 1)()", Truth.UNKNOWN),
        ("win32 and", Truth.UNKNOWN),
        ("9**9**9**9", Truth.UNKNOWN),
        ('"%1000000000d" % 1', Truth.UNKNOWN),
        ("win32 = 1", Truth.UNKNOWN),
    ],
)
def test_conditions(condition: str, truth: Truth) -> None:
    verdict = holds(condition, KNOWN)
    assert verdict.truth is truth
    assert bool(verdict.unknown) is (truth is Truth.UNKNOWN)


@pytest.mark.parametrize(
    "condition",
    ['version("x") < (2,)', 'is_conda_package("x")', 'has_module("x")', 'plugin("x")', "deployment", "use_pytest"],
)
def test_what_the_caller_does_not_know_is_unknown(condition: str) -> None:
    assert holds(condition, NOTHING_KNOWN).truth is Truth.UNKNOWN
    assert holds(f"not ({condition})", NOTHING_KNOWN).truth is Truth.UNKNOWN


def test_a_local_version_is_not_part_of_the_release() -> None:
    torch = Context((3, 11), version_of=lambda _name: "2.0.1+cu118")
    assert evaluate('version("torch")', torch) == (2, 0, 1)
    assert evaluate('version("torch")', Context((3, 11), version_of=lambda _name: "unknown")) == Unknown(
        ("version('torch')",)
    )


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 3000,
        "not " * 999 + "win32",
        "-" * 3999 + "1",
        "[" * 1900 + "]" * 1900,
        "f." * 1900 + "f",
        "win32 and " * 100_000 + "win32",
        "[a+a for a in " * 150 + "('x',)" + "]" * 150,
        "[[a,a] for a in " * 150 + "('x',)" + "]" * 150,
        "[a for a in iterate_modules('x') if [b for b in iterate_modules('x') if [c for c in iterate_modules('x')]]]",
        "\0",
        "'\ud800'",
    ],
)
def test_hostile_expressions_end_soon(expression: str) -> None:
    many = Context((3, 11), modules_in=lambda name: tuple(f"{name}.m{index}" for index in range(3000)))
    start = time.process_time()
    holds(expression, many)
    assert time.process_time() - start < 60
