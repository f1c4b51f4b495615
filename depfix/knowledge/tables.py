"""The tables about Windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from depfix.errors import DataFileError
from depfix.model.machine import Machine

_SCHEMAS = {
    "win7": "api-sets-win7.tsv",
    "win8.1": "api-sets-win8.1.tsv",
    "win10": "api-sets-10.0.17134.tsv",
}
_OF_WINDOWS = "microsoft.windows."
_BASE_BUILD = 17134  # of the newest API set table that is whole
_TABLE_OF = {Machine.AMD64: "amd64", Machine.X86: "x86", Machine.ARM64: "arm64"}


@dataclass(frozen=True, slots=True)
class VcRuntime:
    """One DLL of the Visual C++ runtime: the redistributable that brings it, and the packages that carry it.

    `kind` is `release`, `debug` (only on a developer's machine, by licence) or `tools` (only with Visual Studio).
    """

    redistributable: str
    packages: str
    kind: str


@dataclass(frozen=True, slots=True)
class WindowsAssembly:
    """A side-by-side assembly that Windows or a redistributable brings.

    `present` says whether a clean Windows has it, `files` are the lower-case names of DLLs that it serves and System32
    may lack, `redistributable` is what brings it where Windows does not.
    """

    present: bool
    files: tuple[str, ...]
    redistributable: str


@lru_cache(maxsize=16)
def system_dlls(release: str, machine: Machine) -> frozenset[str]:
    """Return the lower-case names of the DLLs that a vanilla Windows has for processes of this machine.

    `release` is 7sp1, 8.1, 10 or 11. Raises DataFileError if the table is damaged. A machine without a table gets the
    one of amd64.
    """
    name = f"system-dlls-{_TABLE_OF.get(machine, 'amd64')}.tsv"
    rows = read_rows(name)
    found = frozenset(row[0] for row in rows if release in row[1].split(","))
    if len(rows) < 2000 or (found and not {"kernel32.dll", "ntdll.dll", "ws2_32.dll"} <= found):
        raise DataFileError(name, "it does not hold the core of Windows")
    return found


@lru_cache(maxsize=8)
def releases_with(name: str, machine: Machine) -> tuple[str, ...]:
    """Return the releases (7sp1, 8.1, 10, 11) that have a DLL of this folded name by themselves, oldest first."""
    return tuple(release for release in ("7sp1", "8.1", "10", "11") if name in system_dlls(release, machine))


@lru_cache(maxsize=4)
def api_sets(schema: str) -> dict[str, str]:
    """Return {hashed part of an API set's name: host DLL} of the schema `win7`, `win8.1` or `win10`.

    An empty host: this Windows has the set without a host. Windows 10 compares only the hashed part, the name without
    what follows its last hyphen; Windows 7 and 8.1 compare the whole name. Source: Microsoft Learn, "API set loader
    operation" https://learn.microsoft.com/windows/win32/apiindex/api-set-loader-operation
    """
    name = _SCHEMAS[schema]
    hosts: dict[str, str] = {}
    for row in read_rows(name):
        if len(row) < 2 or not row[0].startswith(("api-", "ext-")):
            raise DataFileError(name, f"unexpected row {row[0]!r}")
        hosts[row[0][: int(row[1])]] = _host(row[2] if len(row) > 2 else "")
    if not 20 <= len(hosts) <= 1200 or not {"api-ms-win-core-file-l1-1", "api-ms-win-core-file-l1-1-0"} & hosts.keys():
        raise DataFileError(name, f"{len(hosts)} API sets")
    return hosts


def _host(text: str) -> str:
    return "" if text == "-" else text.partition(",")[0]


@lru_cache(maxsize=1)
def newer_api_sets() -> dict[str, tuple[int, int, str]]:
    """Return {API set without its last number: (last build known to lack it, first known to have it, host)}.

    These are the sets beyond the tables; of the builds between the two nothing is known.
    """
    rows = read_rows("api-sets-additions.tsv")
    builds = sorted({_BASE_BUILD, *(int(row[1]) for row in rows)})
    before = dict(zip(builds[1:], builds, strict=False))
    return {row[0].rpartition("-")[0]: (before[int(row[1])], int(row[1]), _host(row[2])) for row in rows}


@lru_cache(maxsize=1)
def known_dlls() -> frozenset[str]:
    """Return the lower-case names that are always taken from System32."""
    return frozenset(row[0] for row in read_rows("known-dlls.tsv"))


@lru_cache(maxsize=1)
def vc_runtimes() -> dict[str, VcRuntime]:
    """Return {lower-case DLL name: the redistributable that brings it}."""
    table = {row[0]: VcRuntime(row[1], *[*row[2:], "", ""][:2]) for row in read_rows("vc-runtime.tsv")}
    if "vcruntime140.dll" not in table or not {row.kind for row in table.values()} <= {"release", "debug", "tools"}:
        raise DataFileError("vc-runtime.tsv", "vcruntime140.dll or a kind is absent")
    return table


@lru_cache(maxsize=1)
def assemblies() -> dict[str, WindowsAssembly]:
    """Return {lower-case name of a side-by-side assembly: what is known of it}."""
    return {
        row[0]: WindowsAssembly(row[1] == "yes", tuple(row[2].split(",")) if row[2] else (), row[3])
        for row in read_rows("assemblies.tsv")
    }


def has_assembly(name: str) -> bool:
    """Return True if a clean Windows has a side-by-side assembly, one of its own that no table names included."""
    folded = name.lower()
    known = assemblies().get(folded)
    return known.present if known is not None else folded.startswith(_OF_WINDOWS)


@lru_cache(maxsize=1)
def assembly_dlls() -> frozenset[str]:
    """Return the lower-case names of the DLLs that Windows serves to every process from assemblies of its own."""
    return frozenset(
        file for name, one in assemblies().items() if one.present and name.startswith(_OF_WINDOWS) for file in one.files
    )


@lru_cache(maxsize=1)
def debug_redistributables() -> frozenset[str]:
    """Return what brings the debug runtimes, as the column `redistributable` of the tables spells it."""
    return frozenset(row.redistributable for row in vc_runtimes().values() if row.kind == "debug")


@lru_cache(maxsize=1)
def carried_system_dlls() -> dict[str, str]:
    """Return {lower-case name that Windows has and programs may carry: why, `redistributable` or `other-project`}."""
    return {row[0]: row[1] for row in read_rows("redistributable-system.tsv")}


@lru_cache(maxsize=1)
def licence_classifiers() -> dict[str, str]:
    """Return {licence's classifier without its prefixes: SPDX identifier or common name}."""
    return {row[0]: row[1] for row in read_rows("licence-classifiers.tsv")}


@lru_cache(maxsize=1)
def python_libraries() -> tuple[tuple[str, str], ...]:
    """Return (pattern of a lower-case name, licence or an empty string) of what CPython brings beside its own files."""
    return tuple((row[0], "" if row[1] == "-" else row[1]) for row in read_rows("python-libraries.tsv"))


@lru_cache(maxsize=1)
def environment_kinds() -> tuple[tuple[str, str, str, str], ...]:
    """Return (value, what tells it, family, kind) of the tools that make environments, the surest sign first.

    What tells is `file` (one in the environment), `place` (a pattern of its lower-case path with `/`) or `key` (of its
    pyvenv.cfg); the family is venv, python or conda. Raises DataFileError for another word.
    """
    rows = read_rows("environment-kinds.tsv")
    if not rows or any(len(row) != 4 or row[1] not in ("file", "place", "key") for row in rows):
        raise DataFileError("environment-kinds.tsv", "a row is no sign of a kind")
    return tuple((row[0], row[1], row[2], row[3]) for row in rows)


@lru_cache(maxsize=1)
def environment_places() -> tuple[str, ...]:
    """Return the patterns of all folders that can be an environment or a Python, each beginning with {BASE}."""
    rows = read_rows("environment-places.tsv")
    if not rows or any(not row[0].startswith("{") for row in rows):
        raise DataFileError("environment-places.tsv", "a row is no place")
    return tuple(row[0] for row in rows)


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


def read_rows(name: str) -> list[list[str]]:
    """Return the rows of a table, split at tabs. Raises DataFileError if it lacks its source or a key is not unique."""
    lines = read_data(name).decode("utf-8").splitlines()
    if not lines or "provenance:" not in "".join(lines[:5]):
        raise DataFileError(name, "it does not say where its facts are from")
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if len({row[0] for row in rows}) != len(rows):
        raise DataFileError(name, "a name stands there twice")
    return rows
