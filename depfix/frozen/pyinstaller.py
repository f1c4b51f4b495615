"""What PyInstaller puts into a program: the archive at its end (CArchive), and in it the archive of modules (PYZ).

The archive ends with a cookie, which says where its table of contents is. Of the entries of the table, `m` and `M` are
modules that the bootloader itself imports, `s` scripts, run one after the other as `__main__`, `z` the PYZ; in a
onefile program `b` and `x` are the files that the folder of a onedir build has. All numbers are big-endian.

Read were programs of PyInstaller 3.6 to 6.22. Sources: "Advanced Topics", The CArchive and the ZlibArchive
https://pyinstaller.org/en/stable/advanced-topics.html#carchive ; "Changes" https://pyinstaller.org/en/stable/CHANGES.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from depfix.dist.tree import Tree
from depfix.frozen.archive import LARGEST_MEMBER, Archive, Joined, code_object, code_of_pyc, join, unpack
from depfix.frozen.contents import FrozenModule, Storage
from depfix.frozen.marshalled import LARGEST_TABLE, Value, load_table
from depfix.frozen.zips import are_names, read_zip, read_zip_data
from depfix.model.names import fold, parent
from depfix.model.names import join as join_path
from depfix.pe.headers import Data, map_file
from depfix.wording.message import phrase

_MAGIC = b"MEI\014\013\012\013\016"
# Mark, length of the archive, offset and length of the table, version of Python; since 2.1 the name of the Python DLL.
_COOKIES = (struct.Struct(">8sIIII64s"), struct.Struct(">8sIIII"))
_ENTRY = struct.Struct(">IIIIBc")  # length of the row, offset, size packed and unpacked, compressed or not, kind
_PYZ_HEADER = struct.Struct(">4s4sI")  # mark, magic number of the bytecode, offset of the table
_PYZ_MAGIC = b"PYZ\0"
_MOST_COOKIES = 8
_MOST_ENTRIES = 200_000

_SCRIPT, _PYZ, _OPTION, _DEPENDENCY = "s", "z", "o", "d"
_MODULES = ("m", "M")
_FILES = ("b", "x", "Z")
_PYZ_PACKAGE, _PYZ_NAMESPACE = 1, 3
_PYZ_KINDS = (0, _PYZ_PACKAGE, _PYZ_NAMESPACE)  # 2 is a file of data
_SAMPLE = 5
_PYTHON_DLL = re.compile(r"python\d+t?(?:_d)?\.dll")
_FOLDER_OPTION = "pyi-contents-directory "
_BASE_LIBRARY = "base_library.zip"
_CRYPTO_KEY = "pyimod00_crypto_key"
_ENCRYPTED = phrase("its modules are encrypted (--key): their names are known, what they import is not")
_STARTUP = ("pyiboot", "pyi_rth_", "pyi_crypto")
_STORAGE_OF_SUFFIX = {"pyd": Storage.EXTENSION, "pyc": Storage.BYTECODE}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of an archive: where its bytes are, counted from the start of the file."""

    kind: str
    name: str
    start: int
    packed: int
    size: int
    compressed: bool


@dataclass(frozen=True, slots=True)
class _Bundle:
    """The archive at the end of a program: its entries, with the bytes of the whole file."""

    data: Data = field(repr=False)
    entries: tuple[_Entry, ...]

    def of_kind(self, *kinds: str) -> Iterator[_Entry]:
        return (entry for entry in self.entries if entry.kind in kinds)

    def read(self, entry: _Entry) -> bytes | None:
        """Return the bytes of an entry, None if they are damaged or too large."""
        if max(entry.size, entry.packed) > LARGEST_MEMBER:
            return None
        if entry.compressed:
            return unpack(self.data, entry.start, entry.packed)
        return bytes(self.data[entry.start : entry.start + entry.packed])


def read_pyinstaller(tree: Tree, program: str) -> Archive | Joined | None:
    """Return what is inside a program that PyInstaller made, None if another tool did. Never raises.

    The archive may also lie beside the program, with the suffix .pkg. Loose .pyc files of a build without an archive
    (`--debug noarchive`) are modules on disk, and not of these. The packages of a PYZ do not hide their folders, those
    of base_library.zip do (tried with 6.22).
    """
    bundle, holder = _bundle_of(tree, program)
    if bundle is None:
        return None
    parts = (
        _own_modules(bundle, holder),
        *(_pyz(bundle, entry, holder) for entry in bundle.of_kind(_PYZ)),
        _base_library(tree, program, bundle, holder),
        _embedded_modules(bundle, holder),
    )
    return join(part for part in parts if part is not None)


