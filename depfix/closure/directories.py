"""The directories that a process has given to the loader so far."""

from __future__ import annotations

from collections.abc import Iterable

from depfix.loader.search import Directories


class ProcessDirectories:
    """AddDllDirectory, SetDllDirectory, SetDefaultDllDirectories and PATH, as one process changes them."""

    def __init__(self, user: Iterable[str] = (), dll_directory: str | None = None) -> None:
        self._user = dict.fromkeys(user, 1)  # how often each was added
        self._path: dict[str, None] = {}
        self._dll_directory = dll_directory
        self._default_flags = 0

    def copy(self) -> ProcessDirectories:
        """Return the same directories, to be changed apart from these."""
        twin = ProcessDirectories()
        twin._user = dict(self._user)
        twin._path = dict(self._path)
        twin._dll_directory = self._dll_directory
        twin._default_flags = self._default_flags
        return twin

    def now(self, application: str = "") -> Directories:
        """Return what a load that begins now is given."""
        user = tuple(self._user)
        return Directories(application, user, tuple(self._path), self._dll_directory, self._default_flags)

    def add(self, folder: str) -> None:
        self._user[folder] = self._user.get(folder, 0) + 1

    def remove(self, folder: str) -> None:
        """Take back one addition; the folder goes with the last of them."""
        if self._user.get(folder, 0) > 1:
            self._user[folder] -= 1
        else:
            self._user.pop(folder, None)

    def set(self, folder: str | None) -> None:
        """SetDllDirectory: one folder, which takes the place of the one before; None takes it back."""
        self._dll_directory = folder

    def set_default(self, flags: int) -> None:
        self._default_flags = flags

    def put_on_path(self, folder: str) -> None:
        self._path[folder] = None
