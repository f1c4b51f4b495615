"""The guard of a Nuitka program: what makes it refuse modules that were left out."""

from __future__ import annotations

from collections.abc import Set

from depfix.frozen.nuitka_guard import guard_places
from depfix.wording.message import phrase


def guard_problem(path: str, names: Set[str]) -> str:
    """Return why the program at `path` cannot be made to import these modules, an empty string if it can."""
    places = guard_places(path)
    if isinstance(places, str):
        return places
    absent = sorted(names - places.keys())
    return phrase("{absent} is not in its table", absent=absent[0]) if absent else ""


def without_guard(path: str, names: Set[str]) -> bytes | str:
    """Return the program that no longer refuses these modules, or why it cannot be made."""
    places = guard_places(path)
    problem = guard_problem(path, names)
    if problem or isinstance(places, str):
        return problem
    with open(path, "rb") as file:
        content = bytearray(file.read())
    for name in names:
        for place in places[name]:
            content[place.offset : place.offset + place.width] = place.lifted.to_bytes(place.width, "little")
    return bytes(content)
