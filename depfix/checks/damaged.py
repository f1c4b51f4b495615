"""DF208 damaged-file: files that are not what was meant to stand there, by their own headers or by their RECORD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from depfix.checks.findings import confidence_of, finding, locations_of, severity_of, surest_first
from depfix.closure.build import Closure
from depfix.closure.distributions import Present, Recorded, path_in_dist, records_of
from depfix.closure.graph import Node, NodeKind, chain_texts
from depfix.closure.world import World
from depfix.dist.tree import FileEntry, FileKind
from depfix.imports.uses import Strength
from depfix.model.content import POINTER_SIZES, pointed_by, readable_hash
from depfix.model.finding import Confidence, Finding, Location, Severity
from depfix.model.image import Image, ImageProblem
from depfix.model.names import base_name, fold
from depfix.wording.message import phrase

_NAME = "damaged-file"
_IMAGES = (".dll", ".pyd")
_SOURCES = (".py", ".pyc", ".pyi")
_TAIL = 4096
_MOST_LOCATIONS = 20


@dataclass(frozen=True, slots=True)
class _Row:
    """A file of the dist as its distribution recorded it."""

    present: Present
    recorded: Recorded


def check_damaged(closure: Closure) -> Iterator[Finding]:
    """Yield a finding for each file that is cut off, empty, a pointer or a web page, or unlike what was recorded."""
    rows = _recorded(closure.world)
    told: set[str] = set()
    for entry in closure.world.tree:
        reason = damage_of(closure.world, entry)
        if reason:
            told.add(fold(entry.path))
            yield _damaged(closure, entry, reason, rows.get(fold(entry.path)))
    yield from _unlike_records(closure, rows, told)


def damage_of(world: World, entry: FileEntry) -> str:
    """Return why a file is surely damaged, an empty string if nothing says so; its RECORD is not looked at."""
    programs = {path for path, _ in world.dist.broken_programs}
    if entry.kind is FileKind.IMAGE or fold(entry.name).endswith(_IMAGES) or entry.path in programs:
        image = world.facts.image(entry)
        if isinstance(image, ImageProblem):
            return image.reason if image.damaged and _is_for_loader(entry) else ""
        missing = image.unsigned_bytes
        return (
            phrase("it is cut off: {missing:,} bytes of its signature are missing", missing=missing) if missing else ""
        )
    if entry.kind is FileKind.OTHER and entry.size in POINTER_SIZES:
        size = world.facts.remember(entry.source, "pointer", pointed_by)
        return (
            phrase("it is a git-lfs pointer to {size:,} bytes that were never fetched (git lfs pull)", size=size)
            if size
            else ""
        )
    return ""


def _is_for_loader(entry: FileEntry) -> bool:
    """Return True for what is meant to be an image by its name: other files may begin with MZ as they like."""
    return fold(entry.name).endswith((*_IMAGES, ".exe"))


def _damaged(closure: Closure, entry: FileEntry, reason: str, row: _Row | None, *, loads: bool = True) -> Finding:
    """Return the finding for a damaged file; one that Windows `loads` all the same is a warning."""
    node = Node(NodeKind.IMAGE, entry.path)
    strength = closure.graph.strength(node)
    refused = _is_for_loader(entry) and not (loads and isinstance(closure.world.facts.image(entry), Image))
    program = entry.path in {path for path, _ in closure.world.dist.broken_programs}
    severity, confidence = _weight(strength, refused=refused)
    edges = [edge for _, edge in surest_first(closure.graph, closure.graph.edges_to(node))]
    chain = chain_texts(closure.graph.chain(node), closure.graph.root) if strength is not None else (entry.path,)
    told = {"path": entry.path, "reason": reason, "recorded": _recorded_words(entry, row)}
    found = (
        phrase("{path} is called a program, but {reason}{recorded}", **told)
        if program
        else phrase("{path} is damaged: {reason}{recorded}", **told)
    )
    if strength is not None:
        found = phrase("{path} is what Windows will find, but {reason}{recorded}", **told)
    return finding(
        _NAME,
        fold(entry.name) if _is_for_loader(entry) else entry.path,
        found,
        severity=Severity.ERROR if program else severity,
        confidence=Confidence.CERTAIN if program else confidence,
        locations=(Location(entry.path), *locations_of(edges)),
        chain=chain,
        identity=entry.path,
    )


def _weight(strength: Strength | None, *, refused: bool) -> tuple[Severity, Confidence]:
    """Weigh a damaged file; `refused`: Windows does not load it."""
    if strength is None or not refused or strength is Strength.POSSIBLE:
        return Severity.WARNING, Confidence.CERTAIN
    return severity_of(strength), confidence_of(strength)


def _recorded_words(entry: FileEntry, row: _Row | None) -> str:
    if row is None:
        return ""
    if row.recorded.size < 0 or row.recorded.size == entry.size:
        return phrase("; it belongs to {present}", present=row.present)
    return phrase(
        "; {present} recorded {size:,} bytes, and it has {size2:,}",
        present=row.present,
        size=row.recorded.size,
        size2=entry.size,
    )


# --- RECORD ---


def _recorded(world: World) -> dict[str, _Row]:
    """Return {folded path: row} of the files that distributions recorded with a size or a hash."""
    found: dict[str, _Row] = {}
    for present in world.distributions:
        for recorded in records_of(world.tree, world.facts, present):
            if recorded.size >= 0 or recorded.sha256:
                found.setdefault(fold(path_in_dist(present, recorded)), _Row(present, recorded))
    return found


def _unlike_records(closure: Closure, rows: dict[str, _Row], told: set[str]) -> Iterator[Finding]:
    """Yield findings for files that are whole by themselves, and not what their distribution installed.

    Freezers, packers and signing tools change images, and conda changes paths in texts: of files that only differ one
    finding tells for each distribution. What is shorter and no text was cut off.
    """
    world = closure.world
    changed: dict[tuple[Present, bool], list[FileEntry]] = {}
    for path, row in rows.items():
        entry = world.tree.file(path) if path not in told else None
        if entry is None or row.recorded.path.startswith(base_name(row.present.folder) + "/"):
            continue
        if not fold(entry.name).endswith(_IMAGES):
            reason = _shortened(world, entry, row.recorded)
            if reason:
                yield _short(entry, reason, row)
        elif _differs(world, entry, row.recorded):
            zeroed = entry.size == row.recorded.size and world.facts.remember(entry.source, "tail", _ends_in_zeros)
            if zeroed:
                yield _damaged(
                    closure, entry, phrase("its end is zeros, as of an unfinished download"), row, loads=False
                )
            else:
                changed.setdefault((row.present, entry.size == row.recorded.size), []).append(entry)
    for (present, same_size), entries in changed.items():
        yield _changed(closure, present, entries, same_size=same_size)


def _differs(world: World, entry: FileEntry, recorded: Recorded) -> bool:
    """Return True if a file has another size than the recorded one, or the same and another SHA-256."""
    if 0 <= recorded.size != entry.size:
        return True
    known = world.facts.remember(entry.source, "sha256", readable_hash) if recorded.sha256 else ""
    return known not in ("", recorded.sha256)


def _shortened(world: World, entry: FileEntry, recorded: Recorded) -> str:
    if not 0 <= entry.size < recorded.size:
        return ""
    if not entry.size:
        return phrase("it is empty") if not fold(entry.name).endswith(_SOURCES) else ""
    return phrase("it is cut off") if world.facts.remember(entry.source, "binary", _is_binary) else ""


def _is_binary(source: str) -> bool:
    try:
        with open(source, "rb") as file:
            return b"\0" in file.read(_TAIL)
    except OSError:
        return False


def _ends_in_zeros(source: str) -> bool:
    try:
        with open(source, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            return size >= _TAIL and not file.read(_TAIL).strip(b"\0")
    except OSError:
        return False


def _short(entry: FileEntry, reason: str, row: _Row) -> Finding:
    return finding(
        _NAME,
        entry.path,
        phrase(
            "{path} is damaged: {reason}{recorded}",
            path=entry.path,
            reason=reason,
            recorded=_recorded_words(entry, row),
        ),
        severity=Severity.WARNING,
        confidence=Confidence.PROBABLE,
        locations=(Location(entry.path),),
        identity=entry.path,
    )


def _changed(closure: Closure, present: Present, entries: list[FileEntry], *, same_size: bool) -> Finding:
    more = phrase(" (and {number} more files of it)", number=len(entries) - 1) if len(entries) > 1 else ""
    how = phrase("has the size but not the SHA-256") if same_size else phrase("has not the size")
    return finding(
        _NAME,
        present.key,
        phrase(
            "{entrie}{more} {how} that {present} recorded: it is of another version, was changed afterwards "
            "(packed, signed), or is damaged",
            entrie=entries[0].path,
            more=more,
            how=how,
            present=present,
        ),
        severity=Severity.WARNING if same_size else Severity.INFO,
        confidence=Confidence.POSSIBLE,
        locations=tuple(Location(entry.path) for entry in entries[:_MOST_LOCATIONS]),
        identity=f"{present.folder}\0{'content' if same_size else 'size'}",
    )
