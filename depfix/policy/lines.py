"""Where the keys of a TOML file stand. The parser does not tell; this looks for them line by line, and may not know."""

from __future__ import annotations

import re
from collections.abc import Iterator

Path = tuple["str | int", ...]

_PART = r"(?:[\w-]+|\"[^\"]*\"|'[^']*')"
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME})\s*\]")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_EACH = re.compile(_PART)


class Lines:
    """Finds the line of a key by its path, such as ("tool", "depfix", "accept", 0, "rule")."""

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {}
        for path, number in _keys(text):
            self._found.setdefault(path, number)

    def line(self, path: Path) -> int:
        """Return the line of a key, else of the nearest table around it; 0 if nothing of it is known."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._found:
                return self._found[path[:end]]
        return 0


def _keys(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            table = _table(_parts(header[2]), counts, is_array=header[1] == "[[")
            yield table, number
            continue
        key = _KEY.match(line)
        if key is not None:
            parts = _parts(key[1])
            for end in range(1, len(parts) + 1):
                yield (*table, *parts[:end]), number


def _table(parts: Path, counts: dict[Path, int], *, is_array: bool) -> Path:
    """Return the path of a table, with the index of each array of tables that it is in; count it if it is a new one."""
    path: Path = ()
    for index, part in enumerate(parts):
        path = (*path, part)
        last = index == len(parts) - 1
        if last and is_array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(name: str) -> Path:
    return tuple(part.strip("\"'") for part in _EACH.findall(name))
