"""The tables about Windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from depfix.errors import DataFileError
from depfix.model.machine import Machine

TARGETS: dict[str, str] = {"win10": "Windows 10", "win11": "Windows 11"}
DEFAULT_TARGET = "win10"
_RELEASES = {"win10": "10", "win11": "11"}
_TABLE_OF = {Machine.AMD64: "amd64", Machine.X86: "x86", Machine.ARM64: "arm64"}


@dataclass(frozen=True, slots=True)
class VcRuntime:
    """One DLL of a Visual C++ redistributable: which one, and the packages that carry it."""

    redistributable: str
    packages: str


@lru_cache(maxsize=8)
def system_dlls(target: str, machine: Machine) -> frozenset[str]:
    """Return the lower-case names of the DLLs that a vanilla `target` (a key of TARGETS) has for such a process.

    Raises DataFileError if the table is damaged. A machine without a table gets the one of amd64.
    """
    name = f"system-dlls-{_TABLE_OF.get(machine, 'amd64')}.tsv"
    release = _RELEASES[target]
    rows = _rows(name)
    found = frozenset(row[0] for row in rows if release in row[1].split(","))
    if len(rows) < 2000 or not {"kernel32.dll", "ntdll.dll", "ws2_32.dll"} <= found:
        raise DataFileError(name, "it does not hold the core of Windows")
    return found


@lru_cache(maxsize=1)
def api_sets() -> dict[str, str]:
    """Return {hashed part of an API set's name: host DLL}, an empty host where this Windows has none.

    The loader compares only the hashed part: the name without what follows its last hyphen. Source: Microsoft Learn,
    "API set loader operation" https://learn.microsoft.com/windows/win32/apiindex/api-set-loader-operation
    """
    name = "api-sets-10.0.17134.tsv"
    hosts: dict[str, str] = {}
    for row in _rows(name):
        if len(row) < 2 or not row[0].startswith(("api-", "ext-")):
            raise DataFileError(name, f"unexpected row {row[0]!r}")
        hosts[row[0][: int(row[1])]] = row[2].partition(",")[0] if len(row) > 2 else ""
    if not 700 <= len(hosts) <= 1200:
        raise DataFileError(name, f"{len(hosts)} API sets")
    return hosts


@lru_cache(maxsize=1)
def known_dlls() -> frozenset[str]:
    """Return the lower-case names that are always taken from System32."""
    return frozenset(row[0] for row in _rows("known-dlls.tsv"))


@lru_cache(maxsize=1)
def vc_runtimes() -> dict[str, VcRuntime]:
    """Return {lower-case DLL name: the redistributable that brings it}."""
    table = {row[0]: VcRuntime(row[1], row[2] if len(row) > 2 else "") for row in _rows("vc-runtime.tsv")}
    if "vcruntime140.dll" not in table:
        raise DataFileError("vc-runtime.tsv", "vcruntime140.dll is absent")
    return table


def read_data(name: str) -> bytes:
    """Return the bytes of a data file of this package. Raises DataFileError if it is not there."""
    import pkgutil  # here: start-up needs no data

    try:
        data = pkgutil.get_data("depfix.knowledge", f"data/{name}")
    except OSError as error:
        raise DataFileError(name, str(error)) from error
    if data is None:
        raise DataFileError(name, "it cannot be loaded")
    return data


def _rows(name: str) -> list[list[str]]:
    lines = read_data(name).decode("utf-8").splitlines()
    if not lines or "provenance:" not in "".join(lines[:5]):
        raise DataFileError(name, "it does not say where its facts are from")
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if len({row[0] for row in rows}) != len(rows):
        raise DataFileError(name, "a name stands there twice")
    return rows
