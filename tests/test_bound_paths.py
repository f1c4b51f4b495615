"""DF303: paths that only the build machine has, in code and in configuration, and configuration written anew."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.imports.executed import read_executed
from depfix.imports.uses import SourceTarget
from depfix.imports.values import Anchor, Reference, Text
from depfix.model.finding import Finding
from depfix.pipeline import Options, scan, undo
from fixtures.windows_lab import lay_out_flat, run
from tests.conftest import DistMaker, Forge, put, snapshot
from tests.repairing import repair
from tests.test_distributions import HAS_STDLIB, SITE, program

HOME = "/" + "home"  # of no real machine
ENV = "C:/ProgramData/anaconda3/envs/vision"
LOADER = """\
import importlib, os, sys
def bootstrap():
    LOADER_DIR = os.path.dirname(os.path.abspath(__file__))
    PLACES = []
    FOLDERS = []
    g_vars = globals()
    l_vars = locals().copy()
    from .running import run_file
    def first(names):
        for name in names:
            path = os.path.join(LOADER_DIR, name)
            if os.path.exists(path):
                run_file(path, g_vars, l_vars)
                return
    first(["config.py"])
    first(["config-{}.{}.py".format(sys.version_info[0], sys.version_info[1]), "config-3.py"])
    for p in reversed(l_vars["PLACES"]):
        sys.path.insert(0, p)
    for p in l_vars["FOLDERS"]:
        try:
            os.add_dll_directory(p)
        except Exception as e:
            pass
    sys.modules.pop("pkg")
    importlib.import_module("pkg")
bootstrap()
"""
RUNNING = """\
import os
def run_file(path, g_vars, l_vars):
    with open(path) as f:
        code = compile(f.read(), os.path.basename(path), "exec")
        exec(code, g_vars, l_vars)
