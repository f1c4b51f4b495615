"""The transaction: files are staged beside the dist, hashed while copied, journalled, moved into place.

At any instant the dist is exactly old, exactly new, or the journal says how to bring it back to exactly old. The order
makes that true after a power cut, too, when only what was made durable is sure to be there:

1. Files are staged in a folder beside the dist. Without a journal there, that folder means nothing and is removed.
2. All of them are made durable at once, then the journal, in phase COMMITTING. So a journal is only ever found with
   whole staged files.
3. Files are moved: the old one into the folder, the new one into its place. A staged file that is still in the folder
   was not moved, and what stands at its destination is not the repair's; one that is gone stands there, whatever its
   content. So no hash decides what to take away, and a torn file is never held for one that the user has changed.
4. The folders are made durable, then the journal in phase COMMITTED.

To revert is to move the other way, which changes nothing if it was done before; it may be cut off any number of times.
The journal goes first of the folder's content, once all of that is durable: never is there a journal without files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path

from msgspec.structs import replace

from depfix import __version__
from depfix.errors import WriteError
from depfix.model.content import content_hash
from depfix.model.plan import Action, Plan
from depfix.repair.copying import Copied, Copier, quiet
from depfix.repair.disk import (
    PART,
    is_in_use,
    keep_attributes,
    make_durable,
    make_writable,
    move,
    place_in,
    remove_folder,
    uninterrupted,
)
from depfix.repair.errors import (
    ChangedSinceRepairError,
    NothingToUndoError,
    RollBackFailedError,
    RolledBackError,
    StateDamagedError,
)
from depfix.repair.journal import (
    VERSION,
    Journal,
    Phase,
    Step,
    forget_journal,
    numbered,
    read_journal,
    state_folder,
    transactions,
    write_journal,
)
from depfix.repair.lock import held
from depfix.repair.preflight import Targets, preflight
from depfix.wording.message import phrase, system_words

_MOST_PROVIDERS = 3  # in a summary


@contextmanager
def locked(root: str) -> Iterator[bool]:
    """Hold the dist's lock; first bring a dist that was left between old and new back to old: True if it was.

    Raises DistLockedError if another depfix holds it, WriteError if nothing can be written beside the dist.
    """
    with held(state_folder(root), root):
        yield recover(root)


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


def apply_plan(root: str, plan: Plan, copied: Copied = quiet, *, link: bool = False) -> None:
    """Bring every file of a plan into the dist, or none. The caller holds the lock.

    `copied` is told (files, bytes) as they come; `link` takes clones or hard links where the file system has them.
    Raises UnsafePathError, PreflightError and DiskSpaceError before anything is written, RolledBackError if it could
    not be finished, RollBackFailedError if it could not be put back either.
    """
    state = state_folder(root)
    preflight(root, state, plan, link=link)
    folder = next(numbered(state))
    try:
        folder.mkdir()
        journal = _stage(root, folder, plan, Copier(link, copied))
        staged = [str(folder / step.staged) for step in journal.steps]
        make_durable(staged, (str(folder), str(state), str(state.parent)))
        write_journal(folder, journal)
        _commit(root, folder, journal)
        make_durable((), _touched(root, folder, journal))
        write_journal(folder, replace(journal, phase=Phase.COMMITTED))
    except BaseException as error:
        _roll_back(root, folder)
        if isinstance(error, KeyboardInterrupt):
            raise RolledBackError("interrupted") from error
        if isinstance(error, OSError):
            raise RolledBackError(_reason(root, error)) from error
        raise


def undo_repairs(root: str, first: int = 0) -> tuple[str, ...]:
    """Take repairs back, the last one first, down to the one numbered `first`; 0 stands for the last one alone.

    Return the paths that were removed or restored. The caller holds the lock. Raises NothingToUndoError, and
    ChangedSinceRepairError, before anything is changed, if files of these repairs were changed afterwards.
    """
    recorded = [(folder, read_journal(folder)) for folder in transactions(root)]
    recorded = [row for row in recorded if row[1].phase is Phase.COMMITTED]  # else one that could not be removed
    chosen = [row for row in recorded if int(row[0].name) >= first] if first else recorded[-1:]
    if not chosen or (first and int(chosen[0][0].name) != first):
        raise NothingToUndoError(root, first)
    chosen.reverse()
    for folder, journal in chosen:
        gone = [step.destination for step in journal.steps if step.backup and not os.path.lexists(folder / step.backup)]
        if gone:
            raise StateDamagedError(str(folder), phrase("the old {gone} is no longer there", gone=", ".join(gone)))
    changed = _changed_since(root, chosen)
    if changed:
        raise ChangedSinceRepairError(changed)
    paths: dict[str, None] = {}
    for folder, journal in chosen:
        try:
            write_journal(folder, replace(journal, phase=Phase.UNDOING))
        except OSError as error:
            raise WriteError(str(folder), system_words(error)) from error
        _revert(root, folder, replace(journal, phase=Phase.UNDOING))
        paths.update(dict.fromkeys(step.destination for step in journal.steps))
    return tuple(paths)


# --- staging and committing ---


def _stage(root: str, folder: Path, plan: Plan, copier: Copier) -> Journal:
    """Bring every source beside the dist, and say in a journal what is to happen."""
    targets = Targets(root)
    steps = []
    folders: dict[str, None] = {}
    place = str(folder)
    wanted = [(action, os.path.join(place, f"new-{number}")) for number, action in enumerate(plan.actions)]
    with closing(copier.bring_all(wanted)) as brought:
        for number, (action, staged) in enumerate(zip(plan.actions, brought, strict=True)):
            target = targets(action.destination)
            name = f"new-{number}"
            backup = f"old-{number}" if os.path.lexists(target) else ""
            if backup:
                keep_attributes(target, os.path.join(place, name))
            steps.append(Step(action.destination, name, staged.sha256, staged.size, backup, staged.linked))
            folders.update(dict.fromkeys(_missing_folders(root, action.destination, folders)))
    touched = {os.path.dirname(name) or "." for name in (*(step.destination for step in steps), *folders)}
    times = {name: os.stat(place_in(root, name)).st_mtime_ns for name in sorted(touched - folders.keys())}
    return Journal(
        VERSION,
        Phase.COMMITTING,
        tuple(steps),
        tuple(folders),
        times,
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        __version__,
        _summary(plan.actions),
    )


def _commit(root: str, folder: Path, journal: Journal) -> None:
    targets = Targets(root)
    place = str(folder)
    for made in journal.folders:
        os.mkdir(place_in(root, made))
    for step in journal.steps:
        target = targets(step.destination)
        if step.backup:
            move(target, os.path.join(place, step.backup))
        move(os.path.join(place, step.staged), target)


def _roll_back(root: str, folder: Path) -> None:
    """Put the dist back after an error, wherever the transaction stopped; Ctrl-C has no effect on that."""
    with uninterrupted():
        journal = read_journal(folder)
        if journal.phase is Phase.COMMITTED:  # else it would be trusted while it is taken back
            journal = replace(journal, phase=Phase.UNDOING)
            write_journal(folder, journal)
        _revert(root, folder, journal)


def _revert(root: str, folder: Path, journal: Journal) -> None:
    """Bring the dist back to before the transaction, wherever that stopped; may be cut off and called again.

    Raises RollBackFailedError if a file cannot be moved.
    """
    with uninterrupted():
        targets = Targets(root)
        try:
            for step in reversed(journal.steps):
                _revert_step(targets(step.destination), str(folder), step, journal.phase)
            for made in reversed(journal.folders):
                with contextlib.suppress(OSError):
                    os.rmdir(place_in(root, made))
            for name, time in journal.times.items():
                with contextlib.suppress(OSError):
                    os.utime(place_in(root, name), ns=(time, time))
            if journal.phase is not Phase.STAGING:
                make_durable((), _touched(root, folder, journal))
                forget_journal(folder)
        except OSError as error:
            raise RollBackFailedError(root, _reason(root, error)) from error
        remove_folder(folder)


def _revert_step(target: str, folder: str, step: Step, phase: Phase) -> None:
    """Move the new file back into the transaction's folder, if it is not there, and the old one into its place."""
    staged = os.path.join(folder, step.staged)
    backup = os.path.join(folder, step.backup) if step.backup else ""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target + PART)
    is_ours = not os.path.lexists(staged) and os.path.lexists(target) and (not backup or os.path.lexists(backup))
    if is_ours and not (phase is Phase.UNDOING and not backup and _changed(target, step)):
        move(target, staged)
    if backup and os.path.lexists(backup):
        move(backup, target)
    elif not backup and not os.path.lexists(target):
        _remove_bytecode(target)


