"""Folders as no build makes them: links, cycles, pipes, endless files, long and strange names, files that vanish."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import depfix.dist.identify as identify
from depfix.dist.tree import Tree, read_tree
from depfix.env.records import read_bytes
from depfix.errors import UnreadableFolderError
from depfix.pipeline import Options, scan
from tests.conftest import Cli, DistMaker
from tests.test_disks import anybodys as anybodys
from tests.test_disks import as_nobody


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    return make_dist(
        {"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core, mod\n", "pkg/mod.py": "x = 1\n"}
    )


def told(root: Path) -> dict[str, str]:
    """Scan a dist; return {subject: message} of what was not looked at. What it needs is found all the same."""
    report = scan(str(root), Options(environ={}))
    assert ("missing-dll", "need.dll") in {(one.name, one.subject) for one in report.findings}
    return {one.subject: one.message for one in report.findings if one.name == "not-looked-at"}


# --- links ---


def test_links_out_of_the_dist_are_not_followed(dist: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(dist / "app.exe", outside / "need.dll")
    (outside / "secret.py").write_text("import secret_of_others\n")
    (dist / "folder").symlink_to(outside)
    (dist / "pkg" / "need.dll").symlink_to(outside / "need.dll")
    (dist / "relative").symlink_to("../outside")
    (dist / "pkg" / "secret.py").symlink_to("../../outside/secret.py")
    (dist / "near").symlink_to(f"{dist}-2")  # begins with the same letters
    (tmp_path / "main.dist-2").mkdir()
    found = told(dist)
    assert set(found) == {"folder", "pkg/need.dll", "relative", "pkg/secret.py", "near"}
    assert all("a link that leads out of the folder, and is not followed" in words for words in found.values())
    assert not any("secret_of_others" in one.message for one in scan(str(dist), Options(environ={})).findings)


def test_links_within_the_dist_are_followed(dist: Path) -> None:
    (dist / "twin.py").symlink_to("pkg/mod.py")
    (dist / "other").symlink_to("pkg")
    assert told(dist) == {}
    paths = {entry.path for entry in read_tree(str(dist))}
    assert {"twin.py", "other/mod.py", "pkg/mod.py"} <= paths


def test_a_dist_that_is_a_link_itself(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dist)
    (dist / "twin.py").symlink_to("pkg/mod.py")
    assert told(tmp_path / "link") == {}


def test_cycles_end(dist: Path) -> None:
    (dist / "pkg" / "again").symlink_to("..")
    (dist / "pkg" / "self").symlink_to("self")
    (dist / "pkg" / "one").symlink_to("two")
    (dist / "pkg" / "two").symlink_to("one")
    (dist / "gone").symlink_to("nowhere")
    found = told(dist)
    assert set(found) == {"pkg/self", "pkg/one", "pkg/two", "gone"}
    assert "too many levels of symbolic links" in found["pkg/self"] and "no such file" in found["gone"]
    assert len(read_tree(str(dist))) == 5


def test_hard_links_are_files_like_others(dist: Path, tmp_path: Path) -> None:
    shutil.copy(dist / "app.exe", tmp_path / "x.dll")
    os.link(tmp_path / "x.dll", dist / "x.dll")
    os.link(dist / "pkg" / "mod.py", dist / "pkg" / "twin.py")
    assert told(dist) == {}


# --- what is no plain file, or endless ---


@pytest.fixture
def short_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a socket may have 107 characters."""
    monkeypatch.chdir(tmp_path)
    return Path()


def test_pipes_sockets_and_devices_are_not_opened(dist: Path, short_folder: Path) -> None:
    os.mkfifo(dist / "pkg" / "pipe.dll")
    os.mkfifo(dist / "pkg" / "pipe.py")
    os.mkfifo(dist / "RECORD")
    (dist / "pkg" / "link.py").symlink_to("pipe.py")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(short_folder / "main.dist" / "pkg" / "socket.pyd"))
        names = {"pkg/pipe.dll", "pkg/pipe.py", "pkg/link.py", "RECORD", "pkg/socket.pyd"}
        if os.geteuid() == 0:
            os.mknod(dist / "zero.exe", 0o20666, os.makedev(1, 5))
            names.add("zero.exe")
        found = told(dist)
    assert set(found) == names
    assert all("no plain file, but a pipe, a socket or a device" in words for words in found.values())


