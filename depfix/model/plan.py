"""What a repair would do, as values."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.model.source import Provider


@dataclass(frozen=True, slots=True)
class Action:
    """Copy `source` (absolute) to `destination` (dist-relative with `/`); `replace` keeps the old file for undo.

    `write` and `patch` are for what depfix makes: a new file, and `source` with something changed; `made` is then the
    file that holds the new content. `size` is in bytes. `rule` and `subject` say which finding it cures, `chain` who
    needs it.
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


@dataclass(frozen=True, slots=True)
class Declined:
    """A finding that the plan does not cure, and why."""

    rule: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every action, in the order in which the needs were met, and what is left.

    `left_out` files of `saved` bytes in all belong to the same packages and are not copied, as the user asked.
    """

    actions: tuple[Action, ...]
    declined: tuple[Declined, ...]
    left_out: int = 0
    saved: int = 0

    @property
    def size(self) -> int:
        """How many bytes will be copied."""
        return sum(action.size for action in self.actions)
