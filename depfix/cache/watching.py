"""What a run asks of its surroundings: the files and folders that it opens, the variables that it reads.

Python tells an audit hook of each file that is opened and each folder that is listed. Source: Python documentation,
"Audit events table" https://docs.python.org/3/library/audit_events.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from depfix.cache.prints import State, state_of

_LISTED = frozenset(("os.scandir", "os.listdir"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OF_NO_FILE = ("/dev/", "/proc/", "/sys/")
_COMPILED = f"{os.sep}__pycache__{os.sep}"  # what Python itself writes and reads there follows from the sources


class Watch:
    """Takes note of what is opened and listed from `start` to `stop`, with how it looked just before."""

    def __init__(self, unseen: tuple[str, ...] = ()) -> None:
        self._unseen = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in unseen)
        self._made: list[str] = []
        self._seen: dict[str, State] = {}
        self._asked: set[str] = set()
        self._is_on = False

    def start(self) -> None:
        """Begin to listen. An audit hook stays for good: later it only returns."""
        import sys

        self._is_on = True
        sys.addaudithook(self._hook)

    def stop(self) -> dict[str, State]:
        """Listen no more; return the paths with their states. What the run itself made is not among them."""
        self._is_on = False
        made = tuple(f"{folder}{os.sep}" for folder in self._made)
        own = (*self._unseen, *made)
        return {path: state for path, state in self._seen.items() if not f"{path}{os.sep}".startswith(own)}

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & _WRITING):
                self._note(path)
        elif event in _LISTED:
            self._note(arguments[0])
        elif event == "os.mkdir":
            made = arguments[0]
            self._made += [os.path.abspath(os.fsdecode(made))] if isinstance(made, (str, bytes)) else []

    def _note(self, given: object) -> None:
        path = "." if given is None else os.fsdecode(given) if isinstance(given, bytes) else given
        if isinstance(path, str) and path not in self._asked:
            self._asked.add(path)
            full = os.path.abspath(path)
            if not full.startswith(_OF_NO_FILE) and _COMPILED not in full:
                self._seen.setdefault(full, state_of(full))


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