def test_pipes_in_an_environment(dist: Path, make_conda: Callable[..., Path], cli: Callable[..., Cli]) -> None:
    env = make_conda({"Library/bin/need.dll": ()})
    info = env / "Lib" / "site-packages" / "pkg-1.0.dist-info"
    info.mkdir(parents=True)
    for place in (info / "RECORD", info / "METADATA", env / "conda-meta" / "x-1-0.json", env / "Library/bin/pipe.dll"):
        os.mkfifo(place)
    os.mkfifo(env / "Lib" / "site-packages" / "x.pth")
    assert read_bytes(str(info / "RECORD")) == b""
    result = cli("repair", dist, "--env", f"conda:{env}")
    assert (dist / "need.dll").exists(), result.out + result.err


def test_files_of_a_hundred_gigabytes(dist: Path) -> None:
    names = ("pkg/huge.dll", "pkg/mod.py", "huge.zip", "Lib/site-packages/x-1.0.dist-info/RECORD", "huge.pth", "x.txt")
    for name in names:
        (dist / name).parent.mkdir(parents=True, exist_ok=True)
        with (dist / name).open("wb") as file:
            file.write(b"MZ" if name.endswith(".dll") else b"import x\n")
            try:
                file.truncate(100 << 30)
            except OSError as error:
                pytest.skip(f"no sparse files here: {error}")
    found = told(dist)
    assert "larger than 64 mb" in found["pkg/mod.py"].lower()


def test_a_dist_that_is_a_file_or_empty(cli: Callable[..., Cli], tmp_path: Path) -> None:
    (tmp_path / "file.dist").write_text("MZ")
    (tmp_path / "empty.dist").mkdir()
    os.mkfifo(tmp_path / "pipe.dist")
    for name, words in (("file.dist", "no Windows program"), ("pipe.dist", "not a folder"), ("empty.dist", "program")):
        result = cli("scan", tmp_path / name)
        assert result.code == 2 and words in result.err and "Traceback" not in result.err, result.err
        assert "hint:" in result.err


# --- rights ---


def test_what_may_not_be_read(anybodys: Path, dist: Path) -> None:
    root = anybodys / "main.dist"
    shutil.copytree(dist, root)
    (root / "closed").mkdir()
    (root / "closed" / "x.dll").write_text("MZ")
    (root / "listed").mkdir()
    (root / "listed" / "y.dll").write_text("MZ")
    (root / "pkg" / "secret.dll").write_text("MZ")
    subprocess.run(["chmod", "-R", "a+rX", str(anybodys)], check=True)
    for name, mode in (("closed", 0o000), ("listed", 0o444), ("pkg/secret.dll", 0o000), ("pkg/mod.py", 0o000)):
        (root / name).chmod(mode)

    def work() -> None:
        found = told(root)
        assert set(found) == {"closed", "listed/y.dll", "pkg/secret.dll", "pkg/mod.py"}, found
        assert "permission denied" in found["closed"].lower()

    as_nobody(work)


def test_a_dist_that_may_not_be_listed(anybodys: Path) -> None:
    (anybodys / "main.dist").mkdir(mode=0o000)

    def work() -> None:
        with pytest.raises(UnreadableFolderError, match="ermission denied") as caught:
            scan(str(anybodys / "main.dist"), Options(environ={}))
        assert caught.value.exit_code == 2

    as_nobody(work)


# --- names ---


def test_long_paths(dist: Path) -> None:
    """400 characters are read; what is longer than the system takes is told, and removed again here."""
    deep = dist / "pkg" / "/".join("d" * 99 for _ in range(4))
    deep.mkdir(parents=True)
    shutil.copy(dist / "app.exe", deep / "x.dll")
    assert told(dist) == {}
    assert len(str(deep)) > 400 and any(len(entry.path) > 400 for entry in read_tree(str(dist)))
    before = os.getcwd()
    try:
        os.chdir(dist)
        for _ in range(25):
            os.mkdir("e" * 200)
            os.chdir("e" * 200)
        Path("y.dll").write_text("MZ")
    finally:
        os.chdir(before)
    (found,) = told(dist).values()
    assert "file name too long" in found.lower()
    shutil.rmtree(dist / ("e" * 200))


NAMES = (
    "new\nline.dll",
    "\udcff\udcfe.dll",
    "模型 Ünï.dll",
    "\x1b[2J.py",
    "a\\b.dll",
    "C:x.dll",
    "con.dll",
    "aux",
    "dot.",
    "space ",
    "-rf.dll",
    "%s%n.dll",
    "$(id).py",
    "'\".dll",
    "\u202egpj.dll",
    "\u0130.dll",
    "ﬀ.dll",
    "x" * 250 + ".dll",
)


