"""What people type first: nearly right command lines, and something beside the dist in its place."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.frozen.errors import NotADistError
from depfix.frozen.locating import dists_in, locate
from fixtures import archive_lab, nuitka_lab
from tests.conftest import Cli, DistMaker, Forge, put

Run = Callable[..., Cli]
NUITKA_PAYLOAD = b"KAY\x28\xb5\x2f\xfd" + bytes(50)


@pytest.fixture
def dist(make_dist: DistMaker) -> Path:
    return make_dist({"pkg/core.pyd": ("gone.dll",)}, {"pkg/__init__.py": "from . import core\n"})


def refused(path: Path) -> NotADistError:
    with pytest.raises(NotADistError) as error:
        locate(str(path))
    assert str(path) in str(error.value) and error.value.exit_code == 2
    return error.value


# --- depfix alone ---


def test_alone_in_a_folder_with_one_dist(cli: Run, dist: Path) -> None:
    done = cli(cwd=dist.parent)
    assert done.code == 0
    assert done.out.startswith("found main.dist: app.exe, Python folder, Python 3.10, 64-bit")
    assert "  depfix scan main.dist " in done.out
    assert "  depfix repair main.dist --env conda:NAME --dry-run " in done.out
    assert "hint: " in done.err and not (dist.parent / "main.dist.depfix").exists()


def test_alone_names_an_environment_that_fits(cli: Run, dist: Path, make_conda: Callable[..., Path]) -> None:
    environment = make_conda({"Library/bin/gone.dll": ()})
    done = cli(cwd=dist.parent, environ={"CONDA_PREFIX": str(environment)})
    assert f"depfix repair main.dist --env conda:{environment.name} " in done.out


def test_alone_with_a_dist_that_has_lost_its_python(cli: Run, dist: Path) -> None:
    (dist / "python310.dll").unlink()
    assert cli(cwd=dist.parent).out.startswith("found main.dist: app.exe, Python folder, Python 3.10")


def test_alone_in_the_dist_itself(cli: Run, dist: Path) -> None:
    assert "  depfix scan . " in cli(cwd=dist).out


def test_alone_with_several_dists(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    for name in ("a.dist", "b.dist", "dist/app", "build/exe.win-amd64-3.10", "other"):
        make_dist({}, name=name)
    done = cli(cwd=tmp_path)
    assert done.code == 0 and "found 4 programs" in done.out
    named = [line.split()[2] for line in done.out.splitlines() if line.startswith("  depfix scan ")]
    assert named == ["a.dist", "b.dist", os.path.join("dist", "app"), os.path.join("build", "exe.win-amd64-3.10")]
    done = cli("repair", ".", cwd=tmp_path)
    assert done.code == 2 and "a folder above 4 programs" in done.err and "depfix scan a.dist" in done.err


def test_alone_where_nothing_is_shows_the_help(cli: Run, tmp_path: Path) -> None:
    done = cli(cwd=tmp_path)
    assert done.code == 2 and "Usage: depfix" in done.err and done.out == ""


# --- the order of words ---


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (["main.dist", "-q"], "scan main.dist -q"),
        (["main.dist", "scan", "-q"], "scan main.dist -q"),
        (["main.dist", "--select", "DF101", "scan", "-q"], "scan main.dist --select DF101 -q"),
        (["main.dist/app.exe", "-q"], "scan main.dist/app.exe -q"),
    ],
)
def test_the_dist_before_the_command(cli: Run, dist: Path, words: list[str], taken: str) -> None:
    done = cli(*words, cwd=dist.parent)
    assert (done.code, done.out) == (1, "1 error, 0 warnings\n")
    assert f"note: taken as: depfix {taken}\n" in done.err


def test_a_repair_with_the_dist_first(cli: Run, dist: Path, make_conda: Callable[..., Path]) -> None:
    environment = make_conda({"Library/bin/gone.dll": ()})
    done = cli("main.dist", "repair", "--env", f"conda:{environment}", "-q", cwd=dist.parent)
    assert done.code == 0 and "note: taken as: depfix repair main.dist" in done.err
    assert (dist / "gone.dll").exists()


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["scna", "main.dist"], "depfix scan"),
        (["fix", "main.dist"], "depfix repair"),
        (["rollback", "main.dist"], "depfix undo"),
        (["missing-dll"], "depfix explain DF101"),
        (["df103"], "depfix explain DF103"),
    ],
)
def test_an_unknown_command_names_the_near_one(cli: Run, dist: Path, words: list[str], near: str) -> None:
    done = cli(*words, cwd=dist.parent)
    assert done.code == 2 and done.out == ""
    assert done.err == f"error: no such command: {words[0]}\nhint: did you mean {near}?\n"


def test_several_dists_without_a_command(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    for name in ("a.dist", "b.dist"):
        make_dist({}, name=name)
    done = cli("a.dist", "b.dist", cwd=tmp_path)
    assert done.code == 2 and "hint: did you mean depfix audit a.dist b.dist?" in done.err


def test_what_is_near_nothing(cli: Run, tmp_path: Path) -> None:
    done = cli("qqqqq", cwd=tmp_path)
    assert done.code == 2 and "hint: `depfix --help` lists the commands" in done.err


def test_help_and_version_as_words(cli: Run) -> None:
    assert cli("help").out == cli("--help").out
    assert cli("help", "scan").out == cli("scan", "--help").out
    assert cli("version").out == cli("--version").out == cli("-V").out


def test_an_option_before_the_command(cli: Run) -> None:
    done = cli("--env", "conda:x", "scan", "main.dist")
    assert done.code == 2 and "hint: options stand behind the command" in done.err
    assert "hint:" not in cli("--verson").err  # of which the near one is named


def test_a_command_without_a_dist_names_the_one_that_is_here(cli: Run, dist: Path) -> None:
    done = cli("repair", cwd=dist.parent)
    assert done.code == 2 and "hint: depfix repair main.dist\n" in done.err


@pytest.mark.parametrize("command", ["why", "tree"])
def test_the_name_before_the_dist(cli: Run, dist: Path, command: str) -> None:
    done = cli(command, "gone.dll", "main.dist", cwd=dist.parent)
    assert done.code == 0 and "gone.dll" in done.out and "note: taken as: main.dist gone.dll" in done.err


# --- something beside the dist ---


def test_the_program_stands_for_its_folder(cli: Run, dist: Path) -> None:
    done = cli("scan", dist / "app.exe", "-q")
    assert (done.code, done.out) == (1, "1 error, 0 warnings\n")
    assert done.err == f"note: {dist / 'app.exe'} is the program; its whole folder is looked at: {dist}\n"
    found = json.loads(cli("scan", "app.exe", "--format", "json", cwd=dist).out)
    assert found["dist"]["root"] == str(dist)


def test_the_program_named_without_its_folder(cli: Run, dist: Path) -> None:
    done = cli("scan", "app.exe", "-q", cwd=dist.parent)
    assert done.code == 1 and done.err == "note: app.exe is in main.dist: that folder is looked at\n"
    assert "no such folder: other.exe" in cli("scan", "other.exe", cwd=dist.parent).err


def test_the_dist_named_without_its_ending(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    make_dist({}, name="app.dist")
    done = cli("scan", "app", cwd=tmp_path)
    assert done.code == 2 and "hint: did you mean app.dist?" in done.err


def test_every_command_takes_what_leads_to_the_dist(cli: Run, dist: Path) -> None:
    program = dist / "app.exe"
    assert cli("envs", program).code == 0
    assert cli("undo", program, "--list").code == 0
    assert cli("diff", program, dist, "-q").code == 0
    assert cli("audit", program, "-q", "--output-dir", dist.parent / "reports").code == 1
    assert cli("diagnose", "DLL load failed while importing core", "--dist", program, "-q").code == 1


def test_a_program_whose_python_is_missing_still_stands_for_its_folder(dist: Path) -> None:
    (dist / "python310.dll").unlink()
    assert locate(str(dist / "app.exe")).path == str(dist)


def test_the_folder_in_which_nuitka_compiled(dist: Path) -> None:
    build = dist.parent / "main.build"
    build.mkdir()
    (build / "scons-report.txt").write_text("")
    assert locate(f"{build}{os.sep}").path == str(dist)
    assert "Nuitka compiled" in locate(str(build)).note
    shutil.rmtree(dist)
    error = refused(build)
    assert "--standalone" in error.hint and "main.dist" in error.hint


def test_the_folder_in_which_pyinstaller_worked(make_dist: DistMaker, tmp_path: Path, forge: Forge) -> None:
    made = make_dist({}, name="dist/app")
    build = tmp_path / "build" / "app"
    put(forge("app.exe"), build / "app.exe")
    (build / "Analysis-00.toc").write_text("()")
    assert locate(str(build)).path == str(made)
    assert dists_in(str(tmp_path)) == (str(made),)
    shutil.rmtree(made)
    assert "--onedir" in refused(build).hint


def test_a_folder_and_a_library_inside_of_the_dist(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(dist / "pkg").hint == f"depfix scan {dist}"
    assert f"depfix tree {dist} core.pyd" in refused(dist / "pkg" / "core.pyd").hint
    monkeypatch.chdir(dist.parent)
    assert refused(Path("main.dist/pkg")).hint == "depfix scan main.dist"


def test_the_source_of_the_program(dist: Path) -> None:
    script = dist.parent / "main.py"
    script.write_text("import pkg\n")
    assert refused(script).hint == f"depfix scan {dist} --entry {script}"
    shutil.rmtree(dist)
    assert "nuitka --standalone" in refused(script).hint


def test_a_zip_of_the_dist(dist: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        for path in dist.rglob("*"):
            archive.write(path, f"release/{path.relative_to(dist)}")
    error = refused(tmp_path / "release.zip")
    assert "a zip of a program" in str(error) and "the folder release in it" in error.hint
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("read.me", "")
    assert "no program" in str(refused(tmp_path / "empty.zip"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(30), "7-Zip"),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("setup.msi", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "MSI"),
        ("pkg-1.0-cp310-cp310-win_amd64.whl", b"PK\x03\x04", "--env wheels:"),
        ("crash.log", b"Traceback (most recent call last):\n", "depfix diagnose"),
        ("app.spec", b"a = Analysis(['app.py'])\n", os.path.join("dist", "app")),
        ("depfix.toml", b"", "--config"),
        ("report.xml", b"<nuitka-compilation-report nuitka_version='4.3'>", "--report"),
        ("plan.json", b'{"schema_version": 2, "left_out": {}}', "--from-plan"),
        ("notes.md", b"notes", "a file, not a folder"),
        ("broken.exe", b"MZ and no more", "cannot be read|can be read"),
        ("empty.exe", b"", "a file, not a folder"),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name)
    assert any(each in f"{error}\n{error.hint}" for each in words.split("|"))


@pytest.mark.parametrize(
    ("behind", "words"),
    [
        (NUITKA_PAYLOAD, "a Nuitka onefile program"),
        (b"\xef\xbe\xad\xdeNullsoftInst" + bytes(20), "an installer (NSIS)"),
        (b"Inno Setup Setup Data (6.2.0)" + bytes(40), "an installer (Inno Setup)"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a self-extracting archive"),
        (b"", "a program without Python beside it"),
    ],
)
def test_programs_in_one_file_are_named(forge: Forge, tmp_path: Path, behind: bytes, words: str) -> None:
    program = put(forge("app.exe", ("other.dll",)), tmp_path / "setup.exe")
    program.write_bytes(program.read_bytes() + behind)
    error = refused(program)
    assert words in str(error) and error.hint


def test_an_installer_by_the_name_of_its_section(forge: Forge, tmp_path: Path) -> None:
    program = put(forge("app.exe"), tmp_path / "setup.exe")
    content = bytearray(program.read_bytes())
    pe = struct.unpack_from("<I", content, 60)[0]
    first = pe + 24 + struct.unpack_from("<H", content, pe + 20)[0]
    content[first : first + 8] = b".wixburn"
    program.write_bytes(content)
    assert "an installer (WiX)" in str(refused(program))


def test_a_onefile_program_whose_folder_is_still_there(forge: Forge, dist: Path) -> None:
    program = put(forge("app.exe"), dist.parent / "main.exe")
    program.write_bytes(program.read_bytes() + NUITKA_PAYLOAD)
    assert refused(program).hint.endswith(f"depfix scan {dist}")


def test_a_python_installation_is_no_dist_that_is_found(make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    python = make_dist({}, name="dist/Python310")
    put(forge("python.exe"), python / "python.exe")
    assert dists_in(str(tmp_path)) == ()


def test_what_is_not_there_and_what_is_unknown_come_back(tmp_path: Path, cli: Run) -> None:
    assert locate(str(tmp_path / "nowhere")).path == str(tmp_path / "nowhere")
    assert locate(str(tmp_path)).path == str(tmp_path)
    assert cli("scan", "").code == 2


@pytest.mark.lab
def test_real_programs_of_pyinstaller(wine: None) -> None:
    for name in ("onefile", "encrypted"):
        error = refused(archive_lab.dist_of(name) / "app.exe")
        assert "PyInstaller onefile" in str(error) and "--onedir" in error.hint
    folder = archive_lab.build("onedir")
    program = archive_lab.dist_of("onedir") / "app.exe"
    assert locate(str(program)).path == str(program.parent)
    assert locate(str(folder / "build" / "app")).path == str(program.parent)
    assert dists_in(str(folder)) == (str(program.parent),)
    frozen = archive_lab.dist_of("cx_freeze")
    assert locate(str(frozen / "app.exe")).path == str(frozen)


@pytest.mark.lab
def test_a_real_onefile_program_of_nuitka(wine: None, cli: Run) -> None:
    folder = nuitka_lab.onefile("print('hello from one file')\n")
    error = refused(folder / "main.exe")
    assert "a Nuitka onefile program" in str(error) and "--standalone" in error.hint
    error = refused(folder / "main.dist")
    assert "packed from" in str(error) and "--onefile-no-dll" in error.hint
    with pytest.raises(NotADistError, match="packed from"):
        locate(str(folder / "main.onefile-build"))
    assert dists_in(str(folder)) == ()
