"""How the fidelity benchmark keeps its answers and goes on from them, and its three figures of one small package."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.fidelity import cases, measuring, nuitka, saying
from fixtures.fidelity.__main__ import main
from fixtures.fidelity.ablation import cells, disagreements, measured
from fixtures.fidelity.cases import Case, complete_dist, read_cases, removals, scratch_folders
from fixtures.fidelity.measuring import KINDS, progress_of, result, todo
from fixtures.fidelity.memory import Memory, depfix_memory, depfix_state
from fixtures.fidelity.progress import Progress, in_words
from fixtures.fidelity.repairing import BREAKS, Repaired, broken_dist, kept_repair, repair_name
from fixtures.fidelity.saying import (
    WITH_ENTRY,
    WITHOUT_ENTRY,
    Examiner,
    against_cli,
    ask_depfix,
    fails,
    removal,
)
from fixtures.fidelity.wine import CaseError, Verdict, ask_wine
from fixtures.nuitka_programs import PROGRAMS
from fixtures.windows_lab import download
from tests.conftest import DistMaker, Forge, put

HASH = "ab" * 32
CASE = Case("thing", "by hand", ("thing==1.0",), "print(True)\n", hashes=(HASH,))
ROW = {"name": "mine", "make": "C", "requirements": ["mine==1"], "program": ["print(1 == 1)"]}


def written(folder: Path, content: object) -> Path:
    (folder / "mine.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "mine.json"


def repaired() -> Repaired:
    return Repaired(True, 0, 5, True, "", (), ("DF101 far.dll",))


# --- keys, and what is kept ---


def test_a_key_changes_with_everything_that_a_run_depends_on() -> None:
    others = [
        replace(CASE, hashes=("cd" * 32,)),
        replace(CASE, requirements=("thing==2.0",)),
        replace(CASE, program="print(1)\n"),
    ]
    assert len({case.key for case in (CASE, *others)}) == 4
    assert replace(CASE, make="x", sample=3, why=("y",)).key == CASE.key
    assert read_cases()["psycopg2"].key == "a21668e7f21cbd61"  # verdicts of Wine are kept under it


def test_the_state_of_depfix_is_that_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for name in ("__init__.py", "data/rules.json"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr("depfix.__file__", str(tmp_path / "__init__.py"))
    states = [depfix_state()]
    (tmp_path / "data/rules.json").write_text("y")
    states.append(depfix_state())
    (tmp_path / "data/rules.json").rename(tmp_path / "data/other.json")
    states.append(depfix_state())
    assert len(set(states)) == 3
    (tmp_path / "x.pyc").write_text("x")
    assert depfix_state() == states[-1]


def test_answers_are_kept_as_they_come_and_a_torn_line_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "home" / "wine-1.jsonl"
    memory = Memory(file)
    assert "" not in memory
    memory.keep("", {"works": True})
    memory.keep("a.dll", {"works": False, "seconds": 2})
    with file.open("a") as torn:
        torn.write('{"path": "b.dll", "wor')
    again = Memory(file)
    assert ("" in again, "a.dll" in again, "b.dll" in again) == (True, True, False)
    assert list(again.seconds()) == [("a.dll", 2.0)]
    again.keep("b.dll", {"works": False})
    again.keep("a.dll", {"works": True})
    last = Memory(file)
    assert (last["b.dll"], last["a.dll"]) == ({"works": False}, {"works": True})


def test_what_old_versions_of_depfix_said_goes(tmp_path: Path) -> None:
    for number in range(6):
        file = tmp_path / f"depfix-k-{number}.jsonl"
        file.write_text("{}\n")
        os.utime(file, (number, number))
    depfix_memory(tmp_path, "k", "new").keep("x", {})
    assert {path.stem[-3:] for path in tmp_path.iterdir()} == {"k-4", "k-5", "new"}


def test_folders_of_killed_runs_go_and_those_of_others_stay(home: Path) -> None:
    for name in ("scratch-999999999-0", f"scratch-{os.getppid()}-0"):
        (home / name).mkdir(parents=True)
    with scratch_folders(CASE, 2) as folders:
        assert [folder.is_dir() for folder in folders] == [True, True]
        assert {path.name for path in home.iterdir()} == {f"scratch-{os.getppid()}-0", *(path.name for path in folders)}
    assert [path.name for path in home.iterdir()] == [f"scratch-{os.getppid()}-0"]


# --- how long it will take ---


def test_the_time_left_is_by_the_case_then_by_the_kind() -> None:
    now = [0.0]
    out = io.StringIO()
    todo = {("wine", "a"): 2, ("wine", "b"): 1, ("repair", "b"): 1}
    progress = Progress(todo, [("repair", "x", 10.0)], out, lambda: now[0])
    assert progress.seconds_left() == 3 * 1.0 + 10.0  # a guess for Wine
    now[0] = 30.0
    progress("wine", "a")
    assert progress.seconds_left() == 30 + 30 + 10
    assert out.getvalue() == "1 of 4, now wine of a; about 70 s left\n"
    progress.drop("b")
    assert progress.seconds_left() == 30
    now[0] = 1000.0
    progress.restart()
    progress("wine", "a")
    assert progress.seconds_left() == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (91, "2 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


# --- depfix on a dist without a file ---


SOURCE = (
    "import ctypes, os\nfrom .core import work\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'outer.dll'))\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of CASE, in a cache of its own."""
    monkeypatch.setattr(cases, "ROOT", tmp_path / "lab")
    return CASE.home


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


