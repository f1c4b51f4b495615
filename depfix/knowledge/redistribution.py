"""What licences ask of those who pass known DLLs on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from depfix.errors import DataFileError
from depfix.knowledge.tables import carried_system_dlls, read_rows, vc_runtimes

_TABLE = "redistribution.tsv"
_KINDS = ("runtime", "product")
_COLUMNS = 7


@dataclass(frozen=True, slots=True)
class Redistribution:
    """One product whose DLLs are passed on under terms of their own.

    `patterns` are those of its lower-case DLL names, `maker` is one of the lower-case company in the version resource
    (one without a resource fits, too). `terms` says in a sentence what the licence asks, `source` is where that stands.
    `is_runtime`: it is a redistributable of Windows.
    """

    name: str
    is_runtime: bool
    patterns: tuple[str, ...]
    maker: str
    licence: str
    terms: str
    source: str

    def fits(self, name: str, company: str) -> bool:
        """Return True for the DLL of this folded name, made by this company as far as it says."""
        if company and not fnmatchcase(company.lower(), self.maker):
            return False
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


@lru_cache(maxsize=1)
def redistributions() -> tuple[Redistribution, ...]:
    """Return the products of the table. Raises DataFileError if it is damaged."""
    found = tuple(map(_row, read_rows(_TABLE)))
    if not found or "vcruntime140.dll" not in {name for one in found for name in _plain(one)}:
        raise DataFileError(_TABLE, "vcruntime140.dll is absent")
    return found


def redistribution(name: str, company: str = "") -> Redistribution | None:
    """Return the terms under which the DLL of a folded name is passed on, None if none are known."""
    return next((one for one in redistributions() if one.fits(name, company)), None)


def runtime_name(name: str) -> str:
    """Return the redistributable of Windows that a folded DLL name is of, an empty string if of none."""
    runtime = vc_runtimes().get(name)
    if runtime is not None:
        return runtime.redistributable
    if carried_system_dlls().get(name) != "redistributable":
        return ""
    found = redistribution(name)
    return found.name if found is not None and found.is_runtime else ""


def _row(row: list[str]) -> Redistribution:
    if len(row) != _COLUMNS:
        raise DataFileError(_TABLE, f"{row[0]!r} has {len(row)} columns")
    name, kind, patterns, maker, licence, terms, source = row
    one = Redistribution(name, kind == "runtime", tuple(patterns.split(",")), maker or "*", licence, terms, source)
    if kind not in _KINDS or not one.terms or not all(one.patterns) or patterns != patterns.lower():
        raise DataFileError(_TABLE, f"{name!r} is not complete")
    if any(urlsplit(each).scheme != "https" for each in re.split(r"\s+", source)):
        raise DataFileError(_TABLE, f"{name!r} does not say where its terms stand")
    return one


def _plain(one: Redistribution) -> set[str]:
    return {"vcruntime140.dll"} if one.fits("vcruntime140.dll", "") else set()
