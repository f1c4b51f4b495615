"""What fuzzing found (`make fuzz`): each input that once crashed or hung a reader, small, and what is said of it now."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from depfix.env.archives import Wanted
from depfix.env.conda_file import CondaFile
from depfix.env.requirements import requirements, target_markers
from depfix.frozen.contents import Storage
from depfix.frozen.nuitka_build import read_build
from depfix.imports.reader import read_source
from depfix.imports.skim import skim
from depfix.imports.uses import ImportUse, LoadUse, SourceFacts, SourceTarget
from depfix.model.machine import Machine
from depfix.policy.baseline import read_baseline
from depfix.policy.errors import BaselineError, PolicyError
from depfix.policy.reading import find_policy, read_policy
from fixtures.archives import write_conda
from fixtures.fuzz.finds import minimized
from fixtures.fuzz.frame import attempt, limits
from fixtures.fuzz.target import targets

TARGET = SourceTarget((3, 10))


def facts(*lines: str) -> SourceFacts:
    found = read_source("\n".join(("import ctypes, a", *lines)).encode(), TARGET, is_program=True, is_own=True)
    assert not found.error
    return found


# --- sources whose values double with each line: as many lines as no memory has bytes for ---


@pytest.mark.parametrize(
    "lines",
    [
        ["x = 'a.dll'", *["x = x + x"] * 60],
        ["x = 'a.dll'", *["x = x.replace('a', x)"] * 30],
        ["x = 'aaaaaaaaaaaaaaaa'", *["x = ','.join([x, x])"] * 60],
        ["def f(x):", *[" x = x + '/' + x"] * 60, " return x", "x = f(a.b)"],
        ["x = ['a.dll']", *["x = [*x, *x]"] * 60, "x = x[0]"],
        ["x = {1: 'a.dll'}", *["x = {'a': x, **x, 'b': x, **x}"] * 60, "x = x[1]"],
        ["x = 1", *["x = (x, x)"] * 90],
        ["x = (1,)", *["x = (x, x)"] * 90, "y = {x: x}"],
    ],
)
def test_values_that_double(lines: list[str]) -> None:
    found = facts(*lines, "ctypes.CDLL(x)", "ctypes.CDLL('last.dll')")
    (last,) = [use for use in found.uses if isinstance(use, LoadUse) and use.where.line == len(lines) + 3]
    assert last.path is not None and last.path.literal == "last.dll"


def test_what_no_value_is_too_large_for_is_still_known() -> None:
    found = facts(
        "x = 'pkg/' + 'y' * 1 + 'a' + '.dll'", "n = (3, 8)", "ctypes.CDLL('b' + '.dll' if n >= (3, 7) else x)"
    )
    (use,) = [use for use in found.uses if isinstance(use, LoadUse)]
    assert use.path is not None and use.path.literal == "b.dll"


@pytest.mark.parametrize("dots", [1, 2, 200_000])
def test_a_glance_at_an_import_with_many_dots(dots: int) -> None:
    """The dots could belong to two parts of the statement, and there was one way for each to share them out."""
    assert [name for name, _ in skim(b"import a\nfrom " + b"." * dots, "p.q.r")] == ["a"]
    found = [name for name, _ in skim(b"from " + b"." * dots + b"m import x", "p.q.r")]
    assert found == ([f"{base}.m", f"{base}.m.x"] if (base := {1: "p.q.r", 2: "p.q"}.get(dots)) else [])
    assert [name for name, _ in skim(b"from . .m import x\nfrom .. import y", "p.q.r")] == [
        "p.q.m",
        "p.q.m.x",
        "p.q",
        "p.q.y",
    ]


# --- policies and baselines ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("a = " + "{a = " * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
        ("a" + ".a" * 20_000 + " = 1", "more than 100 parts"),
        ("a" + " . 'b c'" * 20_000 + " = 1", "more than 100 parts"),
        ("a = " + "9" * 100_000, "it is no TOML"),
    ],
)
@pytest.mark.parametrize("name", ["depfix.toml", "pyproject.toml"])
def test_a_policy_that_is_too_much(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(f"[tool.depfix]\n{text}\n")
    for read, path in ((read_policy, tmp_path / name), (find_policy, tmp_path)):
        with pytest.raises(PolicyError) as caught:
            read(str(path))
        assert words in str(caught.value)


def test_a_baseline_that_is_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text('{"a":' * 100_000)
    with pytest.raises(BaselineError, match="it is damaged, or no baseline"):
        read_baseline(str(tmp_path / "baseline.json"))


# --- what packages say of themselves ---


@pytest.mark.parametrize("deep", [100, 1000, 50_000])
def test_a_requirement_with_a_marker_nested_too_deeply(deep: int) -> None:
    rows = ["a>=1", f"b ; {'(' * deep}os_name == 'nt'{')' * deep}", "c ; os_name == 'nt'"]
    found = [one.name for one in requirements(rows, target_markers((3, 10), Machine.AMD64))]
    assert [name for name in found if name != "b"] == ["a", "c"]


def test_numbers_of_more_digits_than_python_takes(tmp_path: Path) -> None:
    digits = "9" * 5000
    rows = [f"a ; python_version < '{digits}'", f"b <{digits}", "c"]
    found = list(requirements(rows, target_markers((3, 10), Machine.AMD64)))
    assert [one.name for one in found if one.name != "a"] == ["b", "c"]
    assert all(one.admits("1.0") for one in found) and found[-1].admits(digits)
    files = {f"python3{digits[:200]}.dll": "MZ"}
    package = CondaFile(str(write_conda(tmp_path, "python", files, index={"depends": [f"python {digits}.1.*"]})))
    assert package.python is None
    assert not package.misfit(Wanted((3, 10), Machine.AMD64, False, {}, lambda: str(tmp_path)))


# --- what freezers leave ---


def test_a_loader_source_with_many_pointers(tmp_path: Path) -> None:
    """NULL could be read in two ways, and a row that ends otherwise took 2 to the power of its pointers."""
    rows = (
        '    {"pkg", '
        + "NULL, " * 40
        + "oops\n"
        + '    {"main", modulecode_main, 0, 0, NUITKA_TRANSLATED_FLAG\n    },\n'
    )
    (tmp_path / "__loader.c").write_text(rows)
    found = read_build(str(tmp_path))
    assert found is not None and {name: one.storage for name, one in found.items()} == {"main": Storage.COMPILED}


@pytest.mark.parametrize("name", ["a$$0$b", "..$$47$..$$47$x", "C$$58$x", "x" * 5000])
def test_a_loader_source_that_names_no_file(tmp_path: Path, name: str) -> None:
    """The numbers stand for characters: NUL, a slash and a colon."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "__loader.c").write_text(f"*meta_path_loader_entries[1] = {{\n &entry_{name},\n}};\n")
    found = read_build(str(folder))
    assert found is not None and {one.storage for one in found.values()} == {Storage.COMPILED}