def _remove_bytecode(source: str) -> None:
    """Remove what Python has compiled of a source that is gone, if the program has run since.

    Source: PEP 3147, "PYC Repository Directories" https://peps.python.org/pep-3147/
    """
    stem, suffix = os.path.splitext(os.path.basename(source))
    folder = os.path.join(os.path.dirname(source), "__pycache__")
    if suffix != ".py" or not os.path.isdir(folder):
        return
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.endswith(".pyc") and name.partition(".")[0] == stem:
                make_writable(os.path.join(folder, name))
                os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _touched(root: str, folder: Path, journal: Journal) -> list[str]:
    """Return the folders whose entries a transaction changes."""
    inside = {os.path.dirname(step.destination) for step in journal.steps}
    inside |= {os.path.dirname(made) for made in journal.folders} | set(journal.folders)
    found = (place_in(root, name) for name in sorted(inside))
    return [*(path for path in found if os.path.isdir(path)), str(folder)]


# --- what the user changed since ---


def _changed_since(root: str, chosen: Sequence[tuple[Path, Journal]]) -> tuple[str, ...]:
    """Return the destinations of these repairs, newest first, that are not what the repair left there.

    What an earlier repair wrote and a later one replaced lies in the later one's folder.
    """
    targets = Targets(root)
    backups: dict[str, str] = {}
    changed: dict[str, None] = {}
    for folder, journal in chosen:
        for step in journal.steps:
            place = backups.get(step.destination, targets(step.destination))
            if os.path.lexists(place) and _changed(place, step):
                changed[step.destination] = None
            backups[step.destination] = str(folder / step.backup) if step.backup else ""
    return tuple(changed)


