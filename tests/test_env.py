"""Environments: found by name, recognised in Windows layout on any host, owners known, never run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.env.discover import conda_prefixes, list_environments
from depfix.env.open import check_machine, open_environment
from depfix.errors import DepfixError, UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.machine import Machine
from tests.conftest import Forge, put

MakeConda = Callable[..., Path]


def found(spec: str, name: str, environ: dict[str, str] | None = None) -> list[tuple[str, str]]:
    environment = open_environment(spec, environ or {"HOME": "/nowhere"})
    return [(one.relative, str(one.provider)) for one in environment.find(name)]


def test_native_folders_come_before_packages_and_owners_are_known(make_conda: MakeConda, forge: Forge) -> None:
    root = make_conda({"Library/bin/need.dll": (), "DLLs/other.dll": ()})
    put(forge("need.dll"), root / "Lib" / "site-packages" / "pkg" / "need.dll")
    put(forge("free.dll"), root / "Library" / "bin" / "free.dll")
    spec = f"conda:{root}"
    assert found(spec, "NEED.dll") == [("Library/bin/need.dll", "need 1.2.3"), ("Lib/site-packages/pkg/need.dll", spec)]
    assert found(spec, "other.dll") == [("DLLs/other.dll", "other 1.2.3")]
    assert found(spec, "free.dll") == [("Library/bin/free.dll", spec)]
    assert found(spec, "absent.dll") == []


@pytest.mark.parametrize(
    "place",
    [
        "Library/plugins/platforms",
        "Library/lib/qt6/plugins/platforms",
        "Library/lib/gstreamer-1.0",
        "library/PLUGINS/sub",
    ],
)
def test_plugins_are_found_after_everything_else(make_conda: MakeConda, forge: Forge, place: str) -> None:
    root = make_conda({f"{place}/need.dll": ()})
    spec = f"conda:{root}"
    assert found(spec, "need.dll") == [(f"{place}/need.dll", "need 1.2.3")]
    put(forge("need.dll"), root / "Lib" / "site-packages" / "pkg" / "need.dll")
    assert [row[0] for row in found(spec, "need.dll")] == ["Lib/site-packages/pkg/need.dll", f"{place}/need.dll"]


def test_a_file_of_a_pip_package_belongs_to_its_distribution(make_conda: MakeConda, forge: Forge) -> None:
    root = make_conda({})
    packages = root / "Lib" / "site-packages"
    put(forge("need.dll"), packages / "pkg.libs" / "need.dll")
    (packages / "pkg-4.5.dist-info").mkdir()
    (packages / "pkg-4.5.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pkg\nVersion: 4.5\n")
    (packages / "pkg-4.5.dist-info" / "RECORD").write_text("pkg.libs/need.dll,,\npkg-4.5.dist-info/RECORD,,\n")
    assert found(f"conda:{root}", "need.dll") == [("Lib/site-packages/pkg.libs/need.dll", "pkg 4.5")]


def test_a_damaged_record_owns_nothing(make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    (root / "conda-meta" / "need-1.2.3-0.json").write_text("{ not json")
    assert found(f"conda:{root}", "need.dll") == [("Library/bin/need.dll", f"conda:{root}")]


def test_folders_are_found_in_any_case(make_conda: MakeConda) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    os.rename(root / "Library", root / "library")
    os.rename(root / "library" / "bin", root / "library" / "Bin")
    assert found(f"conda:{root}", "need.dll")[0][0] == "library/Bin/need.dll"


@pytest.mark.parametrize("way", ["CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "condarc", "environments.txt", "miniconda"])
def test_an_environment_is_found_by_name(make_conda: MakeConda, tmp_path: Path, way: str) -> None:
    home = tmp_path / "home dir"
    home.mkdir()
    environ = {"HOME": str(home)}
    folder = {"miniconda": "home dir/miniconda3/envs"}.get(way, "all envs")
    prefix = make_conda({"Library/bin/need.dll": ()}, name=f"{folder}/nuitka")
    if way in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS"):
        environ[way] = os.pathsep.join((str(tmp_path / "absent"), str(prefix.parent)))
    elif way == "condarc":
        (home / ".condarc").write_text(f"channels: [defaults]\nenvs_dirs:\n  - {prefix.parent}\n")
    elif way == "environments.txt":
        (home / ".conda").mkdir()
        (home / ".conda" / "environments.txt").write_text(f"{tmp_path}/gone\n{prefix}\n")
    assert conda_prefixes(environ) == (str(prefix),)
    assert found("conda:nuitka", "need.dll", environ)[0][0] == "Library/bin/need.dll"
    row = list_environments(environ)[0]
    assert (row.spec, row.root, row.python, row.machine, row.note) == (
        "conda:nuitka", str(prefix), "3.10", Machine.AMD64, "",
    )  # fmt: skip


def test_a_windows_environment_is_preferred_to_a_linux_one_of_the_same_name(
    make_conda: MakeConda, tmp_path: Path
) -> None:
    linux = tmp_path / "a" / "nuitka"
    (linux / "conda-meta").mkdir(parents=True)
    (linux / "bin").mkdir()
    (linux / "bin" / "python").touch()
    make_conda({"Library/bin/need.dll": ()}, name="b/nuitka")
    environ = {"HOME": "/nowhere", "CONDA_ENVS_PATH": f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}"}
    assert found("conda:nuitka", "need.dll", environ)
    notes = {row.root: bool(row.note) for row in list_environments(environ)}
    assert notes == {str(linux): True, str(tmp_path / "b" / "nuitka"): False}


@pytest.mark.parametrize(
    ("spec", "kind", "words", "hint"),
    [
        ("conda:nuitkx", UnknownEnvironmentError, "no conda environment of this name", "did you mean conda:nuitka?"),
        ("conda:", UnknownEnvironmentError, "names nothing", "conda:NAME"),
        ("nuitka", UnknownEnvironmentError, "what kind", "conda:nuitka"),
        ("conda:/no/such/folder", UnknownEnvironmentError, "no such folder", "depfix envs"),
        ("dir:/no/such/folder", UnknownEnvironmentError, "no such folder", ""),
        ("conds:nuitka", UnknownEnvironmentError, "unknown kind", "conda:nuitka"),
        ("wheels:/x", UnknownEnvironmentError, "depends on the dist", "dir:FOLDER"),
        ("dir:{tmp}/empty", WrongEnvironmentError, "no DLL", "folder that holds the DLLs"),
        ("conda:{tmp}/empty", WrongEnvironmentError, "no conda-meta", "dir:"),
        ("conda:{tmp}/linux", WrongEnvironmentError, "Linux or macOS", "Windows environment"),
        ("dir:{tmp}/file", UnknownEnvironmentError, "it is a file", ""),
        ("conda:{tmp}/file", UnknownEnvironmentError, "it is a file", ""),
    ],
)
def test_a_wrong_environment_is_explained(
    make_conda: MakeConda, tmp_path: Path, spec: str, kind: type[DepfixError], words: str, hint: str
) -> None:
    make_conda({}, name="envs/nuitka")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "linux" / "conda-meta").mkdir(parents=True)
    (tmp_path / "linux" / "lib").mkdir()
    environ = {"HOME": "/nowhere", "CONDA_ENVS_PATH": str(tmp_path / "envs")}
    with pytest.raises(kind) as caught:
        open_environment(spec.replace("{tmp}", str(tmp_path)), environ)
    assert words in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_an_environment_for_another_machine_is_refused(make_conda: MakeConda) -> None:
    environment = open_environment(f"conda:{make_conda({}, machine='x86')}", {})
    with pytest.raises(WrongEnvironmentError, match="32-bit"):
        check_machine(environment, Machine.AMD64)


def test_a_folder_of_dlls(forge: Forge, tmp_path: Path) -> None:
    put(forge("need.dll"), tmp_path / "dlls" / "deep" / "need.dll")
    put(forge("need.dll"), tmp_path / "dlls" / "Need.DLL")
    assert found(f"dir:{tmp_path / 'dlls'}", "need.dll") == [
        ("Need.DLL", f"dir:{tmp_path / 'dlls'}"),
        ("deep/need.dll", f"dir:{tmp_path / 'dlls'}"),
    ]
