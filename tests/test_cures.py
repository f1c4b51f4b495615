"""Where the cure of a finding comes from: modules, plugins, what a copied file needs, runtimes that are new enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from fixtures.link_image import image
from tests.conftest import DistMaker, Forge, put
from tests.repairing import repair
from tests.test_runtimes import CORE, brief, core, environment, runtime

MakeConda = Callable[..., Path]

SPEED = "pkg/_speed.cp310-win_amd64.pyd"
SOURCES = {"pkg/__init__.py": "from ._speed import work\n", "pkg-1.0.dist-info/RECORD": f"{SPEED},,\n"}
LOAD = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'bin', {0!r}))\n"


def repaired(dist: Path, *environments: str, overwrite: bool = False) -> list[str]:
    """Repair a dist; return the destinations of what was copied."""
    done = repair(str(dist), Options(environ={}, environments=environments, overwrite=overwrite))
    return [action.destination for action in done.plan.actions] if done.plan else []


def findings(dist: Path, *environments: str) -> tuple[Finding, ...]:
    return scan(str(dist), Options(environ={}, environments=environments)).findings


def reason(dist: Path, *environments: str) -> str:
    """Return why what a dist lacks, one thing, has no cure; that an environment does not fit is told besides."""
    (finding,) = (one for one in findings(dist, *environments) if one.name != "unfit-environment")
    assert finding.fix is None
    return finding.no_fix


# --- modules ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def packaged(make_dist: DistMaker) -> Path:
    """A dist that lacks the extension module pkg._speed."""
    return make_dist({}, SOURCES)


@pytest.mark.parametrize("place", ["", "site-packages/", "Lib/site-packages/"])
def test_a_plain_folder_gives_an_extension_module(packaged: Path, forge: Forge, tmp_path: Path, place: str) -> None:
    put(forge("_speed.pyd"), tmp_path / "folder" / f"{place}{SPEED}")
    assert repaired(packaged, f"dir:{tmp_path / 'folder'}") == [SPEED]
    assert brief(packaged) == []


@pytest.mark.parametrize("place", ["other/", "pkg/pkg/"])
def test_a_module_of_another_package_is_not_the_one(packaged: Path, forge: Forge, tmp_path: Path, place: str) -> None:
    put(forge("_speed.pyd"), tmp_path / "folder" / place / Path(SPEED).name)
    assert "not found in" in reason(packaged, f"dir:{tmp_path / 'folder'}")


@pytest.mark.parametrize("kind", ["conda", "dir"])
def test_a_module_of_another_machine_is_declined_for_that(
    packaged: Path, make_conda: MakeConda, forge: Forge, kind: str
) -> None:
    root = make_conda({})
    put(forge("_speed.pyd", machine="x86"), root / "Lib" / "site-packages" / SPEED)
    assert "it is 32-bit" in reason(packaged, f"{kind}:{root}")


def test_a_module_of_another_python_is_declined_for_that(
    packaged: Path, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    root = make_conda({})
    put(forge("_speed.pyd", ("python311.dll",)), root / "Lib" / "site-packages" / SPEED)
    assert "it is for python311.dll, the program has python310.dll" in reason(packaged, f"conda:{root}")
    put(forge("_speed.pyd", ("python310.dll",)), tmp_path / "folder" / SPEED)
    assert repaired(packaged, f"conda:{root}", f"dir:{tmp_path / 'folder'}") == [SPEED]


# --- modules of the standard library ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "destination"), [("DLLs/_socket.pyd", "DLLs/_ctypes.pyd"), ("_socket.pyd", "_ctypes.pyd")]
)
def test_a_module_of_the_standard_library_goes_beside_the_others_with_its_own_dlls(
    make_dist: DistMaker, make_conda: MakeConda, present: str, destination: str
) -> None:
    dist = make_dist({present: ()}, {"pkg/__init__.py": "import ctypes\n"})
    assert [row[0] for row in brief(dist)] == ["DF203"]
    root = make_conda({"DLLs/_ctypes.pyd": ("ffi-8.dll",), "Library/bin/ffi-8.dll": ()})
    assert set(repaired(dist, f"conda:{root}")) == {destination, "ffi-8.dll"}
    assert brief(dist) == []


def test_a_plain_folder_gives_a_module_of_the_standard_library(
    make_dist: DistMaker, forge: Forge, tmp_path: Path
) -> None:
    dist = make_dist({"_socket.pyd": ()}, {"pkg/__init__.py": "import ctypes\n"})
    put(forge("_ctypes.pyd"), tmp_path / "folder" / "elsewhere" / "_ctypes.pyd")
    assert "not found in" in reason(dist, f"dir:{tmp_path / 'folder'}")
    put(forge("_ctypes.pyd"), tmp_path / "folder" / "_ctypes.pyd")
    assert repaired(dist, f"dir:{tmp_path / 'folder'}") == ["_ctypes.pyd"]


def test_the_standard_library_of_another_python_or_machine_is_declined(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge
) -> None:
    dist = make_dist({"_socket.pyd": ()}, {"pkg/__init__.py": "import ctypes\n"})
    assert reason(dist) == "no environment was given to take it from"
    root = make_conda({})
    assert "not found in" in reason(dist, f"conda:{root}")
    put(forge("_ctypes.pyd", machine="x86"), root / "DLLs" / "_ctypes.pyd")
    assert "it is 32-bit" in reason(dist, f"conda:{root}")
    put(forge("_ctypes.pyd"), root / "DLLs" / "_ctypes.pyd")
    (root / "python310.dll").rename(root / "python311.dll")
    assert "it is of Python 3.11, the program has 3.10" in reason(dist, f"conda:{root}")
    assert repaired(dist, f"conda:{root}") == []


# --- what a copied file needs ----------------------------------------------------------------------------------------


@pytest.fixture
def naming(make_dist: DistMaker, tmp_path: Path) -> Path:
    """A dist whose extension module pkg.core holds the name helper.dll among its strings."""
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    source = tmp_path / "naming.c"
    source.write_text('__declspec(dllexport) const char *name(void) { return "helper.dll"; }\n')
    put(compile_c(source, tmp_path / "made" / "core.pyd"), dist / "pkg" / "core.pyd")
    return dist


def test_a_file_that_is_only_named_comes_with_all_that_it_imports(naming: Path, make_conda: MakeConda) -> None:
    needs = {"Library/bin/helper.dll": ("dep.dll",), "Library/bin/dep.dll": ("deep.dll",), "Library/bin/deep.dll": ()}
    root = make_conda({"Lib/site-packages/pkg/core.pyd": (), **needs})
    (root / "conda-meta" / "core-1.2.3-0.json").unlink()
    record = root / "conda-meta" / "helper-1.2.3-0.json"  # one package has installed both
    record.write_text(record.read_text().replace('"files": [', '"files": ["Lib/site-packages/pkg/core.pyd", '))
    assert set(repaired(naming, f"conda:{root}")) == {"helper.dll", "dep.dll", "deep.dll"}


def test_what_a_file_of_the_dist_needs_that_is_only_named_stays_a_possibility(
    naming: Path, make_conda: MakeConda, forge: Forge
) -> None:
    put(forge("helper.dll", ("dep.dll",)), naming / "helper.dll")
    assert brief(naming) == [("DF101", "info", "dep.dll")]
    assert repaired(naming, f"conda:{make_conda({'Library/bin/dep.dll': ()})}") == []


# --- plugins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["Library/plugins/platforms", "Library/lib/qt6/plugins/platforms"])
def test_the_platform_plugin_of_qt_comes_from_where_conda_keeps_it(
    make_dist: DistMaker, make_conda: MakeConda, place: str
) -> None:
    dist = make_dist({"pkg/bin/qt6gui.dll": ()}, {"pkg/__init__.py": LOAD.format("qt6gui.dll")})
    root = make_conda({f"{place}/qwindows.dll": ("need.dll",), "Library/bin/need.dll": ()})
    assert set(repaired(dist, f"conda:{root}")) == {"pkg/bin/platforms/qwindows.dll", "need.dll"}


@pytest.mark.parametrize(("wanted", "other"), [("qt5gui.dll", "qt6gui.dll"), ("qt6gui.dll", "qt5gui.dll")])
def test_the_plugin_of_the_release_that_loads_it_is_taken(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, wanted: str, other: str
) -> None:
    dist = make_dist({f"pkg/bin/{wanted}": ()}, {"pkg/__init__.py": LOAD.format(wanted)})
    plugins = {"qt5gui.dll": "Library/plugins", "qt6gui.dll": "Library/lib/qt6/plugins"}
    root = make_conda({})
    for name in (wanted, other):
        put(forge("qwindows.dll", (name,)), root / plugins[name] / "platforms" / "qwindows.dll")
    assert repaired(dist, f"conda:{root}") == ["pkg/bin/platforms/qwindows.dll"]
    taken = (dist / "pkg" / "bin" / "platforms" / "qwindows.dll").read_bytes()
    assert taken == (root / plugins[wanted] / "platforms" / "qwindows.dll").read_bytes()


# --- which of several ------------------------------------------------------------------------------------------------


def test_the_runtime_that_is_new_enough_is_taken(make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    core(dist, 38, {"msvcp140.dll": "one"})
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one")
    first = f"conda:{environment(make_conda, '14.34.31938.0', name='first')}"
    assert "it is of toolset 14.34, and 14.38 is needed" in reason(dist, first)
    second = f"conda:{environment(make_conda, '14.42.34433.0', name='second')}"
    assert repaired(dist, first, second, overwrite=True) == ["msvcp140.dll"]
    assert brief(dist) == []


def test_a_newer_runtime_that_lacks_a_function_is_declined(make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({}, {"pkg/__init__.py": CORE})
    core(dist, 38, {"msvcp140.dll": "one; two"})
    runtime(dist / "msvcp140.dll", "14.29.30139.0", "one; two")
    root = environment(make_conda, "14.42.34433.0")
    assert "it lacks two, which msvcp140.dll has" in reason(dist, f"conda:{root}")


def test_each_finding_shows_its_own_cure(make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({}, {"a/__init__.py": CORE, "b/__init__.py": CORE})
    for package in ("a", "b"):
        image(dist / package / "core.pyd", "", {"need.dll": "one"})
        image(dist / package / "need.dll", package)
    root = make_conda({})
    image(root / "Library" / "bin" / "need.dll", "one")
    found = findings(dist, f"conda:{root}")
    assert sorted(one.fix.destination for one in found if one.fix) == ["a/need.dll", "b/need.dll"]
    assert [one.fix.destination for one in found if one.fix] == [one.locations[0].path for one in found]
