"""The policy file: what it may say, all that is wrong with it at once, and which part holds for which dist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.policy.baseline import baseline_of, updated
from depfix.policy.choosing import dists_of, policy_for
from depfix.policy.errors import PolicyError
from depfix.policy.globs import matches
from depfix.policy.judging import Case, judge
from depfix.policy.licences import Licences
from depfix.policy.reading import find_policy, read_policy
from depfix.policy.values import Acceptance, Budgets, Policy, Setting

Write = Callable[..., Path]
TODAY = date(2026, 7, 1)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def written(text: str, name: str = "depfix.toml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return written


EVERYTHING = """
target = "win11-n"
entry = "src/main.py"
env = ["conda:app", "conda:build/env", "wheels:wheels", "venv:~/x", "other:thing"]
project-dir = "."
report = "report.xml"
select = ["DF1*", "missing-module"]
ignore = ["df102"]
fail-on = "warning"
formats = ["json"]
output-dir = "out"
baseline = "known.json"
allow-dlls = ["python*.dll"]
forbid-dlls = "x264*"
allow-licences = ["MIT"]
forbid-licences = ["AGPL-*"]
require-signature = ["*.exe"]

[budgets]
max-size = "1.5 MB"
max-files = 10
components = { torch = "2 KiB" }

[[accept]]
rule = ["DF4*", "missing-dll"]
subject = "a.dll"
path = ["pkg/**"]
reason = "so it is"
expires = 2026-12-31

[[dist]]
path = "build/a.dist"
fail-on = "never"

