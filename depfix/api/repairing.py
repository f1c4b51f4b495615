"""Repairs: planned, carried out, taken back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depfix.api.choices import Choices, Path, options_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from depfix.model.report import Report
    from depfix.pipeline import RepairPlan
    from depfix.repair.journal import Record


def plan_repair(
    path: Path,
    *,
    overwrite: bool = False,
    slim: bool = False,
    completion: bool = True,
    lift_guard: bool = False,
    **choices: Unpack[Choices],
) -> RepairPlan:
    """Plan everything that the dist at `path` lacks, to the last file behind the last file. Nothing is written.

    `overwrite` replaces files that have other content; `slim` leaves out of whole packages what the program does not
    reach; `completion` completes packages that are inside the program; `lift_guard` lets it import modules that it was
    frozen to refuse, which changes the exe. Raises InputError, and NoEnvironmentError if files are needed and no
    environment was given or found.

    >>> plan = depfix.plan_repair("main.dist", env="conda:env")
    >>> [action.destination for action in plan.actions]
    ['codec.dll', 'tables.dll', 'bits.dll']
    """
    from depfix import pipeline

    more = {"overwrite": overwrite, "slim": slim, "completion": completion, "lift_guard": lift_guard}
    with options_of(path, more=more, **choices) as options:
        return pipeline.plan(os.fspath(path), options)


def read_plan(path: Path, file: Path, **choices: Unpack[Choices]) -> RepairPlan:
    """Return the plan in a file, which `RepairPlan.to_json` wrote, for the dist at `path`. No environment is asked.

    Raises PlanFileError if it is damaged or for another dist, PlanOutdatedError if the dist or a source has changed.
    """
    from depfix import pipeline

    with options_of(path, **choices) as options:
        return pipeline.plan(os.fspath(path), options, os.fspath(file))


def apply(plan: RepairPlan, *, link: bool = False, copied: Callable[[int, int], None] | None = None) -> Report:
    """Carry out exactly this plan in one transaction, and check the dist again; return the report of what became.

    Either every file is in its place afterwards or the dist is as it was. `link` takes clones or hard links where the
    file system has them; `copied` is told (files, bytes) as they come. A plan without actions changes nothing. Raises
    PlanOutdatedError if the dist has changed since it was planned, DistLockedError, DiskSpaceError, PreflightError,
    WriteError, and RolledBackError if the dist had to be put back.

    >>> report = depfix.apply(depfix.plan_repair("main.dist", env="conda:env"))
    >>> report.applied, report.verification.remaining
    (True, ())
    """
    from depfix import pipeline
    from depfix.repair.copying import quiet

    try:
        return pipeline.apply(plan, copied=copied or quiet, link=link)
    finally:
        plan.close()


def undo(path: Path, first: int = 0, *, everything: bool = False) -> tuple[str, ...]:
    """Put the dist back, byte for byte, as it was before the last repair, the one numbered `first`, or all of them.

    Return the paths that were removed or restored. Raises NothingToUndoError, ChangedSinceRepairError, DistLockedError.

    >>> report = depfix.apply(depfix.plan_repair("main.dist", env="conda:env"))
    >>> depfix.undo("main.dist")
    ('codec.dll', 'tables.dll', 'bits.dll')
    """
    from depfix import pipeline

    return pipeline.undo(os.fspath(path), first, everything=everything)


def repairs(path: Path) -> tuple[Record, ...]:
    """Return the repairs of a dist that can be undone, oldest first."""
    from depfix import pipeline

    return pipeline.repairs(os.fspath(path))


def recover(path: Path) -> bool:
    """Put a dist whose repair or undo was cut off back as it was before; return True if there was one."""
    from depfix import pipeline

    return pipeline.recover(os.fspath(path))


def is_unfinished(path: Path) -> bool:
    """Return True if the last repair of a folder was cut off. Raises StateDamagedError."""
    from depfix.repair.state import state_path

    root = os.path.abspath(path)
    if not os.path.isdir(root) or not os.path.isdir(state_path(root)):
        return False
    from depfix.repair.journal import unfinished

    return unfinished(root)
