"""Who each file of a dist is from, while that is being found out: a file is given once, and then it is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from depfix.dist.tree import FileEntry
from depfix.model.finding import Confidence
from depfix.model.inventory import Component, ComponentKind, InventoryFile
from depfix.model.names import fold, normalised
from depfix.wording.message import joined, phrase

Key: TypeAlias = tuple[ComponentKind, str, str]
_SURENESS = (Confidence.POSSIBLE, Confidence.PROBABLE, Confidence.CERTAIN)
_MOST_EVIDENCE = 3


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a component besides its files; the fields are those of `Component`."""

    kind: ComponentKind
    name: str
    version: str = ""
    licence: str = ""
    supplier: str = ""
    evidence: str = ""
    confidence: Confidence = Confidence.CERTAIN
    details: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> Key:
        """What two claims on one component have in common."""
        return (self.kind, normalised(self.name), self.version)


@dataclass(slots=True)
class _Row:
    about: About
    evidence: list[str]
    confidence: Confidence
    files: list[FileEntry] = field(default_factory=list)
    compiled_in: bool = False


class Ledger:
    """The files that nobody claimed yet, and the components by what is known of them."""

    def __init__(self, entries: Iterable[FileEntry]) -> None:
        self._left = {fold(entry.path): entry for entry in entries}
        self._rows: dict[Key, _Row] = {}
        self._owners: dict[str, Key] = {}
        self._inside: dict[str, Key] = {}

    def left(self) -> tuple[FileEntry, ...]:
        """Return the files that nobody claimed yet."""
        return tuple(self._left.values())

    def open(self, about: About) -> Key:
        """Make a component known, though none of its files may be there. Of two that tell of one, the first counts."""
        row = self._rows.setdefault(about.key, _Row(about, [], about.confidence))
        row.confidence = max(row.confidence, about.confidence, key=_SURENESS.index)
        if about.evidence and about.evidence not in row.evidence:
            row.evidence.append(about.evidence)
        return about.key

    def claim(self, about: About, paths: Iterable[str]) -> None:
        """Give those of these dist-relative paths that nobody has to a component, if any are left."""
        wanted = self._wanted(paths)
        if wanted:
            key = self.open(about)
            self._give(key, wanted)

    def give(self, key: Key, paths: Iterable[str]) -> None:
        """Give paths that nobody has to a component that is known."""
        self._give(key, self._wanted(paths))

    def _wanted(self, paths: Iterable[str]) -> list[str]:
        return [path for path in dict.fromkeys(map(fold, paths)) if path in self._left]

    def _give(self, key: Key, folded: Iterable[str]) -> None:
        for path in folded:
            self._rows[key].files.append(self._left.pop(path))
            self._owners[path] = key

    def compile_in(self, key: Key, module: str) -> None:
        """Say that a module of a component is inside the program."""
        self._rows[key].compiled_in = True
        self._inside[module] = key

    def owner(self, path: str) -> Key | None:
        """Return whose a dist-relative path is."""
        return self._owners.get(fold(path))

    def owner_inside(self, module: str) -> Key | None:
        """Return whose a module inside the program is."""
        return self._inside.get(module)

    def keys(self, kind: ComponentKind) -> tuple[Key, ...]:
        """Return the components of a kind."""
        return tuple(key for key in self._rows if key[0] is kind)

    def about(self, key: Key) -> About:
        """Return what is known of a component."""
        return self._rows[key].about

    def components(self, files: Mapping[str, InventoryFile]) -> Iterator[tuple[Key, Component]]:
        """Yield each component with its files of `files`, {folded path: file}; one that is inside may have none."""
        for key, row in self._rows.items():
            own = sorted(row.files, key=lambda entry: entry.path)
            if own or row.compiled_in:
                about = row.about
                yield (
                    key,
                    Component(
                        about.kind,
                        about.name,
                        about.version,
                        about.licence,
                        _words(row.evidence),
                        tuple(files[fold(entry.path)] for entry in own),
                        supplier=about.supplier,
                        compiled_in=row.compiled_in,
                        confidence=row.confidence,
                        details=about.details,
                    ),
                )


def _words(evidence: list[str]) -> str:
    more = len(evidence) - _MOST_EVIDENCE
    return joined("; ", evidence[:_MOST_EVIDENCE]) + (phrase("; and {more} more", more=more) if more > 0 else "")
