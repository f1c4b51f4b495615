"""The Windows that a dist is held against: its name, its machine, its age, and what it lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from depfix.knowledge.tables import api_sets, carried_system_dlls, releases_with, system_dlls
from depfix.knowledge.targets import default_target, features, target_named, targets
from depfix.loader.system import CleanSystem
from depfix.model.finding import Finding
from depfix.model.machine import Machine
from depfix.pipeline import Options, scan
from depfix.reports.json import schema
from depfix.reports.text import scan_lines
from tests.conftest import Cli, DistMaker, Forge, delay_loading_dll, put
from tests.test_tables import MACHINES, RELEASES, URL, column, rows

Run = Callable[..., Cli]
NAMES = ("win7", "win7-n", "win8.1", "win8.1-n", "win10", "win10-n", "win11", "win11-n", "server-core")
ON_MACHINES = ("win7-x86", "win10-x86", "win10-amd64", "win10-arm64", "win11-n-arm64", "server-core-amd64")


@pytest.fixture(scope="module")
def tiny(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return DistMaker(forge, tmp_path_factory.mktemp("tiny"))({"core.pyd": ("mfplat.dll", "nvcuda.dll")})


def findings(dist: Path, target: str) -> list[Finding]:
    return list(scan(str(dist), Options(environ={}, target=target)).findings)


def about(dist: Path, target: str, subject: str) -> list[tuple[str, str, str]]:
    found = [one for one in findings(dist, target) if one.subject == subject]
    return [(one.rule, one.severity.value, one.confidence.value) for one in found]


# --- names -----------------------------------------------------------------------------------------------------------


def test_help_names_every_target(cli: Run) -> None:
    text = " ".join(cli("scan", "--help").out.split())
    listed = re.search(r"The Windows that the program is to run on: (.*?)Default: (\w+)", text)
    assert listed is not None
    assert tuple(targets()) == NAMES
    stems = re.findall(r"win[0-9.]*[0-9]|server-core", listed[1])
    assert {*stems, *(f"{stem}-n" for stem in stems if stem.startswith("win"))} == set(NAMES)
    assert re.findall(r"-(?:x86|amd64|arm64)", listed[1]) == ["-x86", "-amd64", "-arm64"]
    assert listed[2] == "win10"


@pytest.mark.parametrize("name", [*NAMES, *ON_MACHINES])
def test_a_target_names_itself_in_every_report(cli: Run, tiny: Path, name: str) -> None:
    words = target_named(name).words
    lines = scan_lines(scan(str(tiny), Options(environ={}, target=name)), verbose=False)
    assert any(f"target {words}, clean, amd64" in line.text for line in lines)
    done = cli("scan", tiny, "--target", name, "--format", "json")
    assert (done.code in (0, 1), "Traceback" in done.err) == (True, False)
    report = json.loads(done.out)
    jsonschema.Draft202012Validator(json.loads(schema())).validate(report)
    assert (report["target"], report["reach"]) == (name, "everything")
    drivers = [one["message"] for one in report["findings"] if one["subject"] == "nvcuda.dll"]
    lacking = f"; {words} does not have it: it comes with NVIDIA's graphics driver"
    assert [lacking in message for message in drivers] == [True] * target_named(name).runs(Machine.AMD64)


def test_a_text_report_says_target_and_reach(cli: Run, tiny: Path, tmp_path: Path) -> None:
    done = cli("scan", tiny, "--target", "win11-n")
    assert "target Windows 11 N (without media features), clean, amd64" in done.out
    assert "checked is all that can be imported" in done.out
    (tmp_path / "program.py").write_text("import core\n")
    entry = ("--entry", tmp_path / "program.py")
    assert "checked is all that can be imported" not in cli("scan", tiny, *entry).out
    assert json.loads(cli("scan", tiny, *entry, "--format", "json").out)["reach"] == "entry"


def test_case_and_blanks_of_a_name_do_not_matter() -> None:
    assert target_named(" Win10-N-X86 ") == target_named("win10-n-x86")
    assert target_named("WIN11") is targets()["win11"]


@pytest.mark.parametrize(
    ("name", "words", "near"),
    [
        ("windows10", "known are win7, win7-n, win8.1", "win10"),
        ("win10n", "known are", "win10-n"),
        ("server_core", "known are", "server-core"),
        ("win7-arm64", "there is no Windows 7 SP1 for arm64", "win7"),
        ("server-core-arm64", "there is no Windows Server 2022, Server Core for arm64", "server-core"),
        ("win11-x86", "there is no Windows 11 for x86, only for amd64 and arm64; it runs 32-bit programs", "win11"),
        (
            "win11-n-x86",
            "there is no Windows 11 N (without media features) for x86, only for amd64 and arm64; it runs 32-bit programs",
            "win11-n",
        ),
        (
            "server-core-x86",
            "there is no Windows Server 2022, Server Core for x86, only for amd64; it runs",
            "server-core",
        ),
        ("amiga", "known are", ""),
    ],
)
def test_an_unknown_target_is_wrong_usage(cli: Run, tiny: Path, name: str, words: str, near: str) -> None:
    done = cli("scan", tiny, "--target", name)
    assert (done.code, done.out) == (2, "")
    assert f"no such target: {name}; {words}" in done.err
    assert (f"did you mean {near}?" in done.err) if near else ("hint:" not in done.err)


# --- machines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "runs", "does_not"),
    [
        ("amd64", "win7 win7-amd64 win11 win11-arm64 win11-n-arm64 server-core", "win7-x86 win10-x86 win10-arm64"),
        ("x86", "win7 win7-x86 win7-amd64 win10-x86 win10-arm64 win11 win11-arm64 server-core", ""),
        ("arm64", "win10 win10-arm64 win11 win11-arm64", "win7 win8.1 server-core win11-amd64 win10-x86 win10-amd64"),
    ],
)
def test_a_target_runs_programs_of_its_machines(make_dist: DistMaker, machine: str, runs: str, does_not: str) -> None:
    dist = make_dist(machine=machine)
    for name in runs.split():
        assert [one for one in findings(dist, name) if one.rule == "DF105"] == [], name
    for name in does_not.split():
        found = [one for one in findings(dist, name) if one.rule == "DF105"]
        assert [(one.severity.value, one.subject, one.chain) for one in found] == [("error", "app.exe", ("app.exe",))]
        assert machine in found[0].message
        assert f"{target_named(name).words} runs no such program" in found[0].message


@pytest.mark.parametrize("target", ["win7", "win8.1", "server-core", "win11-amd64"])
def test_a_program_that_the_target_cannot_run_lacks_nothing_else(make_dist: DistMaker, target: str) -> None:
    """That no DLL of Windows is there for it follows from the machine, and would only hide it."""
    names = ("kernel32.dll", "mscoree.dll", "mfplat.dll", "nvcuda.dll", "api-ms-win-core-path-l1-1-0.dll", "gone.dll")
    dist = make_dist({"core.pyd": names}, machine="arm64")
    found = {(one.rule, one.subject) for one in findings(dist, target) if one.subject != "python310.dll"}
    assert found == {("DF105", "app.exe"), ("DF101", "gone.dll")}


def test_a_32_bit_program_runs_where_no_32_bit_windows_is_sold(make_dist: DistMaker) -> None:
    dist = make_dist({"core.pyd": ("mfplat.dll", "opencl.dll", "mscoree.dll")}, machine="x86")
    assert [findings(dist, target) for target in ("win11", "win11-amd64", "win11-arm64", "win10-x86")] == [[]] * 4
    assert [one.subject for one in findings(dist, "server-core")] == ["mfplat.dll"]


def test_an_emulated_program_is_held_against_windows_on_arm() -> None:
    """Its System32 serves arm64 and amd64 processes: what it has not for the one it has not for the other."""
    windows = CleanSystem(target_named("win11-arm64"), Machine.AMD64)
    on_amd64, on_arm64 = (system_dlls("11", machine) for machine in (Machine.AMD64, Machine.ARM64))
    assert on_amd64 - on_arm64
    assert on_arm64 - on_amd64
    assert {name for name in on_amd64 | on_arm64 if windows.has(name)} == on_amd64 & on_arm64


# --- age -------------------------------------------------------------------------------------------------------------


def python_dist(forge: Forge, folder: Path, minor: int) -> Path:
    """Return a dist of Python 3.`minor`."""
    root = folder / f"{minor}.dist"
    for name, needs in (("app.exe", (f"python3{minor}.dll",)), (f"python3{minor}.dll", ())):
        put(forge(name, needs), root / name)
    return root


@pytest.mark.parametrize(
    ("minor", "target", "oldest"),
    [
        (8, "win7", ""),
        (9, "win7", "Windows 8.1"),
        (10, "win7-n", "Windows 8.1"),
        (12, "win7-amd64", "Windows 8.1"),
        (12, "win8.1", ""),
        (13, "win8.1", "Windows 10"),
        (13, "win7", "Windows 10"),
        (13, "win10", ""),
        (99, "win8.1-n", "Windows 10"),
        (99, "server-core", ""),
    ],
)
def test_a_windows_that_is_too_old_for_the_python(
    forge: Forge, tmp_path: Path, minor: int, target: str, oldest: str
) -> None:
    subject = f"python3{minor}.dll"
    found = [one for one in findings(python_dist(forge, tmp_path, minor), target) if one.subject == subject]
    assert [(one.rule, one.severity.value) for one in found] == ([("DF108", "error")] if oldest else [])
    words = target_named(target).words
    assert [one.message for one in found] == (
        [f"Python 3.{minor} needs {oldest} or newer, and the target is {words}"] if oldest else []
    )


def test_the_default_target(make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    for minor in (6, 8, 13, 99):
        assert scan(str(python_dist(forge, tmp_path, minor)), Options(environ={})).target == "win10"
    for machine, name in (("x86", "win10"), ("amd64", "win10"), ("arm64", "win11")):
        report = scan(str(make_dist(name=machine, machine=machine)), Options(environ={}))
        assert (report.target, report.findings) == (name, ())
    assert default_target(None, Machine.AMD64).name == "win10"
    assert default_target(None, Machine.ARM64).name == "win11"


# --- what a target lacks ---------------------------------------------------------------------------------------------

MEDIA = "Media Foundation: the Media Feature Pack on N editions"
CORE = "which Server Core lacks"
DIRECTX = "the DirectX End-User Runtime (June 2010)"
ABSENT = [
    *((name, target, "error", MEDIA) for name in ("mf.dll", "mfplat.dll") for target in ("win7-n", "win8.1-n", "win11-n")),
    ("mfplat.dll", "server-core", "error", f"{MEDIA}, the Windows feature Server-Media-Foundation"),
    ("wmvcore.dll", "win10-n", "error", "Windows Media Format: the Media Feature Pack"),
    *((name, "win10", "warning", "NVIDIA's graphics driver") for name in ("nvcuda.dll", "nvml.dll")),
    ("vulkan-1.dll", "win11", "warning", "the Vulkan loader, which a graphics driver brings"),
    ("opencl.dll", "win10", "warning", "the OpenCL loader, which a graphics driver brings"),
    *((name, target, "error", DIRECTX) for name in ("d3dx9_43.dll", "xinput1_3.dll") for target in ("win7", "win11")),
    ("hostfxr.dll", "win11", "error", "the .NET runtime"),
    ("icu.dll", "win10", "error", "Windows 10 1903 or later"),
    ("aarsvc.dll", "win10", "error", "Windows 11, which has it by itself"),
    ("aarsvc.dll", "win7", "error", "Windows 11, which has it by itself"),
    ("d3d12.dll", "win8.1", "error", "Windows 10, which has it by itself"),
    ("xinput1_4.dll", "server-core", "error", "DirectX, audio and input DLLs that Server Core lacks"),
    ("opengl32.dll", "server-core", "error", f"OpenGL, {CORE}"),
    ("avicap32.dll", "server-core", "error", f"Video for Windows, {CORE}"),
    ("api-ms-win-core-path-l1-1-0.dll", "win7", "error", "Windows 8.1, which has it by itself"),
    ("api-ms-win-core-file-l1-2-2.dll", "win8.1", "error", "a newer Windows, which has this API set"),
    ("api-ms-win-core-apiquery-l2-1-0.dll", "win10", "error", "a newer Windows, which has this API set"),
    ("api-ms-win-crt-heap-l1-1-0.dll", "win7", "error", "the Universal C Runtime: part of Windows 10"),
    ("api-ms-win-crt-heap-l1-1-0.dll", "win8.1", "error", "the Universal C Runtime: part of Windows 10"),
    *(("xinput1_4.dll", target, "error", "Windows 8.1, which has it by itself") for target in ("win7", "win7-n")),
    ("mfcore.dll", "win7-n", "error", "Windows 8.1, which has it by itself"),
    *((name, "server-core", "error", "the .NET runtime") for name in ("hostfxr.dll", "coreclr.dll")),
]  # fmt: skip
UNSURE = [
    ("api-ms-win-core-ioring-l1-1-1.dll", "win11", "a newer Windows, which has this API set"),
    ("api-ms-win-core-ioring-l1-1-1.dll", "server-core", "a newer Windows, which has this API set"),
    ("aarsvc.dll", "server-core", "Windows 11, which has it by itself"),
    ("mscoree.dll", "win11-arm64", "Windows 11 for amd64"),
]
PRESENT = [
    *((name, target) for name in ("mf.dll", "mfplat.dll", "wmvcore.dll") for target in ("win7", "win10", "win11-arm64")),
    *(("mscoree.dll", target) for target in ("win7", "win10", "win11", "win10-n", "server-core")),
    *((name, "win10-n") for name in ("opengl32.dll", "avicap32.dll", "dsound.dll")),
    ("opencl.dll", "win11"), ("icu.dll", "win11"), ("aarsvc.dll", "win11"), ("d3d12.dll", "win10"),
    ("xinput1_4.dll", "win8.1"), ("api-ms-win-core-path-l1-1-0.dll", "win8.1"),
    ("api-ms-win-core-file-l1-2-2.dll", "win10"), ("api-ms-win-core-apiquery-l2-1-0.dll", "win11"),
    ("api-ms-win-crt-heap-l1-1-0.dll", "server-core"), ("icu.dll", "server-core"),
    *(("gdiplus.dll", target) for target in ("win7", "win7-n", "win8.1", "win10", "server-core")),
]  # fmt: skip
OTHER_RULES = [
    ("msvcr100.dll", "DF107", "Visual C++ 2010, which {} does not have by itself"),
    ("mfc140u.dll", "DF107", "Visual C++ 2015-2022, which {} does not have by itself"),
    ("ucrtbased.dll", "DF112", "the debug runtime"),
    ("api-ms-win-nothing-l1-1-0.dll", "DF101", "it is neither in the dist nor in {}"),
]
OF_OTHER_PROJECTS = [
    ("libcrypto.dll", "win7"),
    ("libcrypto.dll", "win8.1"),
    ("icuuc.dll", "win7"),
    ("onnxruntime.dll", "win10"),
]


@pytest.fixture(scope="module")
def greedy(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Finding]]:
    """Return what is found for a target in a dist whose program surely needs every DLL of the tables above."""
    needs = tuple(sorted({row[0] for row in (*ABSENT, *UNSURE, *PRESENT, *OTHER_RULES, *OF_OTHER_PROJECTS)}))
    folder = tmp_path_factory.mktemp("greedy")
    dist = DistMaker(forge, folder)({"core.pyd": needs})
    (folder / "program.py").write_text("import core\n")
    options = Options(environ={}, entries=(str(folder / "program.py"),))
    return cache(lambda target: list(scan(str(dist), replace(options, target=target)).findings))


@pytest.mark.parametrize(("name", "target", "severity", "words"), ABSENT)
def test_what_a_target_lacks(
    greedy: Callable[[str], list[Finding]], name: str, target: str, severity: str, words: str
) -> None:
    found = [one for one in greedy(target) if one.subject == name]
    assert [(one.rule, one.severity.value, one.confidence.value) for one in found] == [("DF108", severity, "certain")]
    assert f"; {target_named(target).words} does not have it: it comes with {words}" in found[0].message


@pytest.mark.parametrize(("name", "target", "words"), UNSURE)
def test_what_a_target_may_lack(greedy: Callable[[str], list[Finding]], name: str, target: str, words: str) -> None:
    """The tables have a gap there: nothing is claimed for certain, and no scan fails."""
    found = [one for one in greedy(target) if one.subject == name]
    assert [(one.rule, one.severity.value, one.confidence.value) for one in found] == [("DF108", "warning", "probable")]
    assert found[0].message.endswith(f"; {target_named(target).words} may lack it: it comes with {words}")


@pytest.mark.parametrize("process", [Machine.AMD64, Machine.ARM64])
def test_a_gap_in_the_list_for_arm64_is_no_absence(process: Machine) -> None:
    for target in ("win11-arm64", "win11-n-arm64"):
        absence = CleanSystem(target_named(target), process).absence("mscoree.dll")
        assert absence is not None
        assert (absence.words, absence.sure) == ("Windows 11 for amd64", False)
    assert CleanSystem(target_named("win11-arm64"), Machine.X86).absence("mscoree.dll") is None


@pytest.mark.parametrize(("name", "target"), OF_OTHER_PROJECTS)
def test_a_name_of_other_projects_is_missing_from_the_dist(
    greedy: Callable[[str], list[Finding]], name: str, target: str
) -> None:
    """That some newer Windows has a DLL of that name is no help to who needs OpenSSL's, say."""
    found = [one for one in greedy(target) if one.subject == name]
    assert [(one.rule, one.severity.value) for one in found] == [("DF101", "error")]
    assert "it is neither in the dist nor in Windows" in found[0].message


