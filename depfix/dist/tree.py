"""The inventory of a folder, with the names compared as Windows does."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from depfix.model.names import base_name, fold, join, parent
from depfix.wording.message import phrase, small_system_words

_MAGIC_LENGTH = 8
_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT, a junction


class FileKind(Enum):
    """What a file is, by its first bytes; sources by their suffix."""

    IMAGE = "image"
    SOURCE = "source"
    BYTECODE = "bytecode"
    ARCHIVE = "archive"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its dist-relative path with `/` as spelled on disk, where its bytes are now, its size in bytes."""

    path: str
    source: str
    size: int
    kind: FileKind

    @property
    def name(self) -> str:
        return base_name(self.path)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A folder or file that could not be looked at, and why."""

    path: str
    reason: str


class Tree:
    """The files of a folder, found by path or by name in any case. Never changed after it is made."""

    def __init__(self, root: str, entries: Iterable[FileEntry], skipped: tuple[Skipped, ...] = ()) -> None:
        self.root = root
        self.skipped = skipped
        self._files: dict[str, FileEntry] = {}
        self._folders: dict[str, dict[str, FileEntry]] = {"": {}}
        self._subfolders: dict[str, dict[str, str]] = {"": {}}
        self._named: dict[str, list[FileEntry]] = {}
        for entry in entries:
            self._add(entry)

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[FileEntry]:
        return iter(self._files.values())

    def file(self, path: str) -> FileEntry | None:
        """Return the file at a dist-relative path."""
        return self._files.get(fold(path))

    def in_folder(self, folder: str, name: str) -> FileEntry | None:
        """Return the file of that name directly in a folder."""
        return self._folders.get(fold(folder), {}).get(fold(name))

    def files_in(self, folder: str) -> tuple[FileEntry, ...]:
        """Return the files directly in a folder, in the order of their folded names."""
        return tuple(entry for _, entry in sorted(self._folders.get(fold(folder), {}).items()))

    def folders_in(self, folder: str) -> tuple[str, ...]:
        """Return the dist-relative paths of the folders directly in a folder."""
        return tuple(path for _, path in sorted(self._subfolders.get(fold(folder), {}).items()))

    def has_folder(self, folder: str) -> bool:
        return fold(folder) in self._folders

    def has_folder_spelled(self, folder: str) -> bool:
        """As `has_folder`, but the last name must be spelled as on disk: Python compares module names with case."""
        return folder == "" or self._subfolders.get(fold(parent(folder)), {}).get(fold(folder), "") == folder

    def spelled(self, path: str) -> str:
        """Return a path with the folders that exist spelled as on disk: Windows does not care, other hosts do."""
        folder = ""
        parts = path.split("/")
        for part in parts[:-1]:
            known = self._subfolders.get(fold(folder), {}).get(fold(join(folder, part)))
            folder = known if known is not None else join(folder, part)
        return join(folder, parts[-1])

    def named(self, name: str) -> tuple[FileEntry, ...]:
        """Return every file with this base name, shortest path first."""
        return tuple(sorted(self._named.get(fold(name), ()), key=lambda entry: (entry.path.count("/"), entry.path)))

    def images(self) -> tuple[FileEntry, ...]:
        """Return the files that begin as a Windows image does."""
        return tuple(entry for entry in self if entry.kind is FileKind.IMAGE)

    def overlaid(self, additions: Iterable[FileEntry]) -> Tree:
        """Return this tree with files added or replaced: the dist as a plan would leave it."""
        added = {fold(entry.path): entry for entry in additions}
        return Tree(
            self.root, [e for key, e in self._files.items() if key not in added] + list(added.values()), self.skipped
        )

    def _add(self, entry: FileEntry) -> None:
        self._files[fold(entry.path)] = entry
        folder = parent(entry.path)
        self._add_folder(folder)
        self._folders[fold(folder)][fold(entry.name)] = entry
        self._named.setdefault(fold(entry.name), []).append(entry)

    def _add_folder(self, folder: str) -> None:
        while fold(folder) not in self._folders:
            self._folders[fold(folder)] = {}
            self._subfolders.setdefault(fold(folder), {})
            above = parent(folder)
            self._subfolders.setdefault(fold(above), {})[fold(folder)] = folder
            folder = above


def read_tree(root: str) -> Tree:
    """Return the inventory of the folder `root`, one `os.scandir` pass over every folder below it.

    Folders and files that cannot be read are listed in `skipped`, with links that lead out of the dist, and what is no
    plain file. A link to a folder that contains it is not followed again. Raises OSError if the root itself cannot be
    listed.
    """
    entries: list[FileEntry] = []
    skipped: list[Skipped] = []
    pending: list[tuple[str, str]] = [("", root)]
    visited = {_identity(os.stat(root))}
    inside = os.path.join(os.path.realpath(root), "")
    while pending:
        folder, place = pending.pop()
        try:
            listed = sorted(_scan(place), key=lambda item: item.name)
        except OSError as error:
            if not folder:
                raise
            skipped.append(Skipped(folder, small_system_words(error)))
            continue
        for item in listed:
            path = join(folder, item.name)
            try:
                is_link = _is_link(item)
                status = os.stat(item.path) if is_link else item.stat()
                is_folder = stat.S_ISDIR(status.st_mode)
            except OSError as error:
                skipped.append(Skipped(path, small_system_words(error)))
                continue
            reason = _reason(item.path, status, inside if is_link else "")
            if reason:
                skipped.append(Skipped(path, reason))
            elif is_folder and (not is_link or _identity(status) not in visited):
                visited.add(_identity(status))
                pending.append((path, item.path))
            elif not is_folder:
                entries.append(FileEntry(path, item.path, status.st_size, _kind(item.path, item.name)))
                if entries[-1].kind is FileKind.UNREADABLE:
                    skipped.append(Skipped(path, phrase("it cannot be read")))
    found = Tree(root, entries, tuple(skipped))
    return found if len(found) == len(entries) else Tree(root, found, (*skipped, *_hidden(found, entries)))


def _reason(place: str, status: os.stat_result, inside: str) -> str:
    """Return why something is not looked at, an empty string if it is. `inside` is where a link must lead."""
    if inside and not os.path.join(os.path.realpath(place), "").startswith(inside):
        return phrase("it is a link that leads out of the folder, and is not followed")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return phrase("it is no plain file, but a pipe, a socket or a device")
    return ""


def _hidden(tree: Tree, entries: Iterable[FileEntry]) -> Iterator[Skipped]:
    """Yield the files that are one with another on Windows, which the tree has in their place."""
    for entry in entries:
        other = tree.file(entry.path)
        if other is not None and other is not entry:
            yield Skipped(
                entry.path,
                phrase("on Windows it is the same file as {other}, which was looked at instead", other=other.path),
            )


def _is_link(item: os.DirEntry[str]) -> bool:
    """Return True for a symbolic link, and on Windows for a junction.

    Source: "os.path.isjunction", https://docs.python.org/3/library/os.path.html (since 3.12)
    """
    if item.is_symlink() or os.name != "nt":
        return item.is_symlink()
    return getattr(item.stat(follow_symlinks=False), "st_reparse_tag", 0) == _MOUNT_POINT


def file_entry(path: str, source: str) -> FileEntry:
    """Return the entry for a file that is to stand at `path` and whose bytes are at `source`. Raises OSError."""
    return FileEntry(path, source, os.stat(source).st_size, _kind(source, base_name(path)))


def _scan(place: str) -> list[os.DirEntry[str]]:
    with os.scandir(place) as found:
        return list(found)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


_KIND_OF_SUFFIX = {".py": FileKind.SOURCE, ".pyi": FileKind.OTHER, ".pyc": FileKind.BYTECODE}


def _kind(place: str, name: str) -> FileKind:
    known = _KIND_OF_SUFFIX.get(os.path.splitext(name)[1].lower())
    if known is not None:
        return known
    try:
        with open(place, "rb", buffering=0) as file:
            magic = file.read(_MAGIC_LENGTH)
    except OSError:
        return FileKind.UNREADABLE
    if magic[:2] == b"MZ":
        return FileKind.IMAGE
    return FileKind.ARCHIVE if magic[:4] == b"PK\x03\x04" else FileKind.OTHER
