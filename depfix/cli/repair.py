"""`depfix repair`: the plan, the question whether to carry it out, and what became of it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.exits import exit_code
from depfix.cli.options import (
    dist_argument,
    environment_option,
    format_option,
    options_from,
    report_options,
    scan_options,
)
from depfix.cli.terminal import (
    CopyProgress,
    ProgressBar,
    check_outputs,
    emit,
    hint,
    print_lines,
    write_report,
)
from depfix.cli.unfinished import warn_if_unfinished
from depfix.model.shell import quoted

if TYPE_CHECKING:
    from depfix.model.report import Report


@click.command()
@dist_argument
@environment_option
@scan_options
@click.option("--dry-run", is_flag=True, help="Show the whole plan and change nothing.")
@click.option("--plan", "plan_file", metavar="FILE", default="", help="Write the plan as JSON to a file.")
@click.option(
    "--from-plan",
    metavar="FILE",
    default="",
    help="Carry out exactly this plan, without an environment; refused if DIST or a source has changed since.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask on a terminal before copying.")
@click.option("--overwrite", is_flag=True, help="Replace files with other content; undo brings the old ones back.")
@click.option("--slim", is_flag=True, help="Of whole packages leave out what the program does not reach.")
@click.option(
    "--link",
    is_flag=True,
    help="Where the file system can, clone or hard-link instead of copying. What is changed in place in the "
    "environment later then shows in DIST, too, if it was hard-linked.",
)
@click.option(
    "--no-completion",
    is_flag=True,
    help="Do not complete packages that are inside the program; say how to freeze it again instead.",
)
@click.option(
    "--lift-guard",
    is_flag=True,
    help="Let the program import modules that it was frozen to refuse: changes the exe, and ends its signature.",
)
@format_option
@report_options
def repair(
    dist: str,
    dry_run: bool,
    plan_file: str,
    from_plan: str,
    yes: bool,
    overwrite: bool,
    slim: bool,
    link: bool,
    no_completion: bool,
    lift_guard: bool,
    **values: Any,
) -> None:
    """Copy everything that DIST lacks from an environment, in one transaction, and scan again."""
    from depfix import pipeline

    decided = {"overwrite": overwrite, "slim": slim, "completion": not no_completion, "lift_guard": lift_guard}
    if from_plan:
        made = {"--env": values["environments"], "--plan": plan_file, "--no-completion": no_completion}
        _refuse_with_plan(made | {"--overwrite": overwrite, "--slim": slim, "--lift-guard": lift_guard})
    check_outputs(values["output"], plan_file)
    warn_if_unfinished(dist)
    with ProgressBar(values["quiet"]) as show:
        copying = CopyProgress(show)

        def agreed(report: Report) -> bool:
            show.pause()
            if report.plan is not None:
                copying.expect(len(report.plan.actions), report.plan.size)
            return _show_plan(report, values, ask=not yes)

        report = pipeline.repair(
            dist,
            options_from(values, progress=show, **decided),
            dry_run=dry_run,
            from_plan=from_plan,
            link=link,
            save_plan=partial(write_report, plan_file) if plan_file else None,
            agreed=agreed,
            copied=copying,
        )
    if not report.applied and (dry_run or not report.plan or not report.plan.actions):
        _show_plan(report, values, ask=False)
    _print_repair(report, values)
    _repair_hints(dist, report, dry_run, values)
    verification = report.verification
    left = (*verification.remaining, *verification.introduced) if verification else report.findings
    if not report.applied and not dry_run:
        left = report.findings
    sys.exit(exit_code(left, values["fail_on"]))


def _refuse_with_plan(options: dict[str, object]) -> None:
    """Raise a usage error if options are given that decide what a plan holds, while a plan is to be carried out."""
    given = [name for name, value in options.items() if value]
    if given:
        raise click.UsageError(f"--from-plan carries out a plan as it is: leave out {', '.join(given)}")


def _show_plan(report: Report, values: dict[str, Any], *, ask: bool) -> bool:
    """Show a plan, and return True if it is to be carried out."""
    from depfix.reports.plans import plan_lines

    if values["form"] == "text" and not values["quiet"] and report.plan is not None:
        if report.plan.actions or report.plan.declined:
            print_lines(plan_lines(report))
    if ask and sys.stdin.isatty() and values["form"] == "text":
        return click.confirm("copy these files?", default=True, err=True)
    return True


def _print_repair(report: Report, values: dict[str, Any]) -> None:
    from depfix.reports.plans import plan_lines
    from depfix.reports.text import Line, plain, repair_lines, verdict

    if values["form"] == "json":
        from depfix.reports.json import report_json

        emit(report_json(report), values["output"])
        return
    lines = list(repair_lines(report)) if report.applied else []
    nothing_to_do = report.plan is None or not (report.plan.actions or report.plan.declined)
    if not report.findings or (nothing_to_do and not report.applied):
        lines = [Line(verdict(report))]
    if values["output"]:
        write_report(values["output"], plain([*plan_lines(report), *lines]))
    print_lines(lines)


def _repair_hints(dist: str, report: Report, dry_run: bool, values: dict[str, Any]) -> None:
    if values["quiet"]:
        return
    if dry_run and report.plan is not None and report.plan.actions:
        hint("nothing was changed; the same command without --dry-run copies these files")
    elif report.plan is not None and report.plan.actions and not report.applied:
        hint("nothing was changed")
    elif report.applied:
        hint(f"depfix undo {quoted(dist)} puts the folder back")
