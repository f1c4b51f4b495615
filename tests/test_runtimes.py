"""DF107: a DLL of the Visual C++ runtime that is missing, or older than the toolset that linked its user."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.model.image import Image
from depfix.pe.reader import read_image
from depfix.pipeline import Options, scan
from fixtures.link_image import NOTHING, image
from tests.conftest import Cli, DistMaker, snapshot

MakeConda = Callable[..., Path]
CORE = "from . import core\n"
LAZY_MUTEX = {"msvcp140.dll": "_Mtx_lock; _Mtx_unlock"}
EAGER_MUTEX = {"msvcp140.dll": "_Mtx_lock; _Mtx_unlock; _Mtx_init_in_situ"}


def findings(dist: Path, *, entry: Path | None = None) -> list[Finding]:
    return list(scan(str(dist), Options(environ={}, entries=(str(entry),) if entry else ())).findings)


def brief(dist: Path, *, entry: Path | None = None) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.subject) for one in findings(dist, entry=entry)]


def microsofts(file: Path, linker: tuple[int, int]) -> Path:
    """Make an image look as Microsoft's linker of that version leaves it: its number, and the list of tools before PE."""
    data = bytearray(file.read_bytes())
    header, key = struct.unpack_from("<I", data, 0x3C)[0], b"\x11\x22\x33\x44"
    tools = bytes(a ^ b for a, b in zip(b"DanS", key, strict=True)) + key * 3 + b"Rich" + key
    assert 0x40 + len(tools) <= header
    data[0x40 : 0x40 + len(tools)] = tools
    data[header + 26 : header + 28] = bytes(linker)
    file.write_bytes(data)
    return file


def runtime(path: Path, version: str, exports: str) -> Path:
    """Put a DLL of the runtime at `path`, of a version as "14.29.30139.0" or without one if that is empty."""
    numbers = version.replace(".", ",")
    return image(path, exports, resource=f"1 VERSIONINFO FILEVERSION {numbers} {{}}" if version else "")


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    """A dist with a package that imports its extension module pkg/core.pyd, which the test adds."""
    return make_dist({}, {"pkg/__init__.py": CORE})


def core(dist: Path, minor: int, needs: Mapping[str, str], *, delays: str = "") -> None:
    """Add the extension module, as the toolset 14.`minor` links it."""
    microsofts(image(dist / "pkg" / "core.pyd", "", needs, delays=delays), (14, minor))


def weight(dist: Path) -> list[tuple[str, str, str, str]]:
    return [(one.rule, one.severity.value, one.confidence.value, one.subject) for one in findings(dist)]


def only(dist: Path) -> Finding:
    (finding,) = findings(dist)
    return finding


def test_the_fixture_reads_as_a_file_of_microsofts_linker(dist: Path) -> None:
    core(dist, 38, NOTHING)
    made = read_image(dist / "pkg" / "core.pyd")
    assert isinstance(made, Image)
    assert (made.by_msvc, made.linker) == (True, (14, 38))


# --- missing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "brings"),
    [
        ("vcruntime140.dll", "Visual C++ 2015-2022"),
        ("vcruntime140_1.dll", "Visual C++ 2015-2022"),
        ("vcruntime140_threads.dll", "Visual C++ 2015-2022"),
        ("MSVCP140.dll", "Visual C++ 2015-2022"),
        ("msvcp140_atomic_wait.dll", "Visual C++ 2015-2022"),
        ("vcomp140.dll", "Visual C++ 2015-2022"),
        ("concrt140.dll", "Visual C++ 2015-2022"),
        ("mfc140u.dll", "Visual C++ 2015-2022"),
        ("msvcr120.dll", "Visual C++ 2013"),
        ("msvcr110.dll", "Visual C++ 2012"),
        ("msvcr100.dll", "Visual C++ 2010"),
    ],
)
def test_a_missing_runtime_dll_names_the_redistributable_that_brings_it(dist: Path, name: str, brings: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {name: "one"})
    assert weight(dist) == [("DF107", "error", "probable", name.lower())]
    assert f"it belongs to {brings}, which Windows 10" in only(dist).message


def test_what_no_redistributable_has_is_told_so(dist: Path) -> None:
    image(dist / "pkg" / "core.pyd", "", {"libomp140.x86_64.dll": "one"})
    assert weight(dist) == [("DF107", "error", "probable", "libomp140.x86_64.dll")]
    assert "no redistributable has it" in only(dist).message


@pytest.mark.parametrize("name", ["ucrtbase.dll", "msvcrt.dll", "msvcp60.dll", "msvcp_win.dll"])
def test_a_runtime_that_is_part_of_windows_is_not_missing(dist: Path, name: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {name: "one"})
    assert brief(dist) == []


