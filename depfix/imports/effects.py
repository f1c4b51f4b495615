"""Calls with effects that matter: imports by name, DLL directories, DLL loads.

Sources: "ctypes", Loading shared libraries https://docs.python.org/3/library/ctypes.html#loading-shared-libraries ;
"os.add_dll_directory" https://docs.python.org/3/library/os.html#os.add_dll_directory ; Microsoft Learn,
"LoadLibraryExW" and "AddDllDirectory".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from depfix.imports.known import as_text
from depfix.imports.texts import is_absolute
from depfix.imports.uses import CFFI, SettingUse, Where
from depfix.imports.values import (
    UNKNOWN,
    Anchor,
    Constant,
    Items,
    Method,
    Part,
    Reference,
    Text,
    Value,
    alternatives,
    elements,
    made_of,
)

_OPTION = re.compile(r"--?[A-Za-z]")
LOADER_CLASSES = frozenset(f"ctypes.{name}" for name in ("CDLL", "WinDLL", "OleDLL", "PyDLL"))
LOADER_OBJECTS = frozenset(f"ctypes.{name}" for name in ("cdll", "windll", "oledll", "pydll"))
_LIBRARY_LOADERS = frozenset(f"{name}.LoadLibrary" for name in LOADER_OBJECTS)
_LOAD_LIBRARY = frozenset(("LoadLibraryW", "LoadLibraryA"))
_LOAD_LIBRARY_EX = frozenset(("LoadLibraryExW", "LoadLibraryExA", "LoadLibraryEx"))
_SET_DIRECTORY = frozenset(("SetDllDirectoryW", "SetDllDirectoryA", "SetDllDirectory"))
LOAD_CALLS = LOADER_CLASSES | LOADER_OBJECTS | _LIBRARY_LOADERS | _LOAD_LIBRARY | _LOAD_LIBRARY_EX | _SET_DIRECTORY
LOAD_CALLS |= {"dlopen", "os.add_dll_directory", "AddDllDirectory", "SetDefaultDllDirectories"}


def loaded_library(name: str, arguments: list[Value], keywords: dict[str, Value]) -> tuple[Value, int | None] | None:
    """Return (path, flags as `LoadUse` has them) if a call of `name` loads a DLL, else None."""
    last = name.rpartition(".")[2]
    if last == "dlopen" and arguments:
        return arguments[0], CFFI
    if name in LOADER_CLASSES or name in _LIBRARY_LOADERS:
        path = arguments[0] if arguments else keywords.get("name")
        return (path, _winmode(arguments, keywords)) if path is not None else None
    if last in _LOAD_LIBRARY and arguments:
        return arguments[0], 0
    if last in _LOAD_LIBRARY_EX and arguments:
        flags = arguments[2] if len(arguments) > 2 else Constant(0)
        return arguments[0], flags.value if isinstance(flags, Constant) and isinstance(flags.value, int) else 0
    return None


def library_value(path: Value) -> Value:
    """Return what ctypes gives for a DLL: a reference `dll.NAME` if it is asked for by a plain name."""
    known = path.literal if isinstance(path, Text) else None
    stem = known.lower().removesuffix(".dll") if known else ""
    return Reference(f"dll.{stem}") if stem.isidentifier() else Method(UNKNOWN, "library")


def loader_attribute(name: str) -> str | None:
    """Return the DLL that `ctypes.windll.NAME` loads, else None."""
    owner, _, last = name.rpartition(".")
    return last if owner in LOADER_OBJECTS and last != "LoadLibrary" and not last.startswith("__") else None


def found_on_path(path: Text) -> Text | None:
    """Return the name of a DLL that was looked for along PATH, None if the path has another origin."""
    if len(path.parts) != 2 or path.parts[0] is not Anchor.ON_PATH or not isinstance(path.parts[1], str):
        return None
    return made_of((path.parts[1].lstrip("/"),))


def settings(name: str, arguments: list[Value], keywords: dict[str, Value]) -> list[tuple[str, Value]]:
    """Return (variable, value) that a call of `name` gives to the environment."""
    if name == "os.environ.update":
        rows = list(keywords.items())
    elif name in ("os.environ.setdefault", "os.putenv") and len(arguments) == 2 and isinstance(arguments[0], Text):
        rows = [(arguments[0].literal or "", arguments[1])]
    else:
        return []
    known = [(key.upper(), value) for key, value in rows]
    return [(key, value) for key, value in known if key.isidentifier() and key != "PATH"]


def literal_of(value: Value) -> str:
    """Return a text as it is, an empty one if it is not known."""
    return (value.literal or "") if isinstance(value, Text) else ""


def place_of(value: Value) -> Text | None:
    """Return a value as a place, None if it names none."""
    known = as_text(value)
    return known if isinstance(known, Text) and is_absolute(known) else None


def given_options(tree: ast.Module) -> Iterator[SettingUse]:
    """Yield `-option value` where both stand, one after the other, in a list or tuple."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple)):
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.elts]
            for option, value in pairwise(texts):
                if isinstance(option, str) and isinstance(value, str) and _OPTION.match(option):
                    yield SettingUse(Where(node.lineno), option, value)


def added_directory(name: str, arguments: list[Value]) -> Value | None:
    """Return the folder that a call of `name` adds to the loader's user directories, else None."""
    adds = name == "os.add_dll_directory" or name.rpartition(".")[2] == "AddDllDirectory"
    return arguments[0] if adds and arguments else None


def set_directory(name: str, arguments: list[Value]) -> Value | None:
    """Return the folder, or the None or "" that takes it back, that a call of `name` gives to SetDllDirectory."""
    return arguments[0] if arguments and name.rpartition(".")[2] in _SET_DIRECTORY else None


def default_directories(name: str, arguments: list[Value]) -> int | None:
    """Return the flags that a call of `name` gives to SetDefaultDllDirectories, else None."""
    flags = arguments[0] if arguments and name.rpartition(".")[2] == "SetDefaultDllDirectories" else None
    return flags.value if isinstance(flags, Constant) and isinstance(flags.value, int) else None


def absolute_texts(value: Value) -> list[Text]:
    """Return every path in a value, such as one for PATH, that names a place, of the dist or not, however deep."""
    found: list[Text] = []
    for one in alternatives(value):
        if isinstance(one, Text):
            found += [path for path in _split_list(one) if is_absolute(path)]
        elif isinstance(one, Items):
            found += [text for inner in elements(one) for text in absolute_texts(inner)]
    return found


def _split_list(value: Text) -> list[Text]:
    """Return the paths of a text in which `;` separates them."""
    rows: list[list[Part]] = [[]]
    for part in value.parts:
        pieces = part.split(";") if isinstance(part, str) else [part]
        rows[-1].append(pieces[0])
        rows += [[piece] for piece in pieces[1:]]
    return [made_of(tuple(row)) for row in rows]


def texts_of(value: Value) -> tuple[Text, ...]:
    """Return the texts that a value can be; what is no text becomes a hole."""
    found: list[Text] = []
    for one in alternatives(value):
        inner = elements(one) if isinstance(one, Items) else (one,)
        found += [text for text in map(as_text, inner) if isinstance(text, Text)]
    return tuple(dict.fromkeys(found))


def _winmode(arguments: list[Value], keywords: dict[str, Value]) -> int | None:
    mode = keywords.get("winmode") or (arguments[5] if len(arguments) > 5 else None)
    return mode.value if isinstance(mode, Constant) and isinstance(mode.value, int) else None
