"""DF109 to DF111: two DLLs of which a process can use one, and parts of Windows in a dist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from fixtures.link_image import image
from tests.conftest import Cli, DistMaker
from tests.test_runtimes import CORE, brief, findings, runtime

LOAD = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), {0!r}))\n"
VERSION = '1 VERSIONINFO FILEVERSION {0} {{ BLOCK "StringFileInfo" {{ BLOCK "040904b0" {{\n{1}\n}} }} }}\n'


def version(number: str = "1,0,0,0", company: str = "", product: str = "") -> str:
    """Return a resource script with a version, and the texts that the Explorer shows."""
    texts = f'VALUE "CompanyName", "{company}"\nVALUE "ProductName", "{product}"' if company else ""
    return VERSION.format(number, texts)


WINDOWS = version("10,0,19041,1", "Microsoft Corporation", "Microsoft® Windows® Operating System")

# --- DF109 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_packages(make_dist: DistMaker) -> Path:
    """Packages `a` and `b`, each with an extension module that takes `one` from the need.dll beside it; a test adds those."""
    dist = make_dist({}, {"a/__init__.py": CORE, "b/__init__.py": CORE})
    for package in ("a", "b"):
        image(dist / package / "core.pyd", "", {"need.dll": "one"})
    return dist


def running(dist: Path, source: str) -> Path:
    """Write the program's own script, beside the dist."""
    entry = dist.with_name("program.py")
    entry.write_text(source)
    return entry


def of_rule(rule: str, dist: Path, source: str) -> list[Finding]:
    return [one for one in findings(dist, entry=running(dist, source)) if one.rule == rule]


@pytest.mark.parametrize(("source", "first", "second"), [("import a, b", "a", "b"), ("import b, a", "b", "a")])
def test_the_file_that_is_loaded_first_wins_and_the_message_says_who_brought_it(
    two_packages: Path, source: str, first: str, second: str
) -> None:
    image(two_packages / "a" / "need.dll", "one; a", resource=version("1,0,0,0"))
    image(two_packages / "b" / "need.dll", "one; b", resource=version("2,0,0,0"))
    numbers = {"a": "1.0.0.0", "b": "2.0.0.0"}
    (finding,) = of_rule("DF109", two_packages, source)
    assert (finding.severity.value, finding.confidence.value, finding.subject) == ("warning", "certain", "need.dll")
    assert finding.message == (
        f"{second}/core.pyd gets {first}/need.dll ({numbers[first]}), which is in the process first, brought by "
        f"{first}/core.pyd; its own search leads to {second}/need.dll ({numbers[second]}), which has other content"
    )
    assert [place.path for place in finding.locations] == [f"{first}/need.dll", f"{second}/need.dll"]
    assert finding.chain[-2:] == (f"{second}/core.pyd", f"{first}/need.dll")


def test_equal_files_are_no_conflict(two_packages: Path) -> None:
    for package in ("a", "b"):
        image(two_packages / package / "need.dll", "one")
    assert brief(two_packages, entry=running(two_packages, "import a, b")) == []


def test_one_version_that_was_only_signed_twice_is_no_conflict(two_packages: Path) -> None:
    for package in ("a", "b"):
        file = image(two_packages / package / "need.dll", "one", resource=version())
        file.write_bytes(file.read_bytes() + package.encode())
    assert brief(two_packages, entry=running(two_packages, "import a, b")) == []


def test_one_version_with_other_exports_is_a_conflict(two_packages: Path) -> None:
    for package in ("a", "b"):
        image(two_packages / package / "need.dll", f"one; {package}", resource=version())
    assert len(of_rule("DF109", two_packages, "import a, b")) == 1


def test_files_without_a_version_are_compared_by_content(two_packages: Path) -> None:
    for package in ("a", "b"):
        file = image(two_packages / package / "need.dll", "one")
        file.write_bytes(file.read_bytes() + package.encode())
    assert len(of_rule("DF109", two_packages, "import a, b")) == 1


