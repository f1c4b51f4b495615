"""Import statements of a source by a glance at its text: quick, and neither complete nor exact.

What is found is read ahead; what a source really imports, the reader says. A line in a docstring that looks like an
import costs time, one that is overlooked is read when it is reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_STATEMENT = re.compile(
    rb"^([ \t]*)(?:from[ \t]+((?:\.[ \t]*)*)((?:\w[\w.]*)?)[ \t]+import\b[ \t]*(\([^)]*\)|(?:\\\r?\n|[^\n#;\\])*)"
    rb"|import[ \t]+((?:\\\r?\n|[^\n#;\\])+))",
    re.MULTILINE,
)
_COMMENT = re.compile(rb"#[^\n]*")
_NAME = re.compile(rb"[\w.]+")


def skim(data: bytes, package: str) -> Iterator[tuple[str, bool]]:
    """Yield (the dotted name of what may be a module, whether its import stands at the margin) of a source.

    `package` is the module itself if it is a package, else the package that it is in.
    """
    for match in _STATEMENT.finditer(data):
        margin, dots, module, names, plain = match.groups()
        at_margin = not margin
        if plain is not None:
            yield from ((name, at_margin) for name in _names(plain))
            continue
        base = _base(package, dots.count(b"."), module.decode("utf-8", "replace"))
        if base:
            yield base, at_margin
            yield from ((f"{base}.{name}", at_margin) for name in _names(names))


def _base(package: str, level: int, module: str) -> str:
    if not level:
        return module
    parts = package.split(".")
    kept = parts[: len(parts) - level + 1]
    return ".".join([*kept, module] if module else kept) if kept else ""


def _names(text: bytes) -> Iterator[str]:
    """Yield the names of a list such as `a, b as c`, without what they are called here."""
    for row in _COMMENT.sub(b"", text).split(b","):
        name = _NAME.search(row)
        if name is not None:
            yield name[0].decode("utf-8", "replace")