def has_bundle(tree: Tree, program: str) -> bool:
    """Return True if PyInstaller made the program."""
    return _bundle_of(tree, program)[0] is not None


def is_onefile(tree: Tree, program: str) -> bool:
    """Return True if PyInstaller made the program as one file, which unpacks itself when it starts."""
    bundle, _ = _bundle_of(tree, program)
    return bundle is not None and any(_PYTHON_DLL.fullmatch(fold(entry.name)) for entry in bundle.of_kind("b"))


# --- the archive at the end ------------------------------------------------------------------------------------------


def _bundle_of(tree: Tree, program: str) -> tuple[_Bundle | None, str]:
    """Return the archive of a program, in it or beside it, and the dist-relative path of the file that holds it."""
    stem = program.rpartition(".")[0] or program
    for path in (program, f"{stem}.pkg"):
        entry = tree.file(path)
        bundle = _open_bundle(entry.source) if entry is not None else None
        if bundle is not None:
            return bundle, path
    return None, program


def _open_bundle(source: str) -> _Bundle | None:
    try:
        data = map_file(source)
    except (OSError, ValueError):
        return None
    if data is None:
        return None
    at = data.rfind(_MAGIC)
    for _ in range(_MOST_COOKIES):  # a signature or a bootloader may hold the mark by chance
        if at < 0:
            return None
        entries = _entries(data, at)
        if entries:
            return _Bundle(data, entries)
        at = data.rfind(_MAGIC, 0, at)
    return None


def _entries(data: Data, cookie_at: int) -> tuple[_Entry, ...]:
    """Return the entries of the archive that ends with a cookie, nothing if there is none at this offset."""
    for form in _COOKIES:
        raw = data[cookie_at : cookie_at + form.size]
        if len(raw) < form.size:
            continue
        _, length, table_at, table_size, _ = form.unpack(raw)[:5]
        start = cookie_at + form.size - length
        if start < 0 or table_at + table_size + form.size > length or table_size > LARGEST_TABLE:
            continue
        return tuple(_rows(data, start, start + table_at, start + table_at + table_size))
    return ()


def _rows(data: Data, start: int, at: int, end: int) -> Iterator[_Entry]:
    for _ in range(_MOST_ENTRIES):
        if at + _ENTRY.size > end:
            return
        length, offset, packed, size, compressed, kind = _ENTRY.unpack(data[at : at + _ENTRY.size])
        if length < _ENTRY.size or at + length > end:
            return
        name = data[at + _ENTRY.size : at + length].partition(b"\0")[0].decode("utf-8", "replace")
        yield _Entry(kind.decode("latin-1"), name.replace("\\", "/"), start + offset, packed, size, bool(compressed))
        at += length


def _contents_folder(bundle: _Bundle) -> str:
    """Return the folder of the bundle's files beside the program: an option since 6.0, before that there was none."""
    options = [entry.name for entry in bundle.of_kind(_OPTION) if entry.name.startswith(_FOLDER_OPTION)]
    folder = options[-1][len(_FOLDER_OPTION) :].strip("/") if options else ""
    return "" if folder == "." else folder


def _base_library(tree: Tree, program: str, bundle: _Bundle, holder: str) -> Archive | None:
    """Return the part of the stdlib that Python needs to start: a zip in the program, or in the bundle's folder."""
    inside = next((entry for entry in bundle.of_kind(*_FILES) if fold(entry.name) == _BASE_LIBRARY), None)
    if inside is None:
        beside = tree.in_folder(join_path(parent(program), _contents_folder(bundle)), _BASE_LIBRARY)
        return read_zip(beside.source, origin=beside.path) if beside is not None else None
    origin = phrase("{base_library} in {holder}", base_library=_BASE_LIBRARY, holder=holder)
    data = bundle.read(inside)
    found = read_zip_data(data, origin) if data is not None else None
    return found if found is not None else Archive(origin, {}, True, phrase("{origin}: it is damaged", origin=origin))


# --- modules ---------------------------------------------------------------------------------------------------------


