"""A package of conda, `.conda` or `.tar.bz2`, read in place.

Source: conda's documentation, "Conda packages" and "Package metadata"
https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/packages.html
https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import IO

import msgspec

from depfix.env.archives import Wanted, python_words
from depfix.env.safe_archive import (
    Member,
    RefusedArchiveError,
    check_members,
    check_size,
    most_bytes,
    refusing_damage,
    write_member,
)
from depfix.model.machine import Machine
from depfix.model.names import fold
from depfix.wording.message import phrase

SUFFIXES = (".conda", ".tar.bz2")
_SUBDIRS = {"win-64": Machine.AMD64, "win-32": Machine.X86, "win-arm64": Machine.ARM64}
_INDEX, _PATHS, _FILES = "info/index.json", "info/paths.json", "info/files"
_LARGEST_TEXT = 64 << 20
# Where packages that are for every Python have their parts. Source: conda's install.py, noarch: python
_NOARCH = {"site-packages/": "Lib/site-packages/", "python-scripts/": "Scripts/"}
_ONE_PYTHON = re.compile(
    r"python(?:_abi)? +(\d{1,4})\.(\d{1,4})(?:[.* ].*)?"
)  # python_abi 3.10.* *_cp310, python 3.10.*
_PYTHON_RANGE = re.compile(r"python +>=(\d{1,4})\.(\d{1,4})[^,]*,<(\d{1,4})\.(\d{1,4}).*")  # python >=3.10,<3.11.0a0
_PYTHON_DLL = re.compile(r"python(\d)(\d{2,4})\.dll")
# The folders of an environment, which packages spell now so, now so.
_SPELLED = {name.lower(): name for name in ("Lib", "DLLs", "Library", "Scripts")}


class _Index(msgspec.Struct):
    name: str
    version: str
    build: str = ""
    subdir: str = ""
    noarch: str | bool | None = None
    depends: tuple[str, ...] = ()
    license: str | None = None


class _Path(msgspec.Struct):
    path: str = msgspec.field(name="_path")
    size_in_bytes: int = 0
    sha256: str = ""


class _Paths(msgspec.Struct):
    paths: tuple[_Path, ...] = ()


class CondaFile:
    """One package. Raises RefusedArchiveError if it is damaged, or if it holds what must not be written."""

    is_conda = True

    def __init__(self, path: str) -> None:
        self.path = path
        with refusing_damage():
            texts = _texts(path)
            self._index = msgspec.json.decode(texts[_INDEX], type=_Index)
            rows = _rows(texts)
        self._hashes = {row.path: row.sha256 for row in rows}
        members = tuple(Member(row.path, self._place(row.path), row.size_in_bytes) for row in rows)
        check_members(members, os.path.getsize(path))
        self.files: Mapping[str, str] = {member.path: member.name for member in members}

    @property
    def name(self) -> str:
        return self._index.name

    @property
    def version(self) -> str:
        return self._index.version

    @property
    def machine(self) -> Machine | None:
        """The machine of its files, None if it has none or is for every one."""
        return _SUBDIRS.get(self._index.subdir)

    @cached_property
    def python(self) -> tuple[int, int] | None:
        """The Python (major, minor) that is in it, None if none is."""
        found = filter(None, map(_PYTHON_DLL.fullmatch, map(fold, self.files)))
        return next(((int(match[1]), int(match[2])) for match in found), None)

    def misfit(self, wanted: Wanted) -> str:
        """Return for which system or Python it is, if that is not the dist's; an empty string if it is."""
        subdir = self._index.subdir
        if subdir != "noarch" and self.machine is not wanted.machine:
            return phrase(
                "it is for {subdir}, the program is {machine}",
                subdir=subdir or phrase("an unknown system"),
                machine=wanted.machine.words,
            )
        own = self.python or self._needed_python
        if own is None or wanted.python is None or own == wanted.python:
            return ""
        return phrase(
            "it is for {python}, the program has {python2}",
            python=python_words(own),
            python2=python_words(wanted.python),
        )

    @cached_property
    def _needed_python(self) -> tuple[int, int] | None:
        """The one Python (major, minor) that it is built for, None if it is for several."""
        if self._index.noarch:
            return None
        for row in self._index.depends:
            if match := _ONE_PYTHON.fullmatch(row):
                return int(match[1]), int(match[2])
            match = _PYTHON_RANGE.fullmatch(row)
            if match and match[1] == match[3] and int(match[4]) == int(match[2]) + 1:
                return int(match[1]), int(match[2])
        return None

    def rank(self, wanted: Wanted) -> int:
        """Return 0: builds of one version are not told apart."""
        return 0

    def requires(self) -> tuple[str, ...]:
        """Return nothing: conda's requirements are in its own words."""
        return ()

    def unpack(self, folder: str) -> None:
        """Write its files as conda would, with a record in conda-meta. Raises as `Wheel.unpack`."""
        budget = most_bytes(os.path.getsize(self.path))
        by_name = {name: path for path, name in self.files.items()}
        written = 0
        links: list[tuple[str, str]] = []
        with refusing_damage():
            for tar, member in _components(self.path, "pkg"):
                path = by_name.pop(member.name, "") if not member.isdir() else ""
                if not path:
                    continue
                if member.islnk() or member.issym():
                    links.append((path, self._linked(member)))
                    continue
                content = tar.extractfile(member)
                if content is None:
                    raise RefusedArchiveError(phrase("it holds {member}, which is no file", member=repr(member.name)))
                written += self._write(folder, path, member, content, budget)
                check_size(written, os.path.getsize(self.path))
        if by_name:
            missing = sorted(by_name)[0]
            raise RefusedArchiveError(
                phrase(
                    "it lacks {number} of its files, {missing} among them", number=len(by_name), missing=repr(missing)
                )
            )
        _copy_links(folder, links)
        self._write_record(folder)

    def _write(self, folder: str, path: str, member: tarfile.TarInfo, content: IO[bytes], budget: int) -> int:
        digest = hashlib.sha256()
        size = 0
        for chunk in write_member(folder, path, content, budget):
            digest.update(chunk)
            size += len(chunk)
        wanted = self._hashes.get(member.name, "")
        if wanted and wanted != digest.hexdigest():
            raise RefusedArchiveError(
                phrase("its {member} is not the one that its paths.json names", member=member.name)
            )
        return size

    def _linked(self, member: tarfile.TarInfo) -> str:
        """Return the path in an environment of the file that a link leads to."""
        above = os.path.dirname(member.name) if member.issym() else ""
        target = os.path.normpath(os.path.join(above, member.linkname)).replace(os.sep, "/")
        place = self._place(target)
        if place not in self.files:
            raise RefusedArchiveError(
                phrase(
                    "it holds {member}: it is a link to {linkname}, outside of it",
                    member=repr(member.name),
                    linkname=repr(member.linkname),
                )
            )
        return place

    def _place(self, name: str) -> str:
        if self._index.noarch == "python":
            for start, place in _NOARCH.items():
                if name.startswith(start):
                    return place + name.removeprefix(start)
        first, slash, rest = name.partition("/")
        if not slash:
            return name
        if fold(rest).startswith("site-packages/"):
            rest = f"site-packages/{rest[len('site-packages/') :]}"
        return f"{_SPELLED.get(fold(first), first)}/{rest}"

    def _write_record(self, folder: str) -> None:
        index = self._index
        os.makedirs(os.path.join(folder, "conda-meta"), exist_ok=True)
        rows = [{"_path": path, "sha256": self._hashes.get(name, "")} for path, name in self.files.items()]
        record = {
            "name": index.name,
            "version": index.version,
            "build": index.build,
            "subdir": index.subdir,
            "license": index.license or "",
            "depends": index.depends,
            "files": list(self.files),
            "paths_data": {"paths": rows, "paths_version": 1},
        }
        name = f"{index.name}-{index.version}-{index.build or '0'}.json"
        with open(os.path.join(folder, "conda-meta", name), "wb") as file:
            file.write(msgspec.json.encode(record))


