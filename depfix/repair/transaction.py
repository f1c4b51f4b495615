"""The transaction: files are staged beside the dist, hashed while copied, journalled, moved into place.

At any instant the dist is exactly old, exactly new, or the journal says how to bring it back to exactly old.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from depfix.errors import (
    ChangedSinceRepairError,
    DiskSpaceError,
    DistLockedError,
    NothingToUndoError,
    RolledBackError,
    UnsafePathError,
    WriteError,
)
from depfix.model.plan import Action, Plan
from depfix.repair.journal import (
    Journal,
    Phase,
    Step,
    numbered,
    read_journal,
    state_folder,
    sync_folder,
    transactions,
    write_journal,
)

_CHUNK = 1 << 20
_SPARE = 16 << 20  # bytes left free beyond the plan itself
_PART = ".depfix-part"

Copied = Callable[[int], None]


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Hold the dist's lock; first bring a dist that was left between old and new back to old.

    Raises DistLockedError if another depfix holds it, WriteError if nothing can be written beside the dist.
    """
    folder = state_folder(root)
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise DistLockedError(root) from error
    except OSError as error:
        raise WriteError(str(folder), error.strerror or str(error)) from error
    try:
        recover(root)
        yield
    finally:
        lock.release()
        _remove_if_empty(folder)


def recover(root: str) -> bool:
    """Bring a dist whose repair or undo was cut off back to exactly old; return True if there was one."""
    found = False
    for folder in reversed(transactions(root)):
        journal = read_journal(folder)
        if journal.phase is Phase.COMMITTED:
            continue
        found = found or journal.phase is not Phase.STAGING
        _revert(root, folder, journal)
    return found


def apply_plan(root: str, plan: Plan, copied: Copied = lambda _size: None) -> None:
    """Bring every file of a plan into the dist, or none. The caller holds the lock; `copied` is told bytes as they go.

    Raises UnsafePathError and DiskSpaceError before anything is written, RolledBackError if it could not be finished.
    """
    for action in plan.actions:
        _checked(root, action.destination)
    state = state_folder(root)
    free = shutil.disk_usage(state).free
    if plan.size + _SPARE > free:
        raise DiskSpaceError(root, plan.size + _SPARE, free)
    folder = next(numbered(state))
    try:
        folder.mkdir()
        journal = _stage(root, folder, plan.actions, copied)
        write_journal(folder, journal)
        _commit(root, folder, journal)
        write_journal(folder, _in_phase(journal, Phase.COMMITTED))
    except BaseException as error:
        _revert(root, folder, read_journal(folder))
        if isinstance(error, KeyboardInterrupt):
            raise RolledBackError("interrupted") from error
        if isinstance(error, OSError):
            raise RolledBackError(_reason(error)) from error
        raise


def undo_last(root: str) -> tuple[str, ...]:
    """Take the last repair back; return the paths that were removed or restored. The caller holds the lock.

    Raises NothingToUndoError, and ChangedSinceRepairError if files of the repair were changed afterwards.
    """
    recorded = transactions(root)
    if not recorded:
        raise NothingToUndoError(root)
    folder = recorded[-1]
    journal = read_journal(folder)
    changed = [step.destination for step in journal.steps if _changed(_checked(root, step.destination), step)]
    if changed:
        raise ChangedSinceRepairError(tuple(changed))
    journal = _in_phase(journal, Phase.UNDOING)
    write_journal(folder, journal)
    _revert(root, folder, journal)
    return tuple(step.destination for step in journal.steps)


# --- staging and committing ---


def _stage(root: str, folder: Path, actions: tuple[Action, ...], copied: Copied) -> Journal:
    """Copy every source beside the dist, and say in a journal what is to happen."""
    steps = []
    folders: dict[str, None] = {}
    for number, action in enumerate(actions):
        target = _checked(root, action.destination)
        digest, size = _copy(action.made or action.source, folder / f"new-{number}", copied)
        backup = f"old-{number}" if target.exists() else ""
        steps.append(Step(action.destination, f"new-{number}", digest, size, backup))
        folders.update(dict.fromkeys(_missing_folders(root, target)))
    touched = {str(Path(step.destination).parent) for step in steps} | {str(Path(made).parent) for made in folders}
    times = {name: Path(root, name).stat().st_mtime_ns for name in sorted(touched) if Path(root, name).is_dir()}
    return Journal(1, Phase.COMMITTING, tuple(steps), tuple(folders), times)


