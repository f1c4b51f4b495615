"""`depfix audit`: the gate before a release. The policy, every report in one run, one line of verdict for each dist."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.baselines import opened_baseline, rules_unseen, tell_gone, write_baseline
from depfix.cli.completing import complete_files, complete_folders, complete_formats
from depfix.cli.exits import CLEAN, FINDINGS
from depfix.cli.options import baseline_options, environment_option, options_from, scan_options
from depfix.cli.terminal import ProgressBar, hint, print_lines, tell
from depfix.cli.unfinished import warn_if_unfinished
from depfix.errors import DepfixError
from depfix.model.shell import quoted

if TYPE_CHECKING:
    from depfix.cli.publishing import Publisher
    from depfix.pipeline import Assessment
    from depfix.policy.baseline import Baseline
    from depfix.policy.judging import Judgement
    from depfix.policy.values import Policy, PolicyFile, Setting

_MOST_TOLD = 20
_OF_FILE = {"project_dir": "project", "entry": "entries", "env": "environments"}


@dataclass(frozen=True, slots=True)
class _Audited:
    """A dist that was looked at: where it is, its policy, where its reports go, what was seen."""

    path: str
    policy: Policy
    folder: str
    seen: Assessment


@click.command()
@click.argument("dists", nargs=-1, type=click.Path(path_type=str), metavar="DIST...", shell_complete=complete_folders)
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
    from depfix.policy.choosing import dists_of, policy_for
    from depfix.policy.errors import NoDistError
    from depfix.policy.reading import find_policy, read_policy

    file = read_policy(config) if config else find_policy(os.getcwd())
    given = _given(values)
    dists = tuple({os.path.abspath(dist): dist for dist in dists or dists_of(file)}.values())
    if show_policy:
        _show(file, given, dists)
        return
    if not dists:
        raise NoDistError(file.shown if file is not None else "")
    policies = [policy_for(dist, file, given) for dist in dists]
    sys.exit(_run(dists, policies, values))


def _run(dists: tuple[str, ...], policies: list[Policy], values: dict[str, Any]) -> int:
    from depfix.cli.publishing import Publisher, folders_of

    update = values["update_baseline"]
    paths = dict.fromkeys(policy.baseline for policy in policies if policy.baseline or update)
    baselines = {path: opened_baseline(path, update=update) for path in paths}
    folders = folders_of(dists, policies[0].output_dir)
    publisher = Publisher(folders, policies)
    done, codes = _audited(dists, policies, folders, publisher, values)
    if update and len(done) == len(dists):
        baselines = _updated(done, baselines, quiet=values["quiet"])
    elif update:
        tell(" no baseline was written, for not every dist could be audited", "note:", "cyan")
    judged = _judgements(done, baselines)
    for one, judgement in zip(done, judged, strict=True):
        codes.append(FINDINGS if judgement.verdict.failed else CLEAN)
        codes.append(publisher.publish(one.folder, one.policy, one.seen, judgement, verbose=values["verbose"]))
        _print(one, judgement, values, publisher)
    if len(dists) > 1:
        from depfix.reports.audit import total_line

        failed = sum(judgement.verdict.failed for judgement in judged)
        print_lines([total_line(failed, len(judged) - failed, len(dists) - len(done))])
    if not values["quiet"]:
        _tell_gone(done, baselines)
        _hints(done, judged, publisher, values)
    return max(codes)


def _given(values: dict[str, Any]) -> dict[str, Setting]:
    """Return what the command line says, by the keys of a policy file."""
    from depfix.knowledge.rules import rule
    from depfix.policy.values import Setting

    options = {
        "target": ("--target", values["target"]),
        "entry": ("--entry", tuple(values["entries"])),
        "env": ("--env", tuple(values["environments"])),
        "project-dir": ("--project-dir", values["project"]),
        "report": ("--report", values["report"]),
        "select": ("--select", tuple(rule(name).code for name in values["select"])),
        "ignore": ("--ignore", tuple(rule(name).code for name in values["ignore"])),
        "fail-on": ("--fail-on", values["fail_on"]),
        "formats": ("--format", tuple(values["formats"])),
        "output-dir": ("--output-dir", values["output_dir"]),
        "baseline": ("--baseline", values["baseline"]),
    }
    return {key: Setting(value, option) for key, (option, value) in options.items() if value}


def _show(file: PolicyFile | None, given: Mapping[str, Setting], dists: Sequence[str]) -> None:
    from depfix.policy.choosing import policy_for
    from depfix.policy.showing import policy_lines

    for dist in dists or ("",):
        print_lines(policy_lines(dist, policy_for(dist, file, given)), wrap=False)


# --- looking ---


def _audited(
    dists: Sequence[str],
    policies: Sequence[Policy],
    folders: Sequence[str],
    publisher: Publisher,
    values: dict[str, Any],
) -> tuple[list[_Audited], list[int]]:
    """Return the dists that could be looked at, and an exit code for each that could not."""
    from depfix import pipeline

    done: list[_Audited] = []
    codes: list[int] = []
    for dist, policy, folder in zip(dists, policies, folders, strict=True):
        warn_if_unfinished(dist)
        try:
            with ProgressBar(values["quiet"]) as show:
                options = options_from(_as_options(policy, values), progress=show)
                seen = pipeline.audit(dist, options, policy, inventory=publisher.needs_inventory(policy))
        except DepfixError as error:
            if len(dists) == 1:
                raise
            tell(f" {dist}: {error}", "error:", "red")
            hint(error.hint)
            codes.append(error.exit_code)
            continue
        done.append(_Audited(dist, policy, folder, seen))
    return done, codes


def _as_options(policy: Policy, values: dict[str, Any]) -> dict[str, Any]:
    names = ("target", "entry", "env", "project_dir", "report", "select", "ignore")
    return {_OF_FILE.get(name, name): getattr(policy, name) for name in names} | {"no_cache": values["no_cache"]}


# --- judging ---


def _judgements(done: Sequence[_Audited], baselines: Mapping[str, Baseline | None]) -> tuple[Judgement, ...]:
    from datetime import datetime, timezone

    from depfix.policy.judging import Case, judge

    today = datetime.now(timezone.utc).date()
    cases = [Case(one.policy, one.seen.report.findings, baselines.get(one.policy.baseline)) for one in done]
    return judge(cases, today)


def _updated(
    done: Sequence[_Audited], before: Mapping[str, Baseline | None], *, quiet: bool
) -> dict[str, Baseline | None]:
    """Write each baseline with the findings of today that the policy does not accept; return them."""
    from depfix.policy.baseline import updated

    found: dict[str, Baseline | None] = {}
    judged = _judgements(done, {})
    for path, old in before.items():
        own = [index for index, one in enumerate(done) if one.policy.baseline == path]
        findings = [finding for index in own for finding in judged[index].findings]
        new = updated(path, findings, old, _unseen(done[index].policy for index in own))
        write_baseline(new, old, quiet=quiet)
        found[path] = new
    return found


def _unseen(policies: Iterable[Policy]) -> frozenset[str]:
    return frozenset.intersection(*(rules_unseen(policy.select, policy.ignore, policy=True) for policy in policies))


# --- telling ---


def _print(one: _Audited, judgement: Judgement, values: dict[str, Any], publisher: Publisher) -> None:
    from depfix.reports.audit import brief_lines, verdict_line

    report = replace(one.seen.report, findings=judgement.findings)
    annotated = publisher.is_annotating and not values["verbose"]  # then the log has the findings already
    if not values["quiet"] and not annotated:
        most = len(report.findings) if values["verbose"] else _MOST_TOLD
        print_lines(brief_lines(report.findings, most, publisher.place_of(one.folder)))
    print_lines([verdict_line(one.path, report, judgement.verdict, judgement.accepted)])


def _tell_gone(done: Sequence[_Audited], baselines: Mapping[str, Baseline | None]) -> None:
    for path, baseline in baselines.items():
        own = [one for one in done if one.policy.baseline == path]
        if baseline is not None and own:
            findings = [finding for one in own for finding in one.seen.report.findings]
            tell_gone(baseline, findings, _unseen(one.policy for one in own))


def _hints(done: Sequence[_Audited], judged: Sequence[Judgement], publisher: Publisher, values: dict[str, Any]) -> None:
    for one, judgement in zip(done, judged, strict=True):
        if judgement.verdict.failed and any(finding.fix for finding in judgement.findings):
            specs = " ".join(f"--env {quoted(spec)}" for spec in one.policy.env)
            hint(f"depfix repair {quoted(one.path)} {specs}".rstrip())
    for folder in dict.fromkeys(os.path.dirname(path) for path in publisher.written):
        names = [os.path.basename(path) for path in publisher.written if os.path.dirname(path) == folder]
        tell(f" {os.path.join(folder, '')}: {', '.join(names)}", "reports:", "cyan")
