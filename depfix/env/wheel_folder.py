"""Opens `wheels:FOLDER`: which of its archives can serve a dist, and why the others cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from depfix.env.archives import PackageArchive, Wanted
from depfix.env.conda_file import SUFFIXES as CONDA_SUFFIXES
from depfix.env.conda_file import CondaFile
from depfix.env.python_file import SUFFIXES as PYTHON_SUFFIXES
from depfix.env.python_file import PythonFile
from depfix.env.requirements import requirements, target_markers
from depfix.env.safe_archive import RefusedArchiveError, not_an_archive
from depfix.env.wheel_file import Wheel
from depfix.env.wheels import WheelsEnvironment
from depfix.errors import UnknownEnvironmentError, WrongEnvironmentError
from depfix.model.names import normalised
from depfix.wording.message import joined, phrase, system_words

_WHEEL = ".whl"
_MOST_SHOWN = 3
_MOST_ROUNDS = 5

Refused = dict[str, tuple[str, PackageArchive | None]]


def open_wheels(value: str, spec: str, wanted: Wanted) -> WheelsEnvironment:
    """Return the archives of a folder, or of the folders in it, that fit a dist; or a single one.

    Raises UnknownEnvironmentError if there is no such folder, WrongEnvironmentError if nothing in it can serve.
    """
    root = os.path.abspath(os.path.expanduser(value))
    if not os.path.exists(root):
        raise UnknownEnvironmentError(spec, phrase("no such folder"))
    paths = list(_archives(root)) if os.path.isdir(root) else [root]
    if not paths:
        advice = phrase(
            "for a plain folder of DLLs use dir:{value}; `pip download -d FOLDER` fetches wheels", value=value
        )
        raise WrongEnvironmentError(
            spec, phrase("there is no wheel (.whl) and no conda package (.conda, .tar.bz2) in it"), advice
        )
    refused: Refused = {}
    fitting = [archive for path in paths if (archive := _opened(path, wanted, refused)) is not None]
    if not fitting:
        rows = [phrase("{name}: {reason}", name=name, reason=reason) for name, (reason, _) in sorted(refused.items())]
        more = phrase("; and {number} more", number=len(rows) - _MOST_SHOWN) if len(rows) > _MOST_SHOWN else ""
        raise WrongEnvironmentError(
            spec, phrase("nothing in it can serve: {rows}{more}", rows=joined("; ", rows[:_MOST_SHOWN]), more=more)
        )
    return WheelsEnvironment(root, spec, _chosen(fitting, wanted), refused, wanted.scratch)


def _archives(root: str) -> Iterator[str]:
    """Yield the archives in a folder, and in the folders in it: channels of conda have one for each system."""
    try:
        with os.scandir(root) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            try:
                names = sorted(os.listdir(entry.path))
            except OSError:
                continue
            yield from (os.path.join(entry.path, name) for name in names if _is_archive(name))
        elif _is_archive(entry.name):
            yield entry.path


def _is_archive(name: str) -> bool:
    lower = name.lower()
    is_python = lower.endswith(PYTHON_SUFFIXES) and lower.startswith("python")
    return is_python or lower.endswith((_WHEEL, *CONDA_SUFFIXES))


def _opened(path: str, wanted: Wanted, refused: Refused) -> PackageArchive | None:
    archive: PackageArchive | None = None
    try:
        reason = not_an_archive(path)
        if not reason:
            archive = open_archive(path)
            reason = archive.misfit(wanted)
    except RefusedArchiveError as error:
        reason = str(error)
    except OSError as error:
        reason = phrase("it cannot be read: {error}", error=system_words(error))
    if not reason:
        return archive
    refused[os.path.basename(path)] = (reason, archive)
    return None


def open_archive(path: str) -> PackageArchive:
    """Return one archive by its name. Raises RefusedArchiveError if it is damaged, OSError if it cannot be read."""
    lower = path.lower()
    if lower.endswith(CONDA_SUFFIXES):
        return CondaFile(path)
    return PythonFile(path) if lower.endswith(PYTHON_SUFFIXES) else Wheel(path)


def _chosen(archives: Sequence[PackageArchive], wanted: Wanted) -> list[PackageArchive]:
    """Return one archive for each distribution, in the order of their names.

    That is the version that the dist holds already, else the newest that the others allow by their requirements; of one
    version the build that fits best, a wheel before a package of conda.
    """
    by_name: dict[str, list[PackageArchive]] = {}
    for archive in archives:
        by_name.setdefault(normalised(archive.name), []).append(archive)
    for rows in by_name.values():
        rows.sort(key=lambda one: (one.is_conda, one.rank(wanted)))
        rows.sort(key=lambda one: _version_key(one.version), reverse=True)
    chosen = {name: _preferred(rows, wanted.versions.get(name, "")) for name, rows in sorted(by_name.items())}
    undecided = [name for name, rows in by_name.items() if rows[0].version != rows[-1].version]
    for _ in range(_MOST_ROUNDS if undecided else 0):
        again = dict(chosen)
        for name in undecided:
            if name not in wanted.versions:
                again[name] = _allowed(by_name[name], chosen, wanted)
        if again == chosen:
            break
        chosen = again
    return list(chosen.values())


def _preferred(rows: Sequence[PackageArchive], version: str) -> PackageArchive:
    return next((one for one in rows if one.version == version), rows[0])


def _allowed(rows: Sequence[PackageArchive], chosen: Mapping[str, PackageArchive], wanted: Wanted) -> PackageArchive:
    """Return the newest version that the requirements of the chosen archives allow, the newest of all if none."""
    name = normalised(rows[0].name)
    others = [other for other in chosen.values() if normalised(other.name) != name]
    markers = target_markers(wanted.python or (3, 0), wanted.machine)
    required = [
        row for other in others for row in requirements(other.requires(), markers) if normalised(row.name) == name
    ]
    return next((one for one in rows if all(row.admits(one.version) for row in required)), rows[0])


def _version_key(version: str) -> tuple[bool, object]:
    """Return what orders versions: final ones before pre-releases, those that are no versions of Python's last."""
    from packaging.version import Version

    try:
        found = Version(version)
    except ValueError:  # InvalidVersion, or a number of too many digits
        found = Version("0")
    return not found.is_prerelease, found
