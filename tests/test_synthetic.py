"""The made-up dists of fixtures/synthetic.py: what is absent from them, and nothing else, is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.synthetic import Sizes, make_synthetic, write_program
from tests.conftest import run_depfix, snapshot

pytestmark = pytest.mark.lab

_SIZES = Sizes(modules=10, functions=2)


def test_what_is_absent_is_found_and_nothing_else(tmp_path: Path) -> None:
    dist = make_synthetic(tmp_path / "made", 6, _SIZES)
    program = write_program(tmp_path / "made.py", 6)

    done = run_depfix("scan", dist, "--entry", program, "--format", "json")

    found = [(row["rule"], row["subject"]) for row in json.loads(done.out)["findings"] if row["severity"] != "info"]
    assert found == [("DF101", "synth-00000000.dll"), ("DF201", "absent00000")]


def test_the_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    one, other = (make_synthetic(tmp_path / name, 5, _SIZES) for name in ("one", "other"))

    assert {path: what for path, (what, _) in snapshot(one).items()} == {
        path: what for path, (what, _) in snapshot(other).items()
    }
