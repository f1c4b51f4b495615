"""What is in sys.modules after a real program has run under Wine is in the closure that depfix makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from depfix.closure.graph import NodeKind
from depfix.pipeline import Options, closure_of
from fixtures.windows_lab import lay_out_flat, run

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("wine")]

# Those of modules that have a file or lie in the zip, under their own name; what Python has in itself is everywhere.
LOADED = """
import runpy, sys
runpy.run_path({program!r}, run_name="__main__")
def counts(name, module):
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.name == name and spec.origin not in ("built-in", "frozen", None)
print("@@" + " ".join(sorted(name for name, module in sys.modules.items() if counts(name, module))))
"""
# Python's start loads the encodings of its streams; the others are loaded by the lines above.
BY_OTHERS = frozenset(("encodings.utf_8", "encodings.cp1252", "encodings.cp437", "encodings.latin_1"))


@pytest.mark.parametrize(
    ("requirements", "program", "unseen"),
    [
        (("lxml==5.3.1",), "from lxml import etree; print(etree.fromstring('<a/>').tag)", set()),
        (("psycopg2-binary==2.9.10",), "import psycopg2; print(psycopg2.__libpq_version__)", set()),
        # Of numpy's tests, and a name that its core gives to itself: both from C.
        (
            ("numpy==1.26.4", "shapely==2.0.7"),
            "from shapely.geometry import Point; print(Point(0, 0).buffer(1).area)",
            {"numpy.core._multiarray_tests", "numpy._core"},
        ),
    ],
    ids=["lxml", "psycopg2", "shapely"],
)
def test_nothing_that_is_loaded_is_missing_from_the_closure(
    requirements: tuple[str, ...], program: str, unseen: set[str], tmp_path: Path
) -> None:
    dist = lay_out_flat(tmp_path / "dist", requirements)
    script = tmp_path / "program.py"
    script.write_text(program, encoding="utf-8")
    code = LOADED.format(program="Z:" + str(script).replace("/", "\\"))
    ran = run([dist / "app.exe", "-c", code], cwd=dist)
    assert ran.code == 0, ran.err
    loaded = set(ran.out.split("@@")[-1].split())
    assert len(loaded) > 30
    graph = closure_of(str(dist), Options(entries=(str(script),), environ={})).graph
    known = {node.name for node in graph.nodes() if node.kind is NodeKind.MODULE}
    assert loaded - known - BY_OTHERS <= unseen
