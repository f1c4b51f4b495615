"""Modules that an archive keeps as bytecode: what the readers of zips and of PyInstaller's archives return."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from depfix.frozen.contents import FrozenModule, Storage, Usage
from depfix.pe.headers import Data
from depfix.wording.message import joined, phrase

LARGEST_MEMBER = 1 << 26  # nothing larger is unpacked into memory

_PYC_HEADER = 16
_CODE_OBJECT = ord("c")
_REFERENCED = 0x80


def nothing(name: str) -> bytes | None:
    """Answer for a part that holds no code."""
    return None


@dataclass(frozen=True, slots=True)
class Archive:
    """The modules of one archive, as `Contents`.

    `hides_folders` is true of all of them. `files` are the other files inside, with their unpacked sizes. `read` and
    `read_source` return what `code` and `source` do.
    """

    origin: str
    modules: Mapping[str, FrozenModule]
    hides_folders: bool
    problem: str = ""
    files: tuple[tuple[str, int], ...] = ()
    read: Callable[[str], bytes | None] = field(default=nothing, repr=False)
    read_source: Callable[[str], bytes | None] = field(default=nothing, repr=False)

    @property
    def distributions(self) -> Mapping[str, tuple[str, str]]:
        """Nothing: an archive does not tell."""
        return {}

    def code(self, name: str) -> bytes | None:
        """Return the marshalled code object of a module, None if there is none or it cannot be unpacked."""
        return self.read(name) if self._is_bytecode(name) else None

    def source(self, name: str) -> bytes | None:
        """Return the source of a module that lies as such in the archive."""
        return self.read_source(name) if self._is_bytecode(name) else None

    def hides(self, package: str) -> bool:
        """Return True if submodules of a package that is inside are not looked up in its folder."""
        return self.hides_folders and package in self.modules

    def usages(self, name: str) -> tuple[Usage, ...]:
        return ()

    def strings(self, name: str) -> frozenset[str]:
        return frozenset()

    def _is_bytecode(self, name: str) -> bool:
        return name in self.modules and self.modules[name].storage is Storage.BYTECODE


@dataclass(frozen=True, slots=True)
class Joined:
    """Several archives, as one `Contents`: a module comes from the first that has it.

    `hides_folders` is true if it is true of each; where they differ, `hides` tells by package.
    """

    parts: tuple[Archive, ...]
    modules: Mapping[str, FrozenModule]
    owners: Mapping[str, Archive] = field(repr=False)

    @property
    def origin(self) -> str:
        return joined(phrase(" and "), (part.origin for part in self.parts))

    @property
    def hides_folders(self) -> bool:
        return all(part.hides_folders for part in self.parts)

    @property
    def problem(self) -> str:
        return joined("; ", dict.fromkeys(part.problem for part in self.parts if part.problem))

    @property
    def files(self) -> tuple[tuple[str, int], ...]:
        return tuple(file for part in self.parts for file in part.files)

    @property
    def distributions(self) -> Mapping[str, tuple[str, str]]:
        """Nothing: archives do not tell."""
        return {}

    def code(self, name: str) -> bytes | None:
        """As `Archive.code`."""
        return self.owners[name].code(name) if name in self.owners else None

    def source(self, name: str) -> bytes | None:
        """As `Archive.source`."""
        return self.owners[name].source(name) if name in self.owners else None

    def hides(self, package: str) -> bool:
        """As `Archive.hides`."""
        return package in self.owners and self.owners[package].hides(package)

    def usages(self, name: str) -> tuple[Usage, ...]:
        return ()

    def strings(self, name: str) -> frozenset[str]:
        return frozenset()


def join(parts: Iterable[Archive]) -> Archive | Joined | None:
    """Return the archives as one, in the order in which they are searched; None if there are none."""
    found = tuple(parts)
    if len(found) < 2:
        return found[0] if found else None
    owners: dict[str, Archive] = {}
    for part in found:
        for name in part.modules:
            owners.setdefault(name, part)
    return Joined(found, {name: owner.modules[name] for name, owner in owners.items()}, owners)


def code_of_pyc(data: bytes | None) -> bytes | None:
    """Return the marshalled code object of a .pyc file of Python 3.7 and later, None if it is none.

    Source: PEP 552, https://peps.python.org/pep-0552/ : magic number, flags, and eight bytes more.
    """
    if data is None or data[2:4] != b"\r\n":
        return None
    return code_object(data[_PYC_HEADER:])


def code_object(data: bytes | None) -> bytes | None:
    """Return `data` if it begins as a marshalled code object does, else None."""
    return data if data and data[0] & ~_REFERENCED == _CODE_OBJECT else None


def unpack(data: Data, start: int, size: int, *, window: int = zlib.MAX_WBITS) -> bytes | None:
    """Return deflated bytes unpacked, None if they are damaged or unpack to more than `LARGEST_MEMBER`."""
    engine = zlib.decompressobj(window)
    try:
        found = engine.decompress(data[start : start + min(size, LARGEST_MEMBER)], LARGEST_MEMBER)
    except zlib.error:
        return None
    return found if engine.eof else None
