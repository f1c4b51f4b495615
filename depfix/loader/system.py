"""What a clean Windows has, without any file of it at hand."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.knowledge.tables import api_sets, known_dlls, system_dlls
from depfix.model.machine import Machine


@dataclass(frozen=True, slots=True)
class CleanSystem:
    """A vanilla Windows: `target` as `--target` names it, and the machine of the process."""

    target: str
    machine: Machine

    def has(self, name: str) -> bool:
        """Return True if System32 (SysWOW64 for a 32-bit process) has a DLL of this folded name."""
        return name in system_dlls(self.target, self.machine)

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
        stem = name.removesuffix(".dll")
        return api_sets().get(stem.rpartition("-")[0])