def test_a_loser_whose_importer_misses_a_symbol_is_an_error_besides(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need.dll", "one; b")
    image(two_packages / "b" / "core.pyd", "", {"need.dll": "one; b"})
    found = brief(two_packages, entry=running(two_packages, "import a, b"))
    assert found == [("DF104", "error", "need.dll"), ("DF109", "warning", "need.dll")]
    assert brief(two_packages, entry=running(two_packages, "import b, a")) == [("DF109", "warning", "need.dll")]


def test_packages_that_never_meet_in_one_process_do_not_conflict(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need.dll", "one; b")
    assert brief(two_packages, entry=running(two_packages, "import b")) == []


def test_without_an_entry_a_package_that_imports_the_other_shows_the_conflict(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need.dll", "one; b")
    (two_packages / "a" / "__init__.py").write_text("import b\nfrom . import core\n")
    (finding,) = findings(two_packages)
    assert (finding.rule, finding.locations[0].path) == ("DF109", "b/need.dll")


@pytest.mark.parametrize(
    ("winner", "loser", "count"),
    [("14.42.1.0", "14.29.1.0", 0), ("14.29.1.0", "14.42.1.0", 1), ("14.42.1.0", "12.0.1.0", 1), ("14.42.1.0", "", 1)],
)
def test_a_newer_visual_c_runtime_that_wins_over_an_older_one_is_no_conflict(
    make_dist: DistMaker, winner: str, loser: str, count: int
) -> None:
    dist = make_dist({}, {"a/__init__.py": CORE, "b/__init__.py": CORE})
    for package in ("a", "b"):
        image(dist / package / "core.pyd", "", {"msvcp140.dll": "one"})
    runtime(dist / "msvcp140.dll", winner, "one")
    runtime(dist / "b" / "msvcp140.dll", loser, "one; two")
    assert len(of_rule("DF109", dist, "import a, b")) == count


def test_a_newer_version_of_another_dll_is_a_conflict_all_the_same(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a", resource=version("2,0,0,0"))
    image(two_packages / "b" / "need.dll", "one; b", resource=version("1,0,0,0"))
    assert len(of_rule("DF109", two_packages, "import a, b")) == 1


def test_names_that_differ_in_case_conflict_too(two_packages: Path) -> None:
    image(two_packages / "a" / "NEED.dll", "one; a")
    image(two_packages / "b" / "need.DLL", "one; b")
    (finding,) = of_rule("DF109", two_packages, "import a, b")
    assert finding.subject == "need.dll"


def test_other_names_with_other_content_live_side_by_side(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need-b.dll", "one; b")
    image(two_packages / "b" / "core.pyd", "", {"need-b.dll": "one"})
    assert brief(two_packages, entry=running(two_packages, "import a, b")) == []


def test_a_file_that_is_loaded_by_its_path_wins_over_what_is_beside_the_importer(two_packages: Path) -> None:
    image(two_packages / "libs" / "need.dll", "one; libs")
    image(two_packages / "b" / "need.dll", "one; b")
    (two_packages / "a" / "__init__.py").write_text(LOAD.format("../libs/need.dll"))
    (finding,) = of_rule("DF109", two_packages, "import a, b")
    assert "b/core.pyd gets libs/need.dll" in finding.message
    assert "brought by a/__init__.py:2" in finding.message


def test_two_files_that_are_both_loaded_by_their_paths_do_not_conflict(two_packages: Path) -> None:
    for package in ("a", "b"):
        image(two_packages / package / "need.dll", f"one; {package}")
        (two_packages / package / "core.pyd").unlink()
        (two_packages / package / "__init__.py").write_text(LOAD.format("need.dll"))
    assert brief(two_packages, entry=running(two_packages, "import a, b")) == []


def test_all_importers_of_one_loser_are_one_finding(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need.dll", "one; b")
    image(two_packages / "b" / "more.pyd", "", {"need.dll": "one"})
    (two_packages / "b" / "__init__.py").write_text("from . import core, more\n")
    (finding,) = of_rule("DF109", two_packages, "import a, b")
    assert "b/core.pyd (and 1 more) gets a/need.dll" in finding.message


def test_a_guarded_import_makes_a_conflict_less_sure(two_packages: Path) -> None:
    image(two_packages / "a" / "need.dll", "one; a")
    image(two_packages / "b" / "need.dll", "one; b")
    (finding,) = of_rule("DF109", two_packages, "import a\ntry:\n    import b\nexcept ImportError:\n    b = None")
    assert finding.confidence.value == "probable"


# --- DF110 -----------------------------------------------------------------------------------------------------------

LLVM, GNU, MICROSOFT = "__kmpc_fork_call", "GOMP_parallel", "_vcomp_fork"


@pytest.fixture
def two_loads(make_dist: DistMaker) -> Path:
    """Packages `a` and `b`, which load a/one.dll and b/two.dll by their paths; a test adds those."""
    sources = {"a/__init__.py": LOAD.format("one.dll"), "b/__init__.py": LOAD.format("two.dll")}
    return make_dist({}, sources)


@pytest.mark.parametrize("symbol", [LLVM, GNU, MICROSOFT])
def test_two_copies_of_one_openmp_runtime_are_known_by_their_entry_point(two_loads: Path, symbol: str) -> None:
    image(two_loads / "a" / "one.dll", f"{symbol}; other")
    image(two_loads / "b" / "two.dll", symbol)
    (finding,) = findings(two_loads, entry=running(two_loads, "import a, b"))
    assert (finding.rule, finding.severity.value, finding.confidence.value) == ("DF110", "warning", "certain")
    assert "a/one.dll and b/two.dll: two copies of one OpenMP runtime" in finding.message
    assert {place.path for place in finding.locations} == {"a/one.dll", "b/two.dll"}
    assert finding.chain[-1] == "b/two.dll"


@pytest.mark.parametrize(
    ("one", "two", "makers"),
    [
        (LLVM, GNU, "LLVM and Intel and GNU"),
        (LLVM, MICROSOFT, "LLVM and Intel and Microsoft"),
        (GNU, MICROSOFT, "GNU and Microsoft"),
        (f"{LLVM}; {GNU}", GNU, "LLVM and Intel and GNU"),  # LLVM's serves programs of GNU's compiler too
    ],
)
def test_runtimes_of_two_makers_are_only_worth_knowing(two_loads: Path, one: str, two: str, makers: str) -> None:
    image(two_loads / "a" / "one.dll", one)
    image(two_loads / "b" / "two.dll", two)
    (finding,) = findings(two_loads, entry=running(two_loads, "import a, b"))
    assert (finding.rule, finding.severity.value) == ("DF110", "info")
    assert f"OpenMP runtimes of {makers}, each with threads of its own" in finding.message


def test_without_an_entry_nobody_knows_that_two_runtimes_meet(two_loads: Path) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    image(two_loads / "b" / "two.dll", f"{LLVM}; other")
    (finding,) = findings(two_loads)
    assert (finding.rule, finding.confidence.value) == ("DF110", "possible")


def test_a_copy_with_the_same_content_is_a_second_runtime_if_its_path_is_loaded(two_loads: Path) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    (two_loads / "b" / "two.dll").write_bytes((two_loads / "a" / "one.dll").read_bytes())
    assert [row[0] for row in brief(two_loads, entry=running(two_loads, "import a, b"))] == ["DF110"]


def test_one_runtime_that_both_packages_get_is_no_second_one(two_packages: Path) -> None:
    for package in ("a", "b"):
        image(two_packages / package / "need.dll", f"one; {LLVM}")
    assert brief(two_packages, entry=running(two_packages, "import a, b")) == []


@pytest.mark.parametrize(
    ("exports", "needs"),
    [("omp_get_num_threads", {}), ("__KMPC_FORK_CALL", {}), ("two", {"one.dll": LLVM})],
)
def test_a_name_or_a_user_of_a_runtime_is_no_runtime(two_loads: Path, exports: str, needs: dict[str, str]) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    image(two_loads / "b" / "libiomp5md.dll", exports, needs)
    (two_loads / "b" / "__init__.py").write_text(LOAD.format("libiomp5md.dll"))
    assert brief(two_loads, entry=running(two_loads, "import a, b")) == []


def test_a_dll_that_forwards_to_the_runtime_is_no_second_one(two_loads: Path) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    image(two_loads / "b" / "two.dll", f"{LLVM}=one.{LLVM}")
    assert brief(two_loads, entry=running(two_loads, "import a, b")) == []


def test_a_runtime_that_nothing_loads_does_not_count(two_loads: Path) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    image(two_loads / "b" / "two.dll", f"{LLVM}; other")
    assert brief(two_loads, entry=running(two_loads, "import a")) == []


def test_a_runtime_that_is_a_mere_possibility_does_not_count(two_loads: Path) -> None:
    image(two_loads / "a" / "one.dll", LLVM)
    image(two_loads / "b" / "two.dll", f"{LLVM}; other")
    image(two_loads / "b" / "hidden.pyd", "", {"two.dll": LLVM})  # no source names it
    (two_loads / "b" / "__init__.py").write_text("")
    assert brief(two_loads, entry=running(two_loads, "import a, b")) == []


# --- DF111 -----------------------------------------------------------------------------------------------------------

OPENSSL = version("3,0,13,0", "The OpenSSL Project, https://www.openssl.org/", "The OpenSSL Toolkit")
OTHER_MICROSOFT = version("14,38,1,0", "Microsoft Corporation", "Microsoft® Visual Studio®")


@pytest.mark.parametrize(
    ("name", "resource", "expected"),
    [
        ("d3d12.dll", WINDOWS, ["certain"]),
        ("d3d12.dll", "", ["probable"]),  # nobody says whose it is
        ("d3d12.dll", version("1,0,0,0", "Somebody", "Something"), []),
        ("libcrypto.dll", WINDOWS, ["certain"]),
        ("libcrypto.dll", OPENSSL, []),
        ("libcrypto.dll", "", []),  # as other projects build it
        ("icuuc.dll", WINDOWS, ["certain"]),
        ("icuuc.dll", version("73,1,0,0", "The ICU Project", "International Components for Unicode"), []),
        ("icuuc.dll", "", []),
        ("ucrtbase.dll", WINDOWS, []),  # may be carried
        ("d3dcompiler_47.dll", WINDOWS, []),
        ("dbghelp.dll", WINDOWS, []),
        ("api-ms-win-crt-heap-l1-1-0.dll", WINDOWS, []),
        ("api-ms-win-core-winrt-l1-1-0.dll", WINDOWS, ["certain"]),
        ("vcruntime140.dll", OTHER_MICROSOFT, []),
        ("need.dll", WINDOWS, []),  # Windows has none
    ],
)
def test_a_part_of_windows_in_the_dist_is_told_from_others_of_its_name(
    make_dist: DistMaker, name: str, resource: str, expected: list[str]
) -> None:
    dist = make_dist()
    image(dist / "pkg" / name, "one", resource=resource)
    found = [one for one in findings(dist) if one.rule == "DF111"]
    assert [one.confidence.value for one in found] == expected
    assert all((one.severity.value, one.subject) == ("warning", name) for one in found)


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("kernel32.dll", "Windows takes its own and ignores this one"),
        ("api-ms-win-core-winrt-l1-1-0.dll", "Windows takes its own and ignores this one"),
        ("d3d12.dll", "it takes the place of Windows' own in this program"),
    ],
)
def test_the_message_says_whether_windows_would_take_it(make_dist: DistMaker, name: str, effect: str) -> None:
    dist = make_dist()
    image(dist / name, "one", resource=WINDOWS)
    (finding,) = findings(dist)
    assert finding.message.startswith(f"{name} is a part of Windows (Windows 10")
    assert effect in finding.message


def test_only_the_target_says_what_is_a_part_of_windows(cli: Callable[..., Cli], make_dist: DistMaker) -> None:
    dist = make_dist()
    image(dist / "icu.dll", "one", resource=WINDOWS)
    assert "DF111" not in cli("scan", dist, "--target", "win10").out
    assert "DF111 bundled-system-dll  icu.dll" in cli("scan", dist, "--target", "win11").out


def test_a_part_of_windows_for_another_machine_takes_no_place(make_dist: DistMaker) -> None:
    dist = make_dist()
    image(dist / "d3d12.dll", "one", resource=WINDOWS, machine="x86")
    assert brief(dist) == []
