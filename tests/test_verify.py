"""What verify copies, waits for, judges, compares and says; real runs are in test_verify_lab.py."""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from depfix.errors import DepfixError
from depfix.model.image import Image
from depfix.model.run import Ended, Load, Observed, Order, Sought, Unresolved
from depfix.pe.reader import read_image
from depfix.pe.symbols import read_exports
from depfix.reports.json import schema
from depfix.session import Options, Session
from depfix.trial import prefix, verification
from depfix.trial.clean import copy_dist, remove_folder, windows_environment
from depfix.trial.compare import compare
from depfix.trial.display import png_of_xwd
from depfix.trial.exits import exit_words
from depfix.trial.failures import CannotRunError
from depfix.trial.judge import Seen, judged
from depfix.trial.running import Streams, watch
from depfix.trial.wine_gaps import completed_ucrt, forwarding_dll
from tests.conftest import Cli, DistMaker, snapshot
from tests.test_verify_traces import MONITOR

Run = Callable[..., Cli]

# --- the clean copy --------------------------------------------------------------------------------------------------


def test_the_environment_is_windows_own() -> None:
    env = windows_environment(
        {
            "SystemRoot": "D:\\Windows",
            "TEMP": "D:\\t",
            "PATH": "D:\\conda\\Library\\bin;D:\\Windows",
            "PYTHONPATH": "x",
            "CONDA_PREFIX": "x",
            "QT_PLUGIN_PATH": "x",
            "VIRTUAL_ENV": "x",
            "UserProfile": "D:\\Users\\me",
        }
    )
    assert env == {
        "SystemRoot": "D:\\Windows",
        "TEMP": "D:\\t",
        "UserProfile": "D:\\Users\\me",
        "PATH": "D:\\Windows\\System32;D:\\Windows;D:\\Windows\\System32\\Wbem;"
        "D:\\Windows\\System32\\WindowsPowerShell\\v1.0",
    }


def some_dist(root: Path) -> Path:
    (root / "data" / "empty").mkdir(parents=True)
    (root / "main.exe").write_bytes(b"MZ program")
    (root / "lib.dll").write_bytes(b"MZ library")
    (root / "data" / "settings.json").write_text("{}")
    (root / "data" / "settings.json").chmod(0o444)
    (root / "gone.txt").symlink_to(root / "nowhere")
    return root


def test_a_copy_is_whole_and_tells_what_a_run_did(tmp_path: Path) -> None:
    dist = some_dist(tmp_path / "dist")
    before = snapshot_of_files(dist)
    copy = copy_dist(str(dist), str(tmp_path / "in" / "copy"))
    inside = tmp_path / "in" / "copy"
    assert (copy.written(), copy.spoilt()) == ((), ())
    assert copy.read() == (frozenset() if copy.sees_reads else None)
    assert (inside / "data" / "empty").is_dir()
    (inside / "lib.dll").write_bytes(b"MZ other")
    (inside / "log.txt").write_text("written")
    (inside / "__pycache__").mkdir()
    (inside / "__pycache__" / "x.pyc").write_text("cache")
    (inside / "data" / "settings.json").read_text()
    assert copy.written() == ("lib.dll", "log.txt")
    assert copy.read() == (frozenset({"data/settings.json"}) if copy.sees_reads else None)
    assert snapshot_of_files(dist) == before
    del before["lib.dll"]
    assert snapshot_of_files(inside).items() >= before.items()
    remove_folder(inside)
    assert not inside.exists()


def test_links_are_for_images_and_are_watched(tmp_path: Path) -> None:
    dist = some_dist(tmp_path / "dist")
    copy = copy_dist(str(dist), str(tmp_path / "copy"), link=True)
    assert set(copy.linked) == {"main.exe", "lib.dll"}
    assert (tmp_path / "copy" / "lib.dll").samefile(dist / "lib.dll")
    assert not (tmp_path / "copy" / "data" / "settings.json").samefile(dist / "data" / "settings.json")
    assert copy.spoilt() == ()
    (tmp_path / "copy" / "lib.dll").write_bytes(b"MZ written in place")
    assert copy.spoilt() == ("lib.dll",)


