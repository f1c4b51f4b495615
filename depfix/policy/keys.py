"""The keys of a policy file: what each takes, and how its value is read."""

from __future__ import annotations

import difflib
import ntpath
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import partial

from depfix.errors import DepfixError
from depfix.knowledge.rules import rule, rules
from depfix.knowledge.targets import target_named
from depfix.policy.globs import is_glob, matches
from depfix.wording.message import phrase

FAIL_ON = ("error", "warning", "never")
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_WITH_FOLDER = ("venv", "python", "dir", "wheels", "conda")

Reader = Callable[[object, str], object]


class RefusedError(ValueError):
    """A value that a key does not take; its text says why."""


def near(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for a name that is nearly one of those known, else an empty string."""
    found = difflib.get_close_matches(name.lower().replace("_", "-"), list(known), n=1)
    return phrase(" (did you mean {found}?)", found=found[0]) if found else ""


def read_text(value: object, _folder: str) -> str:
    """Return a text that is not empty. Raises RefusedError."""
    if not isinstance(value, str) or not value.strip():
        raise RefusedError(phrase("takes a text, not {shown}", shown=_shown(value)))
    return value


def read_texts(value: object, folder: str) -> tuple[str, ...]:
    """Return a list of texts; one text is a list of one. Raises RefusedError."""
    if isinstance(value, list):
        return tuple(read_text(one, folder) for one in value)
    if isinstance(value, str):
        return (read_text(value, folder),)
    raise RefusedError(phrase("takes a list of texts, not {shown}", shown=_shown(value)))


def read_rules(value: object, folder: str) -> tuple[str, ...]:
    """Return the codes of rules that are named by code, by name or by a glob of codes. Raises RefusedError."""
    return tuple(dict.fromkeys(code for name in read_texts(value, folder) for code in _codes(name)))


def read_day(value: object, _folder: str) -> date:
    """Return a day that is a date of TOML, or a text such as 2026-12-31. Raises RefusedError."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == len("2026-12-31"):
            return date.fromisoformat(value)
    except ValueError as error:
        raise RefusedError(
            phrase("takes a day such as 2026-12-31, not {shown} ({error})", shown=_shown(value), error=error)
        ) from error
    raise RefusedError(phrase("takes a day such as 2026-12-31, not {shown}", shown=_shown(value)))


def read_size(value: object, _folder: str) -> int:
    """Return bytes: a number of them, or a text with a unit such as "350 MB" or "1.5 GiB". Raises RefusedError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = _UNITS.get(found[2].lower() or "b") if found is not None else None
    if found is None or unit is None:
        raise RefusedError(
            phrase('takes bytes, or a text such as "350 MB" or "1.5 GiB", not {shown}', shown=_shown(value))
        )
    return round(float(found[1]) * unit)


def read_count(value: object, _folder: str) -> int:
    """Return a number that is not negative. Raises RefusedError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RefusedError(phrase("takes a number, not {shown}", shown=_shown(value)))
    return value


def read_path(value: object, folder: str) -> str:
    """Return a path; one that is relative starts at the folder of the policy file. Raises RefusedError."""
    return placed(read_text(value, folder), folder)


def placed(path: str, folder: str = "") -> str:
    """Return a path, relative to a folder perhaps, as it holds here: short if it is below the current directory."""
    if ntpath.isabs(path) and not os.path.isabs(path):
        return path  # of Windows, read elsewhere
    full = os.path.abspath(os.path.join(folder, os.path.expanduser(path)))
    try:
        short = os.path.relpath(full)
    except ValueError:  # another drive
        return full
    return full if short.startswith(os.pardir) else short


def _read_paths(value: object, folder: str) -> tuple[str, ...]:
    return tuple(placed(one, folder) for one in read_texts(value, folder))


def _read_environments(value: object, folder: str) -> tuple[str, ...]:
    return tuple(_environment(spec, folder) for spec in read_texts(value, folder))


def _environment(spec: str, folder: str) -> str:
    scheme, colon, value = spec.partition(":")
    if not colon or scheme not in _WITH_FOLDER or (scheme == "conda" and not {"/", "\\"} & set(value)):
        return spec  # a name, or of a kind that an extension brings
    return f"{scheme}:{placed(value, folder)}" if value else spec


def _read_target(value: object, folder: str) -> str:
    try:
        return target_named(read_text(value, folder)).name
    except DepfixError as error:
        raise RefusedError(phrase("names {told}", told=_told(error))) from error


def _read_formats(value: object, folder: str) -> tuple[str, ...]:
    from depfix.reports.forms import form_names

    names = read_texts(value, folder)
    for name in names:
        if name not in form_names():
            raise RefusedError(phrase("names no such format: {name}{near}", name=name, near=near(name, form_names())))
    return names


def _read_choice(value: object, folder: str, choices: tuple[str, ...]) -> str:
    text = read_text(value, folder)
    if text not in choices:
        raise RefusedError(
            phrase(
                "is one of {choices}, not {shown}{near}",
                choices=", ".join(choices),
                shown=_shown(value),
                near=near(text, choices),
            )
        )
    return text


def _codes(name: str) -> tuple[str, ...]:
    try:
        if not is_glob(name):
            return (rule(name).code,)
    except DepfixError as error:
        raise RefusedError(phrase("names {told}", told=_told(error))) from error
    found = tuple(one.code for one in rules() if matches(name, one.code))
    if not found:
        raise RefusedError(phrase("names no rule: {name}", name=name))
    return found


def _told(error: DepfixError) -> str:
    return phrase("{error} ({hint})", error=error, hint=error.hint) if error.hint else str(error)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return phrase("a table")
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else phrase("a list") if isinstance(value, list) else str(value)


# what a dist can have of its own, and of the whole file
KEYS: Mapping[str, Reader] = {
    "target": _read_target,
    "entry": _read_paths,
    "env": _read_environments,
    "project-dir": read_path,
    "report": read_path,
    "select": read_rules,
    "ignore": read_rules,
    "fail-on": partial(_read_choice, choices=FAIL_ON),
    "formats": _read_formats,
    "baseline": read_path,
    "allow-dlls": read_texts,
    "forbid-dlls": read_texts,
    "allow-licences": read_texts,
    "forbid-licences": read_texts,
    "require-signature": read_texts,
}
FILE_KEYS: Mapping[str, Reader] = {**KEYS, "output-dir": read_path}
TABLES = ("accept", "budgets", "dist")
BUDGETS: Mapping[str, Reader] = {"max-size": read_size, "max-files": read_count}
ACCEPTANCE: Mapping[str, Reader] = {
    "rule": read_rules,
    "subject": read_texts,
    "path": read_texts,
    "reason": read_text,
    "expires": read_day,
}
