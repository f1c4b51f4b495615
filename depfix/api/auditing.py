"""Audits: dists judged by the policy of their project."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, cast

from depfix.api.choices import Choices, Path, options_of, texts
from depfix.knowledge.rules import rule
from depfix.model.names import plain_path
from depfix.policy.baseline import Baseline, read_baseline
from depfix.policy.choosing import dists_of, policy_for
from depfix.policy.errors import NoDistError, OutputInsideDistError
from depfix.policy.judging import Case, Judgement, judge
from depfix.policy.reading import find_policy, read_policy
from depfix.policy.showing import policy_lines
from depfix.policy.values import Policy, PolicyFile, Setting

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from depfix.model.report import Report
    from depfix.pipeline import Assessment

__all__ = [
    "Audit",
    "Judgement",
    "Looked",
    "Policy",
    "PolicyFile",
    "Setting",
    "audit",
    "judged",
    "look",
    "named_dists",
    "policy_file",
    "policy_for",
    "policy_lines",
    "report_folders",
    "settings_of",
]

# {choice: key of a policy file}
_KEYS = {name: name for name in ("target", "entry", "env", "report", "select", "ignore")} | {"project": "project-dir"}
_RULES = ("select", "ignore")


@dataclass(frozen=True, slots=True)
class Looked:
    """A dist that was looked at and is to be judged: its path, its policy, what was seen."""

    path: str
    policy: Policy
    seen: Assessment


@dataclass(frozen=True, slots=True)
class Audit:
    """A judged dist. `report` has those findings alone that count, `judgement` those that were accepted, too."""

    path: str
    policy: Policy
    report: Report
    judgement: Judgement

    @property
    def failed(self) -> bool:
        """True if a finding is at the level at which the policy fails, or above it."""
        return self.judgement.verdict.failed


def audit(*dists: Path, config: Path = "", fail_on: str = "", **choices: Unpack[Choices]) -> tuple[Audit, ...]:
    """Judge dists by the policy of the project; without `dists` those that the policy names.

    `config` is a depfix.toml, or a pyproject.toml with [tool.depfix]; without it the nearest one is taken, from the
    current folder up. Choices, and `fail_on` (error, warning, never), count before what the policy says. No report is
    written. Raises PolicyError, BaselineError, NoDistError, and InputError for a dist that cannot be worked with.

    >>> (one,) = depfix.audit("main.dist", ignore="DF101")
    >>> one.failed, [finding.rule for finding in one.report.findings]
    (True, ['DF103'])
    """
    file = policy_file(config)
    given = settings_of(choices, fail_on=fail_on)
    paths = named_dists([os.fspath(dist) for dist in dists], file)
    policies = [policy_for(path, file, given) for path in paths]
    baselines = {one.baseline: read_baseline(one.baseline) for one in policies if one.baseline}
    looked = [look(path, policy, **choices) for path, policy in zip(paths, policies, strict=True)]
    rows = zip(looked, judged(looked, baselines), strict=True)
    return tuple(Audit(one.path, one.policy, replace(one.seen.report, findings=j.findings), j) for one, j in rows)


def policy_file(config: Path = "") -> PolicyFile | None:
    """Return a policy file, or the nearest from the current folder up, None if there is none. Raises PolicyError."""
    return read_policy(os.fspath(config)) if config else find_policy(os.getcwd())


def named_dists(dists: Sequence[str], file: PolicyFile | None, *, needed: bool = True) -> tuple[str, ...]:
    """Return these dists, each once, else those that the policy file names.

    Raises NoDistError if there is none and one is needed.
    """
    found = tuple({os.path.abspath(dist): dist for dist in dists or dists_of(file)}.values())
    if needed and not found:
        raise NoDistError(file.shown if file is not None else "")
    return found


def settings_of(choices: Choices, origins: Mapping[str, str] | None = None, **more: object) -> dict[str, Setting]:
    """Return what a caller chooses, by the keys of a policy file; `origins` says how each choice is called there."""
    given: dict[str, object] = {}
    for choice, key in _KEYS.items():
        value = cast("dict[str, Path]", choices).get(choice, "")
        if choice in _RULES:
            given[key] = tuple(rule(name).code for name in texts(value or ()))
        else:
            given[key] = tuple(texts(value or ())) if choice in ("entry", "env") else os.fspath(value)
    given |= {name.replace("_", "-"): value for name, value in more.items()}
    called = origins or {}
    return {key: Setting(value, called.get(key, f"argument {key}")) for key, value in given.items() if value}


def look(path: Path, policy: Policy, *, inventory: bool = False, **choices: Unpack[Choices]) -> Looked:
    """Scan a dist as its policy says, with what the policy objects to among the findings. Nothing is accepted yet.

    What a policy can say is taken from it and not from `choices`.
    """
    from depfix import pipeline

    said = {name: getattr(policy, key.replace("-", "_")) for name, key in _KEYS.items()}
    with options_of(path, **cast("Choices", {**choices, **said})) as options:
        return Looked(os.fspath(path), policy, pipeline.audit(os.fspath(path), options, policy, inventory=inventory))


def judged(
    looked: Sequence[Looked], baselines: Mapping[str, Baseline | None], today: date | None = None
) -> tuple[Judgement, ...]:
    """Return the judgement of each dist of one run; `baselines` are by their paths, `today` is the day in UTC."""
    cases = [Case(one.policy, one.seen.report.findings, baselines.get(one.policy.baseline)) for one in looked]
    return judge(cases, today or datetime.now(timezone.utc).date())


def report_folders(dists: Sequence[str], output: str) -> list[str]:
    """Return the folder for the reports of each dist: `output` for one alone, else one in it by the dist's name.

    Raises OutputInsideDistError.
    """
    from depfix.dist.identify import dist_root

    place = os.path.realpath(output)
    for dist in dists:
        root = os.path.realpath(plain_path(dist_root(dist)))
        if os.path.normcase(f"{place}{os.sep}").startswith(os.path.normcase(f"{root}{os.sep}")):
            raise OutputInsideDistError(output, dist)
    if len(dists) == 1:
        return [output]
    names: list[str] = []
    for dist in dists:
        name = os.path.basename(os.path.realpath(dist)) or "dist"
        taken = {one.lower() for one in names}
        wanted = [name, *(f"{name}-{number}" for number in range(2, len(dists) + 1))]
        names.append(next(one for one in wanted if one.lower() not in taken))
    return [os.path.join(output, name) for name in names]
