"""Commands that need a Python: `sys.executable` as a Python, and `python` or `pip` by name.

What `sys.executable` is in a frozen program was measured: with Nuitka `python.exe` in the dist, which is not there, and
from the import of multiprocessing on the program itself; with PyInstaller and cx_Freeze the program itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from depfix.imports.values import Constant, Items, Text, Value, alternatives
from depfix.wording.message import phrase

RESTART = "restart"  # subject of a program that starts itself again: no option for Python follows
BY_NAME = "by name"  # subject of a Python that is looked for along PATH
_RUNNING = frozenset(
    [f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output", "getoutput")]
    + ["os.system", "os.popen", "asyncio.create_subprocess_shell"]
)
_ONE_BY_ONE = {"asyncio.create_subprocess_exec": 0, "os.execl": 1, "os.execlp": 1, "os.spawnl": 2, "os.spawnlp": 2}
_LISTED = {"os.execv": 1, "os.execvp": 1, "os.execve": 1, "os.spawnv": 2, "os.spawnve": 2, "os.spawnvp": 2}
COMMAND_CALLS = _RUNNING | _ONE_BY_ONE.keys() | _LISTED.keys()
_BY_NAME = re.compile(r"(?:.*[\\/])?(?:pythonw?|py|pip)(?:3(?:\.\d+)?)?(?:\.exe)?", re.IGNORECASE)
_FOR_PYTHON = re.compile(r"-[mcuEsSIBOXWbdiqvx].*|.*\.pyw?")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that needs a Python: `words` complete "the program ...", `subject` tells which kind it is."""

    words: str
    subject: str


def commands(name: str, arguments: list[Value], keywords: dict[str, Value], python: Value) -> Iterator[Command]:
    """Yield the commands of a call that start a Python; `python` is the value of sys.executable."""
    rows: list[Value] = []
    if name in _RUNNING:
        rows = [arguments[0] if arguments else keywords.get("args", keywords.get("cmd", Constant(None)))]
    elif name in _LISTED and len(arguments) > _LISTED[name]:
        rows = [arguments[_LISTED[name]]]
    elif name in _ONE_BY_ONE and len(arguments) > _ONE_BY_ONE[name]:
        rows = [Items(tuple(arguments[_ONE_BY_ONE[name] :]))]
    for row in rows:
        for one in alternatives(row):
            found = _listed(one, python) if isinstance(one, Items) else _spelled(one, python)
            if found is not None:
                yield found


def _listed(row: Items, python: Value) -> Command | None:
    first = row.values[0] if row.values else None
    then = [one.literal if isinstance(one, Text) else None for one in row.values[1:3]]
    known = first.literal if isinstance(first, Text) else None
    if first == python:
        option = then[0] if then else None
        if option is None or not _FOR_PYTHON.fullmatch(option):
            return Command(phrase("starts sys.executable"), RESTART)
        return Command(phrase("starts {shown}", shown=_shown(["sys.executable", *then])), option)
    if known is not None and _BY_NAME.fullmatch(known):
        return Command(phrase("starts {shown}", shown=_shown([known, *then])), BY_NAME)
    return None


def _spelled(command: Value, python: Value) -> Command | None:
    """Return what a command line starts: `f"{sys.executable} -m pip install x"`."""
    if not isinstance(command, Text):
        return None
    if isinstance(python, Text) and command.parts[: len(python.parts) - 1] == python.parts[:-1]:
        last, start = python.parts[-1], command.parts[len(python.parts) - 1] if python.parts[1:] else ""
        if isinstance(last, str) and isinstance(start, str) and start.startswith(last):
            words = start.removeprefix(last).strip("\"' ").split()
            if not words or not _FOR_PYTHON.fullmatch(words[0]):
                return Command(phrase("starts sys.executable"), RESTART)
            return Command(phrase("starts {shown}", shown=_shown(["sys.executable", *words[:2]])), words[0])
    first = command.parts[0]
    words = first.split() if isinstance(first, str) else []
    if words and _BY_NAME.fullmatch(words[0].strip('"')):
        return Command(phrase("starts {shown}", shown=_shown(words[:3])), BY_NAME)
    return None


def _shown(words: Sequence[str | None]) -> str:
    return '"' + " ".join(word for word in words if word) + '"'
