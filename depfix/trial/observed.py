"""Finds the files of a dist again by the paths that they had where it ran."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from depfix.dist.tree import Tree
from depfix.model.names import fold
from depfix.model.run import Load

_PREFIXES = re.compile(r"^(?:\\\\\?\\|\\\?\?\\|\\\\\.\\)")
# Windows' own folder, and the one of Wine, whose files stand for those of Windows.
_WINDOWS = re.compile(r"^(?:[a-z]:|/device/[^/]+)?/(?:windows|winnt)/|/wine/(?:x86_64|i386|aarch64)-windows/[^/]+$")
_LONGEST_TRAIL = 64  # folders of a path that are compared


class Places:
    """Where the files of a dist were on the machine of a run: `roots` are paths of its folder there.

    Windows may name a folder by its short name (`MAIN~1.DIS`), which no other machine can tell. A path with such a part
    is therefore taken for the file of the dist with which it shares the longest end.
    """

    def __init__(self, tree: Tree, roots: Iterable[str] = ()) -> None:
        self._tree = tree
        self._roots = tuple(dict.fromkeys(key(root).rstrip("/") for root in roots if root))

    def inside(self, path: str) -> str:
        """Return the dist-relative path of a file, empty if it lies outside."""
        plain = plain_path(path)
        folded = key(path)
        for root in self._roots:
            if folded.startswith(f"{root}/"):
                inner = plain[len(root) + 1 :] if len(plain) == len(folded) else folded[len(root) + 1 :]
                entry = self._tree.file(inner)
                return entry.path if entry is not None else inner
        if "~" in folded and not is_system(path):
            return self._by_end(folded)
        return ""

    def _by_end(self, folded: str) -> str:
        best, most = "", 0
        parts = folded.split("/")
        for entry in self._tree.named(parts[-1]):
            shared = _shared(parts, fold(entry.path).split("/"))
            if shared == entry.path.count("/") + 1 and shared > most and "~" in "".join(parts[:-shared]):
                best, most = entry.path, shared
        return best


def load(path: str, places: Places, *, builtin: bool = False) -> Load:
    """Return the load of an image by its path on the machine of the run."""
    return Load(path, places.inside(path), is_system(path), builtin)


def key(path: str) -> str:
    """Return a path of Windows as it is compared: `/`, without the prefixes that only change how it is parsed."""
    return fold(plain_path(path))


def plain_path(path: str) -> str:
    return _PREFIXES.sub("", path).replace("\\", "/")


def is_system(path: str) -> bool:
    """Return True for a path in Windows' own folder, or a name without a folder."""
    return bool(_WINDOWS.search(key(path)))


def root_of(paths: Iterable[str], tree: Tree, programs: Iterable[str]) -> str:
    """Return the folder on another machine that these paths say the dist was in, empty if they do not tell.

    It is the folder of the program, if that was loaded; else the one by which most paths are files of the dist.
    """
    names = {fold(name) for name in programs}
    votes: Counter[str] = Counter()
    of_program: Counter[str] = Counter()
    for path in paths:
        folded = key(path)
        if is_system(path):
            continue
        folder, _, name = folded.rpartition("/")
        if name in names:
            of_program[folder] += 1
        parts = folded.split("/")
        for entry in tree.named(name):
            inner = fold(entry.path).split("/")
            if _shared(parts, inner) == len(inner) < len(parts):
                votes["/".join(parts[: -len(inner)])] += 1
    if of_program:
        return max(of_program, key=lambda folder: (votes[folder], of_program[folder]))
    return votes.most_common(1)[0][0] if votes else ""


def _shared(one: list[str], two: list[str]) -> int:
    """Return how many parts at the end of two paths are the same."""
    count = 0
    for left, right in zip(reversed(one), reversed(two[-_LONGEST_TRAIL:]), strict=False):
        if left != right:
            break
        count += 1
    return count
