"""Where in a Nuitka exe the names stand that its loader refuses to import, and what takes the refusal away.

Built without `--deployment`, the loader raises ImportError for each module that was excluded, even if it is there.
Clearing the flag of its entry is not enough: the entry is then taken for a compiled module, and the program calls the
text of the reason (tried: it crashes). So the entry's pointer to the name is made to point to the reason, which is no
module's name: the entry matches nothing any more and the import goes on to the folders. Both are addresses in the same
image, thus the base relocation of the pointer stays right.
"""

from __future__ import annotations

from dataclasses import dataclass

from depfix.frozen.contents import Storage
from depfix.frozen.nuitka_exe import Entry, Exe, read_exe
from depfix.wording.message import phrase

_LEAST_ENTRIES = 20
_CODE_OBJECTS = (b"\xe3", b"c")  # marshal's letter for code, with and without the bit for a reference


@dataclass(frozen=True, slots=True)
class GuardPlace:
    """A little-endian number in the exe: its offset, how many bytes it has, what it is, what it is to be."""

    offset: int
    width: int
    present: int
    lifted: int


def guard_places(path: str) -> dict[str, tuple[GuardPlace, ...]] | str:
    """Return the places to change for each module that the exe at `path` refuses, or why nothing may be changed.

    A name may have several entries, all of which are to be changed. Submodules have entries of their own. Nothing is
    returned for what was lifted already. Never raises.
    """
    exe = read_exe(path)
    if exe is None:
        return phrase("it is no Windows program that can be read")
    doubt = _doubt(exe)
    if doubt or exe.table is None:
        return doubt
    refused = {name for name, entry in exe.table.by_name.items() if entry.storage is Storage.EXCLUDED}
    found: dict[str, tuple[GuardPlace, ...]] = {}
    for entry in exe.table.entries:
        if entry.name in refused and entry.storage is Storage.EXCLUDED:
            width = exe.table.layout.pointer
            place = GuardPlace(entry.place, width, entry.name_address, entry.function)
            found[entry.name] = (*found.get(entry.name, ()), place)
    return found


def _doubt(exe: Exe) -> str:
    """Return why the loader table may not be what it seems, an empty string if all that can be compared fits."""
    if exe.table is None or len(exe.table.entries) < _LEAST_ENTRIES:
        return phrase("its loader table has an unknown layout")
    if exe.constants is None:
        return phrase("its constants cannot be read, so that its loader table cannot be compared with them")
    if not any(_is_bytecode(exe, entry) for entry in exe.table.entries):
        return phrase("its loader table names no module whose code is there")
    for entry in exe.table.entries:
        if entry.storage is Storage.BYTECODE and not _is_bytecode(exe, entry):
            return phrase("its loader table does not fit the code that it has for {entry}", entry=entry.name)
        if entry.storage is Storage.COMPILED and entry.name not in exe.constants.sections:
            return phrase("its loader table has {entry}, of which there are no constants", entry=entry.name)
    return ""


def _is_bytecode(exe: Exe, entry: Entry) -> bool:
    if entry.storage is not Storage.BYTECODE or exe.constants is None:
        return False
    return exe.constants.code_size(entry.index) == entry.size and (
        (exe.constants.code(entry.index, entry.size) or b"")[:1] in _CODE_OBJECTS
    )
