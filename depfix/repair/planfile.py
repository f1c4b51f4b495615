"""Plans as files, read back and carried out if the dist and the sources are still what they were.

The dist is compared by the content of its files, not by times, so that a copy of it on another machine is as good. A
source is compared by its content, too; in an archive it is found by its name there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from depfix.dist.identify import Dist
from depfix.dist.tree import Tree
from depfix.env.wheels import IN_ARCHIVE
from depfix.model.names import fold, unsafe_name
from depfix.model.plan import Action, Declined, Plan
from depfix.model.source import Provider
from depfix.repair.errors import PlanFileError, PlanOutdatedError
from depfix.repair.inventory import Count, FileState, changes_of, file_states, fingerprint_of, hashes_of
from depfix.wording.message import joined, phrase, small_system_words

PLAN_VERSION = 2  # 1 named no dist
PACKAGE, MODULES = "package", "modules"  # kinds of archives: wheels and the like, zips that Python imports from
_VERBS = ("copy", "replace", "write", "patch")
_KINDS = ("", PACKAGE, MODULES)

_Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class PlanDist(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dist that a plan is for. `root` is where it was, for a reader; `fingerprint` is of all its files."""

    root: str
    freezer: str
    python: str | None
    machine: str
    fingerprint: _Hash
    files: dict[str, FileState]


class PlanContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content that is in the plan: `first` bytes of the source, then what is in `base64`, then its `last` bytes."""

    first: Count
    last: Count
    base64: str


class PlanAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. `source` is absolute, or in the dist if `in_dist`; it is empty if all the content is in the plan.

    `archive` is the kind of archive that `source` is, `member` the name in it. `sha256` is of the source, or of the new
    file if nothing is taken from one; `size` is of the new file, `result` its SHA-256.
    """

    action: str
    source: str
    destination: str
    size: Count
    sha256: _Hash
    result: _Hash
    provider: str
    version: str
    licence: str
    note: str
    rule: str
    subject: str
    chain: tuple[str, ...]
    in_dist: bool = False
    archive: str = ""
    member: str = ""
    content: PlanContent | None = None

    @property
    def takes_source(self) -> bool:
        """True if something of the source goes into the new file."""
        return self.content is None or bool(self.content.first or self.content.last)


