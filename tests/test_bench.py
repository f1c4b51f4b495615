"""How the speed benchmark counts, compares and tells; nothing is timed here."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

from fixtures.bench.__main__ import PARTS, main
from fixtures.bench.comparing import comparison, ratio
from fixtures.bench.file_cache import evict, resident
from fixtures.bench.goals import GOALS, Goal
from fixtures.bench.memory import peak_of
from fixtures.bench.page import markdown_rows, page
from fixtures.bench.peers import (
    PEERS,
    delvewheel_files,
    mingw_ldd_files,
    modulegraph_files,
    pinned,
    ruff_files,
)
from fixtures.bench.sampling import Contender, Outcome, Sample, compare, inner
from fixtures.bench.values import Column, Machine, Results, Section, Table, as_json, read_results, rounded
from fixtures.windows_lab import CACHE

ROOT = Path(__file__).parent.parent
PAGE, FIGURES = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.json"


def test_the_page_is_what_its_json_says() -> None:
    results = read_results(FIGURES)
    assert results is not None
    assert page(results) == PAGE.read_text("utf-8"), "run: python -m fixtures.bench --render"
    assert {section.part for section in results.sections} <= set(PARTS)


def test_rendering_measures_nothing_and_keeps_what_was_measured(tmp_path: Path) -> None:
    figures, target = tmp_path / "figures.json", tmp_path / "page.md"
    figures.write_text(as_json(_results({"startup.click.ratio": 1.25})), "utf-8")
    assert main(["--render", "--json", str(figures), "--markdown", str(target)]) == 0
    assert read_results(figures) == _results({"startup.click.ratio": 1.25})
    assert '1.25 x `python -c "import click"` | met' in target.read_text("utf-8")


def test_a_part_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["imprts"])
    assert "no such part: imprts; there are pe, imports" in capsys.readouterr().err


def test_each_goal_says_whether_it_was_met() -> None:
    goal = Goal("a scan", "scan.seconds", 3, " s")
    assert goal.row(_results({"scan.seconds": 2.5})) == ("a scan", "<= 3 s", "2.50 s", "met")
    assert goal.row(_results({"scan.seconds": 3.1})) == ("a scan", "<= 3 s", "3.10 s", "**missed**")
    assert goal.row(_results({})) == ("a scan", "<= 3 s", "-", "not measured")
    assert len({goal.figure for goal in GOALS}) == len(GOALS)


def test_a_table_has_its_numbers_to_the_right_and_what_is_unknown_as_a_dash() -> None:
    columns = (Column("who"), Column("seconds", 2), Column("files"))
    assert markdown_rows(columns, (("a | b", 1234.5, None), ("c", None, 1200))) == (
        "| who | seconds | files |\n| --- | ---: | ---: |\n| a \\| b | 1,234.50 | - |\n| c | - | 1,200 |\n"
    )


def test_a_part_measured_anew_takes_the_place_of_the_old_one() -> None:
    old = _results({"startup.a": 1.0})
    new = old.with_section(Section("pe", "2026-01-02", "1", "", (), {"pe.a": 2.0}), PARTS)
    assert [section.part for section in new.sections] == ["pe", "startup"]
    assert (new.figure("startup.a"), new.figure("pe.a"), new.figure("pe.b")) == (1.0, 2.0, None)


def test_ratios_are_of_the_same_round_and_of_like_times() -> None:
    ours = _outcome("depfix", inside=True, calls=(9.0, 1.0, 4.0, 3.0))
    library = _outcome(
        "library", inside=True, calls=(1.0, 2.0, 2.0)
    )  # slow: fewer rounds, and the first is not counted
    program = _outcome("program", inside=False, calls=(1.0, 2.0, 2.0, 2.0))
    assert ratio(ours, library, lambda sample: sample.call) == pytest.approx((0.5 + 2.0) / 2)
    (table,), figures = comparison("imports.torch.warm", "Title", "Text.", [ours, library, program])
    assert figures["imports.torch.warm.library.ratio"] == pytest.approx(1.25)
    assert figures["imports.torch.warm.program.ratio"] == pytest.approx(13.0 / 12.0)  # of whole processes
    assert [column.name for column in table.columns][-3:] == ["depfix / it", "depfix / it, CPU", "runs"]
    assert [row[-1] for row in table.rows] == [3, 2, 3]


def test_a_peer_that_cannot_run_stands_in_the_table_with_the_reason() -> None:
    ours = _outcome("depfix", inside=False, calls=(1.0, 1.0))
    absent = Outcome(Contender("peer", "peer 1.0", ("peer",)), problem="pip could not install it here")
    (table,), figures = comparison("pe.torch.warm", "Title", "Text.", [ours, absent])
    assert table.rows[1][0] == "peer 1.0: pip could not install it here"
    assert not any("peer" in name for name in figures)


def test_contenders_take_turns_and_one_that_fails_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1]); print('three files: 3')"
    rows = [_python(key, note, key, count=lambda out: int(out.split()[-1])) for key in "ab"]
    outcomes = compare([*rows, _python("c", "raise SystemExit(7)")], runs=2)
    assert log.read_text() == "abbaab"
    assert [outcome.count() for outcome in outcomes[:2]] == [3, 3]
    assert [outcome.runs for outcome in outcomes] == [2, 2, 0]
    assert outcomes[2].problem == "it failed: exit code 7"


def test_the_work_of_a_library_is_timed_in_its_own_process(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("import os\n")
    task = tmp_path / "task.json"
    task.write_text(
        json.dumps(
            {"root": str(tmp_path), "sources": [[str(source), 10]], "python": [3, 10], "workers": 2, "modules": ["one"]}
        )
    )
    for work in ("sources-depfix", "sources-ast", "sources-modulefinder"):
        command = (sys.executable, "-m", "fixtures.bench.work", work, str(task))
        (outcome,) = compare([Contender(work, work, command, inside=True)], runs=1)
        assert not outcome.problem
        assert outcome.count() == 1


def test_what_is_put_out_of_the_file_cache_is_not_in_it(tmp_path: Path) -> None:
    """In one of two places: a file system that is kept in memory puts nothing out."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        assert (1.0, 0.0) in [_put_out(tmp_path / "file"), _put_out(Path(folder) / "file")]


