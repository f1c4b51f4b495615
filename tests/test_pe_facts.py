"""What depfix reads of images, held against LIEF and pefile on real files.

python -m tests.test_pe_facts FOLDER...    compare all images below these folders
"""

from __future__ import annotations

import sys
from pathlib import Path

import lief
import pefile
import pytest

from depfix.model.image import Exports, Image, ImageProblem, ImportedDll
from depfix.model.machine import Machine
from depfix.pe.reader import read_image
from depfix.pe.strings import dll_names
from depfix.pe.symbols import read_exports, read_imported_symbols
from depfix.pe.version import read_version
from fixtures.windows_lab import lay_out_flat

_SUFFIXES = (".dll", ".pyd", ".exe")
_WHEELS = (
    "numpy==1.26.4",
    "shapely==2.0.7",
    "pyzmq==26.2.1",
    "msvc-runtime==14.42.34433",
    "opencv-python==4.10.0.84",
    "torch==1.13.1",
    "llvmlite==0.43.0",
    "psycopg2-binary==2.9.10",
)


# --- against LIEF and pefile -----------------------------------------------------------------------------------------


@pytest.mark.lab
def test_real_files_read_as_lief_and_pefile_read_them(tmp_path: Path) -> None:
    dist = lay_out_flat(tmp_path / "dist", _WHEELS)
    paths = [path for path in sorted(dist.rglob("*")) if path.suffix.lower() in _SUFFIXES]
    assert len(paths) > 90
    assert [line for path in paths for line in disagreements(path)] == []


def disagreements(path: Path) -> list[str]:
    """Return what depfix and the reference libraries read differently of one image."""
    image = read_image(path)
    if not isinstance(image, Image):
        return [f"{path}: {image}"]
    other = lief.PE.parse(str(path))
    if other is None:
        return [f"{path}: LIEF reads no image"]
    plain = pefile.PE(str(path), fast_load=True)
    plain.parse_data_directories([2, 10, 11])
    rows = [*_header_rows(image, other, plain), *_symbol_rows(path, other), *_resource_rows(path, image, plain)]
    plain.close()
    return [f"{path}: {what}: {ours!r}, not {theirs!r}" for what, ours, theirs in rows if ours != theirs]


def _header_rows(image: Image, other: lief.PE.Binary, plain: pefile.PE) -> list[tuple[str, object, object]]:
    header, optional = plain.FILE_HEADER, plain.OPTIONAL_HEADER
    configuration = other.load_configuration
    flags = configuration.dependent_load_flags if configuration is not None else 0
    return [
        ("machine", image.machine, Machine.from_coff(header.Machine)),
        ("kind", image.is_dll, plain.is_dll()),
        ("imports", list(image.imports), list(dict.fromkeys(str(one.name) for one in other.imports))),
        ("delay loads", list(image.delay_imports), list(dict.fromkeys(str(one.name) for one in other.delay_imports))),
        ("linker", image.linker, (optional.MajorLinkerVersion, optional.MinorLinkerVersion)),
        ("rich header", image.by_msvc, other.has_rich_header),
        ("subsystem", image.subsystem, other.optional_header.subsystem.value),
        (
            "its version",
            image.subsystem_version,
            (optional.MajorSubsystemVersion, optional.MinorSubsystemVersion),
        ),
        ("load flags", image.dependent_load_flags, flags or 0),
        ("guard", image.guarded, bool(optional.DllCharacteristics & 0x4000)),
        ("hybrid", image.hybrid, bool(configuration and configuration.chpe_metadata_pointer)),
        ("bound", [name for name in image.bound if name not in image.imports], _bound(plain, image.imports)),
    ]


def _bound(plain: pefile.PE, imports: tuple[str, ...]) -> list[str]:
    names = []
    for entry in getattr(plain, "DIRECTORY_ENTRY_BOUND_IMPORT", ()):
        names += [entry.name.decode(), *(reference.name.decode() for reference in entry.entries)]
    return [name for name in dict.fromkeys(names) if name not in imports]


def _symbol_rows(path: Path, other: lief.PE.Binary) -> list[tuple[str, object, object]]:
    exports, imported = read_exports(path), read_imported_symbols(path)
    if not isinstance(exports, Exports) or isinstance(imported, ImageProblem):
        return [("symbols", (exports, imported), None)]
    table = other.get_export()
    entries = list(table.entries) if table is not None else []
    forwarded = sorted(
        (_text(one.name), one.ordinal, f"{one.forward_information.library}.{one.forward_information.function}")
        for one in entries
        if one.is_forwarded
    )
    return [
        ("export names", exports.names, {_text(one.name) for one in entries if one.name}),
        ("export ordinals", exports.ordinals, {one.ordinal for one in entries if one.address or one.is_forwarded}),
        ("forwarders", sorted((one.name, one.ordinal, one.target) for one in exports.forwarders), forwarded),
        ("internal name", exports.internal_name, _text(table.name) if table is not None else ""),
        ("imported symbols", _taken(imported, delayed=False), _taken_by_lief(other.imports)),
        ("delay-loaded symbols", _taken(imported, delayed=True), _taken_by_lief(other.delay_imports)),
    ]