def test_no_room_is_told_before_anything_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist = some_dist(tmp_path / "dist")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1000})())
    with pytest.raises(CannotRunError, match="are needed") as told:
        copy_dist(str(dist), str(tmp_path / "copy"))
    assert "--link" in told.value.hint


def test_a_link_to_the_dist_itself_does_not_copy_for_ever(tmp_path: Path) -> None:
    dist = some_dist(tmp_path / "dist")
    (dist / "self").symlink_to(dist)
    copy = copy_dist(str(dist), str(tmp_path / "copy"))
    assert set(copy.before) == {"main.exe", "lib.dll", "data/settings.json"}


def snapshot_of_files(root: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


# --- waiting ---------------------------------------------------------------------------------------------------------


class Clock:
    """A program that prints a text after some looks at it, and ends after some."""

    def __init__(self, end: int = 1_000_000, text: bytes = b"", at: int = 0) -> None:
        self.reads, self._writes = os.pipe()
        self._looks, self._end, self._text, self._at = 0, end, text, at
        self.streams = Streams(os.fdopen(self.reads, "rb"))

    def ended(self, wait: float) -> bool:
        time.sleep(wait)
        self._looks += 1
        if self._looks == self._at:
            os.write(self._writes, self._text)
        return self._looks >= self._end

    def close(self) -> str:
        os.close(self._writes)
        return self.streams.finish(5)[0]


def test_a_program_that_ends_is_not_waited_for() -> None:
    clock = Clock(end=3, text=b"hello", at=1)
    assert watch(Order("x", timeout=50), clock.streams, clock.ended) < 5
    assert clock.close() == "hello"


def test_the_time_limit_holds() -> None:
    clock = Clock()
    assert 0.2 <= watch(Order("x", timeout=0.2), clock.streams, clock.ended) < 5
    clock.close()


def test_what_is_alive_long_enough_is_not_waited_for() -> None:
    clock = Clock()
    assert 0.2 <= watch(Order("x", timeout=50, alive=0.2), clock.streams, clock.ended) < 5
    clock.close()


def test_after_the_expected_text_there_is_time_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depfix.trial.running._SETTLING", 0.3)
    clock = Clock(text=b"ready", at=2)
    assert 0.3 <= watch(Order("x", timeout=50, expect="ready"), clock.streams, clock.ended) < 10
    clock.close()


# --- judging ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(make_dist: DistMaker) -> Session:
    dist = make_dist(
        {"pkg/core.pyd": ("need.dll", "gone.dll"), "pkg/need.dll": (), "spare.dll": ()},
        {"pkg/__init__.py": "from . import core\n", "pkg/unused.txt": "x" * 10},
    )
    return Session(str(dist), Options(environ={}))


def seen(
    session: Session,
    observed: Observed,
    ended: Ended | None = None,
    *,
    order: Order | None = None,
    windows: bool = False,
) -> Seen:
    session.environments(())
    closure = session.examine(session.dist.tree).closure
    comparison = compare(observed, closure)
    order = order or Order("app.exe")
    own = (lambda _path: False) if windows else (lambda path: path.lower().startswith("c:"))
    return Seen("app.exe", order, ended, observed, session.system, closure, comparison, own, windows)


def told(row: Seen) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.subject) for one in judged(row)]


OK = Ended(0, 0.5, "fine\n", "")
BAD = Ended(1, 0.5, "", "Traceback\nImportError: DLL load failed while importing core\n")


def test_a_run_that_went_well_says_nothing(small: Session) -> None:
    loads: tuple[Load, ...] = (Load("C:\\app\\app.exe", "app.exe"), Load("C:\\app\\pkg\\core.pyd", "pkg/core.pyd"))
    loads += (Load("C:\\windows\\system32\\kernel32.dll", "", True, True), Load("C:\\users\\x\\Temp\\made.dll", ""))
    row = seen(small, Observed(loads), OK)
    assert (row.failure, told(row)) == ("", [])
    assert row.comparison is not None
    assert (row.comparison.foreseen, row.comparison.unloaded.files) == (2, 3)
    assert {path for path, _ in row.comparison.unloaded.largest} == {"python310.dll", "pkg/need.dll", "spare.dll"}