def _commit(root: str, folder: Path, journal: Journal) -> None:
    for made in journal.folders:
        Path(root, made).mkdir(exist_ok=True)
    for step in journal.steps:
        target = _checked(root, step.destination)
        if step.backup:
            _move(target, folder / step.backup)
        _move(folder / step.staged, target)
        sync_folder(target.parent)


def _revert(root: str, folder: Path, journal: Journal) -> None:
    """Bring the dist back to before the transaction, wherever that stopped; may be cut off and called again."""
    for step in reversed(journal.steps):
        target = _checked(root, step.destination)
        with contextlib.suppress(FileNotFoundError):
            target.with_name(target.name + _PART).unlink()
        backup = folder / step.backup if step.backup else None
        if backup is not None and backup.exists():
            _move(backup, target)
        elif backup is None and target.exists() and not _changed(target, step):
            _make_writable(target)
            target.unlink()
            _remove_bytecode(target)
    for made in reversed(journal.folders):
        with contextlib.suppress(OSError):
            Path(root, made).rmdir()
    for name, time in journal.times.items():
        with contextlib.suppress(OSError):
            os.utime(Path(root, name), ns=(time, time))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_bytecode(source: Path) -> None:
    """Remove what Python has compiled of a source that is gone, if the program has run since.

    Source: PEP 3147, "PYC Repository Directories" https://peps.python.org/pep-3147/
    """
    folder = source.parent / "__pycache__"
    if source.suffix != ".py" or not folder.is_dir():
        return
    with contextlib.suppress(OSError):
        for compiled in folder.iterdir():
            if compiled.suffix == ".pyc" and compiled.name.partition(".")[0] == source.stem:
                compiled.unlink()
        folder.rmdir()


def _in_phase(journal: Journal, phase: Phase) -> Journal:
    return Journal(journal.version, phase, journal.steps, journal.folders, journal.times)


# --- files ---


def _checked(root: str, destination: str) -> Path:
    """Return the full path of a destination. Raises UnsafePathError if it would leave the dist, links followed."""
    parts = destination.split("/")
    if not destination or any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
        raise UnsafePathError(destination)
    target = Path(root, *parts)
    real_root = os.path.realpath(root)
    if os.path.commonpath([real_root, os.path.realpath(target.parent)]) != real_root:
        raise UnsafePathError(destination)
    return target


def _copy(source: str, target: Path, copied: Copied) -> tuple[str, int]:
    """Copy one file and its times; return the SHA-256 in hex and the size of what was written, on disk by then."""
    digest = hashlib.sha256()
    size = 0
    with open(source, "rb") as reading, open(target, "xb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
            size += len(chunk)
            copied(len(chunk))
        writing.flush()
        os.fsync(writing.fileno())
    with contextlib.suppress(OSError):
        status = os.stat(source)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    return digest.hexdigest(), size


def _move(source: Path, target: Path) -> None:
    """Move a file at once; where the dist is on another file system, copy beside the target first."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(target.name + _PART)
        shutil.copy2(source, part)
        os.replace(part, target)
        source.unlink()


def _changed(target: Path, step: Step) -> bool:
    """Return True if a file is there that is not the one that the step wrote."""
    if not target.exists():
        return False
    digest = hashlib.sha256()
    with open(target, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest() != step.sha256


def _missing_folders(root: str, target: Path) -> list[str]:
    missing = []
    folder = target.parent
    while not folder.exists():
        missing.append(folder.relative_to(root).as_posix())
        folder = folder.parent
    return missing[::-1]


def _make_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        path.chmod(0o644)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] in ([], ["lock"]):
            (folder / "lock").unlink(missing_ok=True)
            folder.rmdir()


def _reason(error: OSError) -> str:
    return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
