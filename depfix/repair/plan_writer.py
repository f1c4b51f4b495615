"""Writes plans as files. What depfix makes is in the plan, as the part that differs from the source.

So is the content of files that were unpacked for one run alone and that no archive has under a name.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import msgspec

from depfix import __version__
from depfix.dist.identify import Dist
from depfix.env.wheels import IN_ARCHIVE
from depfix.model.content import content_hash
from depfix.model.names import plain_path
from depfix.model.plan import Action, Plan
from depfix.repair.inventory import file_states, fingerprint_of
from depfix.repair.planfile import (
    MODULES,
    PACKAGE,
    PLAN_VERSION,
    PlanAction,
    PlanContent,
    PlanDeclined,
    PlanDist,
    PlanFile,
    PlanLeftOut,
    python_of,
)
from depfix.reports.json import encoded
from depfix.wording.message import phrase
from depfix.wording.speech import said, speaking_to_machines


def plan_file(dist: Dist, plan: Plan, archives: Mapping[str, str], scratch: str) -> PlanFile:
    """Return a plan with all that is needed to carry it out elsewhere. Raises OSError if a source cannot be read.

    `archives` is {archive: folder into which it was unpacked}; other sources below `scratch` will be gone by then, so
    their content is taken into the plan.
    """
    files = file_states(dist.tree)
    root = plain_path(dist.root)
    return PlanFile(
        PLAN_VERSION,
        __version__,
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        PlanDist(root, dist.freezer.value, python_of(dist), dist.machine.value, fingerprint_of(files), files),
        tuple(_plan_action(dist, action, archives, scratch) for action in plan.actions),
        PlanLeftOut(plan.left_out, plan.saved),
        tuple(PlanDeclined(row.rule, row.subject, row.reason) for row in plan.declined),
        tuple(phrase("{path}: too long a path", path=path) for path in plan.long_paths(os.path.basename(root))),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a source is, as `PlanAction` says it; `base` is the file with its content, empty if nothing is taken."""

    source: str
    base: str = ""
    in_dist: bool = False
    archive: str = ""
    member: str = ""


def _place(dist: Dist, action: Action, archives: Mapping[str, str], scratch: str) -> _Place:
    source = action.source
    inner = _below(dist.root, source)
    if inner:
        return _Place(inner, source, in_dist=True)
    for archive, folder in archives.items():
        if _below(folder, source) and not _below(scratch, archive):
            return _Place(os.path.abspath(archive), source, archive=MODULES, member=_below(folder, source))
    if action.made and IN_ARCHIVE in source:
        archive, _, member = source.partition(IN_ARCHIVE)
        is_copy = action.action in ("copy", "replace")
        return _Place(os.path.abspath(archive), action.made if is_copy else "", archive=PACKAGE, member=member)
    if action.action == "write" or _below(scratch, source):
        return _Place("")
    return _Place(os.path.abspath(source), source)


def _plan_action(dist: Dist, action: Action, archives: Mapping[str, str], scratch: str) -> PlanAction:
    place = _place(dist, action, archives, scratch)
    new = action.made or action.source
    result = content_hash(new)
    provider = action.provider
    return PlanAction(
        action.action,
        place.source,
        action.destination,
        action.size,
        content_hash(place.base) if place.base else result,
        result,
        provider.name,
        provider.version,
        provider.licence,
        provider.note,
        action.rule,
        action.subject,
        action.chain,
        place.in_dist,
        place.archive,
        place.member,
        _content(place.base, new) if place.base != new else None,
    )


def _content(source: str, made: str) -> PlanContent:
    """Return new content as what lies between the first and the last bytes that it shares with the source."""
    old, new = _read(source) if source else b"", _read(made)
    first = _shared(old, new)
    last = _shared(old[first:][::-1], new[first:][::-1])
    return PlanContent(first, last, base64.b64encode(new[first : len(new) - last]).decode("ascii"))


def _shared(one: bytes, other: bytes) -> int:
    """Return how many bytes at their start are the same."""
    low, high = 0, min(len(one), len(other))
    left = memoryview(one)  # two statements: Nuitka 4.3.3 fails on a tuple of these calls
    right = memoryview(other)
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def plan_json(plan: PlanFile) -> str:
    """Return a plan as JSON."""
    with speaking_to_machines():
        plain = msgspec.to_builtins(plan, enc_hook=said)
    return encoded(plain)


def _below(folder: str, path: str) -> str:
    """Return a path relative to a folder with `/`, an empty string if it is not below it."""
    inside = os.path.join(folder, "") if folder else "\0"
    return path[len(inside) :].replace(os.sep, "/") if path.startswith(inside) else ""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
