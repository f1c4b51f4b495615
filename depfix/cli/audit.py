"""`depfix audit`: the gate before a release. The policy, every report in one run, one line of verdict for each dist."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.baselines import opened_baseline, tell_gone, write_baseline
from depfix.cli.completing import complete_files, complete_folders, complete_formats
from depfix.cli.exits import CLEAN, FINDINGS
from depfix.cli.options import baseline_options, choices, environment_option, scan_options, whole_folder
from depfix.cli.terminal import ProgressBar, hint, print_lines, tell
from depfix.cli.unfinished import warn_if_unfinished
from depfix.errors import DepfixError
from depfix.model.shell import quoted
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.api.auditing import Judgement, Looked, Policy, PolicyFile, Setting
    from depfix.api.baselines import Baseline
    from depfix.cli.publishing import Publisher

_MOST_TOLD = 20
_OPTIONS = {
    "project-dir": "--project-dir",
    "fail-on": "--fail-on",
    "formats": "--format",
    "output-dir": "--output-dir",
    **{key: f"--{key}" for key in ("target", "entry", "env", "report", "select", "ignore", "baseline")},
}


@click.command()
@click.argument(
    "dists",
    nargs=-1,
    type=click.Path(path_type=str),
    callback=whole_folder,
    metavar="DIST...",
    shell_complete=complete_folders,
)
@click.option(
    "--config",
    metavar="FILE",
    default="",
    shell_complete=complete_files,
    help="The policy: a depfix.toml, or a pyproject.toml with [tool.depfix]. Default: the nearest one, from here up.",
)
@click.option("--show-policy", is_flag=True, help="Print the policy in effect and where each value is from, and stop.")
@environment_option
@scan_options
@baseline_options
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_formats,
    help="Only this form of report. Repeatable. Default: every form that there is.",
)
@click.option(
    "--output-dir",
    metavar="DIR",
    default="",
    shell_complete=complete_folders,
    help="The folder for the reports. Default: depfix-report.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    help="Which findings make the exit code 1. Default: error.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no hints; only the verdicts.")
@click.option("-v", "--verbose", is_flag=True, help="Show every finding, and in reports what is merely possible.")
def audit(dists: tuple[str, ...], config: str, show_policy: bool, **values: Any) -> None:
    """Judge each DIST by the policy of the project, and write every report in one run.

    The policy is in depfix.toml, or in [tool.depfix] of pyproject.toml. Without DIST those that it names are audited.
    """
    from depfix.api.auditing import named_dists, policy_file, policy_for

    file = policy_file(config)
    given = _given(values)
    if show_policy:
        _show(file, given, dists)
        return
    dists = named_dists(dists, file)
    policies = [policy_for(dist, file, given) for dist in dists]
    sys.exit(_run(dists, policies, values))


def _run(dists: tuple[str, ...], policies: list[Policy], values: dict[str, Any]) -> int:
    from depfix.api.auditing import judged, report_folders
    from depfix.cli.publishing import Publisher

    update = values["update_baseline"]
    paths = dict.fromkeys(policy.baseline for policy in policies if policy.baseline or update)
    baselines = {path: opened_baseline(path, update=update) for path in paths}
    folders = dict(zip(dists, report_folders(dists, policies[0].output_dir), strict=True))
    publisher = Publisher(folders, policies)
    done, codes = _looked_at(dists, policies, publisher, values)
    if update and len(done) == len(dists):
        baselines = _updated(done, baselines, quiet=values["quiet"])
    elif update:
        tell(" " + say("no baseline was written, for not every dist could be audited"), "note:", "cyan")
    judgements = judged(done, baselines)
    for one, judgement in zip(done, judgements, strict=True):
        codes.append(FINDINGS if judgement.verdict.failed else CLEAN)
        codes.append(publisher.publish(one, judgement, verbose=values["verbose"]))
        _print(one, judgement, values, publisher)
    if len(dists) > 1:
        from depfix.reports.audit import total_line

        failed = sum(judgement.verdict.failed for judgement in judgements)
        print_lines([total_line(failed, len(judgements) - failed, len(dists) - len(done))])
    if not values["quiet"]:
        _tell_gone(done, baselines)
        _hints(done, judgements, publisher, values)
    return max(codes)


def _given(values: dict[str, Any]) -> dict[str, Setting]:
    """Return what the command line says, by the keys of a policy file."""
    from depfix.api.auditing import settings_of

    more = {name: values[name] for name in ("fail_on", "formats", "output_dir", "baseline")}
    return settings_of(choices(values), _OPTIONS, **more)


def _show(file: PolicyFile | None, given: Mapping[str, Setting], dists: Sequence[str]) -> None:
    from depfix.api.auditing import named_dists, policy_for, policy_lines

    for dist in named_dists(dists, file, needed=False) or ("",):
        print_lines(policy_lines(dist, policy_for(dist, file, given)), wrap=False)


# --- looking ---


def _looked_at(
    dists: Sequence[str], policies: Sequence[Policy], publisher: Publisher, values: dict[str, Any]
) -> tuple[list[Looked], list[int]]:
    """Return the dists that could be looked at, and an exit code for each that could not."""
    from depfix.api.auditing import look

    done: list[Looked] = []
    codes: list[int] = []
    for dist, policy in zip(dists, policies, strict=True):
        warn_if_unfinished(dist)
        try:
            with ProgressBar(values["quiet"]) as show:
                inventory = publisher.needs_inventory(policy)
                done.append(look(dist, policy, inventory=inventory, **choices(values, show)))
        except DepfixError as error:
            if len(dists) == 1:
                raise
            tell(f" {dist}: {said(error)}", "error:", "red")
            hint(error.hint)
            codes.append(error.exit_code)
    return done, codes


# --- baselines ---


def _updated(
    done: Sequence[Looked], before: Mapping[str, Baseline | None], *, quiet: bool
) -> dict[str, Baseline | None]:
    """Write each baseline with the findings of today that the policy does not accept; return them."""
    from depfix.api.auditing import judged
    from depfix.api.baselines import updated

    found: dict[str, Baseline | None] = {}
    judgements = judged(done, {})
    for path, old in before.items():
        own = [index for index, one in enumerate(done) if one.policy.baseline == path]
        findings = [finding for index in own for finding in judgements[index].findings]
        new = updated(path, findings, old, _unseen(done[index].policy for index in own))
        write_baseline(new, old, quiet=quiet)
        found[path] = new
    return found


def _unseen(policies: Iterable[Policy]) -> frozenset[str]:
    from depfix.api.baselines import rules_unseen

    return frozenset.intersection(*(rules_unseen(policy.select, policy.ignore, policy=True) for policy in policies))


# --- telling ---


def _print(one: Looked, judgement: Judgement, values: dict[str, Any], publisher: Publisher) -> None:
    from depfix.reports.audit import brief_lines, verdict_line

    report = replace(one.seen.report, findings=judgement.findings)
    annotated = publisher.is_annotating and not values["verbose"]  # then the log has the findings already
    if not values["quiet"] and not annotated:
        most = len(report.findings) if values["verbose"] else _MOST_TOLD
        print_lines(brief_lines(report.findings, most, publisher.place_of(one.path)))
    print_lines([verdict_line(one.path, report, judgement.verdict, judgement.accepted)])


def _tell_gone(done: Sequence[Looked], baselines: Mapping[str, Baseline | None]) -> None:
    for path, baseline in baselines.items():
        own = [one for one in done if one.policy.baseline == path]
        if baseline is not None and own:
            findings = [finding for one in own for finding in one.seen.report.findings]
            tell_gone(baseline, findings, _unseen(one.policy for one in own))


def _hints(done: Sequence[Looked], judged: Sequence[Judgement], publisher: Publisher, values: dict[str, Any]) -> None:
    for one, judgement in zip(done, judged, strict=True):
        if judgement.verdict.failed and any(finding.fix for finding in judgement.findings):
            specs = " ".join(f"--env {quoted(spec)}" for spec in one.policy.env)
            hint(f"depfix repair {quoted(one.path)} {specs}".rstrip())
    for folder in dict.fromkeys(os.path.dirname(path) for path in publisher.written):
        names = [os.path.basename(path) for path in publisher.written if os.path.dirname(path) == folder]
        tell(f" {os.path.join(folder, '')}: {', '.join(names)}", "reports:", "cyan")
