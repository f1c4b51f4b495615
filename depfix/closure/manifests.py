"""Side-by-side manifests of the images of a dist: embedded ones, and files beside an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from depfix.dist.tree import Tree
from depfix.loader.assemblies import NeededAssembly, external_manifest, manifest_places, needed_assemblies
from depfix.model.image import Image, ImageOrProblem, Manifest
from depfix.model.names import parent
from depfix.pe.manifest import read_manifest


class Manifests:
    """The manifests of one tree; `image` gives what is in a file of it."""

    def __init__(self, tree: Tree, image: Callable[[str], ImageOrProblem]) -> None:
        self._tree = tree
        self._image = image

    def assemblies(self, path: str) -> tuple[NeededAssembly, ...]:
        """Return the side-by-side assemblies that an image's manifest names, with those that they need in turn."""
        own = self._manifest(path)
        return tuple(needed_assemblies(own[1], parent(path), self._assembly_manifest)) if own is not None else ()

    def unread(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield (dist-relative path, reason) of each manifest that counts for an image and cannot be read."""
        own = self._manifest(path)
        places = [own] if own is not None else []
        asked = {asked for _, manifest in places for asked in manifest.dependencies}
        found = (self._assembly_manifest(place) for one in asked for place in manifest_places(one, parent(path)))
        yield from ((place, one.problem) for place, one in (*places, *filter(None, found)) if one.problem)

    def _manifest(self, path: str) -> tuple[str, Manifest] | None:
        """Return (where it stands, the manifest) of an image."""
        image = self._image(path)
        if not isinstance(image, Image):
            return None
        if image.manifest is not None:
            return path, image.manifest
        entry = self._tree.file(external_manifest(path, is_dll=image.is_dll))
        manifest = read_manifest(entry.source) if entry is not None else None
        return (entry.path, manifest) if entry is not None and manifest is not None else None

    def _assembly_manifest(self, place: str) -> tuple[str, Manifest] | None:
        entry = self._tree.file(place)
        if entry is None:
            return None
        if place.endswith(".manifest"):
            manifest = read_manifest(entry.source)
        else:
            image = self._image(place)
            manifest = image.manifest if isinstance(image, Image) else None
        return (entry.path, manifest) if manifest is not None else None
