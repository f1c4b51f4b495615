"""What distributions require on the target, which is not the machine that depfix runs on.

Source: PEP 508, "Environment Markers" https://peps.python.org/pep-0508/#environment-markers
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.model.image import VersionInfo
from depfix.model.machine import Machine

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_WINDOWS = {
    "os_name": "nt",
    "sys_platform": "win32",
    "platform_system": "Windows",
    "platform_release": "10",
    "platform_version": "10.0.19041",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}
_MACHINES = {Machine.AMD64: "AMD64", Machine.X86: "x86", Machine.ARM64: "ARM64", Machine.ARM: "ARM"}


@dataclass(frozen=True, slots=True)
class Required:
    """One requirement that holds on the target: the distribution's name, and the versions that do ("" for any)."""

    name: str
    specifier: str

    def admits(self, version: str) -> bool:
        """Return True if a version does, pre-releases included; True too for one that cannot be understood."""
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        try:
            return SpecifierSet(self.specifier).contains(Version(version), prereleases=True)
        except ValueError:  # InvalidVersion, InvalidSpecifier, or a number of too many digits
            return True


def full_version(version: tuple[int, int], resource: VersionInfo | None) -> str:
    """Return the version of a Python with its last number, as the version resource of its DLL has it, else 0.

    The third number there is a thousand times that one. Source: CPython, PC/python_ver_rc.h
    https://github.com/python/cpython/blob/main/PC/python_ver_rc.h
    """
    same = resource is not None and resource.file_version[:2] == version
    return f"{version[0]}.{version[1]}.{resource.file_version[2] // 1000 if resource is not None and same else 0}"


def target_markers(version: tuple[int, int], machine: Machine, full: str = "") -> Mapping[str, str]:
    """Return what markers are evaluated with, for a Python of this version and machine on Windows.

    `full` is the version with its last number, where that is known.
    """
    python = f"{version[0]}.{version[1]}"
    return {
        **_WINDOWS,
        "platform_machine": _MACHINES.get(machine, "AMD64"),
        "python_version": python,
        "python_full_version": full or f"{python}.0",
        "implementation_version": full or f"{python}.0",
    }


def requirements(rows: Iterable[str], markers: Mapping[str, str]) -> Iterator[Required]:
    """Yield those of some Requires-Dist fields that hold on the target; those for extras are left out.

    What cannot be understood is left out, too.
    """
    for row in rows:
        found = _parsed(row)
        if found is not None and _holds(found, markers):
            yield Required(found.name, str(found.specifier))


def _parsed(row: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(row)
    except (InvalidRequirement, RecursionError):  # brackets in brackets
        return None


def _holds(requirement: Requirement, markers: Mapping[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(markers))
    except (ValueError, RecursionError):  # a comparison that is undefined, a number of too many digits
        return False
