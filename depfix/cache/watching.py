"""What a run asks of its surroundings: files that it opens, folders that it lists, paths and variables.

Python tells an audit hook of each file that is opened and each folder that is listed. It tells nobody who asks
whether a file is there: while a run is watched, os.stat and what is built on it are replaced by functions that take
note and ask. Source: Python documentation, "Audit events table" https://docs.python.org/3/library/audit_events.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from depfix.cache.prints import LOOKS, newest_of

_LISTED = frozenset(("os.scandir", "os.listdir"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_OF_NO_FILE = ("/dev/", "/proc/", "/sys/")
_COMPILED = f"{os.sep}__pycache__{os.sep}"  # what Python itself writes and reads there follows from the sources
# {function: how it looks}; on Windows some of those of os.path do not ask through os.stat.
_OF_OS = {"stat": "stat", "lstat": "lstat"}
_OF_PATH = {"exists": "stat", "isdir": "stat", "isfile": "stat", "lexists": "lstat", "islink": "lstat"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was asked for: {(how it was looked at, path): how it looked just before}. `LOOKS` says how to look."""

    looks: Mapping[tuple[str, str], object]

    def without(self, is_covered: Callable[[str], bool]) -> Seen:
        """Return this without paths of which something else takes care."""
        return Seen({key: found for key, found in self.looks.items() if not is_covered(key[1])})

    def is_still(self) -> bool:
        """Return True if all of it looks as it did."""
        return all(how in LOOKS and LOOKS[how](path) == found for (how, path), found in self.looks.items())

    @property
    def newest(self) -> int:
        """The latest time in ns of a file among it."""
        return max((newest_of(found) for found in self.looks.values() if isinstance(found, tuple)), default=0)


class Watch:
    """Takes note of what is asked for from `start` to `stop`, outside of the folders `unseen`."""

    def __init__(self, unseen: tuple[str, ...] = ()) -> None:
        self._unseen = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in unseen)
        self._made: list[str] = []
        self._looks: dict[tuple[str, str], object] = {}
        self._asked: set[tuple[str, object]] = set()
        self._replaced: list[tuple[Any, str, Any]] = []
        self._is_on = False

    def start(self) -> None:
        """Begin to listen. An audit hook stays for good: later it only returns."""
        import sys

        self._is_on = True
        sys.addaudithook(self._hook)
        for module, names in ((os, _OF_OS), (os.path, _OF_PATH)):
            for name, how in names.items():
                own = getattr(module, name)
                self._replaced.append((module, name, own))
                setattr(module, name, self._noting(own, how))

    def stop(self) -> Seen:
        """Listen no more; return what was seen. What the run itself made is not among it."""
        self._is_on = False
        for module, name, own in self._replaced:
            setattr(module, name, own)
        self._replaced.clear()
        own_folders = (*self._unseen, *(f"{folder}{os.sep}" for folder in self._made))
        return Seen(self._looks).without(lambda path: f"{path}{os.sep}".startswith(own_folders))

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & _WRITING):
                self._note("open", path)
        elif event in _LISTED:
            self._note("list", "." if arguments[0] is None else arguments[0])
        elif event == "os.mkdir":
            made = arguments[0]
            self._made += [os.path.abspath(os.fsdecode(made))] if isinstance(made, (str, bytes)) else []

    def _noting(self, function: Callable[..., Any], how: str) -> Callable[..., Any]:
        @wraps(function)
        def asking(path: Any, *arguments: Any, **options: Any) -> Any:
            if self._is_on and options.get("dir_fd") is None:
                self._note("lstat" if options.get("follow_symlinks") is False else how, path)
            return function(path, *arguments, **options)

        return asking

    def _note(self, how: str, given: object) -> None:
        if not isinstance(given, (str, bytes, os.PathLike)) or not given or (how, given) in self._asked:
            return
        self._asked.add((how, given))
        path = os.path.abspath(os.fsdecode(given))
        key = (how, path)
        if key not in self._looks and not path.startswith(_OF_NO_FILE) and _COMPILED not in path:
            self._looks[key] = ()  # to look is to ask once more
            self._looks[key] = LOOKS[how](path)


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
