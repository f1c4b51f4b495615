"""The JavaScript libraries of others that the page carries, by the table in `vendor/`."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import lru_cache

from depfix.errors import DataFileError
from depfix.wording.message import system_words

TABLE = "vendor/libraries.tsv"


@dataclass(frozen=True, slots=True)
class Library:
    """One library: its npm name and version, its licence, where it is made, and what of it is here.

    `integrity` is npm's hash of the package, `member` and `licence_member` are files in it, `sha256` is of the first.
    """

    name: str
    version: str
    licence: str
    project: str
    integrity: str
    member: str
    licence_member: str
    sha256: str

    @property
    def file(self) -> str:
        """The path of the script here, beside this module."""
        return f"vendor/{self.member.rpartition('/')[2]}"

    @property
    def licence_file(self) -> str:
        """The path of its licence here."""
        return f"{self.file.removesuffix('.min.js')}.LICENSE.txt"


@lru_cache(maxsize=1)
def libraries() -> tuple[Library, ...]:
    """Return the libraries in the order in which the page needs them. Raises DataFileError."""
    lines = (line for line in asset(TABLE).splitlines() if line and not line.startswith("#"))
    rows = [line.split("\t") for line in lines]
    if not rows or any(len(row) != 8 for row in rows):
        raise DataFileError(TABLE, "a row has not eight columns, or there is none")
    return tuple(Library(*row) for row in rows)


def asset(path: str) -> str:
    """Return a file that lies beside this module. Raises DataFileError if it is not there."""
    try:
        data = pkgutil.get_data(__name__, path)
    except OSError as error:
        raise DataFileError(path, system_words(error)) from error
    return (data or b"").decode("utf-8")
