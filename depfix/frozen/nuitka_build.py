"""Nuitka's build folder: the loader table as C source, kept beside the dist unless `--remove-output` was given.

The table has the form that nuitka_exe tells: an array of structs up to Nuitka 4.2, structs and an array of pointers to
them since 4.3. Then the struct of a compiled module stands at the end of its own C file.
"""

from __future__ import annotations

import os
import re

from depfix.frozen.contents import FrozenModule, Storage

_LOADER = "__loader.c"
_MAIN = "__main__"
_LARGEST = 256 << 20
_TAIL = 1 << 14
_STRING = r'"((?:[^"\\\n]|\\.)*)"'
_TEXT = rf"(?:MAKE_NAME\()?{_STRING}(?:, \d+\))?"
_REASON = rf"NUITKA_CAST_INIT_REASON\({_STRING}\)"
_POINTERS = rf"((?:(?:{_REASON}|&?[A-Za-z_][\w$]*), )+)"  # NULL is a name as well
_FLAGS = r"(\d+), (\d+), ([A-Z_0-9 |]+)$"
# An entry in the array, {"name", function, index, size, flags, or a struct with more pointers after the name.
_INLINE = re.compile(rf"^ *\{{{_TEXT}, {_POINTERS}{_FLAGS}", re.MULTILINE)
_STRUCT = re.compile(
    rf"^(?:static )?struct Nuitka_MetaPathBasedLoaderEntry (entry_[^ ]+) = \{{\n *{_TEXT}, {_POINTERS}{_FLAGS}",
    re.MULTILINE,
)
_POINTER_TABLE = re.compile(r"\*meta_path_loader_entries\[\d*\] = \{\n((?: *&[^,\n]+,\n)*)\};")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_SIMPLE = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
_FILE_NAME = re.compile(r"[^/\\:\0]{1,200}")
_ENCODED = re.compile(r"\$\$(\d{1,7})\$")


def read_build(folder: str) -> dict[str, FrozenModule] | None:
    """Return the modules by name as the loader's C source in a build folder has them, None if it is not there."""
    text = _read(os.path.join(folder, _LOADER))
    if text is None:
        return None
    pointers = _POINTER_TABLE.search(text)
    if pointers is None:
        rows = [_module(*match.groups()) for match in _INLINE.finditer(text)]
    else:
        known = {match[1]: _module(*match.groups()[1:]) for match in _STRUCT.finditer(text)}
        names = [line.strip(" &,") for line in pointers[1].splitlines()]
        rows = [known.get(name) or _compiled(folder, name) for name in names]
    found: dict[str, FrozenModule] = {}
    for module in rows:
        found.setdefault(module.name, module)
    return found or None


def _read(path: str, tail: int = 0) -> str | None:
    try:
        size = os.path.getsize(path)
        if size > _LARGEST:
            return None
        with open(path, "rb") as file:
            file.seek(max(0, size - tail) if tail else 0)
            return file.read().decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError:
        return None


def _module(name: str, pointers: str, reason: str | None, _index: str, _size: str, flags: str) -> FrozenModule:
    words = {word.removeprefix("NUITKA_").removesuffix("_FLAG") for word in flags.split(" | ")}
    storage = Storage.COMPILED
    for word, kind in _KINDS.items():
        if word in words:
            storage = kind
    told = _text(reason) if reason and storage is Storage.EXCLUDED else ""
    return FrozenModule(_MAIN if "MAIN_MODULE" in words else _text(name), storage, "PACKAGE" in words, told)


_KINDS = {
    "BYTECODE": Storage.BYTECODE,
    "EXTENSION_MODULE": Storage.EXTENSION,
    "EXCLUDED_MODULE": Storage.EXCLUDED,
}


def _compiled(folder: str, identifier: str) -> FrozenModule:
    """Return a module of which the table has a pointer only: its entry is in the module's own file."""
    name = _ENCODED.sub(lambda match: chr(min(int(match[1]), 0x10FFFF)), identifier.removeprefix("entry_")).replace(
        "$", "."
    )
    text = (_read(os.path.join(folder, f"module.{name}.c"), _TAIL) or "") if _FILE_NAME.fullmatch(name) else ""
    for match in _STRUCT.finditer(text):
        if match[1] == identifier:
            return _module(*match.groups()[1:])
    return FrozenModule(name, Storage.COMPILED)


def _text(escaped: str) -> str:
    """Return the text of a C string literal."""
    return _ESCAPE.sub(_unescaped, escaped.encode()).decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = match.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    return _SIMPLE.get(other, other)
