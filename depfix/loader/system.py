"""What a clean Windows has, without any file of it at hand."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.knowledge.tables import (
    api_sets,
    assembly_dlls,
    carried_system_dlls,
    known_dlls,
    newer_api_sets,
    releases_with,
    system_dlls,
)
from depfix.knowledge.targets import Feature, Target, features
from depfix.model.machine import Machine
from depfix.wording.message import phrase

_RELEASES = {
    "7sp1": phrase("Windows 7"),
    "8.1": phrase("Windows 8.1"),
    "10": phrase("Windows 10"),
    "11": phrase("Windows 11"),
}


@dataclass(frozen=True, slots=True)
class CleanSystem:
    """A vanilla Windows as a process of this machine sees it."""

    target: Target
    machine: Machine

    def has(self, name: str) -> bool:
        """Return True if Windows itself serves a DLL of this folded name.

        It lies in System32 (SysWOW64 for a 32-bit process), or in a side-by-side assembly that serves every process.
        """
        return self._in_release(name) and not self._edition_lacks(name)

    def absence(self, name: str) -> Feature | None:
        """Return what would bring a DLL or API set that this Windows lacks, None if it is nothing of Windows."""
        if self.has(name) or self.api_set_host(name) is not None:
            return None
        if carried_system_dlls().get(name) == "other-project":
            return None  # who needs it means the one that the program carries
        known = features().get(name)
        gap = self._gap(name)
        if known is not None and self._edition_lacks(name) and (self._in_release(name) or gap is not None):
            return known.feature
        if gap is not None:
            return gap
        if known is not None and known.absent & {"always", "table"}:
            return known.feature
        return self._newer(name)

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
        _, build, host = newer_api_sets().get(_set_name(name), (0, 0, ""))
        return host if build and self.target.build >= build else None

    def _in_release(self, name: str) -> bool:
        known = features().get(name)
        if known is not None and known.build and self.target.build >= known.build:
            return True
        if name in assembly_dlls():
            return True
        if self.target.machine is Machine.ARM64 and self.machine is Machine.AMD64:
            # The System32 of Windows on Arm serves both kinds of process, as far as its files are ARM64X.
            if name not in system_dlls(self.target.release, Machine.ARM64):
                return False
        return name in system_dlls(self.target.release, self.machine)

    def _edition_lacks(self, name: str) -> bool:
        known = features().get(name)
        return known is not None and bool(known.absent & {self.target.edition, self.target.name})

    def _gap(self, name: str) -> Feature | None:
        """Return what is known of a DLL that only the list for amd64 names: the one for arm64 is not complete."""
        on_arm = Machine.ARM64 in (self.machine, self.target.machine) and self.machine is not Machine.X86
        if not on_arm or self._in_release(name) or name not in system_dlls(self.target.release, Machine.AMD64):
            return None
        return Feature(
            "release",
            "windows-release",
            phrase("{release} for amd64", release=_RELEASES[self.target.release]),
            sure=False,
        )

    def _newer(self, name: str) -> Feature | None:
        """Return the newer Windows that has a name by itself."""
        order = list(_RELEASES)
        releases = [
            release
            for release in releases_with(name, self.machine)
            if order.index(release) > order.index(self.target.release)
        ]
        if releases:
            # Windows Server is built between two releases of the tables: it may have what the newer one has.
            between = self.target.edition == "core"
            words = phrase("{release}, which has it by itself", release=_RELEASES[releases[0]])
            return Feature("release", "windows-release", words, sure=not between)
        lacking, build, _ = newer_api_sets().get(_set_name(name), (0, 0, ""))
        if not build and _set_name(name) not in api_sets("win10"):
            return None
        sure = not lacking < self.target.build < build
        return Feature("release", "windows-release", phrase("a newer Windows, which has this API set"), sure=sure)


def _set_name(name: str) -> str:
    return name.removesuffix(".dll").rpartition("-")[0]
