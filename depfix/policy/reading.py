"""Reads the policy file: `depfix.toml`, or `[tool.depfix]` of `pyproject.toml`. All that is wrong is told at once.

Source: TOML 1.0.0 https://toml.io/en/v1.0.0 ; PyPA specifications, "pyproject.toml specification", the [tool] table
https://packaging.python.org/en/latest/specifications/pyproject-toml/
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from glob import escape
from pathlib import Path as FilePath

from depfix.policy.errors import PolicyError
from depfix.policy.globs import is_glob
from depfix.policy.keys import (
    ACCEPTANCE,
    BUDGETS,
    FILE_KEYS,
    KEYS,
    TABLES,
    Reader,
    RefusedError,
    near,
    placed,
    read_size,
    read_text,
)
from depfix.policy.lines import Lines, Path
from depfix.policy.values import Acceptance, Budgets, DistSection, PolicyFile, Setting
from depfix.wording.message import phrase, small_system_words

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = ("depfix.toml", "pyproject.toml")
_PROJECT = "pyproject.toml"
# A name of so many parts that its tables in tables would take minutes to make.
_DEEP = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""")
_PLACE = re.compile(r"\s*\(at line (\d+), column \d+\)")


def find_policy(start: str) -> PolicyFile | None:
    """Return the nearest policy, of this folder or one above it; None if there is none. Raises PolicyError.

    A `pyproject.toml` counts if it has a table [tool.depfix].
    """
    for folder in (FilePath(start).absolute(), *FilePath(start).absolute().parents):
        for name in NAMES:
            path = folder / name
            if path.is_file() and (name != _PROJECT or _is_ours(path)):
                return read_policy(str(path))
    return None


def read_policy(path: str) -> PolicyFile:
    """Return what the policy file at `path` says. Raises PolicyError with all that is wrong with it."""
    path = placed(path)
    text = _text(path)
    try:
        content = _parsed(text)
    except ValueError as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found is not None else 0
        raise PolicyError(path, ((line, phrase("it is no TOML: {sub}", sub=_PLACE.sub("", str(error)))),)) from error
    prefix, table = _table(path, content)
    return _Reading(path, text, prefix).read(table)


def _parsed(text: str) -> dict[str, object]:
    """Return what a text in TOML says. Raises ValueError, with words for it, if it is none, or nested too deeply."""
    if _DEEP.search(text):
        raise ValueError(phrase("a name has more than 100 parts"))
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(phrase("it is nested too deeply")) from error


