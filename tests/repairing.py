"""A whole repair in one call, as the command line does it: put right what was cut off, plan, ask, apply."""

from __future__ import annotations

from collections.abc import Callable

from depfix import pipeline
from depfix.model.report import Report
from depfix.pipeline import Options
from depfix.repair.copying import Copied, quiet


def repair(
    path: str,
    options: Options,
    *,
    dry_run: bool = False,
    from_plan: str = "",
    link: bool = False,
    save_plan: Callable[[str], None] | None = None,
    agreed: Callable[[Report], bool] = lambda _report: True,
    copied: Copied = quiet,
) -> Report:
    """Return the report of a repair, or with `dry_run`, or if `agreed` says no, that of its plan."""
    if not dry_run:
        pipeline.recover(path)
    plan = pipeline.plan(path, options, from_plan)
    if save_plan is not None:
        save_plan(plan.to_json())
    return plan.report if dry_run or not agreed(plan.report) else pipeline.apply(plan, copied=copied, link=link)
