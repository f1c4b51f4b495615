"""Resolution of one DLL name, with the trail of every place looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from depfix.loader.search import Place, PlaceKind
from depfix.loader.system import CleanSystem
from depfix.model.names import dll_file_name, fold
from depfix.wording.message import phrase, tabled


class Folder(Protocol):
    """A thing that has a path, such as a file of the inventory."""

    @property
    def path(self) -> str: ...


class Files(Protocol):
    """The files of a dist, or of a dist with a plan laid over it."""

    def in_folder(self, folder: str, name: str) -> Folder | None: ...


class Outcome(Enum):
    """How a search ended."""

    FILE = "file"
    SYSTEM = "system"
    LOADED = "loaded"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where a DLL name leads.

    `path` is dist-relative for FILE and LOADED, the DLL's name for SYSTEM, empty for MISSING. `trail` holds each place
    looked at, in order; the last one is where it was found, unless it is missing.
    """

    outcome: Outcome
    path: str
    trail: tuple[Place, ...]

    @property
    def found(self) -> bool:
        return self.outcome is not Outcome.MISSING


_NOTHING: Mapping[str, str] = MappingProxyType({})


def resolve(
    asked: str,
    places: Sequence[Place],
    loaded: Mapping[str, str],
    files: Files,
    system: CleanSystem,
    private: Mapping[str, str] = _NOTHING,
) -> Resolution:
    """Return where the loader finds `asked`, a DLL name as an import directory or LoadLibrary has it.

    `loaded` maps the folded base names of the modules in the process to their paths, `private` those that a private
    side-by-side assembly holds. Order: assemblies, API sets, the loaded-module list, KnownDLLs, then `places`. A name
    with a folder in it is no name to search for; see `closure.code_loads`.
    """
    name = fold(dll_file_name(asked))
    if name in private:
        return Resolution(Outcome.FILE, private[name], (Place(PlaceKind.ASSEMBLY),))
    host = system.api_set_host(name)
    if host is not None:
        place = Place(PlaceKind.API_SET)
        return Resolution(Outcome.SYSTEM if host else Outcome.MISSING, host, (place,))
    trail = [Place(PlaceKind.LOADED)]
    if name in loaded:
        return Resolution(Outcome.LOADED, loaded[name], tuple(trail))
    trail.append(Place(PlaceKind.KNOWN))
    if system.always_system(name):
        return Resolution(Outcome.SYSTEM, name, tuple(trail))
    for place in places:
        trail.append(place)
        if place.kind is PlaceKind.SYSTEM:
            if system.has(name):
                return Resolution(Outcome.SYSTEM, name, tuple(trail))
            continue
        entry = files.in_folder(place.folder, name)
        if entry is not None:
            return Resolution(Outcome.FILE, entry.path, tuple(trail))
    return Resolution(Outcome.MISSING, "", tuple(trail))


def trail_texts(trail: Sequence[Place]) -> tuple[str, ...]:
    """Return a trail as lines for a person."""
    return tuple(map(_text, trail))


def _text(place: Place) -> str:
    words = tabled(place.kind.value)
    return phrase("{kind}: {folder}", kind=words, folder=place.folder) if place.folder else words
