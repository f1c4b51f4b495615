"""What stands around depfix: the action, its shell steps run as a runner runs them, hooks, and the snippets of the docs.

The schemas are those of SchemaStore, as check-jsonschema carries them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import DistMaker

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "integrations.md").read_text("utf-8")
DEPFIX = str(Path(sys.executable).parent / "depfix")


def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return loaded


def snippets() -> list[tuple[str, str]]:
    """The YAML of the docs, each with the name of its schema, which stands in a comment before it."""
    return re.findall(r"<!-- ([a-z-]+) -->\n```yaml\n(.*?)```", PAGE, re.S)


def check(schema: str, text: str) -> None:
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}"]
    command += ["--default-filetype", "yaml", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- what is written ---


def test_the_action_is_one_by_its_schema() -> None:
    check("github-actions", (ROOT / "action.yml").read_text("utf-8"))
    with pytest.raises(AssertionError):
        check("github-actions", (ROOT / "action.yml").read_text("utf-8").replace("using: composite", "using: bash"))


def test_the_action_pins_what_it_uses_and_pastes_no_value_into_a_script() -> None:
    for step in action()["runs"]["steps"]:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", f"a@{'0' * 40}")), step
        assert "${{" not in step.get("run", ""), step
    assert all(
        re.search(r"@[0-9a-f]{40} # v\d", line) for line in PAGE.splitlines() if "actions/" in line and "uses" in line
    )


def test_the_docs_name_every_input_and_output_of_the_action() -> None:
    table = PAGE[PAGE.index("| input |") : PAGE.index("## GitLab")]
    named = set(re.findall(r"`([a-z-]+)`", table))
    assert {*action()["inputs"], *action()["outputs"]} <= named


@pytest.mark.parametrize(("schema", "text"), snippets(), ids=[name for name, _ in snippets()])
def test_a_snippet_is_right_by_its_schema(schema: str, text: str) -> None:
    if schema == "pre-commit-config":  # which brings a schema of its own, see below
        assert {hook["id"] for hook in yaml.safe_load(text)["repos"][0]["hooks"]} == set(hooks())
    else:
        check(schema, text)


def hooks() -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}


# --- the action's steps ---


class Runner:
    """Runs the shell steps of the action as a runner of GitHub does; other actions are taken to have done their work."""

    def __init__(self, folder: Path, inputs: Mapping[str, str]) -> None:
        self.temp = folder / "temp"
        self.work = folder / "work"
        for each in (self.temp, self.work):
            each.mkdir()
        self.inputs = {name: str(row["default"]) for name, row in action()["inputs"].items()} | dict(inputs)
        self.outputs: dict[str, dict[str, str]] = {"python": {"python-path": sys.executable, "python-version": "3"}}
        self.summary = folder / "summary.md"

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the step of this name: `bash --noprofile --norc -eo pipefail FILE`, with the variables of a runner."""
        step = next(each for each in action()["runs"]["steps"] if each["name"] == name)
        script, output = self.temp / "script.sh", self.temp / "output"
        script.write_text(step["run"])
        output.write_text("")
        given = {key: self._evaluated(str(value)) for key, value in step["env"].items()}
        env = {key: os.environ[key] for key in ("PATH", "HOME", "PIP_INDEX_URL", "PIP_FIND_LINKS") if key in os.environ}
        env |= {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(self.temp)}
        env |= {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.summary), "PYTHONUTF8": "1"} | given
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        cwd = self.work / self._evaluated(step.get("working-directory", "."))
        done = subprocess.run(shell, env=env, cwd=cwd, capture_output=True, text=True, check=False)
        if "id" in step:
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done

    def _evaluated(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, _, rest = match.group(1).partition(".")
            if kind == "inputs":
                return self.inputs[rest]
            if kind == "steps":
                step, _, output = rest.partition(".outputs.")
                return self.outputs[step].get(output, "")
            return {"runner.temp": str(self.temp)}[match.group(1)]

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)


