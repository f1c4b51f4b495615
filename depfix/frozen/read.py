"""Reads the inside of a frozen program, whoever froze it."""

from __future__ import annotations

from depfix.dist.freezers import Freezer
from depfix.dist.identify import Dist
from depfix.frozen.contents import Contents

_ALWAYS_FROZEN = frozenset(("_frozen_importlib", "_frozen_importlib_external", "zipimport"))


def read_contents(dist: Dist, report: str = "") -> Contents | None:
    """Return what is inside the program of a dist, None if that holds no modules or cannot be read.

    `report` is the path of the freezer's own report, if the user named one.
    """
    if dist.freezer is Freezer.NUITKA:
        from depfix.frozen.nuitka import read_nuitka

        return read_nuitka(dist.tree, dist.host.path, report)
    from depfix.frozen.archives import read_archives

    python = dist.python.path if dist.python is not None else ""
    return read_archives(dist.tree, dist.host.path, python, dist.freezer.value)


def report_problem(path: str) -> str:
    """Return why a file is no compilation report that can be read, an empty string if it is one."""
    from depfix.frozen.nuitka_report import read_report

    found = read_report(path)
    return found if isinstance(found, str) else ""


def read_builtin(dist: Dist) -> frozenset[str]:
    """Return the modules that the Python DLL of a dist has in itself, whatever else is there.

    Since 3.11 it holds modules of the standard library too, which a frozen program's start-up code switches off: of
    what is frozen only the import system itself counts. Source: "What's New In Python 3.11", Frozen imports
    https://docs.python.org/3/whatsnew/3.11.html#frozen-imports-static-code-objects
    """
    from depfix.frozen.builtin import builtin_modules, frozen_modules

    if dist.python is None:
        return frozenset()
    path = dist.python.path
    return builtin_modules(dist.tree, path) | (frozen_modules(dist.tree, path) & _ALWAYS_FROZEN)


def packed_words(dist: Dist) -> str:
    """Return what a user is told of a program that is packed into one file, an empty string for any other."""
    from depfix.frozen.packed import recognise_packed

    return recognise_packed(dist.tree, dist.host.path)
