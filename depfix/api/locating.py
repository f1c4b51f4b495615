"""From what a user gives to the folder that is meant, and the programs that lie around."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depfix.api.choices import Path
from depfix.errors import DepfixError

if TYPE_CHECKING:
    from depfix.frozen.locating import Located


@dataclass(frozen=True, slots=True)
class FoundDist:
    """A dist that was found: its folder, who made it, its program, its Python ("3.10", empty without), its machine."""

    path: str
    freezer: str
    program: str
    python: str
    machine: str


def is_plain(path: Path) -> bool:
    """Return True for a folder with a program in it that no freezer left there by the way: then it is what is meant."""
    try:
        names = [name.lower() for name in os.listdir(path)]
    except OSError:
        return False
    return any(name.endswith(".exe") for name in names) and "analysis-00.toc" not in names


def locate(path: Path) -> Located:
    """Return the folder of the program that a path leads to, with a note if it is not the path itself.

    That is the folder around an .exe, and what a freezer made of the folder in which it worked. Raises NotADistError
    for what surely is none, with what it is: a program in one file, an installer, a zip, a script, a log.
    """
    from depfix.frozen.locating import locate

    return locate(os.fspath(path))


def dists_in(folder: Path = ".") -> tuple[FoundDist, ...]:
    """Return the dists that lie in a folder where freezers put them."""
    from depfix.dist.identify import open_dist
    from depfix.frozen.locating import dists_in

    found = []
    for path in dists_in(os.fspath(folder)):
        try:
            dist = open_dist(path)
        except DepfixError:
            continue
        python = dist.python.text if dist.python is not None else ""
        found.append(FoundDist(path, dist.freezer.words, dist.host.path, python, dist.machine.words))
    return tuple(found)
