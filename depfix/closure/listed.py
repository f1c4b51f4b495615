"""Files that a package loads or reads when it runs, as the package configuration of an installed Nuitka lists them.

What is listed is looked for in the package's folder of the dist, and in that of an environment, which tells what of it
there is to be had. Source: Nuitka, "Nuitka Package Configuration", data-files and dlls
https://nuitka.net/user-documentation/nuitka-package-config.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from glob import escape, glob
from posixpath import normpath
from typing import TYPE_CHECKING

from depfix.closure.configured import Configured, words_of
from depfix.closure.supply import Supply
from depfix.dist.tree import FileEntry, Tree
from depfix.imports.finder import ModuleFile, ModuleKind
from depfix.model.names import base_name, fold, join, parent

if TYPE_CHECKING:
    from depfix.knowledge.nuitka_config import DataFiles, Dlls
    from depfix.knowledge.when import Verdict

# What compilers and linkers read, and no program: headers, import libraries, sources of extension modules.
FOR_COMPILERS = (".h", ".hpp", ".hh", ".cuh", ".lib", ".a", ".pxd", ".pyx", ".pxi", ".c", ".cc", ".cpp", ".f", ".f90")
_CODE = (".py", ".pyw", ".pyc", ".pyo", ".pyd", ".dll", ".so", ".dylib", ".exe", ".pyi")


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that a package needs: its dist-relative path, the file in the dist, and the one of an environment.

    `path` is where it belongs if it is not there; one of `entry` and `source` there always is.
    """

    path: str
    entry: FileEntry | None
    source: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of the configuration for a module: what it asks for, as a dist-relative pattern, and the files.

    `are_dlls`: the module loads them; else it reads them, or runs them as programs. `metadata`: the distributions
    whose metadata it asks for.
    """

    subject: str
    files: tuple[ListedFile, ...]
    sure: bool
    words: str
    are_dlls: bool = False
    metadata: tuple[str, ...] = ()


class Listed:
    """The rows that hold for the target, looked up in one tree and in the environments."""

    def __init__(self, configured: Configured, tree: Tree, supply: Supply, roots: tuple[str, ...]) -> None:
        self._configured = configured
        self._tree = tree
        self._supply = supply
        self._roots = roots
        self._by_subject: dict[str, Listing] = {}

    def of(self, module: ModuleFile) -> Iterator[Listing]:
        """Yield what is listed for a module of the dist, rows of which nothing is to be had anywhere left out."""
        for dlls in self._configured.dlls(module.name):
            home = module if not dlls.relative_to else ModuleFile(dlls.relative_to, ModuleKind.FROZEN, None)
            files = tuple(self._files(module, home, _patterns(dlls.patterns), dlls.dest_path, flat=True))
            yield from self._listing(module, dlls.patterns, files, dlls, are_dlls=not dlls.executable)
        for data in self._configured.data_files(module.name):
            wanted = (*_patterns(data.patterns), *_below(data.dirs, _CODE), *_below(data.raw_dirs, ()))
            files = tuple(self._files(module, module, wanted, data.dest_path, flat=False))
            names = (*data.patterns, *data.dirs, *data.raw_dirs)
            yield from self._listing(module, names, files, data, metadata=data.metadata)

    def missing(self, subject: str) -> tuple[ListedFile, ...]:
        """Return the files of a listing that are not in the dist."""
        found = self._by_subject.get(subject)
        return tuple(file for file in found.files if file.entry is None) if found is not None else ()

    def _listing(
        self,
        module: ModuleFile,
        names: tuple[str, ...],
        files: tuple[ListedFile, ...],
        row: Dlls | DataFiles,
        *,
        are_dlls: bool = False,
        metadata: tuple[str, ...] = (),
    ) -> Iterator[Listing]:
        if not files and not metadata:
            return
        lacking = [file.path for file in files if file.entry is None]
        shown = (normpath(join(self._folders(module)[0], name)) for name in names)
        subject = lacking[0] if len(lacking) == 1 else ", ".join(shown)
        found = Listing(subject, files, _is_sure(row.verdict), words_of(row.origin), are_dlls, metadata)
        self._by_subject[subject] = found
        yield found

    def _files(
        self, module: ModuleFile, home: ModuleFile, wanted: tuple[_Wanted, ...], dest_path: str | None, *, flat: bool
    ) -> Iterator[ListedFile]:
        """Yield each file that fits: those of an environment, where they are or belong, then others of the dist."""
        folders = self._folders(home)
        seen: set[str] = set()
        for inner, source in self._in_environment(home.name, wanted):
            places = [join(folder, inner) for folder in folders]
            if dest_path is not None and not _leads_out(dest_path):
                folder = normpath(dest_path)
                beside = join("" if folder == "." else folder, base_name(inner) if flat else inner)
                places.insert(0 if module.kind is ModuleKind.FROZEN else len(places), beside)
            entry = next(filter(None, map(self._tree.file, places)), None)
            seen.update(map(fold, places))
            yield ListedFile(entry.path if entry is not None else places[0], entry, source)
        for folder in folders:
            for entry in self._tree if wanted else ():
                inner = entry.path[len(folder) + 1 :] if folder else entry.path
                below = not folder or fold(entry.path).startswith(f"{fold(folder)}/")
                if below and fold(entry.path) not in seen and any(one.fits(inner) for one in wanted):
                    seen.add(fold(entry.path))
                    yield ListedFile(entry.path, entry, "")

    def _folders(self, module: ModuleFile) -> tuple[str, ...]:
        """Return the dist-relative folders in which a module's files are: a package's own, or the one around it."""
        if module.folders:
            return module.folders
        if module.entry is not None:
            return (parent(module.entry.path),)
        found = self._supply.module(module.name)
        is_package = found is not None and found.is_package
        name = module.name if is_package else module.name.rpartition(".")[0]
        return tuple(join(root, name.replace(".", "/")) for root in self._roots)

    def _in_environment(self, name: str, wanted: tuple[_Wanted, ...]) -> Iterator[tuple[str, str]]:
        """Yield (path below the folder of a module, absolute path) of each file of an environment that fits."""
        found = self._supply.module(name)
        if found is None or found.entry is None:
            return
        folder = os.path.dirname(found.entry.source)
        names = {path for one in wanted for path in one.below(folder)}
        for path in sorted(names):
            if not path.lower().endswith(FOR_COMPILERS):
                yield os.path.relpath(path, folder).replace(os.sep, "/"), path


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Files below a folder: those that a glob gives, or with `whole` all in a folder, but for some suffixes."""

    pattern: str
    whole: bool = False
    but: tuple[str, ...] = ()

    def below(self, folder: str) -> Iterator[str]:
        """Yield the files below a folder on disk, in a stable order."""
        if not self.whole:
            found = glob(os.path.join(escape(folder), self.pattern), recursive=True)
            yield from (path for path in sorted(found) if os.path.isfile(path))
            return
        for above, folders, files in os.walk(os.path.join(folder, self.pattern)):
            folders[:] = sorted(one for one in folders if one != "__pycache__")
            yield from (os.path.join(above, name) for name in sorted(files) if not name.lower().endswith(self.but))

    def fits(self, path: str) -> bool:
        """Return True for the path of such a file, relative to the folder."""
        start = self.pattern.strip("/")
        if self.whole:
            inside = start in ("", ".") or fold(path).startswith(f"{fold(start)}/")
            return inside and not path.lower().endswith(self.but) and "/__pycache__/" not in path
        return _regex(start).fullmatch(fold(path)) is not None


