"""What one Python source asks of its surroundings, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from depfix.imports.values import Text


class Strength(IntEnum):
    """How surely something happens: the higher the surer."""

    POSSIBLE = 0  # nothing says so, but code that cannot be read may do it
    OPTIONAL = 1  # guarded: the program goes on without it
    PROBABLE = 2  # under a condition, in a function that may be called, or in a way that no source spells out
    REQUIRED = 3  # it runs whenever the module is imported


@dataclass(frozen=True, slots=True)
class Where:
    """Where and under which circumstances something stands in a source.

    `deferred`: in a function that importing the module does not call. `conditional`: under a test that depends on more
    than the target. `import_guarded` and `load_guarded`: an ImportError, or the OSError of a failed DLL load, is caught
    and the program goes on. `last_resort`: unless something here returns, what follows raises an exception.
    """

    line: int
    deferred: bool = False
    conditional: bool = False
    import_guarded: bool = False
    load_guarded: bool = False
    last_resort: bool = False

    def strength(self, *, load: bool) -> Strength:
        """Return how surely an import, or with `load` a DLL load, must succeed here."""
        if self.load_guarded if load else self.import_guarded:
            return Strength.OPTIONAL
        return Strength.PROBABLE if self.deferred or self.conditional else Strength.REQUIRED


@dataclass(frozen=True, slots=True)
class ImportUse:
    """`import module` (no names) or `from module import names`; `level` counts the leading dots."""

    where: Where
    module: str
    names: tuple[str, ...] = ()
    level: int = 0


@dataclass(frozen=True, slots=True)
class DllDirectoryUse:
    """A folder given to the loader: os.add_dll_directory, or AddDllDirectory and SetDllDirectory through ctypes.

    `removed`: it is taken back here, for the cookie is closed.
    """

    where: Where
    path: Text
    removed: bool = False


@dataclass(frozen=True, slots=True)
class PathUse:
    """A folder put on PATH."""

    where: Where
    path: Text


@dataclass(frozen=True, slots=True)
class LoadUse:
    """A DLL loaded by code. `flags` are LoadLibraryEx's; None: ctypes' own default, which depends on the version."""

    where: Where
    path: Text
    flags: int | None


Use: TypeAlias = "ImportUse | DllDirectoryUse | PathUse | LoadUse"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One Python source: its uses in the order in which they happen, or why it could not be parsed."""

    uses: tuple[Use, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class SourceTarget:
    """The Python for which a source is read; the host's own version plays no part."""

    version: tuple[int, int]
    machine: str = "amd64"
