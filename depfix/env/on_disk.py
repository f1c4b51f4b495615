"""What environments have in common whose files are there already."""

from __future__ import annotations

import os
from collections.abc import Mapping


class OnDisk:
    """Answers for files that are where their paths say."""

    def listing(self, folder: str) -> Mapping[str, bool]:
        """Return {name: whether it is a folder} of what is in a folder, sorted; empty if it cannot be listed."""
        try:
            with os.scandir(folder) as found:
                return dict(sorted((entry.name, entry.is_dir()) for entry in found))
        except OSError:
            return {}

    def ready(self, path: str) -> bool:
        """Return True: it is there."""
        return True

    def origin(self, path: str) -> str:
        """Return the path itself."""
        return path

    def why_not(self, name: str) -> str:
        """Return an empty string: nothing is set aside."""
        return ""