_PIECES = re.compile(r"\*\*/|\*+|\?|\[!?\]?[^\]/]*\]|.")


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """Return what a glob fits: `**` stands for any folders, the other wildcards for no slash."""
    return re.compile("".join(_piece(match[0]) for match in _PIECES.finditer(fold(pattern))))


def _piece(text: str) -> str:
    if text == "**/":
        return "(?:[^/]+/)*"
    if text.startswith("*"):
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if len(text) > 1:
        return f"[{'^' if text[1] == '!' else ''}{re.escape(text[2 if text[1] == '!' else 1 : -1])}]"
    return re.escape(text)


def _patterns(patterns: Iterable[str]) -> tuple[_Wanted, ...]:
    return tuple(_Wanted(pattern) for pattern in patterns if not _leads_out(pattern))


def _below(folders: Iterable[str], but: tuple[str, ...]) -> tuple[_Wanted, ...]:
    return tuple(_Wanted(folder, True, but) for folder in folders if not _leads_out(folder))


def _leads_out(path: str) -> bool:
    """Return True for a path that leaves the folder that it is relative to."""
    return os.path.isabs(path) or ".." in path.replace("\\", "/").split("/") or ":" in path


def _is_sure(verdict: Verdict) -> bool:
    from depfix.knowledge.when import Truth

    return verdict.truth is Truth.YES
