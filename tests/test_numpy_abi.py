"""DF206 on real wheels: what extension modules were compiled for and what numpy offers, against the real import."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depfix.knowledge.c_apis import c_apis
from depfix.pe.c_api import CApiVersion, compiled_for, offered_by
from fixtures.windows_lab import download, lay_out_flat, make_environment, run
from tests.conftest import Cli

OLD, NEW = 0x1000009, 0x2000000
API = c_apis()[0]
GEOMETRY = "import shapely; print(shapely.Point(0, 0).buffer(1).area > 3)"
ALGEBRA = "import scipy.linalg; print(scipy.linalg.det([[2.0, 0.0], [0.0, 3.0]]) > 5)"


def unpacked(folder: Path, requirement: str, part: str) -> Path:
    """Return one image of a wheel."""
    with zipfile.ZipFile(download(requirement)) as wheel:
        name = next(name for name in wheel.namelist() if part in name and name.endswith((".pyd", ".dll")))
        return Path(wheel.extract(name, folder))


@pytest.mark.parametrize(
    ("requirement", "abi", "level"),
    [("numpy==1.21.6", OLD, 14), ("numpy==1.26.4", OLD, 17), ("numpy==2.2.6", NEW, 19)],
)
def test_what_a_numpy_offers(tmp_path: Path, requirement: str, abi: int, level: int) -> None:
    path = unpacked(tmp_path, requirement, "core/_multiarray_umath")
    assert offered_by(path, (OLD, NEW), API.abi_slot, API.level_slot) == CApiVersion(abi, level)
    assert compiled_for(path, API.abi_message, API.level_messages) is None
    assert API.level_of(requirement.partition("==")[2]) == level


@pytest.mark.parametrize(
    ("requirement", "part", "expected"),
    [
        ("scipy==1.9.3", "scipy/linalg/_flinalg", CApiVersion(OLD, 15)),
        ("scipy==1.15.2", "scipy/linalg/_flapack", CApiVersion(NEW, 14)),
        ("shapely==2.0.1", "shapely/lib.", CApiVersion(OLD, 14)),
        ("shapely==2.0.7", "shapely/lib.", CApiVersion(NEW, 14)),
        ("pandas==2.2.3", "pandas/_libs/algos.", CApiVersion(NEW, 14)),
        ("scikit-learn==1.6.1", "sklearn/cluster/_hdbscan/_linkage", CApiVersion(NEW, 14)),
        ("numba==0.60.0", "numba/_helperlib", CApiVersion(NEW, 13)),
        ("opencv-python==4.10.0.84", "cv2/cv2.pyd", CApiVersion(NEW, 13)),
        ("torch==1.13.1", "lib/torch_python.dll", CApiVersion(OLD, 16)),
        ("pyarrow==19.0.1", "pyarrow/arrow_python.dll", CApiVersion(NEW, 14)),
        ("lxml==5.3.1", "lxml/etree", None),
    ],
)
def test_what_a_module_was_compiled_for(
    tmp_path: Path, requirement: str, part: str, expected: CApiVersion | None
) -> None:
    assert compiled_for(unpacked(tmp_path, requirement, part), API.abi_message, API.level_messages) == expected


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return unpacked(tmp_path_factory.mktemp("small"), "shapely==2.0.7", "_geometry_helpers").read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=8), st.integers(0, 300_000))
def test_no_damage_raises(small: bytes, tmp_path: Path, edits: list[tuple[int, int]], kept: int) -> None:
    data = bytearray(small[: kept or len(small)])
    for at, value in edits:
        if at < len(data):
            data[at] = value
    path = tmp_path / "x.pyd"
    path.write_bytes(data)
    found = compiled_for(path, API.abi_message, API.level_messages)
    assert found is None or found.abi in (OLD, NEW)
    assert offered_by(path, (OLD, NEW), API.abi_slot, API.level_slot) is None


def conflicts(cli: Callable[..., Cli], *arguments: object) -> list[dict[str, Any]]:
    report = json.loads(cli("scan", *arguments, "--format", "json").out)
    return [one for one in report["findings"] if one["rule"] in ("DF205", "DF206", "DF208")]


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
@pytest.mark.parametrize(
    ("numpy", "package", "code", "words"),
    [
        ("numpy==2.2.6", "scipy==1.9.3", ALGEBRA, "compiled for numpy 1.x (ABI 0x1000009), and numpy 2.2.6 has ABI 0x2000000"),
        ("numpy==1.21.6", "scipy==1.9.3", ALGEBRA, "compiled for numpy 1.22 or newer (C API 0xf), and numpy 1.21.6 has C API 0xe"),
        ("numpy==2.2.6", "shapely==2.0.1", GEOMETRY, "compiled for numpy 1.x (ABI 0x1000009), and numpy 2.2.6 has ABI 0x2000000"),
        ("numpy==1.21.6", "shapely==2.0.7", GEOMETRY, ""),
        ("numpy==2.2.6", "shapely==2.0.7", GEOMETRY, ""),
    ],
)  # fmt: skip
def test_windows_says_the_same(
    tmp_path: Path, cli: Callable[..., Cli], numpy: str, package: str, code: str, words: str
) -> None:
    dist = lay_out_flat(tmp_path / "dist", (numpy, package, "msvc-runtime==14.42.34433"))
    for runtime in (dist / "msvc_runtime-14.42.34433.data").rglob("*.dll"):
        runtime.rename(dist / runtime.name)
    entry = tmp_path / "program.py"
    entry.write_text(code)
    errors = [one for one in conflicts(cli, dist, "--entry", entry) if one["severity"] == "error"]
    done = run([dist / "app.exe", "-c", code], cwd=dist)
    if words:
        assert [(one["rule"], one["subject"]) for one in errors] == [("DF206", package.partition("==")[0])]
        assert words in errors[0]["message"]
        assert done.code != 0
        assert "module compiled against " in done.err or "module that was compiled using NumPy 1.x" in done.err
    else:
        assert errors == []
        assert (done.code, done.out.strip()) == (0, "True"), done.err


HEALTHY = [
    ("numpy==1.26.4", "scipy==1.15.2", "pandas==2.2.3", "python-dateutil==2.9.0.post0", "pytz==2024.2", "six==1.17.0"),
    ("numpy==1.26.4", "torch==1.13.1", "typing_extensions==4.12.2"),
    ("numpy==1.26.4", "opencv-python==4.10.0.84", "pyarrow==19.0.1", "h5py==3.12.1", "cryptography==44.0.1"),
]


@pytest.mark.lab
@pytest.mark.parametrize("requirements", HEALTHY, ids=lambda requirements: requirements[1])
def test_healthy_trees_are_silent(tmp_path: Path, cli: Callable[..., Cli], requirements: tuple[str, ...]) -> None:
    """Every image is held against its RECORD, by size and by hash, and every module against its interfaces."""
    entry = tmp_path / "program.py"
    entry.write_text("import numpy, scipy.linalg, pandas, torch, cv2, pyarrow, h5py, cryptography\n")
    assert conflicts(cli, lay_out_flat(tmp_path / "dist", requirements), "--entry", entry) == []


@pytest.mark.lab
def test_a_dll_for_another_numpy_is_a_warning(tmp_path: Path, cli: Callable[..., Cli]) -> None:
    """torch_python.dll copes: "Failed to initialize NumPy", and the program goes on."""
    dist = lay_out_flat(tmp_path / "dist", ("numpy==2.2.6", "torch==1.13.1", "typing_extensions==4.12.2"))
    entry = tmp_path / "program.py"
    entry.write_text("import torch\n")
    (finding,) = conflicts(cli, dist, "--entry", entry)
    assert (finding["rule"], finding["severity"], finding["subject"]) == ("DF206", "warning", "torch")
    assert finding["message"].startswith("torch/lib/torch_python.dll of torch 1.13.1 was compiled for numpy 1.x")


@pytest.mark.lab
def test_a_package_for_another_numpy_is_declined_before_anything_is_copied(
    tmp_path: Path, cli: Callable[..., Cli]
) -> None:
    environment = make_environment(tmp_path / "env", ("numpy==1.26.4", "scipy==1.9.3"), {})
    dist = lay_out_flat(tmp_path / "dist", ("numpy==2.2.6",))
    entry = tmp_path / "program.py"
    entry.write_text("import numpy, scipy.linalg\n")
    before = set(dist.rglob("*"))
    done = cli("repair", dist, "--env", f"conda:{environment}", "--entry", entry)
    assert done.code == 1
    assert "scipy 1.9.3: scipy/" in done.out
    assert "compiled for numpy 1.x (ABI 0x1000009), and numpy 2.2.6 has ABI 0x2000000" in " ".join(done.out.split())
    assert set(dist.rglob("*")) == before
