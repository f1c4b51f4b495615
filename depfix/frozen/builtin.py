"""The modules that a Python DLL has in itself: `sys.builtin_module_names`, and those that are frozen into it.

Both are tables that the DLL exports by name, each ended by a null pointer. Sources: "Importing Modules",
PyImport_Inittab and PyImport_FrozenModules https://docs.python.org/3/c-api/import.html ; since 3.11 three more tables
with the start-up modules, a part of the stdlib and the tests, in Include/internal/pycore_import.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from depfix.dist.tree import Tree
from depfix.frozen.zips import are_names
from depfix.pe.headers import EXPORTS, Headers, open_headers

_EXPORTS = struct.Struct("<20x5I")  # functions, names, then the RVAs of addresses, names, name ordinals
_MOST_SYMBOLS = 1 << 16
_MOST_MODULES = 4096
_LONGEST_NAME = 256

_BUILTIN = ("PyImport_Inittab",)
_FROZEN = ("PyImport_FrozenModules", "_PyImport_FrozenBootstrap", "_PyImport_FrozenStdlib", "_PyImport_FrozenTest")
# Rows in pointers: name, function; name, code, size (up to 3.10 and since 3.13), with a function in 3.11 and 3.12. The
# size and the flag for packages take one pointer together in a 64-bit DLL, and one each in a 32-bit one.
_BUILTIN_ROWS = (2,)
_FROZEN_ROWS = (3, 4, 5)


def builtin_modules(tree: Tree, python_dll: str) -> frozenset[str]:
    """Return `sys.builtin_module_names` of the Python DLL at a dist-relative path, nothing if it cannot be read."""
    return _names(tree, python_dll, _BUILTIN, _BUILTIN_ROWS)


def frozen_modules(tree: Tree, python_dll: str) -> frozenset[str]:
    """Return the modules that are frozen into the Python DLL, nothing if it cannot be read.

    Up to 3.10 these are importlib and zipimport. Since 3.11 what Python imports at start-up is among them (os, site,
    abc, ...), and comes from there before any file, unless `-X frozen_modules=off` is set.
    """
    return _names(tree, python_dll, _FROZEN, _FROZEN_ROWS)


def _names(tree: Tree, python_dll: str, symbols: Iterable[str], rows: Iterable[int]) -> frozenset[str]:
    entry = tree.file(python_dll)
    pe = open_headers(entry.source) if entry is not None else None
    if pe is None:
        return frozenset()
    found: set[str] = set()
    try:
        variables = _addresses(pe, frozenset(symbols))
    except (ValueError, IndexError, struct.error):
        return frozenset()
    for variable in variables:
        longest: tuple[str, ...] = max([_table(pe, variable, row) for row in rows], key=len)
        found.update(longest)
    return frozenset(found)


def _addresses(pe: Headers, wanted: frozenset[str]) -> list[int]:
    """Return the RVAs of exported variables. Raises ValueError, IndexError or struct.error if the table is damaged."""
    start, _ = pe.directories[EXPORTS]
    if not start:
        return []
    functions, named, address_rva, name_rva, ordinal_rva = _EXPORTS.unpack(pe.read(start, _EXPORTS.size))
    if max(functions, named) > _MOST_SYMBOLS:
        raise ValueError(f"{max(functions, named):,} symbols")
    addresses = pe.numbers(address_rva, functions, "I")
    names, ordinals = pe.numbers(name_rva, named, "I"), pe.numbers(ordinal_rva, named, "H")
    return [
        addresses[ordinal]
        for name, ordinal in zip(names, ordinals, strict=True)
        if pe.string(name, _LONGEST_NAME) in wanted
    ]


def _table(pe: Headers, variable: int, row: int) -> tuple[str, ...]:
    """Return the names of the table that an exported pointer points at, nothing if its rows are not of that length."""
    try:
        table = _pointer(pe, variable)
        return tuple(_row_names(pe, table, row)) if table else ()
    except (ValueError, struct.error):
        return ()


def _row_names(pe: Headers, table: int, row: int) -> Iterator[str]:
    for index in range(_MOST_MODULES):
        name = _pointer(pe, table + index * row * (8 if pe.wide else 4))
        if not name:
            return
        text = pe.string(name, _LONGEST_NAME)
        if not text.isascii() or not are_names(text.split(".")):
            raise ValueError("no name of a module")
        yield text


def _pointer(pe: Headers, rva: int) -> int:
    """Return the RVA that a pointer at an RVA holds before relocation, 0 for a null pointer."""
    form = "<Q" if pe.wide else "<I"
    (value,) = struct.unpack(form, pe.read(rva, struct.calcsize(form)))
    return int(value) - pe.base if value else 0
