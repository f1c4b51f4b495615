"""The imports of a source that cannot be parsed: one for another version of Python, or a damaged one.

Lines are read one by one, so nothing is certain. Source: "Lexical analysis"
https://docs.python.org/3/reference/lexical_analysis.html
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from depfix.imports.uses import Absence, ImportUse, Where

_MOST_BYTES = 8 << 20
_NAME = r"[^\W\d]\w*"
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
# What no statement stands in: comments, and texts, of which those with three quotes may have lines.
_TEXTS = re.compile(
    r'#[^\n]*|"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\''
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'",
    re.DOTALL,
)
_JOINED = re.compile(r"\\\n|\([^()\n]*(?:\n[^()\n]*)+\)")  # lines that belong together
_IMPORT = re.compile(rf"import\s+({_DOTTED}(?:\s+as\s+{_NAME})?(?:\s*,\s*{_DOTTED}(?:\s+as\s+{_NAME})?)*)\s*(?:;|$)")
_FROM = re.compile(rf"from\s*((?:\.\s*)*)({_DOTTED})?\s*\bimport\s*(\*|\([^()]*\)|[^();]+)")
_EXCEPT = re.compile(r"except\b\s*\*?\s*([^:]*):")
_CAUGHT = re.compile(r"\b(ImportError|Exception|BaseException)\b")
_ABSENT = re.compile(r"\b(ModuleNotFoundError|ImportError|Exception|BaseException)\b")
_DEFINED = re.compile(rf"(?:async\s+)?(def|class)\s+({_NAME})")


@dataclass(slots=True)
class _Block:
    """A compound statement whose body is being read."""

    indent: int
    kind: str  # its first word
    name: str = ""
    first_use: int = 0
    closed_try: tuple[int, int] = field(default=(0, 0))  # the uses of the `try` that `except` belongs to


def read_tolerantly(data: bytes) -> tuple[ImportUse, ...]:
    """Return the import statements of a source that cannot be parsed, each as one that may run."""
    if len(data) > _MOST_BYTES:
        return ()
    reader = _Lines()
    for number, indent, line in _logical_lines(_decoded(data)):
        reader.read(number, indent, line)
    return tuple(dict.fromkeys(reader.uses))


def _decoded(data: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    except (SyntaxError, LookupError, ValueError):
        return data.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")


def _logical_lines(source: str) -> Iterator[tuple[int, int, str]]:
    """Yield (number, indentation, text) of lines; texts are emptied, joined lines stand in the first one."""
    emptied = _TEXTS.sub(_emptied, source)
    joined = _JOINED.sub(lambda found: found[0].replace("\\\n", "\0").replace("\n", "\0"), emptied)
    number = 1
    for line in joined.split("\n"):
        plain = line.replace("\0", " ").expandtabs(8).replace("\f", "")
        text = plain.strip()
        if text:
            yield number, len(plain) - len(plain.lstrip()), text
        number += 1 + line.count("\0")


def _emptied(found: re.Match[str]) -> str:
    return "" if found[0].startswith("#") else "''" + "\n" * found[0].count("\n")


class _Lines:
    """Gathers import statements line by line, with the blocks around them."""

    def __init__(self) -> None:
        self.uses: list[ImportUse] = []
        self._blocks: list[_Block] = []

    def read(self, number: int, indent: int, line: str) -> None:
        """Read one line."""
        ended: _Block | None = None
        while self._blocks and self._blocks[-1].indent >= indent:
            ended = self._blocks.pop()
        if ended is not None and ended.indent == indent and ended.kind in ("try", "except"):
            handler = _EXCEPT.match(line)
            if handler is not None:
                tried = ended.closed_try if ended.kind == "except" else (ended.first_use, len(self.uses))
                self._guard(tried, handler[1])
                self._blocks.append(_Block(indent, "except", closed_try=tried))
                return
        head, colon, rest = line.partition(":")
        defined = _DEFINED.match(head)
        if colon and (defined or line.split(maxsplit=1)[0].rstrip(":") in _WORDS):
            kind = defined[1] if defined else head.split(maxsplit=1)[0]
            name = defined[2] if defined else head if "TYPE_CHECKING" in head and "not" not in head else ""
            self._blocks.append(_Block(indent, kind, name, len(self.uses)))
            line = rest.strip()
        for statement in line.split(";"):
            self._statement(number, statement.strip())

    def _guard(self, tried: tuple[int, int], names: str) -> None:
        """Note that the imports of a `try` may fail."""
        for index in range(*tried):
            use = self.uses[index]
            guarded = not names.strip() or _CAUGHT.search(names) is not None
            absence = Absence.CAUGHT if not names.strip() or _ABSENT.search(names) else use.where.absence
            where = replace(use.where, import_guarded=use.where.import_guarded or guarded, absence=absence)
            self.uses[index] = replace(use, where=where)

    def _statement(self, number: int, line: str) -> None:
        if not line.startswith(("import", "from")) or any(block.kind == "if" and block.name for block in self._blocks):
            return
        where = self._where(number)
        plain = _IMPORT.match(line)
        if plain is not None:
            for part in plain[1].split(","):
                self.uses.append(ImportUse(where, _tight(part).partition(" as ")[0]))
        taken = _FROM.match(line)
        if taken is not None and (taken[1] or taken[2]):
            rows = [_tight(part).partition(" as ") for part in taken[3].strip("()").split(",")]
            names = tuple(name for name, _, _ in rows if name == "*" or name.isidentifier())
            aliases = tuple((local, name) for name, _, local in rows if local and name.isidentifier())
            if names:
                self.uses.append(ImportUse(where, _tight(taken[2] or ""), names, taken[1].count("."), aliases))

    def _where(self, number: int) -> Where:
        defined = [block for block in self._blocks if block.kind in ("def", "class")]
        functions = [index for index, block in enumerate(defined) if block.kind == "def"]
        name = ".".join(block.name for block in defined[: functions[0] + 1]) if functions else ""
        return Where(number, deferred=bool(functions), conditional=True, function=name)


_WORDS = frozenset("if elif else try finally for while with async except match case".split())


def _tight(name: str) -> str:
    """Return a dotted name without blanks around its dots; ` as ` stays."""
    return " ".join(re.sub(r"\s*\.\s*", ".", name).split())
