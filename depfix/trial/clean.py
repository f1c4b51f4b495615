"""A dist as a customer gets it: a copy in a new folder, an environment with Windows' own variables alone."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from depfix.errors import UnreadableFolderError
from depfix.model.names import fold
from depfix.trial.failures import CannotRunError
from depfix.wording.message import phrase, system_words

Copied = Callable[[int, int], None]  # is told (bytes done, bytes in all)

PLAIN = ("app",)
# What customers' folders are called, and programs are not tried with: spaces, brackets, characters of another script.
ODD = ("程序 文件", "app (测试)")

_FICLONE = 0x40049409  # ioctl_ficlone(2) https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html
_IMAGES = (".dll", ".pyd", ".exe", ".ocx", ".drv")
_NEVER = 86_400  # the access time, in seconds since 1970, of a file that was not read since it was copied
_SPARE = 100_000_000  # bytes that a run may write
# What a process of Windows has before anything is installed. Source: Microsoft Learn, "Recognized environment
# variables" https://learn.microsoft.com/windows/deployment/usmt/usmt-recognized-environment-variables and "User
# Environment Variables" https://learn.microsoft.com/windows/win32/shell/user-environment-variables
_OF_WINDOWS = frozenset(
    "allusersprofile appdata commonprogramfiles commonprogramfiles(x86) commonprogramw6432 computername comspec "
    "driverdata homedrive homepath localappdata logonserver number_of_processors onedrive os pathext "
    "processor_architecture processor_identifier processor_level processor_revision programdata programfiles "
    "programfiles(x86) programw6432 psmodulepath public sessionname systemdrive systemroot temp tmp userdomain "
    "userdomain_roamingprofile username userprofile windir".split()
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a dist: its folder, and {path: (size, mtime in ns)} of what it held before the run.

    `linked` are the files that are hard links to the user's own; `sees_reads` is True if access times tell which of the
    others were read.
    """

    folder: str
    source: str
    before: Mapping[str, tuple[int, int]]
    linked: Mapping[str, tuple[int, int]]
    sees_reads: bool

    def read(self) -> frozenset[str] | None:
        """Return the files whose content was read since, None if this file system does not tell."""
        if not self.sees_reads:
            return None
        found = set()
        for path, status in _files(self.folder):
            if path in self.before and path not in self.linked and status.st_atime > _NEVER:
                found.add(path)
        return frozenset(found)

    def written(self) -> tuple[str, ...]:
        """Return the files that were made or changed in the copy since, caches of Python's bytecode left out."""
        now = {path: _state(status) for path, status in _files(self.folder) if "/__pycache__/" not in f"/{path}"}
        return tuple(path for path, state in sorted(now.items()) if self.before.get(path) != state)

    def spoilt(self) -> tuple[str, ...]:
        """Return the linked files of the user's own dist that the program changed in place."""
        found = []
        for path, state in self.linked.items():
            with contextlib.suppress(OSError):
                if _state(os.stat(os.path.join(self.source, *path.split("/")))) != state:
                    found.append(path)
        return tuple(found)


def copy_dist(source: str, folder: str, *, link: bool = False, copied: Copied | None = None) -> Copy:
    """Copy a dist into a new folder; where the file system can clone files, that takes neither time nor room.

    With `link`, images are hard links to the user's files: a program seldom writes into them, and `Copy.spoilt` tells
    whether it did. Raises CannotRunError if there is no room, UnreadableFolderError if a file cannot be read.
    """
    try:
        files = [(path, status) for path, status in _files(source) if stat.S_ISREG(status.st_mode)]
        total = sum(status.st_size for path, status in files if not (link and _is_image(path)))
        os.makedirs(folder)
        free = shutil.disk_usage(folder).free
        if free < total + _SPARE:
            raise CannotRunError(
                phrase(
                    "{total:,} bytes are needed in {folder}, {free:,} are free", total=total, folder=folder, free=free
                ),
                phrase("make room, or use --link"),
            )
        linked = _bring(source, folder, files, link, copied, total)
    except OSError as error:
        raise UnreadableFolderError(
            source, phrase("{reason} ({path})", reason=system_words(error), path=error.filename)
        ) from error
    before = {path: _state(status) for path, status in _files(folder)}
    return Copy(folder, source, before, linked, _sees_reads(folder))


