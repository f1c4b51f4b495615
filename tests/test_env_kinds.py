"""What kind of environment a folder is: told by its structure, in Windows layout on any host; nothing is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.env.discover import conda_prefixes
from depfix.env.kinds import kind_of
from depfix.env.open import check_machine, environment_in, open_environment
from depfix.env.recognise import scheme_of
from depfix.errors import DepfixError, UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.machine import Machine
from fixtures.windows_lab import embedded_python
from tests.conftest import Forge, put
from tests.test_env_packages import SITE, dist_info, embeddable_at, got, opened, places, python_at, venv_at, write

MakeConda = Callable[..., Path]

# What the tools write into pyvenv.cfg, as read from environments that they made (virtualenv 21, uv 0.13).
BY_UV = {"implementation": "CPython", "uv": "0.13.9", "version_info": "3.10.11"}
BY_VIRTUALENV = {"implementation": "CPython", "virtualenv": "21.15.8", "version_info": "3.10.11.final.0"}


# --- virtual environments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "config", "file", "kind"),
    [
        ("proj/.venv", {}, "", "venv"),
        ("proj/.venv", BY_UV, "", "uv"),
        ("proj/.venv", BY_VIRTUALENV, "", "virtualenv"),
        ("pipx/pipx/venvs/tool", BY_UV, "pipx_metadata.json", "pipx"),
        ("uv/tools/tool", BY_UV, "uv-receipt.toml", "uv"),
        ("pypoetry/Cache/virtualenvs/app-C50bpH3Q-py3.10", BY_VIRTUALENV, "", "poetry"),
        ("hatch/env/virtual/app/C50bpH3Q/app", BY_VIRTUALENV, "", "hatch"),
        ("pdm/pdm/venvs/app-5f1Gg0P8-3.10", BY_VIRTUALENV, "", "pdm"),
        (".virtualenvs/app", BY_VIRTUALENV, "", "virtualenvwrapper"),
    ],
)
def test_who_made_a_virtual_environment(
    tmp_path: Path, place: str, config: dict[str, str], file: str, kind: str
) -> None:
    root = venv_at(tmp_path / place, str(python_at(tmp_path / "py")), **config)
    if file:
        (root / file).write_text("{}")
    info = opened(f"venv:{root}").info
    assert (info.kind, info.python, info.machine, info.note) == (kind, "3.10", Machine.AMD64, "")
    assert scheme_of(str(root)) == "venv"


def test_a_venv_over_conda_takes_dlls_of_its_base_and_says_whose_they_are(make_conda: MakeConda, forge: Forge) -> None:
    base = make_conda({"Library/bin/need.dll": (), "DLLs/other.dll": ()}, name="miniconda3")
    packages: dict[str, str | bytes] = {
        "conda-meta/native-2.0-0.json": '{"name": "native", "version": "2.0", "license": "BSD-3-Clause",'
        ' "files": ["Library/bin/native.dll", "Lib/site-packages/hidden/__init__.py"]}',
        "conda-meta/hidden-1-0.json": '{"name": "hidden", "version": "1",'
        ' "files": ["Lib/site-packages/hidden/__init__.py"]}',
        "Lib/site-packages/hidden/__init__.py": "",
    }
    write(base, packages)
    put(forge("native.dll"), base / "Library" / "bin" / "native.dll")
    root = venv_at(base / "envs of mine" / ".venv", str(base))
    environment = opened(f"venv:{root}")
    assert [(one.relative, str(one.provider)) for one in environment.find("need.dll")] == [
        ("Library/bin/need.dll", "need 1.2.3")
    ]
    assert [str(one.provider) for one in environment.find("OTHER.dll")] == ["other 1.2.3"]
    native = got(environment, "native")
    assert (native.version, native.licence) == ("2.0", "BSD-3-Clause")
    assert places(base, native.files) == ["Library/bin/native.dll"]  # its module cannot be imported here
    assert environment.distribution("hidden") is None
    shared = venv_at(base / "shared", str(base), **{"include-system-site-packages": "true"})
    assert places(base, got(opened(f"venv:{shared}"), "hidden").files) == ["Lib/site-packages/hidden/__init__.py"]


def test_a_venv_over_the_stores_python_says_what_to_do(tmp_path: Path) -> None:
    home = r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.10_3.10.3056.0_x64__qbz5n2kfra8p0"
    root = venv_at(tmp_path / "venv", home)
    info = opened(f"venv:{root}").info
    assert "Microsoft Store" in info.caveat
    assert "--env python:FOLDER" in info.caveat


# --- Pythons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("Programs/Python/Python310", "python"),
        (".pyenv/pyenv-win/versions/3.10.11", "pyenv-win"),
        ("uv/python/cpython-3.10.11-windows-x86_64-none", "uv"),
        ("Python/pythoncore-3.10-64", "install manager"),
        ("WindowsApps/PythonSoftwareFoundation.Python.3.10_3.10.3056.0_x64__qbz5n2kfra8p0", "store"),
    ],
)
def test_who_installed_a_python(tmp_path: Path, place: str, kind: str) -> None:
    info = opened(f"python:{python_at(tmp_path / place)}").info
    assert (info.kind, info.python, info.note) == (kind, "3.10", "")


def test_an_embeddable_python_is_called_so(tmp_path: Path) -> None:
    assert opened(f"python:{embeddable_at(tmp_path / 'py')}").info.kind == "embeddable"


@pytest.mark.parametrize("given", ["", "tools", "tools/python.exe"])
@pytest.mark.parametrize("sign", ["python.nuspec", "python.3.10.11.nupkg"])
def test_a_package_from_nuget_is_given_by_either_folder(tmp_path: Path, given: str, sign: str) -> None:
    package = tmp_path / "python" / "3.10.11"
    python_at(package / "tools")
    (package / sign).touch()
    environment = opened(f"python:{package / given}")
    assert (environment.info.kind, environment.info.root) == ("nuget", str(package / "tools"))
    assert environment.stdlib_folders[1] == str(package / "tools" / "Lib")


def test_packages_that_pip_installed_for_one_user_can_be_used(tmp_path: Path) -> None:
    store = "Packages/PythonSoftwareFoundation.Python.3.10_qbz5n2kfra8p0/LocalCache/local-packages"
    files = dist_info("pkg", "1", ["pkg/__init__.py"]) | {f"{SITE.as_posix()}/pkg/__init__.py": ""}
    for name, machine in (("Python310", None), ("Python310-32", Machine.X86), ("Python310-arm64", Machine.ARM64)):
        root = tmp_path / store / name
        write(root, {path.removeprefix("Lib/"): content for path, content in files.items()})
        environment = opened(f"python:{root}")
        info = environment.info
        assert (info.kind, info.python, info.machine) == ("store", "3.10", machine)
        assert "no standard library" in info.caveat or "standard library" in info.caveat
        assert places(root, got(environment, "pkg").files)[-1] == "site-packages/pkg/__init__.py"
        assert environment.destination(str(root / "site-packages" / "pkg" / "__init__.py")) == "pkg/__init__.py"


@pytest.mark.parametrize("tag", ["cp312-mingw_x86_64_ucrt_gnu.pyd", "cpython-38.dll", "cp311-mingw_x86_64.pyd"])
@pytest.mark.parametrize("given", ["", "bin", "bin/python.exe"])
def test_msys2s_python_is_refused_with_the_reason(tmp_path: Path, tag: str, given: str) -> None:
    root = write(tmp_path / "ucrt64", {f"lib/python3.12/lib-dynload/_ssl.{tag}": "", "bin/python.exe": "MZ"})
    with pytest.raises(WrongEnvironmentError, match="MinGW") as caught:
        opened(f"python:{root / given}")
    assert "python.org" in caught.value.hint


OTHERS = [
    ({"bin/libpython3.11.dll": "", "bin/python.exe": "MZ"}, "", "MinGW"),
    ({"usr/bin/msys-2.0.dll": "", "usr/bin/msys-python3.12.dll": ""}, "", "Cygwin"),
    ({"bin/cygwin1.dll": "", "bin/libpython3.9.dll": "", "bin/python3.9.exe": "MZ"}, "", "Cygwin"),
    ({"bin/python3": "", "lib/python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so": ""}, "", "Linux"),
    ({"libpypy3.10-c.dll": "", "python.exe": "MZ", "pypy3.exe": "MZ"}, "", "PyPy"),
    ({"WindowsApps/python.exe": "", "WindowsApps/python3.exe": ""}, "WindowsApps", "alias"),
    ({"WindowsApps/python.exe": ""}, "WindowsApps/python.exe", "alias"),
    ({"WindowsApps/PythonSoftwareFoundation.Python.3.11_x/python3.11.exe": ""}, "WindowsApps/PythonSoftwareFoundation.Python.3.11_x", "alias"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "given", "words"), OTHERS)
def test_other_pythons_are_refused_with_the_reason(
    tmp_path: Path, files: dict[str, str], given: str, words: str
) -> None:
    root = write(tmp_path / "there", {**files})
    with pytest.raises(WrongEnvironmentError, match=words) as caught:
        opened(f"python:{root / given}")
    assert len(caught.value.hint) > 20


def test_the_stores_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    root = tmp_path / "WindowsApps" / "PythonSoftwareFoundation.Python.3.11_3.11.2544.0_x64__qbz5n2kfra8p0"
    root.mkdir(parents=True)
    with pytest.raises(WrongEnvironmentError, match="no other program read") as caught:
        opened(f"python:{root}")
    assert "local-packages" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyvenv.cfg": "implementation = PyPy\nuv = 0.1\n", "Lib/site-packages/x.py": ""}, "PyPy"),
        ({"pyvenv.cfg": "home = C:\\pypy\n", "Scripts/pypy3.exe": "", "Lib/site-packages/x.py": ""}, "PyPy"),
        ({"pyvenv.cfg": "implementation = GraalVM\n", "Lib/site-packages/x.py": ""}, "GraalVM"),
        ({"pyvenv.cfg": "home = C:/msys64/ucrt64/bin\n", "bin/python.exe": "MZ"}, "MSYS2"),
    ],
)
def test_virtual_environments_of_other_pythons(tmp_path: Path, files: dict[str, str], words: str) -> None:
    with pytest.raises(WrongEnvironmentError, match=words):
        opened(f"venv:{write(tmp_path / 'venv', dict(files))}")


@pytest.mark.parametrize("machine", ["x86", "arm64"])
def test_a_python_for_another_machine(forge: Forge, tmp_path: Path, machine: str) -> None:
    put(forge("python310.dll", machine=machine), tmp_path / "py" / "python310.dll")
    environment = opened(f"python:{tmp_path / 'py'}")
    with pytest.raises(WrongEnvironmentError, match=r"32-bit|ARM"):
        check_machine(environment, Machine.AMD64)


# --- conda -----------------------------------------------------------------------------------------------------------


def test_pixi_is_given_by_its_project_or_its_prefix(make_conda: MakeConda, tmp_path: Path) -> None:
    prefix = make_conda({"Library/bin/need.dll": ()}, name="proj/.pixi/envs/default")
    for given in (tmp_path / "proj", prefix):
        environment = opened(f"conda:{given}")
        assert (environment.info.kind, environment.info.root) == ("pixi", str(prefix))
        assert environment.find("need.dll")
    make_conda({}, name="proj/.pixi/envs/test")
    assert opened(f"conda:{tmp_path / 'proj'}").info.root == str(prefix)
    assert scheme_of(str(tmp_path / "proj")) == "conda"


def test_environments_in_a_base_and_in_an_environment(make_conda: MakeConda, tmp_path: Path) -> None:
    base = make_conda({"Library/bin/need.dll": ()}, name="miniforge3")
    inner = make_conda({"Library/bin/need.dll": ()}, name="miniforge3/envs/app")
    deeper = make_conda({"Library/bin/deep.dll": ()}, name="miniforge3/envs/app/envs/deep")
    environ = {"HOME": str(tmp_path)}
    assert conda_prefixes(environ) == (str(base), str(inner))
    named = {name: open_environment(f"conda:{name}", environ).info.root for name in ("base", "app")}
    assert named == {"base": str(base), "app": str(inner)}
    assert [one.path for one in opened(f"conda:{base}").find("need.dll")] == [
        str(base / "Library" / "bin" / "need.dll")
    ]
    assert [one.relative for one in opened(f"conda:{deeper}").find("deep.dll")] == ["Library/bin/deep.dll"]
    assert opened(f"conda:{inner}").find("deep.dll") == ()


def test_pypy_of_conda_is_refused(make_conda: MakeConda) -> None:
    root = make_conda({})
    (root / "libpypy3.9-c.dll").touch()
    with pytest.raises(WrongEnvironmentError, match="PyPy"):
        opened(f"conda:{root}")


# --- the wrong kind --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["conda", "venv", "python", "dir"])
@pytest.mark.parametrize("what", ["conda", "venv", "python", "wheels"])
def test_the_right_way_to_give_it_is_said(make_conda: MakeConda, tmp_path: Path, wanted: str, what: str) -> None:
    make_conda({}, name="conda")
    venv_at(tmp_path / "venv", str(python_at(tmp_path / "python")))
    write(tmp_path, {"wheels/pkg-1-py3-none-any.whl": ""})
    root = tmp_path / what
    assert scheme_of(str(root)) == what
    if wanted == what or (wanted == "dir" and what != "wheels"):
        assert opened(f"{wanted}:{root}") is not None if wanted != "dir" or what != "venv" else True
        return
    with pytest.raises(DepfixError) as caught:
        opened(f"{wanted}:{root}")
    assert f"{what}:{root}" in caught.value.hint
    with pytest.raises(UnknownEnvironmentError) as bare:
        opened(str(root))
    assert bare.value.near == f"{what}:{root}"


def test_a_folder_that_a_build_names_is_opened_if_it_can_serve(tmp_path: Path) -> None:
    root = python_at(tmp_path / "py")
    found = environment_in("Z:" + str(root).replace("/", "\\"))
    assert found is not None
    assert found.info.spec == f"python:{root}"
    assert environment_in(r"C:\no\such\folder") is None
    assert environment_in(r"\\server\share") is None
    assert environment_in("") is None
    assert environment_in(str(write(tmp_path / "pypy", {"libpypy3.10-c.dll": "", "pyvenv.cfg": ""}))) is None


def test_a_kind_needs_its_own_sign(tmp_path: Path) -> None:
    assert kind_of(str(tmp_path), "venv", {}) == "venv"
    assert kind_of(str(tmp_path), "conda") == "conda"
    assert kind_of(str(tmp_path / "envs" / ".pixi"), "conda") == "conda"
    shutil.copy(embedded_python() / "python310.dll", tmp_path / "python310.dll")
    assert kind_of(str(tmp_path), "python") == "python"
