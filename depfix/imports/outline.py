"""What of a source says what it imports: all other statements are left out of it before it is parsed.

Parsing is what reading a source costs, and most of a source has no say in what it imports: bodies of functions,
tables, texts. A block is cut into its statements by one regular expression, and those stay that hold an import
statement, decide whether one is reached, or bind a name that decides it. Lines keep their numbers.

Cuts are made by indentation and triple quotes alone, without a look at brackets. That is safe: no piece with the word
of an import statement at the start of a line is ever left out, and a piece that begins or ends within brackets leaves a
source that cannot be parsed; then the whole of it is. Source: "Lexical analysis"
https://docs.python.org/3/reference/lexical_analysis.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

_STATEMENT = re.compile(rb"(?:^|[\n;:])[ \t]*(?:import|from)\b")
# A glance, with a letter to look for at the front, then a look.
_MAY_BE_OPTION = tuple(re.compile(quote + rb"--?[A-Za-z][^'\"\n]*['\"]\s*,") for quote in (b"'", b'"'))
_STREAM = rb"sys\.std(?:out|err|in)\b"
_OPTION = rb"['\"]--?[A-Za-z][^'\"\n]*['\"]\s*,\s*(?:#[^\n]*\s*)*[rRuUfFbB]{0,2}['\"]"  # in a list, before its value
_DEFINES = re.compile(rb"(?:^|\n)[ \t]*(?:async[ \t]+)?(def|class)[ \t]+([A-Za-z_\x80-\xff][\w\x80-\xff]*)")
_PRINTS = re.compile(rb"(?:^|\n)[ \t]*(?:print|exec)[ \t]+[^\s=(]")  # statements of Python 2
_CONTROL = re.compile(
    rb"[ \t]*(?:if|elif|else|for|while|try|except|finally|with|match|case|raise|return|assert|del|global|nonlocal"
    rb"|async[ \t]+(?:for|with)|sys\.exit|os\._exit|os\.abort|break|continue)\b"
)
_GOES_ON = re.compile(rb"[ \t]*(?:elif|else|except|finally|case)\b")
_MAY_LEAVE = re.compile(rb"[ \t]*(?:raise|sys\.exit|os\._exit|os\.abort|if\b(?s:.*)(?:raise|exit|abort))\b")
_FLOW = re.compile(rb"[ \t]*(?:if|elif|else|for|while|try|except|finally|with|match|case|async)\b")
_NAMES = re.compile(rb"(?<![.\w])[A-Za-z_\x80-\xff][\w\x80-\xff]*")
_TARGETS = re.compile(rb"[ \t]*([\w\x80-\xff][\w\x80-\xff ,\t()\[\].*]*?)[ \t]*(?::[^=\n]*)?[-+*/|&^%@<>]*=(?!=)")
_HEADER_END = re.compile(rb":[ \t]*(?:#[^\n]*)?\n")
_FIRST = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\n)*([ \t]+)(?=[^\s#])")
_PAIRS = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))
_TRIPLE = (b'"""', b"'''")
_BINDS_OUTSIDE = (b"global", b":=", b"match ", b"case ", b"type ")
_NO_BODY = {b"def": b"():pass", b"class": b":pass"}
_BY_CODE = b"__getattr__"  # where a module has it, other modules find more in it than it binds
_HEAD = 200  # bytes: the first two lines may name the encoding
_MOST_ROUNDS = 4


@lru_cache(maxsize=64)
def _starts(indent: bytes) -> re.Pattern[bytes]:
    """Return what stands before each statement of a block: a line that begins with its indentation and no more."""
    return re.compile(rb"\n(?=" + re.escape(indent) + rb"[^\s#)\]}])")


@dataclass(slots=True)
class _Piece:
    """One statement, or a part of one; `block` is what is in a function or class of which a part is wanted."""

    text: bytes
    kept: bool = False
    binds: tuple[bytes, ...] = ()
    block: _Block | None = None


@dataclass(slots=True)
class _Block:
    """The body of a function or class, behind its `header`."""

    header: bytes
    indent: bytes
    pieces: list[_Piece] = field(default_factory=list)


def may_give_options(data: bytes) -> bool:
    """Return True if a source may have an option in a list, before its value."""
    return any(one.search(data) for one in _MAY_BE_OPTION) and re.search(_OPTION, data) is not None


