"""Which wheels a Python on Windows takes. Source: PEP 425, "Compatibility Tags" https://peps.python.org/pep-0425/"""

from __future__ import annotations

from depfix.model.machine import Machine

PLATFORMS = {Machine.AMD64: "win_amd64", Machine.X86: "win32", Machine.ARM64: "win_arm64", Machine.ARM: "win_arm32"}


def accepted_tags(
    version: tuple[int, int], machine: Machine, *, free_threaded: bool, debug: bool = False
) -> dict[str, int]:
    """Return {tag: its place} of the tags that a Python takes, the one that fits best first."""
    from packaging.tags import compatible_tags, cpython_tags

    platform = PLATFORMS.get(machine)
    platforms = [platform] if platform else []
    interpreter = f"cp{version[0]}{version[1]}"
    abi = interpreter + ("t" if free_threaded else "")
    abis = [f"{abi}d", abi] if debug else [abi]
    found = [*cpython_tags(version, abis, platforms), *compatible_tags(version, interpreter, platforms)]
    if free_threaded:  # the stable ABI is none of a free-threaded Python
        found = [tag for tag in found if tag.abi != "abi3"]
    return {text: place for place, text in enumerate(dict.fromkeys(map(str, found)))}
