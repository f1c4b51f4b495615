"""What a file is that holds programs or packages without being a folder: archives, installers, packages.

Sources: PKWARE, ".ZIP File Format Specification" https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT ; 7-Zip,
"7z Format" (kSignature) https://py7zr.readthedocs.io/en/latest/archive_format.html ; RARLAB, "RAR 5.0 archive format"
https://www.rarlab.com/technote.htm ; Microsoft, "[MS-CFB]: Compound File Header"
https://learn.microsoft.com/openspecs/windows_protocols/ms-cfb ; NSIS, Source/exehead/fileform.h (FH_SIG, FH_INT1)
https://github.com/kichik/nsis ; Inno Setup, Shared.Struct.pas (SetupID) https://github.com/jrsoftware/issrc ;
WiX, burn/engine/section.cpp (.wixburn) https://github.com/wixtoolset/wix
"""

from __future__ import annotations

import re

from depfix.frozen.zips import open_zip
from depfix.model.names import fold
from depfix.pe.headers import Data, Headers
from depfix.wording.message import phrase

_STARTS = (
    (b"7z\xbc\xaf\x27\x1c", phrase("a 7-Zip archive")),
    (b"Rar!\x1a\x07", phrase("a RAR archive")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", phrase("an installer (MSI), or another compound file")),
    (b"MSCF", phrase("a cabinet archive")),
    (b"\x1f\x8b", phrase("a gzip archive")),
    (b"BZh", phrase("a bzip2 archive")),
    (b"\xfd7zXZ\0", phrase("an xz archive")),
    (b"\x28\xb5\x2f\xfd", phrase("a zstd archive")),
)
_PACKAGES = (".whl", ".conda", ".egg", ".nupkg")
_INSTALLER_TEXT = re.compile(rb"\xef\xbe\xad\xdeNullsoftInst|Inno Setup Setup Data \(")
_BURN = b".wixburn"
_SFX = re.compile(rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07")
_NEAR = 4 << 20  # bytes behind the sections: a stub's own data comes first
_SECTION_ROW, _MOST_SECTIONS = 40, 96


def archive_words(start: bytes) -> str:
    """Return what kind of archive begins with these bytes, an empty string if it is none that is known."""
    return next((words for mark, words in _STARTS if start.startswith(mark)), "")


def is_package(name: str) -> bool:
    """Return True for the name of a package of pip, conda or NuGet."""
    return fold(name).endswith(_PACKAGES)


def programs_in_zip(data: Data) -> tuple[str, ...] | None:
    """Return the paths of the programs in a zip, those nearest to its top first; None if it is no zip."""
    archive = open_zip(data)
    if archive is None:
        return None
    names = [name.replace("\\", "/") for name in archive.members if fold(name).endswith(".exe")]
    return tuple(sorted(names, key=lambda name: (name.count("/"), name)))


def installer_words(pe: Headers) -> str:
    """Return what kind of installer or self-extracting archive a program is, an empty string if it is none."""
    if _BURN in _section_names(pe):
        return phrase("an installer (WiX)")
    behind = max((section.raw + section.raw_size for section in pe.sections), default=0)
    found = _INSTALLER_TEXT.search(pe.data, behind)
    if found is not None:
        return phrase("an installer (Inno Setup)") if found[0].startswith(b"Inno") else phrase("an installer (NSIS)")
    if _SFX.search(pe.data, behind, behind + _NEAR):
        return phrase("a self-extracting archive")
    return ""


def _section_names(pe: Headers) -> frozenset[bytes]:
    count = int.from_bytes(pe.data[pe.pe_offset + 6 : pe.pe_offset + 8], "little")
    start = pe.pe_offset + 24 + int.from_bytes(pe.data[pe.pe_offset + 20 : pe.pe_offset + 22], "little")
    starts = range(start, start + min(count, _MOST_SECTIONS) * _SECTION_ROW, _SECTION_ROW)
    return frozenset(pe.data[at : at + 8].rstrip(b"\0") for at in starts)