def test_loads_from_outside(small: Session) -> None:
    loads = (
        Load("Z:\\env\\Library\\bin\\need.dll", ""),
        Load("Z:\\env\\hook.dll", ""),
        Load("C:\\windows\\system32\\gone.dll", "", True, False),
        Load("C:\\windows\\system32\\graphics.dll", "", True, False),
    )
    assert told(seen(small, Observed(loads), OK)) == [
        ("DF601", "error", "gone.dll"),
        ("DF601", "error", "hook.dll"),
        ("DF601", "error", "need.dll"),
    ]
    assert told(seen(small, Observed(loads), OK, windows=True)) == [
        ("DF601", "error", "gone.dll"),
        ("DF601", "error", "need.dll"),
        ("DF601", "info", "hook.dll"),
    ]


def test_a_failure_names_what_was_not_found(small: Session) -> None:
    sought = (Sought("gone.dll", "pkg/core.pyd", 0xC0000135), Sought("optional.dll", "", 0xC0000135))
    row = seen(small, Observed(sought=sought), BAD)
    assert told(row) == [
        ("DF602", "error", "app.exe"),
        ("DF603", "error", "gone.dll"),
        ("DF603", "info", "optional.dll"),
    ]
    failed, gone, _ = judged(row)
    assert "exit code 1 after 0.5 s" in failed.message
    assert "ImportError: DLL load failed" in failed.message
    assert "pkg/core.pyd imports it; scan names it, too" in gone.message
    assert gone.chain[-2:] == ("pkg/core.pyd", "gone.dll")
    assert told(seen(small, Observed(sought=sought), OK))[0] == ("DF603", "info", "gone.dll")


@pytest.mark.parametrize(
    ("order", "ended", "failure"),
    [
        (Order("app.exe"), Ended(0, 1, "", ""), ""),
        (Order("app.exe"), Ended(3, 1, "", ""), "ended with exit code 3 after 1.0 s"),
        (
            Order("app.exe"),
            Ended(0xC0000135, 1, "", ""),
            "ended with exit code 0xC0000135, STATUS_DLL_NOT_FOUND: a DLL is missing after 1.0 s",
        ),
        (Order("app.exe", timeout=9), Ended(None, 9, "", ""), "did not end within 9 s"),
        (Order("app.exe", alive=5), Ended(None, 5, "", ""), ""),
        (Order("app.exe", alive=5), Ended(0, 1, "", ""), ""),
        (Order("app.exe", alive=5), Ended(1, 1, "", ""), "ended with exit code 1 after 1.0 s"),
        (Order("app.exe", expect="up"), Ended(None, 5, "it is up", ""), ""),
        (Order("app.exe", expect="up"), Ended(0, 5, "", ""), "never printed 'up'; it ended with exit code 0"),
        (Order("app.exe", expect="up", alive=5), Ended(None, 60, "", ""), "never printed 'up'; it ran for 60 s"),
        (Order("app.exe", expect="up"), Ended(2, 1, "up", ""), "ended with exit code 2 after 1.0 s"),
    ],
)
def test_what_is_a_success(small: Session, order: Order, ended: Ended, failure: str) -> None:
    assert seen(small, Observed(), ended, order=order).failure == failure


def test_the_log_tells_the_exit_code_that_wine_cuts(small: Session) -> None:
    cut = Ended(0x35, 0.1, "", "", whole_code=False)
    assert "0xC0000135" in seen(small, Observed(statuses=(0xC0000005, 0xC0000135)), cut).failure
    assert "exit code 53" in seen(small, Observed(statuses=(0xC0000005,)), cut).failure


def test_what_wine_lacks_is_not_blamed_on_the_dist(small: Session) -> None:
    for observed in (Observed(gaps=("ucrtbase.dll.crealf",)), Observed(sought=(Sought("advapi32.dll", "app.exe"),))):
        (finding,) = judged(seen(small, observed, BAD))
        assert (finding.rule, finding.severity.value) == ("DF602", "warning")
        assert "Wine lacks" in finding.message


