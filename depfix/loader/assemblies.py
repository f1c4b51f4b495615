"""Private side-by-side assemblies: where Windows looks for the manifest of one.

Sources: Microsoft Learn, "Assembly Searching Sequence"
https://learn.microsoft.com/windows/win32/sbscs/assembly-searching-sequence and "Manifest Files Reference"
https://learn.microsoft.com/windows/win32/sbscs/manifest-files-reference
"""

from __future__ import annotations

from depfix.model.image import Assembly
from depfix.model.names import join

_NEUTRAL = ("", "*", "neutral")


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
