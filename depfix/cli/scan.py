"""`depfix scan`: what a dist lacks, and what to do next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.baselines import opened_baseline, tell_gone, write_baseline
from depfix.cli.exits import exit_code, fails
from depfix.cli.options import (
    baseline_options,
    choices,
    dist_argument,
    environment_option,
    every_form_option,
    report_options,
    scan_options,
    typed_again,
)
from depfix.cli.terminal import ProgressBar, check_outputs, emit, hint, print_lines, write_report
from depfix.cli.unfinished import warn_if_unfinished
from depfix.model.shell import quoted
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.api.baselines import Baseline
    from depfix.model.audit import Accepted
    from depfix.model.report import Report
    from depfix.reports.forms import Form, Material


@click.command()
@dist_argument
@environment_option
@scan_options
@baseline_options
@every_form_option
@report_options
def scan(dist: str, **values: Any) -> None:
    """Find what is missing, misplaced or wrong in the folder DIST. Nothing is changed."""
    from depfix.api import scanning
    from depfix.model.audit import Verdict
    from depfix.reports.forms import Material, form

    wanted = form(values["form"])
    check_outputs(values["output"])
    before = opened_baseline(values["baseline"], update=values["update_baseline"])
    warn_if_unfinished(dist)
    with ProgressBar(values["quiet"]) as show:
        if wanted.needs_inventory or wanted.needs_graph:
            needs = {"inventory": wanted.needs_inventory, "graph": wanted.needs_graph}
            seen = scanning.assess(dist, **needs, **choices(values, show))
            found, inventory, graph = seen.report, seen.inventory, seen.graph
        else:
            found, inventory, graph = scanning.scan(dist, keep_report=True, **choices(values, show)), None, None
    report, accepted = _accepted(found, before, values)
    verdict = Verdict(fails(report.findings, values["fail_on"]), values["fail_on"])
    material = Material(report, verdict, accepted, inventory, graph, verbose=values["verbose"])
    _print_scan(wanted, material, values)
    _scan_hints(dist, report, values)
    sys.exit(exit_code(report.findings, values["fail_on"]))


def _accepted(report: Report, before: Baseline | None, values: dict[str, Any]) -> tuple[Report, tuple[Accepted, ...]]:
    """Return a report without what the baseline accepts, and that; write the baseline first if it is to be written."""
    if before is None and not values["update_baseline"]:
        return report, ()
    from depfix.api.baselines import rules_unseen, updated, without_accepted

    unseen = rules_unseen(values["select"], values["ignore"])
    baseline = before
    if values["update_baseline"]:
        baseline = updated(values["baseline"], report.findings, before, unseen)
        write_baseline(baseline, before, quiet=values["quiet"])
    elif before is not None and not values["quiet"]:
        tell_gone(before, report.findings, unseen)
    return without_accepted(report, baseline) if baseline is not None else (report, ())


def _print_scan(wanted: Form, material: Material, values: dict[str, Any]) -> None:
    from depfix.reports.text import Line, scan_lines, verdict

    if wanted.name != "text":
        emit(wanted.render(material), values["output"])
        return
    if values["output"]:
        write_report(values["output"], wanted.render(material))
    short = values["quiet"] or values["output"]
    report = material.report
    lines = scan_lines(report, verbose=values["verbose"], accepted=material.accepted)
    print_lines([Line(verdict(report, len(material.accepted)))] if short else lines)


def _scan_hints(dist: str, report: Report, values: dict[str, Any]) -> None:
    from depfix.api.scanning import is_copied_in

    if values["quiet"] or not fails(report.findings, "warning"):
        return
    again = " ".join((quoted(dist), *typed_again(values)))
    if any(finding.fix for finding in report.findings):
        hint(f"depfix repair {again}")
    elif not any(is_copied_in(finding) for finding in report.findings if fails((finding,), "warning")):
        return
    elif report.environments:
        hint(say("no environment given has what is missing; `depfix envs` lists others"))
    else:
        hint(
            say(
                "depfix repair {dist} --env conda:NAME copies it in; `depfix envs` lists environments",
                dist=again,
            )
        )
