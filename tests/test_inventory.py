"""What is in a dist and who it is from: each file once, by the surest source."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.finding import Confidence
from depfix.model.inventory import Component, ComponentKind, Inventory
from depfix.pipeline import Options, assess
from fixtures import nuitka_lab
from fixtures.archives_of_freezers import a_bundle, a_pyz, a_zip
from fixtures.fidelity.cases import complete_dist, read_cases
from fixtures.windows_lab import embedded_python
from tests.conftest import PYTHON_DLL, DistMaker, Forge
from tests.test_archives import CODE, PYC

MakeConda = Callable[..., Path]


def inventory(dist: Path, *environments: str) -> Inventory:
    found = assess(str(dist), Options(environ={}, environments=environments), inventory=True).inventory
    assert found is not None
    return found


def named(found: Inventory, name: str) -> Component:
    (one,) = (one for one in found.components if one.name == name)
    return one


def paths(component: Component) -> list[str]:
    return [file.path for file in component.files]


def install(dist: Path, name: str, version: str, files: dict[str, bytes], *fields: str) -> None:
    """Put a distribution into a dist as pip would, with its RECORD."""
    info = f"{name}-{version}.dist-info"
    header = "\n".join(("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *fields, ""))
    for path, content in {**files, f"{info}/METADATA": header.encode()}.items():
        (dist / path).parent.mkdir(parents=True, exist_ok=True)
        (dist / path).write_bytes(content)
    rows = [f"{path},," for path in (*files, f"{info}/METADATA", f"{info}/RECORD")]
    (dist / info / "RECORD").write_text("\n".join(rows) + "\n")


def add_to_conda(root: Path, package: str, version: str, path: str, licence: str = "MIT", **more: str) -> None:
    """Say in conda-meta that a package installed a file, with its hash."""
    digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
    record = {
        "name": package,
        "version": version,
        "license": licence,
        "files": [path],
        "paths_data": {"paths": [{"_path": path, "sha256": digest}]},
        **more,
    }
    (root / "conda-meta" / f"{package}-{version}-0.json").write_text(json.dumps(record))


def test_every_file_is_in_just_one_component(make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist({"pkg/core.pyd": (), "loose.dll": ()}, {"main.json": "{}", "pkg/__init__.py": "", "own.txt": "x"})
    install(dist, "pkg", "1.0", {"pkg/data.bin": b"1"})
    found = inventory(dist)
    listed = [path for one in found.components for path in paths(one)]
    assert sorted(listed) == sorted(path.relative_to(dist).as_posix() for path in dist.rglob("*") if path.is_file())
    assert found.file_count == len(listed) == len(set(listed))
    assert found.size == sum(path.stat().st_size for path in dist.rglob("*") if path.is_file())
    for one in found.components:
        for file in one.files:
            assert file.sha256 == hashlib.sha256((dist / file.path).read_bytes()).hexdigest()
    sizes = [one.size for one in found.components]
    assert sizes == sorted(sizes, reverse=True) and found.unread == ()


def test_a_distribution_by_its_record_and_what_lies_among_its_files(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ()})
    fields = ("License-Expression: BSD-3-Clause", "Author: Ann Author")
    install(dist, "My.Pkg", "1.0", {"pkg/__init__.py": b"", "pkg/sub/data.bin": b"1"}, *fields)
    for path in ("pkg/__pycache__/__init__.cpython-310.pyc", "pkg/sub/made.cache", "pkg.libs/x.txt"):
        (dist / path).parent.mkdir(exist_ok=True)
        (dist / path).write_bytes(b"2")
    one = named(inventory(dist), "My.Pkg")
    assert (one.kind, one.version, one.licence, one.supplier) == (
        ComponentKind.DISTRIBUTION, "1.0", "BSD-3-Clause", "Ann Author"
    )  # fmt: skip
    assert one.evidence == "My.Pkg-1.0.dist-info" and one.confidence is Confidence.CERTAIN
    assert {"pkg/core.pyd", "pkg/__pycache__/__init__.cpython-310.pyc", "pkg/sub/made.cache"} <= set(paths(one))
    assert "pkg.libs/x.txt" not in paths(one)  # nothing of it was recorded there
    assert one.chain == ("app.exe", "pkg")


def test_a_record_takes_neither_the_program_nor_what_another_one_has(make_dist: DistMaker) -> None:
    dist = make_dist({"a/core.pyd": ()})
    install(dist, "aaa", "1", {"a/core.pyd": (dist / "a/core.pyd").read_bytes()})
    install(dist, "bbb", "2", {"a/core.pyd": (dist / "a/core.pyd").read_bytes(), "b.py": b""})
    with (dist / "bbb-2.dist-info" / "RECORD").open("a") as record:
        record.write("app.exe,,\n../../etc/passwd,,\nC:/x,,\n")
    found = inventory(dist)
    assert "a/core.pyd" in paths(named(found, "aaa")) and "b.py" in paths(named(found, "bbb"))
    assert paths(named(found, "app.exe")) == ["app.exe"]


def test_a_dll_of_a_conda_package_by_its_content(make_dist: DistMaker, make_conda: MakeConda, forge: Forge) -> None:
    dist = make_dist({"uv.dll": (), "gsl.dll": ()})
    conda = make_conda({"Library/bin/uv.dll": (), "Library/bin/gsl.dll": ("other.dll",)})
    more = {"build": "h_0", "channel": "https://conda.anaconda.org/conda-forge/win-64", "subdir": "win-64"}
    add_to_conda(conda, "libuv", "1.44.2", "Library/bin/uv.dll", **more)
    add_to_conda(conda, "gsl", "2.7", "Library/bin/gsl.dll", "GPL-3.0-or-later")
    for name in ("uv", "gsl"):
        (conda / "conda-meta" / f"{name}-1.2.3-0.json").unlink()
    found = inventory(dist, f"conda:{conda}")
    same, other = named(found, "libuv"), named(found, "gsl")
    assert (same.kind, same.version, same.licence, same.confidence) == (
        ComponentKind.CONDA, "1.44.2", "MIT", Confidence.CERTAIN
    )  # fmt: skip
    assert dict(same.details) == {"build": "h_0", "channel": "conda-forge", "subdir": "win-64"}
    assert same.evidence == "conda-meta of conda:env has the same file"
    assert (other.version, other.licence, other.confidence) == ("", "GPL-3.0-or-later", Confidence.POSSIBLE)
    assert other.evidence == "conda-meta of conda:env has a gsl.dll of gsl 2.7 with other content"


def test_a_package_without_metadata_by_an_environment(make_dist: DistMaker, tmp_path: Path) -> None:
    sources = {"pkg/__init__.py": "VALUE = 1\n", "pkg/part.py": "", "pkg/only_here.py": "x = 1\n"}
    dist = make_dist({}, sources)
    venv = tmp_path / "venv"
    site = venv / "Lib" / "site-packages"
    install(site, "real-name", "3.1", {path: text.encode() for path, text in sources.items() if "only" not in path},
            "License: MIT")  # fmt: skip
    (venv / "pyvenv.cfg").write_text("home = C:\\Python\nversion = 3.10.4\n")
    one = named(inventory(dist, f"venv:{venv}"), "real-name")
    assert (one.kind, one.version, one.licence) == (ComponentKind.DISTRIBUTION, "3.1", "MIT")
    assert paths(one) == ["pkg/__init__.py", "pkg/only_here.py", "pkg/part.py"]
    assert one.evidence == "venv:venv has the same file"


def test_a_package_without_metadata_by_its_version_file(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"known/__init__.py": "", "known/_version.py": "# x\n__version__ = version = '4.2'\n",
                          "unknown/__init__.py": "import os\n", "assets/logo.txt": "x"})  # fmt: skip
    found = inventory(dist)
    one, other = named(found, "known"), named(found, "unknown")
    assert (one.kind, one.version, one.evidence) == (ComponentKind.DISTRIBUTION, "4.2", "known/_version.py")
    assert (other.kind, other.version, other.confidence) == (ComponentKind.UNKNOWN, "", Confidence.POSSIBLE)
    assert "assets/logo.txt" in paths(named(found, "app.exe"))


def test_a_dll_in_the_folder_of_a_package_that_says_to_be_anothers(make_dist: DistMaker) -> None:
    """It lies in a folder of one distribution alone, is not in its RECORD, and names another product."""
    dist = make_dist()
    install(dist, "pkg", "1.0", {"pkg/__init__.py": b""})
    shutil.copy(embedded_python() / "libssl-1_1.dll", dist / "pkg")
    found = inventory(dist)
    assert paths(named(found, "The OpenSSL Toolkit")) == ["pkg/libssl-1_1.dll"]
    assert "pkg/libssl-1_1.dll" not in paths(named(found, "pkg"))


def test_dlls_that_a_wheel_vendored_belong_to_the_package_of_that_name(make_dist: DistMaker) -> None:
    name = "geos-601667c569b99092781bd4af7fecde0b.dll"
    dist = make_dist({f"known.libs/{name}": (), f"loose.libs/{name}": ()}, {"known/__init__.py": ""})
    found = inventory(dist)
    known = named(found, "known")
    assert paths(known) == ["known.libs/" + name, "known/__init__.py"]
    assert [file.identity.name for file in known.files if file.identity is not None] == ["geos.dll"]
    assert paths(named(found, "geos.dll")) == ["loose.libs/" + name]


def test_what_the_project_has_is_the_programs(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, {"mine/__init__.py": ""})
    project = tmp_path / "project"
    (project / "mine").mkdir(parents=True)
    (project / "mine" / "__init__.py").write_text("")
    options = Options(environ={}, project=str(project))
    found = assess(str(dist), options, inventory=True).inventory
    assert found is not None and "mine/__init__.py" in paths(named(found, "app.exe"))


def test_files_that_cannot_be_read_are_said(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"data.txt": "x"})
    (dist / "gone.txt").symlink_to(dist / "nowhere.txt")
    found = inventory(dist)
    assert [one.path for one in found.unread] == ["gone.txt"]


def test_names_that_differ_in_case_and_spelling_are_one_component(make_dist: DistMaker) -> None:
    dist = make_dist()
    install(dist, "Big_Pkg", "1.0", {"big/__init__.py": b""})
    install(dist, "big-pkg", "1.0", {"other/__init__.py": b""})
    keys = [one.key for one in inventory(dist).components]
    assert len(keys) == len(set(keys)) and "distribution:big-pkg@1.0" in keys


# --- real files ---


def test_python_and_what_it_brings(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = tmp_path / "python.dist"
    shutil.copytree(embedded_python(), dist)
    found = inventory(dist)
    python, openssl = named(found, "Python"), named(found, "The OpenSSL Toolkit")
    assert (python.kind, python.version, python.licence) == (ComponentKind.PYTHON, "3.10.11", "PSF-2.0")
    assert {PYTHON_DLL, "python310.zip", "_ssl.pyd", "python3.dll"} <= set(paths(python))
    assert (openssl.version, openssl.licence) == ("1.1.1t", "OpenSSL")
    assert paths(openssl) == ["libcrypto-1_1.dll", "libssl-1_1.dll"]
    runtime = named(found, "Visual C++ 2015-2022")
    assert (runtime.kind, runtime.version) == (ComponentKind.RUNTIME, "14.29.30139.0")
    assert "Distributable Code" in runtime.licence
    assert runtime.supplier == "Microsoft Corporation" and runtime.chain[0] == "python.exe"
    assert named(found, "libffi-7.dll").licence == "MIT"
    assert runtime.key in python.needs and openssl.key in python.needs
    assert named(found, "python.exe").version == ""  # it is a program like any other; Python tells its own


@pytest.mark.lab
def test_real_wheels_with_vendored_dlls() -> None:
    found = inventory(complete_dist(read_cases()["shapely"]))
    shapely, numpy = named(found, "shapely"), named(found, "numpy")
    assert (numpy.version, numpy.supplier) == ("1.26.4", "Travis E. Oliphant et al.")
    assert numpy.key in shapely.needs and shapely.key not in numpy.needs
    vendored = {file.identity.name: file.identity for file in shapely.files if file.identity is not None}
    assert set(vendored) == {"geos.dll", "geos_c.dll", "Visual C++ 2015-2022"}
    runtime = vendored["Visual C++ 2015-2022"]
    assert (runtime.version, runtime.supplier, runtime.is_runtime) == ("14.29.30158.0", "Microsoft Corporation", True)
    (blas,) = (file.identity for file in numpy.files if file.identity is not None)
    assert (blas.version, blas.evidence) == ("0.3.23", "its file name")
    assert not [one for one in found.components if one.kind is ComponentKind.UNKNOWN]


COMPILED = """\
import decimal
import ssl

