"""What a clean Windows has, without any file of it at hand."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.knowledge.tables import api_sets, known_dlls, newer_api_sets, releases_with, system_dlls
from depfix.knowledge.targets import Feature, Target, features
from depfix.model.machine import Machine

_RELEASES = {"7sp1": "Windows 7", "8.1": "Windows 8.1", "10": "Windows 10", "11": "Windows 11"}


@dataclass(frozen=True, slots=True)
class CleanSystem:
    """A vanilla Windows as a process of this machine sees it."""

    target: Target
    machine: Machine

    def has(self, name: str) -> bool:
        """Return True if System32 (SysWOW64 for a 32-bit process) has a DLL of this folded name."""
        return self._in_release(name) and self._edition_lacks(name) is None

    def absence(self, name: str) -> Feature | None:
        """Return what would bring a DLL or API set that this Windows lacks, None if it is nothing of Windows."""
        lacking = self._edition_lacks(name)
        if lacking is not None:
            return lacking
        if self._in_release(name) or self.api_set_host(name) is not None:
            return None
        releases = releases_with(name, self.machine)
        newer_set = _set_name(name) in api_sets("win10") or _set_name(name) in newer_api_sets()
        if name in features() and (releases or newer_set or "always" in features()[name][1]):
            return features()[name][0]
        if releases:
            return Feature("release", "windows-release", f"{_RELEASES[releases[0]]}, which has it by itself")
        return Feature("release", "windows-release", "a newer Windows, which has this API set") if newer_set else None

    def always_system(self, name: str) -> bool:
        """Return True for a KnownDLL: no file beside the program can take its place."""
        return name in known_dlls() and self.has(name)

    def api_set_host(self, name: str) -> str | None:
        """Return the DLL that serves an API set, "" if this Windows has the set without a host, None for other names.

        A name that begins as an API set but is in no schema is an ordinary file name. Source: Microsoft Learn,
        "API set loader operation" https://learn.microsoft.com/windows/win32/apiindex/api-set-loader-operation
        """
        if not name.startswith(("api-", "ext-")):
            return None
        sets = api_sets(self.target.schema)
        for part in (name.removesuffix(".dll"), _set_name(name)):
            if part in sets:
                return sets[part]
        build, host = newer_api_sets().get(_set_name(name), (0, ""))
        return host if build and self.target.build >= build else None

    def _in_release(self, name: str) -> bool:
        if self.target.machine is Machine.ARM64 and self.machine is Machine.AMD64:
            # The System32 of Windows on Arm serves both kinds of process, as far as its files are ARM64X.
            if name not in system_dlls(self.target.release, Machine.ARM64):
                return False
        return name in system_dlls(self.target.release, self.machine)

    def _edition_lacks(self, name: str) -> Feature | None:
        feature = features().get(name)
        if feature is None or not feature[1] & {self.target.edition, self.target.name}:
            return None
        return feature[0]


def _set_name(name: str) -> str:
    return name.removesuffix(".dll").rpartition("-")[0]