def test_what_a_pipe_cannot_take_may_be_no_defect(small: Session) -> None:
    words = "Traceback\nUnicodeEncodeError: 'charmap' codec can't encode characters in position 0-1\n"
    (finding,) = judged(seen(small, Observed(), Ended(1, 0.5, "", words)))
    assert (finding.severity.value, "a console takes every one" in finding.message) == ("warning", True)


def test_a_message_box_may_be_an_error(small: Session) -> None:
    waits = seen(
        small, Observed(boxes=("Failed to\nexecute",)), Ended(None, 5, "", ""), order=Order("app.exe", alive=5)
    )
    (finding,) = judged(waits)
    assert (finding.severity.value, '"Failed to execute"' in finding.message) == ("warning", True)


def test_symbols_that_a_dll_of_the_dist_lacks(small: Session) -> None:
    load = Load("C:\\app\\pkg\\need.dll", "pkg/need.dll")
    rows: tuple[Unresolved, ...]
    rows = (Unresolved("need.dll", "one", "pkg/core.pyd"), Unresolved("need.dll", "two", "pkg/core.pyd"))
    rows += (Unresolved("kernel32.dll", "newer", "pkg/core.pyd"),)  # Wine's own: Windows may have it
    (finding,) = judged(seen(small, Observed((load,), unresolved=rows), OK))
    assert (finding.rule, finding.severity.value, finding.subject) == ("DF605", "error", "need.dll")
    assert "lacks one and 1 more, which pkg/core.pyd imports" in finding.message


def test_what_was_not_foreseen(small: Session) -> None:
    loads = (Load("C:\\app\\spare.dll", "spare.dll"), Load("C:\\app\\pkg\\core.pyd", "pkg/core.pyd"))
    row = seen(small, Observed(loads, read=frozenset({"pkg/__init__.py"})), OK)
    assert told(row) == [("DF604", "info", "spare.dll")]
    assert row.comparison is not None and row.comparison.unread is not None
    assert row.comparison.unforeseen == ("spare.dll",)
    assert row.comparison.unread.largest == (("pkg/unused.txt", 10),)


# --- parts for Wine and the screen -----------------------------------------------------------------------------------


def test_a_dll_of_forwarders_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "both.dll"
    path.write_bytes(forwarding_dll("both.dll", {"Second": "KERNEL32.Sleep", "First": "ADVAPI32.SystemFunction036"}))
    image = read_image(path)
    assert isinstance(image, Image) and image.is_dll
    exports = read_exports(path)
    assert getattr(exports, "names", None) == frozenset({"First", "Second"})
    assert len(getattr(exports, "forwarders", ())) == 2


@pytest.mark.parametrize("content", [b"", b"MZ", bytes(4096), forwarding_dll("x.dll", {"creal": "A.b"})])
def test_a_c_runtime_that_is_none_stays_as_it_is(content: bytes) -> None:
    assert completed_ucrt(content) == b""


def xwd(width: int, height: int, pixels: bytes) -> bytes:
    fields = [100, 7, 2, 24, width, height, 0, 0, 32, 0, 32, 32, width * 4, 4, 0, 0, 0, 8, 256, 1, 0, 0, 0, 0, 0]
    return struct.pack(">25I", *fields) + bytes(12) + pixels


def test_a_screen_becomes_a_picture() -> None:
    png = png_of_xwd(xwd(2, 1, bytes([1, 2, 3, 0, 4, 5, 6, 0])))  # blue, green, red, unused
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack_from(">II", png, 16) == (2, 1)
    at = png.index(b"IDAT")
    (length,) = struct.unpack_from(">I", png, at - 4)
    assert zlib.decompress(png[at + 4 : at + 4 + length]) == bytes([0, 3, 2, 1, 6, 5, 4])
    for damaged in (b"", b"short", xwd(2, 1, b""), xwd(1 << 20, 1, b"x"), bytes(200)):
        assert png_of_xwd(damaged) == b""


