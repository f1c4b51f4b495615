"""What really is in a dist: its files, who each is from, under which licence, and who needs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from depfix.model.finding import Confidence


class ComponentKind(Enum):
    """What a component is."""

    PROGRAM = "program"  # what the freezer made, and the program's own files
    PYTHON = "python"  # the interpreter's DLL and the standard library
    DISTRIBUTION = "distribution"  # a Python distribution, by its metadata
    CONDA = "conda"  # a conda package that is no Python distribution
    RUNTIME = "runtime"  # a redistributable of Windows: the VC runtime, the Universal C Runtime
    NATIVE = "native"  # a DLL that nobody claims, by its version resource
    UNKNOWN = "unknown"  # files that nobody claims


@dataclass(frozen=True, slots=True)
class Identity:
    """What a DLL is by itself, whoever brought it: an FFT library, say, in the wheel of a package.

    `version`, `supplier` and `licence` are empty if nothing tells them; `evidence` says how it is known ("its version
    resource", "its file name"). `is_runtime`: it is of a redistributable of Windows.
    """

    name: str
    version: str
    supplier: str
    evidence: str
    licence: str = ""
    is_runtime: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """A file of the dist: its dist-relative path with `/`, its size in bytes, its SHA-256 in hex.

    `sha256` is empty if the file could not be read. `is_image` is True for a PE image. `identity` is what an image is
    by itself; None for a file of any other kind, and for an image that is nothing but a part of its component.
    `version` is what an image's version resource says, whatever the component's is.
    """

    path: str
    size: int
    sha256: str
    is_image: bool
    identity: Identity | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that a dist is put together from, with those of its files that are in it.

    `version` is empty if nothing tells it. `licence` is what its metadata say (an SPDX expression, or words), empty if
    they say nothing. `evidence` says how it is known ("package-1.2.dist-info", "conda-meta of conda:app", "version
    resource of libfoo.dll"). `chain` are the steps from the program to the first file of it that is needed, empty if
    nothing is known to need it. `supplier` is its publisher as far as it is told. `compiled_in` is True if it, or a
    part of it, is inside the program itself. `confidence` says how sure it is that these files are that component.
    `needs` are the keys of the components that it needs, as far as code and import tables tell. `details` are what else
    tells it apart: build, channel and subdir of a conda package.
    """

    kind: ComponentKind
    name: str
    version: str
    licence: str
    evidence: str
    files: tuple[InventoryFile, ...]
    chain: tuple[str, ...] = ()
    supplier: str = ""
    compiled_in: bool = False
    confidence: Confidence = Confidence.CERTAIN
    needs: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """What tells it apart from every other one of its inventory, the same in each build: `kind:name@version`."""
        return f"{self.kind.value}:{self.name}@{self.version}"

    @property
    def size(self) -> int:
        """Bytes of its files together."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or folder of the dist that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every file of a dist, each in just one component. The largest component is first.

    `unread` is what could not be looked at: such a file has no hash, of such a folder the files are not known.
    """

    components: tuple[Component, ...]
    unread: tuple[Unread, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the whole dist."""
        return sum(component.size for component in self.components)

    @property
    def file_count(self) -> int:
        return sum(len(component.files) for component in self.components)