def _text(path: str) -> str:
    try:
        return FilePath(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError(path, ((0, phrase("it is not UTF-8")),)) from error
    except OSError as error:
        raise PolicyError(path, ((0, phrase("cannot read it: {error}", error=small_system_words(error))),)) from error


def _is_ours(path: FilePath) -> bool:
    """Return True if a pyproject.toml speaks to depfix. One that cannot be parsed does if it looks as if it did."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    try:
        tool = _parsed(text).get("tool")
    except ValueError:
        return "[tool.depfix" in text
    return isinstance(tool, dict) and "depfix" in tool


def _table(path: str, content: dict[str, object]) -> tuple[Path, Mapping[str, object]]:
    """Return (path of the table, table) with the policy: [tool.depfix], or in a file of its own all of it."""
    tool = content.get("tool")
    found = tool.get("depfix") if isinstance(tool, dict) else None
    if isinstance(found, dict):
        others = [key for key in content if key != "tool"]
        if os.path.basename(path) != _PROJECT and others:
            raise PolicyError(path, ((0, phrase("{other} stands outside of [tool.depfix]", other=others[0])),))
        return ("tool", "depfix"), found
    if os.path.basename(path) == _PROJECT or found is not None:
        raise PolicyError(path, ((0, phrase("it has no table [tool.depfix]")),))
    return (), content


class _Reading:
    """One pass over a policy file, which gathers what is wrong with it."""

    def __init__(self, path: str, text: str, prefix: Path) -> None:
        self._path = path
        self._folder = os.path.dirname(os.path.abspath(path))
        self._prefix = prefix
        self._lines = Lines(text)
        self._problems: list[tuple[int, str]] = []

    def read(self, table: Mapping[str, object]) -> PolicyFile:
        """Return what the table says. Raises PolicyError."""
        settings = self._settings(table, FILE_KEYS, TABLES, ())
        dists = []
        for index, section in self._tables(table, "dist"):
            path = self._value(section, "path", _read_dist, ("dist", index))
            if path is None:
                self._refuse(
                    ("dist", index), phrase("{array} needs a path: the folder that it is of", array=self._array("dist"))
                )
            rest = {key: value for key, value in section.items() if key != "path"}
            own = self._settings(rest, KEYS, TABLES[:-1], ("dist", index))
            dists.append(DistSection(str(path), own))
        if self._problems:
            raise PolicyError(self._path, tuple(sorted(dict.fromkeys(self._problems))))
        return PolicyFile(self._path, self._folder, settings, tuple(dists))

    def _settings(
        self, table: Mapping[str, object], keys: Mapping[str, Reader], tables: tuple[str, ...], at: Path
    ) -> dict[str, Setting]:
        self._refuse_unknown(table, (*keys, *tables), at)
        found = {}
        for key, reader in keys.items():
            value = self._value(table, key, reader, at)
            if value is not None:
                found[key] = Setting(value, self._origin((*at, key)))
        if "budgets" in table:
            found["budgets"] = Setting(
                self._budgets(table["budgets"], (*at, "budgets")), self._origin((*at, "budgets"))
            )
        accepted = tuple(
            self._acceptance(row, (*at, "accept", index)) for index, row in self._tables(table, "accept", at)
        )
        if accepted:
            found["accept"] = Setting(accepted, self._origin((*at, "accept", 0)))
        return found

    def _acceptance(self, table: Mapping[str, object], at: Path) -> Acceptance:
        self._refuse_unknown(table, ACCEPTANCE, at)
        read = {key: self._value(table, key, reader, at) for key, reader in ACCEPTANCE.items()}
        if not {"rule", "subject", "path"} & table.keys():
            self._refuse(
                at,
                phrase(
                    "{array} needs a rule, a subject or a path: it would accept everything", array=self._array("accept")
                ),
            )
        if "reason" not in table:
            self._refuse(at, phrase("{array} needs a reason", array=self._array("accept")))
        chosen = {f"{key}s": read[key] or () for key in ("rule", "subject", "path")}
        more = {"expires": read["expires"], "place": self._path, "line": self._line(at)}
        return Acceptance(str(read["reason"]), **chosen, **more)  # type: ignore[arg-type]

    def _budgets(self, table: object, at: Path) -> Budgets:
        if not isinstance(table, dict):
            self._refuse(at, phrase("budgets is a table"))
            return Budgets()
        self._refuse_unknown(table, (*BUDGETS, "components"), at)
        size, files = (self._value(table, key, reader, at) for key, reader in BUDGETS.items())
        parts = table.get("components", {})
        if not isinstance(parts, dict):
            self._refuse((*at, "components"), phrase("components is a table of names, each with a size"))
            parts = {}
        sizes = {name: self._value(parts, name, read_size, (*at, "components")) for name in parts}
        limits = tuple((name, value) for name, value in sizes.items() if isinstance(value, int))
        return Budgets(size if isinstance(size, int) else None, files if isinstance(files, int) else None, limits)

    def _tables(self, table: Mapping[str, object], key: str, at: Path = ()) -> list[tuple[int, Mapping[str, object]]]:
        """Return (index, table) of an array of tables."""
        rows = table.get(key, [])
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
            return list(enumerate(rows))
        self._refuse((*at, key), phrase("{key} is written as {array}, once for each", key=key, array=self._array(key)))
        return []

    def _array(self, key: str) -> str:
        return f"[[{'.'.join((*map(str, self._prefix), key))}]]"

    def _value(self, table: Mapping[str, object], key: str, reader: Reader | Callable[..., object], at: Path) -> object:
        if key not in table:
            return None
        problems = self._problems_of(table[key], reader)
        for words in problems:
            self._refuse((*at, key), phrase("{key} {words}", key=key, words=words))
        return None if problems else reader(table[key], self._folder)

    def _problems_of(self, value: object, reader: Reader | Callable[..., object]) -> list[str]:
        """Return what a reader objects to in a value, in a list to each of its parts."""
        try:
            reader(value, self._folder)
        except RefusedError as error:
            each = value if isinstance(value, list) else []
            parts = [words for one in each for words in self._problems_of(one, reader)]
            return parts or [str(error)]
        return []

    def _refuse_unknown(
        self, table: Mapping[str, object], known: Mapping[str, Reader] | tuple[str, ...], at: Path
    ) -> None:
        for key in table:
            if key in FILE_KEYS and key not in known and at[:1] == ("dist",):
                self._refuse((*at, key), phrase("{key} is of the whole file, not of one dist", key=key))
            elif key not in known:
                self._refuse((*at, key), phrase("unknown key {key}{near}", key=key, near=near(key, known)))

    def _refuse(self, at: Path, words: str) -> None:
        self._problems.append((self._line(at), words))

    def _line(self, at: Path) -> int:
        return self._lines.line((*self._prefix, *at))

    def _origin(self, at: Path) -> str:
        line = self._line(at)
        return f"{self._path}:{line}" if line else self._path


def _read_dist(value: object, folder: str) -> str:
    """Return the full path, or glob of paths, of a dist."""
    text, root = read_text(value, folder), os.path.realpath(folder)
    return os.path.join(escape(root), text) if is_glob(text) else os.path.realpath(os.path.join(root, text))