"""
PLACES = f"# \u00e9\nPLACES = [\r\n    os.path.join('{ENV}/Lib/site-packages/pkg', 'python-3.10')\r\n] + PLACES\r\n"
FOLDERS = f"import os\n\nFOLDERS = [\n    os.path.join('{ENV}/Library', 'bin'),\n] + FOLDERS\n"


def options(entry: str = "", *environments: str) -> Options:
    return Options(environ={}, entries=(entry,) if entry else (), environments=environments)


def words(findings: tuple[Finding, ...], rule: str = "DF303") -> set[str]:
    return {f"{one.severity.value} {one.subject}" for one in findings if one.rule == rule}


@pytest.fixture
def package(make_dist: DistMaker) -> Path:
    """A dist with a package that finds its extension module by what its configuration says, as conda has them."""
    sources = {"pkg/__init__.py": LOADER, "pkg/running.py": RUNNING}
    dist = make_dist({"pkg/python-3.10/pkg.cp310-win_amd64.pyd": ("helper.dll", "python310.dll")}, HAS_STDLIB | sources)
    (dist / "pkg/config-3.10.py").write_bytes(PLACES.encode())
    (dist / "pkg/config.py").write_text(FOLDERS)
    return dist


# --- configuration that a package executes ---


def test_a_configuration_of_the_build_machine_is_named_and_written_anew(
    package: Path, forge: Forge, tmp_path: Path
) -> None:
    entry = program(tmp_path, "import pkg")
    found = scan(str(package), options(entry)).findings
    assert words(found) == {f"error {ENV}/Lib/site-packages/pkg/python-3.10", f"info {ENV}/Library/bin"}
    first = next(one for one in found if one.rule == "DF303" and one.severity.value == "error")
    assert (first.locations[0].path, first.locations[0].line) == ("pkg/config-3.10.py", 3)
    assert "pkg" in first.message

    folder = put(forge("helper.dll"), tmp_path / "dlls" / "helper.dll").parent
    before = snapshot(package)
    report = repair(str(package), options(entry, f"dir:{folder}"))
    assert report.verification is not None
    assert not report.verification.introduced
    assert not words(report.verification.remaining)
    assert {action.destination for action in report.plan.actions if action.action == "patch"} == {  # type: ignore[union-attr]
        "pkg/config-3.10.py",
        "pkg/config.py",
    }
    assert (package / "helper.dll").exists()  # what the module imports is looked for now
    written = (package / "pkg/config-3.10.py").read_bytes().decode()
    assert written == PLACES.replace(
        f"os.path.join('{ENV}/Lib/site-packages/pkg', 'python-3.10')",
        "os.path.abspath(os.path.join(LOADER_DIR, 'python-3.10'))",
    )
    ast.parse((package / "pkg/config.py").read_text())
    assert "os.path.join(LOADER_DIR, '..')" in (package / "pkg/config.py").read_text()

    undo(str(package))
    assert snapshot(package) == before


def test_a_configuration_that_comes_with_its_package_is_written_anew_too(
    make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path
) -> None:
    place = f"{SITE}/pkg"
    env = make_conda({f"{place}/python-3.10/pkg.cp310-win_amd64.pyd": ("python310.dll",)})
    texts = {"__init__.py": LOADER, "running.py": RUNNING, "config.py": FOLDERS, "config-3.10.py": PLACES}
    for name, text in texts.items():
        (env / place / name).write_bytes(text.encode())
    record = [f"{place}/{name}" for name in (*texts, "python-3.10/pkg.cp310-win_amd64.pyd")]
    meta = {"name": "pkg", "version": "4.9.0", "files": record, "depends": []}
    (env / "conda-meta" / "pkg-4.9.0-0.json").write_text(json.dumps(meta))
    (env / "Lib/os.py").write_text("")
    dist = make_dist({}, HAS_STDLIB)
    report = repair(str(dist), options(program(tmp_path, "import pkg"), f"conda:{env}"))
    assert report.verification is not None
    assert words(report.verification.introduced) == {f"info {ENV}/Library/bin"}  # nothing that lies there is missed
    assert not words(report.verification.remaining)
    assert ENV not in (dist / place / "config-3.10.py").read_text()
    assert ENV in (env / place / "config-3.10.py").read_text()


def test_folders_of_the_dist_and_what_wheels_have_are_no_matter(package: Path, tmp_path: Path) -> None:
    entry = program(tmp_path, "import pkg")
    (package / "pkg/config-3.10.py").unlink()
    (package / "pkg/config-3.py").write_text("PLACES = [LOADER_DIR + '/python-3.10'] + PLACES")
    (package / "pkg/config.py").write_text(
        "import os\nFOLDERS = [os.path.join(os.path.join(LOADER_DIR, '../../'), 'x64/vc14/bin')] + FOLDERS"
    )
    found = scan(str(package), options(entry)).findings
    missing = [one for one in found if one.subject == "helper.dll"]
    assert [one.rule for one in missing] == ["DF101"]  # the module is loaded from the folder that is named
    assert words(found) == set()
    (package / "pkg/config.py").write_text(FOLDERS)
    assert words(scan(str(package), options(entry)).findings) == {f"warning {ENV}/Library/bin"}  # it may be there
    put(package / "python310.dll", package / "helper.dll")
    assert words(scan(str(package), options(entry)).findings) == {f"info {ENV}/Library/bin"}


def test_a_folder_of_other_software_is_asked_for_by_a_variable(package: Path, tmp_path: Path) -> None:
    (package / "pkg/config-3.10.py").write_text("PLACES = [LOADER_DIR + '/python-3.10'] + PLACES")
    toolkit = "C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v12.1"
    (package / "pkg/config.py").write_text(f"FOLDERS = [os.path.join(os.getenv('CUDA_PATH', '{toolkit}'), 'bin')]")
    put(package / "python310.dll", package / "helper.dll")
    assert words(scan(str(package), options(program(tmp_path, "import pkg"))).findings) == set()


@pytest.mark.parametrize(
    "source",
    [
        "exec(open(os.path.join(os.path.dirname(__file__), 'settings.py')).read(), globals())",
        "exec(compile(open(os.path.join(os.path.dirname(__file__), 'settings.py')).read(), 'x', 'exec'))",
        "from pathlib import Path\nexec(Path(__file__).with_name('settings.py').read_text())",
    ],
)
def test_a_source_may_be_executed_in_place(make_dist: DistMaker, tmp_path: Path, source: str) -> None:
    text = f"import os\n{source}\nos.add_dll_directory(globals()['DLLS'])\n"
    dist = make_dist({}, HAS_STDLIB | {"pkg/__init__.py": text, "pkg/settings.py": f"DLLS = '{ENV}/Library/bin'\n"})
    found = scan(str(dist), options(program(tmp_path, "import pkg"))).findings
    assert words(found) == {f"error {ENV}/Library/bin"}  # os.add_dll_directory raises


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"FOLDERS = [", b"\xff\xfe", b"A = " + b"(" * 5000, b"A = " + b"-" * 60000 + b"1", b"A" * 70000],
)
def test_hostile_configuration_says_nothing(data: bytes) -> None:
    given = (("HOME", Text((Anchor.HERE,))), ("os", Reference("os")))
    assert read_executed(data, SourceTarget((3, 10)), given) == ()


def test_what_stands_in_no_assignment_is_nobodys() -> None:
    data = b"import os\nos.add_dll_directory('C:/a')\nB = ['C:/b', x]; C = D = 'C:/c'\nB += ['C:/d']\n"
    found = read_executed(data, SourceTarget((3, 10)), ())
    assert [(one.name, one.path.literal, one.line) for one in found] == [
        ("B", "C:/b", 3),
        ("C", "C:/c", 3),
        ("B", "C:/d", 4),
    ]


# --- the program's own code ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("open('C:\\\\Users\\\\me\\\\model.bin', 'rb')", {"error C:/Users/me/model.bin"}),
        ("open('D:/data/table.csv')", {"warning D:/data/table.csv"}),
        (f"open('{HOME}/me/table.csv')", {f"error {HOME}/me/table.csv"}),
        ("open('C:/Program Files/Tool/tool.ini')", {"warning C:/Program Files/Tool/tool.ini"}),
        ("open('C:/Users/Public/x.txt')", {"warning C:/Users/Public/x.txt"}),
        ("open('C:/Windows/win.ini')\nopen('/proc/cpuinfo')\nopen('\\\\\\\\.\\\\pipe\\\\x')\nopen('nul')", set()),
        ("open('C:/Users/me/out.txt', 'w')", set()),
        ("try:\n    open('C:/Users/me/a.txt')\nexcept OSError:\n    pass", set()),
        ("import os\nif os.path.exists('D:/x.txt'):\n    open('D:/x.txt')", set()),
        ("def f():\n    open('C:/Users/me/a.txt')\nf()", {"error C:/Users/me/a.txt"}),
        ("def f():\n    open('C:/Users/me/a.txt')", set()),  # nothing calls it
        ("import os\nos.add_dll_directory('C:/Users/me/dlls')", {"error C:/Users/me/dlls"}),
        (
            "import os\nos.add_dll_directory('C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v11.2/bin')",
            {"warning C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v11.2/bin"},
        ),
        ("import ctypes\nctypes.CDLL('D:/build/x.dll')", {"warning D:/build/x.dll"}),
        ("import ctypes\nctypes.CDLL('C:/Windows/System32/version.dll')", set()),
        (
            "import os\nfor p in filter(os.path.exists, ['C:/Users/me/dlls']):\n    os.add_dll_directory(p)",
            set(),
        ),
        ("import sys\nsys.path.append('D:/src')", {"info D:/src"}),
        ("import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), '..'))", set()),
        ("import os\nos.environ['PATH'] = 'D:/bin;' + os.environ['PATH']", {"info D:/bin"}),
        (
            f"import os\nos.environ['PROJ_LIB'] = r'{ENV}/Library/share/proj'",
            {f"warning {ENV}/Library/share/proj"},
        ),
        ("import os\nos.environ['HF_HOME'] = 'D:/cache'", set()),
    ],
)
def test_paths_in_the_program(make_dist: DistMaker, tmp_path: Path, source: str, expected: set[str]) -> None:
    dist = make_dist({}, HAS_STDLIB)
    assert words(scan(str(dist), options(program(tmp_path, source))).findings) == expected


def test_what_lies_above_the_dist_is_not_shipped(make_dist: DistMaker, tmp_path: Path) -> None:
    text = "import os\nopen(os.path.join(os.path.dirname(__file__), '..', '..', 'data', 'x.json'))\n"
    dist = make_dist({}, HAS_STDLIB)
    (tmp_path / "src" / "own").mkdir(parents=True)
    (tmp_path / "src" / "own" / "__init__.py").write_text(text)
    (tmp_path / "src" / "main.py").write_text("import own")
    found = scan(str(dist), options(str(tmp_path / "src" / "main.py"))).findings
    assert words(found) == {"warning ../data/x.json"}


def test_packages_are_told_only_of_what_their_import_does(make_dist: DistMaker, tmp_path: Path) -> None:
    text = "import ctypes\nopen('C:/Users/me/a')\n\ndef f():\n    ctypes.CDLL('C:/Users/me/b.dll')\nf\n"
    dist = make_dist({}, HAS_STDLIB | {"pkg/__init__.py": text})
    assert words(scan(str(dist), options(program(tmp_path, "import pkg\npkg.f()"))).findings) == set()
    (dist / "pkg/__init__.py").write_text("import ctypes\nctypes.CDLL('C:/Users/me/b.dll')\n")
    assert words(scan(str(dist), options(program(tmp_path, "import pkg"))).findings) == {"error C:/Users/me/b.dll"}
    (dist / "pkg/__init__.py").write_text("import os\nos.add_dll_directory('C:/Program Files/Tool/bin')\n")
    assert words(scan(str(dist), options(program(tmp_path, "import pkg"))).findings) == set()


# --- text files ---


def test_qt_conf_of_an_environment(make_dist: DistMaker, tmp_path: Path) -> None:
    text = f"[Paths]\r\nPrefix = {ENV}/Library\r\nBinaries = {ENV}/Library/bin\r\nPlugins={ENV}/Library/plugins\r\n"
    images: dict[str, tuple[str, ...]] = {
        "qtpkg/core.pyd": ("qt5core.dll", "python310.dll"),
        "qt5core.dll": (),
        "qtpkg/Qt5/plugins/platforms/qwindows.dll": (),
    }
    dist = make_dist(images, HAS_STDLIB | {"qtpkg/__init__.py": "from . import core"})
    (dist / "qt.conf").write_bytes(text.encode())
    entry = program(tmp_path, "import qtpkg")
    assert words(scan(str(dist), options(entry)).findings) == {"warning qt.conf"}
    before = snapshot(dist)
    report = repair(str(dist), options(entry, f"dir:{dist}"))
    assert report.verification is not None
    assert not words(report.verification.remaining)
    assert (dist / "qt.conf").read_bytes() == b"[Paths]\r\nPrefix = qtpkg/Qt5\r\nPlugins=plugins\r\n"
    undo(str(dist))
    assert snapshot(dist) == before
    assert words(scan(str(dist), options(program(tmp_path, "import os"))).findings) == set()  # nobody reads it


def test_what_leaks_and_what_breaks(make_dist: DistMaker, tmp_path: Path) -> None:
    leak = '{"dir_info": {"editable": true}, "url": "file:///C:/src/pkg"}'
    dist = make_dist({}, HAS_STDLIB | {"pkg-1.0.dist-info/direct_url.json": leak, "a.pth": "C:\\src\n"})
    found = scan(str(dist), options(program(tmp_path, "import os"))).findings
    assert words(found) == {"info pkg-1.0.dist-info/direct_url.json"}
    (dist / "pkg-1.0.dist-info/direct_url.json").write_text('{"url": "https://x.example/pkg.whl"}')
    assert words(scan(str(dist), options(program(tmp_path, "import os"))).findings) == set()


def test_a_virtual_environment_is_no_dist(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, HAS_STDLIB | {"pyvenv.cfg": "home = C:\\Python310\nversion = 3.10.11\n"})
    found = scan(str(dist), options(program(tmp_path, "import os"))).findings
    assert words(found) == {"error pyvenv.cfg"}
    for name in ("python310._pth", "python310.zip"):  # then Python does not read it, or can do without
        (dist / name).write_text(".\nLib\n")
        assert words(scan(str(dist), options(program(tmp_path, "import os"))).findings) == set()
        (dist / name).unlink()


# --- the real thing ---


@pytest.mark.lab
def test_a_real_package_with_the_configuration_of_conda(wine: None, tmp_path: Path) -> None:
    """The layout and the configuration that OpenCV's build gives conda's package, over a real wheel's binary.

    One name in its import directory is changed, for a DLL that conda has in Library/bin. Source: opencv,
    modules/python/python_loader.cmake and common.cmake, with an absolute OPENCV_PYTHON_INSTALL_PATH.
    """
    dist = lay_out_flat(tmp_path / "app dist", ("numpy==1.26.4", "opencv-python==4.10.0.84"))
    shutil.rmtree(next(dist.glob("opencv_python*.dist-info")))
    cv2 = dist / "cv2"
    (cv2 / "config-3.py").unlink()
    lines = f"PYTHON_EXTENSIONS_PATHS = [\n    os.path.join('{ENV}/Lib/site-packages/cv2', 'python-3.10')\n]"
    (cv2 / "config-3.10.py").write_text(f"{lines} + PYTHON_EXTENSIONS_PATHS\n")
    lines = f"import os\n\nBINARIES_PATHS = [\n    os.path.join('{ENV}/Library', 'bin')\n] + BINARIES_PATHS\n"
    (cv2 / "config.py").write_text(lines)
    (cv2 / "python-3.10").mkdir()
    binary = (cv2 / "cv2.pyd").read_bytes().replace(b"python3.dll\0", b"pytho3n.dll\0")
    (cv2 / "python-3.10" / "cv2.cp310-win_amd64.pyd").write_bytes(binary)
    (cv2 / "cv2.pyd").unlink()
    native = put(dist / "python3.dll", tmp_path / "bin" / "pytho3n.dll").parent
    steps = "import cv2, numpy\ncv2.imwrite('a.png', numpy.zeros((4, 4), 'uint8'))\nprint(cv2.imread('a.png').shape)"
    entry = program(tmp_path, steps)

    broken = run([dist / "app.exe", entry], cwd=tmp_path)
    assert broken.code == 1
    assert "recursion is detected" in broken.err
    assert words(scan(str(dist), options(entry)).findings) == {
        f"error {ENV}/Lib/site-packages/cv2/python-3.10",
        f"info {ENV}/Library/bin",
    }
    before = snapshot(dist)
    report = repair(str(dist), options(entry, f"dir:{native}"))
    assert report.verification is not None
    assert not report.verification.introduced
    cured = run([dist / "app.exe", entry], cwd=tmp_path)
    assert (cured.code, cured.out.strip()) == (0, "(4, 4, 3)")
    undo(str(dist))
    assert snapshot(dist) == before
