"""Environments as suppliers of modules and distributions: real wheels in a real Windows Python, corners by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from depfix.env.discover import list_environments
from depfix.env.folder import FolderEnvironment
from depfix.env.listing import host_path, path_key
from depfix.env.open import active_environment, open_environment
from depfix.env.protocol import Distribution, Environment
from depfix.env.records import record_paths
from depfix.errors import DepfixError, UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.machine import Machine
from fixtures.windows_lab import download, embedded_python, make_environment, run
from tests.conftest import Forge, put

MakeConda = Callable[..., Path]
SITE = Path("Lib", "site-packages")
WHEELS = (
    "numpy==1.26.4",
    "cffi==1.17.1",
    "six==1.17.0",
    "tbb==2021.13.1",
    "psycopg2-binary==2.9.10",
    "jinja2==3.1.5",
    "joblib==1.4.2",
)


# --- layouts ---------------------------------------------------------------------------------------------------------


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def python_at(root: Path) -> Path:
    """A full installation: real programs and extension modules, three modules of the standard library."""
    for name in ("python.exe", "python310.dll", "python3.dll", "vcruntime140.dll"):
        put(embedded_python() / name, root / name)
    for name in ("_ssl.pyd", "_ctypes.pyd", "libffi-7.dll"):
        put(embedded_python() / name, root / "DLLs" / name)
    (root / SITE).mkdir(parents=True)
    return write(root, {"Lib/os.py": "", "Lib/json/__init__.py": "", "Lib/json/tool.py": ""})


def venv_at(root: Path, base: str, **more: str) -> Path:
    (root / SITE).mkdir(parents=True)
    put(embedded_python() / "python.exe", root / "Scripts" / "python.exe")
    config = {"home": base, "include-system-site-packages": "false", "version": "3.10.11"} | more
    return write(root, {"pyvenv.cfg": "".join(f"{key} = {value}\n" for key, value in config.items())})


def embeddable_at(root: Path) -> Path:
    """The embeddable Python as people extend it: Lib\\site-packages comes with `import site`."""
    shutil.copytree(embedded_python(), root)
    (root / SITE).mkdir(parents=True)
    return write(
        root, {"python310._pth": "python310.zip\r\n.\r\n\r\n# Uncomment to run site.main()\r\nimport site\r\n"}
    )


def pip_install(root: Path, wheel: Path) -> None:
    """Install a wheel as pip on Windows does: `.data` is spread out, and RECORD is written anew, with CRLF."""
    rows = []
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            if name.endswith("/"):
                continue
            if parts[0].endswith(".data"):
                above = {"data": "../../", "scripts": "../../Scripts/"}.get(parts[1], "")
                name, source = above + "/".join(parts[2:]), name
            else:
                source = name
            data = archive.read(source)
            path = Path(os.path.normpath(root / SITE / name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            if name.endswith(".dist-info/RECORD"):
                record, name = path, f"{name},,"
                rows.append(name)
            else:
                rows.append(f'"{name}",sha256={hashed},{len(data)}' if "," in name else f"{name},sha256={hashed},1")
    record.write_bytes("".join(f"{row}\r\n" for row in rows).encode())


def dist_info(name: str, version: str, record: Iterable[str], **more: str) -> dict[str, str | bytes]:
    folder = f"{SITE.as_posix()}/{name.replace('-', '_')}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nRequires-Dist: not-a-field\n",
        "RECORD": "".join(f"{path},,\n" for path in record),
    } | more
    return {f"{folder}/{key.replace('__', '.')}": content for key, content in files.items()}


def opened(spec: str) -> Environment:
    return open_environment(spec, {"HOME": "/nowhere"})


def got(environment: Environment, name: str) -> Distribution:
    found = environment.distribution(name)
    assert found is not None
    return found


def places(root: Path, paths: Iterable[str]) -> list[str]:
    return sorted(Path(path).relative_to(root).as_posix() for path in paths)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real embeddable Python with real wheels in it. Not to be changed."""
    root = embeddable_at(tmp_path_factory.mktemp("stocked") / "Python 3.10")
    for requirement in WHEELS:
        pip_install(root, download(requirement))
    return root


# --- against Windows' own Python -------------------------------------------------------------------------------------

