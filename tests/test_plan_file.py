"""A plan as a file: complete, carried out as it is, refused as soon as the dist or a source is another."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from depfix.dist.identify import open_dist
from depfix.model.plan import Action, Plan
from depfix.model.report import Report
from depfix.model.source import Provider
from depfix.pipeline import Options, scan, undo
from depfix.repair.errors import PlanFileError, PlanOutdatedError, RolledBackError
from depfix.repair.journal import state_folder
from depfix.repair.plan_writer import plan_file, plan_json
from depfix.repair.planfile import Workshop, bound_plan, plan_schema, read_plan_file
from depfix.repair.transaction import apply_plan, locked
from fixtures.archives import write_conda, write_wheel
from tests.conftest import Cli, DistMaker, Forge, snapshot
from tests.repairing import repair

Run = Callable[..., Cli]
Story = tuple[Path, Path, Path]


@pytest.fixture
def story(make_dist: DistMaker, make_conda: Callable[..., Path], tmp_path: Path) -> Story:
    """(dist, environment, plan): two DLLs stayed behind, a third is damaged in the dist and replaced."""
    sources = {"pkg/__init__.py": "from . import core\n", "pkg/__pycache__/__init__.cpython-310.pyc": "old"}
    dist = make_dist({"pkg/core.pyd": ("first.dll", "third.dll")}, sources)
    (dist / "third.dll").write_text("half a download")
    environment = make_conda(
        {"Library/bin/first.dll": ("second.dll",), "Library/bin/second.dll": (), "Library/bin/third.dll": ()}
    )
    plan = tmp_path / "plan.json"
    options = Options(environ={}, environments=(f"conda:{environment}",), overwrite=True)
    repair(str(dist), options, dry_run=True, save_plan=lambda text: saved(plan, text))
    return dist, environment, plan


def saved(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def carried_out(dist: Path, plan: Path, **more: Any) -> Report:
    return repair(str(dist), Options(environ={}), from_plan=str(plan), **more)


def refusal(dist: Path, plan: Path, kind: type[Exception] = PlanFileError) -> str:
    """Assert that a plan is refused without a trace in the dist; return the message."""
    before = snapshot(dist)
    with pytest.raises(kind) as caught:
        carried_out(dist, plan)
    assert snapshot(dist) == before
    assert not state_folder(str(dist)).exists()
    return str(caught.value)


def changed(plan: Path, change: Callable[[Any], object]) -> Path:
    value = json.loads(plan.read_text("utf-8"))
    change(value)
    plan.write_text(json.dumps(value), encoding="utf-8")
    return plan


# --- written and carried out ---


def test_a_plan_file_is_complete_and_of_its_schema(story: Story) -> None:
    dist, environment, plan = story
    value = json.loads(plan.read_text("utf-8"))
    jsonschema.Draft202012Validator(json.loads(plan_schema())).validate(value)
    assert value["schema_version"] == 2
    assert value["dist"]["root"] == str(dist)
    assert set(value["dist"]["files"]) == {"app.exe", "python310.dll", "third.dll", "pkg/core.pyd", "pkg/__init__.py"}
    rows = {row["destination"]: row for row in value["actions"]}
    assert set(rows) == {"first.dll", "second.dll", "third.dll"}
    first = rows["first.dll"]
    assert (first["provider"], first["version"], first["action"]) == ("first", "1.2.3", "copy")
    assert first["source"] == str(environment / "Library" / "bin" / "first.dll")
    assert first["size"] == os.path.getsize(first["source"])
    assert rows["third.dll"]["action"] == "replace"
    assert rows["second.dll"]["chain"]


def test_it_is_carried_out_exactly_and_undone(story: Story) -> None:
    dist, environment, plan = story
    before = snapshot(dist)
    shown = carried_out(dist, plan, dry_run=True)
    assert snapshot(dist) == before
    assert not state_folder(str(dist)).exists()
    done = carried_out(dist, plan)
    assert done.applied
    assert done.plan == shown.plan
    assert done.verification is not None and shown.verification is not None
    assert {one.subject for one in done.verification.fixed} == {one.subject for one in shown.verification.fixed}
    assert scan(str(dist), Options(environ={})).findings == ()
    assert (dist / "third.dll").read_bytes() == (environment / "Library" / "bin" / "third.dll").read_bytes()
    undo(str(dist))
    assert snapshot(dist) == before


def test_it_does_what_the_repair_itself_does(story: Story, tmp_path: Path) -> None:
    dist, environment, plan = story
    twin = tmp_path / "twin"
    shutil.copytree(dist, twin)
    options = Options(environ={}, environments=(f"conda:{environment}",), overwrite=True)
    repair(str(twin), options)
    carried_out(dist, plan)
    contents = [{path: row[0] for path, row in snapshot(one).items()} for one in (dist, twin)]
    assert contents[0] == contents[1]


def test_a_copy_of_the_dist_is_as_good(story: Story, tmp_path: Path) -> None:
    dist, _, plan = story
    copy = tmp_path / "elsewhere" / "copy.dist"
    for path in dist.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(dist)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(dist)).write_bytes(path.read_bytes())  # other times, other modes
    assert carried_out(copy, plan).applied


def test_what_python_caches_does_not_count(story: Story) -> None:
    dist, _, plan = story
    (dist / "pkg" / "__pycache__" / "__init__.cpython-310.pyc").write_text("another")
    assert carried_out(dist, plan).applied


# --- refused ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dist: (dist / "app.exe").write_bytes((dist / "app.exe").read_bytes()[:-1] + b"?"), "app.exe (other"),
        (lambda dist: (dist / "added.txt").write_text(""), "added.txt (new)"),
        (lambda dist: (dist / "pkg" / "core.pyd").unlink(), "pkg/core.pyd (gone)"),
        (lambda dist: (dist / "third.dll").rename(dist / "Third.dll"), "third.dll (gone), Third.dll (new)"),
    ],
)
def test_a_changed_dist_is_refused(story: Story, change: Callable[[Path], object], words: str) -> None:
    dist, _, plan = story
    change(dist)
    assert words in refusal(dist, plan, PlanOutdatedError)


def test_many_changes_are_named_in_part(story: Story) -> None:
    dist, _, plan = story
    for number in range(12):
        (dist / f"{number:02}.txt").write_text("x")
    message = refusal(dist, plan, PlanOutdatedError)
    assert "00.txt (new)" in message and "and 7 more" in message


@pytest.mark.parametrize("gone", [True, False])
def test_a_changed_source_is_refused(story: Story, gone: bool) -> None:
    dist, environment, plan = story
    source = environment / "Library" / "bin" / "second.dll"
    if gone:
        source.unlink()
    else:
        source.write_bytes(source.read_bytes()[:-1] + b"?")
    assert f"{source} ({'gone' if gone else 'other content'})" in refusal(dist, plan, PlanOutdatedError)


def test_a_plan_is_not_carried_out_twice(story: Story) -> None:
    dist, _, plan = story
    carried_out(dist, plan)
    with pytest.raises(PlanFileError, match="carried out already"):
        carried_out(dist, plan)
    undo(str(dist))
    assert carried_out(dist, plan).applied, "after undo the dist is the one that it was made for"


def test_a_dist_of_another_kind_is_refused(story: Story, make_dist: DistMaker) -> None:
    other = make_dist(name="plain.dist", python=False)
    assert "another dist" in refusal(other, story[2])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"\xff\xfe{}", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b'{"schema_version": 2}', "damaged"),
        (b'{"schema_version": "2"}', "damaged"),
        (b'{"schema_version": 1, "actions": []}', "schema_version is 1"),
        (b'{"schema_version": 99}', "schema_version is 99; this depfix carries out 2"),
    ],
)
def test_what_is_no_plan_is_refused(story: Story, content: bytes, words: str) -> None:
    story[2].write_bytes(content)
    assert words in refusal(story[0], story[2])


def test_a_plan_that_is_not_there_or_a_folder_is_refused(story: Story, tmp_path: Path) -> None:
    assert "cannot be read" in refusal(story[0], tmp_path / "none.json")
    assert "cannot be read" in refusal(story[0], tmp_path)


@pytest.mark.parametrize(
    "destination",
    ["../x.dll", "/x.dll", "C:/x.dll", "a\\x.dll", "nul.dll", "a./x.dll", "a/../../x", "", "x.dll:s", "//h/s/x.dll"],
)
def test_an_unsafe_destination_is_refused(story: Story, destination: str) -> None:
    plan = changed(story[2], lambda value: value["actions"][0].update(destination=destination))
    assert "refused to write" in refusal(story[0], plan)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"action": "delete"}, "no such action"),
        ({"destination": "SECOND.dll"}, "twice"),
        ({"size": -1}, "damaged"),
        ({"size": 10**30}, "damaged"),
        ({"sha256": "0"}, "damaged"),
        ({"source": "relative.dll"}, "no absolute path"),
        ({"source": ""}, "neither a source nor content"),
        ({"source": "../../x", "in_dist": True}, "no file of the dist"),
        ({"source": "/x.zip", "member": "../x", "archive": "package"}, "no file in an archive"),
        ({"archive": "rar", "member": "x"}, "no such kind of archive"),
        ({"surprise": 1}, "damaged"),
        ({"content": {"first": 0, "last": 0, "base64": "!"}}, "damaged"),
        ({"content": {"first": 0, "last": 0, "base64": "AAAA"}}, "not what its hash says"),
        ({"content": {"first": 10**9, "last": 10**9, "base64": ""}}, "not what its hash says"),
    ],
)
def test_a_damaged_action_is_refused(story: Story, change: dict[str, object], words: str) -> None:
    plan = changed(story[2], lambda value: value["actions"][0].update(change))
    assert words in refusal(story[0], plan)


def test_a_plan_whose_files_were_edited_is_refused(story: Story) -> None:
    plan = changed(story[2], lambda value: value["dist"]["files"].pop("app.exe"))
    assert "fingerprint" in refusal(story[0], plan)


def test_a_destination_that_is_there_in_another_case_is_refused(story: Story) -> None:
    dist, _, plan = story
    changed(plan, lambda value: value["actions"][0].update(destination="PKG/Core.pyd"))
    with pytest.raises(Exception, match="same name in Windows"):
        carried_out(dist, plan)
    assert not (dist / "PKG").exists()


def test_a_source_with_the_wrong_result_is_rolled_back(story: Story) -> None:
    dist, _, plan = story
    before = snapshot(dist)
    changed(plan, lambda value: value["actions"][1].update(result="0" * 64))
    with pytest.raises(RolledBackError, match="not what it was"):
        carried_out(dist, plan)
    assert snapshot(dist) == before


# --- what depfix makes ---


def test_what_is_made_comes_with_the_plan(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = open_dist(make_dist({}, {"pkg/__init__.py": "line\n" * 1000}))
    scratch, plan = tmp_path / "scratch", tmp_path / "plan.json"
    (scratch / "zip").mkdir(parents=True)
    old = Path(dist.root, "pkg/__init__.py").read_bytes()
    rows = (
        ("write", "", "finder.py", b"made\n"),
        ("patch", f"{dist.root}/pkg/__init__.py", "pkg/__init__.py", old[:40] + b"two lines\n" + old[40:]),
        ("patch", f"{dist.root}/app.exe", "app.exe", Path(dist.root, "app.exe").read_bytes().replace(b"DOS", b"d0S")),
        ("copy", f"{scratch}/zip/mod.py", "mod.py", None),
        ("copy", f"{scratch}/loose.py", "loose.py", None),
        ("write", "", "empty.py", b""),
    )
    actions = []
    for number, (verb, source, destination, content) in enumerate(rows):
        made = scratch / f"made-{number}" if content is not None else Path(source)
        made.write_bytes(content if content is not None else f"module {number}".encode())
        size = made.stat().st_size
        given = str(made) if content is not None else ""
        actions.append(Action(verb, source or given, destination, Provider("x"), size, "DF101", "x", made=given))
    written = plan_file(dist, Plan(tuple(actions), ()), {"/archives/a.zip": str(scratch / "zip")}, str(scratch))
    plan.write_text(plan_json(written), "utf-8")
    jsonschema.Draft202012Validator(json.loads(plan_schema())).validate(json.loads(plan.read_text("utf-8")))
    contents = {row.destination: row.content for row in written.actions}
    assert [len(one.base64) < 100 for one in contents.values() if one is not None] == [True] * 5
    wanted = {action.destination: Path(action.made or action.source).read_bytes() for action in actions}
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(scratch / "zip", elsewhere)
    shutil.rmtree(scratch)
    kept = iter(range(100))

    def keep(content: bytes) -> str:
        path = tmp_path / f"kept-{next(kept)}"
        path.write_bytes(content)
        return str(path)

    bound = bound_plan(str(plan), read_plan_file(str(plan)), dist, Workshop(str, lambda _archive: str(elsewhere), keep))
    with locked(dist.root):
        apply_plan(dist.root, bound)
    assert {path: Path(dist.root, path).read_bytes() for path in wanted} == wanted


# --- the command line ---


def test_the_command_line_writes_and_carries_out(cli: Run, story: Story, tmp_path: Path) -> None:
    dist, environment, _ = story
    plan = tmp_path / "cli.json"
    written = cli("repair", dist, "--env", f"conda:{environment}", "--overwrite", "--dry-run", "--plan", plan)
    assert written.code == 0, written
    shown = cli("repair", dist, "--from-plan", plan, "--dry-run")
    assert shown.code == 0 and "first.dll" in shown.out and "without --dry-run" in shown.err
    done = cli("repair", dist, "--from-plan", plan, "--format", "json")
    assert done.code == 0 and json.loads(done.out)["applied"] is True
    again = cli("repair", dist, "--from-plan", plan)
    assert again.code == 2 and "carried out already" in again.err and "hint: " in again.err


@pytest.mark.parametrize(
    "options", [("--env", "conda:x"), ("--overwrite",), ("--slim", "--lift-guard"), ("--plan", "x")]
)
def test_options_that_decide_a_plan_do_not_go_with_one(cli: Run, story: Story, options: tuple[str, ...]) -> None:
    result = cli("repair", story[0], "--from-plan", story[2], *options)
    assert result.code == 2
    assert f"leave out {', '.join(one for one in options if one.startswith('--'))}" in " ".join(result.err.split())


# --- archives ---


@pytest.mark.parametrize("kind", ["wheel", "conda"])
def test_a_plan_from_archives_names_their_members(
    make_dist: DistMaker, forge: Forge, tmp_path: Path, kind: str
) -> None:
    wheels, plan = tmp_path / "wheels", tmp_path / "plan.json"
    need = forge("need.dll").read_bytes()
    if kind == "wheel":
        archive = write_wheel(wheels, "native", {"native-1.0.data/data/Library/bin/need.dll": need})
        again = write_wheel(tmp_path / "again", "native", {"native-1.0.data/data/Library/bin/need.dll": need + b"?"})
    else:
        archive = write_conda(wheels / "win-64", "native", {"Library/bin/need.dll": need}, suffix=".conda")
        again = write_conda(tmp_path / "again", "native", {"Library/bin/need.dll": need + b"?"}, suffix=".conda")
    dist = make_dist({"core.pyd": ("need.dll",)})
    before = snapshot(dist)
    options = Options(environ={}, environments=(f"wheels:{wheels}",))
    repair(str(dist), options, dry_run=True, save_plan=lambda text: saved(plan, text))
    value = json.loads(plan.read_text("utf-8"))
    jsonschema.Draft202012Validator(json.loads(plan_schema())).validate(value)
    (row,) = value["actions"]
    assert (row["source"], row["archive"], row["content"]) == (str(archive), "package", None)
    assert row["member"].endswith("Library/bin/need.dll")
    done = carried_out(dist, plan)
    assert done.applied and (dist / "need.dll").read_bytes() == need
    undo(str(dist))
    assert snapshot(dist) == before
    content = archive.read_bytes()
    shutil.copy(again, archive)
    assert "need.dll in" in (told := refusal(dist, plan, PlanOutdatedError)) and "other content" in told
    archive.write_bytes(content[: len(content) // 2])
    assert "(gone)" in refusal(dist, plan, PlanOutdatedError)
    archive.unlink()
    assert "(gone)" in refusal(dist, plan, PlanOutdatedError)


def test_a_source_that_is_a_pipe_or_a_device_is_not_read(story: Story, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in (str(tmp_path / "pipe"), "/dev/zero", str(tmp_path)):
        plan = changed(story[2], partial(sourced, source))
        assert f"{source} (gone)" in refusal(story[0], plan, PlanOutdatedError)


def sourced(source: str, value: Any) -> None:
    value["actions"][0]["source"] = source
