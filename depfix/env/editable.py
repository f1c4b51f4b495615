"""Where the code of an editable installation lies: what its .pth files and finders name, read and never run.

Sources: PEP 660 https://peps.python.org/pep-0660/ and setuptools documentation, "Development Mode"
https://setuptools.pypa.io/en/latest/userguide/development_mode.html; the finders of setuptools hold a table
`MAPPING: dict[str, str]`, those of the package `editables` calls of `map_module`.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator

from depfix.env.listing import entries, folder_inside, host_path, inside, is_absolute, named_path
from depfix.env.packages import Installed
from depfix.env.records import path_lines, read_text
from depfix.model.names import fold

_FINDER = re.compile(r"__editable__\w+_finder\.py|_editable_impl_\w+\.py")
_MAPPING = re.compile(r"^MAPPING(?:: dict\[str, str\]| *: *Dict\[str, str\])? *= *(\{[^\n]*\})", re.MULTILINE)
_CALL = re.compile(r"^F\.map_module(\([^\n]*\))", re.MULTILINE)
_LONGEST_TABLE = 1 << 20
_NO_PACKAGES = frozenset({"test", "tests", "docs", "examples", "build", "dist"})


def finder_modules(site: str, names: Iterable[str]) -> dict[str, str]:
    """Return {module name: its folder or file on this host} of those files in a folder that are editable finders."""
    found: dict[str, str] = {}
    for name in names:
        if _FINDER.fullmatch(fold(name)):
            for module, path in _table(read_text(inside(site, name) or "")):
                place = host_path(path)
                if place and os.path.basename(place) == "__init__.py":
                    place = os.path.dirname(place)
                if place:
                    found[module] = place
    return found


def folder_above(module: str, path: str) -> str:
    """Return the folder that would have to be on sys.path for a module to be found at its place; empty if none."""
    for name in reversed(module.split(".")):
        path, last = os.path.split(path)
        if os.path.splitext(last)[0] != name:
            return ""
    return path


def editable_sources(one: Installed) -> tuple[str, ...]:
    """Return the folders of packages, and the single modules, that an editable installation leads to."""
    top = [path for path in one.recorded or () if "/" not in path]
    found = dict.fromkeys(finder_modules(one.site, top).values())
    for path in top:
        if fold(path).endswith(".pth"):
            for line in path_lines(read_text(inside(one.site, path) or "")):
                folder = named_path(one.site, line) if is_absolute(line) else ""
                if folder and os.path.isdir(folder):
                    found.update(dict.fromkeys(_packages_in(folder, one)))
    return tuple(found)


def _packages_in(folder: str, one: Installed) -> Iterator[str]:
    """Yield the packages and modules of a distribution in a folder: by its top_level.txt, its name, else all."""
    names = one.named_top_level
    if not names:
        listed = entries(folder)
        packages = [name for name, path in sorted(listed.items()) if inside(path, "__init__.py")]
        own = [name for name in (*packages, *listed) if name.removesuffix(".py").replace("_", "-") == one.key]
        names = tuple(own[:1]) or tuple(name for name in packages if name not in _NO_PACKAGES)
    for name in names:
        path = folder_inside(folder, name) or inside(folder, name) or inside(folder, f"{name}.py")
        if path:
            yield path


def _table(text: str) -> Iterator[tuple[str, str]]:
    written = [match[1] for match in (*_MAPPING.finditer(text), *_CALL.finditer(text))]
    for literal in written:
        try:
            value = ast.literal_eval(literal) if len(literal) < _LONGEST_TABLE else ()
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            continue
        for pair in value.items() if isinstance(value, dict) else (value,):
            if isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
                yield pair