@pytest.mark.parametrize(("name", "target"), PRESENT)
def test_what_a_target_has(greedy: Callable[[str], list[Finding]], name: str, target: str) -> None:
    assert [one.message for one in greedy(target) if one.subject == name] == []


@pytest.mark.parametrize("target", ["win7", "win10-n", "win11-arm64", "server-core"])
@pytest.mark.parametrize(("name", "rule", "words"), OTHER_RULES)
def test_what_no_windows_has_by_itself(
    greedy: Callable[[str], list[Finding]], target: str, name: str, rule: str, words: str
) -> None:
    found = [one for one in greedy(target) if one.subject == name]
    assert [(one.rule, one.severity.value) for one in found] == [(rule, "error")]
    assert words.format(target_named(target).words) in found[0].message


@pytest.mark.parametrize("name", ["avifil32.dll", "msvfw32.dll", "ddraw.dll", "dxva2.dll", "glu32.dll", "oledlg.dll"])
def test_server_core_lacks_what_draws_and_plays(name: str) -> None:
    desktop = CleanSystem(targets()["win10"], Machine.AMD64)
    core = CleanSystem(targets()["server-core"], Machine.AMD64)
    assert (desktop.has(name), core.has(name)) == (True, False)
    feature = core.absence(name)
    assert feature is not None
    assert (feature.kind, "Server" in feature.words) == ("windows-feature", True)


