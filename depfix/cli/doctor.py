"""`depfix doctor`: what a bug report needs, and whether all that depfix needs works."""

from __future__ import annotations

import sys

import click

from depfix.cli.exits import CLEAN, FINDINGS
from depfix.cli.options import format_option
from depfix.cli.terminal import hint, print_lines, print_text
from depfix.wording.speech import say


@click.command()
@format_option
def doctor(form: str) -> None:
    """Print what a bug report needs to say of this machine, and check that depfix can work on it.

    The home folder is written ~, and of the environment variables only a few named ones are told: look it through, and
    paste it. Exit codes: 0 everything works, 1 something does not.
    """
    from depfix.api.doctoring import doctor as examine
    from depfix.reports.doctor import doctor_json, doctor_lines

    found = examine()
    if form == "json":
        print_text(doctor_json(found))
    else:
        print_lines(doctor_lines(found), wrap=False)
        hint(say("`depfix doctor --format json` is the same for a program"))
    sys.exit(CLEAN if found.is_well else FINDINGS)
