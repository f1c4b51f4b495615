"""DF111 bundled-system-dll: a part of Windows itself that was swept into the dist."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.dist.tree import FileEntry
from depfix.knowledge.tables import carried_system_dlls, vc_runtimes
from depfix.model.finding import Confidence, Finding, Location
from depfix.model.image import Image, VersionInfo
from depfix.model.names import fold
from depfix.wording.message import phrase


def check_bundled(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each DLL that Windows has and that may not, or need not, be carried.

    Some names are both: Windows has a libcrypto.dll and an icuuc.dll, and so have other projects. The version resource
    tells whose a file is.
    """
    world = closure.world
    for entry in world.tree.images():
        name = fold(entry.name)
        api_set = world.system.api_set_host(name)
        if not name.endswith(".dll") or name in vc_runtimes() or not (world.system.has(name) or api_set is not None):
            continue
        image = world.facts.image(entry)
        if isinstance(image, Image) and world.images.fits(image):
            version = world.facts.version(entry)
            if _is_windows(name, version):
                yield _finding(closure, entry, api_set is not None or world.system.always_system(name), version)


def _is_windows(name: str, version: VersionInfo | None) -> bool:
    why = carried_system_dlls().get(name)
    if why == "redistributable" or name.startswith("api-ms-win-crt-"):
        return False
    ours = version is not None and "microsoft" in version.company.lower() and "windows" in version.product.lower()
    if why == "other-project":
        return ours
    return ours or version is None or not version.company


def _finding(closure: Closure, entry: FileEntry, ignored: bool, version: VersionInfo | None) -> Finding:
    effect = (
        phrase("Windows takes its own and ignores this one")
        if ignored
        else phrase("it takes the place of Windows' own in this program, on Windows versions that it was not made for")
    )
    return finding(
        "bundled-system-dll",
        fold(entry.name),
        phrase(
            "{path} is a part of Windows ({target} has {entry}); {effect}",
            path=entry.path,
            target=closure.world.system.target.words,
            entry=fold(entry.name),
            effect=effect,
        ),
        confidence=Confidence.CERTAIN if version is not None and version.company else Confidence.PROBABLE,
        locations=(Location(entry.path),),
        chain=(entry.path,),
        identity=entry.path,
    )
