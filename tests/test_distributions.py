"""Packages and modules of the standard library that are missing as a whole: what is needed, what is copied, what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from depfix.errors import ReportNotReadError
from depfix.model.finding import Finding
from depfix.model.report import Report
from depfix.pipeline import Options, scan, undo
from fixtures.windows_lab import embedded_python
from tests.conftest import DistMaker, Forge, put, snapshot
from tests.repairing import repair

SITE = "Lib/site-packages"
STDLIB = {
    "Lib/os.py": "",
    "Lib/unittest/__init__.py": "from . import case",
    "Lib/unittest/case.py": "import difflib",
    "Lib/unittest/test/__init__.py": "",
    "Lib/difflib.py": "",
    "Lib/logging/__init__.py": "",
}
METADATA = "def version(name): ...\ndef entry_points(**_): ...\nclass PackageNotFoundError(ModuleNotFoundError): ...\n"
HAS_STDLIB = {"Lib/os.py": "", "Lib/importlib/__init__.py": "", "Lib/importlib/metadata/__init__.py": METADATA}


def installed(name: str, files: dict[str, str], *requires: str, version: str = "1.0") -> dict[str, str]:
    """Return the files of an installed distribution, below an environment's root."""
    info = f"{name}-{version}.dist-info"
    lines = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        *(f"Requires-Dist: {one}\n" for one in requires),
    ]
    record = [*files, f"{info}/METADATA", f"{info}/RECORD", f"../../Scripts/{name}.exe"]
    own = {f"{info}/METADATA": "".join(lines), f"{info}/RECORD": "".join(f"{path},,\n" for path in record)}
    return {f"{SITE}/{path}": text for path, text in (files | own).items()}


@pytest.fixture
def make_python(forge: Forge, tmp_path: Path) -> Callable[..., str]:
    """Make a Python installation with distributions in it; return what --env wants."""

    def make(*distributions: dict[str, str], version: str = "310", stdlib: dict[str, str] = STDLIB) -> str:
        root = tmp_path / f"Python{version}"
        put(forge("python.exe", (f"python{version}.dll",)), root / "python.exe")
        put(forge(f"python{version}.dll"), root / f"python{version}.dll")
        for files in (stdlib, *distributions):
            for path, text in files.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
        return f"python:{root}"

    return make


def program(tmp_path: Path, text: str) -> str:
    (tmp_path / "program.py").write_text(text, encoding="utf-8")
    return str(tmp_path / "program.py")


def options(environments: Iterable[str], entry: str, *, slim: bool = False) -> Options:
    return Options(environ={}, environments=tuple(environments), entries=(entry,), slim=slim)


def words(findings: Iterable[Finding]) -> set[str]:
    return {f"{one.rule} {one.severity.value} {one.subject}" for one in findings if one.severity.value != "info"}


def copied(report: Report) -> set[str]:
    """Return the destinations of a repair; those of packages below site-packages."""
    actions = report.plan.actions if report.plan is not None else ()
    return {action.destination.removeprefix(f"{SITE}/") for action in actions}


