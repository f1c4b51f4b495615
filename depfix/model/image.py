"""One PE image as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from depfix.model.machine import Machine


@dataclass(frozen=True, slots=True)
class Image:
    """What the loader reads of an image before any code of it runs.

    `imports` and `delay_imports` are the DLL names of the import directory and the delay-load directory, in their order
    and as they are spelled there.
    """

    machine: Machine
    is_dll: bool
    imports: tuple[str, ...]
    delay_imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """Why a file is no image that Windows would load, or why depfix could not look.

    `unreadable` is True if the file could not be read at all: then nothing is known of it.
    """

    reason: str
    unreadable: bool = False


ImageOrProblem: TypeAlias = Image | ImageProblem


@dataclass(frozen=True, slots=True)
class ImportedDll:
    """One entry of an import directory, with what it takes from the DLL."""

    name: str
    symbols: tuple[str, ...]
    ordinals: tuple[int, ...]
    delayed: bool


@dataclass(frozen=True, slots=True)
class Forwarder:
    """An export that stands for an export of another DLL: `target` is `HOST.name` or `HOST.#ordinal`."""

    name: str
    ordinal: int
    target: str


@dataclass(frozen=True, slots=True)
class Exports:
    """An export directory: names sorted as in the file, every ordinal that has an address, and the forwarders."""

    names: tuple[str, ...]
    ordinals: frozenset[int]
    forwarders: tuple[Forwarder, ...]
