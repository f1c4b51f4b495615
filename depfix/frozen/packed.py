"""Programs that keep everything in one file: what the user can do about each kind.

Sources: Nuitka, "Use Case 5 - Program Distribution" https://nuitka.net/user-documentation/user-manual.html (onefile);
UPX https://upx.github.io/ ; py2exe https://github.com/py2exe/py2exe
"""

from __future__ import annotations

import re

from depfix.dist.tree import Tree
from depfix.frozen.pyinstaller import has_bundle, is_onefile
from depfix.frozen.zips import open_zip
from depfix.model.names import fold
from depfix.pe.headers import RESOURCES, Headers, open_headers
from depfix.wording.message import phrase

# The payload of a Nuitka onefile: "KA", then "Y" and a zstd frame, or "X" and the first file's name in UTF-16.
_NUITKA_PAYLOAD = re.compile(rb"KA(?:Y\x28\xb5\x2f\xfd|X(?:[\x20-\x7e]\0){4,259}\0\0)")
_SECTIONS_OF_UPX = (b"UPX0", b"UPX1")
_SECTION_HEADER, _MOST_SECTIONS = 40, 96
_PY2EXE_SCRIPT = "PYTHONSCRIPT"
_LARGEST_RESOURCES = 1 << 24

_NUITKA = phrase(
    "it is a Nuitka onefile program, which unpacks itself into a folder of its own at each start: "
    "build it with --standalone and scan the .dist folder"
)
_PYINSTALLER = phrase(
    "it is a PyInstaller onefile program, which unpacks itself into a temporary folder at each "
    "start: build it with --onedir and scan that folder"
)
UPX = phrase(
    "it is packed with UPX, so that what is inside cannot be read: unpack it first (upx -d), or build it without UPX"
)
_PY2EXE = phrase(
    "it is a py2exe program that keeps DLLs in itself and loads them from memory: build it with "
    "bundle_files=3 and scan that folder"
)
_ZIPAPP = phrase(
    "it is a zipapp, which imports from the zip at its own end: unpack the zip into a folder and scan that"
)

KINDS = (_NUITKA, _PYINSTALLER, UPX, _PY2EXE, _ZIPAPP)


def recognise_packed(tree: Tree, program: str) -> str:
    """Return what kind of one-file program this is and what the user can do, an empty string for any other program.

    Never raises.
    """
    entry = tree.file(program)
    pe = open_headers(entry.source) if entry is not None else None
    if pe is None:
        return ""
    if has_bundle(tree, program):
        return _PYINSTALLER if is_onefile(tree, program) else ""
    if _is_nuitka_onefile(pe):
        return _NUITKA
    if _has_sections(pe, _SECTIONS_OF_UPX):
        return UPX
    archive = open_zip(pe.data)
    if archive is not None and _has_py2exe_script(pe):
        return _PY2EXE if any(fold(name).endswith((".pyd", ".dll")) for name in archive.members) else ""
    if archive is not None and not {"__main__.py", "__main__.pyc"}.isdisjoint(archive.members):
        return _ZIPAPP
    return ""


def _is_nuitka_onefile(pe: Headers) -> bool:
    # Since 4.0 the payload is in a section or a resource of the bootstrap program, before that it is behind them.
    return _NUITKA_PAYLOAD.search(pe.data) is not None


def _has_sections(pe: Headers, wanted: tuple[bytes, ...]) -> bool:
    """Return True if sections of these names are there. Windows reads the names of eight bytes for nothing else."""
    count = int.from_bytes(pe.data[pe.pe_offset + 6 : pe.pe_offset + 8], "little")
    start = pe.pe_offset + 24 + int.from_bytes(pe.data[pe.pe_offset + 20 : pe.pe_offset + 22], "little")
    starts = range(start, start + min(count, _MOST_SECTIONS) * _SECTION_HEADER, _SECTION_HEADER)
    return set(wanted) <= {pe.data[at : at + 8].rstrip(b"\0") for at in starts}


def _has_py2exe_script(pe: Headers) -> bool:
    """Return True if a resource is of the type in which py2exe keeps the script."""
    rva, size = pe.directories[RESOURCES]
    try:
        return bool(rva) and _PY2EXE_SCRIPT.encode("utf-16-le") in pe.read(rva, min(size, _LARGEST_RESOURCES))
    except ValueError:
        return False
