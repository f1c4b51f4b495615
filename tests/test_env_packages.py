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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depfix.env.discover import list_environments
from depfix.env.folder import FolderEnvironment
from depfix.env.listing import host_path, path_key
from depfix.env.open import active_environment, open_environment
from depfix.env.protocol import Distribution, Environment
from depfix.env.records import egg_requirements, normalized, record_paths
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
    assert [one.owner for one in environment.find("tbb12.dll")] == ["tbb"]


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
    assert (found.package_path, found.provider) == ("added/need.dll", "pkg 1")
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
        ("wheels:x", UnknownEnvironmentError, "not supported yet", ""),
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


# --- what installers record ------------------------------------------------------------------------------------------


def test_two_distributions_share_a_folder(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    record = {"ns-one": ["ns/one.py"], "ns-two": ["ns/two/__init__.py"], "a": ["a/__init__.py"], "a-extras": ["a/x.py"]}
    for name, paths in record.items():
        write(root, {**{f"{SITE}/{path}": "" for path in paths}, **dist_info(name, "1", paths)})
    write(root, {f"{SITE}/ns/nobodys.py": ""})
    environment = opened(f"python:{root}")
    for name, paths in record.items():
        found = got(environment, name)
        assert places(root / SITE, found.files) == sorted(paths)
        assert all(environment.distribution_of(str(root / SITE / path)) is found for path in paths)
        assert found.top_level == (paths[0].partition("/")[0],)
    assert environment.distribution_of(str(root / SITE / "ns" / "nobodys.py")) is None


def test_pip_over_conda(make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/native.dll": ()})
    paths = ["pkg/__init__.py", "pkg/new.py"]
    condas = ["Lib/site-packages/pkg/__init__.py", "Lib/site-packages/pkg/old.py", "Library/bin/native.dll"]
    write(root, {f"{SITE}/{path}": "" for path in (*paths, "pkg/old.py")})
    write(
        root, {"conda-meta/conda-pkg-1.0-0.json": json.dumps({"name": "conda-pkg", "version": "1.0", "files": condas})}
    )
    write(root, dist_info("pkg", "2.0", paths))
    (root / "conda-meta" / "native-1.2.3-0.json").unlink()
    environment = opened(f"conda:{root}")
    pip = environment.distribution_of(str(root / SITE / "pkg" / "__init__.py"))
    assert pip is not None
    assert (pip.name, pip.version, pip.shadowed_owner) == ("pkg", "2.0", "conda-pkg 1.0")
    assert places(root / SITE, pip.files) == sorted(paths)
    conda = environment.distribution_of(str(root / "Library" / "bin" / "native.dll"))
    assert conda is environment.distribution("Conda_Pkg")
    assert conda is not None
    assert places(root, conda.files) == ["Lib/site-packages/pkg/old.py", "Library/bin/native.dll"]
    assert places(root, conda.outside) == ["Library/bin/native.dll"]


def test_a_distribution_that_conda_installed_has_condas_dlls(make_conda: MakeConda, forge: Forge) -> None:
    root = make_conda({})
    put(forge("need.dll"), root / "Library" / "bin" / "need.dll")
    put(forge("need.dll"), root / SITE / "pkg" / "need.dll")
    info = dist_info("pkg", "2.0", ["pkg/need.dll"])
    files = [*info, "Lib/site-packages/pkg/need.dll", "Library/bin/need.dll", "Library/include/need.h", "Scripts/x.exe"]
    meta = json.dumps({"name": "py-pkg", "version": "2.0", "files": files, "paths_data": {"paths": [1, "x"]}})
    write(root, {**info, "Library/include/need.h": "", "Scripts/x.exe": "", "conda-meta/py-pkg-2.0-0.json": meta})
    environment = opened(f"conda:{root}")
    found = environment.distribution_of(str(root / "Library" / "bin" / "need.dll"))
    assert found is not None
    assert found is environment.distribution("pkg") is environment.distribution("py-pkg")
    assert (found.name, found.shadowed_owner, places(root, found.outside)) == ("pkg", "", ["Library/bin/need.dll"])
    assert len(found.files) == 4
    assert {one.provider for one in environment.find("need.dll")} == {"py-pkg 2.0"}


def test_paths_that_lead_away_are_dropped(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    outside = write(tmp_path, {"secret.py": "", "secret.dll": ""}) / "secret.dll"
    record = [
        "ok.py",
        "./dotted.py",
        "back\\slash.py",
        '"with, comma.py"',
        "../../../secret.dll",
        "../../../../../../../../../../../../etc/passwd",
        "sub/../ok.py",
        str(outside),
        "C:\\Windows\\x.dll",
        "Z:\\x",
        "../../Scripts/tool.exe",
        "../../Library/bin/own.dll",
        "..",
        "",
        "/",
        "a\0b.py",
        "/".join(["x"] * 5000),
        "absent.py",
        "folder",
    ]
    names = ("ok.py", "dotted.py", "back/slash.py", "with, comma.py", "folder/x.py")
    write(root, {f"{SITE}/{name}": "" for name in names})
    write(root, {"Scripts/tool.exe": "", "Library/bin/own.dll": "", **dist_info("pkg", "1", record)})
    found = got(opened(f"python:{root}"), "pkg")
    expected = ["Lib/site-packages/back/slash.py", "Lib/site-packages/dotted.py", "Lib/site-packages/ok.py"]
    expected += ["Lib/site-packages/with, comma.py", "Library/bin/own.dll"]
    assert places(root, found.files) == expected
    assert places(root, found.outside) == ["Library/bin/own.dll"]


def test_old_installations_without_a_record(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    requires = "six\n\n[fast]\nnumpy>=1\n\n[:python_version<'3']\nenum34\n\n[fast:os_name=='nt']\npywin32\n"
    old = {
        "old.py": "",
        "old-1.0-py3.10.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: Old\nVersion: 1.0\n",
        "old-1.0-py3.10.egg-info/installed-files.txt": "../old.py\n../gone.py\nPKG-INFO\n../../../Library/bin/o.dll\n",
        "old-1.0-py3.10.egg-info/requires.txt": requires,
        "lone-2.0-py3.10.egg-info": "Metadata-Version: 1.0\nName: lone\nVersion: 2.0\n",
        "named.egg-info/PKG-INFO": "Name: named\nVersion: 3\n",
        "named.egg-info/top_level.txt": "named_pkg\nnamed_mod\n../os\n",
        "named_pkg/data/x.txt": "",
        "named_mod.py": "",
        "egg-4-py3.10.egg/EGG-INFO/PKG-INFO": "Name: egg\nVersion: 4\n",
        "egg-4-py3.10.egg/egg/__init__.py": "",
        "easy-install.pth": "import sys; sys.__plen = len(sys.path)\n./egg-4-py3.10.egg\n",
        "~ld-0.9.dist-info/METADATA": "Name: left-over\n",
    }
    write(root, {"Library/bin/o.dll": "", **{f"{SITE}/{name}": text for name, text in old.items()}})
    environment = opened(f"python:{root}")
    found = got(environment, "OLD")
    assert (found.name, found.version, found.top_level) == ("Old", "1.0", ("old",))
    here = places(root, found.files)
    assert here == [
        "Lib/site-packages/old-1.0-py3.10.egg-info/PKG-INFO",
        "Lib/site-packages/old.py",
        "Library/bin/o.dll",
    ]
    assert found.requires == (
        "six",
        'numpy>=1 ; extra == "fast"',
        "enum34 ; python_version<'3'",
        "pywin32 ; (os_name=='nt') and extra == \"fast\"",
    )
    assert [places(root / SITE, got(environment, "lone").files), got(environment, "lone").version] == [
        ["lone-2.0-py3.10.egg-info"],
        "2.0",
    ]
    named = got(environment, "named")
    assert named.top_level == ("named_mod",)  # the folder holds data only
    assert {"named_mod.py", "named_pkg/data/x.txt"} < set(places(root / SITE, named.files))
    assert not any(path.endswith("os.py") for path in named.files)
    egg = environment.distribution_of(str(root / SITE / "egg-4-py3.10.egg" / "egg" / "__init__.py"))
    assert egg is got(environment, "egg")
    assert {environment.destination(path) for path in egg.files} == {"egg/__init__.py", "EGG-INFO/PKG-INFO"}
    assert environment.distribution("left-over") is None


_FINDER = """from __future__ import annotations
import sys
MAPPING: dict[str, str] = {'flat': %r, 'deep.inner': %r, 'gone': '/nowhere/gone', 'other_name': %r}
NAMESPACES: dict[str, list[str]] = {}
"""


def test_editable_installations(tmp_path: Path) -> None:
    root, projects = python_at(tmp_path / "py"), tmp_path / "projects"
    sources = ("src/lib/srcpkg/__init__.py", "src/lib/other/__init__.py", "flat/flat/__init__.py", "flat/setup.py")
    more = ("deep/inner/mod.py", "h/hpkg/__init__.py", "h/hpkg/data.txt", "h/tests/__init__.py", "e/ed/__init__.py")
    write(projects, dict.fromkeys((*sources, *more, "h/hpkg/.git/x", "h/hpkg/__pycache__/a.pyc", "dev/dev.py"), ""))
    places_of = (str(projects / "flat" / "flat"), str(projects / "deep" / "inner"), str(projects / "flat" / "setup.py"))
    direct = json.dumps({"url": "file:///C:/x", "dir_info": {"editable": True}})
    editables = f"F.install()\nF.map_module('ed', {str(projects / 'e' / 'ed' / '__init__.py')!r})\n"
    write(
        root,
        {
            f"{SITE}/__editable__.src_pkg-1.pth": str(projects / "src" / "lib"),
            **dist_info("src-pkg", "1", ["__editable__.src_pkg-1.pth"], top_level__txt="srcpkg\n"),
            f"{SITE}/__editable___flat_1_finder.py": _FINDER % places_of,
            f"{SITE}/__editable__.flat-1.pth": "import __editable___flat_1_finder",
            **dist_info(
                "flat", "1", ["__editable__.flat-1.pth", "__editable___flat_1_finder.py"], direct_url__json=direct
            ),
            f"{SITE}/_editable_impl_hpkg.pth": str(projects / "h"),
            **dist_info("hpkg", "1", ["_editable_impl_hpkg.pth"], direct_url__json=direct),
            f"{SITE}/_editable_impl_ed.py": editables,
            **dist_info("ed", "1", ["_editable_impl_ed.py"], direct_url__json=direct),
            f"{SITE}/dev.egg-link": str(projects / "dev"),
            f"{SITE}/easy-install.pth": str(projects / "dev"),
            f"{SITE}/plain.py": "",
            f"{SITE}/plain.pth": "plain_folder\n",
            **dist_info("plain", "1", ["plain.py", "plain.pth"], direct_url__json='{"url": "x", "archive_info": {}}'),
        },
    )
    write(projects, {"dev/dev.egg-info/PKG-INFO": "Name: dev\nVersion: 1\n", "dev/dev.egg-info/top_level.txt": "dev\n"})
    environment = opened(f"python:{root}")
    on_path = [Path(path).relative_to(projects).as_posix() for path in environment.search_path[3:]]
    assert on_path == ["src/lib", "h", "dev", "flat", ".", "e"]
    expected = {
        "src-pkg": ["src/lib/srcpkg/__init__.py"],
        "flat": ["deep/inner/mod.py", "flat/flat/__init__.py", "flat/setup.py"],
        "hpkg": ["h/hpkg/__init__.py", "h/hpkg/data.txt"],
        "ed": ["e/ed/__init__.py"],
        "dev": ["dev/dev.egg-info/PKG-INFO", "dev/dev.egg-info/top_level.txt", "dev/dev.py"],
    }
    for name, files in expected.items():
        found = got(environment, name)
        assert found.is_editable, name
        assert places(projects, (path for path in found.files if path.startswith(str(projects)))) == files
        assert environment.distribution_of(str(projects / files[-1])) is found
    assert environment.destination(str(projects / "deep" / "inner" / "mod.py")) == "deep/inner/mod.py"
    assert not got(environment, "plain").is_editable
    assert environment.distribution_of(str(projects / "h" / "tests" / "__init__.py")) is None


# --- hostile input ---------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_records_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("hostile")
    blob = st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
    names = ("METADATA", "RECORD", "direct_url.json", "top_level.txt")
    put(embedded_python() / "python.exe", root / "python.exe")
    os.link(embedded_python() / "python310.dll", root / "python310.dll")
    write(root, {f"{SITE}/pkg-1.dist-info/{name}": data.draw(blob) for name in names})
    write(root, {f"{SITE}/old.egg-info/{name}": data.draw(blob) for name in ("installed-files.txt", "requires.txt")})
    write(root, {"conda-meta/pkg-1-0.json": data.draw(blob), f"{SITE}/x.pth": data.draw(blob)})
    finder = b"MAPPING = {" + data.draw(blob) + b"}\nF.map_module(" + data.draw(blob) + b")\n"
    write(root, {f"{SITE}/__editable___x_finder.py": finder, f"{SITE}/lone.egg-info": data.draw(blob)})
    environment = opened(f"conda:{root}")
    for name in ("pkg", "old", "lone", "no"):
        environment.distribution(name)
    for path in (root / SITE / "x.pth", root / "conda-meta", root, Path("/"), Path("\0")):
        environment.distribution_of(str(path))
        environment.destination(str(path))
    write(root, {"pyvenv.cfg": data.draw(blob), "python310._pth": data.draw(blob)})
    assert opened(f"venv:{root}").search_path


@pytest.mark.parametrize("depth", [10, 100_000])
def test_deep_nesting_is_no_trap(make_conda: MakeConda, depth: int) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    write(root, {"conda-meta/deep-1-0.json": '{"name": "deep", "version": "1", "link": ' + "[" * depth})
    write(
        root, {f"{SITE}/__editable___x_finder.py": "MAPPING = {" + "(" * depth + "}", **dist_info("x", "1", ["x.py"])}
    )
    write(root, {f"{SITE}/x-1.dist-info/direct_url.json": '{"dir_info": {"x":' + "[" * depth})
    environment = opened(f"conda:{root}")
    assert got(environment, "x").files == ()
    assert environment.distribution("deep") is None
    assert got(environment, "need").outside == (str(root / "Library" / "bin" / "need.dll"),)


def test_names_and_requirements_as_the_standards_say() -> None:
    assert {normalized(name) for name in ("Foo.Bar", "foo-bar", "FOO__bar", "foo-._bar")} == {"foo-bar"}
    assert list(egg_requirements("a\n# b\n[:m]\nc\n")) == ["a", "c ; m"]
    assert record_paths('a.py,sha256=x,1\r\n"b,c.py",,\r\n"un""quoted.py",,\r\nd.py') == (
        "a.py",
        "b,c.py",
        'un"quoted.py',
        "d.py",
    )