def test_windows_7_compares_whole_names_of_api_sets() -> None:
    old, new = (CleanSystem(targets()[name], Machine.AMD64) for name in ("win7", "win10"))
    assert old.api_set_host("api-ms-win-core-file-l1-1-0.dll") == "kernel32.dll"
    assert old.api_set_host("api-ms-win-core-file-l1-1-1.dll") is None
    assert new.api_set_host("api-ms-win-core-file-l1-1-7.dll") == new.api_set_host("api-ms-win-core-file-l1-1-0.dll")


def test_what_the_dist_carries_is_not_absent(make_dist: DistMaker, forge: Forge) -> None:
    names = ("mfplat.dll", "nvml.dll", "d3dx9_43.dll", "api-ms-win-core-path-l1-1-0.dll")
    dist = make_dist({"core.pyd": names})
    assert {about(dist, "win7-n", name)[0][0] for name in names} == {"DF108"}
    for name in names:
        put(forge(name), dist / name)
    assert [about(dist, "win7-n", name) for name in names] == [[]] * 4


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("from . import core", "error"),
        ("try:\n    from . import core\nexcept ImportError:\n    core = None", "warning"),
    ],
)
def test_a_guarded_import_may_fail_on_the_target(make_dist: DistMaker, source: str, severity: str) -> None:
    dist = make_dist({"pkg/core.pyd": ("mfplat.dll",)}, {"pkg/__init__.py": source})
    assert about(dist, "win10-n", "mfplat.dll")[0][:2] == ("DF108", severity)


