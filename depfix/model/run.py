"""A run of a program, or a trace of one: how it ended, what was seen, and how that compares with the closure."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.diagnosis import Cause
from depfix.model.names import base_name, fold


@dataclass(frozen=True, slots=True)
class Load:
    """An image that was loaded: its path on the machine where it ran, and in the dist, empty if it is outside.

    `system` is True for one of Windows' own folder, `builtin` if Wine's own code stood in for a file.
    """

    path: str
    inside: str
    system: bool = False
    builtin: bool = False

    @property
    def name(self) -> str:
        return base_name(self.path)


@dataclass(frozen=True, slots=True)
class Sought:
    """A DLL that the loader looked for in vain: its name as asked, and the image that imports it.

    `importer` is empty if code asked for it at run time; `status` is the NTSTATUS, 0 if the trace does not tell it.
    """

    name: str
    importer: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A symbol that an image imports and that the DLL which was loaded does not have."""

    dll: str
    symbol: str
    importer: str


@dataclass(frozen=True, slots=True)
class Observed:
    """All that was seen of one run.

    `read` are the files of the dist whose content was read, None where that cannot be seen. `boxes` are the texts of
    message boxes, `gaps` what Wine lacks and the program called, `statuses` the NTSTATUS codes that ended processes.
    """

    loads: tuple[Load, ...] = ()
    sought: tuple[Sought, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    statuses: tuple[int, ...] = ()
    boxes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    read: frozenset[str] | None = None

    @property
    def inside(self) -> frozenset[str]:
        """The folded dist-relative paths of the images that were loaded."""
        return frozenset(fold(load.inside) for load in self.loads if load.inside)


@dataclass(frozen=True, slots=True)
class Order:
    """What to start and when to be content.

    `program` is its dist-relative path. It ends by itself within `timeout` seconds with exit code 0; or, with `alive`,
    it runs at least so long; with `expect`, it prints this text in any case.
    """

    program: str
    arguments: tuple[str, ...] = ()
    timeout: float = 60.0
    alive: float = 0.0
    expect: str = ""
    cwd: str = "dist"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `code` is None if the program still ran and was stopped, after `seconds`.

    `whole_code` is False where the system gives the last byte of the exit code only. `log` is what the loader said.
    """

    code: int | None
    seconds: float
    out: str
    err: str
    log: str = ""
    whole_code: bool = True

    def says(self, text: str) -> bool:
        return text in self.out or text in self.err


@dataclass(frozen=True, slots=True)
class Unused:
    """Files of the dist that a run did not touch: how many, their bytes, and (path, bytes) of the largest."""

    files: int
    size: int
    largest: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the closure, by dist-relative paths.

    `foreseen` counts the images that were loaded and that the closure has; `unforeseen` are those that it has not,
    `unforeseen_modules` sources that were read and that it has not. `unloaded` are images that were never loaded,
    `unread` other files that were never read, None where that cannot be seen. What one run does not touch another may.
    """

    foreseen: int
    unforeseen: tuple[str, ...]
    unforeseen_modules: tuple[str, ...]
    unloaded: Unused
    unread: Unused | None


@dataclass(frozen=True, slots=True)
class VerificationRun:
    """A run, or a trace of one, and what was seen of it.

    `how` says by what it was run or recorded, `place` where the dist was for the program, `passed` whether it went well
    (None for a trace). `failure` is a clause on the program. `written` are files that it wrote into its own folder,
    `spoilt` files of the user's own dist that it changed (only with links); `picture` is a PNG of the screen. `causes`
    are what its output tells of a failure, best first.
    """

    how: str
    program: str
    place: str
    order: Order
    ended: Ended | None
    failure: str
    observed: Observed
    comparison: Comparison | None
    display: str = ""
    written: tuple[str, ...] = ()
    spoilt: tuple[str, ...] = ()
    picture: bytes = b""
    causes: tuple[Cause, ...] = ()

    @property
    def passed(self) -> bool | None:
        return None if self.ended is None else not self.failure
