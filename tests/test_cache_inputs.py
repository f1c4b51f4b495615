"""A kept report knows all that it came from: nothing that a scan touches is outside of what is compared.

The scans run under strace: each path that the system was asked for has to be below a folder that is compared whole,
or to be noted by itself; Python's own files and depfix's are known by their versions.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import depfix
from depfix.cache.reports import Kept, read_kept
from depfix.cache.store import Cache
from fixtures import archive_lab, nuitka_lab
from fixtures.archives import write_wheel
from tests.conftest import DistMaker
from tests.test_inventory import COMPILED

pytestmark = pytest.mark.lab

_CALL = re.compile(r"^\d+ +\w+\((.*)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)+)"')
_SYSTEM = ("/proc", "/dev", "/sys", "/etc", "/lib", "/lib64", "/usr", "/bin", "/sbin")
_OF_PYTHON = re.compile(r".*/python3(\d+\.zip|\.\d+)")  # looked for wherever it could be installed
_FOR_THE_COMMAND = ".depfix"  # whether a repair was cut off is asked each time, before anything is shown again


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.fail("these tests watch what a scan asks the system for: install strace (apt-get install strace)")


def touched(log: Path, folder: Path) -> Iterator[str]:
    """Yield each path that a traced run named to the system."""
    for line in log.read_text("utf-8", "replace").splitlines():
        call = _CALL.match(line)
        if call is None or "execve(" in line:
            continue
        for base, name in _PATH.findall(call[1].partition(" = ")[0]):
            text = (
                name.encode("latin-1", "replace").decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
            )
            yield os.path.normpath(os.path.join(base or folder, text))


def below(path: str, folders: tuple[str, ...]) -> bool:
    return any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in folders)


def only_report(file: Path) -> Kept:
    """Return the one report in the file of a cache."""
    with closing(sqlite3.connect(file)) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM rows")]
    cache = Cache(str(file))
    (kept,) = filter(None, (read_kept(cache.get(key) or b"") for key in keys))
    return kept


def unknown_inputs(folder: Path, *arguments: str | Path, **environ: str) -> set[str]:
    """Scan under strace; return the paths that were asked for and that the kept report does not know of."""
    cache, scratch, log = folder / "the cache", folder / "scratch", folder / "strace.log"
    shutil.rmtree(cache, ignore_errors=True)
    scratch.mkdir(exist_ok=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CONDA", "VIRTUAL_ENV"))}
    variables |= {"DEPFIX_CACHE_DIR": str(cache), "TMPDIR": str(scratch), "HOME": str(folder / "home")} | environ
    trace = ["strace", "-f", "-y", "-s", "4096", "-e", "trace=%file", "-o", str(log)]
    program = [str(Path(sys.executable).parent / "depfix"), "scan", "-v", *map(str, arguments)]
    done = subprocess.run([*trace, *program], cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    origin = only_report(next(cache.iterdir())).origin
    known = {path for _, path in origin.seen.looks}
    listed = {path for how, path in origin.seen.looks if how == "list"}
    own = (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), str(Path(depfix.__file__).parent))
    roots = (*origin.roots, *_SYSTEM, *own, str(cache), str(scratch))
    starts = (*origin.roots, *own, *known, str(cache), str(folder))
    above = {str(one) for path in starts for one in Path(path).parents}
    return {
        path
        for path in touched(log, folder)
        if not below(path, roots) and path not in known | above and not path.endswith(_FOR_THE_COMMAND)
        if not _OF_PYTHON.fullmatch(path) and os.path.dirname(path) not in listed  # with the kind of each name in it
    } - {str(folder), *filter(os.path.isdir, sys.path)}


@pytest.fixture
def place(make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with a dist, an environment, wheels, a project and a virtual environment of it, all old enough."""
    make_dist({"core.pyd": ("gone.dll",)}, {"pkg/__init__.py": "import six\n"}, name="main.dist")
    make_conda({"Library/bin/gone.dll": ()}, name="env")
    site = tmp_path / "env" / "Lib" / "site-packages"
    (tmp_path / "elsewhere" / "mine").mkdir(parents=True)
    (tmp_path / "elsewhere" / "mine" / "__init__.py").write_text("import json\n")
    site.mkdir(parents=True)
    (site / "project.pth").write_text(f"{tmp_path / 'elsewhere'}\n")
    write_wheel(tmp_path / "wheels", "six", {"six.py": "value = 1\n"})
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "main.py").write_text("import helper, pkg, mine, six\n")
    (tmp_path / "project" / "helper.py").write_text("import absent\n")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {tmp_path / 'env'}\nversion = 3.10.4\n")
    (tmp_path / "venv" / "Scripts").mkdir()
    (tmp_path / "venv" / "Lib" / "site-packages").mkdir(parents=True)
    shutil.copy(tmp_path / "env" / "python.exe", tmp_path / "venv" / "Scripts")
    time.sleep(2.1)
    return tmp_path


SHAPES = {
    "alone": (),
    "conda": ("--env", "conda:{}/env"),
    "venv": ("--env", "venv:{}/venv"),
    "wheels": ("--env", "wheels:{}/wheels"),
    "folder": ("--env", "dir:{}/env/Library/bin"),
    "entry": ("--entry", "{}/project/main.py", "--env", "conda:{}/env"),
    "project": ("--entry", "{}/project/main.py", "--project-dir", "{}/elsewhere", "--env", "wheels:{}/wheels"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_all_that_a_scan_asks_for_is_known(place: Path, name: str) -> None:
    options = [option.format(place) for option in SHAPES[name]]
    assert unknown_inputs(place, place / "main.dist", *options) == set()


def test_the_active_environment_is_known(place: Path) -> None:
    assert unknown_inputs(place, place / "main.dist", VIRTUAL_ENV=str(place / "venv")) == set()


@pytest.mark.parametrize("options", [(), ("--report", "{}/main.report.xml"), ("--entry", "{}/main.py")])
def test_what_lies_beside_a_real_program_of_nuitka_is_known(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Its report, its build folder, and the environment that those name."""
    requirements = ("markupsafe==3.0.4", "six==1.17.0")
    built = nuitka_lab.build(COMPILED, (), requirements=requirements)
    assert unknown_inputs(tmp_path, built / "main.dist", *(option.format(built) for option in options)) == set()


def test_a_real_program_of_pyinstaller(tmp_path: Path) -> None:
    assert unknown_inputs(tmp_path, archive_lab.dist_of("onedir")) == set()