def test_a_delay_load_that_the_target_lacks_is_a_warning(make_dist: DistMaker, tmp_path: Path) -> None:
    source = "import ctypes, os\nctypes.CDLL(os.path.dirname(__file__) + '/lazy.dll')\n"
    dist = make_dist({}, {"pkg/__init__.py": source})
    put(delay_loading_dll(tmp_path / "made", "lazy.dll", "mfplat.dll"), dist / "pkg" / "lazy.dll")
    assert [one[:2] for one in about(dist, "win10-n", "mfplat.dll")] == [("DF108", "warning")]
    assert about(dist, "win10", "mfplat.dll") == []


def test_a_driver_fails_no_scan_unless_warnings_do(cli: Run, make_dist: DistMaker) -> None:
    dist = make_dist({"core.pyd": ("nvcuda.dll",)})
    assert [cli("scan", dist, "-q", "--fail-on", level).code for level in ("error", "warning", "never")] == [0, 1, 0]
    assert cli("scan", dist, "-q", "--fail-on", "warning", "--ignore", "DF108").code == 0
    dist = make_dist({"core.pyd": ("mfplat.dll",)}, name="other")
    assert [cli("scan", dist, "-q", "--target", name).code for name in ("win10", "win10-n")] == [0, 1]


# --- the tables of targets and of features ---------------------------------------------------------------------------


