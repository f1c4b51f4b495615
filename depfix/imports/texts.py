"""Operations on texts and paths of the partial evaluator, with Windows' separators both understood."""

from __future__ import annotations

import re

from depfix.imports.values import Anchor, Hole, Own, PackageFolder, Part, Text, made_of, text

_DRIVE = re.compile(r"[A-Za-z]:|[\\/]")
_GLOB = re.compile(r"\*\*|\*|\?|\[[^\]]*\]")


def concat(left: tuple[Part, ...], right: tuple[Part, ...]) -> Text:
    return made_of((*left, *right))


def join_paths(first: Text, *others: Text) -> Text:
    """os.path.join, as ntpath does it: a later absolute path takes the place of what stands before it."""
    joined = first
    for other in others:
        if is_absolute(other) or joined.literal == "":
            joined = other
        elif isinstance(last := joined.parts[-1], str) and last.endswith(("/", "\\")):
            joined = concat(joined.parts, other.parts)
        else:
            joined = concat((*joined.parts, "/"), other.parts)
    return joined


def is_absolute(path: Text) -> bool:
    first = path.parts[0]
    return isinstance(first, (Anchor, PackageFolder)) or (isinstance(first, str) and bool(_DRIVE.match(first)))


def directory(path: Text) -> Text:
    """os.path.dirname: everything before the last separator."""
    parts = list(path.parts)
    while parts:
        last = parts[-1]
        if isinstance(last, (Anchor, PackageFolder)):
            return made_of((*parts, "/.."))
        parts.pop()
        if isinstance(last, str):
            cut = max(last.rfind("/"), last.rfind("\\"))
            if cut >= 0:
                return made_of((*parts, last[:cut])) if cut or parts else text(last[0])
        elif not parts and not isinstance(last, Own):
            return Text((Hole.PARAMETER if last is Hole.PARAMETER else Hole.ANY,))  # it may have a folder
    return text("")


def last_component(path: Text) -> Text:
    """os.path.basename: what follows the last separator."""
    tail: list[Part] = []
    for part in reversed(path.parts):
        if isinstance(part, (Anchor, PackageFolder)):
            tail.insert(0, Hole.ANY)
            break
        if isinstance(part, str):
            cut = max(part.rfind("/"), part.rfind("\\"))
            tail.insert(0, part[cut + 1 :])
            if cut >= 0:
                break
        else:
            tail.insert(0, part)
    return made_of(tuple(tail))


def shortened(path: Text, end: int | None) -> Text:
    """Return `text[:end]` for a text that is not known as a whole."""
    last = path.parts[-1]
    if end is None:
        return path
    if last is Hole.EACH and end < 0:
        return path  # a name without its suffix
    if end >= 0 or not isinstance(last, str) or len(last) < -end:
        return Text((Hole.ANY,))
    return made_of((*path.parts[:-1], last[:end]))


def globbed(pattern: Text) -> Text:
    """What glob gives for a pattern: its wildcards stand for every name that is there."""
    parts: list[Part] = []
    for part in pattern.parts:
        if not isinstance(part, str):
            parts.append(part)
            continue
        pieces = _GLOB.split(part)
        for index, piece in enumerate(pieces):
            parts += [Hole.EACH, piece] if index else [piece]
    return made_of(tuple(parts))


def listed(folder: Text) -> Text:
    """What a listing of a folder gives, as full paths."""
    return join_paths(folder, Text((Hole.EACH,)))


def with_last(path: Text, name: Text) -> Text:
    """pathlib's with_name."""
    return join_paths(directory(path), name)


def percent(template: str, values: list[tuple[Part, ...]]) -> Text:
    """`template % values` for the plain conversions; what is not understood becomes a hole."""
    pieces = re.split(r"%[-#0 +]*\d*(?:\.\d+)?[sdr]", template)
    if len(pieces) - 1 != len(values):
        return Text((Hole.ANY,))
    parts: list[Part] = [pieces[0].replace("%%", "%")]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += [*value, piece.replace("%%", "%")]
    return made_of(tuple(parts))


def formatted(template: str, positional: list[tuple[Part, ...]], named: dict[str, tuple[Part, ...]]) -> Text:
    """`template.format(...)` for plain fields; what is not understood becomes a hole."""
    parts: list[Part] = []
    counter = 0
    for index, piece in enumerate(re.split(r"\{([^{}]*)\}", template)):
        if index % 2 == 0:
            parts.append(piece)
            continue
        field = piece.partition(":")[0].partition("!")[0]
        if field == "":
            field, counter = str(counter), counter + 1
        if field.isdigit() and int(field) < len(positional):
            parts += positional[int(field)]
        else:
            parts += named.get(field, (Hole.ANY,))
    return made_of(tuple(parts))
