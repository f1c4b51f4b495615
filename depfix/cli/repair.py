"""`depfix repair`: the plan, the question whether to carry it out, and what became of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.baselines import opened_baseline
from depfix.cli.completing import complete_files
from depfix.cli.exits import exit_code, fails
from depfix.cli.options import (
    baseline_option,
    choices,
    dist_argument,
    environment_option,
    every_form_option,
    report_options,
    scan_options,
)
from depfix.cli.terminal import (
    CopyProgress,
    ProgressBar,
    check_outputs,
    emit,
    hint,
    is_terminal,
    print_lines,
    tell,
    write_report,
)
from depfix.cli.unfinished import warn_if_unfinished
from depfix.model.shell import quoted
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.api.baselines import Baseline
    from depfix.model.audit import Accepted
    from depfix.model.finding import Finding
    from depfix.model.report import Report
    from depfix.reports.forms import Form, Material


@click.command()
@dist_argument
@environment_option
@scan_options
@click.option("--dry-run", is_flag=True, help="Show the whole plan and change nothing.")
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="Write the plan as JSON to a file.",
)
@click.option(
    "--from-plan",
    metavar="FILE",
    shell_complete=complete_files,
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
@baseline_option
@every_form_option
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
    from depfix.api import repairing
    from depfix.reports.forms import form

    decided = {"overwrite": overwrite, "slim": slim, "completion": not no_completion, "lift_guard": lift_guard}
    if from_plan:
        made = {"--env": values["environments"], "--plan": plan_file, "--no-completion": no_completion}
        _refuse_with_plan(made | {"--overwrite": overwrite, "--slim": slim, "--lift-guard": lift_guard})
    wanted = form(values["form"])
    check_outputs(values["output"], plan_file)
    baseline = opened_baseline(values["baseline"], update=False)
    warn_if_unfinished(dist)
    with ProgressBar(values["quiet"]) as show:
        if not dry_run:
            repairing.recover(dist)
        given = choices(values, show)
        plan = (
            repairing.read_plan(dist, from_plan, **given)
            if from_plan
            else repairing.plan_repair(dist, **decided, **given)
        )
        if plan_file:
            write_report(plan_file, plan.to_json())
        show.pause()
        report = plan.report
        if _show_plan(report, values, ask=bool(plan.actions) and not (yes or dry_run)) and not dry_run:
            report = repairing.apply(plan, link=link, copied=CopyProgress(show, len(plan.actions), plan.size))
    report, accepted = _accepted(report, baseline, values)
    left = _left(report, dry_run)
    if wanted.name == "text":
        _print_repair(report, values, len(accepted))
    else:
        emit(wanted.render(_material(wanted, dist, report, left, accepted, values)), values["output"])
    _repair_hints(dist, report, dry_run, values)
    sys.exit(exit_code(left, values["fail_on"]))


def _accepted(report: Report, baseline: Baseline | None, values: dict[str, Any]) -> tuple[Report, tuple[Accepted, ...]]:
    """Return a report without what the baseline accepts, and that."""
    from depfix.api.baselines import without_accepted
    from depfix.reports.audit import accepted_count_words

    if baseline is None:
        return report, ()
    report, accepted = without_accepted(report, baseline)
    if accepted and not values["quiet"]:
        tell(
            " "
            + say(
                "{accepted_count}; what has a cure is copied all the same",
                accepted_count=accepted_count_words(accepted),
            ),
            "note:",
            "cyan",
        )
    return report, accepted


def _left(report: Report, dry_run: bool) -> tuple[Finding, ...]:
    """Return what is wrong after a repair, or would be after a dry run."""
    verification = report.verification
    if verification is None or not (report.applied or dry_run):
        return report.findings
    return (*verification.remaining, *verification.introduced)


def _refuse_with_plan(options: dict[str, object]) -> None:
    """Raise a usage error if options are given that decide what a plan holds, while a plan is to be carried out."""
    given = [name for name, value in options.items() if value]
    if given:
        raise click.UsageError(
            say("--from-plan carries out a plan as it is: leave out {given}", given=", ".join(given))
        )


def _show_plan(report: Report, values: dict[str, Any], *, ask: bool) -> bool:
    """Show a plan, and return True if it is to be carried out."""
    from depfix.reports.plans import plan_lines

    if values["form"] == "text" and not values["quiet"] and report.plan is not None:
        if report.plan.actions or report.plan.declined:
            print_lines(plan_lines(report))
    if ask and is_terminal(sys.stdin) and values["form"] == "text":
        return click.confirm(say("copy these files?"), default=True, err=True)
    return True


def _print_repair(report: Report, values: dict[str, Any], accepted: int) -> None:
    from depfix.reports.plans import plan_lines
    from depfix.reports.text import Line, plain, repair_lines, verdict

    lines = list(repair_lines(report)) if report.applied else []
    nothing_to_do = report.plan is None or not (report.plan.actions or report.plan.declined)
    if not report.findings or (nothing_to_do and not report.applied):
        lines = [Line(verdict(report, accepted))]
    if values["output"]:
        write_report(values["output"], plain([*plan_lines(report), *lines]))
    print_lines(lines)


def _material(
    wanted: Form,
    dist: str,
    report: Report,
    left: tuple[Finding, ...],
    accepted: tuple[Accepted, ...],
    values: dict[str, Any],
) -> Material:
    """Return what a form for others shows: what is left, with the plan; as JSON all that was found, too."""
    from depfix.api import scanning
    from depfix.model.audit import Verdict
    from depfix.reports.forms import Material

    plan = report.plan
    reasons = {(row.rule, row.subject): row.reason for row in plan.declined} if plan is not None else {}
    told = tuple(replace(one, no_fix=one.no_fix or reasons.get((one.rule, one.subject), "")) for one in left)
    shown = report if wanted.name == "json" else replace(report, findings=told)
    verdict = Verdict(fails(left, values["fail_on"]), values["fail_on"])
    inventory, graph = wanted.needs_inventory, wanted.needs_graph
    if not inventory and not graph:
        return Material(shown, verdict, accepted, verbose=values["verbose"])
    seen = scanning.assess(dist, inventory=inventory, graph=graph, **choices(values))
    return Material(shown, verdict, accepted, seen.inventory, seen.graph, verbose=values["verbose"])


def _repair_hints(dist: str, report: Report, dry_run: bool, values: dict[str, Any]) -> None:
    if values["quiet"]:
        return
    if dry_run and report.plan is not None and report.plan.actions:
        hint(say("nothing was changed; the same command without --dry-run copies these files"))
    elif report.plan is not None and report.plan.actions and not report.applied:
        hint(say("nothing was changed"))
    elif report.applied:
        hint(say("depfix undo {dist} puts the folder back", dist=quoted(dist)))