def _texts(path: str) -> dict[str, bytes]:
    """Return what a package says of itself. Raises RefusedArchiveError if it does not say what is in it."""
    found: dict[str, bytes] = {}
    for tar, member in _components(path, "info"):
        if member.name in (_INDEX, _PATHS, _FILES) and member.isfile():
            content = tar.extractfile(member)
            if content is None or member.size > _LARGEST_TEXT:
                raise RefusedArchiveError(phrase("its {member} is absurdly large", member=member.name))
            found[member.name] = content.read(_LARGEST_TEXT)
        if _INDEX in found and _PATHS in found:
            return found
    if _INDEX not in found or _FILES not in found:
        raise RefusedArchiveError(
            phrase("it is no package of conda: it has no {paths}", paths=_PATHS if _INDEX in found else _INDEX)
        )
    return found


def _rows(texts: Mapping[str, bytes]) -> tuple[_Path, ...]:
    """Return the files of a package; before 2017 packages had their names alone."""
    if _PATHS in texts:
        return msgspec.json.decode(texts[_PATHS], type=_Paths).paths
    return tuple(_Path(name) for name in texts[_FILES].decode("utf-8").splitlines() if name)


def _components(path: str, part: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the members of a part of a package; of a `.tar.bz2`, all."""
    from conda_package_streaming.package_streaming import stream_conda_component

    with open(path, "rb") as file:
        yield from stream_conda_component(path, file, part)


def _copy_links(folder: str, links: list[tuple[str, str]]) -> None:
    """Put a copy where a link was: Windows makes links only for those who are allowed to."""
    for path, target in links:
        source = os.path.join(folder, *target.split("/"))
        place = os.path.join(folder, *path.split("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not os.path.isfile(source):
            raise RefusedArchiveError(
                phrase(
                    "it holds {path}: it is a link to {target}, which is no file of it",
                    path=repr(path),
                    target=repr(target),
                )
            )
        shutil.copyfile(source, place)
