"""Machine types of images and of processes."""

from __future__ import annotations

from enum import Enum

from depfix.wording.message import phrase


class Machine(Enum):
    """The machine of a PE image, by the name that `--target` and reports use."""

    AMD64 = "amd64"
    X86 = "x86"
    ARM64 = "arm64"
    ARM = "arm"
    OTHER = "other"

    @staticmethod
    def from_coff(value: int) -> Machine:
        """Return the machine for a COFF header's Machine field.

        Source: Microsoft Learn, "PE Format", Machine Types
        https://learn.microsoft.com/windows/win32/debug/pe-format#machine-types
        """
        return _COFF.get(value, Machine.OTHER)

    @property
    def words(self) -> str:
        """The machine as a user would say it."""
        return _WORDS[self]


_COFF = {0x8664: Machine.AMD64, 0x014C: Machine.X86, 0xAA64: Machine.ARM64, 0x01C4: Machine.ARM}
_WORDS = {
    Machine.AMD64: phrase("64-bit (amd64)"),
    Machine.X86: phrase("32-bit (x86)"),
    Machine.ARM64: phrase("64-bit ARM (arm64)"),
    Machine.ARM: phrase("32-bit ARM"),
    Machine.OTHER: phrase("another machine"),
}
