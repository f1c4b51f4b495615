"""`depfix nuitka-plugin`: where the plugin for Nuitka lies."""

from __future__ import annotations

import os

import click

import depfix
from depfix.errors import InputError
from depfix.wording.message import phrase


class NoPluginError(InputError):
    """This depfix is a program of its own, which Nuitka cannot import."""

    def __str__(self) -> str:
        return phrase("the plugin for Nuitka is not part of this program")

    @property
    def hint(self) -> str:
        """What to do next."""
        return phrase("pip install depfix, in the environment that Nuitka runs in, brings it")


@click.command("nuitka-plugin")
def nuitka_plugin() -> None:
    """Print the path of depfix's plugin for Nuitka, which scans or repairs what Nuitka builds.

    \b
    nuitka --standalone --user-plugin="$(depfix nuitka-plugin)" app.py
    nuitka --standalone --user-plugin="$(depfix nuitka-plugin)" --depfix-repair --depfix-fail-on=error app.py
    """
    place = os.path.join(os.path.dirname(os.path.abspath(depfix.__file__)), "integrations", "nuitka_plugin.py")
    if not os.path.isfile(place):
        raise NoPluginError
    click.echo(place)
