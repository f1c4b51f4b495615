"""Where the state of a dist's repairs lies. It is asked for by every command, so nothing large is imported here."""

from __future__ import annotations

import os

_LONGEST_NAME = 240  # bytes; most file systems take 255
_KEPT_OF_NAME = 50


def state_path(root: str) -> str:
    """Return the folder beside the dist that holds the state of its repairs: `<dist>.depfix`.

    A name that would be too long for a file system is cut, and a hash of it added.
    """
    folder, name = os.path.split(root.rstrip("/\\"))
    if len(os.fsencode(name)) > _LONGEST_NAME:
        import hashlib

        name = f"{name[:_KEPT_OF_NAME]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
    return os.path.join(folder, f"{name}.depfix")
