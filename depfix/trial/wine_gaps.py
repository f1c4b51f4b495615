"""What today's extension modules ask of Windows and Wine 8 has not: made for a prefix, from Wine's own files.

Wine 8 has aborting stubs for eight exports of ucrtbase.dll that packages with complex numbers import, and no
bcryptprimitives.dll, of which programs in Rust and newer Pythons import ProcessPrng. Windows 10 has both.
"""

from __future__ import annotations

import struct

from depfix.pe.headers import EXPORTS, Headers, NoImageError, parse_headers

_BUILTIN_MARK = b"Wine builtin DLL"
_MARK_AT = 0x40  # behind the DOS header: winebuild puts it there, and the loader looks for it
_EXPORTS = struct.Struct("<12x7I")  # name, base, functions, names, then the RVAs of addresses, names, name ordinals
_MOST_NAMES = 1 << 16

# What each of these exports does, by the Windows x64 calling convention. The complex ones take and give back what
# Microsoft's C runtime does: _Fcomplex in a register, _Dcomplex and _Lcomplex by address.
# https://learn.microsoft.com/cpp/c-runtime-library/complex-math-support
_BODIES = {
    "feholdexcept": "31c0c3",  # xor eax, eax; ret
    "feupdateenv": "31c0c3",
    "crealf": "660f6ec1c3",  # movd xmm0, ecx; ret
    "cimagf": "48c1e920660f6ec1c3",  # shr rcx, 32; movd xmm0, ecx; ret
    "creal": "f20f1001c3",  # movsd xmm0, [rcx]; ret
    "creall": "f20f1001c3",
    "cimag": "f20f104108c3",  # movsd xmm0, [rcx + 8]; ret
    "cimagl": "f20f104108c3",
}


def completed_ucrt(content: bytes) -> bytes:
    """Return Wine's ucrtbase.dll with the missing functions, as a file that Wine loads as a program's own.

    Empty if the file is none for amd64, or has not these exports.
    """
    try:
        pe = parse_headers(content)
        places = _export_places(pe)
    except (NoImageError, ValueError, struct.error, IndexError):
        return b""
    if not pe.wide or not _BODIES.keys() <= places.keys():
        return b""
    data = bytearray(content)
    if data[_MARK_AT : _MARK_AT + len(_BUILTIN_MARK)] == _BUILTIN_MARK:
        data[_MARK_AT : _MARK_AT + len(_BUILTIN_MARK)] = bytes(len(_BUILTIN_MARK))
    for name, body in _BODIES.items():
        code = bytes.fromhex(body)
        data[places[name] : places[name] + len(code)] = code
    return bytes(data)


def _export_places(pe: Headers) -> dict[str, int]:
    """Return {export that is wanted: where its code is in the file}."""
    start, _ = pe.directories[EXPORTS]
    _, _, count, named, address_rva, name_rva, ordinal_rva = _EXPORTS.unpack(pe.read(start, _EXPORTS.size))
    if not start or max(count, named) > _MOST_NAMES:
        return {}
    addresses = pe.numbers(address_rva, count, "I")
    ordinals = pe.numbers(ordinal_rva, named, "H")
    found = {}
    for rva, ordinal in zip(pe.numbers(name_rva, named, "I"), ordinals, strict=True):
        name = pe.string(rva, 64)
        if name in _BODIES:
            found[name] = pe.place(addresses[ordinal])[0]
    return found


def forwarding_dll(name: str, exports: dict[str, str]) -> bytes:
    """Return a DLL for amd64 of nothing but forwarders: {export: "DLL.symbol"}.

    Source: Microsoft Learn, "PE Format", The .edata Section
    https://learn.microsoft.com/windows/win32/debug/pe-format#the-edata-section-image-only
    """
    section = 0x1000
    directory = _export_directory(name, exports, section)
    file_size = -(-len(directory) // 0x200) * 0x200
    dos = b"MZ" + bytes(58) + struct.pack("<I", 0x40)
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xF0, 0x2022)  # a DLL that takes large addresses
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, file_size, 0, 0, section)
    optional += struct.pack("<QII", 0x180000000, 0x1000, 0x200)
    optional += struct.pack("<HHHHHHIIIIHH", 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, 3, 0x100)
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    optional += struct.pack("<II", section, len(directory)) + bytes(15 * 8)
    header = struct.pack("<8sIIII12xI", b".rdata", len(directory), section, file_size, 0x200, 0x40000040)
    head = dos + b"PE\0\0" + coff + optional + header
    return head.ljust(0x200, b"\0") + directory.ljust(file_size, b"\0")


def _export_directory(name: str, exports: dict[str, str], at: int) -> bytes:
    names = sorted(exports)
    count = len(names)
    texts_at = at + 40 + 10 * count
    texts = b""
    rvas: dict[str, int] = {}
    for text in (name, *names, *exports.values()):
        rvas.setdefault(text, texts_at + len(texts))
        texts += text.encode("ascii") + b"\0"
    tables = (at + 40, at + 40 + 4 * count, at + 40 + 8 * count)
    head = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, rvas[name], 1, count, count, *tables)
    addresses = struct.pack(f"<{count}I", *(rvas[exports[one]] for one in names))
    pointers = struct.pack(f"<{count}I", *(rvas[one] for one in names))
    return head + addresses + pointers + struct.pack(f"<{count}H", *range(count)) + texts