@pytest.fixture
def audited(tmp_path: Path, make_dist: DistMaker) -> Callable[..., Runner]:
    """A runner in a project with a broken dist, and depfix installed."""
    broken = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core\n"})

    def make(**inputs: str) -> Runner:
        runner = Runner(tmp_path, {name.replace("_", "-"): value for name, value in inputs.items()})
        shutil.copytree(broken, runner.work / "build dir" / "app.dist")
        runner.outputs["install"] = {"depfix": DEPFIX}
        return runner

    return make


def test_the_action_fails_on_a_broken_dist_and_keeps_every_report(audited: Callable[..., Runner]) -> None:
    runner = audited(dist="build dir/app.dist\r\n")
    done = runner.run("Audit")
    assert done.returncode == 0, done  # reports are uploaded first; the last step has the verdict
    told = runner.outputs["audit"]
    assert told == {"exit-code": "1", "report-dir": str(runner.work / "depfix-report"), "sarif": "true"}
    assert json.loads((runner.work / "depfix-report" / "report.sarif").read_text())["runs"][0]["results"]
    assert re.search(r"^::error .*::", done.stdout, re.M)
    assert "need.dll" in runner.summary.read_text("utf-8")
    assert runner.run("Verdict").returncode == 1


def test_the_action_passes_on_what_the_inputs_say(
    audited: Callable[..., Runner], make_conda: Callable[..., Path]
) -> None:
    root = make_conda({"Library/bin/need.dll": ()})
    runner = audited(
        dist="app.dist", env=f"\nconda:{root}\n", args="--target=win11\n--fail-on=never", working_directory="build dir"
    )
    runner.inputs |= {"report-dir": "reports here", "policy": "my policy.toml"}
    (runner.work / "build dir" / "my policy.toml").write_text('ignore = ["DF202"]\n')
    done = runner.run("Audit")
    assert runner.outputs["audit"]["exit-code"] == "0", done
    report = json.loads((runner.work / "build dir" / "reports here" / "report.json").read_text("utf-8"))
    assert (report["target"], report["environments"][0]["spec"]) == ("win11", f"conda:{root}")
    assert runner.run("Verdict").returncode == 0


def test_no_input_is_run_by_the_shell(audited: Callable[..., Runner]) -> None:
    attack = '$(touch planted) `touch planted`; touch planted\n"; touch planted; "'
    runner = audited(dist=attack, env=attack, args=attack, policy=attack)
    runner.run("Audit")
    assert runner.outputs["audit"]["exit-code"] == "2"
    assert not list(runner.work.rglob("planted"))
    assert runner.run("Verdict").returncode == 2


@pytest.mark.lab  # downloads what depfix requires
def test_the_action_installs_its_own_checkout(audited: Callable[..., Runner]) -> None:
    runner = audited(dist="build dir/app.dist")
    installed = runner.run("Install depfix")
    assert installed.returncode == 0, installed
    assert "depfix, version" in installed.stdout
    assert runner.outputs["install"]["depfix"].startswith(str(runner.temp))
    runner.run("Audit")
    assert runner.outputs["audit"]["exit-code"] == "1"


# --- pre-commit ---


@pytest.mark.lab  # downloads what depfix requires
def test_pre_commit_runs_the_hooks(tmp_path: Path, make_dist: DistMaker) -> None:
    hook_repo, project = tmp_path / "depfix", tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", ".venv", ".git", "tests", "fixtures", "docs", ".demo")
    shutil.copytree(ROOT, hook_repo, ignore=ignored)
    project.mkdir()
    make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core\n"}).rename(project / "app.dist")
    policy = project / "depfix.toml"
    policy.write_text('[[dist]]\npath = "app.dist"\n')
    for folder in (hook_repo, project):
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
            identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
            subprocess.run(["git", *identity, *command], cwd=folder, check=True)

    def hook(name: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pre_commit", "try-repo", str(hook_repo), name, "--all-files", *more]
        env = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "home")}
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)

    assert hook("depfix-policy").returncode == 0
    audit = hook("depfix-audit", "--hook-stage", "pre-push")
    assert (audit.returncode, "DF101 missing-dll" in audit.stdout) == (1, True), audit
    policy.write_text('targat = "win11"\n')
    wrong = hook("depfix-policy")
    assert (wrong.returncode, "target" in wrong.stdout) == (1, True), wrong
