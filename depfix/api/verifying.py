"""What a run says: the program started as on a clean machine, and the error texts of other people's machines."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from depfix.api.choices import Choices, Path, options_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from depfix.model.diagnosis import Cause
    from depfix.model.report import Report
    from depfix.model.run import VerificationRun

_OF_TRIAL = frozenset(
    "exe arguments timeout alive expect cwd odd_path language link prefix screenshot trace tell copied".split()
)


class TrialChoices(Choices, total=False):
    """Keyword arguments of `verify`: those of `Choices`, and how the program is started. See `depfix verify --help`.

    - `exe`: which program, if there are several. `arguments`: what it is given.
    - `timeout`: seconds by which it must have ended, 60 if left out. `alive`: it works if it still runs after so many.
    - `expect`: a text that it has to print.
    - `cwd`: its current folder: "dist", "elsewhere", or a path. `odd_path`: it lies in a folder with an awkward name.
    - `language`: that of Wine's Windows, such as "zh_CN". `prefix`: the Wine prefix is kept there.
    - `link`: DLLs are hard-linked instead of copied. `screenshot`: with any text, the run has a picture of the screen.
    - `trace`: nothing is run; this log of a run is read instead.
    - `tell`: called with what is being done. `copied`: called with (done, total) bytes while the dist is copied.
    """

    exe: str
    arguments: tuple[str, ...]
    timeout: float
    alive: float
    expect: str
    cwd: str
    odd_path: bool
    language: str
    link: bool
    prefix: str
    screenshot: str
    trace: str
    tell: Callable[[str], None]
    copied: Callable[[int, int], None]


def verify(path: Path, *, compare: bool = True, **choices: Unpack[TrialChoices]) -> tuple[Report, VerificationRun]:
    """Start a copy of the dist at `path` as on a clean machine, and return what is wrong, and the run itself.

    This is the one function that executes what it looks at: on Windows itself, elsewhere under Wine. It is no sandbox.
    The findings are those of the run alone; without `compare` it is not compared with what the files say. The dist
    stays as it is. Raises InputError, and CannotRunError if Windows programs cannot be run here.
    """
    from depfix import pipeline
    from depfix.trial.verification import Settings

    looking = cast("Choices", {name: value for name, value in choices.items() if name not in _OF_TRIAL})
    starting: dict[str, Any] = {name: value for name, value in choices.items() if name in _OF_TRIAL}
    settings = Settings(**starting, environ=choices.get("environ", dict(os.environ)))
    with options_of(path, **looking) as options:
        return pipeline.verify(os.fspath(path), options, settings, closure=compare)


def diagnose(text: str, path: Path = "", *, log: Path = "", **choices: Unpack[Choices]) -> tuple[Cause, ...]:
    """Return the causes that an error text tells of, best first, each with what to do; with a dist, from its files.

    `log` is the file that the text is from, if any, to be named in commands. Raises InputError.

    >>> cause = depfix.diagnose("ModuleNotFoundError: No module named 'imaging'")[0]
    >>> cause.cause, cause.subject
    ('missing-module', 'imaging')
    """
    from depfix import pipeline

    dist = os.fspath(path)
    with options_of(*filter(None, [dist]), **choices) as options:
        return pipeline.diagnose(text, dist, options, os.fspath(log))


def read_log(source: Path | BinaryIO) -> str:
    """Return the text of a log, in whatever encoding Windows wrote it; of a big one its head and its end.

    Raises LogNotReadError.
    """
    from depfix.trial import decoding

    if isinstance(source, (str, os.PathLike)):
        return decoding.read_log(os.fspath(source))
    return decoding.read_stream(source)
