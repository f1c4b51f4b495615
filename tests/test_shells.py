"""Completion in real shells, the script for PowerShell by its grammar, `--version`, and where the plugin lies."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import tree_sitter
import tree_sitter_powershell

from depfix.cli.main import cli as cli_group
from depfix.knowledge.rules import rules
from depfix.knowledge.targets import targets
from tests.conftest import Cli

Run = Callable[..., Cli]
DATA = Path(__file__).parent.parent / "depfix" / "knowledge" / "data"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to type in, with a dist, a folder with a space in its name, and a file."""
    for name in ("main.dist", "my wheels", "other"):
        (tmp_path / "here" / name).mkdir(parents=True)
    for name in ("notes.txt", "main.dist/app.exe", "main.dist/Core.dll", "main.dist/pkg/core.pyd"):
        (tmp_path / "here" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "here" / name).touch()
    return tmp_path / "here"


def environ(place: Path) -> dict[str, str]:
    """The variables of somebody who types in a folder, with depfix on PATH."""
    path = os.pathsep.join((str(Path(sys.executable).parent), "/usr/bin", "/bin"))
    return {"HOME": str(place.parent / "home"), "PATH": path, "TERM": "dumb", "PS1": "> ", "LC_ALL": "C.UTF-8"}


class Typist:
    """Types into an interactive shell on a terminal, and reads what is shown."""

    def __init__(self, shell: list[str], env: dict[str, str], cwd: Path) -> None:
        child, self._terminal = pty.fork()
        if child == 0:
            os.chdir(cwd)
            os.execvpe(shell[0], shell, env)
        self._read(r"> $")

    def command(self, text: str) -> None:
        os.write(self._terminal, text.encode() + b"\n")
        self._read(r"\n> $")

    def complete(self, typed: str, awaited: str) -> str:
        """Return what the terminal shows after `typed` and two tabs, as soon as it shows what is awaited."""
        os.write(self._terminal, typed.encode() + b"\t")
        time.sleep(0.2)
        os.write(self._terminal, b"\t")
        shown = self._read(awaited)
        os.write(self._terminal, b"\x15\n")
        self._read(r"\n> $")
        return shown

    def close(self) -> None:
        os.write(self._terminal, b"exit\n")
        os.close(self._terminal)

    def _read(self, awaited: str, seconds: float = 60) -> str:
        shown, end = "", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown += os.read(self._terminal, 65536).decode("utf-8", "replace")
                shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", shown)
            elif re.search(awaited, shown):
                return shown
        raise AssertionError(f"{awaited!r} did not come, but {shown!r}")


@pytest.fixture
def bash(place: Path) -> Iterator[Typist]:
    typist = Typist(["bash", "--norc", "--noprofile", "-i"], environ(place), place)
    typist.command('eval "$(depfix completion bash)"')
    yield typist
    typist.close()


# --- what is offered, as a shell asks for it: quicker than a shell of its own each time ---


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("depfix ex", ["plain,explain"]),
        ("depfix scan --select DF11", [f"plain,DF11{digit}" for digit in range(5)]),
        ("depfix scan --select missing-del", ["plain,missing-delay-dll"]),
        ("depfix explain df50", [f"plain,DF50{digit}" for digit in range(1, 6)]),
        ("depfix scan --target win10", ["plain,win10", "plain,win10-n"]),
        ("depfix scan --target win11-a", ["plain,win11-amd64", "plain,win11-arm64"]),
        ("depfix scan --format js", ["plain,json"]),
        ("depfix scan x --env whe", ["open,wheels:"]),
        ("depfix scan x --env=whe", ["open,wheels:"]),
        ("depfix scan x --env dir:m", ["open,main.dist/", "open,my\\ wheels/"]),
        ("depfix scan x --env=dir:m", ["open,main.dist/", "open,my\\ wheels/"]),
        ("depfix scan x --env 'dir:my", ["open,dir:my wheels/"]),
        ("depfix scan x --env dir:/nowhere/at/all/", []),
        ("depfix scan ", ["dir,"]),
        ("depfix scan x --entry no", ["file,no"]),
        ("depfix scan --fail-on w", ["plain,warning"]),
        ("depfix completion p", ["plain,powershell"]),
        ("depfix doctor --format j", ["plain,json"]),
        ("depfix do", ["plain,doctor"]),
        ("depfix why main.dist co", ["plain,Core.dll", "plain,core.pyd"]),
        ("depfix tree main.dist zz", []),
        ("depfix verify main.dist --exe a", ["plain,app.exe"]),
        ("depfix repair main.dist --from-plan no", ["file,no"]),
        ("depfix undo main", ["dir,main"]),
        ("depfix envs ma", ["dir,ma"]),
        ("depfix no-such-command --", ["plain,--version", "plain,--lang", "plain,--help"]),
    ],
)
def test_bash_is_offered(place: Path, typed: str, expected: list[str]) -> None:
    assert offered(place, {"_DEPFIX_COMPLETE": "bash_complete", "COMP_LINE": typed}) == expected


def offered(place: Path, asked: dict[str, str]) -> list[str]:
    env = environ(place) | asked
    done = subprocess.run(["depfix"], env=env, cwd=place, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.split("\n") if line]


def test_environments_of_this_machine_are_offered(place: Path, make_conda: Callable[..., Path]) -> None:
    make_conda({}, name="home/miniconda3/envs/app")
    asked = {"_DEPFIX_COMPLETE": "bash_complete", "COMP_LINE": "depfix scan x --env conda:a"}
    assert offered(place, asked) == ["plain,app"]
    assert offered(place, asked | {"COMP_WORDBREAKS": " "}) == ["plain,conda:app"]
    assert "plain,conda:app" in offered(place, asked | {"COMP_LINE": "depfix scan x --env "})


