"""What decides the figures of the fidelity benchmark: lists, keys, what is kept, who is named, what counts, the page."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from depfix.model.finding import Confidence, Finding, Severity
from fixtures.fidelity.__main__ import main
from fixtures.fidelity.ablation import Judged, Measured, cells, disagreements, explained
from fixtures.fidelity.cases import LISTS, Case, ListError, read_cases, removals
from fixtures.fidelity.measuring import Result
from fixtures.fidelity.pinning import pin
from fixtures.fidelity.repairing import BREAKS, Repaired
from fixtures.fidelity.saying import (
    WITH_ENTRY,
    WITHOUT_ENTRY,
    fails,
    names_of,
)
from fixtures.fidelity.table import as_json, markdown
from fixtures.fidelity.wine import Verdict
from fixtures.windows_lab import pinned_hashes

HASH = "ab" * 32
CASE = Case("thing", "by hand", ("thing==1.0",), "print(True)\n", hashes=(HASH,))


def made(subject: str, severity: Severity = Severity.ERROR, confidence: Confidence = Confidence.CERTAIN) -> Finding:
    return Finding(
        "DF101", "missing-dll", severity, confidence, subject, f"{subject} is gone", (), ("app.exe", subject)
    )


def judged(path: str, *, works: bool, named: bool, hinted: bool = False) -> Judged:
    """Return a removal: whether the program works without the file, and whether an error, or less, names it."""
    naming = (made(path),) if named else ()
    hints = (made(path, Severity.WARNING),) if hinted else ()
    return Judged(path, Verdict(works, "" if works else "Library x.dll not found"), naming, hints, ())


def kinds(suffix: str, hits: int, missed: int, false_alarms: int, silent: int) -> list[Judged]:
    """Return removals: breaking and named, breaking and not, harmless and named, harmless and not."""
    wanted = [(False, True)] * hits + [(False, False)] * missed
    wanted += [(True, True)] * false_alarms + [(True, False)] * silent
    return [judged(f"{number}{suffix}", works=works, named=named) for number, (works, named) in enumerate(wanted)]


# --- whose name, and how bad ---


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("need.dll", {"need.dll"}),
        ("pkg.libs/Need-0A1B.DLL", {"pkg.libs/need-0a1b.dll", "need-0a1b.dll"}),
        ("pkg/core.dll", {"pkg/core.dll", "core.dll"}),  # a DLL is no module
        ("_ctypes.pyd", {"_ctypes.pyd", "_ctypes"}),
        ("pkg/sub/_speed.cp310-win_amd64.pyd",
         {"pkg/sub/_speed.cp310-win_amd64.pyd", "_speed.cp310-win_amd64.pyd", "pkg.sub._speed"}),
        ("Pkg/_Core.PYD", {"pkg/_core.pyd", "_core.pyd", "pkg._core"}),
        ("", {""}),
    ],
)  # fmt: skip
def test_the_names_of_a_file(path: str, expected: set[str]) -> None:
    assert names_of(path) == expected


@pytest.mark.parametrize("confidence", list(Confidence))
@pytest.mark.parametrize("severity", list(Severity))
def test_a_scan_fails_by_errors_that_are_more_than_possible(severity: Severity, confidence: Confidence) -> None:
    expected = severity is Severity.ERROR and confidence in (Confidence.CERTAIN, Confidence.PROBABLE)
    assert fails(made("need.dll", severity, confidence)) is expected


# --- recall and precision ---


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (kinds(".dll", 3, 1, 2, 4), ("3/4 75.0%", "3/5 60.0%", "4 of 6")),
        (kinds(".dll", 5, 0, 0, 7), ("5/5 100.0%", "5/5 100.0%", "7 of 7")),
        (kinds(".dll", 0, 2, 0, 0), ("0/2 0.0%", "-", "0 of 0")),
        (kinds(".dll", 0, 0, 3, 0), ("-", "0/3 0.0%", "0 of 3")),
        (kinds(".dll", 0, 0, 0, 2), ("-", "-", "2 of 2")),
        ([], ("-", "-", "0 of 0")),
    ],
)
def test_recall_is_of_what_breaks_and_precision_of_what_is_named(
    rows: list[Judged], expected: tuple[str, str, str]
) -> None:
    assert cells(rows) == expected
    assert cells(row for row in rows) == expected  # what can be read only once, too


def test_less_than_an_error_does_not_count_as_named() -> None:
    rows = [
        judged("a.dll", works=False, named=False, hinted=True),
        judged("b.dll", works=True, named=False, hinted=True),
    ]
    assert cells(rows) == ("0/1 0.0%", "-", "1 of 1")


def test_errors_about_other_files_do_not_count_as_named() -> None:
    row = Judged("a.dll", Verdict(False, ""), (), (), (made("b.dll"),))
    assert cells([row]) == ("0/1 0.0%", "-", "0 of 0")


def test_a_disagreement_is_a_file_that_only_one_of_the_two_minds() -> None:
    rows = kinds(".dll", 1, 1, 1, 1)
    one, other = Measured(CASE, 4, tuple(rows)), Measured(CASE, 1, tuple(kinds(".pyd", 1, 0, 0, 0)))
    assert disagreements([one, other]) == [(one, rows[1]), (one, rows[2])]


def test_a_disagreement_is_explained_by_what_each_went_by() -> None:
    missed = Judged("a.dll", Verdict(False, "Library a.dll not found\n(exit code 1)"), (), (), (made("b.dll"),))
    row = Measured(CASE, 1, (missed,))
    text = explained(row, missed)
    assert text.splitlines()[0] == "- thing: a.dll is not named, and the program fails without"
    assert "| Library a.dll not found" in text
    assert "besides: DF101 b.dll" in text
    alarm = judged("c.dll", works=True, named=True)
    assert explained(row, alarm).splitlines() == [
        "- thing: c.dll is named (DF101), and the program works without",
        "    certain: c.dll is gone",
        "    chain: app.exe -> c.dll",
    ]


# --- reports ---


def tables(text: str) -> dict[str, dict[str, list[str]]]:
    """Return {first heading of a table: {first cell: the other cells}}."""
    found: dict[str, dict[str, list[str]]] = {}
    rows: dict[str, list[str]] = {}
    width = 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            width = 0
        elif not width:
            width, rows = len(cells), found.setdefault(f"{cells[0]} {cells[1]}", {})
        else:
            assert len(cells) == width, "every line has as many columns as the heading"
            if cells[0] != "---":
                rows[cells[0]] = cells[1:]
    return found


def repaired(*, works: bool = True, errors: tuple[str, ...] = (), problem: str = "", broken: bool = True) -> Repaired:
    log = "" if works else "Traceback\nImportError: no core\n(exit code 1)"
    return Repaired(broken, 3 if problem else 0, 5, works, log, errors, ("DF101 far.dll",), problem)


def results() -> list[Result]:
    """Return one case that is all well, one with something wrong of each kind, and one that was never measured."""
    more = Case("more", "C", (), "", why=("nobody sees 3.dll",))
    first = Measured(CASE, 1, tuple(kinds(".PYD", 1, 0, 0, 0)))
    second = Measured(more, 30, (*kinds(".dll", 3, 1, 2, 4), *kinds(".pyd", 1, 1, 0, 2)))
    good = {kind: repaired() for kind in BREAKS}
    bad = {"bare": repaired(works=False), "stripped": repaired(errors=("DF101 x.dll",))}
    silent = {WITH_ENTRY: (), WITHOUT_ENTRY: ()}
    return [
        Result(CASE, first, silent, good),
        Result(more, second, {WITH_ENTRY: (), WITHOUT_ENTRY: (made("z.dll"),)}, bad),
        Result(Case("none", "C", (), ""), None, problem="not measured yet"),
    ]


def test_the_page_has_the_three_figures_first() -> None:
    text = markdown(results(), "today with Wine 8")
    assert "Measured today with Wine 8." in text
    assert tables(text)["figure of"] == {
        "repair rate, bare": ["2 dists", "1/2 50.0%"],
        "repair rate, stripped": ["2 dists", "2/2 100.0%"],
        "and a scan is silent then": ["of these", "1/2 50.0%"],
        "ablation, recall": ["15 removals", "5/7 71.4%"],
        "ablation, precision": ["15 removals", "5/7 71.4%"],
        "ablation, harmless removals": ["15 removals", "silent on 6 of 8"],
        "silence, with --entry": ["2 dists", "2/2 100.0%"],
        "silence, without it": ["2 dists", "1/2 50.0%"],
    }


def test_the_page_has_every_case() -> None:
    text = markdown(results(), "today")
    assert tables(text)["case make"] == {
        "thing": ["by hand", "works, 5 files", "works, 5 files", "silent", "silent"],
        "more": ["C", "does not start", "works, but DF101 x.dll", "silent", "DF101 z.dll"],
        "none": ["C", "-", "-", "-", "-"],
    }
    assert tables(text)["case DLLs: recall"] == {
        "thing": ["-", "-", "0 of 0", "1/1 100.0%", "1/1 100.0%", "0 of 0"],
        "more": ["3/4 75.0%", "3/5 60.0%", "4 of 6", "1/2 50.0%", "1/1 100.0%", "2 of 2"],
        "all": ["3/4 75.0%", "3/5 60.0%", "4 of 6", "2/3 66.7%", "2/2 100.0%", "2 of 2"],
    }
    assert "DLLs and .pyd together: recall 5/7 71.4%, precision 5/7 71.4%, silent on 6 of 8 harmless ones." in text
    assert "more: a sample of 14 out of 30 files." in text


def test_the_page_says_what_went_wrong_line_by_line() -> None:
    lines = markdown(results(), "today").splitlines()
    assert [line for line in lines if line.startswith(("- more", "- thing", "- none"))] == [
        "- none: not measured yet",
        "- more, bare: the program does not start: ImportError: no core; declined: DF101 far.dll",
        "- more, stripped: the program starts, and the scan still says DF101 x.dll",
        "- more, without it: DF101 z.dll is gone",
        "- more: 3.dll is not named, and the program fails without",
        "- more: 4.dll is named (DF101), and the program works without",
        "- more: 5.dll is named (DF101), and the program works without",
        "- more: 1.pyd is not named, and the program fails without",
        "- more: nobody sees 3.dll",
    ]


@pytest.mark.parametrize(
    ("one", "good", "cell"),
    [
        (repaired(), True, "works, 5 files"),
        (repaired(broken=False), True, "worked before, 5 files"),
        (repaired(works=False), False, "does not start"),
        (repaired(errors=("DF101 a.dll", "DF201 b")), False, "works, but DF101 a.dll, DF201 b"),
        (repaired(problem="error: no such wheel"), False, "exit code 3"),
    ],
)
def test_a_repair_is_good_if_the_program_starts_and_the_scan_is_silent(one: Repaired, good: bool, cell: str) -> None:
    assert one.good is good
    assert tables(markdown([Result(CASE, None, {}, {"bare": one})], "today"))["case make"]["thing"][1] == cell


def test_nuitka_builds_have_a_table_of_their_own() -> None:
    text = markdown(results(), "today", {"matrix": repaired(), "notes": repaired(works=False)})
    assert tables(text)["program repair"] == {"matrix": ["works, 5 files"], "notes": ["does not start"]}
    assert tables(text)["figure of"]["repair rate, Nuitka builds"] == ["2 dists", "1/2 50.0%"]
    assert "- notes, Nuitka build: the program does not start: ImportError: no core" in text
    assert "Nuitka builds" not in markdown(results(), "today")


def test_what_was_not_measured_is_not_in_the_page() -> None:
    text = markdown([Result(CASE, None, {}, {"bare": repaired()})], "today")
    assert "## Ablation" not in text
    assert "Where they disagree" not in text
    assert tables(text)["figure of"]["silence, without it"] == ["0 dists", "-"]


def test_everything_is_there_for_machines() -> None:
    content = json.loads(as_json(results(), {"matrix": repaired()}))
    first, second, _ = content["cases"]
    assert content["nuitka"]["matrix"]["copied"] == 5
    assert first["case"]["name"] == "thing"
    found = [(one["path"], one["verdict"]["works"], [f["severity"] for f in one["naming"]])
             for one in second["ablation"]["removals"]][3:5]  # fmt: skip
    assert found == [("3.dll", False, []), ("4.dll", True, ["error"])]
    assert second["repairs"]["bare"]["works"] is False
    assert second["silence"][WITHOUT_ENTRY][0]["subject"] == "z.dll"


# --- lists ---


def written(folder: Path, content: object, name: str = "mine.json") -> Path:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / name


ROW = {"name": "mine", "make": "C", "requirements": ["mine==1"], "program": ["print(1 == 1)"]}


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "name": "other", "sample": 3, "requirements": ["mine==1", "numpy==1.26.4"]}]
    found = read_cases([written(tmp_path, {"cases": rows, "wheels": {"mine==1": HASH}})])
    assert found["mine"] == Case("mine", "C", ("mine==1",), "print(1 == 1)\n", 0, (), (HASH,))
    assert (found["other"].sample, found["other"].hashes) == (3, (HASH, pinned_hashes()["numpy==1.26.4"]))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([ROW], "no list of cases"),
        ({"cases": ["x"]}, "a case that is no object"),
        ({"cases": [{**ROW, "make": ""}]}, "mine: has no make"),
        ({"cases": [{"name": "mine"}]}, "mine: has no make, requirements, program"),
        ({"cases": [{**ROW, "smaple": 3}]}, "mine: has smaple, which nobody reads"),
        ({"cases": [{**ROW, "program": "print(True)"}]}, "mine: program is no list of strings"),
        ({"cases": [ROW]}, "mine: no hash of mine==1; python -m fixtures.fidelity --pin"),
        ({"cases": [ROW, ROW], "wheels": {"mine==1": HASH}}, "mine: another case has that name"),
    ],
)
def test_a_list_that_is_wrong_is_told_with_its_place(
    tmp_path: Path, content: object, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ListError, match=re.escape(words)):
        read_cases([file])
    assert main(["--list", str(file), "--kept"]) == 2
    assert f"error: {file}: " in capsys.readouterr().err


def test_a_file_that_is_no_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("{")
    assert main(["--list", str(tmp_path / "x.json")]) == 2
    assert main(["--list", str(tmp_path / "none.json")]) == 2
    assert main(["--kept", "nobody"]) == 2
    assert "no such case: nobody; there are shapely" in capsys.readouterr().err


def test_pinning_writes_the_wheels_that_pip_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        for name in ("its_need-2-py3-none-any.whl", "mine-1.5-cp310-cp310-win_amd64.whl"):
            (Path(command[command.index("-d") + 1]) / name).write_bytes(b"PK")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("fixtures.fidelity.pinning.subprocess.run", pip)
    known = {**ROW, "name": "known", "requirements": ["numpy==1.26.4"]}
    file = written(tmp_path, {"cases": [{**ROW, "requirements": ["mine"]}, known]})
    assert pin(file) == ["mine"]
    case = read_cases([file])["mine"]
    assert case.requirements == ("its-need==2", "mine==1.5")
    assert set(case.hashes) == {hashlib.sha256(b"PK").hexdigest()}
    assert "--platform" in ran[0]
    assert ran[0][-1] == "mine"
    assert pin(file) == []  # all is known now


def test_pinning_says_what_pip_did_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 1, "", "ERROR: No matching distribution found for mine")
    monkeypatch.setattr("fixtures.fidelity.pinning.subprocess.run", lambda *_, **__: done)
    with pytest.raises(ListError, match="mine: pip finds no wheels: ERROR: No matching"):
        pin(written(tmp_path, {"cases": [{**ROW, "requirements": ["mine"]}]}))


# --- the cases that there are ---


def test_every_wheel_of_a_case_is_pinned_by_its_hash() -> None:
    for case in read_cases().values():
        assert case.requirements, case.name
        assert len(set(case.requirements)) == len(case.requirements), case.name
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in case.hashes), case.name


def test_there_are_enough_packages_and_makes_and_samples_are_honest() -> None:
    found = read_cases()
    assert len(found) >= 27
    assert len({case.make for case in found.values()}) >= 8
    assert all(case.name == name and case.make and case.sample >= 0 for name, case in found.items())
    assert all(file.exists() for file in LISTS)


@pytest.mark.parametrize("case", read_cases().values(), ids=lambda case: case.name)
def test_a_program_prints_true_in_the_end(case: Case) -> None:
    tree = ast.parse(case.program)
    last = tree.body[-1]
    while isinstance(last, ast.With):
        last = last.body[-1]
    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert ast.unparse(last.value.func) == "print"
    answer = last.value.args[-1]
    is_bool = isinstance(answer, ast.Call) and ast.unparse(answer.func) == "bool"
    assert is_bool or isinstance(answer, (ast.Compare, ast.BoolOp))
    assert not any(isinstance(node, (ast.Try, ast.Lambda)) for node in ast.walk(tree)), "a failure must be seen"


def sampled(dist: Path, sample: int) -> list[str]:
    return removals(replace(CASE, sample=sample), dist)


def test_a_sample_is_always_the_same(tmp_path: Path) -> None:
    names = [f"pkg/{number}.{suffix}" for number in range(20) for suffix in ("dll", "PYD", "py", "txt")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    everything = sampled(tmp_path, 0)
    assert everything == sorted(name for name in names if name.endswith(("dll", "PYD")))
    some = sampled(tmp_path, 10)
    assert (len(some), some) == (10, sampled(tmp_path, 10))
    assert set(sampled(tmp_path, 5)) < set(some) < set(everything)
    assert sampled(tmp_path, 1000) == everything
