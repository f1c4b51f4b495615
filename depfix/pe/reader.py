"""What the loader reads of one image: machine, import directory, delay-load directory.

pefile parses the headers; it is given a `mmap` and never closed, because `PE.close()` runs a full garbage collection.
The two directories are read here, for pefile stops at 8,192 symbols of an import directory and loses the DLLs behind,
replaces DLL names that are not plain ASCII by `*invalid*`, and reads delay loads only with all their symbols.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import pefile

from depfix.model.image import Image, ImageOrProblem, ImageProblem
from depfix.model.machine import Machine

_IMPORT_DIRECTORY = 1
_DELAY_IMPORT_DIRECTORY = 13
_DESCRIPTOR = struct.Struct("<5I")  # lookup table, time stamp, forwarder chain, name, address table
_DELAY_DESCRIPTOR = struct.Struct("<8I")
_DELAY_USES_RVA = 1
_IMAGE_FILE_DLL = 0x2000
_MOST_DESCRIPTORS = 4096
_LONGEST_NAME = 512


def read_image(path: str | Path) -> ImageOrProblem:
    """Return what Windows' loader reads of the file at `path`, or why it would not load it.

    Never raises: a file that cannot be opened, is no PE image or is cut off gives an ImageProblem with the reason.
    """
    try:
        data = map_file(path)
    except (OSError, ValueError) as error:
        return ImageProblem(f"it cannot be read ({_reason(error)})", unreadable=True)
    if data is None:
        return ImageProblem("it is empty")
    return read_image_data(data)


def read_image_data(data: mmap.mmap | bytes) -> ImageOrProblem:
    """As `read_image`, for bytes that are already at hand."""
    if data[:2] != b"MZ":
        return ImageProblem(f"it is no Windows image: it begins with {bytes(data[:12])!r}")
    try:
        pe = pefile.PE(data=data, fast_load=True)
        missing = _bytes_missing(pe, len(data))
        if missing:
            return ImageProblem(f"it is cut off: {missing:,} bytes of its sections are missing")
        return Image(
            machine=Machine.from_coff(pe.FILE_HEADER.Machine),
            is_dll=bool(pe.FILE_HEADER.Characteristics & _IMAGE_FILE_DLL),
            imports=_import_names(pe),
            delay_imports=_delay_import_names(pe),
        )
    except pefile.PEFormatError as error:
        return ImageProblem(f"it is a damaged Windows image: {error}")
    except (struct.error, IndexError, ValueError, AttributeError, MemoryError, OverflowError) as error:
        # Hostile headers make pefile fail in ways that its own exception does not cover.
        return ImageProblem(f"it is a damaged Windows image: {error}")


def map_file(path: str | Path) -> mmap.mmap | None:
    """Return a read-only map of the whole file, None if it is empty. Raises OSError."""
    with open(path, "rb") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            file.seek(0)
            if not file.read(1):  # a pseudo file may have bytes although its size is 0
                return None
            raise OSError("not a regular file")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()


def _bytes_missing(pe: pefile.PE, size: int) -> int:
    """Return how many bytes of section data lie beyond the end of the file.

    Windows refuses to map an image whose raw data ends behind the file (STATUS_INVALID_IMAGE_FORMAT). Source:
    Microsoft Learn, "PE Format", PointerToRawData and SizeOfRawData
    https://learn.microsoft.com/windows/win32/debug/pe-format#section-table-section-headers
    """
    ends = [s.PointerToRawData + s.SizeOfRawData for s in pe.sections if s.PointerToRawData and s.SizeOfRawData]
    return max(0, max(ends, default=0) - size)


def _import_names(pe: pefile.PE) -> tuple[str, ...]:
    return unique(name for name, _ in import_descriptors(pe))


def import_descriptors(pe: pefile.PE) -> list[tuple[str, int]]:
    """Return (DLL name, RVA of the table of its symbols) of each import descriptor.

    Source: Microsoft Learn, "PE Format", The .idata Section
    https://learn.microsoft.com/windows/win32/debug/pe-format#the-idata-section
    """
    found = []
    rva = _directory_rva(pe, _IMPORT_DIRECTORY)
    for index in range(_MOST_DESCRIPTORS if rva else 0):
        raw = pe.get_data(rva + index * _DESCRIPTOR.size, _DESCRIPTOR.size)
        if len(raw) < _DESCRIPTOR.size:
            break
        lookup, _, _, name, addresses = _DESCRIPTOR.unpack(raw)
        if not name:
            break
        text = pe.get_string_at_rva(name, _LONGEST_NAME)
        if text:
            found.append((_text(text), lookup or addresses))
    return found


def _directory_rva(pe: pefile.PE, index: int) -> int:
    table = pe.OPTIONAL_HEADER.DATA_DIRECTORY
    return table[index].VirtualAddress if len(table) > index else 0


def _delay_import_names(pe: pefile.PE) -> tuple[str, ...]:
    return unique(name for name, _, _ in delay_descriptors(pe))


def delay_descriptors(pe: pefile.PE) -> list[tuple[str, int, int]]:
    """Return (DLL name, RVA of the name table, RVA of the address table) of each delay-load descriptor.

    Visual C++ 6 wrote virtual addresses, later linkers write RVAs; bit 0 of the attributes tells. Source: Microsoft
    Learn, "PE Format", Delay-Load Import Tables
    https://learn.microsoft.com/windows/win32/debug/pe-format#delay-load-import-tables-image-only
    """
    found = []
    rva = _directory_rva(pe, _DELAY_IMPORT_DIRECTORY)
    for index in range(_MOST_DESCRIPTORS if rva else 0):
        raw = pe.get_data(rva + index * _DELAY_DESCRIPTOR.size, _DELAY_DESCRIPTOR.size)
        if len(raw) < _DELAY_DESCRIPTOR.size:
            break
        attributes, name, _, addresses, names, *_ = _DELAY_DESCRIPTOR.unpack(raw)
        if not name:
            break
        base = 0 if attributes & _DELAY_USES_RVA else pe.OPTIONAL_HEADER.ImageBase
        text = pe.get_string_at_rva(name - base, _LONGEST_NAME)
        if text:
            found.append((_text(text), names - base, addresses - base))
    return found


def unique(names: object) -> tuple[str, ...]:
    """Return the names in their order, each once."""
    return tuple(dict.fromkeys(names))  # type: ignore[call-overload]


def _text(name: bytes) -> str:
    """Return a name of a directory as text; bytes that are no UTF-8 stay visible as escapes."""
    return name.decode("utf-8", "backslashreplace")
