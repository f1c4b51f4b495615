"""The journal of one transaction: what was there, what is to be there, how far it has come."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import msgspec

from depfix.errors import StateDamagedError

_JOURNAL = "journal.json"
_LONGEST_NAME = 240  # bytes; most file systems take 255
_KEPT_OF_NAME = 50


class Phase(Enum):
    """How far a transaction has come. Only `COMMITTING` and `UNDOING` can leave a dist between old and new."""

    STAGING = "staging"
    COMMITTING = "committing"
    COMMITTED = "committed"
    UNDOING = "undoing"


class Step(msgspec.Struct, frozen=True):
    """One file: `destination` is dist-relative; `staged` and `backup` are file names in the transaction's folder.

    `backup` is empty if nothing stood at the destination. `sha256` is of the new file, in hex.
    """

    destination: str
    staged: str
    sha256: str
    size: int
    backup: str = ""


class Journal(msgspec.Struct, frozen=True):
    """A transaction. `folders` were made by it, outermost first; `times` are {folder: mtime in ns} from before."""

    version: int
    phase: Phase
    steps: tuple[Step, ...] = ()
    folders: tuple[str, ...] = ()
    times: dict[str, int] = {}


def state_folder(root: str) -> Path:
    """Return the folder beside the dist that holds the state of its repairs: `<dist>.depfix`.

    A name that would be too long for a file system is cut, and a hash of it added.
    """
    path = Path(root.rstrip("/\\"))
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:_KEPT_OF_NAME]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}"
    return path.with_name(name + ".depfix")


def transactions(root: str) -> list[Path]:
    """Return the folders of the recorded transactions, oldest first."""
    folder = state_folder(root)
    try:
        return sorted(path for path in folder.iterdir() if path.name.isdigit() and path.is_dir())
    except FileNotFoundError:
        return []


def unfinished(root: str) -> bool:
    """Return True if a repair or undo of this dist was cut off."""
    return any(read_journal(folder).phase in (Phase.COMMITTING, Phase.UNDOING) for folder in transactions(root))


def read_journal(folder: Path) -> Journal:
    """Return the journal in a transaction's folder; one that was never written is still staging.

    Raises StateDamagedError if it cannot be read.
    """
    path = folder / _JOURNAL
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return Journal(1, Phase.STAGING)
    except (OSError, msgspec.MsgspecError) as error:
        raise StateDamagedError(str(path), str(error)) from error


def write_journal(folder: Path, journal: Journal) -> None:
    """Write the journal so that after a power cut either the old or the new one is there."""
    path = folder / _JOURNAL
    scratch = folder / (_JOURNAL + ".new")
    with open(scratch, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(journal), indent=1))
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable where the system can (Windows cannot open a folder for it)."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def numbered(folder: Path) -> Iterator[Path]:
    """Yield names for a new transaction, each higher than all there are."""
    taken = [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.exists() else []
    number = max(taken, default=0)
    while True:
        number += 1
        yield folder / f"{number:04}"
