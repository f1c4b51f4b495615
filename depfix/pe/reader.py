"""What the loader reads of one image: machine, imports, delay loads, load configuration, manifest."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from depfix.model.image import Image, ImageOrProblem, ImageProblem, Manifest
from depfix.model.machine import Machine
from depfix.pe.damage import certificate_bytes_missing, what_it_is
from depfix.pe.headers import (
    BOUND_IMPORTS,
    CERTIFICATES,
    DELAY_IMPORTS,
    IMPORTS,
    LOAD_CONFIGURATION,
    Data,
    Headers,
    NoImageError,
    Source,
    map_file,
    parse_headers,
)
from depfix.pe.manifest import parse_manifest
from depfix.pe.packed import packer_of
from depfix.pe.resources import MANIFEST, read_resource
from depfix.wording.message import phrase, small_system_words

__all__ = ["map_file", "read_image", "read_image_data"]

_DESCRIPTOR = struct.Struct("<5I")  # lookup table, time stamp, forwarder chain, name, address table
_DELAY_DESCRIPTOR = struct.Struct("<8I")
_DELAY_USES_RVA = 1
_BOUND = struct.Struct("<IHH")  # time stamp, offset of the name, number of forwarder references
_NEW_BINDING = 0xFFFFFFFF
_GUARD_CF = 0x4000
_DEPENDENT_LOAD_FLAGS = {True: 0x4E, False: 0x36}
_CHPE_METADATA = 0xC8
_MOST_DESCRIPTORS = 4096
_LONGEST_NAME = 512
_PROGRAM_MANIFESTS = (1,)
_DLL_MANIFESTS = (2, 1, 3)
_DOS_HEADER = 64  # bytes; what is shorter never was an image


def read_image(source: Source) -> ImageOrProblem:
    """Return what Windows' loader reads of the file at `source`, or why it would not load it.

    Never raises: a file that cannot be opened, is no PE image or is cut off gives an ImageProblem with the reason.
    """
    if isinstance(source, Headers):
        return _checked(source.data, source)
    try:
        data = map_file(source)
    except (OSError, ValueError) as error:
        return ImageProblem(phrase("it cannot be read ({reason})", reason=reason_of(error)), unreadable=True)
    if data is None:
        return ImageProblem(phrase("it is no Windows image: it is empty"))
    return read_image_data(data)


def read_image_data(data: Data) -> ImageOrProblem:
    """As `read_image`, for bytes that are already at hand."""
    return _checked(data, None)


def _checked(data: Data, headers: Headers | None) -> ImageOrProblem:
    try:
        pe = headers if headers is not None else parse_headers(data)
        missing = pe.bytes_missing()
        if missing:
            return ImageProblem(
                phrase("it is cut off: {missing:,} bytes of its sections are missing", missing=missing), damaged=True
            )
        return _image(pe)
    except NoImageError:
        words, damaged = what_it_is(data)
        return ImageProblem(phrase("it is no Windows image: {words}", words=words), damaged=damaged)
    except (ValueError, struct.error, OverflowError) as error:
        return ImageProblem(
            phrase("it is a damaged Windows image: {error}", error=error), damaged=len(data) >= _DOS_HEADER
        )


def _image(pe: Headers) -> Image:
    imports = import_descriptors(pe)
    configuration = _load_configuration(pe)
    flags_at = _DEPENDENT_LOAD_FLAGS[pe.wide]
    return Image(
        machine=Machine.from_coff(pe.machine),
        is_dll=pe.is_dll,
        imports=unique(row.name for row in imports),
        delay_imports=unique(row.name for row in delay_descriptors(pe)),
        linker=pe.linker,
        by_msvc=_has_rich_header(pe),
        subsystem=pe.subsystem,
        subsystem_version=pe.subsystem_version,
        dependent_load_flags=int.from_bytes(configuration[flags_at : flags_at + 2], "little"),
        guarded=bool(pe.dll_flags & _GUARD_CF),
        bound=unique([*_bound_names(pe), *(row.name for row in imports if row.bound_at)]),
        manifest=_manifest(pe),
        hybrid=pe.wide and any(configuration[_CHPE_METADATA : _CHPE_METADATA + 8]),
        unsigned_bytes=certificate_bytes_missing(pe),
        is_signed=all(pe.directories[CERTIFICATES]),
        packer=packer_of(pe),
    )


def reason_of(error: Exception) -> str:
    """Return what the system says of a file that cannot be read, without its path."""
    return small_system_words(error) if isinstance(error, OSError) else str(error).lower()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One DLL of the import or delay-load directory: its name, where that stands, the RVA of the table of its symbols.

    `bound_at` is the time stamp of an image bound in the old way, else 0. `base` is what to take from the addresses in
    the table: not 0 in the delay-load directory of Visual C++ 6, which has virtual addresses.
    """

    name: str
    name_rva: int
    table: int
    bound_at: int = 0
    base: int = 0


