"""Writes files whole or not at all: what is cut off by Ctrl-C or a full disk leaves what was there before."""

from __future__ import annotations

import os

from depfix.errors import WriteError
from depfix.wording.message import system_words
from depfix.wording.speech import say


def write_whole(path: str, text: str) -> None:
    """Write a file beside its place, then move it there. Raises WriteError."""
    import tempfile  # here: `--version` and `--help` do without it

    folder, name = os.path.split(os.path.abspath(path))
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
    try:
        with open(handle, "w", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(scratch, _mode(path))
        os.replace(scratch, path)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
    finally:
        if os.path.lexists(scratch):
            os.unlink(scratch)


def check_place(path: str) -> None:
    """Raise WriteError if a file cannot be written whole: told before the work, not after it."""
    import tempfile

    if os.path.isdir(path):
        raise WriteError(path, say("it is a folder"))
    try:
        handle, scratch = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)))
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
    os.close(handle)
    os.unlink(scratch)


def make_folder(path: str) -> None:
    """Make a folder and those above it, and see that files can be written there. Raises WriteError."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error
    check_place(os.path.join(path, "report"))


def _mode(path: str) -> int:
    """Return the permissions of a file that is replaced, else those of a new one."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
