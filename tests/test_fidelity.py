"""What decides the figures of the fidelity benchmark: who is named, what counts as an error, recall and precision."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from depfix.model.finding import Confidence, Finding, Severity
from depfix.pipeline import Options, scan
from fixtures import fidelity
from fixtures.fidelity import (
    Case,
    Examiner,
    Judged,
    Measured,
    Verdict,
    against_cli,
    as_json,
    cells,
    disagreements,
    explained,
    fails,
    markdown,
    measure,
    names_of,
    read_cases,
    removals,
)
from tests.conftest import DistMaker, Forge, put

CASE = Case("thing", "by hand", ("thing==1.0",), "print(True)\n")
DOWNLOADS = Path(fidelity.__file__).with_name("downloads.tsv")


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
    one, other = Measured(CASE, 4, (), tuple(rows)), Measured(CASE, 1, (), tuple(kinds(".pyd", 1, 0, 0, 0)))
    assert disagreements([one, other]) == [(one, rows[1]), (one, rows[2])]


def test_a_disagreement_is_explained_by_what_each_went_by() -> None:
    missed = Judged("a.dll", Verdict(False, "Library a.dll not found\n(exit code 1)"), (), (), (made("b.dll"),))
    row = Measured(CASE, 1, (), (missed,))
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


def table(text: str) -> dict[str, list[str]]:
    """Return {case: its cells} of the table, without heading and ruler."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1, "every line has as many columns as the heading"
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines[2:]}


def test_the_table_keeps_dlls_and_extension_modules_apart_and_adds_all_up() -> None:
    first = Measured(CASE, 11, (), (*kinds(".dll", 3, 1, 2, 4), *kinds(".PYD", 1, 0, 0, 0)))
    second = Measured(Case("more", "C", (), ""), 9, (made("z.dll"),), tuple(kinds(".pyd", 1, 1, 0, 2)))
    text = markdown([first, second])
    assert table(text) == {
        "thing": ["by hand", "3/4 75.0%", "3/5 60.0%", "4 of 6", "1/1 100.0%", "1/1 100.0%", "0 of 0", "silent"],
        "more": ["C", "-", "-", "0 of 0", "1/2 50.0%", "1/1 100.0%", "2 of 2", "DF101 z.dll"],
        "all": ["", "3/4 75.0%", "3/5 60.0%", "4 of 6", "2/3 66.7%", "2/2 100.0%", "2 of 2", "1 of 2 silent"],
    }
    lines = text.splitlines()
    assert "DLLs and .pyd together: recall 5/7 71.4%, precision 5/7 71.4%, silent on 6 of 8 harmless ones." in lines
    assert "more: a sample of 4 out of 9 files." in lines
    assert not any(line.startswith("thing: a sample") for line in lines)
    assert [line for line in lines if line.startswith("- ")] == [
        "- thing: 3.dll is not named, and the program fails without",
        "- thing: 4.dll is named (DF101), and the program works without",
        "- thing: 5.dll is named (DF101), and the program works without",
        "- more: 1.pyd is not named, and the program fails without",
    ]


def test_every_removal_is_there_for_machines() -> None:
    (row,) = json.loads(as_json([Measured(CASE, 4, (), tuple(kinds(".dll", 1, 1, 1, 1)))]))
    assert row["case"]["name"] == "thing"
    found = [(one["path"], one["verdict"]["works"], [f["severity"] for f in one["naming"]]) for one in row["removals"]]
    assert found == [("0.dll", False, ["error"]), ("1.dll", False, []), ("2.dll", True, ["error"]), ("3.dll", True, [])]


# --- cases ---


def pinned() -> dict[str, str]:
    lines = [line for line in DOWNLOADS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    rows = [line.split("\t") for line in lines]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1] for row in rows}


def test_every_wheel_of_a_case_is_pinned_by_its_hash() -> None:
    hashes = pinned()
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes.values())
    assert len(set(hashes.values())) == len(hashes)
    for case in read_cases().values():
        assert case.requirements, case.name
        assert len(set(case.requirements)) == len(case.requirements), case.name
        assert set(case.requirements) <= hashes.keys(), case.name


def test_there_are_eight_makes_at_least_and_samples_are_honest() -> None:
    cases = read_cases()
    assert len(cases) == len(json.loads(DOWNLOADS.with_name("fidelity.json").read_text("utf-8")))  # no name twice
    assert len({case.make for case in cases.values()}) >= 8
    assert all(case.name == name and case.make and case.sample >= 0 for name, case in cases.items())


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
    return removals(Case("thing", "", (), "", sample), dist)


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


# --- depfix on a dist without a file ---


SOURCE = (
    "import ctypes, os\nfrom .core import work\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'outer.dll'))\n"
)


@pytest.fixture
def dist(make_dist: DistMaker, forge: Forge) -> Path:
    """A complete dist: core needs need.dll, outer.dll too; spare.dll and other.pyd are loaded by nothing."""
    images = {"pkg/core.pyd": ("need.dll",), "pkg/outer.dll": ("need.dll",), "need.dll": ()}
    dist = make_dist(images, {"pkg/__init__.py": SOURCE}, name="dist")
    for name in ("pkg/spare.dll", "other.pyd"):
        put(forge("need.dll"), dist / name)
    dist.with_name("program.py").write_text("import pkg\nprint(True)\n")
    return dist


def says(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.rule, finding.subject) for finding in findings if fails(finding)}


NAMED = {
    "": set(),
    "need.dll": {("DF101", "need.dll")},
    "pkg/outer.dll": {("DF106", "outer.dll")},
    "pkg/core.pyd": {("DF201", "pkg.core")},
    "pkg/spare.dll": set(),
    "other.pyd": set(),
}  # fmt: skip


def test_the_examiner_says_what_a_scan_says(dist: Path) -> None:
    examiner = Examiner(dist)
    said = {path: examiner.findings(path) for path in NAMED}
    assert {path: says(found) for path, found in said.items()} == NAMED
    assert against_cli(dist, [path for path in NAMED if path], said) == []
    assert against_cli(dist, ["need.dll"], {"need.dll": said["pkg/outer.dll"]}) == ["need.dll"]
    assert says(scan(str(dist), Options(environ={})).findings) == set(), "the dist is as it was"


def test_a_measurement_puts_both_answers_side_by_side(dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking = {"need.dll", "pkg/outer.dll", "pkg/core.pyd", "other.pyd"}

    def verdicts(_case: Case, _dist: Path, paths: Iterable[str]) -> dict[str, Verdict]:
        return {path: Verdict(path not in breaking, "") for path in ("", *paths)}

    def answers(root: Path, paths: Iterable[str]) -> dict[str, tuple[Finding, ...]]:
        examiner = Examiner(root)
        return {path: examiner.findings(path) for path in ("", *paths)}

    monkeypatch.setattr(fidelity, "complete_dist", lambda case: dist)
    monkeypatch.setattr(fidelity, "ask_wine", verdicts)
    monkeypatch.setattr(fidelity, "ask_depfix", answers)
    row = measure(CASE, 0)
    assert (row.files, row.noise) == (6, ())
    assert [one.path for one in row.removals] == sorted([*(path for path in NAMED if path), "python310.dll"])
    assert {one.path: says(one.naming) for one in row.removals} == {
        **{path: rows for path, rows in NAMED.items() if path},
        "python310.dll": {("DF101", "python310.dll")},
    }
    assert [(one.path, one.verdict.works) for _, one in disagreements([row])] == [
        ("other.pyd", False),
        ("python310.dll", True),
    ]
    assert cells(row.removals) == ("3/4 75.0%", "3/4 75.0%", "1 of 2")