_ASK = """
import importlib.metadata as m, json, sys
rows = {}
for d in m.distributions():
    files = [str(f.locate().resolve()) for f in d.files or () if f.locate().is_file()]
    rows[d.metadata["Name"]] = [d.version, files, d.requires or []]
print(json.dumps([sys.path, rows]))
"""


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_it_is_what_the_real_python_says(stocked: Path) -> None:
    done = run([stocked / "python.exe", "-c", _ASK], cwd=stocked)
    path, rows = json.loads(done.out)
    environment = opened(f"python:{stocked}")
    on_path = [environment.stdlib_archive, *environment.search_path]
    assert [path_key(folder) for folder in on_path] == [path_key(host_path(folder)) for folder in path]
    assert len(rows) == len(WHEELS)
    for name, (version, files, requires) in rows.items():
        found = got(environment, name)
        real = {path_key(host_path(file)) for file in files}
        mine = {path_key(file) for file in found.files}
        assert (found.version, list(found.requires)) == (version, requires)
        assert mine <= real
        assert all("/scripts/" in key or "/library/" in key for key in real - mine), name


@pytest.mark.parametrize("kind", ["python", "venv", "conda", "system-site"])
def test_files_of_real_wheels_are_those_of_their_records(stocked: Path, tmp_path: Path, kind: str) -> None:
    root = stocked
    if kind == "venv":
        root = venv_at(tmp_path / "venv", str(python_at(tmp_path / "base")))
        shutil.rmtree(root / SITE)
        shutil.copytree(stocked / SITE, root / SITE, copy_function=os.link)
        shutil.copytree(stocked / "Library", root / "Library", copy_function=os.link)
    elif kind == "conda":
        root = tmp_path / "conda"
        shutil.copytree(stocked, root, copy_function=os.link)
        (root / "conda-meta").mkdir()
    spec = f"{kind}:{root}"
    if kind == "system-site":
        spec = f"venv:{venv_at(tmp_path / 'venv', str(stocked), **{'include-system-site-packages': 'true'})}"
    environment = opened(spec)
    records = sorted((root / SITE).glob("*.dist-info/RECORD"))
    assert len(records) == len(WHEELS)
    for record in records:
        name = record.parent.name.partition("-")[0]
        listed = [Path(os.path.normpath(root / SITE / path)) for path in record_paths(record.read_text())]
        inner = {str(path) for path in listed if path.is_file() and root / SITE in path.parents}
        outer = {str(path) for path in listed if path.suffix == ".dll" and root / SITE not in path.parents}
        found = got(environment, name.replace("_", "."))
        assert (set(found.files), set(found.outside)) == (inner | outer, outer), name
        assert found.folder == str(record.parent)
        assert all(environment.distribution_of(path) is found for path in found.files)


def test_names_that_can_be_imported(stocked: Path) -> None:
    environment = opened(f"python:{stocked}")
    names = {name: got(environment, name).top_level for name in ("cffi", "six", "numpy", "tbb", "PSYCOPG2.binary")}
    assert names == {
        "cffi": ("_cffi_backend", "cffi"),
        "six": ("six",),
        "numpy": ("numpy",),
        "tbb": (),
        "PSYCOPG2.binary": ("psycopg2",),
    }
    assert environment.distribution("no-such") is None


def test_a_conda_environment_gives_pythons_and_condas_packages(tmp_path: Path) -> None:
    wheels = ("cffi==1.17.1", "tbb==2021.13.1", "six==1.17.0")
    root = make_environment(tmp_path / "env", wheels, {})
    environment = opened(f"conda:{root}")
    assert (environment.info.python_version, environment.info.machine) == ((3, 10), Machine.AMD64)
    tbb = got(environment, "tbb")
    assert (tbb.folder, places(root, tbb.outside)[-1]) == (
        str(root / SITE / "tbb-2021.13.1.dist-info"),
        "Library/bin/tbbmalloc_proxy.dll",
    )
    assert environment.distribution_of(str(root / "Library" / "bin" / "tbb12.dll")) is tbb
    runtime = environment.distribution_of(str(root / "vcruntime140_1.dll"))
    assert runtime is not None
    assert (runtime.name, runtime.folder, runtime.outside == runtime.files) == ("vs2015_runtime", "", True)
    assert environment.distribution_of(str(root / SITE / "sitecustomize.py")) is None
    assert environment.distribution_of(str(root / "DLLs" / "_ssl.pyd")) is None
    assert [one.owner and one.owner.name for one in environment.find("tbb12.dll")] == ["tbb"]


# --- where things lie ------------------------------------------------------------------------------------------------


