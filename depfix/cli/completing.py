"""What a shell offers for the values of options: environments, rules, targets, formats, files.

The functions are called by click while somebody types, so they never fail, and import late.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MOST_FOLDERS = 5_000
_MOST_NAMES = 200
Complete: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"


def _offer(values: Callable[[str], Iterable[tuple[str, str]]]) -> Complete:
    """Make what click calls of a function that gives (value, help) for what was typed so far."""

    @wraps(values)
    def complete(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [CompletionItem(value, help=words or None) for value, words in values(typed)]
        except Exception:  # who types wants no traceback between the words
            return []

    return complete


@_offer
def complete_environments(typed: str) -> Iterator[tuple[str, str]]:
    """Yield the environments of this machine, the kinds, and the folders below a path that was begun."""
    from depfix.api.machine import environment_schemes, environments

    scheme, colon, value = typed.partition(":")
    if colon and (scheme != "conda" or "/" in value or os.sep in value):
        yield from ((f"{scheme}:{folder}", "") for folder in _folders(value))
        return
    specs = environments().fitting
    starts = [] if colon else [f"{name}:" for name in environment_schemes()]
    yield from ((spec, "") for spec in dict.fromkeys([*specs, *starts]) if spec.startswith(typed))


@_offer
def complete_rules(typed: str) -> Iterator[tuple[str, str]]:
    """Yield codes of rules, or names where a name was begun."""
    from depfix.api.machine import rules

    for rule in rules():
        if rule.code.startswith(typed.upper()):
            yield rule.code, f"{rule.name}: {rule.summary}"
        elif typed and rule.name.startswith(typed.lower()):
            yield rule.name, f"{rule.code}: {rule.summary}"


@_offer
def complete_languages(typed: str) -> Iterator[tuple[str, str]]:
    """Yield the languages that depfix speaks."""
    from depfix.wording.catalogue import LANGUAGES

    yield from ((code, "") for code in LANGUAGES if code.startswith(typed))


@_offer
def complete_targets(typed: str) -> Iterator[tuple[str, str]]:
    """Yield the names of targets, with those of machines where a name is whole."""
    from depfix.api.machine import targets

    for name, target in targets().items():
        if name.startswith(typed):
            yield name, target.words
        elif typed.startswith(f"{name}-"):
            names = (f"{name}-{machine.value}" for machine in target.machines)
            yield from ((each, target.words) for each in names if each.startswith(typed))


@_offer
def complete_formats(typed: str) -> Iterator[tuple[str, str]]:
    """Yield the names of formats, those of extensions too."""
    from depfix.reports.forms import form_names

    yield from ((name, "") for name in form_names() if name.startswith(typed))


def complete_libraries(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the DLLs and extension modules of the dist that was typed before."""
    from click.shell_completion import CompletionItem

    names = _file_names(_dist(context), (".dll", ".pyd"))
    return [CompletionItem(name) for name in names if name.lower().startswith(typed.lower())][:_MOST_NAMES]


def complete_programs(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer the programs of the dist that was typed before."""
    from click.shell_completion import CompletionItem

    names = _file_names(_dist(context), (".exe",), most_folders=1)
    return [CompletionItem(name) for name in names if name.lower().startswith(typed.lower())]


def complete_files(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell offer files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def complete_folders(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell offer folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="dir")]


def _dist(context: click.Context) -> str:
    """Return the dist that was typed before; where an option waits for its value, click has not sorted it in yet."""
    folders = (word for word in context.args if os.path.isdir(word))
    return str(context.params.get("dist") or next(folders, ""))


def _file_names(folder: str, suffixes: tuple[str, ...], most_folders: int = _MOST_FOLDERS) -> list[str]:
    """Return the base names of files below a folder that end so, each once."""
    found: set[str] = set()
    for _, (_, _, files) in zip(range(most_folders), os.walk(folder), strict=False):
        found.update(name for name in files if name.lower().endswith(suffixes))
    return sorted(found)


def _folders(typed: str) -> Iterator[str]:
    """Yield the folders that a path may go on with, each with a separator at its end."""
    above, _ = os.path.split(typed)
    with os.scandir(os.path.expanduser(above) or ".") as found:
        names = sorted(entry.name for entry in found if entry.is_dir())
    separator = "/" if "/" in typed else os.sep
    start = typed[: len(above)].rstrip("/\\") + separator if above else ""
    for name in names:
        folder = f"{start}{name}{separator}"
        if folder.startswith(typed) and (typed.endswith(separator) or not name.startswith(".")):
            yield folder
