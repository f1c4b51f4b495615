"""`dir:FOLDER`: a folder of DLLs, owned by nobody."""

from __future__ import annotations

import os

from depfix.env.links import Boundary
from depfix.env.listing import libraries_below, relative
from depfix.env.on_disk import OnDisk
from depfix.env.protocol import Distribution, EnvironmentInfo
from depfix.env.recognise import advice_for
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.names import fold
from depfix.model.source import Candidate
from depfix.wording.message import phrase


class FolderEnvironment(OnDisk):
    """All DLLs below a folder."""

    def __init__(self, root: str, spec: str) -> None:
        self._spec = spec
        self._root = root
        self._boundary = Boundary((root,))
        self._index: dict[str, list[str]] = {}
        for path in libraries_below(root):
            self._index.setdefault(fold(os.path.basename(path)), []).append(path)

    @property
    def info(self) -> EnvironmentInfo:
        return EnvironmentInfo(self._spec, self._root, "folder", "", None)

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name, nearest to the folder itself first."""
        paths = sorted(self._index.get(fold(name), ()), key=lambda path: (path.count(os.sep), path))
        return tuple(
            Candidate(path, relative(self._root, path), self._spec, refused=self.refusal(path)) for path in paths
        )

    def refusal(self, path: str) -> str:
        """Return why a file must not be taken: it is a link that leads out of the folder."""
        return self._boundary.refusal(path)

    @property
    def search_path(self) -> tuple[str, ...]:
        """None: no Python is here."""
        return ()

    @property
    def stdlib_folders(self) -> tuple[str, ...]:
        """None: no Python is here."""
        return ()

    @property
    def stdlib_archive(self) -> str:
        """None: no Python is here."""
        return ""

    def is_stdlib(self, path: str) -> bool:
        """Return False."""
        return False

    def distribution_of(self, path: str) -> Distribution | None:
        """Return None: nobody installed these files."""
        return None

    def distribution(self, name: str) -> Distribution | None:
        """Return None: nothing is installed here."""
        return None

    def destination(self, path: str) -> str:
        """Return the name of a file: it goes beside the program."""
        return os.path.basename(path)

    def __len__(self) -> int:
        return sum(map(len, self._index.values()))


def open_folder(value: str, spec: str) -> FolderEnvironment:
    """Return the folder of DLLs. Raises UnknownEnvironmentError, or WrongEnvironmentError if it holds no DLL."""
    root = os.path.abspath(os.path.expanduser(value))
    if not os.path.isdir(root):
        reason = phrase("it is a file, not a folder") if os.path.exists(root) else phrase("no such folder")
        raise UnknownEnvironmentError(spec, reason)
    found = FolderEnvironment(root, spec)
    if not len(found):
        advice = advice_for(root, "dir") or phrase("give the folder that holds the DLLs")
        raise WrongEnvironmentError(spec, phrase("there is no DLL in it"), advice)
    return found
