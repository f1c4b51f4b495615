"""What depfix says of the machine that it runs on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what is so: under which heading, what it is called, and its value."""

    section: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Check:
    """Something that depfix needs, whether it works, and what is wrong or worth knowing."""

    name: str
    works: bool
    words: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` found: facts for a bug report, and checks of what depfix needs."""

    facts: tuple[Fact, ...]
    checks: tuple[Check, ...]

    @property
    def is_well(self) -> bool:
        """True if all that depfix needs works."""
        return all(check.works for check in self.checks)
