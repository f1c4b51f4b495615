"""One PE image as a value."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from depfix.model.machine import Machine

Version: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Assembly:
    """The identity of a side-by-side assembly, as an assemblyIdentity element spells it; "" for what it leaves out."""

    name: str
    version: str
    machine: str
    token: str
    language: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A side-by-side manifest: what it is, the assemblies it depends on, the files of a private assembly.

    `supported_os` are the GUIDs of the compatibility section, in lower case and with braces. `problem` says why the XML
    cannot be read, in which case Windows refuses the load (ERROR_SXS_CANT_GEN_ACTCTX, 14001), else it is "".
    """

    identity: Assembly | None
    dependencies: tuple[Assembly, ...]
    files: tuple[str, ...]
    supported_os: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """The version resource: the two versions as numbers, and what the Explorer shows; "" for what it leaves out.

    `file_text` and `product_text` are the two versions as they are written for people ("1.1.1l").
    """

    file_version: Version
    product_version: Version
    company: str
    product: str
    description: str
    original_name: str
    file_text: str = ""
    product_text: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """What the loader reads of an image before any code of it runs.

    `imports` and `delay_imports` are the DLL names of the import directory and the delay-load directory, in their order
    and as they are spelled there. `linker` and `subsystem_version` are (major, minor). `by_msvc` says that Microsoft's
    linker wrote the file, `guarded` that it asks for control-flow guard, `hybrid` that it holds code for arm64 and for
    amd64 processes (ARM64X, ARM64EC). `bound` are the DLLs that the image is bound to. `manifest` is the embedded one.
    `unsigned_bytes` is how much of its signature lies behind the end of the file. `is_signed`: it has a certificate
    table. `packer` is what compressed it, empty if nothing did.
    """

    machine: Machine
    is_dll: bool
    imports: tuple[str, ...]
    delay_imports: tuple[str, ...]
    linker: tuple[int, int]
    by_msvc: bool
    subsystem: int
    subsystem_version: tuple[int, int]
    dependent_load_flags: int
    guarded: bool
    bound: tuple[str, ...]
    manifest: Manifest | None
    hybrid: bool
    unsigned_bytes: int = 0
    is_signed: bool = False
    packer: str = ""


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """Why a file is no image that Windows would load, or why depfix could not look.

    `unreadable` is True if the file could not be read at all: then nothing is known of it. `damaged`: an image was
    meant to stand there, whole; else it is a file of another kind.
    """

    reason: str
    unreadable: bool = False
    damaged: bool = False


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
    """An export that stands for an export of another DLL: `target` is `HOST.name` or `HOST.#ordinal`.

    `name` is "" for one that has only an ordinal; one that has several names stands here once for each.
    """

    name: str
    ordinal: int
    target: str


@dataclass(frozen=True, eq=False)
class Exports:
    """An export directory: its names as they stand in the file, each ended by a NUL, and the forwarders.

    `addresses` has four bytes for each function; those of zero export nothing. `internal_name` is the file name that
    the linker gave the DLL: where it differs, the file was renamed. Names and ordinals are cut out when somebody asks:
    a DLL has up to a hundred thousand, and most are asked for none.
    """

    text: bytes
    base: int
    addresses: bytes
    forwarders: tuple[Forwarder, ...]
    internal_name: str

    @cached_property
    def names(self) -> frozenset[str]:
        """All names; what is no UTF-8 in them stays visible as escapes."""
        if not self.text:
            return frozenset()
        if self.text.isascii():
            return frozenset(self.text[:-1].decode("ascii").split("\0"))
        return frozenset(name.decode("utf-8", "backslashreplace") for name in self.text[:-1].split(b"\0"))

    @cached_property
    def ordinals(self) -> frozenset[int]:
        """Every ordinal that has an address."""
        rows = struct.iter_unpack("<I", self.addresses)
        return frozenset([ordinal for ordinal, (address,) in enumerate(rows, self.base) if address])

    def __eq__(self, other: object) -> bool:
        """Return True if both export the same, wherever it lies in them."""
        return isinstance(other, Exports) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def _values(self) -> tuple[object, ...]:
        return self.names, self.ordinals, self.forwarders, self.internal_name
