"""What an environment is to the rest of depfix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from depfix.model.machine import Machine
from depfix.model.source import Candidate


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment as `depfix envs` shows it: what `--env` takes, where it is, and what is in it."""

    spec: str
    root: str
    kind: str
    python: str
    machine: Machine | None
    note: str = ""


class Environment(Protocol):
    """A place that files can be taken from."""

    @property
    def info(self) -> EnvironmentInfo: ...

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name in any case, the one that Windows would take first."""
        ...
