"""The commands. Each one: options in, pipeline, report out, exit code."""

from __future__ import annotations

import os
import sys
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from depfix import __version__
from depfix.cli.diagnose import diagnose
from depfix.cli.options import dist_argument, environment_option, options_from, report_options, scan_options
from depfix.cli.terminal import (
    CopyProgress,
    ProgressBar,
    check_outputs,
    hint,
    plain,
    print_lines,
    print_text,
    tell,
    write_report,
)
from depfix.errors import DepfixError

if TYPE_CHECKING:
    from depfix.env.fit import Need
    from depfix.model.finding import Finding
    from depfix.model.report import Report
    from depfix.reports.environments import Row

_CLEAN, _FINDINGS, _USAGE, _INTERRUPTED = 0, 1, 2, 130
_OBJECTS_BETWEEN_COLLECTIONS = 100_000
_MOST_PATHS = 20  # that undo names one by one
_RANK = {"error": 0, "warning": 1, "never": -1}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="depfix")
def cli() -> None:
    """Find and repair what a frozen Python program for Windows lacks.

    \b
    depfix scan main.dist                        what is missing or wrong, and why
    depfix repair main.dist --env conda:NAME     copy it in, all of it or nothing
    depfix undo main.dist                        put the folder back as it was

    Exit codes: 0 clean, 1 findings, 2 wrong usage or input, 3 depfix could not do its work, 4 a repair was rolled back.
    """


@cli.command()
@dist_argument
@environment_option
@scan_options
@report_options
def scan(dist: str, **values: Any) -> None:
    """Find what is missing, misplaced or wrong in the folder DIST. Nothing is changed."""
    from depfix import pipeline

    check_outputs(values["output"])
    _warn_if_unfinished(dist)
    with ProgressBar(values["quiet"]) as show:
        report = pipeline.scan(dist, options_from(values, progress=show))
    _print_scan(report, values)
    _scan_hints(dist, report, values)
    sys.exit(_FINDINGS if _fails(report.findings, values["fail_on"]) else _CLEAN)


@cli.command()
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
    _warn_if_unfinished(dist)
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
    sys.exit(_FINDINGS if _fails(left, values["fail_on"]) else _CLEAN)


def _refuse_with_plan(options: dict[str, object]) -> None:
    """Raise a usage error if options are given that decide what a plan holds, while a plan is to be carried out."""
    given = [name for name, value in options.items() if value]
    if given:
        raise click.UsageError(f"--from-plan carries out a plan as it is: leave out {', '.join(given)}")


@cli.command()
@dist_argument
@click.option("--all", "everything", is_flag=True, help="Undo every repair, the last one first.")
@click.option("--to", "first", type=click.IntRange(min=1), metavar="N", help="Undo repair N and every later one.")
@click.option("--list", "listed", is_flag=True, help="List the repairs that can be undone; change nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing if it worked.")
def undo(dist: str, everything: bool, first: int | None, listed: bool, quiet: bool) -> None:
    """Put DIST back, byte for byte, as it was before the last repair.

    Earlier repairs are listed by --list and taken back by --to N or --all. If files that a repair brought were changed
    since, nothing is undone.
    """
    from depfix import pipeline
    from depfix.reports.plans import repair_list_lines
    from depfix.reports.text import Line

    if everything + (first is not None) + listed > 1:
        raise click.UsageError("--all, --to and --list exclude each other")
    if listed:
        _warn_if_unfinished(dist)
        print_lines(repair_list_lines(dist, [astuple(row) for row in pipeline.repairs(dist)]))
        return
    paths = pipeline.undo(dist, first or 0, everything=everything)
    if not quiet:
        print_lines([Line(f"  {path}", "put back", "green") for path in paths[:_MOST_PATHS]])
        if len(paths) > _MOST_PATHS:
            print_lines([Line(f"  {len(paths) - _MOST_PATHS:,} more files", "put back", "green")])
        before = "the repair" if not everything and first is None else "any repair" if everything else f"repair {first}"
        print_lines([Line(f"{dist} is as it was before {before}")])


@cli.command()
@dist_argument
@click.argument("name")
@environment_option
@scan_options
@click.option("--all", "everything", is_flag=True, help="Show every chain, not only the shortest ten.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def why(dist: str, name: str, everything: bool, **values: Any) -> None:
    """Show who needs NAME in DIST: a DLL, a module, or a file, present or missing."""
    from depfix import pipeline
    from depfix.reports.chains import chain_lines

    with ProgressBar(values["quiet"]) as show:
        found = pipeline.why(dist, name, options_from(values, progress=show))
    print_lines(chain_lines(name, found, None if everything else 10))


@cli.command()
@dist_argument
@click.argument("name", metavar="[FILE]", required=False, default="")
@scan_options
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="Show so many levels only.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form."
)
@click.option("-o", "--output", metavar="FILE", default="", help="Write the tree to a file instead.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def tree(dist: str, name: str, depth: int | None, **values: Any) -> None:
    """Show what DIST needs as a tree, from the program down, or from FILE alone.

    FILE is a DLL, a .pyd, a module or a script, by its name or its path in DIST.
    """
    from depfix import pipeline
    from depfix.reports.tree import tree_json, tree_lines

    check_outputs(values["output"])
    with ProgressBar(values["quiet"]) as show:
        graph, tops = pipeline.tree(dist, name, options_from({"environments": (), **values}, progress=show))
    if values["form"] == "text" and not values["output"]:
        print_lines(tree_lines(graph, tops, name, depth))
        return
    as_json = values["form"] == "json"
    text = tree_json(graph, tops, depth) if as_json else plain(tree_lines(graph, tops, name, depth))
    if values["output"]:
        write_report(values["output"], text)
    else:
        print_text(text)


@cli.command()
@click.argument("dist", required=False, default="")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form."
)
def envs(dist: str, form: str) -> None:
    """List the environments found on this machine, as --env takes them.

    With DIST, those that fit it come first, and of each other one it is said why it does not.
    """
    from depfix.reports.environments import environment_lines, environments_json

    need: Need | None = None
    rows: list[Row] = []
    if dist:
        from depfix import pipeline

        need, fitting = pipeline.environments_for(dist, os.environ)
        rows += fitting
    else:
        from depfix.env.discover import list_environments
        from depfix.env.places import project_folders

        rows += [(info, None) for info in list_environments(os.environ, project_folders(os.getcwd()))]
    if form == "json":
        print_text(environments_json(rows))
        return
    print_lines(environment_lines(rows, need))
    if not rows:
        hint("an environment that conda does not know of can be given as conda:FOLDER, a folder of DLLs as dir:FOLDER")
    elif rows[0][1] == "":
        hint(f"depfix repair {_quoted(dist)} --env {_quoted(rows[0][0].spec)}")


