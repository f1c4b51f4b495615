"""A Windows Python with what is installed in it, on any host: DLLs, modules, distributions. It is never run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from itertools import chain

from depfix.env.editable import editable_sources
from depfix.env.layout import Layout
from depfix.env.licences import is_of_python, python_file_licence
from depfix.env.links import Boundary, refused
from depfix.env.listing import LIBRARY_SUFFIXES, entries, folder_inside, libraries_below, path_key, relative
from depfix.env.on_disk import OnDisk
from depfix.env.packages import ExistingFiles, Installed, PackageFolder, source_files, top_level_of
from depfix.env.protocol import Distribution, EnvironmentInfo
from depfix.model.names import fold, normalised
from depfix.model.source import PYTHON, Candidate, Provider
from depfix.wording.message import phrase

# Where DLLs lie that a Python or an activated conda environment finds, in this order: the folder of python.exe, then
# what activation puts on PATH; DLLs is Python's own folder. Source: conda's activate.py, _get_path_dirs
_NATIVE_FOLDERS = (
    (),
    ("Library", "mingw-w64", "bin"),
    ("Library", "usr", "bin"),
    ("Library", "bin"),
    ("Scripts",),
    ("bin",),
    ("DLLs",),
)

# Where conda keeps what a library loads by its path, never through PATH: the plugins of Qt 5, Qt 6 and GStreamer.
_PLUGIN_FOLDERS = (
    ("Library", "plugins"),
    ("Library", "lib", "qt6", "plugins"),
    ("Library", "lib", "gstreamer-1.0"),
)


class PythonEnvironment(OnDisk):
    """An installed or embeddable Python, or a virtual environment with its base. Nothing is read before it is asked."""

    def __init__(self, root: str, spec: str, kind: str, read_layout: Callable[[], Layout]) -> None:
        self._root = root
        self._spec = spec
        self._kind = kind
        self._read_layout = read_layout
        self._made: dict[str, Distribution] = {}

    @property
    def info(self) -> EnvironmentInfo:
        build = self._layout.build
        return EnvironmentInfo(
            self._spec,
            self._root,
            self._kind,
            build.version,
            build.machine,
            free_threaded=build.free_threaded,
            debug=build.debug,
            caveat=self._layout.caveat,
        )

    @cached_property
    def _layout(self) -> Layout:
        return self._read_layout()

    # --- files by name -----------------------------------------------------------------------------------------------

    def find(self, name: str) -> tuple[Candidate, ...]:
        """Return the files with this name: native folders in the order of PATH, packages, plugins."""
        paths = dict.fromkeys(self._native.get(fold(name), ()))
        paths.update(dict.fromkeys(self._packaged.get(fold(name), ())))
        return tuple(map(self._candidate, paths))

    @cached_property
    def _native_folders(self) -> dict[str, str]:
        """{path key: folder} in the order in which they are searched."""
        places = ((root, names) for root in self._layout.roots for names in _NATIVE_FOLDERS)
        folders = (folder_inside(root, *names) for root, names in places)
        return {path_key(folder): folder for folder in folders if folder}

    @cached_property
    def _native(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for folder in self._native_folders.values():
            for name, path in entries(folder).items():
                if name.endswith(LIBRARY_SUFFIXES):
                    index.setdefault(name, []).append(path)
        return index

    @cached_property
    def _packaged(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        plugins = [folder_inside(root, *names) for root in self._layout.roots for names in _PLUGIN_FOLDERS]
        walked: list[str] = []
        for folder in (*self._layout.sites, *filter(None, plugins)):
            key = path_key(folder)
            # Folders that an editable installation adds are the user's projects: too much may lie in them.
            if any(_below(key, other) for other in walked) or not self._place(folder)[0]:
                continue
            walked.append(key)
            for path in libraries_below(folder):
                index.setdefault(fold(os.path.basename(path)), []).append(path)
        return index

    def _candidate(self, path: str) -> Candidate:
        key = path_key(path)
        place, package_path = self._place(path)[1], self._package_path(path)
        read_hash = partial(self.recorded_sha256, path)
        return Candidate(path, place, self._spec, package_path, self._owner(key), self.refusal(path), read_hash)

    def recorded_sha256(self, path: str) -> str:
        """Return the hash in hex that whoever installed an absolute file recorded of it, empty if none is."""
        key = path_key(path)
        found = self._recorded_owner(key)
        return found[0].hash_of(found[1], key) if found is not None else ""

    def refusal(self, path: str) -> str:
        """Return why an absolute file must not be taken, an empty string if it may be."""
        return self._boundary.refusal(path)

    @cached_property
    def _boundary(self) -> Boundary:
        return Boundary((*self._layout.roots, *self._layout.sites), lambda: self._editable)

    def _package_path(self, path: str) -> str:
        """Return the path below site-packages, whatever .pth files add deeper; empty for what lies elsewhere."""
        key = path_key(path)
        roots = tuple(map(path_key, self._layout.roots))
        around = [folder.key for folder in self._package_folders if key.startswith(folder.key + "/")]
        if not around or key.rpartition("/")[0] in self._native_folders:
            return ""
        site = min([folder for folder in around if folder not in roots] or around, key=len)
        return os.path.abspath(path).replace(os.sep, "/")[len(site) + 1 :]

    def _owner(self, key: str) -> Provider | None:
        """Return who installed the file with this path key."""
        found = self._recorded_owner(key)
        return Provider(found[1].name, found[1].version, found[1].licence) if found else self._python_as_owner(key)

    def _python_as_owner(self, key: str) -> Provider | None:
        """Return Python for a file that comes with it: one of DLLs and Lib, and what bears such a name beside it."""
        folder, _, name = key.rpartition("/")
        info = self.info
        own = is_of_python(name, info.python_version) if folder in self._root_keys else self.is_stdlib(key)
        return Provider(PYTHON, info.python, python_file_licence(name)) if own and info.python else None

    @cached_property
    def _root_keys(self) -> frozenset[str]:
        return frozenset(map(path_key, self._layout.roots))

    def _place(self, path: str) -> tuple[str, str]:
        """Return (root, path below it with `/`) of a file; two empty strings if it lies outside."""
        key = path_key(path)
        root = next((root for root in self._layout.roots if _below(key, path_key(root))), "")
        return (root, relative(root, path)) if root else ("", "")

    # --- modules -----------------------------------------------------------------------------------------------------

    @property
    def search_path(self) -> tuple[str, ...]:
        """Absolute folders in the order of sys.path, without archives."""
        return self._layout.search_path

    @property
    def stdlib_folders(self) -> tuple[str, ...]:
        """DLLs and Lib, or the root of an embeddable Python."""
        return self._layout.stdlib

    @property
    def stdlib_archive(self) -> str:
        """The zip archive of the standard library, empty if there is none."""
        return self._layout.archive

    def is_stdlib(self, path: str) -> bool:
        """Return True for an absolute file of the standard library, its extension modules and its archive."""
        key = path_key(path)
        if self._layout.archive and _below(key, path_key(self._layout.archive)):
            return True
        folder = self._folder_on_path(key)
        if not folder or folder not in map(path_key, self._layout.stdlib):
            return False
        if "site-packages" in key[len(folder) :].split("/")[:-1]:
            return False
        is_root = folder in map(path_key, self._layout.roots)
        return not is_root or (key.rpartition("/")[0] == folder and self._recorded_owner(key) is None)

    def destination(self, path: str) -> str:
        """Return where an absolute file goes, relative to a folder on sys.path, with `/`."""
        key = path_key(path)
        own = os.path.abspath(path).replace(os.sep, "/")
        if key.rpartition("/")[0] in self._native_folders and key.endswith(LIBRARY_SUFFIXES):
            return own.rpartition("/")[2]
        folder = self._folder_on_path(key)
        return own[len(folder) + 1 :] if folder else own.rpartition("/")[2]

    def _folder_on_path(self, key: str) -> str:
        """Return the key of the deepest folder on sys.path, or archive, that a file lies in; empty if in none."""
        return max((folder for folder in self._path_keys if key.startswith(folder + "/")), key=len, default="")

    @cached_property
    def _path_keys(self) -> tuple[str, ...]:
        archive = (self._layout.archive,) if self._layout.archive else ()
        return tuple(path_key(folder) for folder in (*self._layout.search_path, *archive))

    # --- distributions -----------------------------------------------------------------------------------------------

    def distribution_of(self, path: str) -> Distribution | None:
        """Return the distribution whose RECORD names an absolute file; None for the stdlib's and for nobody's."""
        key = path_key(path)
        found = (self._editable_owner(key) if not self._place(path)[0] else None) or self._recorded_owner(key)
        return self._distribution(*found) if found is not None else None

    def distribution(self, name: str) -> Distribution | None:
        """Return the distribution of this name, compared as PEP 503 does; None if it is not installed."""
        for folder in self._package_folders:
            one = folder.named(normalised(name))
            if one is not None:
                return self._distribution(folder, one)
        return None

    @cached_property
    def _package_folders(self) -> tuple[PackageFolder, ...]:
        return tuple(PackageFolder(folder, self._place(folder)[0] or folder) for folder in self._layout.sites)

    def _recorded_owner(self, key: str) -> tuple[PackageFolder, Installed] | None:
        for folder in self._package_folders:
            one = folder.owner(key)
            if one is not None:
                return folder, one
        return None

    def _editable_owner(self, key: str) -> tuple[PackageFolder, Installed] | None:
        return next((owner for source, owner in self._editable.items() if _below(key, path_key(source))), None)

    @cached_property
    def _editable(self) -> dict[str, tuple[PackageFolder, Installed]]:
        """{a package folder or module outside: whose it is}."""
        found: dict[str, tuple[PackageFolder, Installed]] = {}
        for folder in self._package_folders:
            for one in folder.installed if self._place(folder.folder)[0] else ():
                for source in editable_sources(one) if one.is_editable else ():
                    found.setdefault(source, (folder, one))
        return found

    def _distribution(self, folder: PackageFolder, one: Installed) -> Distribution:
        if one.folder not in self._made:
            self._made[one.folder] = self._make(folder, one)
        return self._made[one.folder]

    def _make(self, folder: PackageFolder, one: Installed) -> Distribution:
        existing = ExistingFiles()
        paths = dict.fromkeys(existing.below(folder.folder, folder.recorded_of(one)))
        paths.update(dict.fromkeys(self._also_installed(one, existing)))
        unfit = refused(tuple(paths), folder.folder, self.refusal)
        files, outside = self._parted([path for path in paths if path not in unfit], folder.key)
        is_outside = not self._place(folder.folder)[0]  # the project of a setup.py develop
        if one.is_editable and not is_outside:
            files += tuple(chain.from_iterable(map(source_files, editable_sources(one))))
        top_level = top_level_of(map(self.destination, files)) or one.named_top_level
        return Distribution(
            one.name,
            one.version,
            os.path.abspath(one.folder),
            files,
            outside,
            one.requires,
            top_level,
            is_outside or one.is_editable,
            self._shadowed_owner(one, files),
            one.licence,
            (
                *self._left_out(folder, one),
                *(
                    phrase("{place}: {reason}", place=self._place(path)[1], reason=reason)
                    for path, reason in unfit.items()
                ),
            ),
        )

    def _parted(self, paths: Iterable[str], site: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return (files worth having, those of them outside sys.path): of what lies outside, only DLLs are.

        `site` is the key of the folder that they were installed to. The root of an embeddable Python is on sys.path,
        but it counts only for what was installed to it.
        """
        roots = {path_key(root) for root in self._layout.roots} - {site}
        packages = tuple(folder.key + "/" for folder in self._package_folders if folder.key not in roots)
        native = tuple(f"{key}/" for key in self._native_folders if key not in (*roots, site))
        files, outside = [], []
        for path in paths:
            key = fold(path.replace(os.sep, "/"))
            if key.startswith(packages) and not key.startswith(native):
                files.append(path)
            elif key.endswith(LIBRARY_SUFFIXES) and not self.is_stdlib(path):
                files.append(path)
                outside.append(path)
        return tuple(files), tuple(outside)

    def _also_installed(self, one: Installed, existing: ExistingFiles) -> tuple[str, ...]:
        """Files in the environment that another record than its own says to belong to a distribution."""
        return ()

    def _left_out(self, folder: PackageFolder, one: Installed) -> tuple[str, ...]:
        return folder.left_out(one)

    def _shadowed_owner(self, one: Installed, files: tuple[str, ...]) -> str:
        return ""


def _below(key: str, folder: str) -> bool:
    return key == folder or key.startswith(folder + "/")
