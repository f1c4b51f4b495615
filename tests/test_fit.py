"""DF205 and DF206: extension modules for another Python, versions that do not do for each other; told before a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.closure.python_abi import dll_misfit, tag_misfit, wheel_misfit
from depfix.dist.identify import PythonDll
from depfix.env.requirements import full_version, requirements, target_markers
from depfix.model.finding import Finding
from depfix.model.image import VersionInfo
from depfix.model.machine import Machine
from depfix.pipeline import Options, scan
from fixtures.link_image import image
from fixtures.windows_lab import embedded_python
from tests.conftest import DistMaker, Forge, put, snapshot
from tests.repairing import repair

CORE = "from . import core\n"
OWN = PythonDll((3, 10), "python310.dll", False, False)
FREE = PythonDll((3, 13), "python313t.dll", False, True)
DEBUG = PythonDll((3, 10), "python310_d.dll", True, False)
TAG = "cp310-win_amd64"
MakeConda = Callable[..., Path]


def findings(dist: Path, *environments: str) -> list[Finding]:
    return list(scan(str(dist), Options(environ={}, environments=environments)).findings)


def brief(dist: Path) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.subject) for one in findings(dist)]


def metadata(root: Path, name: str, version: str, *requires: str, tags: tuple[str, ...] = (), files: str = "") -> None:
    """Write the dist-info of a distribution."""
    info = root / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    rows = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{rows}\nRequires-Dist: no\n"
    )
    (info / "WHEEL").write_text("Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags))
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files.split()))


# --- DF205: by the name of the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["cp311-win_amd64", "cp310-win32", "cp310t-win_amd64", "abi3", "cp310-mingw_x86_64"])
def test_a_tagged_file_of_another_python_is_as_good_as_missing(make_dist: DistMaker, forge: Forge, tag: str) -> None:
    dist = make_dist({f"pkg/core.{tag}.pyd": ("python311.dll",)}, {"pkg/__init__.py": CORE})
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF205", "error", "pkg.core")
    assert f"pkg/core.{tag}.pyd is for another Python; its name says {tag}" in finding.message
    assert "looks for .cp310-win_amd64.pyd and .pyd only" in finding.message
    assert [place.path for place in finding.locations] == [f"pkg/core.{tag}.pyd", "pkg/__init__.py"]
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg.core")
    put(forge("core.pyd", ("python310.dll",)), dist / "pkg" / f"core.{TAG}.pyd")
    assert {row[:2] for row in brief(dist)} == {("DF205", "info")}  # the other file is ballast now


def test_a_guarded_import_of_such_a_file_is_told_and_does_not_fail_a_scan(make_dist: DistMaker) -> None:
    guarded = "try:\n    from . import core\nexcept ImportError:\n    core = None\n"
    dist = make_dist({"pkg/core.cp311-win_amd64.pyd": ()}, {"pkg/__init__.py": guarded})
    assert {row[:2] for row in brief(dist)} == {("DF205", "info")}


def test_many_files_that_nothing_loads_are_one_finding(make_dist: DistMaker) -> None:
    images = {f"pkg/_{number}.cp39-win_amd64.pyd": () for number in range(5)}
    dist = make_dist({**images}, {"pkg/__init__.py": ""})
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF205", "info", "pkg")
    assert "(and 4 more files of it)" in finding.message
    assert len(finding.locations) == 5


@pytest.mark.parametrize(
    ("python", "name", "fits"),
    [
        (OWN, "core.pyd", True),
        (OWN, "core.cp310-win_amd64.pyd", True),
        (OWN, "core.CP310-win_amd64.PYD", True),
        (OWN, "core.cp31-win_amd64.pyd", False),
        (OWN, "core.cp310-win_arm64.pyd", False),
        (OWN, "core.abi3.pyd", False),
        (OWN, "core.dll", True),
        (FREE, "core.cp313t-win_amd64.pyd", True),
        (FREE, "core.cp313-win_amd64.pyd", False),
        (DEBUG, "core_d.cp310-win_amd64.pyd", True),
        (DEBUG, "core_d.pyd", True),
        (DEBUG, "core.cp310-win_amd64.pyd", False),
        (None, "core.cp27-win_amd64.pyd", True),
    ],
)
def test_what_a_name_says(python: PythonDll | None, name: str, fits: bool) -> None:
    assert (tag_misfit(python, Machine.AMD64, name) == "") is fits


# --- DF205: by the Python DLL ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", [False, True])
@pytest.mark.parametrize("name", ["python311.dll", "python310t.dll", "python39.dll"])
def test_a_module_that_imports_another_python(make_dist: DistMaker, forge: Forge, name: str, present: bool) -> None:
    """One cause, one finding: neither a missing DLL nor a missing module is told as well."""
    dist = make_dist({f"pkg/core.{TAG}.pyd": (name,)}, {"pkg/__init__.py": CORE})
    if present:
        put(forge(name), dist / name)
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value) == ("DF205", "error")
    assert finding.subject == f"core.{TAG}.pyd"
    assert finding.message.endswith(f"it is for {name}, the program has python310.dll")


def test_another_python_of_a_file_that_nothing_loads(make_dist: DistMaker) -> None:
    dist = make_dist({"old-tools/core.pyd": ("python311.dll",), "old-tools/x.dll": ("python311.dll",)})
    assert brief(dist) == [("DF205", "info", "old-tools")]


def test_the_stable_abi_serves_any_python(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("python3.dll",)}, {"pkg/__init__.py": CORE})
    for name in ("python3.dll", "python310.dll", "vcruntime140.dll"):
        put(embedded_python() / name, dist / name)
    assert [row for row in brief(dist) if row[0] == "DF205"] == []


def test_a_python3_dll_of_another_python(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    image(dist / "pkg" / "core.pyd", "", {"python3.dll": "PyList_New"})
    image(dist / "python3.dll", "PyList_New=python312.PyList_New")
    found = [(one.rule, one.severity.value, one.subject) for one in findings(dist)]
    assert found == [("DF205", "error", "python3.dll")]


@pytest.mark.parametrize(
    ("python", "asked", "fits"),
    [
        (OWN, "PYTHON310.DLL", True),
        (OWN, "python310", True),
        (OWN, "python3.dll", True),
        (OWN, "python310_d.dll", True),  # DF112 tells that
        (OWN, "pythoncom310.dll", True),
        (OWN, "python313t.dll", False),
        (FREE, "python313.dll", False),
        (FREE, "python3.dll", False),
        (DEBUG, "python310.dll", False),
        (DEBUG, "python310_d.dll", True),
    ],
)
def test_what_a_python_dll_says(python: PythonDll, asked: str, fits: bool) -> None:
    assert (dll_misfit(python, asked) == "") is fits


# --- DF205: by the wheel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp310-cp310-win_amd64", True),
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py3-none-win_amd64", True),
        ("cp37-abi3-win_amd64", True),
        ("py39-none-any", True),
        ("cp311-cp311-win_amd64", False),
        ("cp311-abi3-win_amd64", False),
        ("cp310-cp310-win32", False),
        ("cp310-cp310-manylinux_2_17_x86_64", False),
        ("py2-none-any", False),
        ("pp310-pypy310_pp73-win_amd64", False),
        ("nonsense", True),
    ],
)
def test_what_a_wheel_says(tag: str, fits: bool) -> None:
    assert (wheel_misfit(OWN, Machine.AMD64, [tag]) == "") is fits
    assert wheel_misfit(OWN, Machine.AMD64, [tag, "py3-none-any"]) == ""


def test_a_free_threaded_python_has_wheels_of_its_own() -> None:
    assert wheel_misfit(FREE, Machine.AMD64, ["cp313-cp313t-win_amd64"]) == ""
    assert wheel_misfit(FREE, Machine.AMD64, ["cp313-cp313-win_amd64"]) != ""
    assert wheel_misfit(FREE, Machine.AMD64, ["cp38-abi3-win_amd64"]) != ""


def test_a_wheel_for_another_python_is_told_where_no_file_tells(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ()}, {"pkg/__init__.py": CORE})
    metadata(dist, "pkg", "1.0", tags=("cp311-cp311-win_amd64",), files="pkg/core.pyd")
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF205", "warning", "pkg")
    assert "pkg 1.0 was installed from a wheel that does not fit: it is for cp311-cp311-win_amd64" in finding.message


# --- DF206: Requires-Dist --------------------------------------------------------------------------------------------


def test_a_requirement_that_the_dist_does_not_meet(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"one.py": "import two\n", "two.py": ""})
    metadata(dist, "one", "1.0", "two>=2", 'two<1; sys_platform == "linux"', 'two<1; extra == "all"', "absent>=1")
    metadata(dist, "two", "1.5")
    (finding,) = findings(dist)
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF206", "warning", "two")
    assert finding.message == "one 1.0 requires two >=2, and the dist has two 1.5"


@pytest.mark.parametrize(
    "requirement",
    [
        "Two_",
        "two>=1.5",
        "two==1.5",
        "two~=1.4",
        'two>=2; python_version < "3.10"',
        'two>=2; platform_machine == "ARM64"',
        'two>=2; python_full_version < "3.10.0"',
        "this is no requirement",
        "two @ https://example.com/two.whl",
    ],
)
def test_requirements_that_are_met_or_do_not_count(make_dist: DistMaker, requirement: str) -> None:
    dist = make_dist({}, {"one.py": "import two\n", "two.py": ""})
    metadata(dist, "one", "1.0", requirement)
    metadata(dist, "two", "1.5+local")
    assert brief(dist) == []


def test_what_nothing_imports_is_a_mere_possibility(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, {"other.py": ""})
    metadata(dist, "one", "1.0", "two>=2")
    metadata(dist, "two", "2.0rc1")
    assert brief(dist) == [("DF206", "info", "two")]
    metadata(dist, "two", "2.1")  # one of two dist-infos is a remainder
    assert brief(dist) == []


def test_markers_are_those_of_the_target() -> None:
    rows = ["a; os_name == 'nt'", "b; platform_machine == 'AMD64'", "c; python_full_version >= '3.10.7'", "d; bad =="]
    full = full_version((3, 10), VersionInfo((3, 10, 11150, 1013), (3, 10, 11150, 1013), "", "", "", ""))
    assert full == "3.10.11"
    x86 = target_markers((3, 10), Machine.X86, full)
    assert [one.name for one in requirements(rows, x86)] == ["a", "c"]
    assert [one.name for one in requirements(rows, target_markers((3, 10), Machine.AMD64))] == ["a", "b"]


# --- before anything is copied ---------------------------------------------------------------------------------------


def reasons(dist: Path, *environments: str, entry: str = "") -> dict[str, str]:
    entries = (entry,) if entry else ()
    before = snapshot(dist)
    plan = repair(str(dist), Options(environ={}, environments=environments, entries=entries)).plan
    assert plan is not None and plan.actions == ()
    assert snapshot(dist) == before
    return {row.subject: row.reason for row in plan.declined}


@pytest.fixture
def needing(make_dist: DistMaker) -> Path:
    return make_dist({}, {"pkg/__init__.py": CORE, "pkg/core.pyi": "", "Lib/os.py": ""})


def test_a_32_bit_dll_is_declined_by_name(make_dist: DistMaker, make_conda: MakeConda, forge: Forge) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": CORE})
    root = make_conda({})
    put(forge("need.dll", machine="x86"), root / "Library" / "bin" / "need.dll")
    assert (
        "Library/bin/need.dll: it is 32-bit (x86), the program is 64-bit" in reasons(dist, f"conda:{root}")["need.dll"]
    )


def test_a_module_of_another_release_is_declined(needing: Path, make_conda: MakeConda, forge: Forge) -> None:
    site = "Lib/site-packages"
    root = make_conda({})
    put(forge("core.pyd"), root / site / "pkg" / "core.pyd")
    metadata(root / site, "pkg", "1.0", files="pkg/core.pyd pkg/__init__.py")
    metadata(needing, "pkg", "2.0", files="pkg/core.pyd pkg/__init__.py")
    (root / site / "pkg" / "__init__.py").write_text(CORE)
    assert "it is of pkg 1.0, the dist has pkg 2.0" in reasons(needing, f"conda:{root}")["pkg.core"]


def test_a_wrong_module_gives_way_to_the_right_one(make_dist: DistMaker, make_conda: MakeConda, forge: Forge) -> None:
    dist = make_dist({"pkg/core.cp311-win_amd64.pyd": ("python311.dll",)}, {"pkg/__init__.py": CORE})
    root = make_conda({})
    put(forge("core.pyd", ("python310.dll",)), root / "Lib" / "site-packages" / "pkg" / f"core.{TAG}.pyd")
    report = repair(str(dist), Options(environ={}, environments=(f"conda:{root}",)))
    assert report.plan is not None
    assert [action.destination for action in report.plan.actions] == [f"pkg/core.{TAG}.pyd"]
    assert {row[1] for row in brief(dist)} == {"info"}


def test_an_untagged_module_of_another_python_is_replaced(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge
) -> None:
    dist = make_dist({"pkg/core.pyd": ("python311.dll",)}, {"pkg/__init__.py": CORE})
    root = make_conda({})
    put(forge("core.pyd", ("python310.dll",)), root / "Lib" / "site-packages" / "pkg" / "core.pyd")
    assert "--overwrite" in reasons(dist, f"conda:{root}")["core.pyd"]
    report = repair(str(dist), Options(environ={}, environments=(f"conda:{root}",), overwrite=True))
    assert report.plan is not None and [row.action for row in report.plan.actions] == ["replace"]
    assert brief(dist) == []


@pytest.mark.parametrize(
    ("file", "imported", "words"),
    [
        ("core.cp311-win_amd64.pyd", "python311.dll", "its name says cp311-win_amd64"),
        ("core.pyd", "python311.dll", "it is for python311.dll, the program has python310.dll"),
    ],
)
def test_a_distribution_for_another_python_is_declined(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, tmp_path: Path, file: str, imported: str, words: str
) -> None:
    root = make_conda({})
    site = root / "Lib" / "site-packages"
    put(forge(file, (imported,)), site / "pkg" / file)
    (site / "pkg" / "__init__.py").write_text("")
    metadata(site, "pkg", "1.0", files=f"pkg/{file} pkg/__init__.py")
    (tmp_path / "program.py").write_text("import pkg\n")
    dist = make_dist({}, {"Lib/os.py": ""})
    reason = reasons(dist, f"conda:{root}", entry=str(tmp_path / "program.py"))["pkg"]
    assert reason.startswith(f"pkg 1.0: pkg/{file}: ")
    assert words in reason


def test_versions_that_do_not_do_are_noted_in_the_plan(
    make_dist: DistMaker, make_conda: MakeConda, tmp_path: Path
) -> None:
    root = make_conda({})
    site = root / "Lib" / "site-packages"
    (site / "pkg").mkdir(parents=True)
    (site / "pkg" / "__init__.py").write_text("import old\n")
    metadata(site, "pkg", "3.0", "old>=2", files="pkg/__init__.py pkg-3.0.dist-info/METADATA")
    (tmp_path / "program.py").write_text("import pkg, user\n")
    dist = make_dist({}, {"Lib/os.py": "", "old.py": "", "user.py": "import pkg\n"})
    metadata(dist, "old", "1.0")
    metadata(dist, "user", "1.0", "pkg<3")
    options = Options(environ={}, environments=(f"conda:{root}",), entries=(str(tmp_path / "program.py"),))
    report = repair(str(dist), options, dry_run=True)
    assert report.plan is not None
    note = next(action.provider.note for action in report.plan.actions if action.subject == "pkg")
    assert note == "it requires old >=2, the dist has 1.0; user 1.0 in the dist requires pkg <3"
    assert report.verification is not None
    new = {(one.rule, one.subject) for one in report.verification.introduced}
    assert new == {("DF206", "old"), ("DF206", "pkg")}
