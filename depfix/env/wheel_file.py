"""A wheel, read in place.

Source: PyPA specifications, "Binary distribution format"
https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from functools import cached_property

from depfix.env.archives import Wanted, python_words
from depfix.env.records import fields, record_hashes
from depfix.env.safe_archive import RefusedArchiveError, write_member
from depfix.env.tags import PLATFORMS, accepted_tags
from depfix.env.zip_archive import read_member, read_members, unpack_members
from depfix.wording.message import phrase

SITE = "Lib/site-packages"
_SCHEMES = {"purelib": SITE, "platlib": SITE, "data": "", "scripts": "Scripts", "headers": "Include"}
_LARGEST_TEXT = 64 << 20


class Wheel:
    """One wheel. Raises RefusedArchiveError if it is damaged, or if it holds what must not be written."""

    is_conda = False
    python = None

    def __init__(self, path: str) -> None:
        self.path = path
        self.name, self.version, self._tags = _parsed(os.path.basename(path))
        self._members = read_members(path, self._place)

    def _place(self, name: str) -> str:
        """Return where an installer puts a member: what is in `.data` goes by its scheme, all else to site-packages."""
        first, _, rest = name.partition("/")
        scheme, _, inner = rest.partition("/")
        if not first.lower().endswith(".data") or scheme not in _SCHEMES or not inner:
            return f"{SITE}/{name}"
        folder = _SCHEMES[scheme]
        return f"{folder}/{inner}" if folder else inner

    @cached_property
    def files(self) -> Mapping[str, str]:
        """{path in an environment, with `/`: name in the archive}."""
        return {member.path: member.name for member in self._members}

    def misfit(self, wanted: Wanted) -> str:
        """Return for which Python or system it is, if that is not the dist's; an empty string if it is."""
        from packaging.tags import parse_tag

        if self.rank(wanted) >= 0:
            return ""
        own = parse_tag(self._tags)
        platforms = {tag.platform for tag in own}
        if not platforms & {"any", PLATFORMS.get(wanted.machine, "")}:
            return phrase(
                "it is for {platforms}, the program is {machine}",
                platforms=", ".join(sorted(platforms)),
                machine=wanted.machine.words,
            )
        theirs = python_words(wanted.python) if wanted.python is not None else phrase("no Python")
        threads = phrase(", free-threaded") if wanted.free_threaded else ""
        tags = ", ".join(sorted(f"{tag.interpreter}-{tag.abi}" for tag in own))
        return phrase("it is for {tags}, the program has {theirs}{threads}", tags=tags, theirs=theirs, threads=threads)

    def rank(self, wanted: Wanted) -> int:
        """Return the place of its best tag among those that such a Python takes, the first best; -1 if none is."""
        from packaging.tags import parse_tag

        if wanted.python is None:  # its DLLs may serve
            fitting = ("any", PLATFORMS.get(wanted.machine))
            return 0 if any(tag.platform in fitting for tag in parse_tag(self._tags)) else -1
        order = accepted_tags(wanted.python, wanted.machine, free_threaded=wanted.free_threaded)
        return min((order[tag] for tag in map(str, parse_tag(self._tags)) if tag in order), default=-1)

    def requires(self) -> tuple[str, ...]:
        """Return its Requires-Dist fields as they are written, none if its metadata are damaged."""
        return self._requires

    @cached_property
    def _requires(self) -> tuple[str, ...]:
        try:
            text = self._text("METADATA")
        except RefusedArchiveError:
            return ()  # it will be refused when it is unpacked
        return tuple(value for name, value in fields(text) if name == "requires-dist")

    def unpack(self, folder: str) -> None:
        """Write its files as an installer would; each is compared with the hash in RECORD.

        Raises RefusedArchiveError if one differs or cannot be unpacked, OSError if the disk refuses.
        """
        record = self._dist_info("RECORD")
        hashes = record_hashes(self._text("RECORD"))
        content = (member for member in self._members if member.name != record)
        for member, digest in unpack_members(self.path, content, folder):
            wanted = hashes.get(member.name, "")
            if wanted and wanted != digest.hex():
                raise RefusedArchiveError(
                    phrase("its {member} is not the one that its RECORD names", member=member.name)
                )
        if record:
            for _ in write_member(folder, f"{SITE}/{record}", io.BytesIO(self._installed_record()), _LARGEST_TEXT):
                pass

    def _installed_record(self) -> bytes:
        """Return RECORD with the places that files are installed to, relative to site-packages."""
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        for row in csv.reader(self._text("RECORD").splitlines()):
            if row:
                place = self._place(row[0])
                inner = place.removeprefix(f"{SITE}/") if place.startswith(f"{SITE}/") else f"../../{place}"
                writer.writerow([inner, *row[1:]])
        return rows.getvalue().encode("utf-8")

    def _dist_info(self, name: str) -> str:
        """Return the name of a file of its metadata, an empty string if there is none."""
        for member in self._members:
            folder, _, inner = member.name.partition("/")
            if inner == name and folder.lower().endswith(".dist-info"):
                return member.name
        return ""

    def _text(self, name: str) -> str:
        member = self._dist_info(name)
        if not member:
            return ""
        text = read_member(self.path, member, _LARGEST_TEXT + 1)
        if len(text) > _LARGEST_TEXT:
            raise RefusedArchiveError(phrase("its {member} is absurdly large", member=member))
        return text.decode("utf-8", "replace")


def _parsed(file_name: str) -> tuple[str, str, str]:
    """Return (name, version, tags) that the name of a wheel tells."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name, version, _, _ = parse_wheel_filename(file_name)
    except InvalidWheelFilename as error:
        raise RefusedArchiveError(
            phrase("its name is none of a wheel (name-version-python-abi-platform.whl)")
        ) from error
    return str(name), str(version), "-".join(file_name.removesuffix(".whl").split("-")[-3:])