def test_a_python_installation(tmp_path: Path) -> None:
    root = python_at(tmp_path / "Python310")
    environment = opened(f"python:{root}")
    assert environment.search_path == (str(root / "DLLs"), str(root / "Lib"), str(root / SITE))
    assert environment.stdlib_folders == (str(root / "DLLs"), str(root / "Lib"))
    assert environment.stdlib_archive == ""
    info = environment.info
    assert (info.kind, info.python, info.python_version, info.machine) == ("python", "3.10", (3, 10), Machine.AMD64)
    assert (info.free_threaded, info.debug, info.note, info.caveat) == (False, False, "", "")
    assert [one.relative for one in environment.find("LIBFFI-7.dll")] == ["DLLs/libffi-7.dll"]
    assert opened(f"python:{root / 'python.exe'}").search_path == environment.search_path


def test_an_embeddable_python(tmp_path: Path) -> None:
    root = tmp_path / "embedded"
    shutil.copytree(embedded_python(), root)
    environment = opened(f"python:{root}")
    assert environment.search_path == environment.stdlib_folders == (str(root),)
    assert environment.stdlib_archive == str(root / "python310.zip")
    assert environment.is_stdlib(str(root / "_ssl.pyd"))
    assert environment.is_stdlib(str(root / "python310.zip" / "json" / "tool.pyc"))
    assert environment.destination(str(root / "python310.zip" / "json" / "tool.pyc")) == "json/tool.pyc"
    assert not environment.is_stdlib(str(root / "sub" / "mine.py"))


@pytest.mark.parametrize(
    ("place", "goes", "is_stdlib"),
    [
        ("Lib/json/tool.py", "json/tool.py", True),
        ("lib/JSON/tool.py", "JSON/tool.py", True),
        ("DLLs/_ssl.pyd", "_ssl.pyd", True),
        ("DLLs/libffi-7.dll", "libffi-7.dll", True),
        ("python310.dll", "python310.dll", False),
        ("Library/bin/uv.dll", "uv.dll", False),
        ("Library/plugins/platforms/qwindows.dll", "qwindows.dll", False),
        ("Lib/site-packages/pkg/sub/data.txt", "pkg/sub/data.txt", False),
        ("Lib/site-packages/pkg.libs/a.dll", "pkg.libs/a.dll", False),
        ("Lib/site-packages/added/lib/flat.py", "flat.py", False),
        ("Lib/site-packages/added/other.py", "added/other.py", False),
    ],
)
def test_destinations(tmp_path: Path, place: str, goes: str, is_stdlib: bool) -> None:
    root = python_at(tmp_path / "py")
    lines = "# comment\r\nimport os; os.getcwd()\r\n\r\nadded\\LIB\r\nabsent\r\n..\\..\\Lib\r\n"
    write(root, {f"{SITE}/added.pth": lines, f"{SITE}/added/lib/flat.py": "", "Library/bin/uv.dll": ""})
    environment = opened(f"python:{root}")
    assert environment.search_path[2:] == (str(root / SITE), str(root / SITE / "added" / "lib"))
    assert environment.destination(str(root / place)) == goes
    assert environment.is_stdlib(str(root / place)) is is_stdlib