import markupsafe
import six

print(markupsafe.escape('<b>'), six.PY3, decimal.Decimal(1), ssl.OPENSSL_VERSION)
"""


@pytest.mark.lab
def test_what_is_compiled_into_a_real_program(tmp_path: Path) -> None:
    """The compilation report names distributions; without it, an environment; without both, nobody knows."""
    requirements = ("markupsafe==3.0.4", "six==1.17.0")
    built = nuitka_lab.build(COMPILED, (), requirements=requirements)
    environment = f"python:{nuitka_lab.environment(requirements)}"
    shutil.copytree(built / "main.dist", tmp_path / "main.dist")
    alone = inventory(tmp_path / "main.dist")
    lent = inventory(tmp_path / "main.dist", environment)
    shutil.copy(built / "main.report.xml", tmp_path)
    reported = inventory(tmp_path / "main.dist")
    assert not [one for one in alone.components if one.kind is ComponentKind.DISTRIBUTION]
    unknown = {one.name: one.compiled_in for one in alone.components if one.kind is ComponentKind.UNKNOWN}
    assert unknown == {"markupsafe": True, "six": True}
    for found, evidence in (
        (lent, "python:py311 has its modules"),
        (reported, "the compilation report main.report.xml"),
    ):
        six, safe = named(found, "six"), named(found, "MarkupSafe")
        assert (six.version, six.files, six.compiled_in, six.chain) == ("1.17.0", (), True, ("main.exe", "six"))
        assert (safe.version, paths(safe), safe.compiled_in) == ("3.0.4", ["markupsafe/_speedups.pyd"], True)
        assert evidence in six.evidence
    assert (named(lent, "six").licence, named(reported, "six").licence) == ("MIT", "")
    python = named(alone, "Python")
    assert (python.version, python.compiled_in) == ("3.11.9", True)


def test_modules_in_the_archives_of_a_program(make_dist: DistMaker) -> None:
    """A folder of PyInstaller: packages are in the exe, their extension modules beside it."""
    dist = make_dist({"_internal/pkg/fast.pyd": (), "_internal/other/fast.pyd": ()})
    modules = dict.fromkeys(("pkg", "other", "pure", "json"), (1, CODE))
    entries = [
        ("o", "pyi-contents-directory _internal", b"", False),
        ("z", "PYZ.pyz", a_pyz(modules), False),
        ("m", "struct", CODE, True),
        ("m", "pyimod01_archive", CODE, True),
        ("s", "pyiboot01_bootstrap", CODE, True),
        ("s", "app", CODE, True),
    ]
    with (dist / "app.exe").open("ab") as program:
        program.write(a_bundle(entries))
    (dist / "_internal" / "base_library.zip").write_bytes(a_zip({"os.pyc": PYC}))
    install(dist / "_internal", "real-name", "1.0", {}, "License: MIT")
    with (dist / "_internal" / "real-name-1.0.dist-info" / "RECORD").open("a") as record:
        record.write("pkg/__init__.py,,\n")
    found = inventory(dist)
    known = named(found, "real-name")
    assert (known.kind, known.compiled_in, known.licence) == (ComponentKind.DISTRIBUTION, True, "MIT")
    assert "_internal/pkg/fast.pyd" in paths(known)
    unknown = {one.name: (paths(one), one.compiled_in) for one in found.components if one.kind is ComponentKind.UNKNOWN}
    assert unknown == {"other": (["_internal/other/fast.pyd"], True), "pure": ([], True)}
    python = named(found, "Python")
    assert python.compiled_in and "_internal/base_library.zip" in paths(python)
