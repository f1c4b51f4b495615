"""Sources read in other processes: the same facts, whatever becomes of the processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depfix.closure import readers
from depfix.closure.facts import Facts
from depfix.dist.tree import FileEntry, FileKind
from depfix.imports.uses import ImportUse, SourceTarget

TARGET = SourceTarget((3, 10))
MANY = 30


@pytest.fixture
def entries(tmp_path: Path) -> list[FileEntry]:
    """Sources that together are worth other processes, the last of which cannot be read."""
    found = []
    for number in range(MANY):
        path = tmp_path / f"m{number}.py"
        path.write_text(f"import a{number}\n" + "# padding\n" * 12_000)
        found.append(FileEntry(path.name, str(path), path.stat().st_size, FileKind.SOURCE))
    os.remove(found[-1].source)
    return found


def imported(facts: Facts, entry: FileEntry) -> list[str]:
    return [use.module for use in facts.source(entry).uses if isinstance(use, ImportUse)]


def test_whoever_asks_out_of_order_is_given_the_right_facts(entries: list[FileEntry]) -> None:
    told: list[tuple[str, int, int]] = []
    facts = Facts(TARGET, workers=2, progress=lambda *row: told.append(row))
    facts.read_ahead(entries)
    assert [imported(facts, entry) for entry in reversed(entries[:-1])] == [[f"a{n}"] for n in range(MANY - 2, -1, -1)]
    assert facts.source(entries[-1]).error == "it cannot be read (no such file or directory)"
    assert told[-1] == ("reading sources", MANY, MANY) and len(told) > 2


def test_a_process_that_dies_costs_time_alone(entries: list[FileEntry], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "read_many", _die)
    monkeypatch.setattr(readers, "_start_method", lambda: "fork")
    facts = Facts(TARGET, workers=2)
    facts.read_ahead(entries)
    assert [imported(facts, entry) for entry in entries[:-1]] == [[f"a{n}"] for n in range(MANY - 1)]


def test_what_nobody_asked_for_is_left(entries: list[FileEntry]) -> None:
    facts = Facts(TARGET, workers=2)
    facts.read_ahead(entries)
    facts.stop_reading()
    assert imported(facts, entries[3]) == ["a3"]


def _die(_paths: object, _target: SourceTarget) -> None:
    os._exit(9)