def test_targets() -> None:
    found = targets()
    assert len({target.words for target in found.values()}) == len(found)
    for target in found.values():
        assert target.release in RELEASES
        assert target.edition in ("", "n", "core")
        assert target.schema in ("win7", "win8.1", "win10")
        assert target.machines
        assert target.machine is None
        assert (Machine.ARM64 in target.machines) == bool(target.emulated)
        assert Machine.AMD64 in target.machines
        assert (Machine.X86 in target.machines) == (target.release != "11" and target.edition != "core")
        assert set(target.emulated) <= {Machine.X86, Machine.AMD64}
    order = [RELEASES.index(target.release) for target in found.values() if target.edition != "core"]
    assert order == sorted(order)
    desktop = [target.build for target in found.values() if target.edition == ""]
    assert desktop == sorted(set(desktop))


def test_an_n_edition_is_its_release_without_media() -> None:
    found = targets()
    editions = [target for target in found.values() if target.edition == "n"]
    assert [target.name for target in editions] == [f"{name}-n" for name in ("win7", "win8.1", "win10", "win11")]
    media = ("mf.dll", "mfplat.dll", "mfreadwrite.dll", "mfplay.dll", "evr.dll", "wmvcore.dll")
    for edition in editions:
        plain = found[edition.name.removesuffix("-n")]
        assert (edition.release, edition.machines, edition.emulated) == (plain.release, plain.machines, plain.emulated)
        assert (edition.schema, edition.build) == (plain.schema, plain.build)
        with_media, without = CleanSystem(plain, Machine.AMD64), CleanSystem(edition, Machine.AMD64)
        for name in media:
            assert (with_media.has(name), without.has(name)) == (True, False)
        lacking = {name for name in system_dlls(plain.release, Machine.AMD64) if not without.has(name)}
        assert {features()[name].feature.key for name in lacking} == {"media-foundation", "windows-media"}