def _taken(rows: tuple[ImportedDll, ...], *, delayed: bool) -> list[tuple[str, list[str], list[int]]]:
    return [(one.name, list(one.symbols), list(one.ordinals)) for one in rows if one.delayed == delayed]


def _taken_by_lief(rows: object) -> list[tuple[str, list[str], list[int]]]:
    return [
        (
            str(dll.name),
            [_text(one.name) for one in dll.entries if not one.is_ordinal],
            [one.ordinal for one in dll.entries if one.is_ordinal],
        )
        for dll in rows  # type: ignore[attr-defined]
    ]


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _resource_rows(path: Path, image: Image, plain: pefile.PE) -> list[tuple[str, object, object]]:
    manifest = _resource(plain, 24, (2, 1, 3) if image.is_dll else (1,))
    ours = read_version(path)
    rows: list[tuple[str, object, object]] = [
        ("manifest", image.manifest is not None, manifest is not None),
        ("version resource", ours is not None, _resource(plain, 16, tuple(range(1, 17))) is not None),
    ]
    if image.manifest is not None and manifest is not None:
        rows.append(("manifest problem", image.manifest.problem, ""))
        count = manifest.replace(b"\0", b"").count(b"<dependentAssembly>")
        rows.append(("dependencies", len(image.manifest.dependencies), count))
    if ours is not None and _fixed(plain) is not None:
        rows.append(("version numbers", (*ours.file_version, *ours.product_version), _fixed(plain)))
        texts = (ours.company, ours.product, ours.description, ours.original_name)
        rows.append(("version texts", texts, _version_texts(plain)))
    return rows


def _resource(plain: pefile.PE, kind: int, ids: tuple[int, ...]) -> bytes | None:
    root = getattr(plain, "DIRECTORY_ENTRY_RESOURCE", None)
    entries = [one for group in (root.entries if root else ()) if group.id == kind for one in group.directory.entries]
    for number in ids:
        for entry in entries:
            if entry.id == number:
                leaf = entry.directory.entries[0].data.struct
                return bytes(plain.get_data(leaf.OffsetToData, leaf.Size))
    return None


def _fixed(plain: pefile.PE) -> tuple[int, ...] | None:
    rows = getattr(plain, "VS_FIXEDFILEINFO", None)
    if not rows:
        return None
    words = (rows[0].FileVersionMS, rows[0].FileVersionLS, rows[0].ProductVersionMS, rows[0].ProductVersionLS)
    return tuple(part for word in words for part in (word >> 16, word & 0xFFFF))


def _version_texts(plain: pefile.PE) -> tuple[str, ...]:
    tables = [
        table
        for info in plain.FileInfo[0]
        if info.name.startswith("StringFileInfo")
        for table in info.StringTable
        if table.entries
    ]
    tables.sort(key=lambda table: not table.LangID.startswith(b"0409"))
    found = []
    for key in (b"CompanyName", b"ProductName", b"FileDescription", b"OriginalFilename"):
        texts = [table.entries[key].decode().partition("\0")[0] for table in tables if table.entries.get(key)]
        found.append(next((text for text in texts if text), ""))
    return tuple(found)


@pytest.mark.lab
def test_names_are_found_in_a_large_image(torch_dist: Path) -> None:
    names = dll_names(torch_dist / "torch" / "lib" / "torch_cpu.dll")
    assert {"mkl_def.dll", "mkl_avx2.dll", "libittnotify.dll"} <= set(names)
    assert not {"ykernel32.dll", "c10.dll", "torch_cpu.dll"} & set(names)


@pytest.mark.lab
def test_a_name_that_a_wheel_repair_replaced_is_no_candidate(tmp_path: Path) -> None:
    dist = lay_out_flat(tmp_path / "dist", ("numpy==1.26.4",))
    paths = [path for path in sorted((dist / "numpy").rglob("*.pyd")) if "openblas" in str(read_image(path))]
    assert paths
    for path in paths:
        assert not [name for name in dll_names(path) if "openblas" in name]


if __name__ == "__main__":
    images = [
        path for root in sys.argv[1:] for path in sorted(Path(root).rglob("*")) if path.suffix.lower() in _SUFFIXES
    ]
    lines = [line for path in images if path.is_file() for line in disagreements(path)]
    print(*lines, f"{len(images)} images, {len(lines)} disagreements", sep="\n")