def test_exit_codes_in_words() -> None:
    assert exit_words(1) == "1"
    assert exit_words(-1073741515) == exit_words(0xC0000135) == "0xC0000135, STATUS_DLL_NOT_FOUND: a DLL is missing"
    assert exit_words(0xC0FFEE00) == "0xC0FFEE00"


def test_no_wine_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "_LOADERS", ("no-such-wine",))
    with pytest.raises(CannotRunError, match="it is not installed") as raised:
        prefix.find_wine({"PATH": os.environ["PATH"]})
    assert raised.value.exit_code == 3
    assert "apt-get install wine" in raised.value.hint


def test_the_cache_is_where_others_keep_theirs(tmp_path: Path) -> None:
    assert prefix.cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "depfix"
    assert prefix.cache_folder({"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)}).parent.parent == tmp_path


def test_a_folder_that_is_no_prefix_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DepfixError, match="no Wine prefix that depfix made"):
        prefix._kept(str(tmp_path), tmp_path / "template")


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "run-999999999-abc").mkdir()
    (tmp_path / f"run-{os.getpid()}-abc").mkdir()
    prefix._sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"run-{os.getpid()}-abc"]


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("--exe", "nosuch"), ("no program nosuch", "hint: there is app.exe"), 2),
        (("--cwd", "no/such/folder"), ("no such folder", "--cwd takes"), 2),
        (("--trace", "no-such-file"), ("cannot read the trace", "Process Monitor"), 2),
        (("--screenshot", "no/such/folder/x.png"), ("cannot write",), 3),
        (("--target", "win95"), ("no such target",), 2),
        (("--language", "chinese"), ("no language that can be chosen here", "zh_CN"), 2),
    ],
)
def test_wrong_input(
    cli: Run, make_dist: DistMaker, arguments: tuple[str, ...], words: tuple[str, ...], code: int
) -> None:
    result = cli("verify", make_dist(), *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")
    for word in words:
        assert word in result.err


def test_no_dist(cli: Run, tmp_path: Path) -> None:
    assert cli("verify", tmp_path).code == 2
    assert cli("verify", tmp_path / "nothing").code == 2
    assert cli("verify").code == 2


def test_a_program_for_another_machine_cannot_be_run(cli: Run, make_dist: DistMaker) -> None:
    result = cli("verify", make_dist(machine="arm64"))
    assert (result.code, result.out) == (3, "")
    assert "64-bit ARM" in result.err


def test_a_trace_is_read_instead_of_a_run(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({"pkg/core.pyd": ("other.dll", "gone.dll")}, {"pkg/__init__.py": "from . import core\n"})
    before = snapshot(dist)
    (tmp_path / "Logfile.CSV").write_text(MONITOR)
    result = cli("verify", dist, "--trace", tmp_path / "Logfile.CSV", "--format", "json")
    report = json.loads(result.out)
    jsonschema.validate(report, json.loads(schema()))
    assert result.code == 1
    rows = {(one["rule"], one["severity"], one["subject"]) for one in report["findings"]}
    assert rows == {("DF601", "error", "other.dll"), ("DF603", "info", "gone.dll")}
    run = report["verification_run"]
    assert (run["how"], run["place"], run["passed"]) == ("CSV of Process Monitor", "d:/apps/main.dist", None)
    assert run["comparison"]["foreseen"] == 2
    text = cli("verify", dist, "--trace", tmp_path / "Logfile.CSV")
    assert text.out.startswith("app.exe: CSV of Process Monitor of 3 loads: 1 error, 0 warnings\n")
    assert "the dist was at d:/apps/main.dist" in text.out
    assert cli("verify", dist, "--trace", tmp_path / "Logfile.CSV", "--ignore", "DF601", "-q").code == 0
    assert snapshot(dist) == before


def test_the_program_to_start(make_dist: DistMaker) -> None:
    dist = Session(str(make_dist({"tool.exe": ()})), Options(environ={})).dist
    assert verification.chosen_program(dist, "") == "app.exe"
    assert verification.chosen_program(dist, "TOOL") == "tool.exe"
    assert verification.chosen_program(dist, "tool.exe") == "tool.exe"