def test_the_examiner_says_what_a_scan_says(dist: Path, home: Path) -> None:
    examiner = Examiner(dist)
    said = {path: examiner.findings(path) for path in NAMED}
    assert {path: says(found) for path, found in said.items()} == NAMED
    assert against_cli(CASE, dist, [path for path in NAMED if path], said) == []
    assert against_cli(CASE, dist, ["need.dll"], {"need.dll": said["pkg/outer.dll"]}) == ["need.dll"]
    assert says(scan(str(dist), Options(environ={})).findings) == set(), "the dist is as it was"


def test_both_answers_are_put_side_by_side(dist: Path) -> None:
    breaking = {"need.dll", "pkg/outer.dll", "pkg/core.pyd", "other.pyd"}
    paths = removals(CASE, dist)
    assert paths == sorted([*(path for path in NAMED if path), "python310.dll"])
    examiner = Examiner(dist)
    said = {path: examiner.findings(path) for path in ("", *paths)}
    row = measured(CASE, dist, paths, {path: Verdict(path not in breaking, "") for path in paths}, said)
    assert row.files == 6
    assert {one.path: says(one.naming) for one in row.removals} == {
        **{path: rows for path, rows in NAMED.items() if path},
        "python310.dll": {("DF101", "python310.dll")},
    }
    assert [(one.path, one.verdict.works) for _, one in disagreements([row])] == [
        ("other.pyd", False),
        ("python310.dll", True),
    ]
    assert cells(row.removals) == ("3/4 75.0%", "3/4 75.0%", "1 of 2")


# --- a run that is stopped goes on ---