def outline(data: bytes, *, keeps_names: bool) -> bytes | None:
    """Return a source without what has no say in its imports, None if it is to be read whole.

    `keeps_names`: all names stay that the module binds.
    """
    text = _plain(data)
    if text is None:
        return None
    called: set[bytes] = set()
    for _ in range(_MOST_ROUNDS):
        maker = _Outline(text, called, keeps_names)
        module = maker.module(text)
        new = {name for name in maker.defined if name not in called and _is_called(name, text)}
        if not new:
            maker.keep_named()
            return b"\n".join(_rendered(module)) if maker.keeps_something else b""
        called |= new
    return None


def _plain(data: bytes) -> bytes | None:
    """Return a source with plain line ends, None if it is better read whole: for what the parser says of it."""
    if b"\0" in data or _is_old(data):
        return None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b"\f" in data:
        data = data.replace(b"\n\f", b"\n")
    if b"\r" in data or b"\f" in data or any(data.count(quotes) % 2 for quotes in _TRIPLE):
        return None
    return data if data.isascii() or b"coding" in data[:_HEAD] or _is_utf8(data) else None


def _is_old(data: bytes) -> bool:
    return (b"print " in data or b"exec " in data) and _PRINTS.search(data) is not None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_called(name: bytes, data: bytes) -> bool:
    """Return True if a function may be called by its plain name."""
    called = name + b"("
    at = data.find(called)
    while at >= 0:
        before = data[max(0, at - 4) : at]
        if not before[-1:].isalnum() and before[-1:] not in (b".", b"_") and before != b"def ":
            return True
        at = data.find(called, at + len(called))
    return name + b" (" in data


class _Outline:
    """Sorts the pieces of one source; `called` are functions whose calls count as imports."""

    def __init__(self, data: bytes, called: Iterable[bytes], keeps_names: bool) -> None:
        options = _OPTION if may_give_options(data) else b""
        self._texts = any(quotes in data for quotes in _TRIPLE)
        streams = _STREAM if b"sys.std" in data else b""
        self._others = _others(tuple(filter(None, (options, streams))), tuple(sorted(called)))
        self._keeps_names = keeps_names
        self.keeps_something = keeps_names or _BY_CODE in data
        self.defined: set[bytes] = set()
        self._deciding: list[bytes] = [_BY_CODE]
        self._binding: dict[bytes, list[_Piece]] = {}

    def module(self, text: bytes) -> _Block:
        """Cut a source into pieces, and mark those that are wanted for themselves."""
        block = _Block(b"", b"")
        self._cut(block, text)
        first, last = block.pieces[0], block.pieces[-1]
        if b"coding" in first.text[:_HEAD]:
            first.kept = self.keeps_something = True  # a comment may name the encoding
        if (text and not text.endswith(b"\n")) or any(last.text.count(a) != last.text.count(b) for a, b in _PAIRS):
            last.kept = self.keeps_something = True  # where a file was cut off, it cannot be parsed
        for piece in block.pieces:
            if not piece.kept:
                self._weigh(piece, is_module=True)
        return block

    def _cut(self, block: _Block, text: bytes) -> int:
        """Cut a block into pieces, mark those that are wanted for themselves, and return the index of the last one."""
        last = -1
        parts = _starts(block.indent).split(text)
        for index, one in enumerate(_whole_definitions(_whole_texts(parts) if self._texts else parts)):
            piece = _Piece(one)
            block.pieces.append(piece)
            is_comment = index == 0 and block.header != b""  # what stands before the first statement
            if not is_comment and self._is_wanted(one):
                last = index
                self.keeps_something = True
                self._want(piece)
        return last

    def _inner(self, block: _Block, text: bytes, *, is_class: bool) -> _Block:
        """As `module` for the body of a function or class. What comes after the last import of a function counts only
        if it belongs to the statement with that import, or may leave the function."""
        last = self._cut(block, text)
        goes_on = True
        for index, piece in enumerate(block.pieces):
            if piece.kept:
                continue
            if index > last and not is_class:
                follows = _GOES_ON.match(piece.text) is not None
                goes_on = goes_on if follows else _MAY_LEAVE.match(piece.text) is not None
                if not goes_on:
                    continue
            self._weigh(piece)
        return block

    def _is_wanted(self, text: bytes) -> bool:
        if b"import" in text and _STATEMENT.search(text) is not None:
            return True
        return self._others is not None and self._others.search(text) is not None

    def _want(self, piece: _Piece) -> None:
        piece.kept = True
        defines = _defines(piece.text)
        if defines is not None:
            if defines.group(1) == b"def":
                self.defined.add(defines.group(2))
            block = _opened(piece.text, defines.end())
            if block is not None:
                is_class = defines.group(1) == b"class"
                piece.block = self._inner(block, piece.text[len(block.header) :], is_class=is_class)
                return
            self._deciding.append(piece.text)
        elif _FLOW.match(piece.text) or (self._others is not None and self._others.search(piece.text) is not None):
            self._deciding.append(piece.text)

    def _weigh(self, piece: _Piece, *, is_module: bool = False) -> None:
        """Keep a piece that decides what runs, and take note of what others bind."""
        text = piece.text
        if _CONTROL.match(text):
            piece.kept = True
            self._deciding.append(text)
            return
        defines = _defines(text)
        if defines is not None:
            piece.binds = (defines.group(2),)
        else:
            targets = _TARGETS.match(text)
            piece.binds = tuple(_NAMES.findall(targets.group(1))) if targets is not None else ()
        for name in piece.binds:
            self._binding.setdefault(name, []).append(piece)
        if is_module and self._keeps_names:
            piece.kept = True
            if defines is not None:
                piece.text = _emptied(text, defines)

    def keep_named(self) -> None:
        """Keep what binds names that decide something."""
        if not self._binding:
            return
        while self._deciding:
            for name in _NAMES.findall(self._deciding.pop()):
                for piece in self._binding.pop(name, ()):
                    if not piece.kept:
                        piece.kept = True
                        self._deciding.append(piece.text)


