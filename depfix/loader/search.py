"""Load contexts and the search order of each.

Sources: Microsoft Learn, "Dynamic-link library search order"
https://learn.microsoft.com/windows/win32/dlls/dynamic-link-library-search-order and "LoadLibraryExW"
https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryexw ; CPython's
Python/dynload_win.c and Lib/ctypes/__init__.py for the flags that Python passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

STANDARD = 0
ALTERED = 0x0008
DLL_LOAD_DIR = 0x0100
APPLICATION_DIR = 0x0200
USER_DIRS = 0x0400
SYSTEM32 = 0x0800
DEFAULT_DIRS = 0x1000
SEARCH_FLAGS = DLL_LOAD_DIR | APPLICATION_DIR | USER_DIRS | SYSTEM32 | DEFAULT_DIRS


class PlaceKind(Enum):
    """Why the loader looks at a place; the text is what a report prints."""

    ASSEMBLY = "private side-by-side assembly"
    LOADED = "already loaded in the process"
    API_SET = "API set schema"
    KNOWN = "KnownDLLs"
    EXACT = "the path given"
    DLL_LOAD_DIR = "directory of the DLL asked for"
    APPLICATION = "program's directory"
    USER = "directory added by code"
    SYSTEM = "Windows (System32)"
    PATH = "PATH set by code"


@dataclass(frozen=True, slots=True)
class Place:
    """One step of a search: a dist-relative folder, empty for the program's directory and for Windows itself."""

    kind: PlaceKind
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Directories:
    """What a process knows when a load begins, as dist-relative folders.

    `user` are the directories given to AddDllDirectory, `dll_directory` the one given to SetDllDirectory, `path` those
    that code put on PATH. `default_flags` are those of SetDefaultDllDirectories, 0 if nobody called it. A clean
    machine's own PATH and its current directory are no places of the dist.
    """

    application: str
    user: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    dll_directory: str | None = None
    default_flags: int = 0


def python_import_flags(version: tuple[int, int]) -> int:
    """Return the LoadLibraryEx flags with which CPython of this version imports an extension module."""
    return ALTERED if version < (3, 8) else DEFAULT_DIRS | DLL_LOAD_DIR


def ctypes_flags(version: tuple[int, int], has_folder: bool) -> int:
    """Return the flags with which ctypes of this version loads a DLL given by path (`has_folder`) or by name."""
    if version < (3, 8):
        return STANDARD
    return DEFAULT_DIRS | (DLL_LOAD_DIR if has_folder else 0)


def cffi_flags(has_folder: bool) -> int:
    """Return the flags with which cffi's dlopen loads a DLL. Source: cffi, src/c/misc_win32.h (since 1.14.6)."""
    return DEFAULT_DIRS | DLL_LOAD_DIR if has_folder else STANDARD


def search_places(flags: int, asked_folder: str | None, directories: Directories) -> tuple[Place, ...]:
    """Return the folders that serve a load, in order, behind the loaded-module list, API sets and KnownDLLs.

    `asked_folder` is the directory of the DLL or extension module that was asked for by a full path, and None if it was
    asked for by name. It serves every static import of that module at any depth: the directory of a DLL in between
    plays no part.
    """
    if flags & SEARCH_FLAGS:
        return _restricted(flags, asked_folder, directories)
    if directories.default_flags and not flags & ALTERED:
        return _restricted(directories.default_flags, asked_folder, directories)
    first = Place(PlaceKind.APPLICATION, directories.application)
    if flags & ALTERED and asked_folder is not None:
        first = Place(PlaceKind.DLL_LOAD_DIR, asked_folder)
    set_by_code = [Place(PlaceKind.USER, directories.dll_directory)] if directories.dll_directory is not None else []
    path = [Place(PlaceKind.PATH, folder) for folder in directories.path]
    return (first, *set_by_code, Place(PlaceKind.SYSTEM), *path)


def dependent_places(
    flags: int, own_folder: str, places: tuple[Place, ...], directories: Directories
) -> tuple[Place, ...]:
    """Return where the static imports of an image are looked for that was linked with /DEPENDENTLOADFLAG.

    Without search flags in it they are `places`, those of the load that brought the image in. Source: Microsoft Learn,
    "/DEPENDENTLOADFLAG" https://learn.microsoft.com/cpp/build/reference/dependentloadflag
    """
    return _restricted(flags, own_folder, directories) if flags & SEARCH_FLAGS else places


def _restricted(flags: int, asked_folder: str | None, directories: Directories) -> tuple[Place, ...]:
    default = bool(flags & DEFAULT_DIRS)
    places: list[Place] = []
    if flags & DLL_LOAD_DIR and asked_folder is not None:
        places.append(Place(PlaceKind.DLL_LOAD_DIR, asked_folder))
    if default or flags & APPLICATION_DIR:
        places.append(Place(PlaceKind.APPLICATION, directories.application))
    if default or flags & USER_DIRS:
        folders = (directories.dll_directory, *directories.user)
        places += [Place(PlaceKind.USER, folder) for folder in folders if folder is not None]
    if default or flags & SYSTEM32:
        places.append(Place(PlaceKind.SYSTEM))
    return tuple(places)
