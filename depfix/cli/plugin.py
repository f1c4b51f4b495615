"""`depfix nuitka-plugin`: where the plugin for Nuitka lies."""

from __future__ import annotations

import os

import click

import depfix


@click.command("nuitka-plugin")
def nuitka_plugin() -> None:
    """Print the path of depfix's plugin for Nuitka, which scans or repairs what Nuitka builds.

    \b
    nuitka --standalone --user-plugin="$(depfix nuitka-plugin)" app.py
    nuitka --standalone --user-plugin="$(depfix nuitka-plugin)" --depfix-repair --depfix-fail-on=error app.py
    """
    click.echo(os.path.join(os.path.dirname(os.path.abspath(depfix.__file__)), "integrations", "nuitka_plugin.py"))
