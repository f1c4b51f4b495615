"""Nuitka's package configuration, read as data from an installed Nuitka: what packages need that no import shows.

Nothing of Nuitka is imported or run, and an entry is parsed when it is asked for.
Source: Nuitka, "Nuitka Package Configuration" https://nuitka.net/user-documentation/nuitka-package-config.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from depfix.knowledge.nuitka_entries import Entry, Origin, Row, Unread, read_entries, sections
from depfix.knowledge.when import Context, Truth, Unknown, Verdict, evaluate
from depfix.knowledge.yaml_lines import Leaf

_FOLDER = ("nuitka", "plugins", "standard")
_SUFFIX = ".nuitka-package.config.yml"
_STANDARD = f"standard{_SUFFIX}"
_CODE_KEYS = ("pre-import-code", "post-import-code")
_ANY_DLL = ("dll", "so.*", "so", "dylib")  # Nuitka's own choice where a row has no `suffixes`
_ANY_EXE = ("exe", "bin")
_MOST_NAMES = 20_000


@dataclass(frozen=True, slots=True)
class ImplicitImport:
    """A module that another one imports unseen; `name` may hold `*` and `?`, see `expand`. `verdict` is never NO."""

    name: str
    verdict: Verdict
    origin: Origin

    @property
    def is_pattern(self) -> bool:
        return _is_pattern(self.name)


@dataclass(frozen=True, slots=True)
class DataFiles:
    """Data files of a module.

    `patterns` are globs and `dirs` folders without their code, `raw_dirs` whole folders, `empty_dirs` folders to be
    made, `empty_dir_structures` folders whose sub-folders are to be made: all relative to the module's folder. They go
    to the same place below `dest_path`, relative to the dist; None: below the module's own folder. `metadata` are
    distributions whose metadata is read. `unread` are expressions that cannot be evaluated. `verdict` is never NO.
    """

    verdict: Verdict
    origin: Origin
    patterns: tuple[str, ...] = ()
    dirs: tuple[str, ...] = ()
    raw_dirs: tuple[str, ...] = ()
    empty_dirs: tuple[str, ...] = ()
    empty_dir_structures: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    dest_path: str | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dlls:
    """DLLs, or with `executable` programs, that a module loads.

    `patterns` are globs for files of the folder of the module `relative_to`, an empty one: of the module itself. They
    go to the same place in the dist, or into `dest_path`, relative to the dist. `unread`: what cannot be evaluated; a
    row whose files are only known to code (`by_code`) has no patterns, but that. `verdict` is never NO.
    """

    verdict: Verdict
    origin: Origin
    patterns: tuple[str, ...] = ()
    relative_to: str = ""
    dest_path: str | None = None
    executable: bool = False
    by_code: bool = False
    unread: tuple[str, ...] = ()


class PackageConfig:
    """The entries of one or more files by module; two files' entries of one module add up."""

    def __init__(self, entries: dict[str, list[Entry]], problems: Sequence[Unread]) -> None:
        self._entries = entries
        self._parsed: dict[str, tuple[tuple[str, Row], ...]] = {}
        self._problems: dict[str, tuple[Unread, ...]] = {"": tuple(problems)}

    def __len__(self) -> int:
        return len(self._entries)

    def modules(self) -> tuple[str, ...]:
        """Return the modules that have an entry, as the files order them."""
        return tuple(self._entries)

    def problems(self, module: str = "") -> tuple[Unread, ...]:
        """Return what of the files, or of one module's entries, is malformed."""
        if module:
            self._sections(module)
        return self._problems.get(module, ())

    def implicit_imports(self, module: str, context: Context, *, is_package: bool) -> tuple[ImplicitImport, ...]:
        """Return what a module imports unseen. Names that begin with a dot count from it, or from its package."""
        found = []
        for row, verdict in self._rows(module, "implicit-imports", context):
            for text in row.texts("depends"):
                names = _module_names(text, context)
                for name in names if isinstance(names, tuple) else ():
                    full = _absolute(name, module, is_package=is_package)
                    if full:
                        found.append(ImplicitImport(full, verdict, row.origin(text.line)))
        return tuple(found)

    def data_files(self, module: str, context: Context) -> tuple[DataFiles, ...]:
        """Return the data files of a module."""
        found = []
        for row, verdict in self._rows(module, "data-files", context):
            found.append(_data_files(row, verdict, context))
        return tuple(found)

    def dlls(self, module: str, context: Context) -> tuple[Dlls, ...]:
        """Return the DLLs and programs that a module loads."""
        found = []
        for row, verdict in self._rows(module, "dlls", context):
            for kind in ("from_filenames", "from_sources", "by_code"):
                inner = row.inner(kind)
                both = verdict & inner.verdict(context) if inner is not None else verdict
                if inner is not None and both.truth is not Truth.NO:
                    found.append(_dlls(inner, kind, row.text("dest_path"), both, context))
        return tuple(found)

    def unread(self, module: str, context: Context) -> tuple[Unread, ...]:
        """Return the implicit imports of a module that cannot be told, and the code that Nuitka runs at its import.

        Such code is compiled into the exe beside the module; it does not run with a copied one.
        """
        found = [*self.problems(module)]
        for row, _ in self._rows(module, "implicit-imports", context):
            for text in row.texts("depends"):
                names = _module_names(text, context)
                if isinstance(names, Unknown):
                    found.append(Unread(text.text, ", ".join(names.why), row.origin(text.line)))
            for key in _CODE_KEYS:
                found += [Unread(text.text, key, row.origin(text.line)) for text in row.texts(key)]
        for row, _ in self._rows(module, "include-config", context):
            found.append(Unread("include-config", "references to other entries are not followed", row.origin()))
        return tuple(found)

    def _rows(self, module: str, section: str, context: Context) -> Iterator[tuple[Row, Verdict]]:
        """Yield the rows of a section that hold, or may hold."""
        for name, row in self._sections(module):
            if name == section:
                verdict = row.verdict(context)
                if verdict.truth is not Truth.NO:
                    yield row, verdict

    def _sections(self, module: str) -> tuple[tuple[str, Row], ...]:
        known = self._parsed.get(module)
        if known is None:
            problems: list[Unread] = []
            known = tuple(row for entry in self._entries.get(module, ()) for row in sections(entry, module, problems))
            self._parsed[module] = known
            self._problems[module] = tuple(problems)
        return known