def test_oldest_windows_of_each_python() -> None:
    versions = [tuple(int(part) for part in key.split(".")) for key in column("python-targets.tsv")]
    assert versions == [(3, minor) for minor in range(versions[0][1], versions[-1][1] + 1)]
    assert versions[-1] >= (3, 13)
    order = list(targets())
    oldest = [order.index(name) for name in column("python-targets.tsv", 1)]
    assert oldest == sorted(oldest)
    assert [source for source in column("python-targets.tsv", 2) if not URL.match(source)] == []


def test_features_and_what_brings_them() -> None:
    assert set(column("features.tsv", 1)) == set(column("feature-kinds.tsv"))
    kinds = {"driver", "redistributable", "windows-feature", "windows-release"}
    for key, kind, words, source in rows("feature-kinds.tsv"):
        assert kind in kinds, key
        assert words[-1] not in ".;,"  # it ends a sentence of a message
        assert URL.search(source) or "file lists" in source


def test_where_features_are_absent() -> None:
    windows10 = api_sets("win10")
    for name, _, text in rows("features.tsv"):
        absent = set(text.split(","))
        releases = {release for machine in MACHINES for release in releases_with(name, machine)}
        if text.startswith("before:"):
            assert re.fullmatch(r"before:[0-9]{5}", text)
            absent = {"table"}
        if absent == {"always"}:
            assert not releases, name
        elif absent == {"table"}:
            assert len(releases) < 4, name
            assert releases or name.removesuffix(".dll").rpartition("-")[0] in windows10, name
        else:
            assert absent <= {"n", "core"}
            assert {"10", "11"} <= releases, name


