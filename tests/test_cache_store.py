"""The file of the cache: several processes, a killed one, damage, what belongs to others, too little room."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depfix.cache import store
from depfix.cache.store import Cache
from depfix.cache.version import code_version

KEYS = [bytes([number]) * 32 for number in range(40)]


def value_of(key: bytes) -> bytes:
    return key * 300


def filled(path: Path) -> Path:
    cache = Cache(str(path))
    for key in KEYS:
        cache.put(key, value_of(key))
    cache.close()
    assert cache.problem == ""
    return path


def found(path: Path) -> set[bytes]:
    """Return the keys of which the value is there, and assert that no other value is."""
    cache = Cache(str(path))
    values = {key: cache.get(key) for key in KEYS}
    cache.close()
    assert all(value in (None, value_of(key)) for key, value in values.items())
    return {key for key, value in values.items() if value is not None}


def test_what_is_put_is_there_in_the_next_run(tmp_path: Path) -> None:
    path = filled(tmp_path / "deep" / "folder" / "cache.sqlite")
    assert found(path) == set(KEYS)
    assert Cache(str(path)).usage().rows == len(KEYS)
    assert [one.name for one in path.parent.iterdir()] == ["cache.sqlite"]  # one file, and nothing beside it


def test_without_a_file_nothing_is_made_before_something_is_kept(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "folder" / "cache.sqlite"))
    assert cache.get(KEYS[0]) is None and cache.usage().size == 0
    cache.close()
    assert list(tmp_path.iterdir()) == []
    nowhere = Cache()
    nowhere.put(KEYS[0], b"value")
    assert not nowhere.is_on and nowhere.get(KEYS[0]) is None


WRITER = """
import sys
from depfix.cache.store import Cache
path, first = sys.argv[1], int(sys.argv[2])
for number in range(first, first + 20):
    cache = Cache(path)
    key = bytes([number]) * 32
    for other in range(40):
        known = cache.get(bytes([other]) * 32)
        assert known in (None, bytes([other]) * 9600), other
    cache.put(key, key * 300)
    cache.close()
    assert not cache.problem, cache.problem
"""


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(first)]) for first in (0, 10, 20)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert found(path) == set(KEYS)


KILLED = """
import sys
from depfix.cache.store import Cache
cache = Cache(sys.argv[1])
print("ready", flush=True)
number = 0
while True:
    number += 1
    for key in range(40):
        cache.put(bytes([key]) * 32, bytes([key]) * 9600)
    cache.put(b"%032d" % number, bytes(3_000_000))
    cache.save()
"""


def test_a_process_that_is_killed_while_it_writes_leaves_what_was_there(tmp_path: Path) -> None:
    path = filled(tmp_path / "cache.sqlite")
    for wait in (0.02, 0.05, 0.11):
        with subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None and writer.stdout.readline()
            time.sleep(wait)
            writer.send_signal(signal.SIGKILL)
        assert found(path) == set(KEYS)
        filled(path)


@pytest.mark.parametrize("seed", range(30))
def test_damage_at_any_place_loses_rows_and_changes_none(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path / "cache.sqlite")
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(1 + seed * 4):
        content[chance.randrange(100 if seed % 3 == 0 else len(content))] = chance.randrange(256)
    if seed % 5 == 0:
        del content[chance.randrange(len(content)) :]
    path.write_bytes(content)
    found(path)
    again = Cache(str(path))
    again.put(KEYS[0], value_of(KEYS[0]))
    again.close()
    assert found(path) or found(filled(path))  # what cannot be read at all was removed


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"this is none" * 1000)
    assert found(path) == set()
    assert not path.exists()
    filled(path)


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, used INTEGER, value BLOB)")
    other.close()
    before = path.read_bytes()
    cache = Cache(str(path))
    assert cache.get(KEYS[0]) is None
    cache.put(KEYS[0], b"value")
    cache.close()
    assert cache.problem == "it is a database of something else"
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_and_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "cache.sqlite", Path("/proc/none/cache.sqlite")):
        cache = Cache(str(path))
        assert cache.get(KEYS[0]) is None
        cache.put(KEYS[0], b"value")
        cache.close()
        assert cache.problem and not cache.is_on


def test_a_locked_file_costs_a_wait_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(tmp_path / "cache.sqlite")
    monkeypatch.setattr(store, "_WAIT", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    cache = Cache(str(path))
    assert cache.get(KEYS[0]) is None
    cache.close()
    assert "locked" in cache.problem
    other.close()
    assert found(path) == set(KEYS)


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    path = str(tmp_path / "cache.sqlite")
    old = Cache(path)
    old._now = 1000
    old.put(KEYS[0], bytes(400_000))
    old.put(KEYS[1], bytes(400_000))
    old.close()
    used = Cache(path)
    assert used.get(KEYS[1]) is not None
    used.close()
    new = Cache(path, most=1_000_000)
    new.put(KEYS[2], bytes(300_000))
    new.close()
    last = Cache(path)
    assert [last.get(key) is not None for key in KEYS[:3]] == [False, True, True]


def test_other_code_or_another_table_is_another_version(tmp_path: Path) -> None:
    """Nobody has to raise a number: what is kept belongs to the content of depfix's own files."""
    package = tmp_path / "depfix"
    (package / "data").mkdir(parents=True)
    (package / "data" / "table.tsv").write_text("a\tb\n")
    (package / "reader.py").write_text("x = 1\n")
    cache = Cache(str(tmp_path / "cache.sqlite"))
    versions = [code_version(cache, str(package))]
    (package / "data" / "table.tsv").write_text("a\tc\n")
    versions.append(code_version(cache, str(package)))
    (package / "reader.py").write_text("x = 2\n")
    versions.append(code_version(cache, str(package)))
    (package / "more.py").write_text("")
    versions.append(code_version(cache, str(package)))
    assert len(set(versions)) == 4
    for file in package.rglob("*.*"):
        os.utime(file, (1, 1))  # old enough to be known by their times
    known = code_version(cache, str(package))
    assert known == versions[-1] == code_version(cache, str(package))
