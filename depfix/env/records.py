"""Readers of what installers write down: RECORD, installed-files.txt, METADATA, requires.txt, .pth, pyvenv.cfg.

None of them raises for damaged content: what cannot be read is left out.

Sources: PyPA specifications, "Recording installed projects"
https://packaging.python.org/en/latest/specifications/recording-installed-packages/
Python documentation, "site: Site-specific configuration hook" https://docs.python.org/3/library/site.html
"""

from __future__ import annotations

import base64
import binascii
import csv
import os
import re
from collections.abc import Iterator

from depfix.model.content import read_plain

_LIMIT = 64 << 20
_LONGEST_NUMBER = 18
_DIGEST = 32
_UNUSUAL = ("./", "//", "\\", ":", "\0", '"')  # without these, no path needs to be looked at by itself
_SECTION = re.compile(r"\[([^\]]*)\]")


def read_text(path: str) -> str:
    """Return a text file's content without a byte order mark; empty if it cannot be read or is absurdly large."""
    return read_bytes(path).decode("utf-8", "replace").removeprefix("\ufeff")


def read_bytes(path: str) -> bytes:
    """Return a file's content; empty if it cannot be read or is absurdly large."""
    try:
        return read_plain(path, _LIMIT) if path else b""
    except (OSError, ValueError):
        return b""


def record_paths(text: str) -> tuple[str, ...]:
    """Return the paths of a RECORD that lead to something in or beside its folder, with `/`.

    They are relative to the folder that the dist-info lies in; only those outside of it begin with `..`.
    """
    lines = text.replace("\r", "").split("\n")
    paths = (_csv_path(line) if line.startswith('"') else line.partition(",")[0] for line in lines)
    if any(sign in text for sign in _UNUSUAL):
        return tuple(path for path in map(safe_relative, paths) if path)
    return tuple(path for path in paths if path and path[0] != "/")


def strays(text: str) -> tuple[str, ...]:
    """Return the paths of a RECORD that `record_paths` leaves out as leading elsewhere, as they are written."""
    if not any(sign in text for sign in _UNUSUAL) and "\n/" not in text and not text.startswith("/"):
        return ()
    lines = text.replace("\r", "").split("\n")
    paths = (_csv_path(line) if line.startswith('"') else line.partition(",")[0] for line in lines)
    return tuple(path for path in paths if path and not safe_relative(path))


def record_rows(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (path with `/`, SHA-256 in hex, size in bytes) of each row of a RECORD, paths as `record_paths` has them.

    An empty string and -1 where a row does not tell.
    """
    for line in text.replace("\r", "").split("\n"):
        row = [*(_csv_row(line) if '"' in line else line.split(",")), "", ""]
        path = safe_relative(row[0])
        if path:
            size = row[2]
            known = size.isdecimal() and size.isascii() and len(size) <= _LONGEST_NUMBER
            yield path, _sha256(row[1]), int(size) if known else -1


def record_hashes(text: str) -> dict[str, str]:
    """Return {path as `record_paths` has it: SHA-256 in hex} of those rows of a RECORD that have one."""
    return {path: sha256 for path, sha256, _ in record_rows(text) if sha256}


def _sha256(text: str) -> str:
    """Return a hash of a RECORD in hex, an empty string if it is of another kind or none at all."""
    value = text.removeprefix("sha256=")
    if value == text:
        return ""
    try:
        digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == _DIGEST else ""


def _csv_path(line: str) -> str:
    return _csv_row(line)[0]


def _csv_row(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [""])
    except csv.Error:
        return [""]


def safe_relative(path: str) -> str:
    """Return a recorded path with `/`; empty if it is absolute, or goes up after it went down."""
    path = path.strip().replace("\\", "/")
    if path.startswith("/") or ":" in path or "\0" in path:
        return ""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    up = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    return "" if ".." in parts[up:] or up == len(parts) else "/".join(parts)


def installed_files(text: str, folder_name: str) -> tuple[str, ...]:
    """Return the paths of an installed-files.txt, relative to the folder that the egg-info lies in."""
    found = []
    for line in text.split("\n"):
        path = safe_relative(line)
        if path:
            found.append(path[3:] if path.startswith("../") else f"{folder_name}/{path}")
    return tuple(found)


def fields(text: str) -> list[tuple[str, str]]:
    """Return (name in lower case, value) of a METADATA's or PKG-INFO's header."""
    found: list[tuple[str, str]] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if not line:
            break
        if line[0] in " \t" and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.strip().lower(), value.strip()))
    return found


def egg_requirements(text: str) -> Iterator[str]:
    """Yield the requirements of a requires.txt as Requires-Dist would say them; sections are `[extra:marker]`.

    Source: setuptools documentation, "The Internal Structure of Python Eggs", requires.txt
    https://setuptools.pypa.io/en/latest/deprecated/python_eggs.html
    """
    condition = ""
    for line in map(str.strip, text.split("\n")):
        section = _SECTION.fullmatch(line)
        if section:
            extra, _, marker = section[1].partition(":")
            both = [f"({marker})" if extra and marker else marker, f'extra == "{extra}"' if extra else ""]
            condition = " and ".join(part for part in both if part)
        elif line and not line.startswith("#"):
            yield f"{line} ; {condition}" if condition else line


def path_lines(text: str) -> Iterator[str]:
    """Yield the folders that a .pth file names; its lines of code are not run."""
    for line in map(str.strip, text.split("\n")):
        if line and not line.startswith(("#", "import ", "import\t")):
            yield line


def settings(text: str) -> dict[str, str]:
    """Return {key in lower case: value} of a pyvenv.cfg."""
    pairs = (line.partition("=") for line in text.split("\n") if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def metadata_text(folder: str) -> str:
    """Return the text of METADATA or PKG-INFO; of the file itself for an egg-info that is a file."""
    if os.path.isfile(folder):
        return read_text(folder)
    return read_text(os.path.join(folder, "METADATA")) or read_text(os.path.join(folder, "PKG-INFO"))
