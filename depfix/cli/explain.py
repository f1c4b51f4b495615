"""`depfix explain`: what a rule means."""

from __future__ import annotations

import click

from depfix.cli.completing import complete_rules
from depfix.cli.terminal import print_lines


@click.command()
@click.argument("name", required=False, default="", shell_complete=complete_rules)
def explain(name: str) -> None:
    """Explain a rule (DF101 or missing-dll): why it breaks, how it is fixed. Without a name, list the rules."""
    from depfix.reports.rules import explanation_lines, rule_lines

    print_lines(explanation_lines(name) if name else rule_lines())
