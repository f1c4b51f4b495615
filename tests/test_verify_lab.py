"""verify on real programs under Wine: it tells broken from sound, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from depfix.reports.json import schema
from depfix.trial.display import has_xvfb
from fixtures import windows_lab
from fixtures.behaviour_programs import compiled
from fixtures.compile_c import compile_c
from fixtures.windows_lab import CACHE, embedded_python, lay_out_flat
from tests.conftest import Cli, DistMaker, Forge, put, snapshot

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

Run = Callable[..., Cli]
CACHED = CACHE / "nobody" / ".cache" / "depfix" / "wine"  # of the home that the command line has in tests
WINDOW = """
#include <windows.h>
#include <stdio.h>
int WINAPI WinMain(HINSTANCE instance, HINSTANCE before, LPSTR command, int show) {
    if (command[0] == 'b') return MessageBoxA(0, "Failed to execute script", "error", MB_ICONERROR);
    if (command[0] == 'p') { puts("ready to serve"); fflush(stdout); }
    HWND window = CreateWindowA("STATIC", "hello", WS_OVERLAPPEDWINDOW | WS_VISIBLE, 9, 9, 400, 300, 0, 0, instance, 0);
    MSG message;
    if (!window) return 7;
    while (GetMessageA(&message, 0, 0, 0) > 0) DispatchMessageA(&message);
    return 0;
}
"""
CRASH = """
#include <windows.h>
#include <stdio.h>
int main(int count, char **arguments) {
    if (count == 1) RaiseException(0xC06D007E, 0, 0, 0);
    puts("ready to serve");
    fflush(stdout);
    Sleep(100000);
    return 0;
}
"""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each run there is no process of it, no folder, no screen."""
    before = set(Path("/tmp").glob("depfix-screen-*"))
    yield
    assert list(CACHED.glob("run-*")) == []
    assert set(Path("/tmp").glob("depfix-screen-*")) <= before
    assert processes_of(str(CACHED)) == []


def processes_of(prefix: str) -> list[str]:
    """Return the programs that run in a Wine prefix below a folder."""
    wanted = f"WINEPREFIX={prefix}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
    return found


def verified(cli: Run, *arguments: object) -> tuple[int, dict[str, object], set[tuple[str, str, str]]]:
    """Return (exit code, `verification_run`, {(rule, severity, subject)}) of a run of the command."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    result = cli("verify", *arguments[:at], "--format", "json", *arguments[at:])
    assert result.code in (0, 1), result
    report = json.loads(result.out)
    jsonschema.validate(report, json.loads(schema()))
    rows = {(one["rule"], one["severity"], one["subject"]) for one in report["findings"]}
    return result.code, report["verification_run"], rows


def flat_dist(root: Path, source: str, name: str = "program.py") -> Path:
    """Make a dist of a real CPython whose program is app.exe, with a script beside it."""
    lay_out_flat(root, ())
    (root / name).write_text(source, encoding="utf-8")
    return root


# --- what must be told apart -----------------------------------------------------------------------------------------


def test_the_broken_torch_from_the_repaired_one(
    torch_dist: Path, torch_master: tuple[Path, Path], tmp_path: Path, cli: Run
) -> None:
    program = ("--", "-c", "import torch; print('sum', int((torch.tensor([1, 2]) + 1).sum()))")
    (tmp_path / "program.py").write_text("import torch\n")
    entry = ("--entry", tmp_path / "program.py")
    before = snapshot(torch_dist)
    code, run, rows = verified(cli, torch_dist, "--link", "--no-compare", *program)
    assert (code, run["passed"], run["exit_code"]) == (1, False, 1)
    assert rows == {("DF602", "error", "app.exe"), ("DF603", "error", "msvcp140.dll")}
    assert "WinError 126" in str(run["err"])
    causes = run["causes"]
    assert isinstance(causes, list)
    assert [causes[0]["cause"], causes[0]["confidence"]] == ["missing-dll", "probable"]  # nobody looked into the dist
    assert snapshot(torch_dist) == before

    assert cli("repair", torch_dist, "--env", f"conda:{torch_master[0]}", *entry, "--yes").code == 0
    code, run, rows = verified(cli, torch_dist, "--link", "--no-compare", "--expect", "sum 5", *program)
    assert (code, run["passed"], run["exit_code"], str(run["out"])) == (0, True, 0, "sum 5\n"), run["err"]
    assert not {row for row in rows if row[1] != "info"}
    inside = {str(load["inside"]).lower() for load in run["loads"]}  # type: ignore[attr-defined]
    assert {"uv.dll", "libiomp5md.dll", "msvcp140.dll", "torch/lib/torch_cpu.dll"} <= inside
    if run["read"] is not None:
        assert "torch/__init__.py" in run["read"]  # type: ignore[operator]


def test_a_path_that_only_this_machine_has(cli: Run, tmp_path: Path, forge: Forge) -> None:
    library = put(forge("need.dll"), tmp_path / "machine" / "need.dll")
    bound = "Z:" + str(library).replace("/", "\\")
    load = "import ctypes, os\nprint(ctypes.WinDLL({}).call_need_dll())\n"
    dist = flat_dist(tmp_path / "bound", load.format(repr(bound)))
    code, _, rows = verified(cli, dist, "--no-compare", "--", "program.py")
    assert (code, rows) == (1, {("DF601", "error", "need.dll")})
    library.unlink()  # as it is on another machine
    code, run, rows = verified(cli, dist, "--no-compare", "--", "program.py")
    assert (code, run["exit_code"]) == (1, 1)
    assert ("DF603", "info", "need.dll") in rows and ("DF602", "error", "app.exe") in rows

    beside = "os.path.join(os.path.dirname(os.path.abspath(__file__)), 'need.dll')"
    sound = flat_dist(tmp_path / "sound", load.format(beside))
    put(forge("need.dll"), sound / "need.dll")
    code, run, rows = verified(cli, sound, "--no-compare", "--odd-path", "--", "program.py")
    assert (code, str(run["out"]), rows) == (0, "1\n", set()), run["err"]
    assert run["place"] == "C:\\程序 文件\\app (测试)"


def test_a_dll_that_only_path_has(cli: Run, make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    dist = make_dist({"start.exe": ("need.dll",)}, python=False)
    (dist / "app.exe").unlink()
    library = put(forge("need.dll"), tmp_path / "on path" / "need.dll")
    code, run, rows = verified(cli, dist)
    assert (code, run["exit_code"], run["statuses"]) == (1, 0x35, [0xC0000135])
    assert rows == {("DF602", "error", "start.exe"), ("DF603", "error", "need.dll")}
    assert "STATUS_DLL_NOT_FOUND" in str(run["failure"])

    windows_lab.wine_prefix()
    env = {"WINEPREFIX": str(windows_lab.PREFIX), "WINEDEBUG": "+loaddll", "PATH": os.environ["PATH"]}
    env["WINEPATH"] = "Z:" + str(library.parent).replace("/", "\\")
    done = subprocess.run(["wine", dist / "start.exe"], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1, done  # what its DLL gives: it runs where PATH leads to it
    (tmp_path / "wine.log").write_bytes(done.stderr)
    code, run, rows = verified(cli, dist, "--trace", tmp_path / "wine.log")
    assert (code, rows) == (1, {("DF601", "error", "need.dll")})


READS = """
import sys
with open("settings.txt") as file:
    print(file.read(), sys.stdout.encoding)
