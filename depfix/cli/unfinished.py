"""Warns of a repair that was cut off, before a command works on the same folder."""

from __future__ import annotations

import os

from depfix.cli.terminal import tell
from depfix.errors import DepfixError


def warn_if_unfinished(dist: str) -> None:
    """Tell the user if the last repair of a folder was cut off."""
    from depfix.repair.state import state_path

    root = os.path.abspath(dist)
    if not os.path.isdir(dist) or not os.path.isdir(state_path(root)):
        return
    from depfix.repair.journal import unfinished

    try:
        cut_off = unfinished(root)
    except DepfixError as error:
        tell(f" {error}", "warning:", "yellow")
        return
    if cut_off:
        tell(
            " a repair of this folder was cut off; the next repair, or `depfix undo`, puts it back first",
            "warning:",
            "yellow",
        )
