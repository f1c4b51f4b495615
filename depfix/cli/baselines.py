"""`--baseline` and `--update-baseline`: read before the work, written after it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from depfix.cli.outputs import check_place, write_whole
from depfix.cli.terminal import tell
from depfix.wording.speech import say

if TYPE_CHECKING:
    from depfix.api.baselines import Baseline
    from depfix.model.finding import Finding

_MOST_NAMED = 5


def opened_baseline(path: str, *, update: bool) -> Baseline | None:
    """Return the baseline at `path`, None if none is wanted, or if it is to be written and is not there yet.

    Raises BaselineError, and WriteError if it is to be written and cannot be.
    """
    if update and not path:
        raise click.UsageError(say("--update-baseline needs to know the file: --baseline FILE"))
    if update:
        check_place(path)
    if not path or (update and not os.path.exists(path)):
        return None
    from depfix.api.baselines import read_baseline

    return read_baseline(path)


def write_baseline(baseline: Baseline, before: Baseline | None, *, quiet: bool) -> None:
    """Write a baseline, and unless `quiet` tell how many findings it holds. Raises WriteError."""
    from depfix.api.baselines import baseline_text
    from depfix.reports.text import count

    write_whole(baseline.path, baseline_text(baseline))
    known = before.fingerprints if before is not None else frozenset()
    new, gone = len(baseline.fingerprints - known), len(known - baseline.fingerprints)
    if quiet:
        return
    tell(
        " "
        + say(
            "{baseline} holds {findings}: {new} new, {gone} gone",
            baseline=baseline.path,
            findings=count(len(baseline.rows), "finding"),
            new=new,
            gone=gone,
        ),
        "baseline:",
        "cyan",
    )


def tell_gone(baseline: Baseline, findings: Iterable[Finding], unseen: frozenset[str]) -> None:
    """Tell what a baseline names and this run did not find any more."""
    from depfix.reports.text import count

    gone = [row for row in baseline.gone(findings) if row.rule not in unseen]
    if gone:
        named = ", ".join(f"{row.rule} {row.subject}" for row in gone[:_MOST_NAMED])
        more = say(" and {number} more", number=len(gone) - _MOST_NAMED) if len(gone) > _MOST_NAMED else ""
        tell(
            " "
            + say(
                "{findings} of {baseline} found no more: {named}{more}; --update-baseline takes what is gone out",
                findings=count(len(gone), "finding"),
                baseline=baseline.path,
                named=named,
                more=more,
            ),
            "note:",
            "cyan",
        )
