"""The same job on packages that the sources do not know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import depfix
from fixtures.windows_lab import lay_out_flat, make_dist, make_environment, run
from tests.conftest import Cli, snapshot

GEOMETRY = "from shapely.geometry import Point; print(Point(0, 0).buffer(1).area > 3)"


@pytest.fixture(scope="module")
def geometry(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """shapely, whose two native libraries (one needs the other) stayed in Library/bin."""
    root = tmp_path_factory.mktemp("geometry")
    native = {"geos 3.11.4": ("shapely.libs/geos*.dll",)}
    environment = make_environment(root / "env", ("numpy==1.26.4", "shapely==2.0.7"), native)
    return environment, make_dist(root / "dist", environment, ("shapely", "shapely.libs", "numpy", "numpy.libs"))


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_second_order_dlls_come_with_one_repair(geometry: tuple[Path, Path], cli: Callable[..., Cli]) -> None:
    environment, dist = geometry
    before = snapshot(dist)
    assert run([dist / "app.exe", "-c", GEOMETRY], cwd=dist).code != 0
    report = json.loads(cli("scan", dist, "--format", "json").out)
    first = {finding["subject"] for finding in report["findings"] if finding["severity"] == "error"}
    moved = {path.name.lower() for path in (environment / "Library" / "bin").glob("geos*.dll")}
    assert len(moved) == 2
    assert first < moved, "only the first of the two is named in an import directory of the dist"
    repaired = cli("repair", dist, "--env", f"conda:{environment}", "--format", "json")
    assert repaired.code == 0, repaired
    plan = json.loads(repaired.out)["plan"]["actions"]
    assert {action["subject"] for action in plan} == moved
    assert {action["provider"] for action in plan} == {"geos 3.11.4"}
    works = run([dist / "app.exe", "-c", GEOMETRY], cwd=dist)
    assert (works.code, works.out.strip()) == (0, "True")
    assert cli("undo", dist).code == 0
    assert snapshot(dist) == before


@pytest.mark.lab
@pytest.mark.parametrize(
    "requirements",
    [
        ("numpy==1.26.4", "shapely==2.0.7"),
        ("pyzmq==26.2.1",),
        ("psycopg2-binary==2.9.10",),
        ("numpy==1.26.4", "scipy==1.15.2", "joblib==1.4.2", "threadpoolctl==3.5.0", "scikit-learn==1.6.1"),
        ("numpy==1.26.4", "opencv-python==4.10.0.84"),
    ],
    ids=lambda requirements: requirements[-1].partition("==")[0],
)
def test_a_complete_dist_has_no_findings(
    requirements: tuple[str, ...], tmp_path: Path, cli: Callable[..., Cli]
) -> None:
    result = cli("scan", lay_out_flat(tmp_path / "dist", requirements))
    assert result.code == 0, result.out
    assert "nothing is missing" in result.out


def test_no_source_knows_the_packages_of_these_tests() -> None:
    known = re.compile(r"torch|\buv\b|libiomp|shapely|geos|zmq|psycopg|scipy|sklearn|numba|numpy|cv2|pywin32", re.I)
    root = Path(depfix.__file__).parent
    # Data files with provenance may name packages; code may not, nor the texts of the rules.
    files = [path for path in root.rglob("*") if path.suffix == ".py" or path.name == "rules.json"]
    hits = [f"{path.name}: {match[0]}" for path in files for match in known.finditer(path.read_text("utf-8"))]
    assert len(files) > 50
    assert hits == []
