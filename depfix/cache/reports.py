"""Whole reports of scans, each with all that it came from: it is true as long as nothing of that has changed.

What a scan comes from: depfix itself and Python, what the user chose, the variables that were asked for, everything
below the dist and the environments (names, sizes, times), and each file and folder elsewhere that was opened. What
was changed less than two seconds before the scan can change again and look the same; such a scan is not kept.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from depfix.cache.codec import Codec, DecodingError
from depfix.cache.prints import UnknownError, state_of, take_print
from depfix.cache.store import Cache
from depfix.cache.version import code_version
from depfix.cache.watching import Seen, Watch, WatchedVariables
from depfix.extensions import all_extensions
from depfix.model.finding import Confidence, Finding, Fix, Location, Severity
from depfix.model.report import DistSummary, EnvironmentSummary, OwnSource, Report
from depfix.wording.message import phrase

_YOUNG = 2_000_000_000  # ns
# What os.path.expanduser, os.path.abspath and temporary folders go by.
_VARIABLES = ("HOME", "USERPROFILE", "HOMEDRIVE", "HOMEPATH")
_PACKAGES = ("site-packages", "dist-packages")  # folders that change when packages are installed
_CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))


@dataclass(frozen=True, slots=True)
class Origin:
    """All that a report came from, beside what its key has in it."""

    roots: tuple[str, ...]
    digest: bytes
    seen: Seen
    variables: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A report with its origin."""

    origin: Origin
    report: Report


class KeptReport:
    """The report of one scan in the cache: `choices` are what the user chose, `roots` the folders given by name."""

    def __init__(
        self, cache: Cache, choices: Mapping[str, object], roots: tuple[str, ...], environ: Mapping[str, str]
    ) -> None:
        self._cache = cache
        self._choices = choices
        self._roots = tuple(map(os.path.abspath, roots))
        self._environ = environ
        self.variables = WatchedVariables(environ)
        self._watch = Watch((_CODE, _LIBRARY, *filter(None, [cache.path])))
        self._seen = Seen({})
        self._before = b""
        self._began = 0

    def find(self) -> Report | None:
        """Return the report of an earlier scan if all that it came from is as it was."""
        content = self._cache.get(self._key) if self._can_keep else None
        kept = read_kept(content) if content is not None else None
        return kept.report if kept is not None and self._holds(kept.origin) else None

    def _holds(self, origin: Origin) -> bool:
        if any(self._environ.get(name) != value for name, value in origin.variables):
            return False
        try:
            return origin.seen.is_still() and take_print(origin.roots).digest == origin.digest
        except UnknownError:
            return False

    def start(self) -> None:
        """Begin to take note of what a scan asks for."""
        self._began = time.time_ns()
        try:
            self._before = take_print(self._roots).digest if self._can_keep else b""
        except UnknownError:
            self._before = b""
        if self._before:
            self._watch.start()

    def stop(self) -> None:
        """Take note no more: to be called whatever became of the scan."""
        self._seen = self._watch.stop()

    def keep(self, report: Report) -> str:
        """Keep the report of the scan between `start` and `stop`; return why it was not, an empty string if it was."""
        if not self._before:
            return phrase("there is no cache, or a folder cannot be looked at whole")
        roots = tuple(dict.fromkeys((*self._roots, *(one.root for one in report.environments), report.dist.root)))
        try:
            whole, now = take_print(roots), take_print(self._roots)
        except UnknownError as error:
            return str(error)
        seen = self._seen.without(lambda path: _is_below(path, roots, whole.links))
        if max(whole.newest, seen.newest) > self._began - _YOUNG:
            return phrase("a file or folder had just been changed")
        if now.digest != self._before or not seen.is_still():
            return phrase("a file or folder was changed meanwhile")
        if any(map(self._cache.is_in, roots)):
            return phrase("the cache lies in a folder that was scanned")
        origin = Origin(roots, whole.digest, seen, self.variables.asked())
        self._cache.put(self._key, _codec().encode(Kept(origin, report)))
        return ""

    @cached_property
    def _can_keep(self) -> bool:
        """False with extensions, too: other people's code may go by anything."""
        return self._cache.is_on and bool(self._key) and not all_extensions()

    @cached_property
    def _key(self) -> bytes:
        """What the report is known by; nothing if depfix's own files cannot be read."""
        try:
            version = code_version(self._cache)
        except OSError:
            return b""
        told = (
            version,
            [(folder, state_of(folder) if os.path.basename(folder) in _PACKAGES else ()) for folder in sys.path],
            sys.getfilesystemencoding(),
            os.getcwd(),
            [self._environ.get(name) for name in _VARIABLES],
            state_of(_LIBRARY),
            sorted(self._choices.items()),
        )
        return sha256(b"report " + repr(told).encode("utf-8", "surrogatepass")).digest()


def read_kept(content: bytes) -> Kept | None:
    """Return the report that a row of the cache holds; None for a row of another kind, or one that cannot be read."""
    try:
        found = _codec().decode(content)
    except DecodingError:
        return None
    return found if isinstance(found, Kept) else None


def _is_below(path: str, roots: tuple[str, ...], links: tuple[str, ...]) -> bool:
    """Return True for what lies in one of the roots, and not beyond a link in it."""
    around = f"{path}{os.sep}"
    if any(around.startswith(f"{link}{os.sep}") for link in links):
        return False
    return any(around.startswith(f"{root.rstrip(os.sep)}{os.sep}") for root in roots)


def _codec() -> Codec:
    return Codec(
        *(Kept, Origin, Seen, Report, DistSummary, EnvironmentSummary, OwnSource),
        *(Finding, Severity, Confidence, Location, Fix),
    )
