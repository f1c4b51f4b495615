"""DF101 for images that nothing is seen to load: plugins, helpers. A possibility, never an error."""

from __future__ import annotations

from collections.abc import Iterator

from depfix.checks.abi import needs_another_python
from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.graph import NodeKind
from depfix.loader.resolve import resolve
from depfix.loader.search import DEFAULT_DIRS, DLL_LOAD_DIR, Directories, search_places
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image
from depfix.model.names import dll_file_name, fold, parent
from depfix.wording.message import phrase


def check_unreached(closure: Closure, known: set[str]) -> Iterator[Finding]:
    """Yield a finding for each DLL name, not in `known`, that only images need which nothing is seen to load."""
    world = closure.world
    reached = {fold(node.name) for node in closure.graph.nodes() if node.kind in (NodeKind.IMAGE, NodeKind.PROGRAM)}
    needs: dict[str, list[str]] = {}
    for entry in world.tree.images():
        image = world.facts.image(entry) if fold(entry.path) not in reached else None
        if not isinstance(image, Image) or not world.images.fits(image):
            continue
        places = search_places(DEFAULT_DIRS | DLL_LOAD_DIR, parent(entry.path), Directories(""))
        for asked in image.imports:
            name = fold(dll_file_name(asked))
            if name in known or needs_another_python(world, name) or world.tree.named(name):
                continue
            if resolve(asked, places, {}, world.tree, world.system).found:
                continue
            needs.setdefault(name, []).append(entry.path)
    for name, paths in needs.items():
        message = phrase(
            "{path} imports it, and it is missing; but nothing that depfix can see loads that file", path=paths[0]
        )
        yield finding(
            "missing-dll",
            name,
            message,
            severity=Severity.INFO,
            confidence=Confidence.POSSIBLE,
            locations=tuple(Location(path) for path in paths),
            chain=(paths[0], name),
        )
