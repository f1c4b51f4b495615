"""The distributions installed in one folder of sys.path: found by name without reading, their records read once.

Source: PyPA specifications, "Recording installed projects"
https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from depfix.env.licences import licence_of
from depfix.env.listing import entries, files_below, folded, inside, is_absolute, named_path, path_key
from depfix.env.records import (
    egg_requirements,
    fields,
    installed_files,
    metadata_text,
    path_lines,
    read_bytes,
    read_text,
    record_hashes,
    record_paths,
    safe_relative,
    strays,
)
from depfix.model.names import fold, normalised
from depfix.wording.message import phrase

_DEEPEST = 100
_EGG_INFO = re.compile(r"(.+?)(?:-([^-]*))?(?:-py\d[^-]*)?(?:-[^-]*)?")
_MODULE = re.compile(r"(\w+)(?:\.[\w-]+)?\.(?:pyd?|pyc|pyw)")


class _DirectoryInfo(msgspec.Struct):
    editable: bool = False


class _DirectUrl(msgspec.Struct):
    dir_info: _DirectoryInfo | None = None


class Installed:
    """One dist-info or egg-info: what it says of itself. Nothing is read before it is asked for."""

    def __init__(self, folder: str, site: str) -> None:
        self.folder = folder
        self.site = site
        self.is_whole_folder = fold(os.path.basename(folder)) == "egg-info"  # of an .egg folder on sys.path
        stem, kind = os.path.splitext(os.path.basename(site if self.is_whole_folder else folder))
        self.is_egg = kind.lower() != ".dist-info"
        if not self.is_egg:
            self._named, _, self._numbered = stem.rpartition("-")
        else:
            match = _EGG_INFO.fullmatch(stem)
            self._named, self._numbered = (match[1], match[2] or "") if match else (stem, "")
        self.key = normalised(self._named)

    @cached_property
    def _fields(self) -> list[tuple[str, str]]:
        return fields(metadata_text(self.folder))

    @property
    def name(self) -> str:
        return self._field("name") or self._named

    @property
    def version(self) -> str:
        return self._field("version") or self._numbered

    @cached_property
    def licence(self) -> str:
        """What its metadata say of its licence, in few words."""
        return licence_of(self._fields)

    @property
    def requires(self) -> tuple[str, ...]:
        """The Requires-Dist fields as they are written; those of a requires.txt said likewise."""
        written = tuple(value for name, value in self._fields if name == "requires-dist")
        return written or tuple(egg_requirements(self._text("requires.txt")))

    @cached_property
    def recorded(self) -> tuple[str, ...] | None:
        """Paths relative to the folder that it lies in, as recorded when it was installed; None without a record."""
        text = self._text("RECORD")
        if text:
            return record_paths(text)
        text = self._text("installed-files.txt")
        return installed_files(text, os.path.basename(self.folder)) if text else None

    @property
    def strays(self) -> tuple[str, ...]:
        """Recorded paths that are absolute, or lead up after they went down: they are not followed."""
        return strays(self._text("RECORD"))

    @cached_property
    def hashes(self) -> dict[str, str]:
        """{folded path relative to the folder that it lies in: recorded SHA-256 in hex}."""
        found = record_hashes(self._text("RECORD"))
        return dict(zip(folded(found), found.values(), strict=True))

    @property
    def named_top_level(self) -> tuple[str, ...]:
        """What top_level.txt names."""
        return tuple(filter(None, map(safe_relative, self._text("top_level.txt").split("\n"))))

    @property
    def is_editable(self) -> bool:
        """True if its code lies elsewhere: by direct_url.json, an editable finder, or a .pth file that leads out.

        Source: PEP 660 https://peps.python.org/pep-0660/ and PEP 610 https://peps.python.org/pep-0610/
        """
        try:
            about = msgspec.json.decode(
                read_bytes(inside(self.folder, "direct_url.json") or "") or b"{}", type=_DirectUrl
            )
        except (msgspec.MsgspecError, RecursionError, ValueError):
            about = _DirectUrl()
        if about.dir_info is not None and about.dir_info.editable:
            return True
        own = [path for path in self.recorded or () if "/" not in path]
        return any(path.startswith("__editable__") or self._leads_out(path) for path in own)

    def _leads_out(self, path: str) -> bool:
        if not path.lower().endswith(".pth"):
            return False
        return any(map(is_absolute, path_lines(read_text(inside(self.site, path) or ""))))

    def _field(self, name: str) -> str:
        return next((value for key, value in self._fields if key == name), "")

    def _text(self, name: str) -> str:
        return read_text(inside(self.folder, name) or "")


class PackageFolder:
    """A folder of sys.path, `root` being the environment that recorded paths must not leave."""

    def __init__(self, folder: str, root: str) -> None:
        self.folder = folder
        self.root = root
        self.key = path_key(folder)
        depth = path_key(folder).removeprefix(path_key(root)).count("/")
        self._climb = "../" * depth
        self._root_key = path_key(root)

    @cached_property
    def installed(self) -> tuple[Installed, ...]:
        """All distributions here, in the order of their names; what an interrupted pip left (`~ame`) is none."""
        found = []
        for name, path in sorted(entries(self.folder).items()):
            if name.startswith("~"):
                continue
            if name.endswith((".dist-info", ".egg-info")) or name == "egg-info":
                found.append(Installed(path, self.folder))
        return tuple(found)

    def named(self, key: str) -> Installed | None:
        """Return the distribution of a normalised name; of several, the last that has a record."""
        found = [one for one in self.installed if one.key == key]
        if not found:  # the folder's name may be spelled in a way that only METADATA tells
            found = [one for one in self.installed if one.is_egg and normalised(one.name) == key]
        recorded = [one for one in found if len(found) == 1 or one.recorded is not None]
        return (recorded or found)[-1] if found else None

    def owner(self, path_of_key: str) -> Installed | None:
        """Return the distribution that recorded the file with this path key."""
        return self._owners.get(self._relative(path_of_key))

    @cached_property
    def _owners(self) -> dict[str, Installed]:
        owners: dict[str, Installed] = {}
        for one in self.installed:
            for key in folded(self.recorded_of(one)):
                owners.setdefault(key, one)
        return owners

    def hash_of(self, one: Installed, path_of_key: str) -> str:
        """Return the SHA-256 in hex that a distribution recorded of the file with this path key, empty if none."""
        return one.hashes.get(self._relative(path_of_key), "")

    def recorded_of(self, one: Installed) -> Sequence[str]:
        """Return the recorded paths of a distribution; without a record, those of the packages that it names.

        Those that leave the environment are not among them.
        """
        recorded = one.recorded if one.recorded is not None else tuple(self._unrecorded(one))
        outside = f"{self._climb}../"  # a path that begins so leaves the environment
        return [path for path in recorded if not path.startswith(outside) and path.count("/") < _DEEPEST]

    def keys_of(self, one: Installed) -> Iterator[str]:
        """Yield the path keys of what a distribution recorded."""
        for path in folded(self.recorded_of(one)):
            if path.startswith(self._climb) and self._climb:
                yield f"{self._root_key}/{path[len(self._climb) :]}"
            else:
                yield f"{self.key}/{path}"

    def left_out(self, one: Installed) -> tuple[str, ...]:
        """Return the recorded paths that are not followed, as they are written, each with the reason."""
        outside = f"{self._climb}../"
        found = (*(path for path in one.recorded or () if path.startswith(outside)), *one.strays)
        return tuple(phrase("{path} in its RECORD leads out of the environment", path=path) for path in found)

    def _unrecorded(self, one: Installed) -> Iterator[str]:
        """Yield what belongs to a distribution by its top_level.txt, and to its egg-info."""
        names = ["."] if one.is_whole_folder else [os.path.basename(one.folder), *one.named_top_level]
        for name in names:
            for path in (named_path(self.folder, name), named_path(self.folder, f"{name}.py")):
                if path:
                    found = files_below(path) if os.path.isdir(path) else (path,)
                    yield from (os.path.relpath(file, self.folder).replace(os.sep, "/") for file in found)

    def _relative(self, key: str) -> str:
        if key.startswith(self.key + "/"):
            return key[len(self.key) + 1 :]
        return self._climb + key[len(self._root_key) + 1 :] if key.startswith(self._root_key + "/") else ""


class ExistingFiles:
    """Tells which recorded files are there, listing each folder once."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, str]] = {}
        self._places: dict[str, str] = {}

    def below(self, folder: str, paths: Iterable[str]) -> Iterator[str]:
        """Yield the absolute paths of those recorded paths (relative, with `/`) that are files, in their order."""
        for path in paths:
            parent, _, name = path.rpartition("/")
            found = self._entries(self._place(folder, parent)).get(fold(name))
            if found is not None:
                yield found

    def _place(self, folder: str, path: str) -> str:
        """Return the folder that a recorded path means, an empty string if it is not there."""
        if not path:
            return folder
        key = f"{folder}\0{path}"
        if key not in self._places:
            outer, _, name = path.rpartition("/")
            above = self._place(folder, outer)
            if name == "..":
                self._places[key] = os.path.dirname(above)
            else:
                self._places[key] = self._entries(above).get(f"{fold(name)}/", "") if above else ""
        return self._places[key]

    def _entries(self, folder: str) -> dict[str, str]:
        """Return {folded name: path} of the files, and {folded name + "/": path} of the folders."""
        if not folder:
            return {}
        if folder not in self._listed:
            try:
                with os.scandir(folder) as found:
                    self._listed[folder] = {
                        fold(entry.name) + ("/" if entry.is_dir() else ""): entry.path for entry in found
                    }
            except (OSError, ValueError):
                self._listed[folder] = {}
        return self._listed[folder]


def source_files(source: str) -> Iterator[str]:
    """Yield the files of a package in a project's folder, or the module itself, without bytecode and hidden files."""
    if not os.path.isdir(source):
        yield source
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(files))


def top_level_of(places: Iterable[str]) -> tuple[str, ...]:
    """Return the names that can be imported, given places relative to folders of sys.path."""
    names: dict[str, None] = {}
    for place in places:
        first, slash, rest = place.partition("/")
        if slash and first.isidentifier() and first != "__pycache__":
            if _MODULE.fullmatch(rest.rpartition("/")[2]):
                names[first] = None
        elif not slash:
            match = _MODULE.fullmatch(first)
            if match and not match[1].startswith("__editable__"):
                names[match[1]] = None
    return tuple(sorted(names))
