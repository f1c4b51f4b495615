"""Data that native libraries read: the table, where they look, what an environment has, and the real libraries."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.closure.graph import NodeKind
from depfix.knowledge.native_data import data_variables, native_data, native_row, text_configurations
from depfix.model.finding import Finding
from depfix.pipeline import Options, closure_of, scan, undo
from fixtures.archive_lab import python_of
from fixtures.windows_lab import download, lay_out_flat, run
from tests.conftest import DistMaker, snapshot
from tests.repairing import repair
from tests.test_distributions import HAS_STDLIB, SITE, installed, make_python, program

__all__ = ["make_python"]

TK = {"_tkinter.pyd": ("tcl86t.dll", "tk86t.dll", "python310.dll"), "tcl86t.dll": (), "tk86t.dll": ("tcl86t.dll",)}
GEO = {"geo.pyd": ("proj_9.dll", "python310.dll"), "proj_9.dll": ()}


def options(entry: str = "", *environments: str) -> Options:
    return Options(environ={}, entries=(entry,) if entry else (), environments=environments)


def words(findings: tuple[Finding, ...]) -> set[str]:
    return {f"{one.severity.value} {one.subject}" for one in findings if one.rule == "DF302"}


# --- the table ---


def test_every_row_is_whole() -> None:
    keys = [row.key for _, row in native_data()]
    assert len(set(keys)) == len(keys)
    for pattern, row in native_data():
        groups = dict.fromkeys(pattern.groupindex, "8")
        names = groups | dict.fromkeys(("dll", "home", "root", "prefix", "package", "owner"), "x")
        assert all(one.format(**names) for one in (*row.places, *row.have, *row.beside)), row.key
        assert row.why[0].islower() or row.why[0] == '"', row.key
        assert not any(one.startswith(("/", "\\")) or ":" in one for one in (*row.have, *row.files)), row.key
        assert row.have, row.key
        assert row.package or "{package}" not in "".join((*row.places, *row.have)), row.key
    assert native_row("tcl") is not None
    assert native_row("nothing") is None
    assert {"PROJ_LIB", "GDAL_DATA", "QT_PLUGIN_PATH", "TCL_LIBRARY"} <= data_variables()
    assert {row.where for row in text_configurations()} <= {"any", "program", "site", "python"}


# --- where a library looks ---


def test_tcl_without_its_scripts_is_named_and_brought(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    dist = make_dist(TK, HAS_STDLIB | {"Lib/tkinter/__init__.py": "import _tkinter"})
    tcl = {"tcl/tcl8.6/init.tcl": "i", "tcl/tcl8.6/msgs/de.msg": "d", "tcl/tk8.6/tk.tcl": "t", "tcl/tcl8/8.5/m.tm": "m"}
    spec = make_python({**tcl, "tcl/tk86t.lib": "", "tcl/dde1.4/pkgIndex.tcl": ""})
    entry = program(tmp_path, "import tkinter")
    found = [one for one in scan(str(dist), options(entry, spec)).findings if one.rule == "DF302"]
    assert words(tuple(found)) == {"error tcl/tcl8.6/init.tcl", "error tcl/tk8.6/tk.tcl"}
    assert "TCL_LIBRARY" in found[0].message
    assert found[0].chain[-2:] == ("tcl86t.dll", "tcl/tcl8.6/init.tcl")
    before = snapshot(dist)
    report = repair(str(dist), options(entry, spec))
    assert report.plan is not None
    assert {action.destination for action in report.plan.actions} == set(tcl)
    assert not words(scan(str(dist), options(entry, spec)).findings)
    nodes = closure_of(str(dist), options(entry)).graph.nodes()
    assert {node.name for node in nodes if node.kind is NodeKind.DATA} >= {"tcl/tcl8.6/init.tcl", "tcl/tk8.6/tk.tcl"}
    undo(str(dist))
    assert snapshot(dist) == before


@pytest.mark.parametrize("folder", ["tcl", "_tcl_data", "share/tcl8.6", "lib/tcl8.6"])
def test_freezers_have_tcl_where_they_like(make_dist: DistMaker, tmp_path: Path, folder: str) -> None:
    sources = {f"{folder}/init.tcl": "", f"{folder}/../tk/tk.tcl": "", "Lib/tkinter/__init__.py": "import _tkinter"}
    dist = make_dist(TK, HAS_STDLIB | sources)
    assert words(scan(str(dist), options(program(tmp_path, "import tkinter"))).findings) == set()


def test_what_is_not_loaded_needs_nothing(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist(TK, HAS_STDLIB | {"Lib/tkinter/__init__.py": "import _tkinter"})
    assert words(scan(str(dist), options(program(tmp_path, "import os"))).findings) == set()
    guarded = "try:\n    import tkinter\nexcept ImportError:\n    tkinter = None\n"
    found = words(scan(str(dist), options(program(tmp_path, guarded))).findings)
    assert found == {"warning tcl/tcl8.6/init.tcl", "warning tcl/tk8.6/tk.tcl"}


@pytest.mark.parametrize(
    ("code", "files", "expected"),
    [
        ("", (), {"warning share/proj/proj.db"}),
        ("", ("share/proj/proj.db",), set()),  # ../share/proj from the folder of the DLL
        ("", ("somewhere/proj.db",), set()),  # unreadable code may tell PROJ so
        (
            "import os\nos.environ['PROJ_LIB'] = os.path.join(os.path.dirname(__file__), 'maps')",
            ("maps/proj.db",),
            set(),
        ),
    ],
)
def test_proj_looks_from_its_dll(
    make_dist: DistMaker, tmp_path: Path, code: str, files: tuple[str, ...], expected: set[str]
) -> None:
    images = {"geo.pyd": ("proj_9.dll", "python310.dll"), "bin/proj_9.dll": ()}
    text = "import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), 'bin'))\n"
    dist = make_dist(images, HAS_STDLIB | {"own.py": f"{code}\n{text}import geo\n"} | dict.fromkeys(files, ""))
    assert words(scan(str(dist), options(program(tmp_path, "import own"))).findings) == expected


def test_a_dll_beside_the_program_has_no_folder_above(
    make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path
) -> None:
    dist = make_dist(GEO, HAS_STDLIB)
    env = make_conda({})
    (env / "Library/share/proj").mkdir(parents=True)
    (env / "Library/share/proj/proj.db").write_text("")
    entry = program(tmp_path, "import geo")
    found = scan(str(dist), options(entry, f"conda:{env}")).findings
    assert words(found) == {"warning proj.db"}
    row = next(one for one in found if one.rule == "DF302")
    assert "PROJ_DATA or PROJ_LIB" in row.no_fix


@pytest.mark.parametrize(
    ("dll", "expected"),
    [
        ("lib/gi/gtk-3-1.dll", {"warning share/glib-2.0/schemas/gschemas.compiled"}),  # above the nearest lib
        ("gtk/gtk-3-1.dll", {"warning gtk/share/glib-2.0/schemas/gschemas.compiled"}),
    ],
)
def test_glib_looks_above_the_nearest_bin_or_lib(
    make_dist: DistMaker, tmp_path: Path, dll: str, expected: set[str]
) -> None:
    images = {"gui.pyd": ("gtk-3-1.dll", "python310.dll"), dll: ()}
    folder = dll.rpartition("/")[0]
    text = f"import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), {folder!r}))\nimport gui\n"
    dist = make_dist(images, HAS_STDLIB | {"own.py": text})
    entry = program(tmp_path, "import own")
    assert words(scan(str(dist), options(entry)).findings) == expected
    for place in ("share/glib-2.0/schemas", "elsewhere"):  # beside the program GLib looks too; its folder may be told
        (dist / place).mkdir(parents=True)
        (dist / place / "gschemas.compiled").write_text("")
        assert words(scan(str(dist), options(entry)).findings) == set()


@pytest.mark.parametrize("place", ["{lib}/proj_dir/share/proj", "share/proj", "Library/share/proj"])
def test_a_package_that_looks_for_itself(make_dist: DistMaker, tmp_path: Path, place: str) -> None:
    images = {"pyproj/core.pyd": ("proj_9.dll", "python310.dll"), "proj_9.dll": ()}
    dist = make_dist(images, HAS_STDLIB | {"pyproj/__init__.py": "from . import core"})
    entry = program(tmp_path, "import pyproj")
    assert words(scan(str(dist), options(entry)).findings) == {"error pyproj/proj_dir/share/proj/proj.db"}
    target = dist / place.format(lib="pyproj") / "proj.db"
    target.parent.mkdir(parents=True)
    target.write_text("")
    assert words(scan(str(dist), options(entry)).findings) == set()


def test_a_copy_of_another_package_does_not_count(
    make_dist: DistMaker, make_python: Callable[..., str], tmp_path: Path
) -> None:
    images = {"pyproj/core.pyd": ("proj_9-ab.dll", "python310.dll"), "pyproj.libs/proj_9-ab.dll": ()}
    text = "import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), os.pardir, 'pyproj.libs'))\n"
    sources = {"pyproj/__init__.py": f"{text}from . import core", "rasterio/proj_data/proj.db": ""}
    dist = make_dist(images, HAS_STDLIB | sources)
    data = {"pyproj/__init__.py": "", "pyproj/proj_dir/share/proj/proj.db": "x", "pyproj/proj_dir/share/proj/nad": ""}
    spec = make_python(installed("pyproj", data))
    entry = program(tmp_path, "import pyproj")
    found = scan(str(dist), options(entry, spec)).findings
    assert words(found) == {"warning pyproj/proj_dir/share/proj/proj.db"}
    report = repair(str(dist), options(entry, spec))
    assert {action.destination for action in report.plan.actions} == {  # type: ignore[union-attr]
        "pyproj/proj_dir/share/proj/proj.db",
        "pyproj/proj_dir/share/proj/nad",
    }
    assert str(report.plan.actions[0].provider) == "pyproj 1.0"  # type: ignore[union-attr]
    assert SITE in report.plan.actions[0].source  # type: ignore[union-attr]


# --- the real libraries ---


@pytest.mark.lab
@pytest.mark.parametrize(
    ("requirements", "steps", "away", "error", "expected"),
    [
        (
            ("pyproj==3.7.1",),
            "import pyproj\nprint(pyproj.CRS.from_epsg(4326).is_geographic)",
            ("pyproj/proj_dir",),
            "Valid PROJ data directory not found",
            {"error pyproj/proj_dir/share/proj/proj.db"},
        ),
        (
            ("rasterio==1.4.4", "numpy==1.26.4", "affine==3.0.1", "attrs==26.1.0", "pyparsing==3.3.3", "click==8.5.1"),
            "from rasterio.crs import CRS\nprint(CRS.from_epsg(32633).is_projected)",
            ("rasterio/proj_data", "rasterio/gdal_data"),
            "Cannot find proj.db",
            {"warning rasterio/proj_data/proj.db", "warning rasterio/gdal_data/gdalvrt.xsd"},
        ),
    ],
    ids=["pyproj", "rasterio"],
)
def test_real_packages_without_their_data(
    wine: None,
    tmp_path: Path,
    requirements: tuple[str, ...],
    steps: str,
    away: tuple[str, ...],
    error: str,
    expected: set[str],
) -> None:
    dist = lay_out_flat(tmp_path / "dist", (*requirements, "certifi==2026.10.18", "colorama==0.4.6"))
    for folder in away:
        shutil.rmtree(dist / folder)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    shutil.copy(download(requirements[0]), wheels)
    entry = program(tmp_path, steps)
    broken = run([dist / "app.exe", entry], cwd=tmp_path)
    assert broken.code == 1
    assert error in broken.err
    assert words(scan(str(dist), options(entry)).findings) == expected
    repair(str(dist), options(entry, f"wheels:{wheels}"))
    cured = run([dist / "app.exe", entry], cwd=tmp_path)
    assert (cured.code, cured.out.strip()) == (0, "True")


@pytest.mark.lab
def test_real_tkinter_without_tcls_scripts(wine: None, tmp_path: Path) -> None:
    environment = tmp_path / "python"
    shutil.copytree(python_of("3.11"), environment)
    with tarfile.open(download("tkinter-embed==3.11.0")) as archive:
        data = next(one for one in archive.getmembers() if one.name.endswith("data.zip"))
        with zipfile.ZipFile(archive.extractfile(data)) as inner:  # type: ignore[arg-type]
            members = [name for name in inner.namelist() if name.startswith("cp311/")]
            inner.extractall(tmp_path, members)
    shutil.copytree(tmp_path / "cp311", environment, dirs_exist_ok=True)
    dist = tmp_path / "dist"
    shutil.copytree(environment, dist)
    (dist / "python.exe").rename(dist / "app.exe")
    entry = program(tmp_path, "import tkinter\nprint(tkinter.Tcl().eval('info patchlevel'))")
    assert run([dist / "app.exe", entry], cwd=tmp_path).code == 0
    assert words(scan(str(dist), options(entry)).findings) == set()
    shutil.rmtree(dist / "tcl")
    broken = run([dist / "app.exe", entry], cwd=tmp_path)
    assert broken.code == 1
    assert "Can't find a usable init.tcl" in broken.err
    assert words(scan(str(dist), options(entry)).findings) == {"error tcl/tcl8.6/init.tcl", "error tcl/tk8.6/tk.tcl"}
    repair(str(dist), options(entry, f"python:{environment}"))
    cured = run([dist / "app.exe", entry], cwd=tmp_path)
    assert (cured.code, cured.out.strip()) == (0, "8.6.14")
