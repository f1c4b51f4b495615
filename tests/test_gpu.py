"""DF113 and DF114: GPU parts that are not whole, DLLs of the driver, backends that nothing loads; LibTorch in C."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from depfix.knowledge.families import backends, gpus
from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from fixtures.fidelity.cases import complete_dist, read_cases
from fixtures.link_image import zig
from fixtures.windows_lab import run
from tests.conftest import DistMaker, Forge, put
from tests.repairing import repair

CORE = "from . import core\n"


def findings(dist: Path, *environments: str, rules: tuple[str, ...] = ("DF113", "DF114")) -> list[Finding]:
    found = scan(str(dist), Options(environ={}, environments=environments)).findings
    return [one for one in found if one.rule in rules]


def brief(dist: Path, *environments: str) -> list[tuple[str, str, str]]:
    return [(one.rule, one.severity.value, one.subject) for one in findings(dist, *environments)]


# --- the data ---


@pytest.mark.parametrize(
    "name",
    """cudart64_12.dll cudart64_110.dll cublas64_12.dll cublaslt64_13.dll cudnn64_9.dll cudnn_ops_infer64_8.dll
    cudnn_engines_precompiled64_9.dll cufft64_11.dll cufftw64_11.dll curand64_10.dll cusolver64_11.dll cusolvermg64_11.dll
    cusparse64_12.dll nvrtc64_120_0.dll nvrtc64_120_0.alt.dll nvrtc-builtins64_129.dll nvjitlink_120_0.dll
    nvtoolsext64_1.dll cupti64_2025.2.1.dll nvinfer_10.dll nvinfer_plugin_10.dll nvonnxparser_10.dll nvjpeg64_12.dll
    nppc64_12.dll nvvm64_40_0.dll""".split(),
)
def test_libraries_of_cuda(name: str) -> None:
    assert [gpu.key for gpu in gpus() if gpu.has(name)] == ["cuda"]


@pytest.mark.parametrize("name", "nvcuda.dll curl.dll cuda.dll torch_cuda.dll libcurl64.dll nvda.dll npp.dll".split())
def test_what_is_no_library_of_cuda(name: str) -> None:
    assert not any(gpu.has(name) for gpu in gpus())


@pytest.mark.parametrize(
    ("name", "release", "package"),
    [
        ("cudart64_110.dll", "11", "nvidia-cuda-runtime-cu11"),
        ("cublas64_12.dll", "12", "nvidia-cublas-cu12"),
        ("cublaslt64_13.dll", "13", "nvidia-cublas"),
        ("cudart64_101.dll", "10", "nvidia-cuda-runtime"),
    ],
)
def test_the_release_and_the_package_of_a_library(name: str, release: str, package: str) -> None:
    (cuda,) = gpus()
    assert cuda.release_of([name]) == release
    assert cuda.package_of(name, release) == package
    assert cuda.package_of("cudnn64_9.dll", "") == ""


def test_each_backend_has_a_source() -> None:
    assert all(backend.source.startswith("https://") and backend.backend.islower() for backend in backends())


# --- DF113 ---


def test_an_import_that_cannot_be_met(make_dist: DistMaker) -> None:
    dist = make_dist(
        {"pkg/core.pyd": ("cudart64_12.dll", "cublas64_12.dll", "cudnn64_9.dll")}, {"pkg/__init__.py": CORE}
    )
    (found,) = findings(dist)
    assert (found.rule, found.severity.value, found.subject) == ("DF113", "warning", "cudart64_12.dll")
    assert found.message == (
        "pkg/core.pyd for NVIDIA CUDA 12 needs what is not in the dist: cudart64_12.dll (nvidia-cuda-runtime-cu12 brings "
        "it), cublas64_12.dll (nvidia-cublas-cu12 brings it), cudnn64_9.dll (nvidia-cudnn-cu12 brings it); without them "
        "pkg/core.pyd does not load, on machines without a GPU either"
    )
    assert found.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "cudart64_12.dll")


def test_a_single_missing_library_has_a_finding_of_its_own(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("cudart64_12.dll",)}, {"pkg/__init__.py": CORE})
    assert brief(dist) == []


def test_a_provider_that_is_loaded_when_the_gpu_is_asked_for(
    make_dist: DistMaker, tmp_path: Path, forge: Forge
) -> None:
    """The error is quiet: ONNX Runtime goes on with the processor."""
    dist = make_dist({"onnx/core.pyd": ("onnxruntime.dll",)}, {"onnx/__init__.py": CORE})
    name = "onnxruntime_providers_cuda.dll"
    source = f'const char *names[] = {{"{name}"}}; __declspec(dllexport) int call_onnxruntime_dll(void) {{ return !names[0]; }}'
    (tmp_path / "own.c").write_text(source)
    compile_c(tmp_path / "own.c", dist / "onnx" / "onnxruntime.dll")
    put(forge(name, ("cublas64_12.dll", "cufft64_11.dll")), dist / "onnx" / name)
    (found,) = findings(dist)
    assert found.severity.value == "warning"
    assert found.message.endswith("the program then computes on the processor or fails")
    assert (
        "cublas64_12.dll (nvidia-cublas-cu12 brings it), cufft64_11.dll (nvidia-cufft-cu12 brings it)" in found.message
    )


def test_who_has_it_is_told(make_dist: DistMaker, tmp_path: Path, forge: Forge) -> None:
    dist = make_dist({"pkg/core.pyd": ("cudart64_12.dll", "cublas64_12.dll")}, {"pkg/__init__.py": CORE})
    put(forge("cublas64_12.dll"), tmp_path / "cuda" / "cublas64_12.dll")
    (found,) = findings(dist, f"dir:{tmp_path / 'cuda'}")
    assert f"cublas64_12.dll (it is in dir:{tmp_path / 'cuda'})" in found.message


def test_what_nothing_loads_is_told_softly(make_dist: DistMaker) -> None:
    dist = make_dist({"plugins/gpu.dll": ("cudart64_12.dll", "cublas64_12.dll")})
    assert brief(dist) == [("DF113", "info", "cudart64_12.dll")]


def test_the_driver_is_named_and_never_wanted(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({"pkg/core.pyd": ("cudart64_12.dll",)}, {"pkg/__init__.py": CORE})
    source = 'const char *names[] = {"nvcuda.dll"}; __declspec(dllexport) int call_cudart64_12_dll(void) { return !names[0]; }'
    (tmp_path / "own.c").write_text(source)
    compile_c(tmp_path / "own.c", dist / "pkg" / "cudart64_12.dll")
    (found,) = findings(dist)
    assert (found.rule, found.severity.value, found.subject) == ("DF113", "info", "nvcuda.dll")
    assert "it comes with NVIDIA's graphics driver, release 525 or newer for NVIDIA CUDA 12" in found.message
    assert "computes on the processor if it asks first" in found.message


def test_an_imported_driver_dll_keeps_what_imports_it_from_loading(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("nvcuda.dll",)}, {"pkg/__init__.py": CORE})
    (found,) = findings(dist, rules=("DF108",))
    assert found.severity.value == "warning"
    assert found.message.endswith("must not be carried along; where it is absent pkg/core.pyd does not load")


def test_a_dll_of_the_driver_in_the_dist(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("cudart64_12.dll",), "pkg/cudart64_12.dll": (), "nvcuda.dll": ()},
                     {"pkg/__init__.py": CORE})  # fmt: skip
    assert brief(dist) == [("DF113", "warning", "nvcuda.dll")]


def test_a_program_without_gpu_libraries_is_silent(make_dist: DistMaker) -> None:
    assert brief(make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": CORE})) == []


# --- DF114 ---


def cpp(folder: Path, forge: Forge, *, load: str = "") -> Path:
    """Lay out a program without Python that imports c10.dll, with torch_cuda.dll beside it."""
    folder.mkdir()
    put(forge("c10.dll"), folder / "c10.dll")
    put(forge("torch_cuda.dll"), folder / "torch_cuda.dll")
    (folder / "c10.lib").write_bytes(b"!<arch>\n")
    text = "__declspec(dllimport) int call_c10_dll(void);\n#include <windows.h>\n"
    text += f"int main(void) {{ {load} return call_c10_dll(); }}\n"
    source = folder.parent / "app.c"
    source.write_text(text)
    compile_c(source, folder / "app.exe", links=[_library(folder.parent, "c10.dll", "call_c10_dll")])
    return folder


def _library(folder: Path, name: str, *symbols: str) -> Path:
    stem = Path(name).stem
    (folder / f"{stem}.def").write_text(f"LIBRARY {name}\nEXPORTS\n" + "".join(f"{symbol}\n" for symbol in symbols))
    zig("dlltool", "-m", "i386:x86-64", "-d", f"{stem}.def", "-l", f"{stem}.lib", cwd=folder)
    return folder / f"{stem}.lib"


def test_a_backend_that_nothing_loads(tmp_path: Path, forge: Forge) -> None:
    dist = cpp(tmp_path / "dist", forge)
    (found,) = findings(dist)
    assert (found.rule, found.severity.value, found.subject) == ("DF114", "warning", "torch_cuda.dll")
    assert '/INCLUDE:"?warp_size@cuda@at@@YAHXZ"' in found.message
    assert found.chain == ("app.exe", "c10.dll", "torch_cuda.dll")


def test_a_backend_that_the_program_loads_by_name(tmp_path: Path, forge: Forge) -> None:
    assert brief(cpp(tmp_path / "dist", forge, load='LoadLibraryA("torch_cuda.dll");')) == []


def test_a_backend_that_is_imported(tmp_path: Path, forge: Forge) -> None:
    dist = cpp(tmp_path / "dist", forge)
    put(forge("app.exe", ("c10.dll", "torch_cuda.dll")), dist / "app.exe")
    assert brief(dist) == []


def test_a_backend_that_stayed_in_the_environment(tmp_path: Path, forge: Forge) -> None:
    dist = cpp(tmp_path / "dist", forge)
    put(dist / "torch_cuda.dll", tmp_path / "lib" / "torch_cuda.dll")
    put(dist / "c10.dll", tmp_path / "lib" / "c10.dll")
    (dist / "torch_cuda.dll").unlink()
    assert brief(dist) == []
    assert brief(dist, f"dir:{tmp_path / 'lib'}") == [("DF114", "info", "torch_cuda.dll")]


def test_python_loads_the_dlls_of_its_packages_itself(make_dist: DistMaker) -> None:
    dist = make_dist(
        {"pkg/core.pyd": ("c10.dll",), "pkg/c10.dll": (), "pkg/torch_cuda.dll": ()}, {"pkg/__init__.py": CORE}
    )
    assert brief(dist) == []


# --- a real program on the real LibTorch ---

PROGRAM = """#include <stdio.h>
__declspec(dllimport) int aoti_torch_device_type_cpu(void);
__declspec(dllimport) int aoti_torch_dtype_float32(void);
int main(void) { printf("libtorch %d %d", aoti_torch_device_type_cpu(), aoti_torch_dtype_float32()); return 0; }
"""


def torch_tree() -> Path:
    return complete_dist(read_cases()["torch"])


@pytest.mark.lab
@pytest.mark.usefixtures("wine")
def test_a_c_program_on_libtorch_is_repaired_and_runs(tmp_path: Path) -> None:
    """Of 24 DLLs only the one that the program imports is beside it."""
    tree, dist = torch_tree(), tmp_path / "dist"
    (tmp_path / "app.c").write_text(PROGRAM)
    library = _library(tmp_path, "torch_cpu.dll", "aoti_torch_device_type_cpu", "aoti_torch_dtype_float32")
    compile_c(tmp_path / "app.c", dist / "app.exe", links=[library])
    os.link(tree / "torch" / "lib" / "torch_cpu.dll", dist / "torch_cpu.dll")
    shutil.copy(library, dist)  # an import library is nothing to a loader
    environments = tuple(f"dir:{folder}" for folder in (tree / "torch" / "lib", tree / "Library" / "bin", tree))
    missing = {one.subject for one in scan(str(dist), Options(environ={})).findings}
    assert {"c10.dll", "uv.dll", "fbgemm.dll", "mkl_intel_thread.1.dll", "vcruntime140.dll"} <= missing
    report = repair(str(dist), Options(environ={}, environments=environments), link=True)
    assert report.applied
    assert [one for one in scan(str(dist), Options(environ={})).findings if one.severity.value == "error"] == []
    done = run([dist / "app.exe"], cwd=dist)
    assert (done.code, done.out.strip()) == (0, "libtorch 0 6"), done.err
    (dist / "uv.dll").unlink()
    assert [one.subject for one in scan(str(dist), Options(environ={})).findings if one.rule == "DF101"] == ["uv.dll"]
    assert run([dist / "app.exe"], cwd=dist).code != 0
