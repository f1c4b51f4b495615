"""One PE image as a value."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Exports:
    """An export directory: all names, every ordinal that has an address, the forwarders by their ordinals.

    `internal_name` is the file name that the linker gave the DLL: where it differs, the file was renamed.
    """

    names: frozenset[str]
    ordinals: frozenset[int]
    forwarders: tuple[Forwarder, ...]
    internal_name: str
