"""Search order by load context."""

from __future__ import annotations

import pytest

from depfix.dist.tree import FileEntry, FileKind, Tree
from depfix.knowledge.tables import api_sets, known_dlls, system_dlls, vc_runtimes
from depfix.knowledge.targets import targets
from depfix.loader.resolve import Outcome, resolve
from depfix.loader.search import (
    ALTERED,
    DEFAULT_DIRS,
    DLL_LOAD_DIR,
    STANDARD,
    Directories,
    PlaceKind,
    ctypes_flags,
    python_import_flags,
    search_places,
)
from depfix.loader.system import CleanSystem
from depfix.model.machine import Machine

WIN10 = CleanSystem(targets()["win10"], Machine.AMD64)
BOTH = DEFAULT_DIRS | DLL_LOAD_DIR
DIRECTORIES = Directories("", ("user",), ("path",))


def tree(*paths: str) -> Tree:
    return Tree("/nowhere", [FileEntry(path, path, 1, FileKind.IMAGE) for path in paths])


@pytest.mark.parametrize(
    ("flags", "folder", "places"),
    [
        (python_import_flags((3, 8)), "pkg", ["pkg", "", "user", "SYSTEM"]),
        (python_import_flags((3, 7)), "pkg", ["pkg", "SYSTEM", "path"]),
        (ctypes_flags((3, 10), True), "pkg", ["pkg", "", "user", "SYSTEM"]),
        (ctypes_flags((3, 10), False), None, ["", "user", "SYSTEM"]),
        (ctypes_flags((3, 7), True), "pkg", ["", "SYSTEM", "path"]),
        (STANDARD, "pkg", ["", "SYSTEM", "path"]),
        (ALTERED, "pkg", ["pkg", "SYSTEM", "path"]),
        (0xF00, "pkg", ["pkg", "", "user", "SYSTEM"]),
        (0x200 | 0x800, "pkg", ["", "SYSTEM"]),
    ],
)
def test_search_order(flags: int, folder: str | None, places: list[str]) -> None:
    found = search_places(flags, folder, DIRECTORIES)
    assert [place.folder if place.kind is not PlaceKind.SYSTEM else "SYSTEM" for place in found] == places


@pytest.mark.parametrize(
    ("name", "files", "loaded", "outcome", "path"),
    [
        ("UV.dll", ("pkg/uv.dll", "uv.dll"), {}, Outcome.FILE, "pkg/uv.dll"),
        ("uv.dll", ("uv.dll", "user/uv.dll"), {}, Outcome.FILE, "uv.dll"),
        ("uv.dll", ("user/UV.DLL",), {}, Outcome.FILE, "user/UV.DLL"),
        ("uv.dll", ("path/uv.dll", "other/uv.dll"), {}, Outcome.MISSING, ""),
        ("uv.dll", ("pkg/uv.dll",), {"uv.dll": "far/uv.dll"}, Outcome.LOADED, "far/uv.dll"),
        ("ws2_32.dll", ("pkg/ws2_32.dll",), {}, Outcome.SYSTEM, "ws2_32.dll"),  # KnownDLLs
        ("version.dll", ("pkg/version.dll",), {}, Outcome.FILE, "pkg/version.dll"),
        ("version", (), {}, Outcome.SYSTEM, "version.dll"),
        ("api-ms-win-crt-heap-l1-1-0.dll", ("api-ms-win-crt-heap-l1-1-0.dll",), {}, Outcome.SYSTEM, "ucrtbase.dll"),
        ("api-ms-win-crt-heap-l1-1-9.dll", (), {}, Outcome.SYSTEM, "ucrtbase.dll"),  # the last number is no part of it
        ("api-ms-nobody-knows-l1-1-0.dll", (), {}, Outcome.MISSING, ""),
        ("api-ms-nobody-knows-l1-1-0.dll", ("api-ms-nobody-knows-l1-1-0.dll",), {}, Outcome.FILE,
         "api-ms-nobody-knows-l1-1-0.dll"),
        ("msvcp140.dll", (), {}, Outcome.MISSING, ""),  # the VC runtime is no part of Windows
    ],
)  # fmt: skip
def test_resolution(name: str, files: tuple[str, ...], loaded: dict[str, str], outcome: Outcome, path: str) -> None:
    found = resolve(name, search_places(BOTH, "pkg", DIRECTORIES), loaded, tree(*files), WIN10)
    assert (found.outcome, found.path) == (outcome, path)


def test_the_trail_ends_where_it_was_found_or_shows_every_place() -> None:
    places = search_places(BOTH, "pkg", DIRECTORIES)
    missing = resolve("uv.dll", places, {}, tree("x/uv.dll"), WIN10)
    kinds = [place.kind for place in missing.trail]
    assert kinds == [PlaceKind.LOADED, PlaceKind.KNOWN, *(place.kind for place in places)]
    found = resolve("uv.dll", places, {}, tree("uv.dll"), WIN10)
    assert found.trail[-1].kind is PlaceKind.APPLICATION


@pytest.mark.parametrize("machine", [Machine.AMD64, Machine.X86, Machine.ARM64])
@pytest.mark.parametrize("release", ["10", "11"])
def test_tables_hold_windows_and_not_what_programs_bring(release: str, machine: Machine) -> None:
    names = system_dlls(release, machine)
    assert {"kernel32.dll", "ucrtbase.dll", "dbghelp.dll", "version.dll"} <= names
    assert not names & set(vc_runtimes())
    assert not names & {"libcrypto-3.dll", "zlib1.dll", "python310.dll"}
    assert all(name == name.lower() for name in names)
    assert known_dlls() - names <= {"wow64.dll", "wow64cpu.dll", "wow64win.dll", "difxapi.dll", "coml2.dll"}


def test_api_sets_lead_to_dlls_of_windows() -> None:
    hosts = {host for host in api_sets("win10").values() if host}
    assert "ucrtbase.dll" in hosts
    assert len(hosts & system_dlls("10", Machine.AMD64)) > 0.8 * len(hosts)
