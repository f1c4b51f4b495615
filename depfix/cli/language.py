"""`--lang`: the language of what is printed, before the command or behind it."""

from __future__ import annotations

import os
import sys

import click

from depfix.wording.catalogue import LANGUAGES
from depfix.wording.choice import OPTION, asked_language, language_named, system_language
from depfix.wording.message import phrase
from depfix.wording.speech import say, set_language


def choose_language() -> None:
    """Speak the language that the command line or DEPFIX_LANG asks for, else that of the system.

    To be called before click reads the command line: help and errors are in that language, too.
    """
    asked = asked_language(sys.argv[1:], os.environ)
    set_language(asked or system_language(os.environ), asked=bool(asked))


def with_language(command: click.Command) -> click.Command:
    """Add the option to a command. What it says is known already: click only has to know that it is one."""
    if not any(isinstance(one, click.Option) and OPTION in one.opts for one in command.params):
        command.params.append(
            click.Option(
                [OPTION],
                metavar="LANG",
                expose_value=False,
                callback=_checked,
                help=phrase("The language of messages, en or zh. Default: DEPFIX_LANG, else that of the system."),
            )
        )
    return command


def _checked(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None and not language_named(value):
        raise click.BadParameter(say("there are {names}", names=", ".join(LANGUAGES)))