# --- files ---


def find_config(search_path: Sequence[str], *, host: bool = True) -> str:
    """Return the path of the standard configuration of the Nuitka in one of these site-packages folders.

    With `host`, else of the Nuitka that is installed for the Python that runs depfix. An empty text: there is none.
    """
    for folder in search_path:
        path = os.path.join(folder, *_FOLDER, _STANDARD)
        if os.path.isfile(path):
            return path
    return _of_host() if host else ""


def _of_host() -> str:
    import importlib.util

    try:
        spec = importlib.util.find_spec(_FOLDER[0])  # of a top-level name, this imports nothing
    except (ImportError, ValueError, AttributeError):
        return ""
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [os.path.join(folder, *_FOLDER[1:], _STANDARD) for folder in folders or ()]
    return next((path for path in paths if os.path.isfile(path)), "")


def load_config(path: str, more: Sequence[str] = ()) -> PackageConfig:
    """Return the configuration in a file and in `more`, those of users; beside a standard one also its siblings.

    The siblings are those for the standard library. Never raises: what cannot be read is among `problems()`.
    """
    paths = [path]
    if os.path.basename(path) == _STANDARD:
        paths += [os.path.join(os.path.dirname(path), f"{stem}{_SUFFIX}") for stem in ("stdlib2", "stdlib3")]
        paths = [path, *filter(os.path.isfile, paths[1:])]
    entries: dict[str, list[Entry]] = {}
    problems: list[Unread] = []
    for one in (*paths, *more):
        for name, entry in read_entries(one, problems):
            entries.setdefault(name, []).append(entry)
    return PackageConfig(entries, problems)