def test_a_distribution_comes_whole_with_what_it_requires(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    environment = make_python(
        installed(
            "pkg", {"pkg/__init__.py": "import other", "pkg/data.txt": "x", "pkg/__pycache__/a.pyc": ""}, "other"
        ),
        installed("other", {"other.py": "import unittest"}),
        installed("unused", {"unused.py": ""}),
    )
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import pkg")
    before = snapshot(dist)
    found = scan(str(dist), options([environment], entry)).findings
    assert words(found) == {
        "DF201 error pkg",
        "DF201 error other",
        "DF203 error unittest",
        "DF203 error difflib",
    }  # all that a repair will bring, not the first alone
    assert {one.fix.provider for one in found if one.fix is not None} == {"pkg 1.0", "other 1.0", "Python 3.10"}
    report = repair(str(dist), options([environment], entry))
    packages = {"pkg/__init__.py", "pkg/data.txt", "pkg-1.0.dist-info/METADATA", "pkg-1.0.dist-info/RECORD"}
    packages |= {"other.py", "other-1.0.dist-info/METADATA", "other-1.0.dist-info/RECORD"}
    stdlib = {"Lib/unittest/__init__.py", "Lib/unittest/case.py", "Lib/difflib.py"}
    assert copied(report) == packages | stdlib
    assert report.verification is not None and words(report.verification.remaining) == set()
    assert words(scan(str(dist), options([], entry)).findings) == set()
    undo(str(dist))
    assert snapshot(dist) == before


@pytest.mark.parametrize(
    ("pkg", "requires", "expected"),
    [
        ("import other", (), {"DF201 error other"}),  # it cannot start without
        ("def f():\n    import other\nf()", ("other",), {"DF201 error other"}),
        ("def f():\n    import other", ("other",), set()),  # nothing calls it
        ("from .feature import x", (), {"DF201 error other"}),
        ("def run():\n    from . import feature", (), set()),  # a feature whose distribution nobody asked for
        ("def run():\n    from . import feature", ("other",), {"DF201 error other"}),
        ("def run():\n    from . import feature", ("other; extra == 'more'",), set()),
        ("def run():\n    from . import feature", ("other; sys_platform == 'linux'",), set()),
        ("def run():\n    from . import feature", ("other; python_version >= '3.8'",), {"DF201 error other"}),
        ("try:\n    import other\nexcept ImportError:\n    other = None", (), set()),
        ("try:\n    import other\nexcept ImportError:\n    other = None", ("Other",), {"DF201 warning other"}),
        ("try:\n    import os\nexcept ImportError:\n    import other", (), set()),  # what it stands for is there
        ("try:\n    import nobody\nexcept ImportError:\n    import other", ("other",), {"DF201 error other"}),
        ("if __name__ == '__main__':\n    import other", ("other",), set()),
    ],
)  # fmt: skip
def test_who_needs_another_distribution(
    make_dist: DistMaker,
    make_python: Callable[..., str],
    tmp_path: Path,
    pkg: str,
    requires: tuple[str, ...],
    expected: set[str],
) -> None:
    environment = make_python(
        installed("pkg", {"pkg/__init__.py": pkg, "pkg/feature.py": "import other\nx = 1"}, *requires),
        installed("other", {"other/__init__.py": ""}),
    )
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import pkg\npkg.run()")
    found = words(scan(str(dist), options([environment], entry)).findings)
    assert found - {"DF201 error pkg"} == expected
    report = repair(str(dist), options([environment], entry))
    assert ("other/__init__.py" in copied(report)) == bool(expected)
    assert report.verification is not None and words(report.verification.introduced) == set()


def test_without_an_environment_what_must_be_there_is_named(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, HAS_STDLIB)
    put(embedded_python() / "python310.dll", dist / "python310.dll")  # it has time in itself
    entry = program(
        tmp_path,
        "import pkg.sub, unittest.mock, time\ntry:\n    import maybe\nexcept ImportError:\n    pass\n"
        "if time.time() > 9:\n    import perhaps, difflib\n",
    )
    found = words(one for one in scan(str(dist), options([], entry)).findings if one.rule.startswith("DF2"))
    assert found == {"DF201 error pkg", "DF203 error unittest", "DF203 error difflib"}


def test_an_extension_module_for_another_python_is_never_taken(
    make_dist: DistMaker, make_python: Callable[..., str], forge: Forge, tmp_path: Path
) -> None:
    environment = make_python(
        installed("pkg", {"pkg/__init__.py": "", "pkg/fast.cp311-win_amd64.pyd": ""}),
        installed("pure", {"pure.py": "import unittest"}),
        installed("stable", {"stable/__init__.py": "", "stable/core.pyd": ""}),
        version="311",
    )
    put(forge("core.pyd", ("python3.dll",)), tmp_path / "Python311" / SITE / "stable" / "core.pyd")
    dist = make_dist({}, HAS_STDLIB)
    report = repair(str(dist), options([environment], program(tmp_path, "import pkg, pure, stable")))
    assert report.plan is not None
    tops = {path.partition("/")[0].partition("-")[0] for path in copied(report)}
    assert tops == {"pure.py", "pure", "stable"}
    reasons = {row.subject: row.reason for row in report.plan.declined}
    assert reasons["pkg"] == "pkg 1.0: it is for Python 3.11, the program has 3.10"
    assert reasons["unittest"] == "the environment has Python 3.11, the program has 3.10"


def test_what_stands_in_the_dist_stays(make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path) -> None:
    environment = make_python(
        installed("pkg", {"pkg/__init__.py": "from . import a, b", "pkg/a.py": "", "pkg/b.py": "new"})
    )
    dist = make_dist({}, HAS_STDLIB | {f"{SITE}/pkg/b.py": "mine"})
    report = repair(str(dist), options([environment], program(tmp_path, "import pkg")))
    assert "pkg/b.py" not in copied(report) and "pkg/a.py" in copied(report)
    assert (dist / SITE / "pkg" / "b.py").read_text() == "mine"


def test_a_standard_library_that_is_bytecode_in_a_zip(make_dist: DistMaker, tmp_path: Path) -> None:
    """The embeddable Python has no sources: its modules are copied as bytecode, extension modules beside them."""
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import unittest, sqlite3")
    report = repair(str(dist), options([f"python:{embedded_python()}"], entry))
    found = copied(report)
    assert {"Lib/unittest/__init__.pyc", "Lib/unittest/case.pyc", "Lib/sqlite3/dbapi2.pyc", "_sqlite3.pyd"} <= found
    assert "sqlite3.dll" in found  # which _sqlite3.pyd imports
    assert (dist / "Lib" / "unittest" / "case.pyc").read_bytes()[:4] == b"\x6f\x0d\x0d\x0a"  # of 3.10
    assert not [path for path in found if path.endswith(".py") or "/test/" in path]
    left = words(one for one in scan(str(dist), options([], entry)).findings if one.rule.startswith("DF2"))
    assert left == set()


def test_slim_leaves_out_what_is_not_reached(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    files = {
        "pkg/__init__.py": "from .core import x",
        "pkg/core.py": "x = 1",
        "pkg/beside.py": "",
        "pkg/table.json": "{}",
        "pkg/include/pkg.h": "",
        "pkg/more/__init__.py": "",
        "pkg/more/data/table.json": "",
        "pkg/tests/test_core.py": "",
        "pkg/used/__init__.py": "",
        "pkg/used/deep/__init__.py": "",
    }
    environment = make_python(installed("pkg", files))
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import pkg.used.deep")
    report = repair(str(dist), options([environment], entry, slim=True))
    assert report.plan is not None
    left_out = {"pkg/include/pkg.h", "pkg/more/__init__.py", "pkg/more/data/table.json", "pkg/tests/test_core.py"}
    assert set(files) - copied(report) == left_out
    assert report.plan.left_out == len(left_out)
    assert words(scan(str(dist), options([], entry)).findings) == set()


@pytest.mark.parametrize(
    "source", ["from ns.part import x", "from ns import part", "import ns.part", "import ns.part.deep"]
)
def test_a_package_in_a_namespace(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path, source: str
) -> None:
    files = {"ns/part/__init__.py": "x = 1", "ns/part/deep.py": "", "tool.exe": ""}
    environment = make_python(installed("ns-part", files), installed("ns-other", {"ns/other.py": ""}))
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, f"try:\n    from ns import absent\nexcept ImportError:\n    pass\n{source}")
    found = scan(str(dist), options([environment], entry)).findings
    assert words(found) == {"DF201 error ns.part"}
    brought = copied(repair(str(dist), options([environment], entry)))
    assert brought == {*files, "ns-part-1.0.dist-info/METADATA", "ns-part-1.0.dist-info/RECORD"} - {"tool.exe"}
    assert words(scan(str(dist), options([], entry)).findings) == set()


def test_parts_of_a_package_that_are_chosen_by_name(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    chooser = (
        "import importlib, os\nPARTS = {'a': 'pkg.part.Part', 'b': 'pkg.absent.Part', 'c': 'nobody.part'}\n"
        "def load(path):\n    module, name = path.rsplit('.', 1)\n    return importlib.import_module(module)\n"
        "load(PARTS[os.environ['PART']])\n"
    )
    files = {"pkg/__init__.py": chooser, "pkg/part.py": "import other", "pkg/unnamed.py": "import unittest"}
    environment = make_python(installed("pkg", files, "other"), installed("other", {"other.py": ""}))
    dist = make_dist({}, HAS_STDLIB | files)
    entry = program(tmp_path, "import pkg")
    assert words(scan(str(dist), options([environment], entry)).findings) == {"DF201 warning other"}
    assert "other.py" in copied(repair(str(dist), options([environment], entry)))


def test_undo_takes_what_a_run_has_compiled_along(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    environment = make_python(
        installed("pkg", {"pkg/__init__.py": "", "pkg/a.py": ""}), installed("one", {"one.py": ""})
    )
    dist = make_dist({}, HAS_STDLIB | {f"{SITE}/mine.py": "", f"{SITE}/__pycache__/mine.cpython-310.pyc": ""})
    before = snapshot(dist)
    repair(str(dist), options([environment], program(tmp_path, "import pkg, one")))
    for name in ("__pycache__/one.cpython-310.pyc", "pkg/__pycache__/__init__.cpython-310.pyc"):
        (dist / SITE / name).parent.mkdir(exist_ok=True)
        (dist / SITE / name).write_bytes(b"")
    undo(str(dist))
    assert {path: row[0] for path, row in snapshot(dist).items()} == {path: row[0] for path, row in before.items()}


def test_modules_are_found_in_folders_that_the_program_adds(make_dist: DistMaker, tmp_path: Path) -> None:
    sources = {
        "win/api.py": "import deep.more",
        "lib/deep/__init__.py": "",
        "extra/deep/more.py": "",
        "lib/boot.py": "",
    }
    dist = make_dist({}, HAS_STDLIB | sources)
    put(embedded_python() / "python310.dll", dist / "python310.dll")
    (dist / "lib" / "boot.py").write_text(
        "import os, deep\ndeep.__path__.append(os.path.join(os.path.dirname(__file__), os.pardir, 'extra', 'deep'))\n"
    )
    added = "sys.path += [os.path.join(here, 'win'), os.path.join(here, 'lib')]\n"
    text = f"import os, sys\nhere = os.path.dirname(sys.executable)\n{added}import boot, api\nimport nowhere\n"
    found = scan(str(dist), options([], program(tmp_path, text))).findings
    assert words(one for one in found if one.rule.startswith("DF2")) == {"DF201 error nowhere"}


# --- metadata ---

ASKS = "from importlib.metadata import version, entry_points, PackageNotFoundError\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("v = version('pkg')", {"DF207 error pkg"}),
        ("v = version(__name__)", {"DF207 error pkg"}),
        ("try:\n    v = version('pkg')\nexcept PackageNotFoundError:\n    v = ''", {"DF207 warning pkg"}),
        ("try:\n    v = version('absent')\nexcept PackageNotFoundError:\n    v = ''", set()),
        ("found = entry_points(group='pkg.plugins')", {"DF207 warning pkg"}),
        ("found = entry_points(group='nobody.plugins')", set()),
        ("def f():\n    return version('pkg')", set()),
    ],
)
def test_metadata_that_are_asked_for(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path, source: str, expected: set[str]
) -> None:
    files = {"pkg/__init__.py": ASKS + source}
    entry_point = {f"{SITE}/pkg-1.0.dist-info/entry_points.txt": "[pkg.plugins]\na = pkg:f\n"}
    environment = make_python(installed("pkg", files) | entry_point)
    record = Path(environment.removeprefix("python:")) / SITE / "pkg-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + "pkg-1.0.dist-info/entry_points.txt,,\n")
    dist = make_dist({}, HAS_STDLIB | files)  # copied by hand, without its metadata
    entry = program(tmp_path, "import pkg")
    assert words(scan(str(dist), options([environment], entry)).findings) == expected
    report = repair(str(dist), options([environment], entry))
    assert ("pkg-1.0.dist-info/METADATA" in copied(report)) == bool(expected)
    assert words(scan(str(dist), options([environment], entry)).findings) == set()


@pytest.mark.parametrize("content", [None, b"", b"no xml", b"<other/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_a_report_that_cannot_be_read_is_told(make_dist: DistMaker, tmp_path: Path, content: bytes | None) -> None:
    report = tmp_path / "报告.xml"
    if content is not None:
        report.write_bytes(content)
    with pytest.raises(ReportNotReadError) as told:
        scan(str(make_dist()), Options(environ={}, report=str(report)))
    assert str(told.value).startswith(f"cannot read the compilation report {report}: it ")
    assert "--report" in told.value.hint