def _own_modules(bundle: _Bundle, holder: str) -> Archive:
    """Return the modules and scripts that the bootloader runs itself; `__main__` is the last script that is no hook."""
    found = {entry.name: entry for entry in bundle.of_kind(_SCRIPT, *_MODULES) if are_names(entry.name.split("."))}
    scripts = [entry for entry in bundle.of_kind(_SCRIPT) if not entry.name.startswith(_STARTUP)]
    if scripts:
        found.pop(scripts[-1].name, None)
        found["__main__"] = scripts[-1]

    def code(name: str) -> bytes | None:
        data = bundle.read(found[name])
        return code_object(data) or code_of_pyc(data)  # before 5.0 the modules have their header

    others = sorted({entry.name.partition(":")[0] for entry in bundle.of_kind(_DEPENDENCY)})
    problem = (
        phrase("{holder}: it takes files from other programs ({others})", holder=holder, others=", ".join(others))
        if others
        else ""
    )
    modules = {name: FrozenModule(name, Storage.BYTECODE, entry.kind == "M") for name, entry in found.items()}
    files = tuple((entry.name, entry.size) for entry in bundle.of_kind(*_FILES))
    return Archive(phrase("the archive in {holder}", holder=holder), modules, False, problem, files, read=code)


def _pyz(bundle: _Bundle, entry: _Entry, holder: str) -> Archive:
    origin = phrase("{entry} in {holder}", entry=entry.name, holder=holder)
    start, end = entry.start, min(entry.start + entry.packed, len(bundle.data))
    rows = None if entry.compressed else _pyz_rows(bundle.data, start, end)
    if rows is None:
        return Archive(origin, {}, False, phrase("{origin}: it is damaged", origin=origin))

    def code(name: str) -> bytes | None:
        kind, offset, size = rows[name]
        return code_object(unpack(bundle.data, start + offset, size)) if kind != _PYZ_NAMESPACE else None

    modules = {
        name: FrozenModule(name, Storage.BYTECODE, kind in (_PYZ_PACKAGE, _PYZ_NAMESPACE))
        for name, (kind, _, _) in rows.items()
    }
    tried = islice((name for name, row in rows.items() if row[0] != _PYZ_NAMESPACE), _SAMPLE)
    unreadable = [code(name) is None for name in tried]
    problem = ""
    if unreadable and all(unreadable):
        sealed = any(one.name == _CRYPTO_KEY for one in bundle.entries)
        problem = phrase(
            "{origin}: {problem}",
            origin=origin,
            problem=_ENCRYPTED if sealed else phrase("its modules cannot be unpacked"),
        )
    return Archive(origin, modules, False, problem, read=code)


def _pyz_rows(data: Data, start: int, end: int) -> dict[str, tuple[int, int, int]] | None:
    """Return {name: (kind, offset, size)} of the modules of a PYZ, None if it is damaged.

    The table is a marshalled dict or list of pairs.
    """
    try:
        magic, _, offset = _PYZ_HEADER.unpack(data[start : start + _PYZ_HEADER.size])
        table = load_table(bytes(data[start + offset : min(end, start + offset + LARGEST_TABLE + 1)]))
    except (ValueError, struct.error):
        return None
    if magic != _PYZ_MAGIC or not isinstance(table, (dict, list)):
        return None
    pairs: Iterable[Value] = tuple(table.items()) if isinstance(table, dict) else table
    found: dict[str, tuple[int, int, int]] = {}
    for pair in pairs:
        match pair:
            case (str(name), (int(kind), int(at), int(size))) if at >= 0 and size >= 0:
                if kind in _PYZ_KINDS and are_names(name.split(".")):
                    found[name] = kind, at, size
            case _:
                return None
    return found


def _embedded_modules(bundle: _Bundle, holder: str) -> Archive | None:
    """Return the modules that a onefile program has as files: it unpacks them into a folder of the search path."""
    found: dict[str, tuple[Storage, bool, _Entry]] = {}
    for entry in bundle.of_kind(*_FILES):
        path, _, suffix = entry.name.rpartition(".")
        storage = _STORAGE_OF_SUFFIX.get(fold(suffix))
        parts = path.split("/")
        if storage is Storage.EXTENSION:
            parts[-1] = parts[-1].partition(".")[0]  # without the tag of the ABI
        is_package = parts[-1] == "__init__" and len(parts) > 1
        if storage is not None and are_names(parts):
            name = ".".join(parts[:-1] if is_package else parts)
            found[name] = storage, is_package, entry
    if not found:
        return None
    modules = {name: FrozenModule(name, storage, package) for name, (storage, package, _) in found.items()}

    def code(name: str) -> bytes | None:
        return code_of_pyc(bundle.read(found[name][2]))

    return Archive(phrase("the files in {holder}", holder=holder), modules, False, read=code)
