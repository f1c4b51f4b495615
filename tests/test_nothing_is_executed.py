"""Nothing analysed is executed: the hook that watches all tests sees it, and trees that wait for it are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.closure.facts import Facts
from depfix.imports.uses import SourceTarget
from depfix.trial import running
from fixtures.audit_hook import sitecustomize as audit_hook
from tests.conftest import MODULE, SCRIPT, Cli, DistMaker

# What a function of depfix is made to do with the path of a file of an analysed tree: `remember` calls it.
ACTS = {
    "import": "import importlib.util as u; s = u.spec_from_file_location('x', path); s.loader.exec_module(u.module_from_spec(s))",
    "exec": "exec(compile('1', path, 'exec'))",
    "eval": "eval(compile('1', path, 'eval'))",
    "runpy": "import runpy; runpy.run_path(path)",
    "ctypes": "import ctypes; ctypes.CDLL(path)",
    "process": "import subprocess; subprocess.run([path])",
    "argument": "import subprocess, sys; subprocess.run([sys.executable, path])",
    "shell": "import os; os.system('sh ' + path)",
    "replace": "import os; os.execv(path, [path])",
    "spawn": "import os; os.posix_spawn(path, [path], {})",
}
CHILD = """
import sys
from depfix.closure.facts import Facts
from depfix.imports.uses import SourceTarget
def act(path):
    {}
Facts(SourceTarget((3, 10))).remember(sys.argv[1], "x", act)
"""


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.py"
    path.write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    path.chmod(0o755)
    return path


def noted(executed: Path) -> str:
    """Return what was noted since the last time, and forget it: here it was to be."""
    found = executed.read_text("utf-8")
    executed.write_text("")
    return found


@pytest.mark.parametrize("act", sorted(ACTS))
def test_the_hook_sees_it_here(executed: Path, victim: Path, act: str) -> None:
    def answer(path: str) -> None:
        exec(ACTS[act], {"path": path})

    with pytest.raises(audit_hook.ExecutedError, match=r"victim\.py"):
        Facts(SourceTarget((3, 10))).remember(str(victim), "x", answer)
    assert "victim.py" in noted(executed)
    assert not (victim.parent / "executed").exists()


@pytest.mark.parametrize("act", sorted(ACTS))
def test_the_hook_sees_it_in_a_child(executed: Path, victim: Path, act: str) -> None:
    root = str(Path(__file__).parent.parent)
    hooked = audit_hook.child_environment()
    env = os.environ | hooked | {"PYTHONPATH": os.pathsep.join((hooked["PYTHONPATH"], root))}
    command = [sys.executable, "-c", CHILD.format(ACTS[act]), str(victim)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "ExecutedError" in done.stderr
    assert "victim.py" in noted(executed)
    assert not (victim.parent / "executed").exists()


def test_depfix_itself_may_evaluate_no_code(executed: Path) -> None:
    """Wherever it comes from: its text has no path then."""
    source = "def evaluated(text): return eval(text)"
    place = str(Path(running.__file__).with_name("made_up.py"))
    scope: dict[str, Callable[[str], object]] = {}
    exec(compile(source, place, "exec"), scope)
    with pytest.raises(audit_hook.ExecutedError, match="gives to exec or eval"):
        scope["evaluated"]("1")
    assert "made_up.py" in noted(executed)


def test_what_tests_execute_themselves_is_not_meant(executed: Path, victim: Path) -> None:
    subprocess.run([sys.executable, str(victim)], check=True)
    assert (victim.parent / "executed").exists()
    assert not noted(executed)


# --- trees that wait for it ---

WAITING = (
    "sitecustomize.py",
    "usercustomize.py",
    "multiprocessing/__init__.py",
    "runpy.py",
    "socket.py",
    "json/__init__.py",
    "click/__init__.py",
    "rich.py",
    "msgspec/__init__.py",
    "conftest.py",
    "setup.py",
    "pkg/__init__.py",
    "depfix/__init__.py",
    "Lib/site-packages/evil.pth",
    "Lib/site-packages/__editable___evil_finder.py",
    "Lib/site-packages/evil-1.0.dist-info/entry_points.txt",
)


@pytest.fixture
def trap(make_dist: DistMaker, tmp_path: Path) -> Path:
    """A dist whose every module would tell that it was executed; large enough that several processes read it."""
    act = f"import pathlib; pathlib.Path({str(tmp_path / 'executed')!r}).touch()\n"
    sources = {path: act for path in WAITING if not path.endswith(".txt")}
    sources["Lib/site-packages/evil-1.0.dist-info/METADATA"] = "Name: evil\nVersion: 1.0\n"
    groups = ("depfix.checks", "depfix.formats", "depfix.environments", "console_scripts")
    rows = "".join(f"[{group}]\nevil = evil:main\n" for group in groups)
    sources["Lib/site-packages/evil-1.0.dist-info/entry_points.txt"] = rows
    sources |= {f"pkg/m{number}.py": act + f"#{'x' * 100}\n" * 6000 for number in range(6)}
    sources["pkg/__init__.py"] = act + "".join(f"from . import m{number}\n" for number in range(6))
    return make_dist({"pkg/core.pyd": ("need.dll",)}, sources)


@pytest.mark.parametrize("program", [SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize("command", ["scan", "why", "tree", "audit", "repair", "diff", "envs", "diagnose"])
def test_who_stands_in_a_hostile_dist(
    cli: Callable[..., Cli], trap: Path, tmp_path: Path, command: str, program: tuple[str, ...]
) -> None:
    """`python -m` itself looks for these two in the current folder, before any code of depfix runs (security.md)."""
    if program == MODULE:
        (trap / "runpy.py").unlink()
        (trap / "depfix" / "__init__.py").unlink()
    (trap / "main.py").write_text("import pkg\n")
    entry = ("--entry", str(trap / "main.py"))
    (tmp_path / "log").write_text("ImportError: DLL load failed while importing core\n")
    more = {
        "scan": (".", *entry),
        "why": (".", "need.dll", *entry),
        "tree": (".", *entry),
        "audit": (".", "--output-dir", str(tmp_path / "reports"), *entry),
        "repair": (".", "--env", f"dir:{trap}", "--dry-run", *entry),
        "diff": (".", "."),
        "envs": (),
        "diagnose": (str(tmp_path / "log"), "--dist", "."),
    }
    result = cli(command, *more[command], cwd=trap, program=program)
    assert result.code in (0, 1), result.err
    assert not (tmp_path / "executed").exists()


def test_a_hostile_environment(cli: Callable[..., Cli], trap: Path, make_conda: Callable[..., Path]) -> None:
    env = make_conda({"Library/bin/need.dll": ()})
    for path in ("sitecustomize.py", "Lib/site-packages/evil.pth", "Lib/site-packages/pkg/__init__.py", "python.py"):
        (env / path).parent.mkdir(parents=True, exist_ok=True)
        (env / path).write_bytes((trap / "conftest.py").read_bytes())
    result = cli("repair", trap, "--env", f"conda:{env}", cwd=env)
    assert result.code in (0, 1), result.err
    assert (trap / "need.dll").exists()
    assert not (trap.parent / "executed").exists()