def test_only_what_is_not_known_is_asked_of_depfix(dist: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [path for path in NAMED if path]
    told: list[str] = []
    memory = depfix_memory(home, "k", "s")
    said = ask_depfix(CASE, dist, memory, paths[:2], 1, lambda kind, _: told.append(kind))
    assert told == ["silence", "ablation", "ablation"]
    again = ask_depfix(CASE, dist, depfix_memory(home, "k", "s"), paths, 2, lambda kind, _: told.append(kind))
    assert told[3:] == ["ablation"] * 3
    assert {path: says(found) for path, found in again.items()} == NAMED
    assert {path: again[path] for path in said} == said  # as it was before it was written and read
    monkeypatch.setattr(saying, "Examiner", None)
    assert ask_depfix(CASE, dist, depfix_memory(home, "k", "s"), paths) == again


class Broken:
    """An examiner that gets worse: the complete dist is fine, one file makes it raise, another ends its process."""

    def __init__(self, _dist: Path) -> None: ...

    def findings(self, path: str) -> tuple[Finding, ...]:
        if path == "raise.dll":
            raise ValueError("no such thing")
        if path == "die.dll":
            os._exit(9)
        return ()


@pytest.mark.parametrize(
    ("path", "words"), [("raise.dll", "ValueError: no such thing"), ("die.dll", r"without an answer \(exit codes 9\)")]
)
def test_an_examination_that_fails_ends_the_case_and_keeps_the_rest(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.setattr(saying, "Examiner", Broken)
    with pytest.raises(CaseError, match=words):
        ask_depfix(CASE, tmp_path, depfix_memory(home, "k", "s"), ["good.dll", path])
    memory = depfix_memory(home, "k", "s")
    assert (removal("good.dll") in memory or path == "die.dll", WITH_ENTRY in memory) == (True, True)


def laid_out(home: Path) -> Path:
    """Put a dist of two DLLs where the case's is."""
    for name in ("a.dll", "b.pyd"):
        put(Path(__file__), home / "dist" / name)
    return complete_dist(CASE)


def test_wine_is_asked_once_and_the_dist_is_whole_after_each_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist = laid_out(home)
    seen: list[frozenset[str]] = []

    def ran(folder: Path) -> Verdict:
        assert (folder / "program.py").read_text() == CASE.program
        seen.append(frozenset(path.name for path in (folder / "dist").iterdir()))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return Verdict("a.dll" in seen[-1], "log")

    monkeypatch.setattr("fixtures.fidelity.wine.started", ran)
    monkeypatch.setattr("fixtures.fidelity.wine.kept_alive", nullcontext)
    with pytest.raises(KeyboardInterrupt):
        ask_wine(CASE, dist, ["a.dll", "b.pyd"])
    assert todo(CASE, ["ablation"], "s")["wine", "thing"] == 1
    assert ask_wine(CASE, dist, ["a.dll", "b.pyd"]) == {
        "": Verdict(True, "log"), "a.dll": Verdict(False, "log"), "b.pyd": Verdict(True, "log"),
    }  # fmt: skip
    everything = frozenset({"a.dll", "b.pyd"})
    assert seen == [everything, everything - {"a.dll"}, everything - {"b.pyd"}, everything - {"b.pyd"}]
    assert {path.name for path in home.iterdir()} >= {"dist", "program.py"}
    assert not list(home.glob("scratch-*"))


def test_what_does_not_run_when_complete_is_no_case(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist = laid_out(home)
    monkeypatch.setattr("fixtures.fidelity.wine.started", lambda _: Verdict(False, "no core"))
    monkeypatch.setattr("fixtures.fidelity.wine.kept_alive", nullcontext)
    for _ in range(2):  # it may run the next time
        with pytest.raises(CaseError, match="does not run even when complete:\nno core"):
            ask_wine(CASE, dist, ["a.dll"])


def test_the_figures_are_of_what_is_kept(home: Path) -> None:
    assert result(CASE, KINDS, "s").problem == "not measured yet"
    laid_out(home)
    assert dict(todo(CASE, KINDS, "s")) == {
        ("wine", "thing"): 3, ("ablation", "thing"): 2, ("silence", "thing"): 2, ("repair", "thing"): 2,
    }  # fmt: skip
    memory = depfix_memory(home, CASE.key, "s")
    memory.keep(WITH_ENTRY, {"findings": [], "seconds": 4})
    memory.keep(removal("a.dll"), {"findings": [], "seconds": 2})
    memory.keep(removal("b.pyd"), {"findings": [], "seconds": 2})
    memory.keep(repair_name("bare"), {**asdict(repaired()), "seconds": 7})
    wine = Memory(home / f"wine-{CASE.key}.jsonl")
    wine.keep("", {"works": True, "log": ""})
    wine.keep("b.pyd", {"works": False, "log": ""})
    row = result(CASE, KINDS, "s")
    assert row.ablation is not None
    assert [(one.path, one.verdict.works) for one in row.ablation.removals] == [("b.pyd", False)]
    assert (row.silence, row.repairs) == ({WITH_ENTRY: ()}, {"bare": repaired()})
    assert row.problem == "not all is measured yet"
    assert progress_of([CASE], KINDS, "new").seconds_left() == 1 + 2 * 2 + 2 * 4 + 2 * 7  # by what the old one took
    assert result(CASE, ["repair"], "s").ablation is None
    assert result(CASE, KINDS, "s", "no wheel").problem == "no wheel"
    assert result(CASE, KINDS, "other").repairs == {}


def test_a_case_that_fails_does_not_stop_the_others(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path,
        {"cases": [{**ROW, "name": name} for name in ("mine", "bad", "late", "other")], "wheels": {"mine==1": HASH}},
    )
    seen: list[str] = []

    def ask(case: Case, *_: object) -> None:
        seen.append(case.name)
        if case.name == "mine":
            raise CaseError("it does not run")
        if case.name == "bad":
            raise ZeroDivisionError("of depfix")
        if case.name == "other":
            raise KeyboardInterrupt

    monkeypatch.setattr("fixtures.fidelity.__main__.measure", ask)
    monkeypatch.setattr("fixtures.fidelity.__main__.wine_problem", lambda: "")
    page = tmp_path / "page.md"
    assert main(["--list", str(file), "--markdown", str(page)]) == 130
    assert seen == ["mine", "bad", "late", "other"]
    assert "the same command goes on" in capsys.readouterr().err
    assert not page.exists()
    assert main(["--list", str(file), "--markdown", str(page), "mine", "bad", "late"]) == 1
    assert "- bad: ZeroDivisionError: of depfix" in page.read_text()
    assert "- mine: it does not run" in page.read_text()
    assert "- late: not measured yet" in page.read_text()
    assert main(["--list", str(file), "late"]) == 0


def test_a_nuitka_build_is_copied_repaired_and_remembered(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every program fails until its dist has been repaired; of two runs only the first asks."""
    put(Path(__file__), tmp_path / "build" / "main.dist" / "main.exe")
    ran: list[str] = []

    def ask(command: str, dist: str, *options: str) -> tuple[int, dict[str, object], str]:
        ran.append(command)
        (Path(dist) / "repaired").touch()
        return 0, {"applied": True, "plan": {"actions": [{}] * 7}, "findings": []}, ""

    def start(exe: Path) -> tuple[int, str, str]:
        assert len(exe.parent.parent.name) == 8
        return (0, f"{PROGRAMS[0].expected}\r\n", "") if (exe.parent / "repaired").exists() else (1, "", "no module")

    monkeypatch.setattr("fixtures.fidelity.repairing._depfix", ask)
    monkeypatch.setattr(nuitka, "PROGRAMS", PROGRAMS[:1])
    for name, answer in (("build", tmp_path / "build"), ("environment", tmp_path), ("kept_alive", nullcontext())):
        monkeypatch.setattr(nuitka, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(nuitka, "run", start)
    for _ in range(2):
        (one,) = nuitka.ask_nuitka("s").values()
        assert (one.broken, one.copied, one.works) == (True, 7, True)
    assert ran == ["repair", "scan"]
    assert nuitka.kept_nuitka("other") == {}
    assert (tmp_path / "build" / "main.dist" / "main.exe").exists()


# --- under Wine ---


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_three_figures_of_a_small_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "ROOT", tmp_path / "lab")
    page, answers = tmp_path / "page.md", tmp_path / "answers.json"
    row = {"name": "small", "make": "C", "requirements": ["psycopg2-binary==2.9.10"], "sample": 3,
           "program": ["import psycopg2", "print(psycopg2.__libpq_version__ > 0)"]}  # fmt: skip
    arguments = ["--list", str(written(tmp_path, {"cases": [row]})), "--markdown", str(page), "--json", str(answers)]
    assert main(arguments) == 0
    (found,) = json.loads(answers.read_text())["cases"]
    assert {kind: (one["broken"], one["works"], one["errors"]) for kind, one in found["repairs"].items()} == {
        "bare": (True, True, []),
        "stripped": (True, True, []),
    }
    assert found["silence"] == {WITH_ENTRY: [], WITHOUT_ENTRY: []}
    assert len(found["ablation"]["removals"]) == 3
    assert all(bool(one["naming"]) is not one["verdict"]["works"] for one in found["ablation"]["removals"])
    assert "| repair rate, bare | 1 dist | 1/1 100.0% |" in page.read_text()
    monkeypatch.setattr(measuring, "ask_repair", lambda _case, memory, _told: kept_repair(memory, "bare"))
    text = page.read_text()
    assert main(arguments) == 0  # from what is kept
    assert page.read_text() == text


@pytest.mark.lab
def test_a_broken_dist_has_no_package_or_no_binary_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "ROOT", tmp_path / "lab")
    case = read_cases()["psycopg2"]
    for kind in BREAKS:
        (tmp_path / kind).mkdir()
    bare, stripped = (broken_dist(case, kind, tmp_path / kind) for kind in BREAKS)
    assert not (bare / "psycopg2").exists()
    assert {path.name for path in (stripped / "psycopg2").iterdir()} >= {"__init__.py", "extensions.py"}
    assert [path for path in removals(case, stripped) if "psycopg2" in path] == []
    assert set(removals(case, bare)) <= set(removals(case, complete_dist(case)))
    assert (bare.parent / "program.py").read_text() == (stripped.parent / "program.py").read_text() == case.program
    assert download("psycopg2-binary==2.9.10", sha256=case.hashes[0]).exists()
