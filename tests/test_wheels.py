"""`wheels:FOLDER`: repairs from wheels and packages of conda, with nothing installed."""

from __future__ import annotations

import csv
import gc
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.env.archives import Wanted
from depfix.env.protocol import Environment
from depfix.env.wheel_folder import open_wheels
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.machine import Machine
from depfix.model.report import Report
from depfix.pipeline import Options, scan, undo
from fixtures.archives import write_conda, write_wheel
from fixtures.windows_lab import download, embedded_python, run
from tests.conftest import Cli, DistMaker, Forge, put, snapshot
from tests.repairing import repair

SITE = "Lib/site-packages"
HAS_STDLIB = {"Lib/os.py": "", "Lib/json.py": ""}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Environment]:
    """Open a folder of archives for a 64-bit Python 3.10."""

    def open_folder(folder: Path, *, python: tuple[int, int] | None = (3, 10), **versions: str) -> Environment:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        wanted = Wanted(python, Machine.AMD64, False, versions, lambda: str(scratch))
        return open_wheels(str(folder), f"wheels:{folder}", wanted)

    return open_folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return tmp_path / "wheels"


def options(wheels: Path, entry: Path, **more: bool) -> Options:
    return Options(environ={}, environments=(f"wheels:{wheels}",), entries=(str(entry),), **more)  # type: ignore[arg-type]


