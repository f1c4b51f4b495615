"""Reads each file once: images and sources of a dist, as they are asked for or ahead of time in several processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from depfix.cache.store import Cache
from depfix.closure.kept import KeptFacts, digest_of, manner
from depfix.closure.readers import Readers
from depfix.closure.source_files import content_of, facts_of
from depfix.dist.tree import FileEntry
from depfix.imports.lazy import read_stub
from depfix.imports.reader import read_constants
from depfix.imports.skim import skim
from depfix.imports.stored import decode_facts
from depfix.imports.uses import SourceFacts, SourceTarget
from depfix.imports.values import Text
from depfix.model.content import read_plain
from depfix.model.image import Exports, ImageOrProblem, ImageProblem, ImportedDll, VersionInfo
from depfix.model.names import dll_file_name, fold
from depfix.pe.reader import read_image
from depfix.pe.strings import dll_names, dotted_names, has_string, whole_strings
from depfix.pe.symbols import read_exports, read_imported_symbols
from depfix.pe.version import read_version
from depfix.wording.message import phrase

_PIECE = 1 << 18  # bytes; filecmp takes a thirtieth of that at a time
_PASSED = re.compile(rb"""\w\(\s*['"]([^'"\n]+)['"]""")

_READING = phrase("reading sources")

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Report nothing."""


class Facts:
    """Images and sources by the file that holds them; nothing is read twice, and no source that the cache knows."""

    def __init__(
        self, target: SourceTarget, workers: int = 1, progress: Progress = no_progress, cache: Cache | None = None
    ) -> None:
        self._target = target
        self._kept = KeptFacts(cache or Cache(), target)
        self._readers = Readers(target, workers)
        self._to_read = 0
        self._progress = progress
        self._images: dict[str, ImageOrProblem] = {}
        self._sources: dict[str, SourceFacts] = {}
        self._own: set[str] = set()  # of those: sources in the dist that were read as the program's own
        self._exports: dict[str, Exports | ImageProblem] = {}
        self._imported: dict[str, dict[str, ImportedDll]] = {}
        self._dotted: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._stubs: dict[str, dict[str, str]] = {}
        self._skimmed: dict[str, tuple[tuple[str, bool], ...]] = {}
        self._whole: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._dll_names: dict[str, tuple[str, ...]] = {}
        self._versions: dict[str, VersionInfo | None] = {}
        self._remembered: dict[str, dict[object, Any]] = {}

    def image(self, entry: FileEntry) -> ImageOrProblem:
        """Return the image in a file, or why there is none."""
        if entry.source not in self._images:
            self._images[entry.source] = read_image(entry.source)
        return self._images[entry.source]

    def exports(self, entry: FileEntry) -> Exports | None:
        """Return the export directory of the image in a file, None if it cannot be read."""
        found = self._read_exports(entry)
        return found if isinstance(found, Exports) else None

    def export_problem(self, entry: FileEntry) -> str:
        """Return why the export directory of the image in a file cannot be read, an empty string if it can."""
        found = self._read_exports(entry)
        return found.reason if isinstance(found, ImageProblem) else ""

    def _read_exports(self, entry: FileEntry) -> Exports | ImageProblem:
        if entry.source not in self._exports:
            self._exports[entry.source] = read_exports(entry.source)
        return self._exports[entry.source]

    def imported(self, entry: FileEntry) -> dict[str, ImportedDll]:
        """Return what the image in a file takes from each DLL, by folded file name; nothing if it cannot be read."""
        if entry.source not in self._imported:
            found = read_imported_symbols(entry.source)
            rows = () if isinstance(found, ImageProblem) else found
            self._imported[entry.source] = _by_name(rows)
        return self._imported[entry.source]

    def version(self, entry: FileEntry) -> VersionInfo | None:
        """Return the version resource of the image in a file."""
        if entry.source not in self._versions:
            self._versions[entry.source] = read_version(entry.source)
        return self._versions[entry.source]

    def remember(self, source: str, question: object, answer: Callable[[str], _T]) -> _T:
        """Return what `answer` says of a file, which is asked once for each question until the file is forgotten."""
        known = self._remembered.setdefault(source, {})
        if question not in known:
            known[question] = answer(source)
        found: _T = known[question]
        return found

    def dll_names(self, entry: FileEntry) -> tuple[str, ...]:
        """Return the DLL names that stand as strings in the data of the image in a file."""
        if entry.source not in self._dll_names:
            self._dll_names[entry.source] = dll_names(entry.source)
        return self._dll_names[entry.source]

    def dotted_names(self, entry: FileEntry, tops: frozenset[str]) -> frozenset[str]:
        """Return the dotted names below these packages that stand as strings in the data of the image in a file."""
        key = (entry.source, tops)
        if key not in self._dotted:
            self._dotted[key] = dotted_names(entry.source, tops)
        return self._dotted[key]

    def strings(self, entry: FileEntry, names: frozenset[str]) -> frozenset[str]:
        """Return which of these names stand as strings in the data of the image in a file."""
        return has_string(entry.source, names) if names else frozenset()

    def whole_strings(self, entry: FileEntry, names: frozenset[str]) -> frozenset[str]:
        """Return which of these module names are whole strings in the data of the image in a file."""
        key = (entry.source, names)
        if key not in self._whole:
            self._whole[key] = whole_strings(entry.source, names)
        return self._whole[key]

    def passed(self, entry: FileEntry, names: frozenset[str]) -> frozenset[str]:
        """Return which of these names a source gives to some function as the first argument."""
        given = self.remember(entry.source, "passed", lambda _source: frozenset(_PASSED.findall(self.content(entry))))
        return frozenset(name for name in names if name.encode() in given)

    def content(self, entry: FileEntry) -> bytes:
        """Return the bytes of a file, none if it cannot be read."""
        try:
            return read_plain(entry.source)
        except OSError:
            return b""

    def stub(self, source: str) -> dict[str, str]:
        """Return what a stub says that its package takes lazily, by name; nothing if it cannot be read."""
        if source not in self._stubs:
            try:
                self._stubs[source] = read_stub(read_plain(source))
            except OSError:
                self._stubs[source] = {}
        return self._stubs[source]

    def same_content(self, one: FileEntry, two: FileEntry) -> bool:
        """Return True if two files hold the same bytes; True too if one of them cannot be read."""
        if one.size != two.size:
            return False
        try:
            with open(one.source, "rb") as first, open(two.source, "rb") as second:
                while True:
                    piece = first.read(_PIECE)
                    if piece != second.read(_PIECE):
                        return False
                    if not piece:
                        return True
        except OSError:
            return True

    def source(self, entry: FileEntry, *, is_program: bool = False, is_own: bool = False) -> SourceFacts:
        """Return what a Python source uses; `is_own`: it is one of the program's, although it lies in the dist."""
        if entry.source in self._readers:
            self._take(entry.source)
        again = is_own and not self._target.is_own_path(entry.source) and entry.source not in self._own
        if entry.source not in self._sources or again:
            self._sources[entry.source] = self._read(entry.source, is_program, is_own)
            self._own.update((entry.source,) if is_own else ())
        return self._sources[entry.source]

    def _read(self, path: str, is_program: bool, is_own: bool) -> SourceFacts:
        target = self._target
        content = content_of(path)
        if isinstance(content, SourceFacts):
            return content
        own = is_own or target.is_own_path(path)
        how = manner(path, is_program=is_program, is_own=own)
        return self._kept.read(content, how, lambda: facts_of(content, path, target, is_program, own))

    def constants(self, entry: FileEntry) -> dict[str, Text]:
        """Return the texts that a source binds."""
        target = self._target
        return self.remember(entry.source, "constants", lambda _source: read_constants(self.content(entry), target))

    def source_problem(self, entry: FileEntry) -> str:
        """Return why a source could not be read when it was; an empty string if it could, or nobody asked for it."""
        found = self._sources.get(entry.source)
        return found.error if found is not None else ""

    def skimmed(self, entry: FileEntry, package: str) -> tuple[tuple[str, bool], ...]:
        """Return what a glance at the import statements of a source tells; see `skim`."""
        if entry.source not in self._skimmed:
            self._skimmed[entry.source] = tuple(dict.fromkeys(skim(self.content(entry), package)))
        return self._skimmed[entry.source]

    def forget(self, sources: Collection[str]) -> None:
        """Read these files anew when they are next asked for: their content was replaced."""
        for source in sources:
            self._images.pop(source, None)
            self._sources.pop(source, None)
            self._exports.pop(source, None)
            self._imported.pop(source, None)
            self._versions.pop(source, None)
            self._dll_names.pop(source, None)
            self._stubs.pop(source, None)
            self._skimmed.pop(source, None)
            self._remembered.pop(source, None)
        gone = frozenset(sources)
        self._dotted = {key: names for key, names in self._dotted.items() if key[0] not in gone}
        self._whole = {key: names for key, names in self._whole.items() if key[0] not in gone}

    def adopt(self, copies: Mapping[str, str]) -> None:
        """Take what is known of files as known of their copies, {copy: original}, which have the same content."""
        known: tuple[dict[str, Any], ...] = (
            self._images,
            self._sources,
            self._exports,
            self._imported,
            self._versions,
            self._dll_names,
            self._remembered,
        )
        for found in known:
            found.update({copy: found[original] for copy, original in copies.items() if original in found})
        copy_of = {original: copy for copy, original in copies.items()}
        for named in (self._dotted, self._whole):
            named.update({(copy_of[key[0]], key[1]): names for key, names in named.items() if key[0] in copy_of})

    def read_ahead(self, entries: Iterable[FileEntry]) -> None:
        """Read many sources before they are asked for: in other processes where that pays, meanwhile, else now."""
        wanted = [entry for entry in entries if entry.source not in self._sources]
        unknown = [entry for entry in wanted if not self._is_kept(entry.source)]
        if self._readers.start(unknown):
            self._to_read = len(unknown)
            return
        total = len(wanted)
        for done, entry in enumerate(wanted):
            self.source(entry)
            if done % 64 == 0:
                self._progress(_READING, done, total)
        self._progress(_READING, total, total)

    def stop_reading(self) -> None:
        """Leave what is read ahead, and was not asked for."""
        self._readers.stop()

    def _is_kept(self, path: str) -> bool:
        """Take what the cache has of a source; return False if it has nothing."""
        content = content_of(path) if self._kept.is_on else b""
        if not self._kept.is_on or isinstance(content, SourceFacts):
            return False
        how = manner(path, is_program=False, is_own=self._target.is_own_path(path))
        found = self._kept.find(digest_of(content), how)
        if found is not None:
            self._sources[path] = found
        return found is not None

    def _take(self, path: str) -> None:
        """Take what another process read of a source, and of others with it; without a digest it could not read it."""
        for one, digest, encoded in self._readers.take(path):
            self._sources.setdefault(one, decode_facts(encoded))
            if digest:
                how = manner(one, is_program=False, is_own=self._target.is_own_path(one))
                self._kept.keep(digest, how, encoded)
        self._progress(_READING, self._to_read - len(self._readers), self._to_read)


def _by_name(rows: tuple[ImportedDll, ...]) -> dict[str, ImportedDll]:
    """Join what an image takes from a DLL by several descriptors; static imports count before delayed ones."""
    found: dict[str, ImportedDll] = {}
    for row in rows:
        key = fold(dll_file_name(row.name))
        known = found.get(key)
        if known is None or known.delayed != row.delayed:
            found.setdefault(key, row)
        else:
            found[key] = ImportedDll(
                known.name, known.symbols + row.symbols, known.ordinals + row.ordinals, row.delayed
            )
    return found