[[dist.accept]]
subject = "b.dll"
reason = "only there"
expires = "2027-01-31"
"""


@pytest.mark.parametrize("name", ["depfix.toml", "pyproject.toml"])
def test_every_key_is_read(write: Write, name: str) -> None:
    text = EVERYTHING
    if name == "pyproject.toml":
        heads = text.replace("[[", "[[tool.depfix.").replace("\n[b", "\n[tool.depfix.b")
        text = f'[project]\nname = "x"\n[tool.depfix]{heads}'
    file = read_policy(str(write(text, name)))
    policy = policy_for("build/other.dist", file, {})
    assert policy.target == "win11-n"
    assert policy.entry == ("src/main.py",)
    assert policy.env[:3] == ("conda:app", "conda:build/env", "wheels:wheels")
    assert policy.env[3] == f"venv:{Path.home() / 'x'}"
    assert policy.env[4] == "other:thing"
    assert (policy.project_dir, policy.report, policy.output_dir, policy.baseline) == (
        ".",
        "report.xml",
        "out",
        "known.json",
    )
    assert {"DF101", "DF112", "DF201"} <= set(policy.select)
    assert policy.ignore == ("DF102",)
    assert (policy.fail_on, policy.formats) == ("warning", ("json",))
    assert policy.budgets == Budgets(1_500_000, 10, (("torch", 2048),))
    assert (policy.allow_dlls, policy.forbid_dlls) == (("python*.dll",), ("x264*",))
    assert (policy.allow_licences, policy.forbid_licences) == (("MIT",), ("AGPL-*",))
    assert policy.require_signature == ("*.exe",)
    (accepted,) = policy.accept
    assert accepted.rules[-1] == "DF101"
    assert "DF411" in accepted.rules
    assert (accepted.subjects, accepted.paths, accepted.reason) == (("a.dll",), ("pkg/**",), "so it is")
    assert accepted.expires == date(2026, 12, 31)
    line = text.splitlines().index(next(row for row in text.splitlines() if row.endswith("accept]]"))) + 1
    assert accepted.where == f"{name}:{line}"

    own = policy_for("build/a.dist", file, {"target": Setting("win7", "--target")})
    assert own.fail_on == "never"
    assert own.target == "win7"
    assert [one.subjects for one in own.accept] == [("a.dll",), ("b.dll",)]
    assert own.accept[1].expires == date(2027, 1, 31)
    assert dict(own.origins)["target"] == "--target"


def test_all_that_is_wrong_is_told_at_once_with_its_line(write: Write) -> None:
    write(
        'tagret = "win10"\n'
        'fail-on = "warn"\n'
        'select = ["DF1O1", "mising-dll"]\n'
        "env = 3\n"
        'target = "win12"\n'
        'formats = ["jsn"]\n'
        "[budgets]\n"
        'max-size = "3 furlongs"\n'
        "max_files = 3\n"
        "[[accept]]\n"
        'rule = "DF101"\n'
        'expires = "2026-02-30"\n'
        "[[accept]]\n"
        'reason = "  "\n'
        'because = "y"\n'
        "[[dist]]\n"
        'output-dir = "x"\n'
    )
    with pytest.raises(PolicyError) as caught:
        find_policy(".")
    told = {(line, words.partition(" (")[0]) for line, words in caught.value.problems}
    assert told == {
        (1, "unknown key tagret"),
        (2, 'fail-on is one of error, warning, never, not "warn"'),
        (3, "select names no such rule: DF1O1"),
        (3, "select names no such rule: mising-dll"),
        (4, "env takes a list of texts, not 3"),
        (5, "target names no such target: win12; known are win7, win7-n, win8.1, win8.1-n, win10, win10-n, win11, "
         "win11-n, server-core"),
        (6, "formats names no such format: jsn"),
        (8, 'max-size takes bytes, or a text such as "350 MB" or "1.5 GiB", not "3 furlongs"'),
        (9, "unknown key max_files"),
        (10, "[[accept]] needs a reason"),
        (12, 'expires takes a day such as 2026-12-31, not "2026-02-30"'),
        (13, "[[accept]] needs a rule, a subject or a path: it would accept everything"),
        (14, 'reason takes a text, not "  "'),
        (15, "unknown key because"),
        (16, "[[dist]] needs a path: the folder that it is of"),
        (17, "output-dir is of the whole file, not of one dist"),
    }  # fmt: skip
    text = str(caught.value)
    assert text.startswith("depfix.toml has 16 problems\n  line 1: unknown key tagret (did you mean target?)\n")
    for near in ("warning?", "missing-dll", "json?", "max-files?", "day is out of range"):
        assert near in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target = \n", "line 1: it is no TOML"),
        ('a = "b\n', "line 1: it is no TOML"),
        ("[tool.depfix]\n[x]\n", "x stands outside of [tool.depfix]"),
        ("accept = 3\n", "line 1: accept is written as [[accept]], once for each"),
        ('budgets = "1 MB"\n', "line 1: budgets is a table"),
        ("budgets.max-files = true\n", "line 1: max-files takes a number, not true"),
        ("budgets.max-size = -1\n", "line 1: max-size takes bytes"),
        ("[budgets]\ncomponents = 3\n", "line 2: components is a table of names"),
        ("[budgets.components]\nx = 1.5\n", "line 2: x takes bytes"),
        ('target = ["win10"]\n', "line 1: target takes a text, not a list"),
        ('accept = [\n  {subject = "x"},\n]\n', "line 1: [[accept]] needs a reason"),
        ('accept = [{subject = "x", reason = "y", expires = 2026-01-01T00:00:00}]\n', "expires takes a day"),
        ('ignore = ["DF9*"]\n', "ignore names no rule: DF9*"),
    ],
)
def test_one_thing_that_is_wrong(write: Write, text: str, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(str(write(text)))
    assert words in str(caught.value)


def test_files_that_are_no_policy(write: Write, tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "no.toml", "cannot read it: no such file"),
        (tmp_path, "cannot read it: is a directory"),
        (write("[tool.other]\n", "pyproject.toml"), "it has no table [tool.depfix]"),
    ):
        with pytest.raises(PolicyError, match=words.replace("[", r"\[").replace("]", r"\]")):
            read_policy(str(path))
    (tmp_path / "depfix.toml").write_bytes(b"target = '\xff'")
    with pytest.raises(PolicyError, match="UTF-8"):
        read_policy("depfix.toml")


def test_the_nearest_file_counts(write: Write, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_policy(str(tmp_path / "a" / "b")) is None
    write("not toml at all [", "a/pyproject.toml")  # another tool's trouble
    write('[tool.depfix]\ntarget = "win7"\n', "pyproject.toml")
    file = find_policy(str(tmp_path / "a" / "b"))
    assert file is not None
    assert file.shown == "pyproject.toml"
    write("\ufefftarget = 'win11'\n", "depfix.toml")
    file = find_policy(str(tmp_path / "a" / "b"))
    assert file is not None
    assert file.settings["target"] == Setting("win11", "depfix.toml:1")
    write("[tool.depfix\n", "a/pyproject.toml")
    with pytest.raises(PolicyError, match="it is no TOML"):
        find_policy(str(tmp_path / "a" / "b"))


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('entry = "main.py"\nenv = ["conda:./env", "dir:C:\\\\libs"]\n[[dist]]\npath = "build/*.dist"\n')
    for name in ("build/one.dist", "build/two.dist", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    file = find_policy(".")
    policy = policy_for("../build/one.dist", file, {})
    assert policy.entry == (str(tmp_path / "main.py"),)
    assert policy.env == (f"conda:{tmp_path / 'env'}", "dir:C:\\libs")
    assert dists_of(file) == (str(tmp_path / "build/one.dist"), str(tmp_path / "build/two.dist"))
    monkeypatch.chdir(tmp_path)
    assert dists_of(find_policy(".")) == ("build/one.dist", "build/two.dist")


def test_later_parts_win_and_join_where_that_is_said(write: Write) -> None:
    write(
        "[budgets]\nmax-size = 10\nmax-files = 3\ncomponents = {a = 1, b = 2}\n"
        '[[dist]]\npath = "x.dist"\nbudgets = {max-size = 20, components = {b = 5}}\n'
        '[[dist]]\npath = "*.dist"\nselect = "DF101"\n'
    )
    file = find_policy(".")
    policy = policy_for("x.dist", file, {"select": Setting(("DF102",), "--select")})
    assert policy.budgets == Budgets(20, 3, (("a", 1), ("b", 5)))
    assert policy.select == ("DF102",)
    assert policy_for("y.dist", file, {}).select == ("DF101",)
    assert policy_for("y.other", file, {}).budgets.size == 10


# --- globs and licences ---


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("uv.dll", "uv.dll", True),
        ("uv.dll", "torch/lib/UV.DLL", True),
        ("torch/*.dll", "torch/lib/uv.dll", False),
        ("torch/**/*.dll", "torch/lib/x/uv.dll", True),
        ("torch/**/*.dll", "torch/uv.dll", True),
        ("torch/**", "torchvision/a.dll", False),
        ("torch/", "torch/lib/a.dll", True),
        ("**", "a/b", True),
        ("torch.*", "torch.nn.functional", True),
        ("[!a]*.pyd", "pkg/b.pyd", True),
        ("lib\\*.dll", "lib/a.dll", True),
        ("./a/b.dll", "a/b.dll", True),
        ("a[.dll", "a[.dll", True),
        ("/a", "a", False),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("licence", "allowed", "forbidden", "expected"),
    [
        ("MIT", ("MIT",), (), True),
        ("mit", ("MIT",), (), True),
        ("MIT", ("BSD-*",), (), False),
        ("BSD-3-Clause", ("BSD-*",), (), True),
        ("MIT OR GPL-3.0-only", ("MIT",), (), True),
        ("MIT AND GPL-3.0-only", ("MIT",), (), False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", ("MIT", "Apache-2.0"), (), True),
        ("MIT OR GPL-3.0-only", (), ("GPL-*",), True),
        ("MIT AND GPL-3.0-only", (), ("GPL-*",), False),
        ("MIT / GPL-3.0-only", ("MIT",), (), False),
        ("GPL-2.0+", ("GPL-2.0-or-later",), (), True),
        ("GPL-2.0-or-later", ("GPL-2.0+",), (), True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ("GPL-2.0-only",), (), True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (), ("GPL-2.0-only",), False),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            ("GPL-2.0-only WITH Classpath-exception-2.0",),
            ("GPL-2.0-only",),
            True,
        ),
        ("MIT License", ("MIT License",), (), True),
        ("MIT License", ("MIT",), (), False),
        ("The <b>own</b> words (of)\nsomebody AND", ("MIT",), (), False),
        ("", ("MIT",), (), False),
        ("", ("MIT", "Unknown"), (), True),
        ("", (), ("GPL-*",), True),
        ("LicenseRef-Proprietary", ("LicenseRef-*",), (), True),
    ],
)
def test_licences(licence: str, allowed: tuple[str, ...], forbidden: tuple[str, ...], expected: bool) -> None:
    assert Licences(allowed, forbidden).permits(licence) is expected


# --- judging ---


def found(
    rule: str,
    subject: str,
    *paths: str,
    severity: Severity = Severity.ERROR,
    confidence: Confidence = Confidence.CERTAIN,
) -> Finding:
    places = tuple(Location(path, 1) for path in paths)
    return Finding(rule, "name", severity, confidence, subject, f"about {subject}", places, ())


def judged(policy: Policy, *findings: Finding, today: date = TODAY) -> tuple[list[str], list[str], bool]:
    """Return (rule and subject of what counts, those accepted, whether it failed)."""
    (judgement,) = judge([Case(policy, findings)], today)
    counting = [f"{one.rule} {one.subject}" for one in judgement.findings]
    return (
        counting,
        [f"{one.finding.rule} {one.finding.subject}" for one in judgement.accepted],
        judgement.verdict.failed,
    )


A = found("DF101", "a.dll", "pkg/x.pyd")
B = found("DF102", "b.dll", "pkg/x.pyd", "other/y.pyd", severity=Severity.WARNING)


@pytest.mark.parametrize(
    ("chosen", "accepted"),
    [
        ({"rules": ("DF101",)}, ["DF101 a.dll"]),
        ({"subjects": ("*.dll",)}, ["DF101 a.dll", "DF102 b.dll"]),
        ({"rules": ("DF102",), "subjects": ("a.dll",)}, []),
        ({"paths": ("pkg/**",)}, ["DF101 a.dll"]),  # of b.dll not every place is there
        ({"paths": ("pkg/**", "other/**")}, ["DF101 a.dll", "DF102 b.dll"]),
    ],
)
def test_an_acceptance_fits_what_all_its_fields_name(chosen: dict[str, tuple[str, ...]], accepted: list[str]) -> None:
    fields = (chosen.get("rules", ()), chosen.get("subjects", ()), chosen.get("paths", ()))
    policy = Policy(accept=(Acceptance("why", *fields, place="depfix.toml", line=3),))
    assert judged(policy, A, B)[1] == accepted


@pytest.mark.parametrize(
    ("today", "counts"), [(date(2026, 7, 1), False), (date(2026, 6, 30), False), (date(2026, 7, 2), True)]
)
def test_the_last_day_still_counts(today: date, counts: bool) -> None:
    policy = Policy(accept=(Acceptance("why", ("DF101",), expires=date(2026, 7, 1), place="depfix.toml", line=3),))
    counting, accepted, failed = judged(policy, A, today=today)
    assert failed is counts
    assert counting == (["DF101 a.dll", "DF705 DF101"] if counts else [])
    assert accepted == ([] if counts else ["DF101 a.dll"])


def test_an_acceptance_that_holds_wins_over_one_that_expired() -> None:
    old = Acceptance("old", ("DF101",), expires=date(2020, 1, 1), place="depfix.toml", line=1)
    new = Acceptance("new", (), ("a.dll",), place="depfix.toml", line=5)
    assert judged(Policy(accept=(old, new)), A) == ([], ["DF101 a.dll"], False)


def test_what_nothing_fits_is_told_once() -> None:
    one = Acceptance("why", ("DF101",), ("z.dll",), place="depfix.toml", line=3)
    policy = Policy(accept=(one,))
    first, second = judge([Case(policy, (A,)), Case(policy, (A,))], TODAY)
    assert [row.rule for row in first.findings] == ["DF101", "DF706"]
    assert first.findings[1].locations == (Location("depfix.toml", 3),)
    assert [row.rule for row in second.findings] == ["DF101"]
    elsewhere = found("DF101", "z.dll")
    first, second = judge([Case(policy, (A,)), Case(policy, (elsewhere,))], TODAY)
    assert [row.rule for row in first.findings] == ["DF101"]
    assert second.findings == ()


@pytest.mark.parametrize(
    ("select", "ignore", "told"),
    [((), (), True), (("DF101",), (), True), (("DF102",), (), False), ((), ("DF101",), False), ((), ("DF706",), False)],
)
def test_it_is_not_told_if_this_run_did_not_look(select: tuple[str, ...], ignore: tuple[str, ...], told: bool) -> None:
    one = Acceptance("why", ("DF101",), place="depfix.toml", line=3)
    counting, _, failed = judged(Policy(accept=(one,), select=select, ignore=ignore))
    assert counting == (["DF706 DF101"] if told else [])
    assert not failed


@pytest.mark.parametrize(("fail_on", "failed"), [("error", False), ("warning", True), ("never", False)])
def test_what_counts_decides(fail_on: str, failed: bool) -> None:
    assert judged(Policy(fail_on=fail_on), B)[2] is failed
    possible = found("DF101", "p.dll", confidence=Confidence.POSSIBLE)
    assert judged(Policy(fail_on=fail_on), possible)[2] is False


# --- the baseline as a value ---


def test_a_baseline_is_the_same_in_any_order_and_keeps_what_was_not_looked_at() -> None:
    info = found("DF202", "i", severity=Severity.INFO)
    one, other = updated("b", (A, B, info), None), updated("b", (info, B, A, A), None)
    assert one == other
    assert [row.subject for row in one.rows] == ["a.dll", "b.dll"]
    assert [row.subject for row in updated("b", (), one, unseen=("DF102",)).rows] == ["b.dll"]
    assert [row.subject for row in one.gone((B,))] == ["a.dll"]


def test_a_row_that_stays_is_not_rewritten() -> None:
    old = updated("b", (A,), None)
    moved = Finding(A.rule, A.name, A.severity, A.confidence, A.subject, "in line 99", A.locations, ())
    assert updated("b", (moved,), old) == old
    assert baseline_of("b", old.rows) == old