@cli.command()
@click.argument("name", required=False, default="")
def explain(name: str) -> None:
    """Explain a rule (DF101 or missing-dll): why it breaks, how it is fixed. Without a name, list the rules."""
    from depfix.reports.rules import explanation_lines, rule_lines

    print_lines(explanation_lines(name) if name else rule_lines())


cli.add_command(diagnose)


def main() -> None:
    """Run the command line; turn depfix's exceptions into messages, hints and exit codes."""
    import gc

    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 100)  # hardly anything that a scan keeps is garbage
    try:
        cli.main(prog_name="depfix", standalone_mode=False)
    except click.exceptions.Abort:
        tell(" interrupted; nothing was left half done", "stopped:", "yellow")
        sys.exit(_INTERRUPTED)
    except KeyboardInterrupt:
        tell(" interrupted; nothing was left half done", "stopped:", "yellow")
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(_USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(_CLEAN)
    except DepfixError as error:
        tell(f" {error}", "error:", "red")
        hint(error.hint)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("DEPFIX_DEBUG"):
            raise
        tell(f" depfix failed: {type(error).__name__}: {error}", "error:", "red")
        hint("this is a defect of depfix; with DEPFIX_DEBUG=1 in the environment it shows where")
        sys.exit(DepfixError.exit_code)


# --- printing ---


def _print_scan(report: Report, values: dict[str, Any]) -> None:
    from depfix.reports.text import Line, scan_lines, verdict

    if values["form"] == "json":
        _emit_json(report, values["output"])
        return
    if values["output"]:
        write_report(values["output"], plain(scan_lines(report, verbose=values["verbose"])))
    short = values["quiet"] or values["output"]
    print_lines([Line(verdict(report))] if short else scan_lines(report, verbose=values["verbose"]))


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
    from depfix.reports.text import Line, repair_lines, verdict

    if values["form"] == "json":
        _emit_json(report, values["output"])
        return
    lines = list(repair_lines(report)) if report.applied else []
    if not report.findings:
        lines = [Line(verdict(report))]
    if values["output"]:
        write_report(values["output"], plain([*plan_lines(report), *lines]))
    print_lines(lines)


def _emit_json(report: Report, output: str) -> None:
    from depfix.reports.json import report_json

    if output:
        write_report(output, report_json(report))
    else:
        print_text(report_json(report))


# --- verdict and hints ---


def _fails(findings: tuple[Finding, ...], level: str) -> bool:
    """Return True if a finding is at or above the level; mere possibilities never fail."""
    from depfix.model.finding import Confidence

    return any(
        finding.severity.rank <= _RANK[level] and finding.confidence is not Confidence.POSSIBLE for finding in findings
    )


def _scan_hints(dist: str, report: Report, values: dict[str, Any]) -> None:
    from depfix.repair.planner import copied_in

    if values["quiet"] or not _fails(report.findings, "warning"):
        return
    environments = " ".join(f"--env {_quoted(spec)}" for spec in values["environments"])
    if any(finding.fix for finding in report.findings):
        hint(f"depfix repair {_quoted(dist)} {environments}".rstrip())
    elif not any(copied_in(finding) for finding in report.findings if _fails((finding,), "warning")):
        return
    elif report.environments:
        hint("no environment given has what is missing; `depfix envs` lists others")
    else:
        hint(f"depfix repair {_quoted(dist)} --env conda:NAME copies it in; `depfix envs` lists environments")


def _repair_hints(dist: str, report: Report, dry_run: bool, values: dict[str, Any]) -> None:
    if values["quiet"]:
        return
    if dry_run and report.plan is not None and report.plan.actions:
        hint("nothing was changed; the same command without --dry-run copies these files")
    elif report.plan is not None and report.plan.actions and not report.applied:
        hint("nothing was changed")
    elif report.applied:
        hint(f"depfix undo {_quoted(dist)} puts the folder back")


def _warn_if_unfinished(dist: str) -> None:
    from depfix.repair.journal import unfinished

    try:
        cut_off = os.path.isdir(dist) and unfinished(os.path.abspath(dist))
    except DepfixError as error:
        tell(f" {error}", "warning:", "yellow")
        return
    if cut_off:
        tell(
            " a repair of this folder was cut off; the next repair, or `depfix undo`, puts it back first",
            "warning:",
            "yellow",
        )


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
