"""`depfix envs`: what is found on a machine, what fits a dist; and which environment is taken when none is named."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from depfix import pipeline
from depfix.dist.freezers import Freezer
from depfix.dist.identify import open_dist
from depfix.env.discover import list_environments
from depfix.env.fit import Need, by_fit, misfit
from depfix.env.places import environment_folders, project_folders, read_registry
from depfix.env.protocol import EnvironmentInfo
from depfix.frozen.builder import building_folder
from depfix.knowledge.tables import environment_places
from depfix.model.machine import Machine
from fixtures.nuitka_lab import build
from fixtures.nuitka_programs import PROGRAMS, REQUIREMENTS
from tests.conftest import Cli, DistMaker, Forge, put
from tests.test_env_packages import SITE, python_at, venv_at, write

MakeConda = Callable[..., Path]
Run = Callable[..., Cli]
NEED = Need(Machine.AMD64, (3, 10))


def info(**more: object) -> EnvironmentInfo:
    fields: dict[str, object] = {"python": "3.10", "machine": Machine.AMD64, **more}
    return EnvironmentInfo(**{"spec": "python:X", "root": "X", "kind": "python", **fields})  # type: ignore[arg-type]


# --- where they are --------------------------------------------------------------------------------------------------

PLACES = [
    ("AppData/Local/pypoetry/Cache/virtualenvs/app-C50bpH3Q-py3.10", "poetry"),
    (".cache/pypoetry/virtualenvs/app-C50bpH3Q-py3.10", "poetry"),
    ("AppData/Local/hatch/env/virtual/app/C50bpH3Q/app", "hatch"),
    ("AppData/Local/pdm/pdm/venvs/app-5f1Gg0P8-3.10", "pdm"),
    ("AppData/Roaming/uv/tools/tool", "venv"),
    ("AppData/Local/pipx/pipx/venvs/tool", "venv"),
    ("pipx/venvs/tool", "venv"),
    ("Envs/app", "venv"),
    (".virtualenvs/app", "virtualenvwrapper"),
]
PYTHONS = [
    ("AppData/Roaming/uv/python/cpython-3.10.11-windows-x86_64-none", "uv"),
    (".pyenv/pyenv-win/versions/3.10.11", "pyenv-win"),
    ("AppData/Local/Programs/Python/Python310", "python"),
    ("AppData/Local/Python/pythoncore-3.10-64", "install manager"),
    (".nuget/packages/python/3.10.11/tools", "nuget"),
]


@pytest.mark.parametrize(("place", "kind"), PLACES)
def test_virtual_environments_are_found_where_tools_keep_them(tmp_path: Path, place: str, kind: str) -> None:
    root = venv_at(tmp_path / "home" / place, str(python_at(tmp_path / "py")))
    (row,) = list_environments({"HOME": str(tmp_path / "home")})
    assert (row.spec, row.kind, row.python, row.note) == (f"venv:{root}", kind, "3.10", "")


@pytest.mark.parametrize(("place", "kind"), PYTHONS)
def test_pythons_are_found_where_they_are_installed(tmp_path: Path, place: str, kind: str) -> None:
    root = python_at(tmp_path / place)
    (tmp_path / ".nuget/packages/python/3.10.11").mkdir(parents=True, exist_ok=True)
    (tmp_path / ".nuget/packages/python/3.10.11/python.nuspec").touch()
    (row,) = list_environments({"USERPROFILE": str(tmp_path), "HOME": "/nowhere"})
    assert (row.kind, row.python) == (kind, "3.10")
    assert row.root == str(root)
    assert row.spec in (f"python:{root}", f"python:{root.parent}")


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("WORKON_HOME", "app"),
        ("POETRY_VIRTUALENVS_PATH", "app"),
        ("POETRY_CACHE_DIR", "virtualenvs/app"),
        ("PIPX_HOME", "venvs/app"),
        ("HATCH_DATA_DIR", "env/virtual/app/x/app"),
        ("UV_TOOL_DIR", "app"),
        ("UV_PROJECT_ENVIRONMENT", ""),
        ("LOCALAPPDATA", "pypoetry/Cache/virtualenvs/app"),
        ("XDG_DATA_HOME", "pdm/venvs/app"),
        ("VIRTUAL_ENV", ""),
    ],
)
def test_what_variables_name_is_looked_into(tmp_path: Path, variable: str, below: str) -> None:
    root = venv_at(tmp_path / "place" / below, str(python_at(tmp_path / "py")))
    rows = list_environments({"HOME": str(tmp_path / "no"), variable: str(tmp_path / "place")})
    assert [row.root for row in rows] == [str(root)]


def test_projects_are_looked_into_and_an_environment_is_listed_once(make_conda: MakeConda, tmp_path: Path) -> None:
    base = str(python_at(tmp_path / "py"))
    venvs = [venv_at(tmp_path / "proj" / name, base) for name in (".venv", "venv", "env")]
    make_conda({}, name="proj/.pixi/envs/default")
    (tmp_path / "proj" / "build" / "main.dist").mkdir(parents=True)
    environ = {"HOME": "/nowhere", "VIRTUAL_ENV": str(venvs[1])}
    rows = list_environments(environ, project_folders(str(tmp_path), str(tmp_path / "proj" / "build" / "main.dist")))
    assert [Path(row.root).name for row in rows] == ["venv", ".venv", "env", "default"]  # the active one first
    assert (rows[-1].kind, rows[-1].spec) == ("pixi", f"conda:{tmp_path / 'proj' / '.pixi' / 'envs' / 'default'}")
    named = list_environments(environ, (str(tmp_path / "proj"),), built_from=str(venvs[2]))
    assert [Path(row.root).name for row in named] == ["env", "venv", ".venv", "default"]


def test_what_cannot_serve_is_listed_with_the_reason(tmp_path: Path) -> None:
    local = tmp_path / "AppData" / "Local"
    write(local, {"Microsoft/WindowsApps/python.exe": "", "Microsoft/WindowsApps/python3.exe": ""})
    write(tmp_path, {"msys64/ucrt64/bin/libpython3.12.dll": "", "msys64/ucrt64/bin/python.exe": "MZ"})
    write(tmp_path / ".pyenv/pyenv-win/versions/pypy3.10", {"libpypy3.10-c.dll": "", "python.exe": "MZ"})
    write(tmp_path / ".virtualenvs/linux", {"pyvenv.cfg": "home = /usr/bin\n", "bin/python3": ""})  # of this host
    rows = list_environments({"HOME": str(tmp_path), "MSYSTEM_PREFIX": str(tmp_path / "msys64" / "ucrt64")})
    assert {row.kind for row in rows} == {"store", "msys2", "pypy"}
    assert all(row.note and ("python.org" in row.note or "venv:FOLDER" in row.note) for row in rows)


def test_a_huge_home_is_listed_and_never_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1500):
        (tmp_path / ".virtualenvs" / f"e{number:04}" / "deep").mkdir(parents=True)
    for folder in ("Documents", "src", "Envs"):
        (tmp_path / folder / "a" / "b" / "c").mkdir(parents=True)
    listed: list[str] = []
    scandir = os.scandir

    def watched(folder: str) -> object:
        listed.append(str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", watched)
    start = time.perf_counter()
    assert list_environments({"HOME": str(tmp_path)}) == ()
    assert time.perf_counter() - start < 60
    assert not any(Path(folder).name in ("deep", "Documents", "src", "b") for folder in listed)
    assert len({folder for folder in listed if Path(folder).name.startswith("e0")}) <= 200


def test_every_place_has_a_base(tmp_path: Path) -> None:
    places = environment_places()
    assert len(places) > 40
    assert list(environment_folders({"HOME": str(tmp_path), "WORKON_HOME": "relative", "SYSTEMDRIVE": ""})) == []


class Registry:
    """What of winreg is used, over a table."""

    HKEY_CURRENT_USER, HKEY_LOCAL_MACHINE = "user", "machine"
    KEY_READ, KEY_WOW64_64KEY, KEY_WOW64_32KEY = 1, 2, 4

    def __init__(self, keys: Mapping[str, object]) -> None:
        self.keys = keys

    def OpenKey(self, hive: str, path: str, _reserved: int, _access: int) -> Key:  # noqa: N802
        full = f"{hive}\\{path}"
        if not any(key == full or key.startswith(full + "\\") for key in self.keys):
            raise FileNotFoundError(full)
        return Key(full)

    def QueryInfoKey(self, key: Key) -> tuple[int, int, int]:  # noqa: N802
        return len(self.below(key)), 0, 0

    def EnumKey(self, key: Key, index: int) -> str:  # noqa: N802
        return self.below(key)[index]

    def QueryValueEx(self, key: Key, _name: str) -> tuple[object, int]:  # noqa: N802
        return self.keys[key.path], 1

    def below(self, key: Key) -> list[str]:
        inner = [one[len(key.path) + 1 :] for one in self.keys if one.startswith(key.path + "\\")]
        return list(dict.fromkeys(one.split("\\")[0] for one in inner))


class Key:
    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> Key:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def test_the_registry_names_pythons() -> None:
    table = {
        r"user\Software\Python\PythonCore\3.10\InstallPath": r"C:\Users\me\Python310",
        r"machine\Software\Python\PythonCore\3.10-32\InstallPath": r"C:\Python310-32",
        r"machine\Software\Python\ContinuumAnalytics\Anaconda310-64\InstallPath": 7,
        r"machine\Software\Python\PyLauncher": "",
    }
    assert read_registry(Registry(table)) == (r"C:\Users\me\Python310", r"C:\Python310-32")
    assert read_registry(Registry({})) == ()


# --- what fits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"machine": None}, ""),
        ({"python": "3.11"}, "it has Python 3.11, the dist has Python 3.10"),
        ({"machine": Machine.X86}, "it is 32-bit (x86), the dist is 64-bit (amd64)"),
        ({"machine": Machine.ARM64}, "it is 64-bit ARM (arm64)"),
        ({"debug": True}, "it has Python 3.10 debug"),
        ({"free_threaded": True}, "it has Python 3.10 free-threaded"),
        ({"python": ""}, "DLLs only"),
        ({"note": "it is PyPy"}, "it is PyPy"),
    ],
)
def test_what_fits_and_why_not(more: dict[str, object], words: str) -> None:
    reason = misfit(info(**more), NEED)
    assert (words in reason) if words else reason == ""


def test_the_best_fitting_comes_first() -> None:
    rows = [info(spec="a", note="no"), info(spec="b", python="3.11"), info(spec="c", caveat="x"), info(spec="d")]
    assert [row.spec for row, _ in by_fit(rows, NEED)] == ["d", "c", "b", "a"]
    assert misfit(info(python=""), Need(Machine.AMD64)) == ""


def test_envs_with_a_dist(cli: Run, make_conda: MakeConda, make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    make_conda({}, name="envs/right")
    make_conda({}, name="envs/small", machine="x86")
    put(forge("python311.dll"), make_conda({}, name="envs/newer") / "python311.dll")
    (tmp_path / "envs" / "newer" / "python310.dll").unlink()
    write(tmp_path, {"envs/linux/conda-meta/history": "", "envs/linux/bin/python": ""})
    environ = {"CONDA_ENVS_PATH": str(tmp_path / "envs")}
    dist = make_dist()
    listed = cli("envs", dist, environ=environ)
    lines = [line for line in listed.out.splitlines() if line]
    assert lines[0] == "the dist: Python 3.10, 64-bit (amd64)"
    assert lines[1].startswith("conda:right")
    assert lines[1].endswith("fits")
    assert "does not fit: it has Python 3.11, the dist has Python 3.10" in listed.out
    assert "does not fit: it is 32-bit (x86), the dist is 64-bit (amd64)" in listed.out
    assert lines[-2].startswith("conda:linux")
    assert "not usable: it is a Linux or macOS environment" in lines[-1]
    assert f"hint: depfix repair {dist} --env conda:right" in listed.err
    rows = json.loads(cli("envs", dist, "--format", "json", environ=environ).out)
    assert next((row["spec"], row["fits"], row["usable"]) for row in rows) == ("conda:right", True, True)
    assert {row["spec"] for row in rows if not row["fits"]} == {"conda:small", "conda:newer", "conda:linux"}
    assert all(row["misfit"] for row in rows if not row["fits"])
    without = json.loads(cli("envs", "--format", "json", environ=environ).out)
    assert all("fits" not in row for row in without)
    assert cli("envs", tmp_path / "none").code == 2


# --- which one is taken without --env --------------------------------------------------------------------------------


def test_a_repair_without_an_environment_names_those_that_fit(
    cli: Run, make_conda: MakeConda, make_dist: DistMaker, tmp_path: Path
) -> None:
    make_conda({}, name="envs/wrong", machine="x86")
    make_conda({}, name="envs/right")
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": ""})
    done = cli("repair", dist, environ={"CONDA_ENVS_PATH": str(tmp_path / "envs")})
    assert done.code == 2
    assert "add --env conda:right" in done.err
    assert "wrong" not in done.err


def scons_report(python: Path, folder: str) -> str:
    """The line of a real report, as Nuitka 4.2 writes it."""
    windows = ("Z:" + str(python).replace("/", "\\")).replace("\\", "\\\\")
    rest = "\\\\Lib\\\\site-packages\\\\nuitka\\\\build\\\\"
    return f"CC=zig\nCPPPATH=['{windows}{rest}inline_copy\\\\zlib', '{windows}\\\\include', '.', '{folder}{rest}include']\n"


def nuitka_dist(make_dist: DistMaker, python: Path) -> Path:
    dist = make_dist({"pkg/core.pyd": ("libffi-7.dll",)}, {"pkg/__init__.py": ""})
    with open(dist / "app.exe", "ab") as program:
        program.write(b"\0__nuitka_binary_dir\0nuitka_module_loader\0")  # by which its programs are known
    write(
        dist.parent / "main.build", {"scons-report.txt": scons_report(python, "Z:\\\\PROG~1\\\\PY"), "__loader.c": ""}
    )
    return dist


def test_the_environment_that_the_build_names_is_taken(
    make_dist: DistMaker, make_conda: MakeConda, tmp_path: Path
) -> None:
    python = python_at(tmp_path / "py")
    dist = nuitka_dist(make_dist, python)
    found = open_dist(dist)
    assert found.freezer is Freezer.NUITKA
    assert building_folder(found) == "Z:" + str(python).replace("/", "\\")
    environ = {"CONDA_PREFIX": str(make_conda({"Library/bin/libffi-7.dll": ()}))}
    report = pipeline.scan(str(dist), pipeline.Options(environ=environ))
    assert [one.spec for one in report.environments] == [f"python:{python}"]
    _, rows = pipeline.environments_for(str(dist), environ)
    assert [row.spec for row, reason in rows if not reason][:2] == [f"python:{python}", "conda:env"]
    for name in ("python.exe", "python310.dll"):  # it was removed since: the active one serves
        (python / name).unlink()
    report = pipeline.scan(str(dist), pipeline.Options(environ=environ))
    assert [one.kind for one in report.environments] == ["conda"]


@pytest.mark.parametrize("content", ["", "CPPPATH=['.']", "\0" * 1000, "'" * 100_000, "'C:\\\\x" * 20_000])
def test_a_damaged_report_of_a_build_names_nothing(make_dist: DistMaker, content: str) -> None:
    from dataclasses import replace

    from depfix.dist.freezers import Freezer

    dist = make_dist()
    write(dist.parent / "main.build", {"scons-report.txt": content})
    start = time.perf_counter()
    assert building_folder(replace(open_dist(dist), freezer=Freezer.NUITKA)) == ""
    assert time.perf_counter() - start < 60


def test_pyinstallers_tables_name_the_environment(make_dist: DistMaker, tmp_path: Path) -> None:
    """Lines of a real Analysis-00.toc of PyInstaller 6."""
    from dataclasses import replace

    from depfix.dist.freezers import Freezer

    rows = [
        r"('markupsafe', 'C:\\app\\.venv\\lib\\site-packages\\markupsafe\\__init__.py', 'PYMODULE'),",
        r"('jinja2', 'C:\\app\\.venv\\Lib\\site-packages\\jinja2\\__init__.py', 'PYMODULE'),",
        r"('jinja2.x', 'C:\\app\\.venv\\Lib\\site-packages\\jinja2\\x.py', 'PYMODULE'),",
        r"('python310.dll', 'C:\\Python310\\python310.dll', 'BINARY'),",
    ]
    dist = make_dist(name="dist/app")
    write(tmp_path, {"build/app/Analysis-00.toc": "\n".join(rows)})
    assert building_folder(replace(open_dist(dist), freezer=Freezer.PYINSTALLER)) == r"C:\app\.venv"
    assert building_folder(replace(open_dist(dist), freezer=Freezer.CX_FREEZE)) == ""


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_a_real_build_names_the_python_that_made_it(cli: Run) -> None:
    program = PROGRAMS[0]
    dist = build(program.path, (*program.options, "--deployment"), requirements=REQUIREMENTS) / "main.dist"
    folder = building_folder(open_dist(dist))
    assert folder.startswith("Z:\\")
    rows = json.loads(cli("envs", dist, "--format", "json").out)
    assert rows[0]["fits"]
    assert rows[0]["root"] == folder[2:].replace("\\", "/")
    assert (Path(rows[0]["root"]) / SITE).is_dir()
