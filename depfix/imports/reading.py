"""Calls that read files and folders: the data that a program needs beside its code.

Which call reads which argument is in the table file-readers.tsv; a function of the source that hands its argument on to
such a call is followed. What the source makes itself, or asks for before it reads, is weighed at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from depfix.imports import texts
from depfix.imports.known import join_values, package_files
from depfix.imports.options import is_default
from depfix.imports.uses import DataUse, Use, Where
from depfix.imports.values import (
    UNKNOWN,
    Anchor,
    Choice,
    Constant,
    Hole,
    Items,
    Method,
    Outer,
    Reference,
    Text,
    Value,
    alternatives,
    elements,
    parts_of,
    text,
)
from depfix.knowledge.file_readers import KEYWORD_ONLY, Argument, FileCall, file_calls

# Packages read what lies beside their code; what else they read, their users give them.
_ANCHORS = (b"__file__", b"__path__", b"resources", b"pkgutil")
_WORDS = re.compile(
    rb"\b(?:open|read_text|read_bytes|get_data|listdir|iterdir|resource_string|resource_stream|resource_listdir|"
    rb"read_binary|open_text|open_binary|loadtxt|imread|read_csv|load)\("
)
_FILE_ERRORS = frozenset(("OSError", "IOError", "EnvironmentError", "FileNotFoundError", "WindowsError"))
_LONGEST = 240  # characters of a path
_OTHER_TEXT = re.compile(r"://|[\n\r\t<>|\"]|^[~:-]|^\s|\s$")
_NOTHING = re.compile(r"[*./\\\s]*")


@dataclass(slots=True)
class FileNotes:
    """What one source does with files besides reading them, gathered while it is followed.

    `asked` are paths that code asks for before it reads them; `written` and `made` are files and folders that it leaves
    somewhere, with the circumstances. `current` is the folder that it makes the current one: UNKNOWN if it is not known
    which one that is.
    """

    asked: list[Text]
    written: dict[Text, Where] = field(default_factory=dict)
    made: dict[Text, Where] = field(default_factory=dict)
    current: Value | None = None


def may_read(data: bytes, *, own: bool = False) -> bool:
    """Return True if a source may read files, by the words in it; `own`: it is one of the program itself."""
    if own:
        return _own_words().search(data) is not None
    return any(word in data for word in _ANCHORS) and _WORDS.search(data) is not None


@lru_cache(maxsize=1)
def _own_words() -> re.Pattern[bytes]:
    names = {name.rpartition(".")[2].removesuffix("()") for name in file_calls()}
    return re.compile(rb"\b(?:" + "|".join(sorted(names)).encode() + rb")\b")


def data_uses(
    called: Reference | Method,
    arguments: list[Value],
    keywords: dict[str, Value],
    where: Where,
    notes: FileNotes,
    caught: frozenset[str] = frozenset(),
    stars: Iterable[str] = (),
) -> Iterator[DataUse]:
    """Yield what a call reads, as far as its path is known, and take note of what else it does with files.

    `caught` are the exceptions that the source lets pass there, `stars` the modules of which it imports all names.
    """
    for call, receiver in _calls(called, stars):
        if call.only is not None and _known(_given(call.only[0], arguments, keywords)) != call.only[1]:
            continue
        paths = _paths(call, receiver, arguments, keywords)
        mode = _mode(call, arguments, keywords)
        if call.what in _EFFECTS or mode == "w":
            _note(notes, "writes" if mode == "w" else call.what, paths, where)
        elif mode == "r":
            surely = _unless_broad(where, caught)
            for value in paths:
                yield from _reads(call, value, surely, notes)


_EFFECTS = frozenset(("asks", "writes", "makes", "enters"))


def _calls(called: Reference | Method, stars: Iterable[str]) -> Iterator[tuple[FileCall, Value | None]]:
    """Yield the rows for what is called, with the object whose method it is."""
    table = file_calls()
    if isinstance(called, Reference):
        names = [called.name]
        if called.name.startswith("builtins."):
            names += [f"{module}.{called.name[9:]}" for module in stars]
            names += [f".{called.name.rpartition('.')[2]}"] if called.name.count(".") > 1 else []  # of some object
        found = next((table[name] for name in names if name in table), None)
        if found is not None:
            yield found, None
        return
    is_path = any(isinstance(one, Text) for one in alternatives(called.receiver))
    outer = f".{called.receiver.name}" if isinstance(called.receiver, Method) else ""
    for name in (f"path.{called.name}" if is_path else "", f"{outer}.{called.name}", f".{called.name}"):
        if name in table:
            yield table[name], called.receiver
            return


def _given(argument: Argument, arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if argument.position != KEYWORD_ONLY and argument.position < len(arguments):
        return arguments[argument.position]
    return keywords.get(argument.keyword, UNKNOWN)


def _known(value: Value) -> str | None:
    return value.literal if isinstance(value, Text) else None


def _paths(call: FileCall, receiver: Value | None, arguments: list[Value], keywords: dict[str, Value]) -> list[Value]:
    """Return what names files in a call."""
    if receiver is not None and not call.arguments:
        globs = call.what.startswith("globs") and arguments
        return [join_values([receiver, arguments[0]]) if globs else receiver]
    given = [_given(one, arguments, keywords) for one in call.arguments]
    pairs = zip(call.arguments, given, strict=True)
    named = [text(one.default) if value == UNKNOWN and one.default else value for one, value in pairs]
    if call.resource:
        return [join_values([package_files(named[0]), *named[1:]])]
    if call.what == "beside":
        here = Text((Anchor.HERE,))
        return [Choice((join_values([here, one]), UNKNOWN)) for one in named if isinstance(one, Text)]
    return named


def _mode(call: FileCall, arguments: list[Value], keywords: dict[str, Value]) -> str:
    """Return "r" for a call that reads, "w" for one that writes without reading, "" for what is not known."""
    if call.mode is None:
        return "r"
    given = _given(call.mode, arguments, keywords)
    known = _known(given)
    if known is None:
        absent = call.mode.keyword not in keywords and len(arguments) <= call.mode.position
        return "r" if absent or given == Constant(None) else ""
    return "r" if "r" in known else "w" if set(known) & set("wxan") else ""


def _note(notes: FileNotes, what: str, paths: list[Value], where: Where) -> None:
    for one in (each for path in paths for each in alternatives(path)):
        if what == "enters":
            notes.current = one if isinstance(one, Text) and one.anchored else UNKNOWN
        elif not isinstance(one, Text):
            continue
        elif what == "asks":
            notes.asked.append(one)
        else:
            (notes.made if what == "makes" else notes.written).setdefault(_in_folder(one, notes) or one, where)


def _unless_broad(where: Where, caught: frozenset[str]) -> Where:
    """Return where something is read; whoever catches every exception at once did not think of an absent file."""
    if where.load_guarded and not caught & _FILE_ERRORS:
        return replace(where, load_guarded=False, conditional=True)
    return where


def _reads(call: FileCall, value: Value, where: Where, notes: FileNotes) -> Iterator[DataUse]:
    rows = (elements(each) if isinstance(each, Items) else (each,) for each in alternatives(value))
    given = [Text(parts_of(one)) if isinstance(one, Reference) else one for row in rows for one in row]
    default = is_default(value)
    folder = call.what in ("lists", "tries-folder", "tree", "beside", "globs-below")
    if call.what in ("tries", "tries-folder") or (len(given) > 1 and isinstance(value, Choice) and not default):
        where = replace(where, conditional=True)
    if call.what == "optional":
        where = replace(where, load_guarded=True)
    for one in given:
        path = _in_folder(one, notes) if isinstance(one, Text) and _is_path(one) else None
        if path is None:
            continue
        known = path.literal or "/"
        if call.what == "style" and "." not in known and "/" not in known:
            continue  # the name of one that is installed
        if call.what == "font" and not re.search(r"[\\/]", known):  # perhaps one of Windows
            yield DataUse(replace(where, conditional=True), path, _shown(call))
        elif call.what == "globs":
            yield from _globbed(path, where, _shown(call), default=default)
        else:
            yield DataUse(where, path, _shown(call), folder, call.starts, default)


def _globbed(pattern: Text, where: Where, reader: str, *, default: bool) -> Iterator[DataUse]:
    """Yield a read of the files that fit a pattern; with `**`, of the folder in which it begins.

    A computed name that is looked for below a folder needs nothing of that folder for sure.
    """
    for index, part in enumerate(pattern.parts):
        if isinstance(part, str) and "**" in part:
            if not any(isinstance(one, Hole) for one in pattern.parts[index + 1 :]):
                above = part.partition("**")[0].rstrip("/\\")
                yield DataUse(where, Text((*pattern.parts[:index], above)), reader, folder=True, default=default)
            return
    yield DataUse(where, texts.globbed(pattern), reader, default=default)


def _is_path(one: Text) -> bool:
    """Return True for what can be the path of a file that is known in part at least."""
    first, known = one.parts[0], one.literal
    if any(isinstance(part, (Anchor, Outer)) for part in one.parts[1:]) or first in (Anchor.SYSTEM, Anchor.ON_PATH):
        return False
    if isinstance(first, Outer):
        return True
    if not one.anchored and not isinstance(first, str):
        return False
    if isinstance(first, str) and _OTHER_TEXT.search(first):
        return False
    if known is not None and (len(known) > _LONGEST or known.lower() == "nul"):
        return False
    is_vague = all(_NOTHING.fullmatch(part) for part in one.parts if isinstance(part, str))
    return not is_vague or (one.anchored and Hole.EACH in one.parts)


def _in_folder(path: Text, notes: FileNotes) -> Text | None:
    """Return a path as it is after the current folder was changed; None if it is not known to which one."""
    if notes.current is None or texts.is_absolute(path):
        return path
    return texts.join_paths(notes.current, path) if isinstance(notes.current, Text) else None


def _shown(call: FileCall) -> str:
    """Return how a person calls what reads."""
    return call.name.replace("builtins.", "").replace("path.", "Path.").removeprefix(".")


# --- at the end of a source ---


def weighed(uses: Iterable[Use], notes: FileNotes) -> list[Use]:
    """Return the uses of a source without reads of what it wrote before, and with others as sure as they are."""
    asked = {_key(one) for one in notes.asked}
    written = {_key(path): where for path, where in notes.written.items()}
    made = {_key(path): where for path, where in notes.made.items()}
    found: list[Use] = []
    rows = list(uses)
    surely = {(use.where.line, use.path) for use in rows if isinstance(use, DataUse) and not use.where.deferred}
    known: dict[int, list[str]] = {}
    for use in rows:
        if isinstance(use, DataUse) and not use.path.has(Hole.PARAMETER):
            known.setdefault(use.where.line, []).append(_key(use.path))
    for use in rows:
        if not isinstance(use, DataUse):
            found.append(use)
            continue
        if use.where.deferred and (use.where.line, use.path) in surely:
            continue  # it was followed on its own as well
        if use.path.has(Hole.PARAMETER) and _is_given(use.path, known.get(use.where.line, ())):
            continue  # the callers in this source were followed, and say what it is
        above = [_key(use.path), *_above(use.path)]
        if asked.intersection(above):
            use = replace(use, where=replace(use.where, load_guarded=True))
        maker = written.get(above[0]) or next((made[key] for key in above if key in made), None)
        if maker is not None:
            if maker.deferred == use.where.deferred and (maker.line <= use.where.line or maker.deferred):
                continue
            use = replace(use, where=replace(use.where, conditional=True))
        found.append(use)
    return found


def _is_given(path: Text, given: Iterable[str]) -> bool:
    """Return True if one of the paths fits one of which only callers know a part."""
    pieces = _key(path).split(_key(Text((Hole.PARAMETER,))))
    fits = re.compile("[^/]*".join(re.escape(piece) for piece in pieces))
    return any(fits.fullmatch(one) for one in given)


def _key(path: Text) -> str:
    """Return what two spellings of one path have in common."""
    spelled = "".join(part if isinstance(part, str) else f"\0{part}\0" for part in path.parts).replace("\\", "/")
    return re.sub(r"(?<![^/])\./", "", re.sub(r"/+", "/", spelled)).rstrip("/").lower()


def _above(path: Text) -> Iterator[str]:
    """Yield the folders that a path lies in."""
    key = _key(path)
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key
