"""What verify reads of runs: Wine's log, the output of dlltracer, CSV of Process Monitor, and where the dist was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.model.run import Sought, Unresolved
from depfix.trial.failures import TraceNotReadError
from depfix.trial.observed import Places, is_system, root_of
from depfix.trial.traces import read_trace
from depfix.trial.watching import read_wine_log, split_log

# Lines of real runs under Wine 8.0, with the folders renamed.
LOADS = r"""0120:trace:loaddll:build_module Loaded L"C:\\app\\main.exe" at 0000000140000000: native
0120:trace:loaddll:build_module Loaded L"C:\\windows\\system32\\kernel32.dll" at 000000007B600000: builtin
0120:trace:loaddll:build_module Loaded L"C:\\app\\torch\\lib\\asmjit.dll" at 0000000180000000: native
0120:trace:loaddll:build_module Loaded L"Z:\\opt\\env\\Library\\bin\\uv.dll" at 0000000190000000: native
"""
MISSING = r"""0120:warn:module:find_builtin_dll cannot find builtin library for L"\\??\\C:\\app\\torch\\lib\\c10.dll"
0120:warn:module:load_dll Failed to load module L"MSVCP140.dll"; status=c0000135
0120:err:module:import_dll Library MSVCP140.dll (which is needed by L"C:\\app\\torch\\lib\\c10.dll") not found
0120:warn:module:load_dll Failed to load module L"C:\\app\\torch\\lib\\c10.dll"; status=c0000135
0120:warn:module:load_dll Failed to load module L"nosuch.dll"; status=c0000135
0044:warn:module:load_dll Failed to load module L"winemac.drv"; status=c0000135
"""
CRASHES = r"""0024:err:module:LdrInitializeThunk Importing dlls for L"C:\\app\\main.exe" failed, status c0000135
wine: Unhandled exception 0xc06d007e in thread 124 at address 000000007B013D7E (thread 0124), starting debugger...
wine: Unhandled page fault on write access to 0000000000000000 at address 000000014000108C (thread 011c), starting
wine: Call from 000000007B013D7E to unimplemented function ucrtbase.dll.crealf, aborting
0134:trace:msgbox:MSGBOX_OnInit L"Failed to execute \"script\"\n\4e2d\6587"
0024:warn:module:import_dll No implementation for libfoo-1.2.dll.deep_call imported from L"C:\\app\\_x.pyd", setting
"""
# As dlltracer's README shows it, for another program.
DLLTRACER = r"""LoadLibrary \Device\HarddiskVolume3\Windows\System32\kernel.appcore.dll
LoadLibrary \Device\HarddiskVolume3\Users\me\main.dist\pkg\core.pyd
LoadLibrary \Device\HarddiskVolume3\Users\me\main.dist\pkg\need.dll
LoadLibrary \Device\HarddiskVolume3\Users\me\miniconda3\Library\bin\other.dll
LoadLibrary \Device\HarddiskVolume3\Users\me\main.dist\late.pyd
Failed \Device\HarddiskVolume3\Users\me\main.dist\late.pyd
"""
MONITOR = r""""Time of Day","Process Name","PID","Operation","Path","Result","Detail"
"5:25:50.1 PM","app.exe","8672","Load Image","D:\apps\main.dist\app.exe","SUCCESS","Image Base: 0x140000000"
"5:25:50.2 PM","app.exe","8672","Load Image","D:\apps\main.dist\pkg\core.pyd","SUCCESS","Image Base: 0x180000000"
"5:25:50.3 PM","app.exe","8672","CreateFile","D:\apps\main.dist\pkg\gone.dll","NAME NOT FOUND","Desired Access: Read"
"5:25:50.4 PM","app.exe","8672","CreateFile","C:\Windows\System32\gone.dll","NAME NOT FOUND","Desired Access: Read"
"5:25:50.5 PM","app.exe","8672","CreateFile","D:\apps\main.dist\other.dll","NAME NOT FOUND","Desired Access: Read"
"5:25:50.6 PM","app.exe","8672","CreateFile","D:\apps\main.dist\pkg\core.cp310-win_amd64.pyd","NAME NOT FOUND",""
"5:25:50.7 PM","app.exe","8672","Load Image","C:\ProgramData\conda\Library\bin\other.dll","SUCCESS",""
"5:25:50.8 PM","explorer.exe","1","Load Image","C:\ProgramData\shell.dll","SUCCESS",""
"""


def tree(*paths: str) -> Tree:
    return Tree("dist", [FileEntry(path, f"/nowhere/{path}", 1, FileKind.IMAGE) for path in paths])


# --- Wine's log ------------------------------------------------------------------------------------------------------


def test_loads_with_their_place_in_the_dist() -> None:
    places = Places(tree("main.exe", "torch/lib/asmjit.dll"), ("C:\\app",))
    loads = read_wine_log(LOADS, places).loads
    assert [(load.inside, load.system, load.builtin) for load in loads] == [
        ("main.exe", False, False),
        ("", True, True),
        ("torch/lib/asmjit.dll", False, False),
        ("", False, False),
    ]
    assert loads[3].path == "Z:\\opt\\env\\Library\\bin\\uv.dll"


def test_what_was_not_found_with_its_importer_and_not_what_failed_for_it() -> None:
    found = read_wine_log(MISSING, Places(tree("torch/lib/c10.dll"), ("C:\\app",))).sought
    assert found == (Sought("MSVCP140.dll", "torch/lib/c10.dll", 0xC0000135), Sought("nosuch.dll", "", 0xC0000135))


def test_how_processes_ended_and_what_they_showed() -> None:
    seen = read_wine_log(CRASHES, Places(tree("_x.pyd"), ("C:\\app",)))
    assert seen.statuses == (0xC0000135, 0xC06D007E, 0xC0000005)
    assert seen.boxes == ('Failed to execute "script"\n中文',)
    assert seen.gaps == ("ucrtbase.dll.crealf",)
    assert seen.unresolved == (Unresolved("libfoo-1.2.dll", "deep_call", "_x.pyd"),)


def test_the_programs_own_words_are_told_from_the_log() -> None:
    mixed = f"first\r\nunfinished{LOADS}rest\nwine: Unhandled exception 0xc0000409 in thread 1\nlast: 0120:x"
    log, own = split_log(mixed)
    assert own == "first\nunfinishedrest\nlast: 0120:x"
    assert log.count("Loaded L") == 4
    assert "0xc0000409" in log


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.sampled_from([LOADS[:150], MISSING[:333], CRASHES[40:500], "L" + '"' * 99]))
def test_any_text_is_taken_for_a_log(text: str) -> None:
    places = Places(tree("a.dll"), ("C:\\app",))
    for cut in (text, text[::-1], text.replace("0", "\\")):
        read_wine_log(split_log(cut)[0], places)
        read_wine_log(cut, places)


# --- places ----------------------------------------------------------------------------------------------------------


def test_paths_of_the_dist_in_any_spelling() -> None:
    places = Places(tree("pkg/Core.pyd", "main.exe"), ("C:\\Pro Grams\\main.dist",))
    assert places.inside("\\\\?\\c:\\PRO GRAMS\\Main.dist\\PKG\\core.PYD") == "pkg/Core.pyd"
    assert places.inside("C:\\PROG~1\\MAIN~YIR.DIS\\pkg\\core.pyd") == "pkg/Core.pyd"
    assert places.inside("C:\\Pro Grams\\main.dist\\made\\later.dll") == "made/later.dll"
    assert places.inside("C:\\Pro Grams\\main.dist2\\pkg\\core.pyd") == ""
    assert places.inside("D:\\elsewhere\\pkg\\core.pyd") == ""
    assert places.inside("") == ""


def test_the_folder_on_another_machine() -> None:
    there = tree("app.exe", "pkg/core.pyd", "pkg/need.dll")
    paths = ["C:\\Windows\\System32\\need.dll", "D:\\x\\main\\pkg\\core.pyd", "D:\\x\\main\\pkg\\need.dll"]
    assert root_of(paths, there, ("app.exe",)) == "d:/x/main"
    assert root_of([*paths, "E:\\y\\app.exe"], there, ("app.exe",)) == "e:/y"
    assert root_of(["C:\\other\\thing.dll"], there, ("app.exe",)) == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\WINDOWS\\System32\\a.dll", True),
        ("\\Device\\HarddiskVolume3\\Windows\\System32\\a.dll", True),
        ("\\\\?\\D:\\Windows\\WinSxS\\x\\a.dll", True),
        ("C:\\Users\\windows\\a.dll", False),
        ("Z:\\opt\\windows\\a.dll", False),
    ],
)
def test_what_belongs_to_windows(path: str, expected: bool) -> None:
    assert is_system(path) is expected


# --- traces ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def dist_tree() -> Tree:
    return tree("app.exe", "pkg/core.pyd", "pkg/need.dll", "late.pyd")


def test_a_trace_of_dlltracer(tmp_path: Path, dist_tree: Tree) -> None:
    (tmp_path / "log.txt").write_text(DLLTRACER + "Traceback (most recent call last):\n")
    trace = read_trace(str(tmp_path / "log.txt"), dist_tree, ("app.exe",))
    assert (trace.kind, trace.root) == ("dlltracer's output", "/device/harddiskvolume3/users/me/main.dist")
    assert [load.inside for load in trace.observed.loads] == ["", "pkg/core.pyd", "pkg/need.dll", ""]
    assert trace.observed.loads[0].system
    assert trace.observed.sought == (Sought("late.pyd", "", 0xC0000135),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_trace_of_process_monitor(tmp_path: Path, dist_tree: Tree, encoding: str) -> None:
    (tmp_path / "Logfile.CSV").write_text(MONITOR, encoding=encoding, newline="\r\n")
    trace = read_trace(str(tmp_path / "Logfile.CSV"), dist_tree, ("app.exe",))
    assert (trace.kind, trace.root) == ("CSV of Process Monitor", "d:/apps/main.dist")
    assert [load.inside or load.path for load in trace.observed.loads] == [
        "app.exe",
        "pkg/core.pyd",
        "C:\\ProgramData\\conda\\Library\\bin\\other.dll",
    ]
    assert [one.name for one in trace.observed.sought] == ["gone.dll"]  # the other one was found in the end


def test_a_trace_of_wine(tmp_path: Path) -> None:
    (tmp_path / "wine.log").write_text("hello\n" + LOADS + MISSING)
    trace = read_trace(str(tmp_path / "wine.log"), tree("main.exe", "torch/lib/asmjit.dll"), ("main.exe",))
    assert (trace.kind, trace.root) == ("Wine's log", "c:/app")
    assert [one.name for one in trace.observed.sought] == ["MSVCP140.dll", "nosuch.dll"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "none of the kinds"),
        (b"\0\xff\xfe" * 50, "none of the kinds"),
        (b'"a","b"\n' + b'"' * 70000, "none of the kinds"),
        (MONITOR.replace("app.exe", "else.exe").encode(), "no event of app.exe"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, dist_tree: Tree, content: bytes, words: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(TraceNotReadError, match=words):
        read_trace(str(tmp_path / "log"), dist_tree, ("app.exe",))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 2000), st.sampled_from([LOADS + MISSING, DLLTRACER, MONITOR]))
def test_damaged_traces_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, text: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "log"
    content = text.encode()
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        read_trace(str(path), tree("app.exe", "pkg/core.pyd"), ("app.exe",))
    except TraceNotReadError as error:
        assert str(path) in str(error)