def test_a_dll_in_a_folder_of_a_pth_file_keeps_its_place_below_site_packages(forge: Forge, tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    put(forge("need.dll"), root / SITE / "added" / "need.dll")
    write(root, {f"{SITE}/added.pth": "added", **dist_info("pkg", "1", ["added/need.dll"])})
    environment = opened(f"python:{root}")
    found = environment.find("need.dll")[0]
    assert (found.package_path, str(found.provider)) == ("added/need.dll", "pkg 1")
    assert environment.destination(found.path) == "need.dll"  # where an import of it would look


def test_a_venv_has_its_own_packages_and_the_standard_library_of_its_base(tmp_path: Path) -> None:
    base = python_at(tmp_path / "base")
    write(base, {f"{SITE}/shared/__init__.py": "", **dist_info("shared", "1", ["shared/__init__.py"])})
    root = venv_at(tmp_path / "venv", str(base))
    write(root, {f"{SITE}/own.py": "", **dist_info("own", "2", ["own.py"])})
    environment = opened(f"venv:{root}")
    assert environment.stdlib_folders == (str(base / "DLLs"), str(base / "Lib"))
    assert environment.search_path == (*environment.stdlib_folders, str(root / SITE))
    assert environment.distribution("shared") is None
    assert environment.distribution_of(str(base / SITE / "shared" / "__init__.py")) is None
    assert not environment.is_stdlib(str(base / SITE / "shared" / "__init__.py"))
    assert environment.find("_ssl.pyd")[0].path == str(base / "DLLs" / "_ssl.pyd")
    both = opened(f"venv:{venv_at(tmp_path / 'both', str(base), **{'include-system-site-packages': 'True'})}")
    assert both.search_path[2:] == (str(tmp_path / "both" / SITE), str(base / SITE))
    assert got(both, "shared").folder == str(base / SITE / "shared-1.dist-info")


def test_a_venv_made_under_wine_finds_its_base(tmp_path: Path) -> None:
    base = python_at(tmp_path / "Base Python")
    windows = ("" if os.name == "nt" else "Z:") + str(base).replace("/", "\\").replace("Base", "BASE")
    root = venv_at(tmp_path / "venv", windows, executable=f"{windows}\\python.exe")
    outer = venv_at(tmp_path / "outer", str(root / "Scripts"))
    for spec in (f"venv:{root}", f"venv:{outer}", f"venv:{root / 'Scripts' / 'python.exe'}"):
        assert opened(spec).stdlib_folders == (str(base / "DLLs"), str(base / "Lib"))


def test_a_venv_without_its_base_says_so_and_gives_its_packages(tmp_path: Path) -> None:
    home = "C:\\Users\\me\\AppData\\Local\\Programs\\Python\\Python310"
    root = venv_at(tmp_path / "venv", home)
    write(root, {f"{SITE}/own.py": "", **dist_info("own", "2", ["own.py"])})
    environment = opened(f"venv:{root}")
    assert environment.search_path == (str(root / SITE),)
    assert (environment.stdlib_folders, environment.stdlib_archive) == ((), "")
    assert got(environment, "own").version == "2"
    info = environment.info
    assert (info.python_version, info.machine) == ((3, 10), Machine.AMD64)
    assert home in info.caveat
    assert "--env python:FOLDER" in info.caveat


@pytest.mark.parametrize(
    ("dlls", "program", "expected"),
    [
        (("python313.dll", "python313t.dll"), "", ("3.13", False, False)),
        (("python313.dll", "python313t.dll"), "python3.13t.exe", ("3.13", True, False)),
        (("python313t.dll",), "", ("3.13", True, False)),
        (("python311_d.dll",), "", ("3.11", False, True)),
        (("python314t_d.dll",), "", ("3.14", True, True)),
    ],
)
def test_kinds_of_builds(
    forge: Forge, tmp_path: Path, dlls: tuple[str, ...], program: str, expected: tuple[str, bool, bool]
) -> None:
    for name in dlls:
        put(forge("python310.dll"), tmp_path / "py" / name)
    put(forge("app.exe"), tmp_path / "py" / (program or "python.exe"))
    for spec in (f"python:{tmp_path / 'py' / program}",):
        info = opened(spec).info
        assert (info.python, info.free_threaded, info.debug) == expected
    root = venv_at(tmp_path / "venv", str(tmp_path / "py"), executable=str(tmp_path / "py" / (program or "python.exe")))
    info = opened(f"venv:{root}").info
    assert (info.python, info.free_threaded, info.debug) == expected


def test_names_in_any_case(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    write(root, {f"{SITE}/Pkg/Mod.PY": "", **dist_info("pkg", "1", ["pkg/mod.py", "PKG-1.dist-info/record"])})
    os.rename(root / "Lib" / "site-packages", root / "Lib" / "Site-Packages")
    os.rename(root / "Lib", root / "LIB")
    os.rename(root / "LIB" / "Site-Packages" / "pkg-1.dist-info", root / "LIB" / "Site-Packages" / "PKG-1.DIST-INFO")
    environment = opened(f"python:{root}")
    found = got(environment, "pkg")
    assert places(root, found.files) == ["LIB/Site-Packages/PKG-1.DIST-INFO/RECORD", "LIB/Site-Packages/Pkg/Mod.PY"]
    assert environment.distribution_of(str(root / "lib" / "site-packages" / "PKG" / "mod.py")) is found


def test_an_environment_without_python_gives_no_modules(forge: Forge, tmp_path: Path) -> None:
    put(forge("need.dll"), tmp_path / "need.dll")
    environment: Environment = FolderEnvironment(str(tmp_path), "dir:x")
    path = str(tmp_path / "need.dll")
    assert (environment.search_path, environment.stdlib_folders, environment.stdlib_archive) == ((), (), "")
    assert (environment.distribution_of(path), environment.distribution("x")) == (None, None)
    assert (environment.destination(path), environment.is_stdlib(path)) == ("need.dll", False)
    assert environment.info.python_version is None


@pytest.mark.parametrize(
    ("spec", "kind", "words", "hint"),
    [
        ("python:{tmp}/venv", WrongEnvironmentError, "virtual environment", "venv:{tmp}/venv"),
        ("python:{tmp}/venv/Scripts/python.exe", WrongEnvironmentError, "virtual environment", "venv:{tmp}/venv"),
        ("venv:{tmp}/py", WrongEnvironmentError, "no pyvenv.cfg", "python:{tmp}/py"),
        ("venv:{tmp}/conda", WrongEnvironmentError, "conda environment", "conda:{tmp}/conda"),
        ("python:{tmp}/conda", WrongEnvironmentError, "conda environment", "conda:{tmp}/conda"),
        ("venv:{tmp}/linux", WrongEnvironmentError, "Linux or macOS", "Windows one"),
        ("python:{tmp}/linux", WrongEnvironmentError, "virtual environment", "venv:"),
        ("python:{tmp}/linux/usr", WrongEnvironmentError, "Linux or macOS", "Windows one"),
        ("venv:{tmp}/broken", WrongEnvironmentError, "no Lib\\site-packages", "whole"),
        ("python:{tmp}/exe", WrongEnvironmentError, "python3xx.dll", "installed to"),
        ("python:{tmp}/empty", WrongEnvironmentError, "no Windows Python", "python.exe"),
        ("venv:{tmp}/empty", WrongEnvironmentError, "no pyvenv.cfg", "dir:"),
        ("python:{tmp}/gone", UnknownEnvironmentError, "no such folder", "python:FOLDER"),
        ("venv:{tmp}/gone", UnknownEnvironmentError, "no such folder", "venv:FOLDER"),
        ("python:{tmp}/file", UnknownEnvironmentError, "it is a file", ""),
        ("python:", UnknownEnvironmentError, "names nothing", ""),
        ("{tmp}/venv", UnknownEnvironmentError, "what kind", "venv:{tmp}/venv"),
        ("{tmp}/py", UnknownEnvironmentError, "what kind", "python:{tmp}/py"),
        ("pyton:x", UnknownEnvironmentError, "unknown kind", "python:x"),
        ("wheels:x", UnknownEnvironmentError, "depends on the dist", ""),
    ],
)
def test_what_is_wrong_is_explained(
    make_conda: MakeConda, tmp_path: Path, spec: str, kind: type[DepfixError], words: str, hint: str
) -> None:
    make_conda({}, name="conda")
    venv_at(tmp_path / "venv", str(python_at(tmp_path / "py")))
    linux = {"linux/pyvenv.cfg": "home = /usr/bin\n", "linux/bin/python3": "", "linux/usr/bin/python3": ""}
    write(tmp_path, {**linux, "broken/pyvenv.cfg": "", "exe/python.exe": "", "file": "", "empty/x": ""})
    with pytest.raises(kind) as caught:
        opened(spec.replace("{tmp}", str(tmp_path)))
    assert words in str(caught.value)
    assert hint.replace("{tmp}", str(tmp_path)) in caught.value.hint


def test_the_active_virtual_environment_is_listed_and_taken(make_conda: MakeConda, tmp_path: Path) -> None:
    root = venv_at(tmp_path / "venv", str(python_at(tmp_path / "py")))
    environ = {"HOME": "/nowhere", "VIRTUAL_ENV": str(root), "CONDA_PREFIX": str(make_conda({}))}
    assert [row.spec for row in list_environments(environ)] == [f"venv:{root}", "conda:env"]
    active = active_environment(environ)
    assert active is not None
    assert active.info.spec == f"venv:{root}"
    linux = write(tmp_path / "linux", {"pyvenv.cfg": "", "bin/python3": ""})
    assert [row.kind for row in list_environments(environ | {"VIRTUAL_ENV": str(linux)})] == ["conda"]


def test_nothing_is_walked_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = python_at(tmp_path / "py")
    write(root, {f"{SITE}/deep/er/mod.py": "", **dist_info("deep", "1", ["deep/er/mod.py"])})
    listed: list[str] = []
    scandir = os.scandir

    def watched(folder: str) -> object:
        listed.append(str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", watched)
    environment = opened(f"python:{root}")
    assert environment.info.python == "3.10"
    assert environment.search_path
    assert not any("deep" in folder for folder in listed)
    assert environment.distribution("other") is None
    assert not any("deep" in folder for folder in listed)
    got(environment, "deep")
    count = len(listed)
    got(environment, "deep")
    assert (str(root / SITE / "deep" / "er") in listed, len(listed)) == (True, count)