"""


def test_another_language_has_another_code_page(cli: Run, tmp_path: Path) -> None:
    dist = flat_dist(tmp_path / "dist", READS)
    (dist / "settings.txt").write_text("中文一", encoding="utf-8")
    code, run, _ = verified(cli, dist, "--no-compare", "--language", "zh_CN", "--odd-path", "--", "program.py")
    assert (code, run["exit_code"]) == (1, 1)
    assert "'gbk' codec can't decode" in str(run["failure"]) + str(run["err"])
    (dist / "settings.txt").write_text("中文一", encoding="gbk")
    code, run, _ = verified(cli, dist, "--no-compare", "--language", "zh_CN", "--odd-path", "--", "program.py")
    assert (code, run["out"]) == (0, "中文一 utf-8\n"), run["err"]


# --- kinds of programs -----------------------------------------------------------------------------------------------


def test_a_nuitka_program_in_an_odd_place_that_writes_beside_itself(cli: Run, tmp_path: Path) -> None:
    dist = tmp_path / "main.dist"
    shutil.copytree(compiled("guarded.py"), dist)
    for file in embedded_python().glob("vcruntime140*.dll"):
        shutil.copy(file, dist)
    before = snapshot(dist)
    code, run, rows = verified(cli, dist, "--odd-path", "--expect", "worked")
    assert (code, run["exit_code"]) == (0, 0), run
    assert not {row for row in rows if row[1] != "info"}
    assert run["written"] == ["starts.txt"]
    comparison = run["comparison"]
    assert isinstance(comparison, dict) and comparison["unforeseen"] == []
    code, run, _ = verified(cli, dist, "--link", "--no-compare", "--cwd", "elsewhere")
    assert (code, run["written"], run["changed_in_dist"]) == (0, [], [])
    assert snapshot(dist) == before


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("window")
    (folder / "source.c").write_text(WINDOW)
    (folder / "crash.c").write_text(CRASH)
    compile_c(folder / "source.c", folder / "dist" / "app.exe", libraries=("user32",))
    compile_c(folder / "crash.c", folder / "dist" / "crash.exe")
    return folder / "dist"


def test_a_program_with_a_window(cli: Run, window: Path, tmp_path: Path) -> None:
    picture = tmp_path / "screen.png"
    wanted = ("--screenshot", picture) if has_xvfb(os.environ) else ()
    code, run, rows = verified(cli, window, "--alive", "3", "--no-compare", *wanted)
    assert (code, run["passed"], run["exit_code"], rows) == (0, True, None, set())
    if wanted:
        assert run["display"] == "Xvfb"
        assert picture.read_bytes().startswith(b"\x89PNG")
    else:
        refused = cli("verify", window, "--screenshot", picture)
        assert (refused.code, "install Xvfb" in refused.err) == (2, True)
    code, run, rows = verified(cli, window, "--alive", "3", "--no-compare", "--", "box")
    assert (code, run["message_boxes"]) == (0, ["Failed to execute script"])
    assert rows == {("DF602", "warning", "app.exe")}


def test_what_hangs_is_ended_and_what_serves_is_not_waited_for(cli: Run, window: Path) -> None:
    code, run, rows = verified(cli, window, "--timeout", "3", "--no-compare")
    assert (code, run["passed"], run["exit_code"]) == (1, False, None)
    assert (rows, run["failure"]) == ({("DF602", "error", "app.exe")}, "did not end within 3 s")
    start = time.monotonic()
    code, run, _ = verified(
        cli, window, "--timeout", "100", "--expect", "ready to serve", "--no-compare", "--", "print"
    )
    assert (code, run["passed"]) == (0, True)
    assert time.monotonic() - start < 60


def test_a_crash_is_an_exit_code_and_no_dialog(cli: Run, window: Path) -> None:
    code, run, rows = verified(cli, window, "--exe", "crash", "--no-compare")
    assert (code, rows) == (1, {("DF602", "error", "crash.exe")})
    assert "0xC06D007E, a delay-loaded DLL is missing" in str(run["failure"])


# --- nothing is left -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(window: Path, how: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "depfix", "verify", str(window), "--no-compare"]
    env = {**os.environ, "HOME": str(CACHE / "nobody")}
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 90
    while not any("app.exe" in text for text in processes_of(str(CACHED))) and time.monotonic() < until:
        time.sleep(0.2)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told


def test_a_prefix_is_kept_on_request(cli: Run, window: Path, tmp_path: Path) -> None:
    kept = tmp_path / "prefix"
    for _ in range(2):
        assert verified(cli, window, "--prefix", kept, "--alive", "1", "--no-compare")[0] == 0
    assert (kept / "drive_c" / "app" / "app.exe").exists()
    assert processes_of(str(kept)) == []


# --- the branch for Windows ------------------------------------------------------------------------------------------

WATCHED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from depfix.model.run import Order
from depfix.trial.clean import windows_environment
from depfix.trial.windows_debug import run_debugged
exe, arguments, limits = sys.argv[2], sys.argv[3].split(), dict(pair.split("=") for pair in sys.argv[4:])
order = Order("x", **{"timeout": 30.0, **{name: float(value) for name, value in limits.items()}})
ended, loads, statuses = run_debugged([exe, *arguments], os.path.dirname(exe), windows_environment(os.environ), order)
loads = [path.rpartition(chr(92))[2].lower() for path in loads]
print(ended.code, list(statuses), [name for name in loads if name in ("app.exe", "crash.exe", "kernel32.dll", "need.dll")])
print(ended.out.strip())
"""


