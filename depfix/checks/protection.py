"""DF504 packed-image and DF505 broken-signature: what Windows' protections say of files that load all the same."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import confidence_of, finding, severity_of
from depfix.closure.build import Closure
from depfix.closure.distributions import path_in_dist, records_of
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.uses import Strength
from depfix.model.content import readable_hash
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import fold
from depfix.pe.authenticode import Signature, Signing, read_signing
from depfix.wording.message import counted, phrase

_FOR_LOADER = (".exe", ".dll", ".pyd")
_MOST_LOCATIONS = 20
_SIGN = phrase("sign it again after the last change, or put the publisher's own file back")


def check_protection(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each packed image that Windows refuses or ends, one for the rest of the packed, and one for
    each file that was changed after it was signed.
    """
    packed: list[tuple[FileEntry, Image]] = []
    for entry in closure.world.tree.images():
        image = closure.world.facts.image(entry)
        if not isinstance(image, Image):
            continue
        if image.packer and image.guarded:
            yield _guarded(closure, entry, image)
        elif image.packer:
            packed.append((entry, image))
        if image.is_signed and not image.unsigned_bytes and fold(entry.name).endswith(_FOR_LOADER):
            signing: Signing = closure.world.facts.remember(entry.source, "signing", read_signing)
            if signing.state is Signature.BROKEN:
                yield _broken(closure, entry, signing)
    if packed:
        yield _packed(packed)


def _node(closure: Closure, entry: FileEntry) -> Node:
    program = Node(NodeKind.PROGRAM, entry.path)
    return program if closure.graph.strength(program) is not None else Node(NodeKind.IMAGE, entry.path)


def _chain(closure: Closure, entry: FileEntry) -> tuple[str, ...]:
    node = _node(closure, entry)
    if closure.graph.strength(node) is None:
        return (entry.path,)
    return chain_texts(closure.graph.chain(node), closure.graph.root)


def _guarded(closure: Closure, entry: FileEntry, image: Image) -> Finding:
    """Return the finding for a packed image with control-flow guard.

    The packer moves the code and drops the table of the addresses that may be called, and the guard ends the process at
    the first call. Source: PyInstaller, "UPX corrupts control flow guard enabled dlls"
    https://github.com/pyinstaller/pyinstaller/issues/1565
    """
    strength = closure.graph.strength(_node(closure, entry))
    return finding(
        "packed-image",
        fold(entry.name),
        phrase(
            "{path} was packed by {packer} although it asks for control-flow guard: Windows ends a program "
            "that loads it, or refuses to load it; exclude it from {packer} and put the file as it was "
            "before there",
            path=entry.path,
            packer=image.packer,
        ),
        severity=severity_of(strength) if strength is not None else Severity.WARNING,
        confidence=confidence_of(min(strength, Strength.PROBABLE)) if strength is not None else Confidence.PROBABLE,
        locations=(Location(entry.path),),
        chain=_chain(closure, entry),
        identity=entry.path,
    )


def _packed(rows: list[tuple[FileEntry, Image]]) -> Finding:
    entry, image = rows[0]
    what = phrase("{path} is packed by {packer}", path=entry.path, packer=image.packer)
    if len(rows) > 1:
        what = counted(
            len(rows) - 1,
            "{path} and {number} more file are packed by {packer}",
            "{path} and {number} more files are packed by {packer}",
            path=entry.path,
            packer=image.packer,
        )
    return finding(
        "packed-image",
        fold(entry.name),
        phrase(
            "{what}: virus scanners often take such files for malware, and of what they need depfix sees the DLL "
            "names of the import directory only, no delay-loads, functions or names in data",
            what=what,
        ),
        severity=Severity.INFO,
        locations=tuple(Location(one.path) for one, _ in rows[:_MOST_LOCATIONS]),
        identity="packed",
    )


def _broken(closure: Closure, entry: FileEntry, signing: Signing) -> Finding:
    publisher = _shipped_so(closure.world, entry)
    whose = phrase("; {publisher} ships it so", publisher=publisher) if publisher else phrase("; {cure}", cure=_SIGN)
    what = phrase("the program is signed") if _is_program(closure, entry) else phrase("it is signed")
    return finding(
        "broken-signature",
        fold(entry.name),
        phrase(
            "{path}: {what}, but {reason}; Windows loads it all the same, but its signature does not count, "
            "so that SmartScreen, virus scanners and rules for signed programs stop it or warn{whose}",
            path=entry.path,
            what=what,
            reason=signing.reason,
            whose=whose,
        ),
        severity=Severity.INFO if publisher else Severity.WARNING,
        locations=(Location(entry.path),),
        chain=_chain(closure, entry),
        identity=entry.path,
    )


def _is_program(closure: Closure, entry: FileEntry) -> bool:
    return any(program.path == entry.path for program in closure.world.dist.programs)


def _shipped_so(world: World, entry: FileEntry) -> str:
    """Return the distribution that recorded a file with just this content, an empty string if none did."""
    for present in world.distributions:
        for recorded in records_of(world.tree, world.facts, present):
            if recorded.sha256 and fold(path_in_dist(present, recorded)) == fold(entry.path):
                known = world.facts.remember(entry.source, "sha256", readable_hash)
                return str(present) if known == recorded.sha256 else ""
    return ""