def remove_folder(folder: str | Path) -> None:
    """Remove a folder with all that is in it, read-only files too."""

    def again(function: Callable[..., object], path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), stat.S_IRWXU)
            if not os.path.islink(path):
                os.chmod(path, stat.S_IRWXU)
            function(path)

    shutil.rmtree(folder, onerror=again)


def windows_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process on a clean Windows: its own variables, and its own folders in PATH.

    Nothing of Python, conda, Qt or a virtual environment is left.
    """
    found = {name: value for name, value in environ.items() if fold(name) in _OF_WINDOWS}
    root = next((value for name, value in found.items() if fold(name) == "systemroot"), "C:\\Windows")
    system = f"{root}\\System32"
    places = (system, root, f"{system}\\Wbem", f"{system}\\WindowsPowerShell\\v1.0")
    return {**found, "PATH": ";".join(places)}


def _files(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield (path with `/`, status) of each file below a folder; links to files are followed, those to folders too."""
    pending = [""]
    top = os.stat(root)
    seen = {(top.st_dev, top.st_ino)}
    while pending:
        folder = pending.pop()
        place = os.path.join(root, *folder.split("/")) if folder else root
        with os.scandir(place) as listed:
            for item in listed:
                path = f"{folder}/{item.name}" if folder else item.name
                try:
                    status = os.stat(item.path)
                except OSError:
                    continue  # a link to nowhere: scan tells of it
                if not stat.S_ISDIR(status.st_mode):
                    yield path, status
                elif (status.st_dev, status.st_ino) not in seen or not status.st_ino:
                    seen.add((status.st_dev, status.st_ino))
                    pending.append(path)


def _folders(root: str) -> Iterator[str]:
    for place, names, _ in os.walk(root, followlinks=False):
        for name in names:
            yield os.path.relpath(os.path.join(place, name), root)


def _bring(
    source: str, folder: str, files: list[tuple[str, os.stat_result]], link: bool, copied: Copied | None, total: int
) -> dict[str, tuple[int, int]]:
    linked = {}
    done = 0
    for inner in _folders(source):  # empty ones as well: a program may write there
        os.makedirs(os.path.join(folder, inner), exist_ok=True)
    for path, status in files:
        theirs, ours = (os.path.join(place, *path.split("/")) for place in (source, folder))
        os.makedirs(os.path.dirname(ours), exist_ok=True)
        if link and _is_image(path) and _linked(theirs, ours):
            linked[path] = _state(status)
            continue
        _clone(theirs, ours)
        os.chmod(ours, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        os.utime(ours, ns=(_NEVER * 10**9, status.st_mtime_ns))
        done += status.st_size
        if copied is not None:
            copied(done, total)
    return linked


def _is_image(path: str) -> bool:
    return path.lower().endswith(_IMAGES)


def _linked(source: str, target: str) -> bool:
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        return False
    return True


def _clone(source: str, target: str) -> None:
    if sys.platform == "linux":
        import fcntl

        with open(source, "rb") as old, open(target, "wb") as new:
            try:
                fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS):
                    raise
            else:
                return
    shutil.copyfile(source, target)


def _state(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _sees_reads(folder: str) -> bool:
    """Return True if reading a file here changes its access time; a mount option (noatime) decides that."""
    if sys.platform == "win32":
        return False  # NTFS does it an hour later, or not at all
    probe = os.path.join(folder, ".depfix-probe")
    try:
        Path(probe).write_bytes(b"probe")
        os.utime(probe, (_NEVER, _NEVER))
        Path(probe).read_bytes()
        return os.stat(probe).st_atime > _NEVER
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(probe)
