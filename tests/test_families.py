"""DF106: families of DLLs that load each other by name: what is complete, what is missing, what a repair brings."""

# ruff: noqa: F401, F811 (fixtures of another file)

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from depfix.knowledge.families import family_of
from tests.conftest import put
from tests.test_named import (
    MakeConda,
    MakeDist,
    Namer,
    findings,
    loading,
    namer,
    needy,
    only,
    own,
    plain,
    repaired,
    rows,
    stocked,
    words,
)

# A file name of the trigger of most families.
EXAMPLES = """mkl_rt.2.dll mkl_core.2.dll cudnn64_8.dll cudnn_ops_infer64_8.dll cudnn64_9.dll cudnn_graph64_9.dll
cudnn_adv64_9.dll nvrtc64_120_0.dll cublaslt64_12.dll cufft64_11.dll onnxruntime.dll onnxruntime_providers_tensorrt.dll
openvino.dll tbb12.dll libiomp5md.dll qt5gui.dll qt6gui.dll qt6network.dll qt6sql.dll gstreamer-1.0-0.dll""".split()


def members(trigger: str) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Return {name: (need, group, folders)} of what the data say of a family."""
    known = family_of(trigger)
    assert known is not None
    family, groups = known
    return {one.name.format(**groups): (one.need, one.group, one.folders) for one in family.members}


def put_family(plain: Path, namer: Namer, folder: Path, trigger: str) -> None:
    """Put a complete family there, and the families of its members; each holds the names of its own."""
    rows = members(trigger)
    namer.holding(rows, folder / trigger)
    for name, (_, _, folders) in rows.items():
        place = Path(os.path.normpath(folder / folders[0] / name)) if folders else folder / name
        if family_of(name) is not None and name != trigger:
            put_family(plain, namer, place.parent, name)
        elif not place.exists():
            put(plain, place)


@pytest.mark.parametrize("trigger", EXAMPLES)
def test_a_complete_family_is_silent(loading: MakeDist, plain: Path, namer: Namer, trigger: str) -> None:
    dist = loading(trigger)
    put_family(plain, namer, dist / "pkg" / "bin", trigger)
    assert rows(dist) == set()


@pytest.mark.parametrize("trigger", EXAMPLES)
def test_a_family_member_alone_asks_for_what_it_cannot_do_without(loading: MakeDist, trigger: str) -> None:
    wanted = members(trigger)
    expected: dict[str, str] = {}
    for name, (need, group, _) in wanted.items():
        if need == "required":
            expected.setdefault(group or name, f"DF106 error probable {name}")
        elif need == "processor":
            expected[name] = f"DF106 warning probable {name}"
    told = {row for row in rows(loading(trigger, wanted)) if not row.startswith("DF113")}  # sums the others up
    assert told == set(expected.values())  # one of a group; nothing of what is optional


MKL: Mapping[str, tuple[str, ...]] = {
    "mkl_rt.2.dll": ("mkl_core.2.dll", "mkl_intel_thread.2.dll", "mkl_sequential.2.dll"),
    "mkl_core.2.dll": ("mkl_def.2.dll", "mkl_avx2.2.dll", "mkl_avx512.2.dll"),
    **dict.fromkeys(("mkl_intel_thread.2.dll", "mkl_def.2.dll", "mkl_avx2.2.dll", "mkl_avx512.2.dll"), ()),
}


@pytest.fixture
def mkl(loading: MakeDist, namer: Namer) -> Path:
    """A dist whose package loads mkl_rt.2.dll, with the DLLs of that beside it."""
    dist = loading("mkl_rt.2.dll")
    for name, names in MKL.items():
        namer.holding(names, dist / "pkg" / "bin" / name)
    return dist


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ((), set()),
        (("mkl_core.2.dll",), {"DF106 error probable mkl_core.2.dll"}),
        (("mkl_intel_thread.2.dll",), {"DF106 error probable mkl_intel_thread.2.dll"}),
        (("mkl_def.2.dll",), {"DF106 error probable mkl_def.2.dll"}),
        (("mkl_avx512.2.dll",), {"DF106 warning probable mkl_avx512.2.dll"}),
        (("mkl_def.2.dll", "mkl_avx2.2.dll"), {"DF106 error probable mkl_def.2.dll",
                                              "DF106 warning probable mkl_avx2.2.dll"}),
        (("mkl_rt.2.dll",), {"DF106 error probable mkl_rt.2.dll"}),  # nothing loads mkl_core then
    ],
)  # fmt: skip
def test_mkl_loads_its_parts_by_name(mkl: Path, gone: tuple[str, ...], expected: set[str]) -> None:
    for name in gone:
        (mkl / "pkg" / "bin" / name).unlink()
    assert rows(mkl) == expected


def test_a_part_that_this_release_does_not_name_is_not_missing(mkl: Path, namer: Namer) -> None:
    namer.holding(("mkl_def.2.dll",), mkl / "pkg" / "bin" / "mkl_core.2.dll")
    (mkl / "pkg" / "bin" / "mkl_avx512.2.dll").unlink()
    assert rows(mkl) == set()


def test_parts_of_two_releases_do_not_go_together(mkl: Path) -> None:
    (mkl / "pkg" / "bin" / "mkl_core.2.dll").rename(mkl / "mkl_core.1.dll")
    finding = only(mkl)
    assert words(finding) == "DF106 error probable mkl_core.2.dll"
    assert "mkl_core.1.dll is of another release" in finding.message
    assert finding.chain == ("app.exe", "pkg/__init__.py:2", "pkg/bin/mkl_rt.2.dll", "mkl_core.2.dll")


def test_an_optional_part_counts_only_if_the_environment_has_it(mkl: Path, stocked: MakeConda) -> None:
    environment = stocked("Library/bin/mkl_sequential.2.dll")
    assert rows(mkl, environment) == {"DF106 info possible mkl_sequential.2.dll"}
    assert repaired(mkl, environment) == {}


def test_a_repair_brings_the_whole_family(mkl: Path, make_conda: MakeConda, namer: Namer) -> None:
    environment = make_conda({})
    own(environment, "mkl", (f"Library/bin/{name}" for name in MKL))
    wanted = [name for name in MKL if name != "mkl_rt.2.dll"]
    for name in wanted:
        namer.holding(MKL[name], environment / "Library" / "bin" / name)
        (mkl / "pkg" / "bin" / name).unlink()
    assert repaired(mkl, environment) == dict.fromkeys(wanted, "mkl 4.5")
    assert rows(mkl) == set()


def test_any_member_of_a_group_will_do(loading: MakeDist, plain: Path) -> None:
    dist = loading("cudnn_ops_infer64_8.dll", members("cudnn_ops_infer64_8.dll"))
    assert {one.subject for one in findings(dist)} == {"cublas64_12.dll", "cublaslt64_12.dll"}
    put(plain, dist / "pkg" / "bin" / "cublas64_11.dll")
    put(plain, dist / "pkg" / "bin" / "cublaslt64_11.dll")
    assert rows(dist) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cudnn_ops64_9.dll", {"DF101 error probable need.dll"}), ("cudnn_ext64_9.dll", {"DF101 info possible need.dll"})],
)
def test_a_member_that_would_not_load_is_as_bad_as_one_that_is_missing(
    loading: MakeDist, plain: Path, needy: Path, namer: Namer, name: str, expected: set[str]
) -> None:
    dist = loading("cudnn64_9.dll")
    put_family(plain, namer, dist / "pkg" / "bin", "cudnn64_9.dll")
    put(needy, dist / "pkg" / "bin" / name)
    assert rows(dist) == expected


@pytest.mark.parametrize("place", ["platforms", "plugins/platforms", "../plugins/platforms", "../../qt/platforms"])
def test_the_platform_plugin_of_qt(loading: MakeDist, plain: Path, place: str) -> None:
    dist = loading("qt6gui.dll")
    missing = only(dist)
    assert words(missing) == "DF106 error probable qwindows.dll"
    assert missing.identity == "pkg/bin/platforms/qwindows.dll"
    put(plain, Path(os.path.normpath(dist / "pkg" / "bin" / place)) / "qwindows.dll")
    assert rows(dist) == set()


def test_the_platform_plugin_of_qt_is_repaired_at_its_place(loading: MakeDist, stocked: MakeConda, needy: Path) -> None:
    dist = loading("qt6gui.dll")
    environment = stocked("Library/bin/need.dll")
    put(needy, environment / "Lib" / "site-packages" / "qt" / "plugins" / "platforms" / "qwindows.dll")
    assert set(repaired(dist, environment)) == {"pkg/bin/platforms/qwindows.dll", "need.dll"}
    assert rows(dist) == set()


@pytest.mark.parametrize("trigger", ["onnxruntime.dll", "onnxruntime_pybind11_state.pyd"])
def test_a_provider_of_onnx_runtime_is_a_possibility(
    loading: MakeDist, stocked: MakeConda, needy: Path, trigger: str
) -> None:
    provider = "onnxruntime_providers_cuda.dll"
    dist = loading(trigger, [provider])
    assert rows(dist) == set()  # the CPU needs none
    assert rows(dist, stocked(f"Library/bin/{provider}")) == {f"DF106 info possible {provider}"}
    put(needy, dist / "pkg" / "bin" / provider)
    assert rows(dist) == {"DF101 info possible need.dll"}