@pytest.mark.parametrize(("place", "rule"), [("need.dll", ""), ("pkg/need.dll", ""), ("far/need.dll", "DF103")])
def test_a_runtime_beside_the_program_or_its_user_serves(dist: Path, place: str, rule: str) -> None:
    image(dist / "pkg" / "core.pyd", "", {"vcomp140.dll": "_vcomp_fork"})
    image(dist / place.replace("need", "vcomp140"), "_vcomp_fork")
    assert [row[0] for row in brief(dist)] == ([rule] if rule else [])


def test_a_missing_runtime_is_brought_by_a_repair(cli: Callable[..., Cli], dist: Path, make_conda: MakeConda) -> None:
    image(dist / "pkg" / "core.pyd", "", {"vcruntime140_1.dll": "__CxxFrameHandler4"})
    root = make_conda({})
    image(root / "vcruntime140_1.dll", "__CxxFrameHandler4")
    assert cli("repair", dist, "--env", f"conda:{root}").code == 0
    assert (dist / "vcruntime140_1.dll").exists()


# --- too old ---------------------------------------------------------------------------------------------------------

TOO_OLD = ["msvcp140.dll", "vcomp140.dll", "concrt140.dll", "mfc140u.dll", "vccorlib140.dll"]


@pytest.mark.parametrize("name", TOO_OLD)
def test_a_runtime_that_is_older_than_the_toolset_of_its_user_is_a_warning(dist: Path, name: str) -> None:
    core(dist, 38, {name: "one"})
    runtime(dist / name, "14.29.30139.0", "one")
    assert weight(dist) == [("DF107", "warning", "probable", name)]
    assert only(dist).message == f"{name} is of toolset 14.29, older than 14.38 that linked pkg/core.pyd"
    assert only(dist).chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", name)
    assert [place.path for place in only(dist).locations] == [name, "pkg/core.pyd"]


@pytest.mark.parametrize("name", ["vcruntime140.dll", "vcruntime140_1.dll", "vcruntime140_threads.dll"])
def test_a_c_interface_that_is_older_is_a_mere_possibility(dist: Path, name: str) -> None:
    core(dist, 38, {name: "one"})
    runtime(dist / name, "14.29.30139.0", "one")
    assert weight(dist) == [("DF107", "info", "possible", name)]


def test_what_an_older_c_interface_lacks_is_a_missing_symbol(dist: Path) -> None:
    core(dist, 38, {"vcruntime140.dll": "one; newer"})
    runtime(dist / "vcruntime140.dll", "14.29.30139.0", "one")
    assert ("DF104", "error", "vcruntime140.dll") in brief(dist)


@pytest.mark.parametrize(
    ("version", "toolset"),
    [
        ("14.38.33135.0", 38),
        ("14.42.34433.0", 38),
        ("14.29.30139.0", 0),  # Visual Studio 2015
        ("", 38),  # nobody says what it is
        ("12.0.40664.0", 38),  # of another line
    ],
)
@pytest.mark.parametrize("name", ["msvcp140.dll", "vcruntime140.dll"])
def test_a_runtime_that_is_new_enough_or_of_unknown_age_is_passed_over(
    dist: Path, name: str, version: str, toolset: int
) -> None:
    core(dist, toolset, {name: "one"})
    runtime(dist / name, version, "one")
    assert brief(dist) == []


def test_the_number_of_another_linker_says_nothing(dist: Path) -> None:
    core(dist, 38, {"msvcp140.dll": "one"})
    data = (dist / "pkg" / "core.pyd").read_bytes()
    (dist / "pkg" / "core.pyd").write_bytes(data.replace(b"Rich", b"lld "))
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    assert brief(dist) == []


def test_an_older_generation_has_a_runtime_of_its_own(dist: Path) -> None:
    microsofts(image(dist / "pkg" / "core.pyd", "", {"msvcp140.dll": "one"}), (12, 60))
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    assert brief(dist) == []


def test_the_newest_user_decides_and_those_that_are_content_are_not_named(dist: Path) -> None:
    (dist / "pkg" / "__init__.py").write_text("from . import core, newer, newest\n")
    core(dist, 20, {"msvcp140.dll": "one"})
    for name, minor in (("newer", 36), ("newest", 44)):
        microsofts(image(dist / "pkg" / f"{name}.pyd", "", {"msvcp140.dll": "one"}), (14, minor))
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    assert "older than 14.44 that linked" in only(dist).message
    assert [place.path for place in only(dist).locations] == ["msvcp140.dll", "pkg/newer.pyd", "pkg/newest.pyd"]


