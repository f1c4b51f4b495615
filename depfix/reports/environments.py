"""`depfix envs` as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from depfix.env.protocol import EnvironmentInfo
from depfix.reports.text import Line


def environment_lines(found: Sequence[EnvironmentInfo]) -> Iterator[Line]:
    """Yield one line for each environment."""
    if not found:
        yield Line("no environment was found on this machine: --env names one by its folder")
    width = max((len(row.spec) for row in found), default=0)
    for row in found:
        python = f"Python {row.python}" if row.python else "no Windows Python"
        machine = row.machine.value if row.machine is not None else "-"
        note = f"  not usable: {row.note}" if row.note else f"  {row.caveat}" if row.caveat else ""
        yield Line(
            f"  {python:<18} {machine:<6} {row.root}{note}",
            f"{row.spec:<{width}}",
            "green" if not row.note else "yellow",
        )


def environments_json(found: Sequence[EnvironmentInfo]) -> str:
    """Return the environments as JSON."""
    rows = [
        {
            "spec": row.spec,
            "root": row.root,
            "kind": row.kind,
            "python": row.python or None,
            "machine": row.machine.value if row.machine is not None else None,
            "usable": not row.note,
            "note": row.note,
            "caveat": row.caveat,
        }
        for row in found
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode("utf-8") + "\n"
