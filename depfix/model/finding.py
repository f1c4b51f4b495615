"""Findings: what is missing or wrong, why, and what cures it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad a finding is; `rank` orders them, worst first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        return ("error", "warning", "info").index(self.value)


class Confidence(Enum):
    """How sure a finding is: read from tables, inferred, or a mere possibility."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Location:
    """A place: a file of the dist with `/` (or a path outside it), and a line, 0 if it has none."""

    path: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Fix:
    """The cure: copy `source` (an absolute path) to `destination` (dist-relative with `/`).

    `action` is `copy` for a new file or `replace` for one that stands there with other content. `provider` is the
    package and version that owns the source, `dist` for a file of the dist itself, empty if nobody owns it. `note` is
    what a user should know of it.
    """

    action: str
    source: str
    destination: str
    provider: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of a dist, or one thing that depfix could not look at."""

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    subject: str
    message: str
    locations: tuple[Location, ...]
    chain: tuple[str, ...]
    fix: Fix | None = None
    no_fix: str = ""
    trail: tuple[str, ...] = ()
    identity: str = ""

    def fails(self, level: str) -> bool:
        """Return True if it is at or above the level (error, warning, never); mere possibilities never are."""
        levels = {"error": 0, "warning": 1, "never": -1}
        return self.severity.rank <= levels[level] and self.confidence is not Confidence.POSSIBLE

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that stay the same as long as it is the same defect, wherever lines move."""
        text = "\0".join((self.rule, self.subject, self.identity))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
