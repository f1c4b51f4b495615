"""Exceptions of repairing and undoing: what keeps depfix from writing to a dist, or made it stop.

A dist is exactly old or exactly new when one of them is raised, unless it says otherwise.
"""

from __future__ import annotations

from depfix.errors import DepfixError, InputError
from depfix.wording.message import joined, phrase

_MOST_SHOWN = 5  # of a list in one message


class NothingToUndoError(InputError):
    """No repair of this dist is recorded, or none of that number."""

    def __init__(self, path: str, number: int = 0) -> None:
        super().__init__(path, number)
        self.path, self.number = path, number

    def __str__(self) -> str:
        if self.number:
            return phrase("no repair {number} of {path} is recorded", number=self.number, path=self.path)
        return phrase("no repair of {path} is recorded, so there is nothing to undo", path=self.path)

    @property
    def hint(self) -> str:
        return phrase("`depfix undo DIST --list` shows what is recorded") if self.number else ""


class DistLockedError(DepfixError):
    """Another depfix works on the same dist."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return phrase("another depfix is working on {path}", path=self.path)

    @property
    def hint(self) -> str:
        return phrase("wait for it to end, then run again")


class DiskSpaceError(DepfixError):
    """The plan needs more room than the disk has."""

    def __init__(self, path: str, needed: int, free: int) -> None:
        super().__init__(path, needed, free)
        self.path, self.needed, self.free = path, needed, free

    def __str__(self) -> str:
        return phrase(
            "{needed:,} bytes are needed beside {path}, {free:,} are free",
            needed=self.needed,
            path=self.path,
            free=self.free,
        )

    @property
    def hint(self) -> str:
        return phrase("nothing was changed; make room and run again")


class ChangedSinceRepairError(DepfixError):
    """Files that a repair wrote were changed afterwards; undoing would lose those changes."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__(paths)
        self.paths = paths

    def __str__(self) -> str:
        return phrase("changed since the repair: {paths}", paths=joined(", ", self.paths))

    @property
    def hint(self) -> str:
        return phrase(
            "nothing was changed; keep a copy of these files elsewhere, delete them in the dist, and run undo again"
        )


class UnsafePathError(DepfixError):
    """A destination lies outside the dist, or Windows would take it for something else."""

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase(
            "refused to write {path}: {reason}",
            path=repr(self.path),
            reason=self.reason or phrase("it leads outside the dist"),
        )


class PreflightError(DepfixError):
    """A plan cannot be carried out; every reason that could be seen before the first byte is told."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        more = (
            phrase("; and {number} more", number=len(self.reasons) - _MOST_SHOWN)
            if len(self.reasons) > _MOST_SHOWN
            else ""
        )
        return phrase(
            "the plan cannot be carried out: {reasons}{more}",
            reasons=joined("; ", self.reasons[:_MOST_SHOWN]),
            more=more,
        )

    @property
    def hint(self) -> str:
        return phrase("nothing was changed")


class PlanFileError(InputError):
    """A file given with --from-plan is no plan that can be carried out here."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("the plan {path}: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("nothing was changed; `depfix repair DIST --env SPEC --dry-run --plan FILE` writes a plan")


class PlanOutdatedError(InputError):
    """The dist, or a file that a plan takes, is not what it was when the plan was made.

    `path` is that of the plan's file, empty if it was made in this run.
    """

    def __init__(self, path: str, changes: tuple[str, ...]) -> None:
        super().__init__(path, changes)
        self.path, self.changes = path, changes

    def __str__(self) -> str:
        more = (
            phrase(", and {number} more", number=len(self.changes) - _MOST_SHOWN)
            if len(self.changes) > _MOST_SHOWN
            else ""
        )
        changes = joined(", ", self.changes[:_MOST_SHOWN])
        if not self.path:
            return phrase("changed since the plan was made: {changes}{more}", changes=changes, more=more)
        return phrase(
            "changed since the plan {path} was made: {changes}{more}", path=self.path, changes=changes, more=more
        )

    @property
    def hint(self) -> str:
        if not self.path:
            return phrase("nothing was changed; plan the repair again")
        return phrase(
            "nothing was changed; make the plan anew with `depfix repair DIST --env SPEC --dry-run --plan FILE`"
        )


class StateDamagedError(DepfixError):
    """The journal beside the dist cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("the journal {path} cannot be read: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase(
            "the dist was left as it is; the files that repairs replaced are in the folder `backup` beside the journal"
        )


class RolledBackError(DepfixError):
    """A repair could not be finished; the dist is exactly as it was."""

    exit_code = 4

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return phrase("the repair was rolled back: {reason}", reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("the dist is exactly as it was before")


class RollBackFailedError(DepfixError):
    """A dist could not be put back; the journal beside it still says how."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return phrase("{path} could not be put back yet: {reason}", path=self.path, reason=self.reason)

    @property
    def hint(self) -> str:
        return phrase("once that is out of the way, `depfix undo` puts it back first of all")
