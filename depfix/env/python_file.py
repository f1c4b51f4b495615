"""A Python for Windows as it is downloaded: the embeddable one (.zip), or NuGet's (.nupkg), read in place.

Source: Python documentation, "Using Python on Windows", The embeddable package, The nuget.org packages
https://docs.python.org/3/using/windows.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

from depfix.env.archives import Wanted, python_words
from depfix.env.safe_archive import RefusedArchiveError
from depfix.env.zip_archive import read_member, read_members, unpack_members
from depfix.model.machine import Machine
from depfix.model.names import fold
from depfix.wording.message import phrase

SUFFIXES = (".nupkg", ".zip")
_PYTHON_DLL = re.compile(r"(tools/)?python(\d)(\d{2,4})(t?)\.dll")
_HEADERS = 4096
_NEW_HEADER = 0x3C  # offset of the offset of the PE header


class PythonFile:
    """One Python. Raises RefusedArchiveError if it is damaged, or if no Python is in it."""

    is_conda = False
    name = "python"

    def __init__(self, path: str) -> None:
        self.path = path
        every = read_members(path, lambda name: name)
        found = next(filter(None, (_PYTHON_DLL.fullmatch(fold(member.name)) for member in every)), None)
        if found is None:
            raise RefusedArchiveError(phrase("no Python for Windows is in it (python3xx.dll)"))
        self.python: tuple[int, int] = (int(found[2]), int(found[3]))
        self.version = f"{found[2]}.{found[3]}"
        self._free_threaded = bool(found[4])
        start = found[1] or ""
        self._members = read_members(path, lambda name: name[len(start) :] if fold(name).startswith(start) else "")
        self.files: Mapping[str, str] = {member.path: member.name for member in self._members}
        dll = next(member.name for member in every if fold(member.name) == found[0])
        self._machine = _machine(read_member(path, dll, _HEADERS))

    def misfit(self, wanted: Wanted) -> str:
        """Return which Python it is, if that is not the dist's; an empty string if it is."""
        if self._machine is not wanted.machine:
            return phrase(
                "it is {machine}, the program is {machine2}", machine=self._machine.words, machine2=wanted.machine.words
            )
        if wanted.python is not None and (self.python, self._free_threaded) != (wanted.python, wanted.free_threaded):
            free = phrase(", free-threaded") if self._free_threaded else ""
            return phrase(
                "it is {python}{free}, the program has {python2}",
                python=python_words(self.python),
                free=free,
                python2=python_words(wanted.python),
            )
        return ""

    def rank(self, wanted: Wanted) -> int:
        """Return 1 for an embeddable Python, whose standard library is bytecode alone, else 0."""
        return 0 if any(fold(path) == "lib/os.py" for path in self.files) else 1

    def requires(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def unpack(self, folder: str) -> None:
        """Write its files. Raises RefusedArchiveError if one is damaged, OSError if the disk refuses."""
        for _ in unpack_members(self.path, self._members, folder):
            pass


def _machine(start: bytes) -> Machine:
    """Return the machine of an image by its first bytes. Source: Microsoft Learn, "PE Format", COFF File Header
    https://learn.microsoft.com/windows/win32/debug/pe-format
    """
    try:
        offset = struct.unpack_from("<I", start, _NEW_HEADER)[0]
        mark, machine = struct.unpack_from("<4sH", start, offset)
    except struct.error:
        return Machine.OTHER
    return Machine.from_coff(machine) if mark == b"PE\0\0" else Machine.OTHER
