"""DF502 and DF503: the Pythons of dist and environments; what is said before and after a signed program is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.errors import InputError
from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures import nuitka_lab
from fixtures.nuitka_programs import PROGRAMS, REQUIREMENTS
from fixtures.signing import sign
from tests.conftest import DistMaker, Forge, put
from tests.repairing import repair

MakeConda = Callable[..., Path]


def findings(dist: Path, *environments: str, rules: tuple[str, ...] = ("DF502", "DF503")) -> list[Finding]:
    found = scan(str(dist), Options(environ={}, environments=environments)).findings
    return [one for one in found if one.rule in rules]


def venv(root: Path, version: str, home: str = "C:\\Python") -> str:
    """Make a virtual environment of a Python that is not on this machine."""
    (root / "Lib" / "site-packages").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text(f"home = {home}\nversion = {version}\n")
    return f"venv:{root}"


# --- DF502 ---


def test_an_environment_of_the_same_python(make_dist: DistMaker, make_conda: MakeConda, tmp_path: Path) -> None:
    dist = make_dist()
    assert findings(dist, f"conda:{make_conda({})}", venv(tmp_path / "venv", "3.10.4")) == []
    assert findings(dist) == []


def test_an_environment_of_another_python(make_dist: DistMaker, tmp_path: Path) -> None:
    (found,) = findings(make_dist(), venv(tmp_path / "venv", "3.12.1"))
    assert (found.rule, found.severity.value, found.subject) == ("DF502", "warning", f"venv:{tmp_path / 'venv'}")
    assert "it has Python 3.12, the dist has Python 3.10" in found.message
    assert "give an environment of Python 3.10, or freeze the program again with Python 3.12" in found.message


def test_it_is_an_error_where_only_a_fitting_one_could_help(make_dist: DistMaker, tmp_path: Path) -> None:
    """The module is in an environment of another Python, which cannot give it."""
    dist = make_dist({"pkg/core.cp312-win_amd64.pyd": ("python312.dll",)}, {"pkg/__init__.py": "from . import core\n"})
    other, fitting = venv(tmp_path / "other", "3.12.1"), venv(tmp_path / "fitting", "3.10.1")
    assert [one.severity.value for one in findings(dist, other)] == ["error"]
    assert [one.severity.value for one in findings(dist, other, fitting)] == ["warning"]


def test_a_folder_of_dlls_has_no_python_that_could_differ(make_dist: DistMaker, tmp_path: Path, forge: Forge) -> None:
    put(forge("need.dll"), tmp_path / "dlls" / "need.dll")
    assert findings(make_dist(), f"dir:{tmp_path / 'dlls'}") == []


def test_a_program_without_python_fits_every_environment(make_dist: DistMaker, tmp_path: Path) -> None:
    assert findings(make_dist(python=False), venv(tmp_path / "venv", "3.12.1")) == []


# --- DF503 ---

STORE = r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.10_3.10.3056.0_x64__qbz5n2kfra8p0"


def test_a_venv_of_the_stores_python(make_dist: DistMaker, tmp_path: Path) -> None:
    """Made up from what venv writes there: the Store's Python is not to be had here."""
    spec = venv(tmp_path / "venv", "3.10.11", STORE)
    (found,) = findings(make_dist(), spec)
    assert (found.rule, found.severity.value) == ("DF503", "warning")
    assert found.message.startswith(f"the environment {spec} rests on the Microsoft Store's Python ({STORE})")
    assert "Python from python.org" in found.message


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        (("libpython3.11.dll", "libgcc_s_seh-1.dll", "libwinpthread-1.dll"), "libpython3.11.dll"),
        (("_socket.cp311-mingw_x86_64.pyd",), "_socket.cp311-mingw_x86_64.pyd"),
        (("_socket.cp312-mingw_x86_64_ucrt_gnu.pyd", "libc++.dll"), "_socket.cp312-mingw_x86_64_ucrt_gnu.pyd"),
    ],
)
def test_a_program_of_msys2s_python(make_dist: DistMaker, names: tuple[str, ...], subject: str) -> None:
    """Laid out by the names that MSYS2 documents: its packages are not to be had here."""
    (found,) = findings(make_dist(dict.fromkeys(names, ()), python=False))
    assert (found.rule, found.severity.value, found.subject) == ("DF503", "warning", subject)
    assert "frozen with the Python of MSYS2" in found.message
    assert ("libwinpthread-1.dll" in names) == ("with libgcc_s_seh-1.dll, libwinpthread-1.dll" in found.message)


@pytest.mark.parametrize("name", ["libwinpthread-1.dll", "libgcc_s_seh-1.dll", "libpython_helper.dll"])
def test_runtimes_of_mingw_alone_tell_of_no_python(make_dist: DistMaker, name: str) -> None:
    assert findings(make_dist({name: ()}, python=False)) == []


def test_a_module_for_msys2_in_another_dist_is_an_abi_mismatch(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.cp310-mingw_x86_64.pyd": ()}, {"pkg/__init__.py": "from . import core\n"})
    assert [one.rule for one in findings(dist, rules=("DF205", "DF503"))] == ["DF205"]


def test_an_environment_of_msys2_is_refused(make_dist: DistMaker, tmp_path: Path, forge: Forge) -> None:
    root = tmp_path / "ucrt64"
    put(forge("libpython3.10.dll"), root / "bin" / "libpython3.10.dll")
    put(forge("python.exe"), root / "bin" / "python.exe")
    with pytest.raises(InputError, match="MSYS2"):
        findings(make_dist(), f"python:{root}")


# --- a signed program that a repair changes ---


@pytest.mark.lab
def test_a_repair_that_changes_a_signed_program_says_so_before_and_after(tmp_path: Path) -> None:
    program = next(one for one in PROGRAMS if one.name == "matrix")
    build = nuitka_lab.build(program.path, program.options, requirements=REQUIREMENTS)
    dist = tmp_path / "main.dist"
    shutil.copytree(build / "main.dist", dist)
    sign(dist / "main.exe")
    environment = nuitka_lab.environment(REQUIREMENTS)
    options = Options(environ={}, environments=(f"python:{environment}",), lift_guard=True)
    planned = repair(str(dist), options, dry_run=True).plan
    assert planned is not None
    (patch,) = (action for action in planned.actions if action.destination == "main.exe")
    assert patch.provider.note == "the change ends the validity of its signature: sign it again afterwards"
    assert findings(dist, rules=("DF505",)) == []
    report = repair(str(dist), options)
    assert report.applied and report.verification is not None
    assert [one.subject for one in report.verification.introduced if one.rule == "DF505"] == ["main.exe"]