def program(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "program.py"
    path.write_text(text)
    return path


def brought(report: Report) -> dict[str, str]:
    actions = report.plan.actions if report.plan is not None else ()
    return {row.destination.removeprefix(f"{SITE}/"): str(row.provider) for row in actions}


def errors(report: Report) -> set[str]:
    return {f"{one.rule} {one.subject}" for one in report.findings if one.severity.value == "error"}


# --- repairs ---


def test_distributions_dlls_and_what_they_need_come_from_wheels(
    make_dist: DistMaker, forge: Forge, wheels: Path, tmp_path: Path
) -> None:
    engine = forge("engine.dll", ("helper.dll",)).read_bytes()
    write_wheel(wheels, "pkg", {"pkg/__init__.py": "import other\nimport ctypes", "pkg/data.txt": "x"})
    write_wheel(wheels, "other", {"other/__init__.py": "from other import _fast", "other/_fast.pyd": engine})
    write_wheel(wheels, "native", {"native-1.0.data/data/Library/bin/helper.dll": forge("helper.dll").read_bytes()})
    write_wheel(wheels, "unused", {"unused.py": ""})
    dist = make_dist({}, HAS_STDLIB | {"Lib/ctypes.py": ""})
    before = snapshot(dist)
    entry = program(tmp_path, "import pkg")
    assert {"DF201 pkg", "DF201 other"} <= errors(scan(str(dist), options(wheels, entry)))
    report = repair(str(dist), options(wheels, entry))
    found = brought(report)
    assert {"pkg/__init__.py", "pkg/data.txt", "other/_fast.pyd", "pkg-1.0.dist-info/METADATA"} <= found.keys()
    assert found["helper.dll"] == "native 1.0"
    assert not any("unused" in path for path in found)
    assert report.plan is not None
    sources = {row.destination.removeprefix(f"{SITE}/"): row.source for row in report.plan.actions}
    assert sources["pkg/data.txt"] == f"{wheels}/pkg-1.0-py3-none-any.whl!/pkg/data.txt"
    assert sources["helper.dll"].endswith("native-1.0-py3-none-any.whl!/native-1.0.data/data/Library/bin/helper.dll")
    assert (dist / "helper.dll").read_bytes() == forge("helper.dll").read_bytes()
    assert errors(scan(str(dist), options(wheels, entry))) == set()
    undo(str(dist))
    assert snapshot(dist) == before


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_packages_of_conda_serve_as_a_prefix_does(
    make_dist: DistMaker, forge: Forge, wheels: Path, tmp_path: Path, suffix: str
) -> None:
    info = "pkg-2.0.dist-info"
    record = f"pkg/__init__.py,,\npkg/_fast.pyd,,\n{info}/METADATA,,\n{info}/RECORD,,\n"
    files: dict[str, bytes | str] = {
        "pkg/__init__.py": "from pkg import _fast",
        "pkg/_fast.pyd": forge("_fast.pyd", ("need.dll",)).read_bytes(),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: pkg\nVersion: 2.0\n",
        f"{info}/RECORD": record,
    }
    write_conda(wheels / "win-64", "conda-pkg", {f"{SITE}/{path}": data for path, data in files.items()}, suffix=suffix)
    write_conda(wheels / "win-64", "libneed", {"Library/bin/need.dll": forge("need.dll").read_bytes()}, suffix=suffix)
    anywhere = {"site-packages/pure/__init__.py": "x = 1", "python-scripts/pure": ""}
    index = {"noarch": "python", "subdir": "noarch"}
    write_conda(wheels / "noarch", "pure", anywhere, suffix=suffix, index=index)
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import pkg, pure")
    report = repair(str(dist), options(wheels, entry))
    assert brought(report) == {
        "pkg/__init__.py": "pkg 2.0",
        "pkg/_fast.pyd": "pkg 2.0",
        f"{info}/METADATA": "pkg 2.0",
        f"{info}/RECORD": "pkg 2.0",
        "pure/__init__.py": "pure 1.0",
        "need.dll": "libneed 1.0",
    }
    assert errors(scan(str(dist), options(wheels, entry))) == set()


def test_the_standard_library_comes_from_a_python_of_conda(
    make_dist: DistMaker, forge: Forge, wheels: Path, tmp_path: Path
) -> None:
    files: dict[str, bytes | str] = {
        "python310.dll": forge("python310.dll").read_bytes(),
        "python.exe": forge("python.exe", ("python310.dll",)).read_bytes(),
        "Lib/unittest/__init__.py": "from . import case\nimport _bits",
        "Lib/unittest/case.py": "",
        "Lib/os.py": "",
        "DLLs/_ssl.pyd": forge("_ssl.pyd").read_bytes(),
    }
    write_conda(wheels, "python", files, version="3.10.14")
    dist = make_dist({}, HAS_STDLIB)
    report = repair(str(dist), options(wheels, program(tmp_path, "import unittest")))
    assert brought(report) == {"Lib/unittest/__init__.py": "Python 3.10", "Lib/unittest/case.py": "Python 3.10"}


def test_a_namespace_package_spreads_over_several_wheels(make_dist: DistMaker, wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, "space_one", {"space/one/__init__.py": "from space import two"})
    write_wheel(wheels, "space_two", {"space/two.py": ""})
    dist = make_dist({}, HAS_STDLIB)
    found = brought(repair(str(dist), options(wheels, program(tmp_path, "import space.one"))))
    assert {"space/one/__init__.py", "space/two.py"} <= found.keys()


def test_what_cannot_serve_is_named_with_what_lacks_it(make_dist: DistMaker, wheels: Path, tmp_path: Path) -> None:
    write_wheel(wheels, "pure", {"pure.py": ""})
    write_wheel(wheels, "pkg", {"pkg/__init__.py": ""}, tag="cp311-cp311-win_amd64")
    half = write_wheel(wheels, "half", {"half/__init__.py": "x" * 10_000})
    half.write_bytes(half.read_bytes()[:200])
    dist = make_dist({}, HAS_STDLIB)
    put(embedded_python() / "python310.dll", dist / "python310.dll")  # tells which modules are built in
    before = snapshot(dist)
    report = repair(str(dist), options(wheels, program(tmp_path, "import pkg, half")))
    assert report.plan is not None and not report.plan.actions
    reasons = {row.subject: row.reason for row in report.plan.declined}
    assert "pkg-1.0-cp311-cp311-win_amd64.whl: it is for cp311-cp311, the program has Python 3.10" in reasons["pkg"]
    assert "half-1.0-py3-none-any.whl: it is damaged, perhaps half downloaded" in reasons["half"]
    (environment,) = report.environments
    assert "half-1.0" in environment.caveat and "pkg-1.0" in environment.caveat
    assert snapshot(dist) == before


# --- a Python as it is downloaded ---


def zipped_python(folder: Path, name: str, start: str = "") -> Path:
    """Write the real embeddable Python 3.10 as a zip."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path in sorted(embedded_python().iterdir()):
            if path.is_file():
                archive.write(path, start + path.name)
    return folder / name


@pytest.mark.parametrize(("name", "start"), [("python-3.10.0-embed-amd64.zip", ""), ("python.3.10.0.nupkg", "tools/")])
def test_the_standard_library_comes_from_a_downloaded_python(
    make_dist: DistMaker, wheels: Path, tmp_path: Path, name: str, start: str
) -> None:
    zipped_python(wheels, name, start)
    dist = make_dist({}, HAS_STDLIB)
    entry = program(tmp_path, "import wave\nimport _queue")
    report = repair(str(dist), options(wheels, entry))
    found = brought(report)
    assert {Path(path).name: who for path, who in found.items()}["wave.pyc"] == "Python 3.10"
    assert "_queue.pyd" in {Path(path).name for path in found}
    assert not [one for one in errors(scan(str(dist), options(wheels, entry))) if one.startswith("DF2")]


def test_a_python_of_another_version_or_machine_and_other_zips_are_left(
    opened: Callable[..., Environment], wheels: Path
) -> None:
    zipped_python(wheels, "python-3.10.0-embed-amd64.zip")
    write_wheel(wheels, "sound", {"sound.py": ""})
    with zipfile.ZipFile(wheels / "data.zip", "w") as archive:
        archive.writestr("a.txt", "")
    with zipfile.ZipFile(wheels / "python-docs.zip", "w") as archive:
        archive.writestr("a.txt", "")
    environment = opened(wheels, python=(3, 11))
    assert environment.info.python == ""
    assert environment.info.caveat == (
        "not used: python-3.10.0-embed-amd64.zip: it is Python 3.10, the program has Python 3.11; "
        "python-docs.zip: no Python for Windows is in it (python3xx.dll)"
    )
    assert opened(wheels).info.python == "3.10"


# --- which archive ---


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("py3-none-any", ""),
        ("cp310-cp310-win_amd64", ""),
        ("cp38-abi3-win_amd64", ""),
        ("py2.py3-none-win_amd64", ""),
        ("cp311-cp311-win_amd64", "it is for cp311-cp311, the program has Python 3.10"),
        ("cp311-abi3-win_amd64", "it is for cp311-abi3, the program has Python 3.10"),
        ("cp310-cp310-win32", "it is for win32, the program is 64-bit (amd64)"),
        ("cp310-cp310-win_arm64", "it is for win_arm64, the program is 64-bit (amd64)"),
        ("cp310-cp310-manylinux2014_x86_64", "it is for manylinux2014_x86_64, the program is 64-bit (amd64)"),
        ("cp313-cp313t-win_amd64", "it is for cp313-cp313t, the program has Python 3.10"),
        ("py2-none-any", "it is for py2-none, the program has Python 3.10"),
    ],
)
def test_a_wheel_must_be_for_this_python_and_machine(
    opened: Callable[..., Environment], wheels: Path, tag: str, reason: str
) -> None:
    write_wheel(wheels, "pkg", {"pkg.py": ""}, tag=tag)
    if not reason:
        assert opened(wheels).distribution("pkg") is not None
        return
    with pytest.raises(WrongEnvironmentError) as caught:
        opened(wheels)
    assert reason in str(caught.value)
    write_wheel(wheels, "sound", {"sound.py": ""})
    environment = opened(wheels)
    assert environment.distribution("pkg") is None
    assert environment.why_not("pkg") == f"pkg-1.0-{tag}.whl: {reason}"


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ({}, ""),
        ({"subdir": "noarch"}, ""),
        ({"depends": ["python >=3.10,<3.11.0a0"]}, ""),
        ({"depends": ["python >=3.8,<4"]}, ""),
        ({"depends": ["python_abi 3.10.* *_cp310"]}, ""),
        ({"depends": ["python >=3.8"]}, ""),
        ({"depends": ["vc >=14.2,<15", "python >=3.11,<3.12.0a0"]}, "it is for Python 3.11"),
        ({"depends": ["python_abi 3.9.* *_cp39", "python >=3.9,<3.10.0a0"]}, "it is for Python 3.9"),
        ({"depends": ["python 3.9.*"]}, "it is for Python 3.9"),
        ({"subdir": "linux-64"}, "it is for linux-64"),
        ({"subdir": "win-32"}, "it is for win-32"),
    ],
)
def test_a_package_of_conda_must_be_for_this_python_and_machine(
    opened: Callable[..., Environment], wheels: Path, forge: Forge, index: dict[str, object], reason: str
) -> None:
    write_conda(wheels, "libneed", {"Library/bin/need.dll": forge("need.dll").read_bytes()}, index=index)
    write_wheel(wheels, "sound", {"sound.py": ""})
    environment = opened(wheels)
    assert [str(one.provider) for one in environment.find("NEED.dll")] == ([] if reason else ["libneed 1.0"])
    assert (reason in environment.why_not("need.dll")) if reason else environment.why_not("need.dll") == ""


def test_of_several_versions_one_is_chosen(opened: Callable[..., Environment], wheels: Path) -> None:
    for version in ("1.9", "1.10", "2.0", "3.0rc1"):
        write_wheel(wheels, "pkg", {"pkg.py": f"version = {version!r}"}, version=version)
    write_wheel(wheels, "user", {"user.py": ""}, metadata='Requires-Dist: pkg >=1.0\nRequires-Dist: no; extra == "x"\n')

    def chosen(**versions: str) -> str:
        found = opened(wheels, **versions).distribution("pkg")
        assert found is not None
        shutil.rmtree(wheels.parent / "scratch")
        return found.version

    assert chosen() == "2.0"  # the newest that is no pre-release
    assert chosen(pkg="1.9") == "1.9"  # the one that the dist has
    write_wheel(wheels, "user", {"user.py": ""}, metadata="Requires-Dist: pkg <2\n")
    assert chosen() == "1.10"  # the newest that the others allow
    write_wheel(wheels, "user", {"user.py": ""}, metadata='Requires-Dist: pkg <2; sys_platform == "linux"\n')
    assert chosen() == "2.0"


def test_the_build_that_fits_best_is_chosen(opened: Callable[..., Environment], wheels: Path) -> None:
    for tag in ("py3-none-any", "cp310-cp310-win_amd64", "cp38-abi3-win_amd64"):
        write_wheel(wheels, "pkg", {"pkg.py": f"tag = {tag!r}"}, tag=tag)
    found = opened(wheels).distribution("pkg")
    assert found is not None
    assert next(Path(path) for path in found.files if path.endswith("pkg.py")).read_text() == (
        "tag = 'cp310-cp310-win_amd64'"
    )


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("gone", UnknownEnvironmentError, "no such folder"),
        ("empty", WrongEnvironmentError, "there is no wheel (.whl) and no conda package"),
        ("text.whl", WrongEnvironmentError, "its name is none of a wheel"),
        ("pointer/pkg-1.0-py3-none-any.whl", WrongEnvironmentError, "a pointer of git-lfs"),
        ("pointer", WrongEnvironmentError, "a pointer of git-lfs"),
        ("void", WrongEnvironmentError, "it is empty"),
        ("page", WrongEnvironmentError, "it is damaged"),
    ],
)
def test_a_folder_without_anything_usable_is_explained(
    opened: Callable[..., Environment], tmp_path: Path, value: str, kind: type[Exception], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.whl").write_text("no wheel")
    for folder, name, text in (
        ("pointer", "pkg-1.0-py3-none-any.whl", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
        ("void", "pkg-1.0-0.conda", ""),
        ("page", "pkg-1.0-0.tar.bz2", "<html>not found</html>"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    with pytest.raises(kind) as caught:
        opened(tmp_path / value)
    assert words in str(caught.value)


# --- real archives ---


@pytest.mark.parametrize("requirement", ["numpy==1.26.4", "msvc-runtime==14.42.34433", "typing_extensions==4.12.2"])
def test_a_real_wheel_is_unpacked_as_pip_installs_it(
    opened: Callable[..., Environment], wheels: Path, requirement: str
) -> None:
    name, _, version = requirement.partition("==")
    wheels.mkdir()
    shutil.copy(download(requirement), wheels)
    found = opened(wheels).distribution(name)
    assert found is not None and found.version == version
    with open(Path(found.folder) / "RECORD", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    site = Path(found.folder).parent
    assert all((site / row[0]).is_file() for row in rows)
    recorded = {(site / row[0]).resolve() for row in rows}
    assert {path.resolve() for path in site.parent.parent.rglob("*") if path.is_file()} == recorded
    assert {Path(path).resolve() for path in found.files} <= recorded


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_torch_is_repaired_from_wheels_alone_and_runs(tmp_path: Path, cli: Callable[..., Cli]) -> None:
    """Nothing but Python is in the dist, and nothing is installed: packages, DLLs and the VC runtime are in wheels."""
    wheels = tmp_path / "wheels of 我"
    wheels.mkdir()
    for requirement in ("torch==1.13.1", "numpy==1.26.4", "typing_extensions==4.12.2", "msvc-runtime==14.42.34433"):
        file = download(requirement)
        (wheels / file.name).symlink_to(file)
    dist = tmp_path / "main.dist"
    shutil.copytree(embedded_python(), dist)
    (dist / "python.exe").rename(dist / "app.exe")
    (dist / "python310._pth").write_text("python310.zip\n.\n")
    entry = program(tmp_path, "import torch\nprint(torch.tensor([1, 2]) + 1)\n")
    before = snapshot(dist)
    assert run([dist / "app.exe", entry], cwd=dist).code != 0
    done = cli("repair", dist, "--entry", entry, "--env", f"wheels:{wheels}", "--slim")
    assert done.code == 0, done
    works = run([dist / "app.exe", entry], cwd=dist)
    assert (works.code, works.out.strip()) == (0, "tensor([2, 3])"), works.err
    assert cli("scan", dist, "--entry", entry).code == 0
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before


def test_each_file_that_is_copied_is_the_one_of_the_wheel(make_dist: DistMaker, wheels: Path, tmp_path: Path) -> None:
    wheels.mkdir()
    shutil.copy(download("typing_extensions==4.12.2"), wheels)
    dist = make_dist({}, HAS_STDLIB)
    repair(str(dist), options(wheels, program(tmp_path, "import typing_extensions")))
    with zipfile.ZipFile(next(wheels.iterdir())) as archive:
        wanted = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    found = {
        name: hashlib.sha256((dist / SITE / name).read_bytes()).hexdigest() for name in wanted if "RECORD" not in name
    }
    assert found == {name: digest for name, digest in wanted.items() if "RECORD" not in name}


def test_nothing_is_left_of_what_was_unpacked(
    make_dist: DistMaker, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "temporary"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_wheel(wheels, "pkg", {"pkg/__init__.py": ""})
    repair(str(make_dist({}, HAS_STDLIB)), options(wheels, program(tmp_path, "import pkg")))
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_forged_images_serve_from_wheels_for_a_program_without_python(
    make_dist: DistMaker, forge: Forge, wheels: Path, tmp_path: Path
) -> None:
    write_wheel(wheels, "native", {"native/need.dll": forge("need.dll").read_bytes()}, tag="cp311-cp311-win_amd64")
    dist = tmp_path / "plain"
    put(forge("plain.exe", ("need.dll",)), dist / "plain.exe")
    report = repair(str(dist), Options(environ={}, environments=(f"wheels:{wheels}",)))
    assert brought(report) == {"need.dll": "native 1.0"}
