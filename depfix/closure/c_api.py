"""Which version of a C interface a dist offers, and which the extension modules of a package were compiled for."""

from __future__ import annotations

from dataclasses import dataclass

from depfix.closure.facts import Facts
from depfix.closure.python_abi import python_of
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.finder import ModuleKind
from depfix.knowledge.c_apis import CApi
from depfix.model.image import Image
from depfix.pe.c_api import CApiVersion, compiled_for, offered_by
from depfix.wording.message import phrase

_STABLE = "python3"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider offers: `words` name it with its version, `path` is its file. `read`: its code tells.

    Else it is concluded from the version of the distribution.
    """

    version: CApiVersion
    words: str
    path: str
    read: bool


def offered(world: World, api: CApi) -> Offer | None:
    """Return what the provider in the dist offers, None if there is none or nothing tells."""
    for name in api.providers:
        found = world.finder.find(name)
        if found is not None and found.kind is ModuleKind.EXTENSION and found.entry is not None:
            known = world.distributions_named(api.name)
            return offer_of(world.facts, api, found.entry, known[0].version if len(known) == 1 else "")
    return None


def offer_of(facts: Facts, api: CApi, entry: FileEntry, version: str) -> Offer | None:
    """Return what a provider's file offers; `version` is that of its distribution, empty if it is not known."""
    read = facts.remember(entry.source, (api.name, "offers"), lambda source: _offered_by(source, api))
    if read is not None:
        release = version or api.release_of(read.level or 0) or api.words[hex(read.abi)]
        return Offer(read, f"{api.name} {release}", entry.path, True)
    level = api.level_of(version) if version else None
    if level is None:
        return None
    major = f"{version.partition('.')[0]}."
    abi = next((int(abi, 16) for abi, words in api.words.items() if words.startswith(major)), 0)
    return Offer(CApiVersion(abi, level), f"{api.name} {version}", entry.path, False) if abi else None


def _offered_by(source: str, api: CApi) -> CApiVersion | None:
    return offered_by(source, [int(abi, 16) for abi in api.serves], api.abi_slot, api.level_slot)


def needed(facts: Facts, api: CApi, entry: FileEntry) -> CApiVersion | None:
    """Return what the image in a file was compiled for, None if it does not use the interface or nothing tells."""
    image = facts.image(entry)
    if not isinstance(image, Image) or not any(python_of(name) or _is_stable(name) for name in image.imports):
        return None
    key = (api.name, "needs")
    return facts.remember(entry.source, key, lambda source: compiled_for(source, api.abi_message, api.level_messages))


def _is_stable(name: str) -> bool:
    return name.lower().startswith(_STABLE)


def c_api_misfit(api: CApi, need: CApiVersion, offer: Offer) -> str:
    """Return why what was compiled for one version does not run with the offered one, an empty string if it does."""
    theirs = offer.version
    own = api.words.get(hex(need.abi), hex(need.abi))
    if not api.runs_with(need.abi, theirs.abi):
        return phrase(
            "compiled for {api} {own} (ABI {abi}), and {offer} has ABI {abi2}",
            api=api.name,
            own=own,
            abi=f"{need.abi:#x}",
            offer=offer.words,
            abi2=f"{theirs.abi:#x}",
        )
    if need.level is None or theirs.level is None or need.level <= theirs.level:
        return ""
    release = api.release_of(need.level).partition(" to ")[0] or phrase("with level {level}", level=f"{need.level:#x}")
    return phrase(
        "compiled for {api} {release} or newer (C API {level}), and {offer} has C API {level2}",
        api=api.name,
        release=release,
        level=f"{need.level:#x}",
        offer=offer.words,
        level2=f"{theirs.level:#x}",
    )