def import_descriptors(pe: Headers) -> list[Descriptor]:
    """Return the import directory. Raises ValueError if it is outside the file.

    Source: Microsoft Learn, "PE Format", The .idata Section
    https://learn.microsoft.com/windows/win32/debug/pe-format#the-idata-section
    """
    found = []
    for lookup, stamp, _, name, addresses in _descriptors(pe, IMPORTS, _DESCRIPTOR):
        if not name:
            break
        if pe.holds(name):
            # Old linkers have no lookup table; packers leave one that points nowhere.
            table = lookup if lookup and pe.holds(lookup) else addresses
            bound_at = 0 if stamp == _NEW_BINDING else stamp
            found.append(Descriptor(pe.string(name, _LONGEST_NAME), name, table, bound_at))
    return [row for row in found if row.name]


def _descriptors(pe: Headers, index: int, layout: struct.Struct) -> Iterator[tuple[int, ...]]:
    rva = pe.directories[index][0]
    if rva:
        start, end = pe.place(rva)
        end = min(end, start + _MOST_DESCRIPTORS * layout.size)
        for at in range(start, end - layout.size + 1, layout.size):
            yield layout.unpack_from(pe.data, at)


def delay_descriptors(pe: Headers) -> list[Descriptor]:
    """Return the delay-load directory. Raises ValueError if it is outside the file.

    Visual C++ 6 wrote virtual addresses, here and in the table of names; later linkers write RVAs; bit 0 of the
    attributes tells. Source: Microsoft Learn, "PE Format", Delay-Load Import Tables
    https://learn.microsoft.com/windows/win32/debug/pe-format#delay-load-import-tables-image-only
    """
    found = []
    for attributes, name, _, _, names, *_ in _descriptors(pe, DELAY_IMPORTS, _DELAY_DESCRIPTOR):
        if not name:
            break
        base = 0 if attributes & _DELAY_USES_RVA else pe.base
        if pe.holds(name - base):
            found.append(Descriptor(pe.string(name - base, _LONGEST_NAME), name - base, names - base, base=base))
    return [row for row in found if row.name]


def _has_rich_header(pe: Headers) -> bool:
    """Return True if the list of the compilers used stands before the PE header, as only Microsoft's linker writes it.

    It ends with "Rich" and a key; the word "DanS", made unreadable by that key, begins it. Source: "The Undocumented
    Microsoft Rich Header" https://bytepointer.com/articles/the_microsoft_rich_header.htm
    """
    stub = pe.data[: min(pe.pe_offset, 0x1000)]
    at = stub.rfind(b"Rich")
    key = stub[at + 4 : at + 8]
    if at < 0 or len(key) < 4:
        return False
    return stub.find(bytes(a ^ b for a, b in zip(b"DanS", key, strict=True)), 0, at) >= 0


def _load_configuration(pe: Headers) -> bytes:
    """Return the load configuration directory, as long as its own Size field says, b"" if there is none.

    Source: Microsoft Learn, IMAGE_LOAD_CONFIG_DIRECTORY64
    https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-image_load_config_directory64
    """
    rva = pe.directories[LOAD_CONFIGURATION][0]
    if not rva or not pe.holds(rva):
        return b""
    raw = pe.read(rva, 0x200)
    return raw[: int.from_bytes(raw[:4], "little")]


def _bound_names(pe: Headers) -> list[str]:
    """Return the DLL names of the bound import directory, with those that their exports are forwarded to.

    The directory lies in the headers; names are relative to its start. Source: Microsoft, "An In-Depth Look into the
    Win32 Portable Executable File Format, Part 2", Bound Import
    https://learn.microsoft.com/archive/msdn-magazine/2002/march/inside-windows-an-in-depth-look-into-the-win32-portable-executable-file-format-part-2
    """
    rva = pe.directories[BOUND_IMPORTS][0]
    if not rva or not pe.holds(rva):
        return []
    raw = pe.read(rva, 0x20000)
    found = []
    for _, offset, _ in _BOUND.iter_unpack(raw[: min(len(raw), _MOST_DESCRIPTORS * 8) // 8 * 8]):
        # A forwarder reference has the same layout and follows its module, so it needs no case of its own.
        if not offset:
            break
        found.append(raw[offset : offset + _LONGEST_NAME].partition(b"\0")[0].decode("utf-8", "backslashreplace"))
    return [name for name in found if name]


def _manifest(pe: Headers) -> Manifest | None:
    """Return the embedded manifest of the resource that Windows takes for such an image.

    Source: Microsoft Learn, "Using Side-by-Side Assemblies as a Resource"
    https://learn.microsoft.com/windows/win32/sbscs/using-side-by-side-assemblies-as-a-resource
    """
    data = read_resource(pe, MANIFEST, _DLL_MANIFESTS if pe.is_dll else _PROGRAM_MANIFESTS)
    return parse_manifest(data) if data is not None else None


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in their order, each once."""
    return tuple(dict.fromkeys(names))
