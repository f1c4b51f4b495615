"""The command line as a user meets it: messages, hints, exit codes, reports; bad input above all."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from depfix.knowledge.rules import rules
from depfix.reports.json import schema
from tests.conftest import Cli, DistMaker, Forge, put, snapshot

Run = Callable[..., Cli]
MakeConda = Callable[..., Path]
SOURCE = "from . import core\n"


@pytest.fixture
def broken(make_dist: DistMaker) -> Path:
    return make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE})


@pytest.fixture
def environment(make_conda: MakeConda) -> Path:
    return make_conda({"Library/bin/need.dll": ()})


def refused(result: Cli, *words: str, code: int = 2) -> None:
    """Assert a clear refusal: exit code, message and hint on stderr, nothing on stdout, no traceback."""
    assert result.code == code, result
    assert result.out == ""
    assert "Traceback" not in result.err
    assert result.err.startswith("error: ")
    for word in words:
        assert word in result.err


# --- bad input ---


@pytest.mark.parametrize("command", ["scan", "repair", "undo", "why"])
def test_no_such_folder(cli: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "main.dist").mkdir()
    name = ["x.dll"] if command == "why" else []
    refused(cli(command, tmp_path / "main.dst", *name), "no such folder", "hint: did you mean", "main.dist")


@pytest.mark.parametrize("command", ["scan", "repair", "undo"])
def test_a_file_instead_of_a_folder(cli: Run, broken: Path, command: str) -> None:
    (broken / "notes.md").write_text("notes")
    refused(cli(command, broken / "notes.md"), "is a file, not a folder", "hint: ", str(broken))


@pytest.mark.parametrize("command", ["scan", "repair"])
def test_an_empty_folder(cli: Run, tmp_path: Path, command: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(cli(command, empty), "no Windows program", "hint: ")
    assert list(tmp_path.iterdir()) == [empty]


def test_a_folder_above_the_dist(cli: Run, broken: Path) -> None:
    done = cli("scan", broken.parent)
    assert done.out == cli("scan", broken).out
    assert done.err.startswith(f"note: the program in {broken.parent} is {broken}: that folder is looked at\n")
    deep = broken.parent / "elsewhere" / "deep"
    deep.mkdir(parents=True)
    broken.rename(deep / "main.dist")
    refused(cli("scan", broken.parent), "no Windows program", "hint: a program is in", "main.dist")


@pytest.mark.parametrize("content", ["echo I am no program", "MZ but that is all"])
def test_an_exe_that_is_text(cli: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "main.exe").write_text(content)
    refused(cli("scan", tmp_path), "no Windows program", "main.exe", "Windows image")


def test_an_exe_that_is_text_beside_a_real_one(cli: Run, broken: Path) -> None:
    (broken / "helper.exe").write_text("echo I am no program")
    found = json.loads(cli("scan", broken, "--format", "json").out)["findings"]
    assert {(one["rule"], one["subject"]) for one in found} == {("DF105", "helper.exe"), ("DF101", "need.dll")}


def test_an_unreadable_file_is_told_and_the_rest_is_scanned(cli: Run, broken: Path) -> None:
    os.symlink("/proc/self/mem", broken / "pkg" / "other.pyd")  # opens, and cannot be read, for root as well
    (broken / "gone.dll").symlink_to(broken / "nowhere")
    result = cli("scan", broken)
    assert result.code == 1
    assert "DF501 not-looked-at  gone.dll" in result.out
    assert "DF501 not-looked-at  pkg/other.pyd" in result.out
    assert "need.dll" in result.out


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("conda:no-such-name", ("no conda environment", "hint: ")),
        ("conda:{tmp}/no/such", ("no such folder", "hint: ")),
        ("conda:{tmp}/linux", ("Linux", "hint: ")),
        ("dir:{tmp}/linux", ("no DLL", "hint: ")),
        ("wheels:{tmp}", ("there is no wheel", "hint: ")),
        ("{tmp}/linux", ("what kind it is", "hint: did you mean conda:")),
        ("conda:{tmp}/x86", ("32-bit", "hint: ")),
    ],
)
@pytest.mark.parametrize("command", ["scan", "repair"])
def test_a_wrong_environment(
    cli: Run, broken: Path, make_conda: MakeConda, tmp_path: Path, command: str, spec: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "linux" / "conda-meta").mkdir(parents=True)
    (tmp_path / "linux" / "bin").mkdir()
    (tmp_path / "linux" / "bin" / "python").touch()
    make_conda({}, name="x86", machine="x86")
    before = snapshot(broken)
    refused(cli(command, broken, "--env", spec.replace("{tmp}", str(tmp_path))), *words)
    assert snapshot(broken) == before
    assert not broken.with_name("main.dist.depfix").exists()


def test_a_repair_without_an_environment(cli: Run, broken: Path) -> None:
    refused(cli("repair", broken), "no environment to take need.dll from", "hint: add --env")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--entry", "no-such.py"), ("cannot read the entry", "hint: ")),
        (("--entry", "."), ("it is a folder",)),
        (("--project-dir", "no-such"), ("cannot read the project no-such: no such folder", "--project-dir")),
        (("--project-dir", __file__), ("it is a file", "--project-dir")),
        (("--select", "DF1O1"), ("no such rule", "hint: did you mean")),
        (("--ignore", "mising-dll"), ("no such rule", "hint: did you mean missing-dll")),
        (("-o", "no/such/folder/report.txt"), ("cannot write",)),
    ],
)
def test_wrong_arguments(
    cli: Run, broken: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(cli("scan", broken, *arguments, cwd=tmp_path), *words, code=3 if arguments[0] == "-o" else 2)


def test_an_unwritable_report_is_told_before_a_repair(
    cli: Run, broken: Path, environment: Path, tmp_path: Path
) -> None:
    before = snapshot(broken)
    for option in ("-o", "--plan"):
        refused(cli("repair", broken, "--env", f"conda:{environment}", option, tmp_path), "cannot write", code=3)
    assert snapshot(broken) == before


def test_an_entry_that_is_a_program(cli: Run, broken: Path) -> None:
    refused(cli("scan", broken, "--entry", broken / "app.exe"), "it is no Python source")


def test_unknown_options_and_commands(cli: Run, broken: Path) -> None:
    for arguments in (("scan", broken, "--no-such"), ("scna", broken), ("scan",)):
        result = cli(*arguments)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err


def test_nothing_to_undo(cli: Run, broken: Path) -> None:
    refused(cli("undo", broken), "no repair of")


def test_a_32_bit_dll_is_a_finding_and_not_repaired_from_a_32_bit_folder(
    cli: Run, broken: Path, forge: Forge, tmp_path: Path
) -> None:
    put(forge("need.dll", machine="x86"), broken / "need.dll")
    put(forge("need.dll", machine="x86"), tmp_path / "dlls" / "need.dll")
    before = snapshot(broken)
    result = cli("repair", broken, "--env", f"dir:{tmp_path / 'dlls'}", "--overwrite")
    assert result.code == 1
    assert "32-bit" in result.out
    assert snapshot(broken) == before


# --- the job ---


def test_the_command_after_a_scan_sees_what_the_scan_saw(
    cli: Run, make_dist: DistMaker, environment: Path, tmp_path: Path
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE})
    script = tmp_path / "my app.py"
    script.write_text("import pkg\n")
    scanned = cli("scan", dist, "--target", "win11", "--entry", script, "--env", f"conda:{environment}")
    (hint,) = [line for line in scanned.err.splitlines() if line.startswith("hint: ")]
    _, depfix, *typed = shlex.split(hint)
    assert depfix == "depfix" and ["--entry", str(script), "--target", "win11"] == typed[-4:]
    assert cli(*typed, "--dry-run").code == 0


@pytest.mark.parametrize("name", ["main.dist", "my program.dist", "我的程序.dist", "x" * 250])
def test_scan_repair_scan_undo(cli: Run, make_dist: DistMaker, environment: Path, name: str) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": SOURCE}, name=name)
    before = snapshot(dist)
    spec = f"conda:{environment}"
    scanned = cli("scan", dist, "--env", spec)
    assert scanned.code == 1
    for words in ("DF101", "need.dll", "pkg/core.pyd imports it", "need 1.2.3", "1 error, 0 warnings"):
        assert words in scanned.out
    assert "hint: depfix repair" in scanned.err
    dry = cli("repair", dist, "--env", spec, "--dry-run")
    assert (dry.code, snapshot(dist)) == (0, before)
    assert "1 file to copy" in dry.out
    assert "nothing was changed" in dry.err
    done = cli("repair", dist, "--env", spec)
    assert done.code == 0
    assert "1 file copied" in done.out
    assert "1 finding fixed, 0 left" in done.out
    clean = cli("scan", dist)
    assert (clean.code, clean.out.splitlines()[-1]) == (0, "nothing is missing for Windows 10")
    undone = cli("undo", dist)
    assert (undone.code, snapshot(dist)) == (0, before)


def test_reports_as_json_follow_the_schema(cli: Run, broken: Path, environment: Path, tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    spec = f"conda:{environment}"
    scanned = json.loads(cli("scan", broken, "--env", spec, "--format", "json").out)
    dry = json.loads(cli("repair", broken, "--env", spec, "--dry-run", "--format", "json").out)
    repaired = json.loads(cli("repair", broken, "--env", spec, "--format", "json").out)
    clean = json.loads(cli("scan", broken, "--format", "json").out)
    for report in (scanned, dry, repaired, clean):
        validator.validate(report)
    finding = scanned["findings"][0]
    assert finding["chain"] == ["app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "need.dll"]
    assert finding["fix"] == {
        "action": "copy",
        "source": str(environment / "Library" / "bin" / "need.dll"),
        "destination": "need.dll",
        "provider": "need 1.2.3",
    }
    assert (scanned["dist"]["freezer"], scanned["dist"]["python"], scanned["target"]) == ("python", "3.10", "win10")
    assert (dry["applied"], repaired["applied"]) == (False, True)
    assert repaired["verification"] == dry["verification"]
    assert [one["subject"] for one in repaired["verification"]["fixed"]] == ["need.dll"]
    assert clean["findings"] == []


def test_output_files_hold_the_report(cli: Run, broken: Path, environment: Path, tmp_path: Path) -> None:
    target = tmp_path / "报告.json"
    result = cli("scan", broken, "--format", "json", "-o", target)
    assert (result.code, result.out) == (1, "")
    assert json.loads(target.read_text("utf-8"))["summary"]["error"] == 1
    text = tmp_path / "report.txt"
    assert cli("scan", broken, "-o", text).out == "1 error, 0 warnings\n"
    assert "need.dll" in text.read_text("utf-8")
    plan = tmp_path / "plan.json"
    cli("repair", broken, "--env", f"conda:{environment}", "--dry-run", "--plan", plan, "-q")
    assert [action["destination"] for action in json.loads(plan.read_text())["actions"]] == ["need.dll"]


def test_which_findings_fail(cli: Run, make_dist: DistMaker) -> None:
    guarded = "try:\n    from . import core\nexcept ImportError:\n    core = None\n"
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": guarded})
    assert [cli("scan", dist, "--fail-on", level).code for level in ("error", "warning", "never")] == [0, 1, 0]
    assert cli("scan", dist, "--fail-on", "warning", "--ignore", "missing-dll").code == 0
    assert cli("scan", dist, "--fail-on", "warning", "--select", "DF103").code == 0


def test_quiet_and_verbose(cli: Run, make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",), "plugins/x.dll": ("y.dll",)}, {"pkg/__init__.py": SOURCE})
    assert cli("scan", dist, "-q") == Cli(1, "1 error, 0 warnings, 1 possible (-v shows them)\n", "")
    loud = cli("scan", dist, "-v").out
    assert "y.dll (possible)" in loud
    assert "looked at  already loaded in the process; KnownDLLs; directory of the DLL asked for: pkg" in loud


def test_why(cli: Run, broken: Path, forge: Forge) -> None:
    missing = cli("why", broken, "NEED.dll")
    assert missing.code == 0
    assert re.search(r"need\.dll\s+missing", missing.out)
    steps = [line.strip() for line in missing.out.splitlines()]
    wanted = ["app.exe", "starts with pkg", "imports pkg.core   (pkg/__init__.py:1)", "is the file pkg/core.pyd",
              "imports need.dll"]  # fmt: skip
    assert [step for step in steps if step in wanted] == wanted
    assert "a module" in cli("why", broken, "pkg.core").out
    put(forge("alone.dll"), broken / "alone.dll")
    assert "nothing that depfix can see needs it" in cli("why", broken, "alone.dll").out
    refused(cli("why", broken, "ned.dll"), "nothing in the dist is called ned.dll", "hint: did you mean need.dll")


def test_envs(cli: Run, make_conda: MakeConda, tmp_path: Path) -> None:
    make_conda({}, name="envs/nuitka")
    environ = {"CONDA_ENVS_PATH": str(tmp_path / "envs")}
    listed = cli("envs", environ=environ)
    assert listed.code == 0
    assert re.search(r"conda:nuitka\s+Python 3\.10\s+64-bit \(amd64\)", listed.out)
    rows = json.loads(cli("envs", "--format", "json", environ=environ).out)
    assert [(row["spec"], row["usable"]) for row in rows] == [("conda:nuitka", True)]
    none = cli("envs")
    assert none.code == 0
    assert "no environment was found" in none.out


def test_explain_knows_every_rule(cli: Run) -> None:
    listed = cli("explain").out
    for rule in rules():
        assert rule.code in listed
    text = cli("explain", "missing-dll").out
    assert "DF101" in text
    assert "how it is fixed" in text
    refused(cli("explain", "DF199"), "no such rule", "hint: ")


def test_version_and_help(cli: Run) -> None:
    assert re.match(r"depfix, version \d+\.\d+\.\d+\n", cli("--version").out)
    for command in ("scan", "repair", "undo", "why", "envs", "explain"):
        result = cli(command, "--help")
        assert result.code == 0
        assert "Usage: depfix" in result.out


def test_a_cut_off_repair_is_told(cli: Run, broken: Path, environment: Path) -> None:
    cli("repair", broken, "--env", f"conda:{environment}")
    journal = broken.with_name("main.dist.depfix") / "0001" / "journal.json"
    journal.write_text(journal.read_text().replace('"committed"', '"committing"'))
    assert "was cut off" in cli("scan", broken).err
    assert cli("undo", broken).code == 2  # taking the lock has put it back, so nothing is left to undo
    assert not (broken / "need.dll").exists()


def test_a_damaged_journal_does_not_keep_from_scanning(cli: Run, broken: Path, environment: Path) -> None:
    cli("repair", broken, "--env", f"conda:{environment}")
    (broken.with_name("main.dist.depfix") / "0001" / "journal.json").write_text("{")
    scanned = cli("scan", broken)
    assert scanned.code == 0
    assert "warning: the journal" in scanned.err
    refused(cli("undo", broken), "cannot be read", "hint: ", code=3)


def test_a_defect_of_depfix_is_told_without_a_traceback(cli: Run, broken: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import depfix.pipeline\n\ndef assess(*_, **_more):\n    raise ZeroDivisionError('oh')\n\ndepfix.pipeline.assess = assess\n"
    )
    result = cli("scan", broken, environ={"PYTHONPATH": str(tmp_path)})
    refused(result, "ZeroDivisionError: oh", "hint: this is a defect of depfix", code=3)
    shown = cli("scan", broken, environ={"PYTHONPATH": str(tmp_path), "DEPFIX_DEBUG": "1"})
    assert "Traceback" in shown.err


def test_names_that_a_console_cannot_show(cli: Run, make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist({}, {"包/__init__.py": SOURCE})
    put(forge("core.pyd", ("需要.dll",)), dist / "包" / "core.pyd")
    raw = os.fsencode(dist) + b"/\xff\xfe.txt"
    shutil.copy(dist / "app.exe", os.fsdecode(raw))
    for environ in (
        {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "gbk", "PYTHONUTF8": "0"},
        {},
    ):
        result = cli("scan", dist, environ=environ)
        assert result.code == 1, result.err
    assert cli("scan", dist, "--format", "json").code == 1


def test_a_repair_with_nothing_to_copy_says_so(
    cli: Callable[..., Cli], make_dist: DistMaker, make_conda: Callable[..., Path]
) -> None:
    guarded = "try:\n    from .core import work\nexcept ImportError:\n    work = None"
    dist = make_dist({}, {"pkg/__init__.py": guarded, "pkg/core.pyi": ""})
    result = cli("repair", dist, "--env", f"conda:{make_conda({})}", "--yes")
    assert (result.code, result.out) == (0, "nothing is missing for Windows 10 (1 possible, -v shows them)\n")
