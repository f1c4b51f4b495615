"""Which distributions have their metadata in a dist: in folders that importlib.metadata finds, or in the program."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from configparser import ConfigParser, Error
from functools import cached_property

from depfix.closure.supply import Supply
from depfix.dist.tree import Tree
from depfix.env.protocol import Environment
from depfix.imports.finder import ModuleFile, ModuleKind
from depfix.model.names import base_name, normalised

_FOLDERS = (".dist-info", ".egg-info")
_ENTRY_POINTS = "entry_points.txt"
_LARGEST = 1 << 20  # bytes of a list of entry points


class Metadata:
    """The metadata in a dist, and what environments know of distributions whose metadata are not there."""

    def __init__(
        self, tree: Tree, search_path: tuple[str, ...], supply: Supply, find: Callable[[str], ModuleFile | None]
    ) -> None:
        self._tree = tree
        self._search_path = search_path
        self._supply = supply
        self._find = find

    def lacks(self, name: str) -> bool:
        """Return True if the metadata of a distribution are not in the dist.

        Those of a distribution that is inside the program may be inside as well, where they cannot be seen.
        """
        if normalised(name) in self._present:
            return False
        owner = self._supply.distribution(name)
        tops = owner[1].top_level if owner is not None else (name.replace("-", "_").lower(),)
        found = [self._find(top) for top in tops]
        return not any(one is not None and one.kind is ModuleKind.FROZEN for one in found)

    def with_entry_points(self, group: str) -> Iterator[str]:
        """Yield the distributions of environments with entry points of a group, if their modules are in the dist."""
        for environment in self._supply.environments:
            for folder in environment.search_path:
                for path in _entry_point_files(environment, folder):
                    name = base_name(os.path.dirname(path)).partition("-")[0]
                    if normalised(name) in self._present or not _has_group(path, group):
                        continue
                    found = environment.distribution(name)
                    tops = map(self._find, found.top_level) if found is not None else ()
                    if any(one is not None and not one.is_provided for one in tops):
                        yield name

    @cached_property
    def _present(self) -> frozenset[str]:
        names = (base_name(path) for root in self._search_path for path in self._tree.folders_in(root))
        return frozenset(normalised(name.partition("-")[0]) for name in names if name.lower().endswith(_FOLDERS))


def _entry_point_files(environment: Environment, folder: str) -> Iterator[str]:
    for name in sorted(environment.listing(folder)):
        if name.lower().endswith(_FOLDERS) and _ENTRY_POINTS in environment.listing(os.path.join(folder, name)):
            path = os.path.join(folder, name, _ENTRY_POINTS)
            if environment.ready(path):
                yield path


def _has_group(path: str, group: str) -> bool:
    """Return True if a list of entry points has a group. Source: "Entry points specification"
    https://packaging.python.org/specifications/entry-points/
    """
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            parser.read_string(file.read(_LARGEST))
    except (OSError, Error):
        return False
    return parser.has_section(group)
