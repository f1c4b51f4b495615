"""Command lines that are nearly right: what was meant is done where that is plain and safe, else said."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

import click

from depfix.cli.terminal import hint, tell
from depfix.errors import DepfixError, InputError
from depfix.model.shell import quoted
from depfix.wording.message import phrase
from depfix.wording.speech import say

# {what people type who know other tools: the command}
_OTHER_WORDS = {
    "check": "scan",
    "analyse": "scan",
    "analyze": "scan",
    "list": "scan",
    "fix": "repair",
    "copy": "repair",
    "install": "repair",
    "restore": "undo",
    "revert": "undo",
    "rollback": "undo",
    "run": "verify",
    "test": "verify",
    "start": "verify",
    "env": "envs",
    "environments": "envs",
    "graph": "tree",
    "deps": "tree",
    "compare": "diff",
    "rule": "explain",
    "rules": "explain",
    "info": "doctor",
}
_ASKS_HELP, _ASKS_VERSION = ("help", "/?", "-?"), ("version", "-V")


class UnknownCommandError(InputError):
    """The first word is neither a command nor a path; `near` is a whole command that may have been meant."""

    def __init__(self, word: str, near: str) -> None:
        super().__init__(word, near)
        self.word, self.near = word, near

    def __str__(self) -> str:
        return phrase("no such command: {word}", word=self.word)

    @property
    def hint(self) -> str:
        return (
            phrase("did you mean depfix {near}?", near=self.near)
            if self.near
            else phrase("`depfix --help` lists the commands")
        )


def understood(words: Sequence[str], commands: Sequence[str]) -> list[str]:
    """Return the words in the order in which depfix takes them, if the first is no command. Raises UnknownCommandError.

    A path first and then a command is turned round; a path alone is scanned, which changes nothing.
    """
    first, *others = words
    if first in _ASKS_HELP:
        return [*others[:1], "--help"]
    if first in _ASKS_VERSION:
        return ["--version"]
    if not _is_path(first):
        raise UnknownCommandError(first, _meant(first, commands))
    before = ("", *others)
    at = next((at for at, word in enumerate(others) if word in commands and not before[at].startswith("-")), None)
    several = [word for word in words if os.path.isdir(word)]
    if at is None and len(several) > 1:
        raise UnknownCommandError(first, f"audit {' '.join(map(quoted, several))}")
    found = ["scan", *words] if at is None else [others[at], first, *others[:at], *others[at + 1 :]]
    tell(" " + say("taken as: depfix {found}", found=" ".join(map(quoted, found))), "note:", "cyan")
    return found


def _is_path(word: str) -> bool:
    return os.path.exists(word) or word.lower().endswith((".dist", ".exe")) or "/" in word or "\\" in word


def _meant(word: str, commands: Sequence[str]) -> str:
    """Return the command that a word may stand for, an empty string if none is near."""
    known = {**{name: name for name in commands}, **_OTHER_WORDS}
    near = difflib.get_close_matches(word.lower(), known, n=1)
    if near:
        return known[near[0]]
    from depfix.api.machine import explain

    try:
        return f"explain {explain(word).code}"
    except DepfixError:
        return ""


def usage_hint(error: click.ClickException) -> None:
    """Say what to type instead of a command line that click has refused, where that can be told."""
    context = getattr(error, "ctx", None)
    is_at_top = context is not None and context.parent is None
    if isinstance(error, click.NoSuchOption) and is_at_top and not error.possibilities:
        hint(
            say(
                "options stand behind the command: depfix scan main.dist {option_name} ...",
                option_name=error.option_name,
            )
        )
    elif isinstance(error, click.MissingParameter) and getattr(error.param, "name", "") == "dist":
        from depfix.api.locating import dists_in

        found = dists_in()
        command = context.info_name if context is not None else "scan"
        if found:
            hint(f"depfix {command} {quoted(found[0].path)}")


def in_order(dist: str, name: str) -> tuple[str, str]:
    """Return a dist and the name of something in it, turned round if they were given the other way."""
    if os.path.isdir(name) and not os.path.isdir(dist):
        tell(" " + say("taken as: {name} {dist}", name=quoted(name), dist=quoted(dist)), "note:", "cyan")
        return name, dist
    return dist, name
