"""Side-by-side assemblies: which ones a manifest needs, and where Windows looks for the private ones.

Sources: Microsoft Learn, "Assembly Searching Sequence"
https://learn.microsoft.com/windows/win32/sbscs/assembly-searching-sequence and "Manifest Files Reference"
https://learn.microsoft.com/windows/win32/sbscs/manifest-files-reference
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from depfix.knowledge.tables import assemblies, has_assembly
from depfix.model.image import Assembly, Manifest
from depfix.model.names import fold, join, parent
from depfix.wording.message import phrase, tabled

# dist-relative path of a place -> (path of the file there, its manifest), None if there is none
ReadManifest = Callable[[str], "tuple[str, Manifest] | None"]

_NEUTRAL = ("", "*", "neutral")


class Provision(Enum):
    """Who has an assembly."""

    WINDOWS = "Windows"
    PRIVATE = "the dist"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class NeededAssembly:
    """An assembly that a manifest names.

    `by` is the dist-relative path of the assembly manifest that names it, empty if it is the image's own. `files` are
    its DLLs: dist-relative paths of a private assembly, where they need not be, or names that Windows has. `note` says
    why the manifest that lies in its place does not count.
    """

    name: str
    by: str
    provision: Provision
    files: tuple[str, ...] = ()
    note: str = ""


def needed_assemblies(manifest: Manifest, folder: str, read: ReadManifest) -> Iterator[NeededAssembly]:
    """Yield the assemblies that a manifest names, and those that the manifests of private ones name in turn.

    All are looked for from `folder`, that of the image whose manifest it is.
    """
    todo = deque(("", one) for one in manifest.dependencies)
    seen: set[str] = set()
    while todo:
        by, asked = todo.popleft()
        if asked.name.lower() in seen:
            continue
        seen.add(asked.name.lower())
        if has_assembly(asked.name):
            known = assemblies().get(asked.name.lower())
            yield NeededAssembly(asked.name, by, Provision.WINDOWS, known.files if known is not None else ())
            continue
        place, found, note = _private(asked, folder, read)
        if found is None:
            yield NeededAssembly(asked.name, by, Provision.NOBODY, note=note)
            continue
        files = tuple(join(parent(place), name.replace("\\", "/")) for name in found.files)
        yield NeededAssembly(asked.name, by, Provision.PRIVATE, files)
        todo += ((place, one) for one in found.dependencies)


def _private(asked: Assembly, folder: str, read: ReadManifest) -> tuple[str, Manifest | None, str]:
    """Return (path, manifest, "") of a private assembly, or ("", None, what lies in its place).

    The first manifest in a file of its own decides. A DLL in such a place may be any DLL, with a manifest for itself.
    """
    note = ""
    for place in manifest_places(asked, folder):
        there = read(place)
        if there is None:
            continue
        path, manifest = there
        mismatch = _mismatch(asked, manifest)
        if not mismatch:
            return path, manifest, ""
        note = note or phrase("{path} {mismatch}", path=path, mismatch=mismatch)
        if place.endswith(".manifest"):
            break
    return "", None, note


def _mismatch(asked: Assembly, manifest: Manifest) -> str:
    """Return why a manifest is not that of the assembly asked for, an empty string if it is.

    Windows compares name, version and machine, and ends the load if one differs: "Component identity found in manifest
    does not match the identity of the component requested" (ERROR_SXS_CANT_GEN_ACTCTX, 14001).
    """
    found = manifest.identity
    if manifest.problem:
        return phrase("cannot be read")
    if found is None:
        return phrase("does not say which assembly it is")
    if fold(found.name) != fold(asked.name):
        return phrase("is of the assembly {found}", found=found.name)
    for what, one, two in (("version", found.version, asked.version), ("machine", found.machine, asked.machine)):
        if one and two and "*" not in (one, two) and one.lower() != two.lower():
            return phrase("is of {what} {one}, not {two}", what=tabled(what), one=one, two=two)
    return ""


def manifest_places(assembly: Assembly, folder: str) -> tuple[str, ...]:
    """Return the dist-relative paths at which the manifest of a private assembly may lie, in order.

    `folder` is that of the program or DLL whose manifest names the assembly. A `.dll` there holds it as a resource.
    """
    places: list[str] = []
    roots = [folder] if assembly.language.lower() in _NEUTRAL else [join(folder, assembly.language), folder]
    for root in roots:
        for inner in (root, join(root, assembly.name)):
            places += [join(inner, f"{assembly.name}.dll"), join(inner, f"{assembly.name}.manifest")]
    return tuple(places)


def external_manifest(path: str, *, is_dll: bool) -> str:
    """Return where the manifest of an image lies that has none embedded."""
    return f"{path}.2.manifest" if is_dll else f"{path}.manifest"