def _changed(target: str, step: Step) -> bool:
    """Return True if what is there is not the file that the step wrote.

    A hard link changes with its source; it is the step's own as long as it is that very file, or has its old content.
    """
    with contextlib.suppress(OSError):
        if step.linked and os.path.samefile(target, step.linked):
            return False
    try:
        return content_hash(target) != step.sha256
    except OSError:
        return True


# --- words and paths ---


def _missing_folders(root: str, destination: str, known: dict[str, None]) -> list[str]:
    missing = []
    folder = os.path.dirname(destination)
    while folder and folder not in known and not os.path.lexists(place_in(root, folder)):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing[::-1]


def _summary(actions: Sequence[Action]) -> str:
    """Return what a plan brings in a few words: who gives it."""
    providers = list(dict.fromkeys(filter(None, (str(action.provider) for action in actions))))
    more = (
        phrase(" and {number} more", number=len(providers) - _MOST_PROVIDERS)
        if len(providers) > _MOST_PROVIDERS
        else ""
    )
    return ", ".join(providers[:_MOST_PROVIDERS]) + more


def _reason(root: str, error: OSError) -> str:
    """Return an error in words, naming the file of the dist rather than the one beside it."""
    names = [str(name) for name in (error.filename, error.filename2) if name]
    inside = os.path.join(root, "")
    shown = next((name.removeprefix(inside) for name in names if name.startswith(inside)), "".join(names[:1]))
    if is_in_use(error) and shown:
        return phrase(
            "{shown} is in use: close the program that has it open (the frozen program itself, or a scanner)",
            shown=shown,
        )
    return phrase("{reason}: {path}", reason=system_words(error), path=shown) if shown else system_words(error)
