"""The journal of one transaction: what was there, what is to be there, how far it has come.

Version 1 had no `when`, `depfix`, `summary` and `linked`, and is read as version 2 without them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from depfix.repair.disk import sync_folder
from depfix.repair.errors import StateDamagedError
from depfix.repair.state import state_path
from depfix.wording.message import english, phrase

VERSION = 2
_JOURNAL = "journal.json"
_MOST_NAMED = 3  # files of a journal without a summary


class Phase(Enum):
    """How far a transaction has come. Only `COMMITTING` and `UNDOING` can leave a dist between old and new."""

    STAGING = "staging"
    COMMITTING = "committing"
    COMMITTED = "committed"
    UNDOING = "undoing"


class Step(msgspec.Struct, frozen=True):
    """One file: `destination` is dist-relative; `staged` and `backup` are file names in the transaction's folder.

    `backup` is empty if nothing stood at the destination. `sha256` is of the new file, in hex. `linked` is the file
    that it is a hard link to, empty if it is a file of its own.
    """

    destination: str
    staged: str
    sha256: str
    size: int
    backup: str = ""
    linked: str = ""


class Journal(msgspec.Struct, frozen=True):
    """A transaction. `folders` were made by it, outermost first; `times` are {folder: mtime in ns} from before.

    `when` is in UTC as of ISO 8601, `depfix` the version that wrote it, `summary` what was brought, in words.
    """

    version: int
    phase: Phase
    steps: tuple[Step, ...] = ()
    folders: tuple[str, ...] = ()
    times: dict[str, int] = {}
    when: str = ""
    depfix: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A repair that can be undone: its number, when it was done, how many files and bytes it brought, what."""

    number: int
    when: str
    files: int
    size: int
    summary: str


def state_folder(root: str) -> Path:
    """Return the folder beside the dist that holds the state of its repairs, see `state_path`."""
    return Path(state_path(root))


def transactions(root: str) -> list[Path]:
    """Return the folders of the recorded transactions, oldest first."""
    folder = state_folder(root)
    try:
        found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: int(path.name))


def unfinished(root: str) -> bool:
    """Return True if a repair or undo of this dist was cut off."""
    return any(read_journal(folder).phase in (Phase.COMMITTING, Phase.UNDOING) for folder in transactions(root))


def records(root: str) -> tuple[Record, ...]:
    """Return the repairs of this dist that can be undone, oldest first. Raises StateDamagedError."""
    found = []
    for folder in transactions(root):
        journal = read_journal(folder)
        if journal.phase is Phase.COMMITTED:
            size = sum(step.size for step in journal.steps)
            words = journal.summary or ", ".join(step.destination for step in journal.steps[:_MOST_NAMED])
            found.append(Record(int(folder.name), journal.when, len(journal.steps), size, words))
    return tuple(found)


def read_journal(folder: Path) -> Journal:
    """Return the journal in a transaction's folder; one that was never written is still staging.

    Raises StateDamagedError if it cannot be read.
    """
    path = folder / _JOURNAL
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return Journal(VERSION, Phase.STAGING)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StateDamagedError(str(path), str(error)) from error
    if not 1 <= journal.version <= VERSION:
        raise StateDamagedError(
            str(path), phrase("it is of version {version}, from a newer depfix", version=journal.version)
        )
    return journal


def write_journal(folder: Path, journal: Journal) -> None:
    """Write the journal so that after a power cut either the old or the new one is there."""
    path = folder / _JOURNAL
    scratch = folder / (_JOURNAL + ".new")
    with open(scratch, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(journal, enc_hook=english), indent=1))
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    sync_folder(str(folder))


def forget_journal(folder: Path) -> None:
    """Let the transaction be over: what is left in its folder means nothing any more."""
    (folder / _JOURNAL).unlink(missing_ok=True)
    sync_folder(str(folder))


def numbered(folder: Path) -> Iterator[Path]:
    """Yield names for a new transaction, each higher than all there are."""
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.exists() else []
    number = max(taken, default=0)
    while True:
        number += 1
        yield folder / f"{number:04}"