@pytest.mark.parametrize(("right", "wrong", "count"), [("pkg/", "", 0), ("", "pkg/", 1), ("", "far/", 0)])
def test_the_age_of_the_runtime_that_will_be_loaded_counts(dist: Path, right: str, wrong: str, count: int) -> None:
    core(dist, 38, {"msvcp140.dll": "one"})
    runtime(dist / f"{right}msvcp140.dll", "14.40.33810.0", "one")
    runtime(dist / f"{wrong}msvcp140.dll", "14.29.30139.0", "one")
    assert [row for row in brief(dist) if row[0] == "DF107"] == [("DF107", "warning", "msvcp140.dll")] * count


def test_a_delay_loaded_runtime_that_is_too_old_is_a_warning(dist: Path) -> None:
    core(dist, 38, {"msvcp140.dll": "one"}, delays="msvcp140.dll")
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    assert weight(dist) == [("DF107", "warning", "probable", "msvcp140.dll")]


def test_a_user_that_nothing_imports_raises_no_warning(dist: Path, tmp_path: Path) -> None:
    core(dist, 38, {"msvcp140.dll": "one"})
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    entry = tmp_path / "program.py"
    entry.write_text("import os\n")
    assert brief(dist, entry=entry) == []


# --- mutexes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toolset", "version", "needs", "severity"),
    [
        (40, "14.38.33135.0", LAZY_MUTEX, "error"),
        (44, "14.29.30139.0", LAZY_MUTEX, "error"),
        (40, "14.38.33135.0", EAGER_MUTEX, "warning"),  # built with _DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR
        (38, "14.29.30139.0", LAZY_MUTEX, "warning"),  # up to 14.3x every constructor makes that call
        (44, "14.40.33810.0", LAZY_MUTEX, "warning"),
        (40, "14.40.33810.0", LAZY_MUTEX, ""),
        (40, "14.38.33135.0", {"msvcp140.dll": "other"}, "warning"),
    ],
)
def test_a_mutex_that_needs_no_call_crashes_in_an_older_runtime(
    dist: Path, toolset: int, version: str, needs: Mapping[str, str], severity: str
) -> None:
    core(dist, toolset, needs)
    runtime(dist / "msvcp140.dll", version, "_Mtx_lock; _Mtx_unlock; _Mtx_init_in_situ; other")
    assert [(one.rule, one.severity.value) for one in findings(dist)] == ([("DF107", severity)] if severity else [])
    assert all(("its mutexes crash in it" in one.message) == (severity == "error") for one in findings(dist))


# --- repair ----------------------------------------------------------------------------------------------------------


def environment(make_conda: MakeConda, version: str, *, name: str = "env") -> Path:
    """Make an environment with an msvcp140.dll of this version."""
    root: Path = make_conda({}, name=name)
    runtime(root / "msvcp140.dll", version, "one")
    record = {"name": "vc14_runtime", "version": version, "files": ["msvcp140.dll"], "depends": []}
    (root / "conda-meta" / f"vc14_runtime-{version}-0.json").write_text(json.dumps(record))
    return root


@pytest.fixture
def outdated(dist: Path) -> Path:
    """A dist whose msvcp140.dll is older than the toolset of pkg/core.pyd."""
    core(dist, 38, {"msvcp140.dll": "one"})
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    return dist


def test_a_repair_takes_a_newer_runtime_and_undo_brings_the_old_one_back(
    cli: Callable[..., Cli], outdated: Path, make_conda: MakeConda
) -> None:
    before = snapshot(outdated)
    root = environment(make_conda, "14.42.34433.0")
    done = cli("repair", outdated, "--env", f"conda:{root}", "--overwrite")
    assert (done.code, "replace msvcp140.dll" in done.out) == (0, True)
    assert brief(outdated) == []
    assert cli("undo", outdated).code == 0
    assert snapshot(outdated) == before


@pytest.mark.parametrize(
    ("version", "words", "reason"),
    [
        ("14.29.30139.0", ["--overwrite"], "it is not newer"),
        ("14.16.27033.0", ["--overwrite"], "it is not newer"),
        ("14.42.34433.0", [], "--overwrite replaces it"),
    ],
)
def test_a_repair_declines_what_is_not_newer(
    cli: Callable[..., Cli], outdated: Path, make_conda: MakeConda, version: str, words: list[str], reason: str
) -> None:
    before = snapshot(outdated)
    root = environment(make_conda, version)
    done = cli("repair", outdated, "--env", f"conda:{root}", *words, "--fail-on", "warning")
    assert (done.code, reason in done.out) == (1, True)
    assert snapshot(outdated) == before