@pytest.mark.parametrize("form", ["text", "json", "sarif", "html", "markdown"])
def test_strange_names(dist: Path, cli: Callable[..., Cli], form: str) -> None:
    for name in NAMES:
        shutil.copy(dist / "app.exe", dist / name)
        (dist / "pkg" / name).mkdir()
        (dist / "pkg" / name / "x.py").write_text("import y\n")
    result = cli("scan", dist, "--format", form)
    assert result.code == 1 and "Traceback" not in result.err, result.err
    assert "need.dll" in result.out and "\x1b" not in result.out and "\u202e" not in result.out


def test_names_that_are_one_on_windows(dist: Path) -> None:
    (dist / "pkg" / "MOD.py").write_text("import upper\n")
    (dist / "Pkg").mkdir()
    (dist / "Pkg" / "Mod.PY").write_text("import mixed\n")
    (dist / "a.txt").write_text("")
    (dist / "A.TXT").write_text("")
    found = told(dist)
    assert len(found) == 3 and all("on windows it is the same file as " in words.lower() for words in found.values())
    twins = {*found} | {words.lower().partition("same file as ")[2].partition(",")[0] for words in found.values()}
    assert {path.lower() for path in twins} == {"pkg/mod.py", "a.txt"}


# --- files that change while they are read ---


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen between the listing of a dist and the reading of its files."""

    def happens(change: Callable[[], object]) -> None:
        def listed(root: str) -> Tree:
            found = read_tree(root)
            change()
            return found

        monkeypatch.setattr(identify, "read_tree", listed)

    return happens


def test_files_that_vanish(dist: Path, changing: Callable[[Callable[[], object]], None]) -> None:
    def change() -> None:
        (dist / "pkg" / "mod.py").unlink()
        (dist / "pkg" / "__init__.py").unlink()

    changing(change)
    found = told(dist)
    assert "no such file" in found["pkg/mod.py"].lower() and "no such file" in found["pkg/__init__.py"].lower()


def test_images_that_vanish(dist: Path, changing: Callable[[Callable[[], object]], None]) -> None:
    shutil.copy(dist / "app.exe", dist / "other.dll")
    changing((dist / "other.dll").unlink)
    report = scan(str(dist), Options(environ={}))
    said = {one.subject: one.message for one in report.findings}
    assert "need.dll" in said and "cannot be read" in said["other.dll"]


def test_everything_vanishes(
    dist: Path, cli: Callable[..., Cli], changing: Callable[[Callable[[], object]], None]
) -> None:
    changing(lambda: shutil.rmtree(dist / "pkg"))
    report = scan(str(dist), Options(environ={}))
    assert {"pkg/__init__.py"} <= {one.subject for one in report.findings if one.name == "not-looked-at"}


def test_files_that_become_something_else(dist: Path, changing: Callable[[Callable[[], object]], None]) -> None:
    def change() -> None:
        for name in ("mod.py", "__init__.py", "core.pyd"):
            (dist / "pkg" / name).unlink()
        os.mkfifo(dist / "pkg" / "mod.py")
        os.mkfifo(dist / "pkg" / "core.pyd")
        (dist / "pkg" / "__init__.py").mkdir()

    changing(change)
    report = scan(str(dist), Options(environ={}))
    said = {one.subject: one.message for one in report.findings}
    assert "no plain file" in said["pkg/mod.py"] and "no plain file" in said["pkg/__init__.py"]


def test_files_that_grow_and_shrink(dist: Path, changing: Callable[[Callable[[], object]], None]) -> None:
    changing(lambda: (dist / "pkg" / "mod.py").write_text("import grown_later\n" * 99))
    assert told(dist) == {}

    def change() -> None:
        data = (dist / "pkg" / "core.pyd").read_bytes()
        (dist / "pkg" / "core.pyd").write_bytes(data[: len(data) // 2])

    changing(change)
    report = scan(str(dist), Options(environ={}))
    assert "core.pyd" in {one.subject for one in report.findings}


# --- a report of all this is a report like others ---


def test_the_scan_of_a_broken_folder_ends_as_any_other(dist: Path, cli: Callable[..., Cli]) -> None:
    os.mkfifo(dist / "pkg" / "pipe.py")
    (dist / "up").symlink_to("/etc")
    result = cli("scan", dist, "--format", "json")
    findings = json.loads(result.out)["findings"]
    assert result.code == 1 and {"DF101", "DF501"} <= {one["rule"] for one in findings}
    assert not any("passwd" in json.dumps(one) for one in findings)


@pytest.fixture(autouse=True)
def back(tmp_path: Path) -> Iterator[None]:
    """Leave no folder that pytest cannot remove."""
    yield
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=False, capture_output=True)