class PlanDeclined(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finding that the plan does not cure."""

    rule: str
    subject: str
    reason: str


class PlanLeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of whole packages is not copied."""

    files: Count
    bytes: Count


class PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan as it is written; `warnings` are for a reader."""

    schema_version: int
    depfix: str
    created: str
    dist: PlanDist
    actions: tuple[PlanAction, ...]
    left_out: PlanLeftOut
    declined: tuple[PlanDeclined, ...]
    warnings: tuple[str, ...]


class _Version(msgspec.Struct, frozen=True):
    schema_version: int


def plan_schema() -> bytes:
    """Return the JSON Schema of a plan."""
    return pkgutil.get_data("depfix.reports", "schema/plan.schema.json") or b""


def read_plan_file(path: str) -> PlanFile:
    """Return the plan in a file. Raises PlanFileError if it is none, or one that must not be carried out."""
    try:
        data = _read(path)
    except OSError as error:
        raise PlanFileError(path, phrase("it cannot be read: {error}", error=small_system_words(error))) from error
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version != PLAN_VERSION:
            raise PlanFileError(
                path,
                phrase(
                    "its schema_version is {version}; this depfix carries out {plan_version}",
                    version=version,
                    plan_version=PLAN_VERSION,
                ),
            )
        found = msgspec.json.decode(data, type=PlanFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(path, phrase("it is damaged, or no plan of depfix: {error}", error=error)) from error
    problem = _problem(found)
    if problem:
        raise PlanFileError(path, problem)
    return found


def _problem(found: PlanFile) -> str:
    """Return why a plan that can be read must not be carried out; empty if nothing speaks against it."""
    if found.dist.fingerprint != fingerprint_of(found.dist.files):
        return phrase("it is damaged: the fingerprint is not that of the files of the dist")
    seen: set[str] = set()
    for action in found.actions:
        reason = unsafe_name(action.destination)
        if reason:
            return phrase(
                "refused to write {destination}: {reason}", destination=repr(action.destination), reason=reason
            )
        if fold(action.destination) in seen:
            return phrase("it writes {destination} twice", destination=action.destination)
        seen.add(fold(action.destination))
        reason = _problem_of_source(found, action)
        if reason:
            return phrase("{destination}: {reason}", destination=action.destination, reason=reason)
    return ""


def _problem_of_source(found: PlanFile, action: PlanAction) -> str:
    if action.action not in _VERBS:
        return phrase("no such action: {action}", action=action.action)
    if action.archive not in _KINDS or bool(action.archive) != bool(action.member):
        return phrase("no such kind of archive: {archive}", archive=repr(action.archive))
    if action.member and unsafe_name(action.member):
        return phrase("its source {member} is no file in an archive", member=repr(action.member))
    if action.in_dist and action.source not in found.dist.files:
        return phrase("its source {source} is no file of the dist", source=repr(action.source))
    if not action.in_dist and action.source and not os.path.isabs(action.source):
        return phrase("its source {source} is no absolute path", source=repr(action.source))
    return "" if action.source or not action.takes_source else phrase("it has neither a source nor content")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a run lends: a new folder, the folder into which a zip of modules is unpacked, a file for some content."""

    folder: Callable[[], str]
    modules: Callable[[str], str]
    keep: Callable[[bytes], str]


def bound_plan(path: str, found: PlanFile, dist: Dist, workshop: Workshop) -> Plan:
    """Return a plan that was read, for the dist as it is now.

    Raises PlanFileError if it is for another dist, PlanOutdatedError if the dist or a source is not what it was.
    """
    planned = (found.dist.freezer, found.dist.python, found.dist.machine)
    here = (dist.freezer.value, python_of(dist), dist.machine.value)
    if planned != here:
        words = joined(
            phrase(" and "), (joined(", ", (each or phrase("no Python") for each in one)) for one in (planned, here))
        )
        raise PlanFileError(
            path, phrase("it is for another dist (freezer, Python and machine of the two: {words})", words=words)
        )
    changes = changes_of(found.dist.files, file_states(dist.tree))
    if changes and found.actions and all(_stands(dist.tree, action) for action in found.actions):
        raise PlanFileError(path, phrase("it was carried out already: every file of it stands in the dist"))
    sources = _sources(dist, [one for one in found.actions if one.takes_source], workshop)
    for (action, source), sha256 in zip(sources.items(), hashes_of(sources.values()), strict=True):
        if sha256 != action.sha256:
            shown = (
                phrase("{member} in {source}", member=action.member, source=action.source) if action.member else source
            )
            changes.append(
                phrase("{path} (other content)", path=shown) if sha256 else phrase("{path} (gone)", path=shown)
            )
    if changes:
        raise PlanOutdatedError(path, tuple(dict.fromkeys(changes)))
    actions = tuple(_bound(path, action, sources.get(action, ""), workshop.keep) for action in found.actions)
    declined = tuple(Declined(row.rule, row.subject, row.reason) for row in found.declined)
    return Plan(actions, declined, found.left_out.files, found.left_out.bytes)


def _sources(dist: Dist, actions: Sequence[PlanAction], workshop: Workshop) -> dict[PlanAction, str]:
    """Return the file that has the content of each source; one that cannot be had does not exist."""
    packages = {one.source for one in actions if one.archive == PACKAGE}
    unpacked = {archive: _unpacked(archive, workshop.folder()) for archive in sorted(packages)}
    found = {}
    for action in actions:
        if action.in_dist:
            found[action] = os.path.join(dist.root, *action.source.split("/"))
        elif action.archive == MODULES:
            found[action] = os.path.join(workshop.modules(action.source), *action.member.split("/"))
        elif action.archive == PACKAGE:
            folder, members = unpacked[action.source]
            found[action] = os.path.join(folder, *members.get(action.member, action.member).split("/"))
        else:
            found[action] = action.source
    return found


def _unpacked(path: str, folder: str) -> tuple[str, dict[str, str]]:
    """Unpack a wheel or its like; return the folder and {name in the archive: place in the folder}."""
    from depfix.env.safe_archive import RefusedArchiveError
    from depfix.env.wheel_folder import open_archive

    try:
        archive = open_archive(path)
        archive.unpack(folder)
    except (RefusedArchiveError, OSError):
        return folder, {}  # then its files are not there
    return folder, {name: place for place, name in archive.files.items()}


def _bound(path: str, action: PlanAction, source: str, keep: Callable[[bytes], str]) -> Action:
    made = source if action.archive else ""
    if action.content is not None:
        made = keep(_made_again(path, action, action.content, source))
    shown = f"{action.source}{IN_ARCHIVE}{action.member}" if action.archive == PACKAGE else source
    provider = Provider(action.provider, action.version, action.licence, action.note)
    return Action(
        action.action,
        shown or action.source or made,
        action.destination,
        provider,
        action.size,
        action.rule,
        action.subject,
        action.chain,
        made,
        action.result,
    )


def _made_again(path: str, action: PlanAction, content: PlanContent, source: str) -> bytes:
    old = _read(source) if source else b""
    try:
        middle = base64.b64decode(content.base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PlanFileError(
            path,
            phrase("it is damaged: the content of {destination}: {error}", destination=action.destination, error=error),
        ) from error
    new = old[: content.first] + middle + (old[-content.last :] if content.last else b"")
    if len(new) != action.size or hashlib.sha256(new).hexdigest() != action.result:
        raise PlanFileError(
            path,
            phrase(
                "it is damaged: the content of {destination} is not what its hash says", destination=action.destination
            ),
        )
    return new


def python_of(dist: Dist) -> str | None:
    """Return the Python of a dist as a plan names it."""
    return dist.python.text if dist.python is not None else None


def _stands(tree: Tree, action: PlanAction) -> bool:
    entry = tree.file(action.destination)
    return entry is not None and entry.size == action.size and hashes_of([entry.source]) == [action.result]


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
