"""Where findings are, as services of builds want it: by paths in the repository, the program's own sources first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from depfix.model.names import base_name

if TYPE_CHECKING:
    from depfix.model.finding import Finding
    from depfix.model.report import Report

_VARIABLES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_STEP = re.compile(r"(?P<path>.+?)(?::(?P<line>\d{1,9}))?", re.S)
_FILE = re.compile(r"/|\.(?:exe|dll|pyd|pyc?|pyw|zip|so|json|txt)$", re.I)
_ABSOLUTE = re.compile(r"[A-Za-z]:[\\/]|[\\/]")


@dataclass(frozen=True, slots=True)
class Place:
    """A file and a line, 0 if it has none.

    `path`, with `/`, begins in the repository if `in_repository`, else with the name of the dist, or it is absolute.
    `own` is True for a source of the program itself.
    """

    path: str
    line: int = 0
    in_repository: bool = False
    own: bool = False

    @property
    def absolute(self) -> bool:
        return bool(_ABSOLUTE.match(self.path))

    @property
    def uri(self) -> str:
        """The path as a URI or a relative reference, percent-encoded as RFC 3986 wants it.

        Source: RFC 3986, "Uniform Resource Identifier", 2.1 https://www.rfc-editor.org/rfc/rfc3986#section-2.1
        """
        path = self.path.replace("\\", "/") if self.absolute else self.path
        encoded = quote(path.encode("utf-8", "surrogatepass"), safe="/")
        return f"file:///{encoded.lstrip('/')}" if self.absolute else encoded


def repository_root(environ: Mapping[str, str], folder: str) -> str:
    """Return the folder that paths in the repository begin at: as the build's server says, else by its `.git`."""
    named = next(filter(None, map(environ.get, _VARIABLES)), "")
    above = (str(each) for each in (Path(folder), *Path(folder).parents) if (each / ".git").exists())
    return named or next(above, folder)


class Places:
    """Tells where the findings of a report are. Paths in the repository begin at `root`."""

    def __init__(self, report: Report, root: str = "") -> None:
        self.root = _real(root or repository_root(os.environ, os.getcwd()))
        self._own = {source.name: source.path for source in report.own}
        self._programs = report.dist.programs
        dist = _real(report.dist.root)
        self.above_dist = os.path.dirname(dist)
        self._dist = base_name(dist)
        within = self._within(dist)
        self._start = self._dist if within is None else within

    @property
    def dist_in_repository(self) -> bool:
        return self._within(os.path.join(self.above_dist, self._dist)) is not None

    def of(self, finding: Finding) -> tuple[Place, ...]:
        """Return the places of a finding, at least one. First comes what its author can change: the program's source.

        If the finding has no place there, that is where the program's own code begins to need what is wrong.
        """
        places = [self.place(one.path, one.line) for one in finding.locations]
        if not any(place.own for place in places):
            steps = (place for place in self.steps(finding) if place is not None and place.own)
            places[:0] = list(steps)[-1:]
        places.sort(key=lambda place: not place.own)
        return tuple(dict.fromkeys(places)) or (self.place(self._programs[0] if self._programs else "."),)

    def steps(self, finding: Finding) -> Iterator[Place | None]:
        """Yield for each step of the chain the file where it is, None for what is missing or no file."""
        for index, step in enumerate(finding.chain):
            match = _STEP.fullmatch(step)
            path, line = (match["path"], int(match["line"] or 0)) if match else (step, 0)
            missing = index and index == len(finding.chain) - 1 and step.lower() == finding.subject.lower()
            yield self.place(path, line) if not missing and _FILE.search(path) else None

    def place(self, path: str, line: int = 0) -> Place:
        """Return the place of a path as findings name it."""
        if path in self._own:
            within = self._within(_real(self._own[path]))
            found = self._own[path].replace("\\", "/") if within is None else within
            return Place(found, line, within is not None, own=True)
        if _ABSOLUTE.match(path):
            within = self._within(_real(path)) if os.path.isabs(path) else None
            return Place(path if within is None else within, line, within is not None)
        return Place(f"{self._start}/{path}".removeprefix("./"), line, self.dist_in_repository)

    def _within(self, path: str) -> str | None:
        """Return an absolute path as one in the repository, None if it is not in there."""
        try:
            found = os.path.relpath(path, self.root).replace(os.sep, "/")
        except ValueError:  # another drive
            return None
        return None if found == ".." or found.startswith("../") else found


def _real(path: str) -> str:
    """Return a path without links; one that no file can have stays as it is."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return path
