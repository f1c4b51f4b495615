"""Real programs that fail when they are frozen, and their twins that do not: what depfix says is what Wine shows.

Of what Wine cannot show, the documentation is named: an administrator may write into Program Files, and Wine has no
other users (https://learn.microsoft.com/windows/security/application-security/application-control/user-account-control/).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from depfix.model.finding import Finding, Severity
from depfix.session import Options, Session
from fixtures import nuitka_lab, windows_lab
from fixtures.behaviour_programs import FOLDER, compiled, frozen, frozen_by_cx_freeze, take_console
from fixtures.windows_lab import embedded_python, lay_out_flat
from tests.conftest import Cli

pytestmark = pytest.mark.lab
CASES = FOLDER / "cases"


@pytest.fixture(scope="module", autouse=True)
def wine_alive(wine: None) -> Iterator[None]:
    with windows_lab.kept_alive():
        yield


def copied(dist: Path, target: Path) -> Path:
    """Return a copy of a dist, with the VC runtime that a clean machine would have; a name hides what it is made of."""
    shutil.copytree(dist, target)
    for file in embedded_python().glob("vcruntime140*.dll"):
        shutil.copy(file, target)
    return target


def run(dist: Path, *arguments: str, awaited: int = 0) -> tuple[int | None, str, str, list[str]]:
    """Run the program of a dist in its folder; return (exit code, stdout, stderr, lines of starts.txt).

    `awaited`: that many lines are waited for, since what the program starts may outlive it.
    """
    program = next(dist / name for name in ("main.exe", "app.exe") if (dist / name).exists())
    done = windows_lab.run([program, *arguments], cwd=dist, timeout=60)
    starts = dist / "starts.txt"
    lines = starts.read_text().split() if starts.exists() else []
    until = time.monotonic() + 60
    while len(lines) < awaited and time.monotonic() < until:
        time.sleep(0.5)
        lines = starts.read_text().split() if starts.exists() else []
    starts.unlink(missing_ok=True)
    return done.code, done.out, done.err, lines


def run_alone(dist: Path, case: str) -> str:
    """Run a case of a program without standard handles, as a double click does; return what became of it."""
    result = dist / "failure.txt"
    result.unlink(missing_ok=True)
    program = next(dist / name for name in ("main.exe", "app.exe") if (dist / name).exists())
    detached = "import subprocess, sys; subprocess.Popen(sys.argv[1:], creationflags=8, close_fds=True).wait(60)"
    path = "Z:" + str(program).replace("/", "\\")
    windows_lab.run([embedded_python() / "python.exe", "-c", detached, path, case], cwd=dist, timeout=90)
    return result.read_text() if result.exists() else "it wrote nothing"


def scanned(dist: Path, entry: Path) -> list[Finding]:
    """Return what is found of how a program behaves, with `entry` as its script, worst first."""
    session = Session(str(dist), Options(entries=(str(entry),), environ={}))
    found = session.examine(session.dist.tree).findings
    return [finding for finding in found if finding.rule.startswith("DF4")]


def rules(dist: Path, entry: Path) -> list[tuple[str, Severity]]:
    """Return (rule, severity) of what is more than a remark."""
    found = scanned(dist, entry)
    return [(finding.rule, finding.severity) for finding in found if finding.severity is not Severity.INFO]


# --- processes -------------------------------------------------------------------------------------------------------


def test_nuitka_workers_without_a_guard(tmp_path: Path) -> None:
    dist = copied(compiled("unguarded.py"), tmp_path / "d")
    _, _, _, starts = run(dist, awaited=7)
    assert starts == ["__main__", *["__parents_main__"] * 6]  # where its own brake stopped it
    (finding,) = [one for one in scanned(dist, FOLDER / "unguarded.py") if one.severity is not Severity.INFO]
    assert (finding.rule, finding.severity, finding.subject) == ("DF401", Severity.ERROR, "unguarded.py")
    assert [(one.path, one.line) for one in finding.locations] == [("unguarded.py", 18)]
    assert finding.message == (
        'unguarded.py:18 starts processes by multiprocessing.Process.start outside of if __name__ == "__main__"; each '
        "worker runs the script from its start, and starts processes of its own, without end. Put what starts them under "
        'if __name__ == "__main__".'
    )


def test_nuitka_workers_under_a_guard_need_no_freeze_support(tmp_path: Path) -> None:
    dist = copied(compiled("guarded.py"), tmp_path / "d")
    code, out, _, starts = run(dist)
    assert (code, out.split(), starts) == (0, ["worked"], ["__main__", "__parents_main__"])
    assert rules(dist, FOLDER / "guarded.py") == []


@pytest.mark.parametrize("build", [frozen, frozen_by_cx_freeze])
def test_other_freezers_need_freeze_support(tmp_path: Path, build: object) -> None:
    assert callable(build)
    dist = copied(build("guarded.py"), tmp_path / "without")
    _, out, _, starts = run(dist, awaited=7)
    assert len(starts) == 7 and set(starts) == {"__main__"} and "worked" not in out
    (finding,) = [one for one in scanned(dist, FOLDER / "guarded.py") if one.severity is not Severity.INFO]
    assert (finding.rule, finding.severity, finding.locations[0].line) == ("DF402", Severity.ERROR, 19)
    assert "nothing calls multiprocessing.freeze_support()" in finding.message

    dist = copied(build("supported.py"), tmp_path / "with")
    code, out, _, starts = run(dist)
    assert (code, out.split(), starts) == (0, ["worked"], ["__main__", "__main__"])
    assert rules(dist, FOLDER / "supported.py") == []


def test_workers_repeat_what_no_guard_keeps_them_from(tmp_path: Path) -> None:
    dist = copied(frozen("repeated.py"), tmp_path / "d")
    (dist / "settings.json").write_text("{}")
    code, out, _, _ = run(dist)
    assert (code, out.strip()) == (0, "[1, 4, 9]")
    assert len((dist / "reads.txt").read_text().split()) >= 2
    found = [finding for finding in scanned(dist, FOLDER / "repeated.py") if finding.severity is Severity.WARNING]
    assert [(one.rule, one.severity, one.locations[0].line) for one in found] == [("DF403", Severity.WARNING, 7)]
    assert "line 7 calls json.load, which reads a file" in found[0].message


def test_nuitka_without_multiprocessing(tmp_path: Path, cli: Callable[..., Cli]) -> None:
    """The package that imports it was left out; brought from the environment, it starts what is no worker."""
    entry = FOLDER / "borrowed" / "main.py"
    dist = copied(compiled("borrowed", "--nofollow-import-to=crowd"), tmp_path / "d")
    shutil.copy(entry.with_name("crowd.py"), dist)
    repaired = cli("repair", dist, "--env", f"python:{nuitka_lab.environment()}", "--entry", entry, "--yes")
    assert "multiprocessing/" in repaired.out and "DF405" in repaired.out
    _, out, _, starts = run(dist, awaited=7)
    assert len(starts) == 7 and set(starts) == {"__main__"} and "worked" not in out
    (finding,) = [one for one in scanned(dist, entry) if one.severity is not Severity.INFO]
    assert (finding.rule, finding.severity, finding.subject) == ("DF405", Severity.WARNING, "crowd")
    assert [(one.path, one.line) for one in finding.locations] == [("crowd.py", 12)]
    assert ("DF405", Severity.ERROR) in rules(dist, FOLDER / "guarded.py")


# --- the cases of one program ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(compiled("cases"), tmp_path_factory.mktemp("nuitka") / "d")


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(frozen("cases"), tmp_path_factory.mktemp("pyinstaller") / "d")


def outcome(dist: Path, case: str) -> str:
    run(dist, case)
    return (dist / "failure.txt").read_text()


def test_a_python_that_is_not_there(program: Path, archived: Path) -> None:
    for dist, failure in ((program, "[WinError 2]"), (archived, "that was no pip")):
        assert failure in outcome(dist, "starts_python")
        assert rules(dist, CASES / "starts_python.py") == [("DF404", Severity.ERROR)]
        assert outcome(dist, "starts_program") == "ended well"
        assert rules(dist, CASES / "starts_program.py") == []


def test_sources_of_compiled_code(program: Path, archived: Path) -> None:
    for dist in (program, archived):
        assert "OSError: could not get source code" in outcome(dist, "source_wanted")
        assert rules(dist, CASES / "source_wanted.py") == [("DF406", Severity.ERROR)]
        assert outcome(dist, "source_unwanted") == "ended well"
        assert rules(dist, CASES / "source_unwanted.py") == []


def test_a_source_beside_a_program_of_nuitka_is_found(program: Path, tmp_path: Path) -> None:
    dist = copied(program, tmp_path / "d")
    shutil.copy(CASES / "source_wanted.py", dist)
    assert outcome(dist, "source_wanted") == "ended well"
    assert rules(dist, CASES / "source_wanted.py") == []


CACHED = (
    "import numba\n\n\n@numba.njit(cache={})\ndef more(number):\n    return number + 1\n\n\nprint(more(2))\ninput\n"
)


def test_a_cache_of_code_without_a_file(archived: Path, tmp_path: Path) -> None:
    """Frozen code is from a file that is not there, which is all that numba looks at."""
    dist = lay_out_flat(
        tmp_path / "d", ("numba==0.60.0", "llvmlite==0.43.0", "numpy==1.26.4", "msvc-runtime==14.42.34433")
    )
    for cache, failure in (("True", "no locator available for file 'frozen.py'"), ("False", "")):
        source = CACHED.format(cache)
        (tmp_path / "frozen.py").write_text(source)
        (dist / "start.py").write_text(f"exec(compile({source!r}, 'frozen.py', 'exec'))")
        done = windows_lab.run([dist / "app.exe", "start.py"], cwd=dist)
        assert failure in done.err
        assert done.out.strip() == ("" if failure else "3")
        found = [one for one in rules(archived, tmp_path / "frozen.py") if one[0] == "DF407"]
        assert found == ([("DF407", Severity.ERROR)] if failure else [])


def test_files_beside_the_program(program: Path) -> None:
    assert outcome(program, "writes_beside") == "ended well"
    assert (program / "kept.json").exists()  # in Program Files that is forbidden
    assert rules(program, CASES / "writes_beside.py") == [("DF408", Severity.WARNING)]
    assert outcome(program, "writes_for_user") == "ended well"
    assert rules(program, CASES / "writes_for_user.py") == []


def test_a_console_that_is_gone_with_the_program(program: Path) -> None:
    (finding,) = scanned(program, CASES / "source_unwanted.py")
    assert (finding.rule, finding.severity, finding.locations[0].line) == ("DF409", Severity.INFO, 14)
    assert scanned(program, CASES / "asks.py") == []  # it waits, and the last line is read when it has its answer


def test_without_a_console(program: Path, archived: Path, tmp_path: Path) -> None:
    assert rules(program, CASES / "asks.py") == rules(archived, CASES / "says.py") == []  # they have one
    compiled_one, archived_one = copied(program, tmp_path / "nuitka"), copied(archived, tmp_path / "pyinstaller")
    take_console(compiled_one / "main.exe")
    take_console(archived_one / "app.exe")
    assert "EOFError" in run_alone(compiled_one, "asks")
    assert "RuntimeError: input(): lost sys.stdin" in run_alone(archived_one, "asks")
    for dist in (compiled_one, archived_one):
        assert rules(dist, CASES / "asks.py") == [("DF409", Severity.ERROR)]
        assert run_alone(dist, "says_safely") == "ended well"
        assert rules(dist, CASES / "says_safely.py") == []
    assert "AttributeError: 'NoneType' object has no attribute 'write'" in run_alone(archived_one, "says")
    assert rules(archived_one, CASES / "says.py") == [("DF410", Severity.ERROR)]
    assert run_alone(compiled_one, "says") == "ended well"  # Nuitka opens NUL
    assert rules(compiled_one, CASES / "says.py") == []
