"""DF204 where a source runs in place of the extension module that was installed beside it.

A package may hold both, as one that is compiled from its own sources. Python takes the extension module; without it the
source, which seldom was meant to run: what it lacks then is no requirement, the extension module is.

Source: importlib, "FileFinder" and the order of its loaders, extension modules first
https://docs.python.org/3/library/importlib.html#importlib.machinery.FileFinder
"""

from __future__ import annotations

from collections.abc import Mapping

from depfix.checks.findings import confidence_of, finding, severity_of
from depfix.closure.build import Closure
from depfix.closure.graph import Edge, chain_texts
from depfix.imports.uses import Strength
from depfix.model.finding import Finding, Location
from depfix.model.names import base_name, fold, join, parent
from depfix.wording.message import phrase

_Row = tuple[Strength, Edge]


def absent_twins(closure: Closure) -> dict[str, str]:
    """Return {folded path of a source of the dist: the extension module that RECORD has beside it and the dist not}."""
    found = {}
    for path in closure.world.records.missing_extensions():
        source = join(parent(path), f"{base_name(path).partition('.')[0]}.py")
        if closure.world.tree.file(source) is not None:
            found[fold(source)] = path
    return found


def split_rows(rows: list[_Row], twins: Mapping[str, str]) -> tuple[list[_Row], list[_Row]]:
    """Return (imports of sources that stand in for an extension module, the others)."""
    standing_in = [row for row in rows if fold(row[1].path) in twins]
    return standing_in, [row for row in rows if fold(row[1].path) not in twins]


def twin_finding(closure: Closure, row: _Row, lacking: str, twins: Mapping[str, str]) -> Finding:
    """Return the finding for the extension module that is absent, of which `lacking` is the sign."""
    strength, edge = row
    file = twins[fold(edge.path)]
    chain = chain_texts(closure.graph.chain(edge.source), closure.graph.root)
    return finding(
        "missing-extension-module",
        edge.source.name,
        phrase(
            "{file} was installed with the package and is not in the dist; {path} is imported in its place, "
            "and that needs {lacking}, which is not there either",
            file=file,
            path=edge.path,
            lacking=lacking,
        ),
        severity=severity_of(strength),
        confidence=confidence_of(strength),
        locations=(Location(edge.path, edge.line),),
        chain=(*chain, file),
    )
