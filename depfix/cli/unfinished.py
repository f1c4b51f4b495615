"""Warns of a repair that was cut off, before a command works on the same folder."""

from __future__ import annotations

from depfix.cli.terminal import tell
from depfix.errors import DepfixError
from depfix.wording.speech import said, say


def warn_if_unfinished(dist: str) -> None:
    """Tell the user if the last repair of a folder was cut off."""
    from depfix.api.repairing import is_unfinished

    try:
        cut_off = is_unfinished(dist)
    except DepfixError as error:
        tell(f" {said(error)}", "warning:", "yellow")
        return
    if cut_off:
        tell(
            " " + say("a repair of this folder was cut off; the next repair, or `depfix undo`, puts it back first"),
            "warning:",
            "yellow",
        )