# --- the frame that finds such ---


def test_the_frame_sees_what_breaks_a_limit() -> None:
    def crash(data: bytes) -> None:
        if b"x" in data:
            raise KeyError(data)

    def slow(_data: bytes) -> None:
        while True:
            pass

    def large(_data: bytes) -> None:
        bytearray(400 << 20)

    with limits():
        assert attempt(crash, b"abc").key == ""
        assert attempt(crash, b"abxc").key.startswith("KeyError in ")
        assert minimized(crash, b"ab" * 99 + b"x" + b"c" * 50, attempt(crash, b"x").key) == b"x"
        assert attempt(slow, b"").key.startswith("slow in ")
        assert attempt(large, b"").key == "large"


def test_no_seed_of_any_target_breaks_a_limit() -> None:
    with limits():
        for name, target in targets().items():
            seeds = target.seeds()
            assert seeds, name
            for seed in seeds:
                outcome = attempt(target.run, seed)
                assert not outcome.key.replace("slow in", ""), (name, seed[:80], outcome.words)


def test_fuzzing_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fixtures.fuzz", "journal", "records", "--guided", "never", "--jobs", "2"]
    done = subprocess.run(
        [*command, "--inputs", "300", "--folder", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: line.split()[1:3] for line in done.stdout.splitlines()}
    assert rows["journal"] == rows["records"] == ["300", "0"] and rows["all"] == ["600", "0"]
    assert not list(tmp_path.rglob("*.flight"))


def test_a_find_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "find.bin").write_text(json.dumps({"version": 2}))
    command = [sys.executable, "-m", "fixtures.fuzz", "journal", "--repeat", str(tmp_path / "find.bin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "nothing wrong" in done.stdout


def test_a_parser_that_loses_count_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 then raises SystemError; the imports are told by the lines, as of a source that is nested too deeply."""

    def lost(_data: bytes) -> object:
        raise SystemError("AST constructor recursion depth mismatch (before=153, after=174)")

    monkeypatch.setattr(ast, "parse", lost)
    found = read_source(b"import a\n" * 3, TARGET)
    assert found.error == "it is nested too deeply"
    assert [use.module for use in found.uses if isinstance(use, ImportUse)] == ["a"] * 3