def _put_out(file: Path) -> tuple[float, float]:
    """Return how much of a file is in the system's cache after it was read, and after it was put out."""
    with file.open("wb") as writing:
        writing.write(bytes(1_000_000))
        writing.flush()
        _sync(writing.fileno())
    file.read_bytes()
    before = resident([str(file)])
    evict([str(file)])
    return before, resident([str(file)])


def test_the_memory_of_a_process_and_of_its_largest_child_are_told_apart() -> None:
    hold = "import time; held = bytearray(b'x' * {}); time.sleep(0.4)"
    child = hold.format(60_000_000)
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    peak = peak_of((sys.executable, "-c", parent))
    assert peak.worker > 60 > peak.main > 0
    assert peak.together > 60


def test_every_peer_that_is_installed_is_pinned() -> None:
    assert {peer.distribution for peer in PEERS} - {""} == set(pinned())


def test_what_programs_print_is_counted() -> None:
    assert ruff_files('{"a/b.py": ["a/c.py"], "a/c.py": [], "a/c.pyi": []}') == 2
    assert mingw_ldd_files("        c10.dll => /d/c10.dll\n        KERNEL32.dll => not found\n") == 2
    assert (
        modulegraph_files("Class  Name\n-----  ----\nPackage  a  /a\nSourceModule  a.b  /a/b.py\nMissingModule 'c'\n")
        == 2
    )
    shown = "Analyzing x.whl\n\nThe following DLLs will be copied.\n    c10.dll (/d/c10.dll)\n    uv.dll (Error: Not Found)\n"
    assert delvewheel_files(shown) == 2
    assert inner('Warning: x\n{"seconds": 0.5, "cpu": 0.75, "count": 3}\n') == (0.5, 0.75, 3)


# --- helpers -------------------------------------------------------------------------------------------------------------


def _results(figures: dict[str, float]) -> Results:
    table = Table("Title", "Text.", (Column("who"), Column("seconds", 3)), (("depfix", 0.123456789), ("peer", None)))
    section = Section("startup", "2026-01-01", "0.1 (abc)", "a busy machine", (table,), figures)
    return Results(Machine(2, 24, "Linux", "3.11.7"), {"grimp": "3.19"}, (rounded(section),))


def _outcome(key: str, *, inside: bool, calls: tuple[float, ...]) -> Outcome:
    """Return runs of a contender whose process takes 10 s more than its call, where that is known."""
    outcome = Outcome(Contender(key, key, (key,), inside=inside))
    for number, seconds in enumerate(calls):
        call = seconds if inside else None
        outcome.samples[number] = Sample(10.0 + seconds, 10.0 + seconds, call, call, 5)
    return outcome


def _python(key: str, code: str, *arguments: str, count: object = None) -> Contender:
    command = (sys.executable, "-c", code, *arguments)
    return Contender(key, key, command, count=count) if callable(count) else Contender(key, key, command)


def _sync(descriptor: int) -> None:
    import os

    os.fsync(descriptor)