@lru_cache(maxsize=64)
def _others(wanted: tuple[bytes, ...], called: tuple[bytes, ...]) -> re.Pattern[bytes] | None:
    """Return what is wanted besides import statements."""
    words = [*wanted]
    if called:
        words.append(rb"(?<![.\w])(?:" + b"|".join(called) + rb")[ \t]*\(")
    return re.compile(b"|".join(words)) if words else None


def _whole_texts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, those that a text with three quotes goes through as one."""
    before: list[bytes] = []
    open_quotes = b""
    for piece in pieces:
        if open_quotes:
            before.append(piece)
            if piece.count(open_quotes) % 2:
                yield b"\n".join(before)
                before, open_quotes = [], b""
            continue
        open_quotes = next((quotes for quotes in _TRIPLE if piece.count(quotes) % 2), b"")
        if open_quotes:
            before.append(piece)
        else:
            yield piece
    yield from before


def _whole_definitions(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, decorators with what they decorate."""
    before: list[bytes] = []
    for piece in pieces:
        if piece.lstrip(b" \t")[:1] == b"@":
            before.append(piece)
        elif before:
            yield b"\n".join([*before, piece])
            before = []
        else:
            yield piece
    if before:
        yield b"\n".join(before)


def _defines(text: bytes) -> re.Match[bytes] | None:
    """Return the head of a function or class, if a piece is one."""
    first = text.lstrip(b" \t")
    if first[:1] not in b"dca@":
        return None
    return _DEFINES.search(text) if first[:1] == b"@" else _DEFINES.match(text)


def _opened(text: bytes, at: int) -> _Block | None:
    """Return the empty block of a definition whose name ends at an offset, None if its header cannot be told."""
    for end in _HEADER_END.finditer(text, at):
        header = text[: end.end()]
        if header.count(b"(", at) == header.count(b")", at) and header.count(b"[", at) == header.count(b"]", at):
            break
    else:
        return None
    first = _FIRST.match(text, len(header))
    line = text.rfind(b"\n", 0, at) + 1
    own = text[line:at]
    own = own[: len(own) - len(own.lstrip(b" \t"))]
    if first is None or len(first.group(1)) <= len(own) or not first.group(1).startswith(own):
        return None
    return _Block(header[:-1], first.group(1))


def _emptied(text: bytes, defines: re.Match[bytes]) -> bytes:
    """Return a definition without what is in it, as it is if that may bind names of the module."""
    if any(word in text for word in _BINDS_OUTSIDE):
        return text
    return defines.group(1) + b" " + defines.group(2) + _NO_BODY[defines.group(1)] + b"\n" * text.count(b"\n")


def _rendered(block: _Block) -> Iterator[bytes]:
    """Yield the pieces of a block that are kept, and the line ends of the others."""
    lacks = block.header != b"" and not any(piece.kept for piece in block.pieces)
    for index, piece in enumerate(block.pieces):
        if piece.block is not None:
            yield piece.block.header + b"\n".join(_rendered(piece.block))
        elif piece.kept:
            yield piece.text
        else:
            lines = b"\n" * piece.text.count(b"\n")
            yield block.indent + b"pass" + lines if lacks and index == 1 else lines
