"""What a reader of a frozen program returns, whoever made the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Storage(Enum):
    """Where the code of a module is."""

    COMPILED = "compiled"  # machine code in the program
    BYTECODE = "bytecode"  # a marshalled code object, in the program or in an archive
    EXTENSION = "extension"  # a file of its own, which the program's loader knows by name
    EXCLUDED = "excluded"  # nowhere: the program's loader refuses to import it


@dataclass(frozen=True, slots=True)
class FrozenModule:
    """A module that the program's own loader answers for: its dotted name, `__main__` for the program's script.

    `reason` is what the loader says of one that it refuses.
    """

    name: str
    storage: Storage
    is_package: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """A module name that the code of a compiled module imports.

    `name` is absolute. `line` is 0 if unknown. `found` is how the freezer resolved it, in the words of its report
    (`absolute`, `relative`, `built-in`, `not-found`, `excluded`), an empty string if no report tells. `left_out`: the
    user had it left out.
    """

    name: str
    line: int = 0
    found: str = ""
    left_out: bool = False


class Contents(Protocol):
    """The inside of one frozen program.

    `origin` says in words where this was read (`the compilation report main.report.xml`). `problem` says what could not
    be read, and why; an empty string if nothing is unknown.
    """

    @property
    def origin(self) -> str: ...

    @property
    def problem(self) -> str: ...

    @property
    def modules(self) -> Mapping[str, FrozenModule]:
        """The modules by their dotted names."""
        ...

    @property
    def distributions(self) -> Mapping[str, tuple[str, str]]:
        """{module: (name, version) of its distribution}, as far as the freezer wrote that down."""
        ...

    def code(self, name: str) -> bytes | None:
        """Return the marshalled code object of a BYTECODE module, None if it cannot be had."""
        ...

    def source(self, name: str) -> bytes | None:
        """Return the source of a module that is kept as one, None for any other."""
        ...

    def hides(self, package: str) -> bool:
        """Return True if submodules of a package that is inside are not looked up in its folder."""
        ...

    def usages(self, name: str) -> tuple[Usage, ...]:
        """Return what a COMPILED module imports, if a report tells; else nothing."""
        ...

    def strings(self, name: str) -> frozenset[str]:
        """Return the strings among the constants of a COMPILED module, none if they cannot be read."""
        ...
