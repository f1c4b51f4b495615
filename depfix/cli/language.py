"""`--lang`: the language of what is printed, before the command or behind it; help in that language."""

from __future__ import annotations

import gettext
import os
import sys
from collections.abc import Iterable
from inspect import cleandoc

import click

from depfix.cli.completing import complete_languages
from depfix.cli.wrapping import wrapped
from depfix.model.shown import cells
from depfix.wording.catalogue import DOMAIN, ENGLISH, FOLDER, LANGUAGES, LOCALES
from depfix.wording.choice import OPTION, asked_language, language_named, system_language
from depfix.wording.message import phrase, several, tabled
from depfix.wording.speech import language, said, say, set_language

# What click itself says where depfix uses it; click looks it up by gettext.
_OF_CLICK = (
    phrase("Usage:"),
    phrase("Options"),
    phrase("Commands"),
    phrase("Aborted!"),
    phrase("Error: {message}"),
    phrase("Error: invalid input"),
    phrase("Invalid value: {message}"),
    phrase("Invalid value for {param_hint}: {message}"),
    phrase("Missing argument"),
    phrase("Missing option"),
    phrase("Missing command."),
    phrase("Missing {param_type}"),
    phrase("No such command {name!r}."),
    phrase("No such option {name!r}."),
    phrase("Option {name!r} does not take a value."),
    phrase("Show this message and exit."),
    phrase("Try '{command} {option}' for help."),
    phrase("default: {default}"),
    phrase("{value!r} is not a valid {number_type}."),
    phrase("{value} is not in the range {range}."),
    several("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    several("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    several("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    several("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)


def choose_language() -> None:
    """Speak the language that the command line or DEPFIX_LANG asks for, else that of the system.

    To be called before click reads the command line: help and errors are in that language, too.
    """
    asked = asked_language(sys.argv[1:], os.environ)
    set_language(asked or system_language(os.environ), asked=bool(asked))
    if language() != ENGLISH:
        # Source: gettext, "GNU gettext API" https://docs.python.org/3/library/gettext.html#gnu-gettext-api
        os.environ["LANGUAGE"] = LOCALES[language()]
        gettext.bindtextdomain(DOMAIN, FOLDER)
        gettext.textdomain(DOMAIN)


def without_language(words: list[str]) -> list[str]:
    """Return the words of a command line without the option at their beginning: it is heeded already."""
    first, *others = words or [""]
    if first == OPTION and others and language_named(others[0]):
        return without_language(others[1:])
    if first.startswith(f"{OPTION}=") and language_named(first[len(OPTION) + 1 :]):
        return without_language(others)
    return words


def with_language(command: click.Command) -> click.Command:
    """Add the option to a command, and put its help into the language of the moment.

    What the option says is known already: click only has to know that it is one.
    """
    if not any(isinstance(one, click.Option) and OPTION in one.opts for one in command.params):
        command.params.append(_language_option())
    if language() != ENGLISH:
        _translate(command)
    return command


def _language_option() -> click.Option:
    words = phrase("The language of messages, en or zh. Default: DEPFIX_LANG, else that of the system.")
    return click.Option(
        [OPTION],
        metavar="LANG",
        expose_value=False,
        callback=_checked,
        shell_complete=complete_languages,
        help=words,
    )


def _checked(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None and not language_named(value):
        raise click.BadParameter(say("there are {names}", names=", ".join(LANGUAGES)))


def _translate(command: click.Command) -> None:
    command.context_class = _Context
    if command.help:
        command.help = said(tabled(cleandoc(command.help)))
        command.short_help = command.help.partition("\n")[0].partition("。")[0]
    for one in command.params:
        if isinstance(one, click.Option) and one.help:
            one.help = said(tabled(one.help))
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_language(inner)


class _Formatter(click.HelpFormatter):
    """Lays help out for characters that take two cells of a terminal."""

    def write_text(self, text: str) -> None:
        """Write paragraphs; one that begins with a backspace character keeps its lines."""
        room = max(self.width - self.current_indent, 11)
        for number, paragraph in enumerate(text.split("\n\n")):
            lines = paragraph.strip("\n").split("\n")
            kept = lines[1:] if lines[0] == "\b" else wrapped("", " ".join(line.strip() for line in lines), room)
            self.write("\n" if number else "", *(f"{' ' * self.current_indent}{line}\n" for line in kept))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms, and what they mean in a second column."""
        rows = list(rows)
        first = min(max(cells(term) for term, _ in rows), col_max) + col_spacing
        margin = " " * self.current_indent
        for term, words in rows:
            lines = wrapped("", words, max(self.width - first - self.current_indent, 10)) if words else []
            beside = lines and cells(term) <= first - col_spacing
            self.write(
                f"{margin}{term}{' ' * (first - cells(term))}{lines.pop(0)}\n" if beside else f"{margin}{term}\n"
            )
            self.write(*(f"{margin}{' ' * first}{line}\n" for line in lines))

    def write(self, *texts: str) -> None:
        """Write texts one behind the other."""
        for text in texts:
            super().write(text)


class _Context(click.Context):
    formatter_class = _Formatter
