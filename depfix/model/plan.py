"""What a repair would do, as values."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.source import Provider

_LONGEST_PATH = 259  # characters, MAX_PATH without the NUL
_USUAL_FOLDER = "C:\\Users\\user.name\\AppData\\Local\\Programs\\"  # where installers put a program for one user


@dataclass(frozen=True, slots=True)
class Action:
    """Copy `source` (absolute) to `destination` (dist-relative with `/`); `replace` keeps the old file for undo.

    `write` and `patch` are for what depfix makes: a new file, and `source` with something changed; `made` is then the
    file that holds the new content. `size` is in bytes. `rule` and `subject` say which finding it cures, `chain` who
    needs it. `sha256` is of what is to be written, in hex, empty if it is not known before it is copied.
    """

    action: str
    source: str
    destination: str
    provider: Provider
    size: int
    rule: str
    subject: str
    chain: tuple[str, ...] = ()
    made: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Declined:
    """A finding that the plan does not cure, and why."""

    rule: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a package that stands in the dist with other content, and stays: what it is, and what the package has.

    Both are versions and sizes in words.
    """

    destination: str
    there: str
    offered: str
    provider: Provider


@dataclass(frozen=True, slots=True)
class Plan:
    """Every action, in the order in which the needs were met, and what is left.

    `left_out` files of `saved` bytes in all belong to the same packages and are not copied, as the user asked. `kept`
    are files with other content than their packages have, which --overwrite would replace.
    """

    actions: tuple[Action, ...]
    declined: tuple[Declined, ...]
    left_out: int = 0
    saved: int = 0
    kept: tuple[Kept, ...] = ()

    @property
    def size(self) -> int:
        """How many bytes will be copied."""
        return sum(action.size for action in self.actions)

    def long_paths(self, dist_name: str) -> tuple[str, ...]:
        """Return the destinations that most Windows programs could not open where programs are usually installed.

        Source: Microsoft Learn, "Maximum Path Length Limitation"
        https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation
        """
        room = _LONGEST_PATH - len(f"{_USUAL_FOLDER}{dist_name}\\")
        lengths = ((len(one.destination.encode("utf-16-le", "surrogatepass")) // 2, one) for one in self.actions)
        return tuple(one.destination for length, one in lengths if length > room)