def under_windows(script: Path, exe: Path, arguments: str = "", *limits: str) -> list[str]:
    root = "Z:" + str(Path(__file__).parent.parent).replace("/", "\\")
    program = "Z:" + str(exe).replace("/", "\\")
    python = embedded_python() / "python.exe"
    done = windows_lab.run([python, script, root, program, arguments, *limits], cwd=script.parent, timeout=120)
    assert done.code == 0, done
    return done.out.replace("\r", "").splitlines()


def test_the_debug_api_tells_loads_codes_and_crashes(window: Path, tmp_path: Path, forge: Forge) -> None:
    script = tmp_path / "watched.py"
    script.write_text(WATCHED, encoding="utf-8")
    put(forge("app.exe", ("need.dll",)), tmp_path / "d" / "app.exe")
    put(forge("need.dll"), tmp_path / "d" / "need.dll")
    lines = under_windows(script, tmp_path / "d" / "app.exe")
    assert lines[0].startswith("1 [] ['app.exe', ") and "'need.dll'" in lines[0] and "'kernel32.dll'" in lines[0]
    (tmp_path / "d" / "need.dll").unlink()
    assert under_windows(script, tmp_path / "d" / "app.exe")[0].startswith(f"{0xC0000135} ")
    assert under_windows(script, window / "crash.exe")[0].startswith(f"{0xC06D007E} [{0xC06D007E}] ")
    lines = under_windows(script, window / "crash.exe", "wait", "timeout=2")
    assert (lines[0], lines[1]) == ("None [] ['crash.exe', 'kernel32.dll']", "ready to serve")
