"""Files that a program reads: found missing, copied from the project to where the program looks, taken back again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from depfix.closure.on_disk import find_files
from depfix.model.finding import Finding
from depfix.pipeline import Options, closure_of, scan, undo
from fixtures.windows_lab import download
from tests.conftest import Cli, DistMaker, snapshot
from tests.repairing import repair

MARK = b"\0nuitka_module_loader\0"
Project = Callable[..., Path]


@pytest.fixture
def project(make_dist: DistMaker, tmp_path: Path) -> Project:
    """Make a project with these files, and beside them a dist of a freezer; return the dist. `main.py` is the entry."""

    def make(
        files: Mapping[str, str],
        *,
        freezer: str = "nuitka",
        dist: Mapping[str, str] | None = None,
        name: str = "main.dist",
    ) -> Path:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        root = make_dist({}, dict(dist or {}), name=name)
        if freezer == "nuitka":
            with open(root / "app.exe", "ab") as file:
                file.write(MARK)
        place = {"pyinstaller": "_internal/base_library.zip", "cx_freeze": "lib/library.zip"}.get(freezer)
        if place:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            zipfile.ZipFile(root / place, "w").close()
        return root

    return make


def options(dist: Path, environments: tuple[str, ...] = (), **more: object) -> Options:
    return Options(entries=(str(dist.parent / "main.py"),), environments=environments, environ={}, **more)  # type: ignore[arg-type]


def found(dist: Path, environments: tuple[str, ...] = ()) -> dict[tuple[str, str], Finding]:
    findings = scan(str(dist), options(dist, environments)).findings
    return {(one.rule, one.subject): one for one in findings if one.rule in ("DF301", "DF302", "DF411")}


def brief(dist: Path, environments: tuple[str, ...] = ()) -> set[tuple[str, str, str]]:
    return {(rule, one.severity.value, subject) for (rule, subject), one in found(dist, environments).items()}


# --- found ---


def test_a_file_is_copied_to_where_the_program_looks_and_taken_back(project: Project) -> None:
    dist = project({"main.py": "open('./data/a.txt')\nopen(__file__.replace('main.py', 'b.txt'))", "data/a.txt": "x"})
    finding = found(dist)["DF301", "data/a.txt"]
    assert finding.severity.value == "error"
    assert finding.confidence.value == "certain"
    assert [(one.path, one.line) for one in finding.locations] == [("main.py", 1)]
    assert "in the current directory, which is the dist's folder only if" in finding.message
    assert finding.fix is not None
    assert (finding.fix.destination, finding.fix.provider) == ("data/a.txt", "project")
    before = snapshot(dist)
    report = repair(str(dist), options(dist))
    assert [one.destination for one in report.plan.actions] == ["data/a.txt"] if report.plan else False
    assert (dist / "data/a.txt").read_text() == "x"
    assert brief(dist) == {("DF411", "info", "data/a.txt")}
    undo(str(dist))
    assert snapshot(dist) == before


def test_where_each_freezer_has_the_script(project: Project) -> None:
    source = "import os\nopen(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'a.txt'))"
    for freezer, place in (("nuitka", "a.txt"), ("pyinstaller", "_internal/a.txt"), ("python", "a.txt")):
        dist = project({"main.py": source, "a.txt": "x"}, freezer=freezer, name=freezer)
        assert brief(dist) == {("DF301", "error", place)}
        repair(str(dist), options(dist))
        assert (dist / place).read_text() == "x"
        assert brief(dist) == set()


def test_a_script_in_an_archive_has_nothing_beside_it(project: Project) -> None:
    source = "import os\nopen(os.path.join(os.path.dirname(__file__), 'a.txt'))"
    dist = project({"main.py": source, "a.txt": "x"}, freezer="cx_freeze")
    (((_, subject), finding),) = found(dist).items()
    assert subject == "lib/library.zip/a.txt"
    assert finding.fix is None
    assert "lib/library.zip, which is a file" in finding.no_fix


def test_modules_of_the_project_and_its_constants(project: Project) -> None:
    dist = project(
        {
            "main.py": "import config\nfrom app import view\nopen(config.MODEL)\nview.show()",
            "config.py": "import os\nROOT = os.path.dirname(os.path.abspath(__file__))\nMODEL = os.path.join(ROOT, 'models', 'm.pt')",
            "app/__init__.py": "",
            "app/view.py": "import os\nHERE = os.path.dirname(__file__)\ndef show():\n    open(os.path.join(HERE, 'icons', 'a.png'))",
            "models/m.pt": "m",
            "app/icons/a.png": "i",
        }
    )
    assert brief(dist) == {("DF301", "error", "models/m.pt"), ("DF301", "error", "app/icons/a.png")}
    assert "beside the code that reads it" in found(dist)["DF301", "app/icons/a.png"].message
    repair(str(dist), options(dist))
    assert brief(dist) == set()


def test_folders_and_patterns_are_copied_whole(project: Project) -> None:
    dist = project(
        {
            "main.py": "import os, glob\nos.listdir('icons')\nglob.glob('shots/*.png')\n",
            "icons/a.png": "1",
            "icons/deep/b.png": "22",
            "icons/__pycache__/c.pyc": "no",
            "icons/.git/config": "no",
            "shots/a.png": "x",
            "shots/b.txt": "no",
        }
    )
    assert brief(dist) >= {("DF301", "error", "icons"), ("DF301", "warning", "shots/*.png")}
    assert "the project has it (2 files, 3 bytes)" in found(dist)["DF301", "icons"].message
    report = repair(str(dist), options(dist))
    copied = {one.destination for one in report.plan.actions} if report.plan else set()
    assert copied == {"icons/a.png", "icons/deep/b.png", "shots/a.png"}
    assert {one[0] for one in brief(dist)} == {"DF411"}


def test_a_project_with_spaces_and_chinese_names(project: Project, tmp_path: Path) -> None:
    place = tmp_path / "我的 项目"
    place.mkdir()
    dist = project({"main.py": ""}, name="我的 项目/main.dist")
    (place / "main.py").write_text(
        "import json\njson.load(open('数据/类别 表.json', encoding='utf-8'))", encoding="utf-8"
    )
    (place / "数据").mkdir()
    (place / "数据/类别 表.json").write_text("{}", encoding="utf-8")
    assert brief(dist) == {("DF301", "error", "数据/类别 表.json"), ("DF411", "info", "数据/类别 表.json")}
    repair(str(dist), options(dist))
    assert (dist / "数据/类别 表.json").read_text(encoding="utf-8") == "{}"


def test_names_are_compared_as_windows_does(project: Project) -> None:
    dist = project({"main.py": "open('Data/A.TXT')", "data/a.txt": "x"}, dist={"other.txt": ""})
    assert found(dist)["DF301", "Data/A.TXT"].fix is not None
    there = project({"main.py": "open('Data/A.TXT')"}, dist={"data/a.txt": ""}, name="there")
    assert brief(there) == {("DF411", "info", "data/a.txt")}


def test_a_project_folder_may_be_given(project: Project, tmp_path: Path) -> None:
    dist = project({"main.py": "open('a.txt')", "elsewhere/a.txt": "x"})
    given = Options(entries=(str(tmp_path / "main.py"),), project=str(tmp_path / "elsewhere"), environ={})
    (finding,) = [one for one in scan(str(dist), given).findings if one.rule == "DF301"]
    assert finding.fix is not None
    assert finding.fix.source.replace("\\", "/").endswith("elsewhere/a.txt")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("open('nobody.txt')", {("DF301", "error", "nobody.txt")}),
        ("def f():\n    open('nobody.txt')\ndef g(x):\n    x.append(f)\ng([])", {("DF301", "warning", "nobody.txt")}),
        ("import random\nif random.random():\n    open('nobody.txt')", set()),
        ("import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', default='nobody.txt')\nopen(p.parse_args().x)", set()),
        ("import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', default='a.txt')\nopen(p.parse_args().x)", {("DF301", "error", "a.txt"), ("DF411", "info", "a.txt")}),
        ("import os\nif os.path.exists('a.txt'):\n    open('a.txt')", {("DF301", "info", "a.txt"), ("DF411", "info", "a.txt")}),
        ("try:\n    open('a.txt')\nexcept FileNotFoundError:\n    pass", {("DF301", "info", "a.txt"), ("DF411", "info", "a.txt")}),
        ("try:\n    open('a.txt')\nexcept Exception:\n    pass", {("DF301", "warning", "a.txt"), ("DF411", "info", "a.txt")}),
        ("from PyQt5.QtGui import QIcon\nQIcon('a.txt')", {("DF301", "warning", "a.txt"), ("DF411", "info", "a.txt")}),
        ("def never():\n    open('a.txt')", {("DF301", "info", "a.txt")}),
        ("open('a.txt', 'w')\nopen('a.txt')", set()),
        ("import sys\nopen(sys.argv[1])\nopen(input())", set()),
        ("open('../a.txt')\nopen('C:/data/a.txt')\nopen('/etc/a.txt')", set()),
        ("import os\nos.listdir('.')\nos.listdir('..')", set()),
        ("open(__file__)", set()),
        ("open('main.py')", {("DF301", "error", "main.py"), ("DF411", "info", "main.py")}),
    ],
)  # fmt: skip
def test_how_bad_it_is(project: Project, source: str, expected: set[tuple[str, str, str]]) -> None:
    dist = project({"main.py": source, "a.txt": "x"})
    assert {row for row in brief(dist) if row[0] in ("DF301", "DF411")} == expected


def test_a_program_is_told_once_of_relative_paths(project: Project) -> None:
    dist = project({"main.py": "open('a.txt')\nopen('b.txt')"}, dist={"a.txt": "", "b.txt": ""})
    (finding,) = found(dist).values()
    assert (finding.rule, finding.severity.value, len(finding.locations)) == ("DF411", "info", 2)
    assert "reads a.txt and 1 more from the current directory" in finding.message


def test_folders_that_are_too_much_are_not_taken(project: Project, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    dist = project({"main.py": "import os\nos.walk('build')\nos.listdir('home')"}, name="build/main.dist")
    (tmp_path / "home").symlink_to(Path.home())
    rows = {
        one.subject: one.no_fix
        for one in scan(str(dist), Options(entries=(str(tmp_path / "main.py"),), environ={})).findings
        if one.rule == "DF301"
    }
    assert "holds the dist" in rows["build"]
    assert "home folder" in rows["home"]


def test_what_slim_must_not_leave_out(project: Project) -> None:
    dist = project({"main.py": "import os\nopen('d/a.txt')\nos.listdir('e')", "d/a.txt": "x", "e/b.txt": "x"})
    repair(str(dist), options(dist, slim=True))
    assert (dist / "d/a.txt").exists()
    assert (dist / "e/b.txt").exists()


def test_a_source_tree_of_torch_hub(project: Project) -> None:
    dist = project(
        {
            "main.py": "import torch\ntorch.hub.load('./dinov2', 'tiny', source='local')",
            "dinov2/hubconf.py": "from parts import net\ndef tiny():\n    import gone_too\n    return net.make()",
            "dinov2/parts/__init__.py": "",
            "dinov2/parts/net.py": "import gone\nimport os\ndef make():\n    open(os.path.join(os.path.dirname(__file__), 'w.bin'))",
            "dinov2/parts/w.bin": "w",
        },
        dist={"torch/__init__.py": "from torch import hub", "torch/hub.py": "def load(*a, **k): pass"},
    )
    assert brief(dist) == {("DF301", "error", "dinov2"), ("DF411", "info", "dinov2")}
    graph = closure_of(str(dist), options(dist)).graph
    chains = {node.name for node in graph.nodes()}
    assert {"<dinov2/hubconf.py>", "parts.net"} <= chains
    report = repair(str(dist), options(dist))
    assert report.plan is not None
    assert {one.destination for one in report.plan.actions} == {
        "dinov2/hubconf.py", "dinov2/parts/__init__.py", "dinov2/parts/net.py", "dinov2/parts/w.bin"
    }  # fmt: skip
    assert {one[0] for one in brief(dist)} == {"DF411"}


def test_the_command_line_needs_no_environment(project: Project, cli: Callable[..., Cli], tmp_path: Path) -> None:
    dist = project({"main.py": "open('a.txt')", "a.txt": "x"})
    done = cli("scan", dist, "--entry", tmp_path / "main.py", "--format", "json")
    rows = [row for row in json.loads(done.out)["findings"] if row["rule"] == "DF301"]
    assert done.code == 1
    assert [(row["name"], row["subject"], row["fix"]["destination"]) for row in rows] == [
        ("missing-data-file", "a.txt", "a.txt")
    ]
    assert cli("repair", dist, "--entry", tmp_path / "main.py", "--yes").code == 0
    assert cli("scan", dist, "--entry", tmp_path / "main.py").code == 0


# --- data of packages ---


def environment(folder: Path, files: Mapping[str, str]) -> str:
    """Make a venv-shaped environment for Windows with the files of one package `pkg`."""
    site = folder / "Lib/site-packages"
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    info = site / "pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files) + "pkg-1.0.dist-info/METADATA,,\n")
    (folder / "pyvenv.cfg").write_text("version = 3.10.0\n")
    (folder / "Scripts").mkdir()
    (folder / "Scripts/python.exe").write_bytes(b"MZ")
    return f"venv:{folder}"


AT_IMPORT = (
    "import importlib.resources\nTEXT = importlib.resources.files(__package__).joinpath('table.json').read_text()\n"
)
LATER = "import os\ndef where():\n    return open(os.path.join(os.path.dirname(__file__), 'table.json'))\n"


@pytest.mark.parametrize(
    ("source", "severity"),
    [(AT_IMPORT, "error"), (LATER, "warning"), ("open('table.json')", ""), ("try:\n    import json\n    open(__path__[0] + '/table.json')\nexcept OSError:\n    pass", "")],
)  # fmt: skip
def test_what_a_package_reads_beside_its_code(project: Project, tmp_path: Path, source: str, severity: str) -> None:
    spec = environment(tmp_path / "env", {"pkg/__init__.py": source, "pkg/table.json": "{}"})
    dist = project({"main.py": "import pkg\npkg.where()"}, dist={"pkg/__init__.py": source}, freezer="python")
    wanted = {("DF302", severity, "pkg/table.json")} if severity else set()
    assert {row for row in brief(dist, (spec,)) if row[0] == "DF302" and row[1] != "info"} == wanted
    assert brief(dist) == set()  # nobody is known to have it
    if severity:
        finding = found(dist, (spec,))["DF302", "pkg/table.json"]
        assert "in its package" in finding.message
        repair(str(dist), options(dist, (spec,)))
        assert (dist / "pkg/table.json").read_text() == "{}"
        assert brief(dist, (spec,)) == set()


def test_real_packages_are_silent_while_their_data_are_there(project: Project) -> None:
    dist = project({"main.py": "import matplotlib\nmatplotlib.rcParams"}, freezer="python")
    for wheel in (download("matplotlib==3.9.4", "3.11"), download("python-dateutil==2.9.0.post0")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(dist)
    assert [row for row in brief(dist) if row[0] != "DF411"] == []


# --- on disk ---


def test_files_on_disk(tmp_path: Path) -> None:
    (tmp_path / "Data/Deep").mkdir(parents=True)
    (tmp_path / "Data/Deep/A.bin").write_bytes(b"123")
    assert find_files(str(tmp_path), "data/deep/a.BIN", None, refused=()).files[0][1] == "Data/Deep/A.bin"
    assert find_files(str(tmp_path), "data/none", None, refused=()).files == ()
    assert find_files(str(tmp_path / "none"), "x", None, refused=()).files == ()
    assert find_files(str(tmp_path), "data", None, refused=()).size == 3
    assert find_files(str(tmp_path), "data", None, refused=(str(tmp_path / "Data/Deep"),)).reason
    assert find_files(str(tmp_path / "Data/Deep"), "../Deep/A.bin", None, refused=()).files