def test_every_value_that_can_be_offered_is() -> None:
    free = {"depth", "first", "arguments", "timeout", "alive", "expect", "language"}
    assert {name for name, parameter in _parameters(cli_group) if not _offers(parameter)} == free


def _parameters(command: click.Command) -> Iterator[tuple[str, click.Parameter]]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _parameters(found)
    yield from ((str(parameter.name), parameter) for parameter in command.params)


def _offers(parameter: click.Parameter) -> bool:
    """Return True if a shell is given something for it: by its type, by a function of ours, or none is needed."""
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    return flag or isinstance(parameter.type, click.Choice) or parameter._custom_shell_complete is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("tree", "C:\\app\\main.dist", "--form"), ["plain\t--format\tThe form."]),
        (("tree", "C:\\my app\\main.dist", "--format", ""), ["plain\ttext\t", "plain\tjson\t"]),
        (("scan", "--env", "wh"), ["plain\twheels:\t"]),
        (("scan", "C:\\app\\ma"), ["dir\tC:\\app\\ma\t"]),
    ],
)
def test_powershell_is_offered(place: Path, words: tuple[str, ...], expected: list[str]) -> None:
    asked = {"_DEPFIX_COMPLETE": "powershell_complete", "COMP_WORDS": "\n".join(("depfix", *words))}
    assert offered(place, asked) == expected


# --- in the shells themselves ---


def test_bash_completes_what_is_typed(bash: Typist) -> None:
    commands = bash.complete("depfix ", r"why")
    assert {"scan", "repair", "nuitka-plugin", "completion"} <= set(commands.split())
    kinds = bash.complete("depfix scan main.dist --env ", r"wheels:")
    assert {"conda:", "venv:", "python:", "dir:", "wheels:"} <= set(kinds.split())
    assert "--env dir:other/" in bash.complete("depfix scan main.dist --env dir:o", r"dir:other/")
    assert "depfix scan main.dist" in bash.complete("depfix scan ma", r"main\.dist/")
    assert "notes.txt" in bash.complete("depfix scan main.dist --entry no", r"notes\.txt")


def test_zsh_completes_what_is_typed(place: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.fail("zsh is not installed; make test installs it")
    zsh = Typist(["zsh", "-f", "-i", "-o", "no_prompt_sp"], environ(place), place)
    zsh.command("autoload -Uz compinit && compinit -u")
    zsh.command('eval "$(depfix completion zsh)"')
    assert "Find what is missing" in zsh.complete("depfix ", r"why +--")
    assert "duplicate-openmp" in zsh.complete("depfix scan --select DF11", r"DF114")
    assert "dir:other/" in zsh.complete("depfix scan main.dist --env dir:o", r"dir:other/")
    zsh.close()


def test_fish_completes_what_is_typed(place: Path) -> None:
    if shutil.which("fish") is None:
        pytest.fail("fish is not installed; make test installs it")

    def completed(typed: str) -> set[str]:
        script = "depfix completion fish | source; complete -C $argv[1]"
        command = ["fish", "--no-config", "-c", script, typed]
        done = subprocess.run(command, env=environ(place), cwd=place, capture_output=True, text=True, check=True)
        return {line.partition("\t")[0] for line in done.stdout.splitlines()}

    assert {"scan", "repair", "completion"} <= completed("depfix ")
    assert completed("depfix scan main.dist --env dir:o") == {"dir:other/"}
    assert completed("depfix explain ") == {rule.code for rule in rules()}
    assert completed("depfix scan --target ") == set(targets())


def test_powershells_grammar_takes_the_script(cli: Run) -> None:
    script = cli("completion", "powershell").out.encode()
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(script).root_node.has_error
    assert parser.parse(script.replace(b"try {", b"try", 1)).root_node.has_error


def test_an_unknown_shell_is_refused(cli: Run) -> None:
    refused = cli("completion", "tcsh")
    assert (refused.code, "'bash', 'zsh', 'fish', 'powershell'" in refused.err) == (2, True)


# --- version, plugin ---


def test_version_names_each_table_by_its_content(cli: Run) -> None:
    shown = cli("--version")
    assert shown.code == 0
    assert re.match(r"depfix, version \d+\.\d+\.\d+\n", shown.out)
    named = {line.split()[0] for line in shown.out.splitlines() if re.search(r" [0-9a-f]{12} ", line)}
    assert named == {path.name for path in DATA.iterdir()}
    row = next(line for line in shown.out.splitlines() if "targets.tsv" in line and "python" not in line)
    digest = subprocess.run(["sha256sum", DATA / "targets.tsv"], capture_output=True, text=True, check=True).stdout
    assert row.split()[1] == digest[:12]


def test_version_starts_quickly() -> None:
    """It imports no command and nothing that takes long."""
    script = (
        "import sys; sys.argv = ['depfix', '--version']\n"
        "from depfix.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'msgspec', 'networkx', 'depfix.cli.scan', 'depfix.cli.audit', 'rich', 'jinja2', 'importlib.metadata', 'pefile'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import site; site.main()\n{script}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_plugin_lies_where_it_is_said(cli: Run) -> None:
    path = Path(cli("nuitka-plugin").out.removesuffix("\n"))
    assert path.is_file()
    assert "NuitkaPluginBase" in path.read_text("utf-8")
