"""The bill of materials: valid by CycloneDX's own schema, the same for the same dist, true for real ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from depfix.errors import DataFileError
from depfix.inventory.redistribution import redistribution_notes
from depfix.knowledge import redistribution as knowledge
from depfix.model.inventory import Component, ComponentKind, Identity, InventoryFile
from fixtures import nuitka_lab
from fixtures.fidelity.cases import complete_dist, read_cases
from tests.conftest import Cli, DistMaker
from tests.test_inventory import COMPILED, MakeConda, add_to_conda, install

Run = Callable[..., Cli]


def bill(cli: Run, dist: Path, *arguments: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a scan for a bill of materials, hold it against the official schema, and return it."""
    done = cli("scan", dist, "--format", "cyclonedx", "--fail-on", "never", *arguments, environ=environ)
    assert done.code == 0, done.err
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.out)
    assert problem is None, problem
    found: dict[str, Any] = json.loads(done.out)
    refs = [found["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in found.get("components", ()))]
    assert len(refs) == len(set(refs))
    assert {one["ref"] for one in found["dependencies"]} <= set(refs)
    assert {ref for one in found["dependencies"] for ref in one.get("dependsOn", ())} <= set(refs)
    return found


def component(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = (one for one in found["components"] if one["name"] == name)
    return dict(one)


def properties(row: dict[str, Any]) -> dict[str, str]:
    return {one["name"].removeprefix("depfix:"): one["value"] for one in row["properties"]}


def test_what_is_in_a_dist(cli: Run, make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({"uv.dll": ()})
    install(dist, "My.Pkg", "1.0", {"pkg/__init__.py": b""}, "License-Expression: MIT OR Apache-2.0")
    conda = make_conda({"Library/bin/uv.dll": ()})
    (conda / "conda-meta" / "uv-1.2.3-0.json").unlink()
    more = {"build": "h_0", "channel": "https://conda.anaconda.org/conda-forge/win-64", "subdir": "win-64"}
    add_to_conda(conda, "libuv", "1.44.2", "Library/bin/uv.dll", **more)
    found = bill(cli, dist, "--env", f"conda:{conda}")
    assert found["specVersion"] == "1.6" and "timestamp" not in found["metadata"]
    assert [one["name"] for one in found["metadata"]["tools"]["components"]] == ["depfix"]
    assert found["metadata"]["component"]["name"] == "app.exe"
    package, uv, python = (component(found, name) for name in ("My.Pkg", "libuv", "Python"))
    assert package["purl"] == "pkg:pypi/my-pkg@1.0"
    assert package["licenses"] == [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}]
    assert uv["purl"] == "pkg:conda/libuv@1.44.2?build=h_0&channel=conda-forge&subdir=win-64"
    assert uv["licenses"][0]["license"]["id"] == "MIT"
    assert (python["purl"], python["type"]) == ("pkg:generic/python@3.10", "platform")
    (file,) = uv["components"]
    assert (file["name"], file["type"], len(file["hashes"][0]["content"])) == ("uv.dll", "file", 64)
    assert properties(file)["path"] == "uv.dll"
    assert properties(uv)["evidence"] == "conda-meta of conda:env has the same file"
    assert properties(package)["chain"] == "app.exe > pkg"


def test_the_same_dist_gives_the_same_bytes(cli: Run, make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({"a/x.dll": ()}, {"a/data.txt": "1"})
    shutil.copytree(dist, tmp_path / "elsewhere" / "main.dist")
    one, other = (bill(cli, place) for place in (dist, tmp_path / "elsewhere" / "main.dist"))
    assert one == other
    (dist / "a" / "data.txt").write_text("2")
    assert bill(cli, dist)["serialNumber"] != one["serialNumber"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1700000000", "2023-11-14T22:13:20Z"), ("0", "1970-01-01T00:00:00Z"), ("soon", None), ("9" * 30, None)],
)
def test_a_time_is_only_there_if_it_is_given(cli: Run, make_dist: DistMaker, given: str, shown: str | None) -> None:
    found = bill(cli, make_dist(), environ={"SOURCE_DATE_EPOCH": given})
    assert found["metadata"].get("timestamp") == shown


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("License-Expression: BSD-3-Clause", {"id": "BSD-3-Clause"}),
        ("License: BSD 3-Clause License", {"id": "BSD-3-Clause"}),
        ("License: mit", {"id": "MIT"}),
        ("License: Dual License", {"name": "Dual License"}),
        ('License: <b>"x"</b> & y', {"name": '<b>"x"</b> & y'}),
    ],
)
def test_a_licence_is_an_identifier_where_it_is_one(
    cli: Run, make_dist: DistMaker, field: str, shown: dict[str, str]
) -> None:
    dist = make_dist()
    install(dist, "pkg", "1", {"pkg.py": b""}, field)
    (licence,) = component(bill(cli, dist), "pkg")["licenses"]
    assert licence["license"] == {"acknowledgement": "declared", **shown}


def test_hostile_names_stay_data(cli: Run, make_dist: DistMaker) -> None:
    dist = make_dist(
        {'lib"><x>/a.dll': ()}, {"new\nline.txt": "x", "pkg/__init__.py": "", "pkg/_version.py": "version = '1'\n"}
    )
    (dist / b"half\xff.bin".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    install(dist, "evil", "1.0\u202e", {"evil.py": b""}, "Author: \x07\x1b[31mred\u2028</script>", "License: \x00\x01")
    found = bill(cli, dist)
    names = [file["name"] for file in found["metadata"]["component"]["components"]]
    assert "new\\nline.txt" in names and "half\\udcff.bin" in names
    assert "\x1b" not in json.dumps(found, ensure_ascii=False)


def test_a_dist_without_python_and_without_needs(cli: Run, make_dist: DistMaker) -> None:
    found = bill(cli, make_dist(python=False))
    assert found.get("components", []) == []


# --- real files ---


@pytest.mark.lab
def test_real_wheels(cli: Run) -> None:
    found = bill(cli, complete_dist(read_cases()["shapely"]))
    shapely, python = component(found, "shapely"), component(found, "Python")
    assert shapely["purl"] == "pkg:pypi/shapely@2.0.7"
    assert python["cpe"] == "cpe:2.3:a:python:python:3.10.11:*:*:*:*:*:*:*"
    nested = {one["name"]: one for one in shapely["components"] if one["type"] == "library"}
    assert set(nested) == {"geos.dll", "geos_c.dll", "Visual C++ 2015-2022"}
    assert nested["Visual C++ 2015-2022"]["publisher"] == "Microsoft Corporation"
    assert "REDIST list" in properties(nested["Visual C++ 2015-2022"])["redistribution"]
    openssl = component(found, "The OpenSSL Toolkit")
    assert (openssl["version"], openssl["licenses"][0]["license"]["id"]) == ("1.1.1t", "OpenSSL")
    needs = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    assert "distribution:numpy@1.26.4" in needs["distribution:shapely@2.0.7"]


@pytest.mark.lab
def test_a_real_program_of_nuitka(cli: Run) -> None:
    """It names what is compiled in, although there is no file of it."""
    built = nuitka_lab.build(COMPILED, (), requirements=("markupsafe==3.0.4", "six==1.17.0"))
    found = bill(cli, built / "main.dist")
    six = component(found, "six")
    assert six["purl"] == "pkg:pypi/six@1.17.0" and "components" not in six
    assert properties(six)["compiled-in"] == "true"
    assert component(found, "MarkupSafe")["components"][0]["name"] == "_speedups.pyd"


# --- what licences ask ---


def of_files(kind: ComponentKind, supplier: str, *names: str, identity: Identity | None = None) -> Component:
    files = tuple(InventoryFile(name, 1, "0" * 64, True, identity) for name in names)
    return Component(kind, "x", "1", "", "", files, supplier=supplier)


@pytest.mark.parametrize(
    ("name", "supplier", "known"),
    [
        ("vcruntime140.dll", "Microsoft Corporation", "Visual C++ runtime"),
        ("a.libs/msvcp140-0f2ea95580b32bcfc81c235d5751ce78.dll", "Microsoft Corporation", "Visual C++ runtime"),
        ("api-ms-win-crt-heap-l1-1-0.dll", "Microsoft Corporation", "Universal C Runtime"),
        ("ucrtbase.dll", "Somebody else", ""),
        ("mkl_core.2.dll", "Intel Corporation", "Intel Math Kernel Library"),
        ("libiomp5md.dll", "Intel Corporation", "Intel OpenMP runtime"),
        ("torch/lib/cublasLt64_12.dll", "NVIDIA Corporation", "NVIDIA CUDA Toolkit"),
        ("cudnn_ops64_9.dll", "", "NVIDIA cuDNN"),
        ("Qt6Core.dll", "The Qt Company Ltd.", "Qt"),
        ("cv2/opencv_videoio_ffmpeg480_64.dll", "", "FFmpeg"),
        ("own.dll", "Microsoft Corporation", ""),
    ],
)
def test_known_dlls_have_a_note(name: str, supplier: str, known: str) -> None:
    notes = redistribution_notes(of_files(ComponentKind.NATIVE, supplier, name))
    assert [note.name for note in notes] == ([known] if known else [])


def test_each_vc_runtime_of_the_other_table_has_terms() -> None:
    from depfix.knowledge.tables import vc_runtimes

    without = {name for name in vc_runtimes() if knowledge.redistribution(name) is None}
    assert not {name for name in without if vc_runtimes()[name].kind == "release"}


@pytest.mark.parametrize(
    "row",
    ["x\truntime\tvcruntime140.dll\t\tlicence\tterms", "x\tother\tvcruntime140.dll\t\tl\tterms\thttps://a.b/",
     "x\truntime\tvcruntime140.dll\t\tl\tterms\ta book", "x\truntime\tVCRUNTIME140.dll\t\tl\tterms\thttps://a.b/",
     "x\truntime\tother.dll\t\tl\tterms\thttps://a.b/"],
)  # fmt: skip
def test_a_damaged_table_is_refused(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "read_rows", lambda _name: [row.split("\t")])
    knowledge.redistributions.cache_clear()
    with pytest.raises(DataFileError):
        knowledge.redistributions()
    knowledge.redistributions.cache_clear()
