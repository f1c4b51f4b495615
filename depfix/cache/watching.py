"""What a run asks of its surroundings: the files and folders that it opens, the variables that it reads.

Python tells an audit hook of each file that is opened and each folder that is listed. Source: Python documentation,
"Audit events table" https://docs.python.org/3/library/audit_events.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from depfix.cache.prints import State, names_in, state_of

_Look = TypeVar("_Look")

_LISTED = frozenset(("os.scandir", "os.listdir"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OF_NO_FILE = ("/dev/", "/proc/", "/sys/")
_COMPILED = f"{os.sep}__pycache__{os.sep}"  # what Python itself writes and reads there follows from the sources


@dataclass(frozen=True, slots=True)
class Seen:
    """What was asked for and how it looked just before: files by their states, folders by the names in them."""

    opened: Mapping[str, State]
    listed: Mapping[str, bytes]

    def without(self, is_covered: Callable[[str], bool]) -> Seen:
        """Return this without paths of which something else takes care."""
        return Seen(
            {path: state for path, state in self.opened.items() if not is_covered(path)},
            {path: names for path, names in self.listed.items() if not is_covered(path)},
        )

    def is_still(self) -> bool:
        """Return True if all of it looks as it did."""
        return all(state_of(path) == state for path, state in self.opened.items()) and all(
            names_in(path) == names for path, names in self.listed.items()
        )


class Watch:
    """Takes note of what is opened and listed from `start` to `stop`."""

    def __init__(self, unseen: tuple[str, ...] = ()) -> None:
        self._unseen = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in unseen)
        self._made: list[str] = []
        self._opened: dict[str, State] = {}
        self._listed: dict[str, bytes] = {}
        self._looking: set[str] = set()
        self._is_on = False

    def start(self) -> None:
        """Begin to listen. An audit hook stays for good: later it only returns."""
        import sys

        self._is_on = True
        sys.addaudithook(self._hook)

    def stop(self) -> Seen:
        """Listen no more; return what was seen. What the run itself made is not among it."""
        self._is_on = False
        own = (*self._unseen, *(f"{folder}{os.sep}" for folder in self._made))
        return Seen(self._opened, self._listed).without(lambda path: f"{path}{os.sep}".startswith(own))

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & _WRITING):
                self._note(path, self._opened, state_of)
        elif event in _LISTED:
            self._note("." if arguments[0] is None else arguments[0], self._listed, names_in)
        elif event == "os.mkdir":
            made = arguments[0]
            self._made += [os.path.abspath(os.fsdecode(made))] if isinstance(made, (str, bytes)) else []

    def _note(self, given: object, seen: dict[str, _Look], look: Callable[[str], _Look]) -> None:
        path = os.fsdecode(given) if isinstance(given, bytes) else given
        if not isinstance(path, str) or not path:
            return
        path = os.path.abspath(path)
        if (
            path not in seen
            and path not in self._looking
            and not path.startswith(_OF_NO_FILE)
            and _COMPILED not in path
        ):
            self._looking.add(path)  # to look is to open or list it, which the hook is told of
            seen[path] = look(path)
            self._looking.discard(path)


class WatchedVariables(Mapping[str, str]):
    """Variables of the environment, with which of them were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        self._asked.update(self._variables)
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def asked(self) -> tuple[tuple[str, str | None], ...]:
        """Return the names that were asked for with their values, None for what is not set."""
        return tuple((name, self._variables.get(name)) for name in sorted(self._asked))
