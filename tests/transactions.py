"""What the tests of transactions share: files with a known time, actions, plans that are refused without a trace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.plan import Action, Plan
from depfix.model.source import Provider
from depfix.repair.copying import Copied, quiet
from depfix.repair.journal import state_folder
from depfix.repair.transaction import apply_plan, locked, undo_repairs
from fixtures.crash_lab import picture

BIG = 3 << 20


def write(path: Path, content: str | bytes, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_500_000_000_123_456_789))
    return path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    root = tmp_path / "main.dist"
    write(root / "app.exe", "MZ")
    write(root / "pkg" / "old.dll", "old", 0o444)
    return root


def action(source: Path, destination: str, **more: str) -> Action:
    verb, size = more.get("action", "copy"), source.stat().st_size
    sha256 = more.get("sha256", "")
    return Action(verb, str(source), destination, Provider("env", "1"), size, "DF101", "x", sha256=sha256)


def applied(root: Path, *actions: Action, link: bool = False, copied: Copied = quiet) -> None:
    with locked(str(root)):
        apply_plan(str(root), Plan(actions, ()), copied, link=link)


def undone(root: Path, first: int = 0) -> tuple[str, ...]:
    with locked(str(root)):
        return undo_repairs(str(root), first)


def refused(root: Path, kind: type[Exception], *actions: Action, words: str = "", **more: Copied) -> None:
    """Assert that a plan fails in this way and leaves the dist and what is beside it as they were."""
    before = picture(root)
    with pytest.raises(kind, match=words or None):
        applied(root, *actions, **more)  # type: ignore[arg-type]
    assert picture(root) == before
    assert not state_folder(str(root)).exists()


def once(work: Callable[[], object]) -> Copied:
    left = [work]

    def copied(_files: int, _size: int) -> None:
        if left:
            left.pop()()

    return copied