# --- rows ---


class _Texts:
    """The texts of a row, evaluated where they are expressions; `unread` collects those that cannot be."""

    def __init__(self, row: Row, context: Context) -> None:
        self._row = row
        self._context = context
        self.unread: list[str] = []

    def values(self, key: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        rows = self._row.texts(key)
        return tuple(value for leaf in rows for value in self._value(leaf.text)) if rows else default

    def _value(self, text: str) -> tuple[str, ...]:
        if not any(mark in text for mark in "\"'("):  # as Nuitka tells an expression from a plain text
            return (text,)
        value = evaluate(text, self._context)
        if isinstance(value, str):
            return (value,)
        self.unread.append(text)
        return ()


def _data_files(row: Row, verdict: Verdict, context: Context) -> DataFiles:
    reader = _Texts(row, context)
    return DataFiles(
        verdict,
        row.origin(),
        patterns=reader.values("patterns"),
        dirs=reader.values("dirs"),
        raw_dirs=reader.values("raw_dirs"),
        empty_dirs=reader.values("empty_dirs"),
        empty_dir_structures=reader.values("empty_dir_structures"),
        metadata=tuple(text.text for text in row.texts("include-metadata")),
        dest_path=row.text("dest_path"),
        unread=tuple(reader.unread),
    )


def _dlls(row: Row, kind: str, dest_path: str | None, verdict: Verdict, context: Context) -> Dlls:
    executable = row.text("executable") == "yes"
    if kind != "from_filenames":
        keys = ("filename_code",) if kind == "by_code" else ("source_paths", "dest_names")
        unread = tuple(leaf.text for key in keys for leaf in row.texts(key))
        return Dlls(verdict, row.origin(), (), "", dest_path, executable, by_code=True, unread=unread)
    reader = _Texts(row, context)
    folder = "".join(reader.values("relative_path", default=(".",)))
    prefixes = [prefix.lstrip(".") for prefix in reader.values("prefixes")]
    suffixes = [
        suffix.lstrip(".") for suffix in reader.values("suffixes", default=_ANY_EXE if executable else _ANY_DLL)
    ]
    start = "" if folder in (".", "") else f"{folder.strip('/')}/"
    patterns = tuple(f"{start}{prefix}*.{suffix}" for prefix in prefixes for suffix in suffixes)
    if reader.unread:
        patterns = () if not folder else patterns
    to = row.text("relative_to") or ""
    return Dlls(verdict, row.origin(), patterns, to, dest_path, executable, unread=tuple(reader.unread))


# --- module names ---


def expand(name: str, modules_of: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """Return the modules that a name with `*` and `?` stands for, level by level.

    `modules_of` gives the last parts of the names of the modules directly in a package.
    """
    first, *rest = name.split(".")
    found = [] if _is_pattern(first) else [first]
    for part in rest:
        level: list[str] = []
        for above in found:
            parts = modules_of(above) if _is_pattern(part) else (part,)
            fitting = [one for one in parts if one == part or fnmatchcase(one, part)]
            level += [f"{above}.{one}" for one in fitting]
        found = level[:_MOST_NAMES]
    return tuple(found)


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _module_names(leaf: Leaf, context: Context) -> tuple[str, ...] | Unknown:
    """Return the names that one line of `depends` gives: itself, or the value of an expression."""
    if "(" not in leaf.text:
        return (leaf.text,)
    value = evaluate(leaf.text, context)
    if isinstance(value, Unknown):
        return value
    names = value if isinstance(value, tuple) else (value,)
    texts = tuple(name for name in names if isinstance(name, str))
    return texts if len(texts) == len(names) else Unknown(("a value that is no name",))


def _absolute(name: str, module: str, *, is_package: bool) -> str:
    """Return the full name of a dependency, an empty text if there is no package that it could count from."""
    if name.startswith("."):
        package = module if is_package else module.rpartition(".")[0]
        name = f"{package}{name}" if package else ""
    return name if all(name.split(".")) else ""
