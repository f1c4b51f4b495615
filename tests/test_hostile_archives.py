"""Archives that would write elsewhere, collide, explode or lie: refused by name, and nothing of them is written."""

from __future__ import annotations

import bz2
import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depfix.env.archives import Wanted
from depfix.env.conda_file import CondaFile
from depfix.env.protocol import Environment
from depfix.env.safe_archive import RefusedArchiveError
from depfix.env.wheel_file import Wheel
from depfix.env.wheel_folder import open_wheels
from depfix.model.machine import Machine
from depfix.pipeline import Options
from fixtures.archives import write_conda, write_wheel
from tests.conftest import DistMaker, snapshot
from tests.repairing import repair

NAMES = [
    "../outside.py",
    "pkg/../../outside.py",
    "/etc/outside.py",
    "C:/outside.py",
    "C:outside.py",
    "\\\\server\\share\\outside.py",
    "..\\outside.py",
    "pkg\\outside.py",
    "//server/share/outside.py",
    "pkg/con",
    "pkg/AUX.py",
    "pkg/nul.tar.gz",
    "pkg/com1.dll",
    "pkg/lpt\u00b9",
    "pkg/file.py:stream",
    "pkg/name.",
    "pkg/name ",
    "pkg/what?.py",
    "pkg/a\nb.py",
    "pkg/./a.py",
    "pkg//a.py",
]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Path], Environment]:
    """Open a folder of archives for a 64-bit Python 3.10; what is unpacked goes to `scratch`."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    wanted = Wanted((3, 10), Machine.AMD64, False, {}, lambda: str(scratch))
    return lambda folder: open_wheels(str(folder), f"wheels:{folder}", wanted)


def files_in(tmp_path: Path) -> set[str]:
    return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}


def add(wheel: Path, name: str, data: bytes = b"x", mode: int = 0o644) -> Path:
    """Add a member to a wheel, its name as it is."""
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename, info.external_attr = name, mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, data)
    return wheel


def refused(path: Path) -> str:
    with pytest.raises(RefusedArchiveError) as caught:
        Wheel(str(path)) if path.suffix == ".whl" else CondaFile(str(path))
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["wheel", ".conda", ".tar.bz2"])
def test_names_that_lead_elsewhere(
    make_dist: DistMaker, opened: Callable[[Path], Environment], tmp_path: Path, name: str, kind: str
) -> None:
    folder = tmp_path / "wheels"
    write_wheel(folder, "sound", {"sound.py": ""})
    if kind == "wheel":
        bad = add(write_wheel(folder, "pkg", {"pkg/__init__.py": ""}), name)
    else:
        bad = write_conda(folder, "pkg", {"Lib/site-packages/pkg/__init__.py": "", name: "x"}, suffix=kind)
    assert repr(name) in refused(bad)
    before = files_in(tmp_path)
    environment = opened(folder)
    assert environment.distribution("pkg") is None and environment.distribution("sound") is not None
    assert bad.name in environment.info.caveat and repr(name) in environment.why_not("pkg")
    assert {path for path in files_in(tmp_path) - before if "sound" not in path} == set()
    dist = make_dist({}, {"Lib/os.py": ""})
    untouched = snapshot(dist)
    (tmp_path / "program.py").write_text("import pkg")
    options = Options(environ={}, environments=(f"wheels:{folder}",), entries=(str(tmp_path / "program.py"),))
    report = repair(str(dist), options)
    assert not report.plan or not report.plan.actions
    assert snapshot(dist) == untouched
    assert not list(tmp_path.parent.glob("outside*")) and not Path("/etc/outside.py").exists()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("pkg/A.py", "pkg/a.py"), "one file on Windows"),
        (("pkg/\u00c4.py", "pkg/\u00e4.py"), "one file on Windows"),
        (("pkg/sub", "pkg/sub/a.py"), "as a file and as a folder"),
        (("pkg/SUB", "pkg/sub/a.py"), "as a file and as a folder"),
        (("pkg/a.py", "pkg-1.0.data/purelib/pkg/a.py"), "one file on Windows"),
        (("pkg-1.0.data/data/../../a.py",), "leaves the folder"),
    ],
)
def test_files_that_are_one_on_windows(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    wheel = write_wheel(tmp_path, "pkg", {"pkg/__init__.py": ""})
    for name in names:
        add(wheel, name)
    assert words in refused(wheel)


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "C:\\Windows\\win.ini", "gone.dll"])
def test_links_that_leave_a_package(
    opened: Callable[[Path], Environment], tmp_path: Path, suffix: str, target: str
) -> None:
    folder = tmp_path / "wheels"
    write_wheel(folder, "sound", {"sound.py": ""})
    bad = write_conda(folder, "pkg", {"Library/bin/a.dll": "x"}, suffix=suffix, links={"Library/bin/b.dll": target})
    environment = opened(folder)
    assert environment.find("b.dll") == environment.find("a.dll") == ()
    assert "it is a link to" in environment.why_not("b.dll") and bad.name in environment.info.caveat


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_a_link_within_a_package_becomes_a_copy(
    opened: Callable[[Path], Environment], tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "wheels"
    write_conda(folder, "pkg", {"Library/bin/a.dll": "the same"}, suffix=suffix, links={"Library/bin/b.dll": "a.dll"})
    (found,) = opened(folder).find("b.dll")
    assert not Path(found.path).is_symlink() and Path(found.path).read_text() == "the same"


def test_a_wheel_with_a_link(tmp_path: Path) -> None:
    wheel = add(write_wheel(tmp_path, "pkg", {"pkg/__init__.py": ""}), "pkg/a.py", b"/etc/passwd", stat.S_IFLNK | 0o777)
    assert "it is a link" in refused(wheel)


# --- bombs ---


def test_a_wheel_that_says_it_is_a_bomb(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "pkg", {"pkg/__init__.py": ""})
    with (
        zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("pkg/zeros.bin", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    assert wheel.stat().st_size < 1 << 20
    assert "would unpack to" in refused(wheel)


def test_a_wheel_whose_members_share_their_bytes(tmp_path: Path) -> None:
    """Many entries of the directory name one member: some hundred kilobytes unpack to gigabytes."""
    wheel = write_wheel(tmp_path, "pkg", {"pkg/data.bin": os.urandom(50_000)})
    with zipfile.ZipFile(wheel, "a") as archive:
        first = archive.getinfo("pkg/data.bin")
        for number in range(200):
            again = zipfile.ZipInfo(f"pkg/data{number}.bin")
            again.header_offset, again.compress_type = first.header_offset, first.compress_type
            again.compress_size, again.file_size, again.CRC = first.compress_size, first.file_size, first.CRC
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True  # type: ignore[attr-defined]
    assert "overlap" in refused(wheel)


def test_a_wheel_that_holds_more_than_it_says(opened: Callable[[Path], Environment], tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel = write_wheel(folder, "pkg", {"pkg/data.bin": bytes(1 << 20)})
    data = bytearray(wheel.read_bytes())
    size = (1 << 20).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:  # in the member's header, and in the directory
        data[at : at + 4] = (100).to_bytes(4, "little")
    wheel.write_bytes(data)
    assert opened(folder).distribution("pkg") is None


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_a_package_of_conda_that_is_a_bomb(
    opened: Callable[[Path], Environment], tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("depfix.env.safe_archive._SMALL", 1 << 20)
    folder = tmp_path / "wheels"
    write_conda(folder, "pkg", {"Library/bin/a.dll": bytes(200 << 20)}, suffix=suffix)
    assert "would unpack to" in refused(next(folder.iterdir()))
    shy = {"Library/bin/a.dll": bytes(200 << 20)}
    path = write_conda(folder, "shy", shy, suffix=suffix)
    _say_less(path, suffix)
    write_wheel(folder, "sound", {"sound.py": ""})
    environment = opened(folder)
    assert environment.find("a.dll") == ()
    assert path.name in environment.info.caveat
    written = [file for file in (tmp_path / "scratch").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in written) < 20 << 20


def _say_less(path: Path, suffix: str) -> None:
    """Let a package say that its file has one byte."""
    paths = {"paths": [{"_path": "Library/bin/a.dll", "path_type": "hardlink", "size_in_bytes": 1}]}
    row = json.dumps(paths).encode()
    if suffix == ".conda":
        from conda_package_streaming import package_streaming

        stem = path.name.removesuffix(".conda")
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        info = package_streaming.zstd.decompress(parts[f"info-{stem}.tar.zst"])
        parts[f"info-{stem}.tar.zst"] = package_streaming.zstd.compress(_replaced(info, row))
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return
    path.write_bytes(bz2.compress(_replaced(bz2.decompress(path.read_bytes()), row)))


def _replaced(data: bytes, row: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            file = old.extractfile(member)
            content = row if member.name == "info/paths.json" else file.read() if file is not None else b""
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return out.getvalue()


# --- damage ---


def test_a_wheel_that_differs_from_its_record(opened: Callable[[Path], Environment], tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    wheel = write_wheel(folder, "pkg", {"pkg/__init__.py": "sound = True"})
    with zipfile.ZipFile(wheel) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data.replace(b"True", b"Fals"))
    environment = opened(folder)
    assert environment.distribution("pkg") is None
    assert "its pkg/__init__.py is not the one that its RECORD names" in environment.why_not("pkg")


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_a_package_of_conda_that_lacks_a_file(
    opened: Callable[[Path], Environment], tmp_path: Path, suffix: str
) -> None:
    folder = tmp_path / "wheels"
    path = write_conda(folder, "pkg", {"Library/bin/b.dll": "x"}, suffix=suffix)
    _say_less(path, suffix)  # of a file of another name
    write_wheel(folder, "sound", {"sound.py": ""})
    environment = opened(folder)
    assert environment.find("a.dll") == ()
    assert "it lacks 1 of its files, 'Library/bin/a.dll' among them" in environment.why_not("a.dll")


@pytest.mark.parametrize("kind", ["wheel", ".conda", ".tar.bz2"])
def test_half_of_an_archive_is_refused_wherever_it_ends(
    opened: Callable[[Path], Environment], tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "wheels"
    content = {f"pkg/{number}.py": bytes(range(256)) * number for number in range(20)}
    if kind == "wheel":
        path = write_wheel(folder, "pkg", content)
    else:
        path = write_conda(
            folder, "pkg", {f"Lib/site-packages/{name}": data for name, data in content.items()}, suffix=kind
        )
    write_wheel(folder, "sound", {"sound.py": ""})
    data = path.read_bytes()
    for end in range(1, len(data) - 1, max(1, len(data) // 40)):
        path.write_bytes(data[:end])
        environment = opened(folder)
        assert environment.distribution("pkg") is None, end
        assert "damaged" in environment.info.caveat, end


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8))
@pytest.mark.parametrize("kind", ["wheel", ".conda", ".tar.bz2"])
def test_damaged_bytes_never_break_a_reader(
    tmp_path_factory: pytest.TempPathFactory, kind: str, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("wheels")
    content = {"Lib/site-packages/pkg/__init__.py": b"x = 1\n" * 50, "Library/bin/a.dll": bytes(range(256))}
    path = write_wheel(folder, "pkg", content) if kind == "wheel" else write_conda(folder, "pkg", content, suffix=kind)
    data = bytearray(path.read_bytes())
    for place, value in flips:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        archive = Wheel(str(path)) if kind == "wheel" else CondaFile(str(path))
        archive.misfit(Wanted((3, 10), Machine.AMD64, False, {}, lambda: ""))
        archive.unpack(str(folder / "out"))
    except RefusedArchiveError as error:
        assert str(error)
    assert all(folder in file.parents for file in folder.parent.glob("*outside*"))
