"""DLLs that no record names: runtimes of Windows by their names, others by their version resources."""

from __future__ import annotations

from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.inventory.identities import cleaned, library_licence, native_name, runtime_identity, version_words
from depfix.inventory.ledger import About, Ledger
from depfix.model.finding import Confidence
from depfix.model.image import VersionInfo
from depfix.model.inventory import ComponentKind
from depfix.model.names import fold
from depfix.wording.message import phrase


def claim_runtimes(ledger: Ledger, world: World) -> None:
    """Give the DLLs of the VC runtime and the Universal C Runtime to these, each version by itself."""
    for entry in _images(ledger):
        identity = runtime_identity(entry, world.facts.version(entry))
        if identity is not None:
            known = (identity.name, identity.version, identity.licence, identity.supplier)
            about = About(ComponentKind.RUNTIME, *known, phrase("version resource of {entry}", entry=entry.name))
            ledger.claim(about, (entry.path,))


def claim_native(ledger: Ledger, world: World) -> None:
    """Give each DLL that nobody claims to the product that its version resource names."""
    for entry in _images(ledger):
        info = world.facts.version(entry)
        licence = library_licence(entry.name)
        if info is not None and (info.product or info.description or info.company):
            ledger.claim(_told(entry, info, licence), (entry.path,))
        elif licence:
            words = phrase("{entry} is the name of a file that CPython brings", entry=entry.name)
            about = About(ComponentKind.NATIVE, entry.name, "", licence, evidence=words, confidence=Confidence.PROBABLE)
            ledger.claim(about, (entry.path,))


def _told(entry: FileEntry, info: VersionInfo, licence: str) -> About:
    return About(
        ComponentKind.NATIVE,
        native_name(entry, info),
        version_words(info),
        licence,
        cleaned(info.company),
        phrase("version resource of {entry}", entry=entry.name),
        Confidence.PROBABLE,
    )


def _images(ledger: Ledger) -> list[FileEntry]:
    left = (entry for entry in ledger.left() if entry.kind is FileKind.IMAGE)
    return sorted((entry for entry in left if fold(entry.name).endswith(".dll")), key=lambda entry: entry.path)