@pytest.mark.parametrize("machine", MACHINES)
def test_a_target_has_a_dll_or_depfix_knows_what_brings_it(machine: Machine) -> None:
    for target in targets().values():
        if machine not in target.machines:
            continue
        windows = CleanSystem(target, machine)
        for name, known in features().items():
            there = windows.has(name) or bool(windows.api_set_host(name))
            absence = windows.absence(name)
            assert there == (absence is None), (target.name, name)
            if "always" in known.absent:
                assert absence == known.feature
            elif target.edition in known.absent:
                plain = CleanSystem(replace(target, name="plain", edition=""), machine).has(name)
                assert (absence == known.feature) == (plain or machine is Machine.ARM64), (target.name, name)


@pytest.mark.parametrize("target", ["win7", "win8.1", "win10", "win11", "server-core"])
def test_no_older_windows_is_offered_as_a_cure(target: str) -> None:
    older = RELEASES[: RELEASES.index(targets()[target].release) + 1]
    words = {"7sp1": "Windows 7,", "8.1": "Windows 8.1,", "10": "Windows 10,", "11": "Windows 11,"}
    for machine in targets()[target].machines:
        windows = CleanSystem(targets()[target], machine)
        names = {name for release in RELEASES for each in MACHINES for name in system_dlls(release, each)}
        offered = {absence.words for name in names if (absence := windows.absence(name)) is not None}
        assert [each for each in offered for release in older if each.startswith(words[release])] == []


def test_the_universal_crt_is_one_thing() -> None:
    sets = {name.removesuffix(".dll") for name in column("features.tsv") if name.startswith("api-ms-win-crt-")}
    assert len(sets) == 15
    assert {api_sets("win10")[name.rpartition("-")[0]] for name in sets} == {"ucrtbase.dll"}
    assert sets.isdisjoint(api_sets("win8.1"))
    assert releases_with("ucrtbase.dll", Machine.AMD64) == ("10", "11")
    carried = {name.removesuffix(".dll") for name in carried_system_dlls()}
    assert sets | {"ucrtbase"} <= carried
