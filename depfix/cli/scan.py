"""`depfix scan`: what a dist lacks, and what to do next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.exits import exit_code, fails
from depfix.cli.options import (
    dist_argument,
    environment_option,
    every_form_option,
    options_from,
    report_options,
    scan_options,
)
from depfix.cli.terminal import ProgressBar, check_outputs, emit, hint, print_lines, write_report
from depfix.cli.unfinished import warn_if_unfinished
from depfix.model.shell import quoted

if TYPE_CHECKING:
    from depfix.model.report import Report
    from depfix.reports.forms import Form, Material


@click.command()
@dist_argument
@environment_option
@scan_options
@every_form_option
@report_options
def scan(dist: str, **values: Any) -> None:
    """Find what is missing, misplaced or wrong in the folder DIST. Nothing is changed."""
    from depfix import pipeline
    from depfix.model.audit import Verdict
    from depfix.reports.forms import Material, form

    wanted = form(values["form"])
    check_outputs(values["output"])
    warn_if_unfinished(dist)
    with ProgressBar(values["quiet"]) as show:
        options = options_from(values, progress=show)
        seen = pipeline.assess(dist, options, inventory=wanted.needs_inventory, graph=wanted.needs_graph)
    verdict = Verdict(fails(seen.report.findings, values["fail_on"]), values["fail_on"])
    material = Material(seen.report, verdict, (), seen.inventory, seen.graph, verbose=values["verbose"])
    _print_scan(wanted, material, values)
    _scan_hints(dist, seen.report, values)
    sys.exit(exit_code(seen.report.findings, values["fail_on"]))


def _print_scan(wanted: Form, material: Material, values: dict[str, Any]) -> None:
    from depfix.reports.text import Line, scan_lines, verdict

    if wanted.name != "text":
        emit(wanted.render(material), values["output"])
        return
    if values["output"]:
        write_report(values["output"], wanted.render(material))
    short = values["quiet"] or values["output"]
    report = material.report
    print_lines([Line(verdict(report))] if short else scan_lines(report, verbose=values["verbose"]))


def _scan_hints(dist: str, report: Report, values: dict[str, Any]) -> None:
    from depfix.repair.decisions import copied_in

    if values["quiet"] or not fails(report.findings, "warning"):
        return
    environments = " ".join(f"--env {quoted(spec)}" for spec in values["environments"])
    if any(finding.fix for finding in report.findings):
        hint(f"depfix repair {quoted(dist)} {environments}".rstrip())
    elif not any(copied_in(finding) for finding in report.findings if fails((finding,), "warning")):
        return
    elif report.environments:
        hint("no environment given has what is missing; `depfix envs` lists others")
    else:
        hint(f"depfix repair {quoted(dist)} --env conda:NAME copies it in; `depfix envs` lists environments")
