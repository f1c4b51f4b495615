"""Whether a signed image still has the content that was signed. Who signed it, and whether to trust them, is not asked.

Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format", Calculating the PE Image Hash
https://download.microsoft.com/download/9/c/5/9c5b2167-8017-4bae-9fde-d599bac8184a/authenticode_pe.docx ; Microsoft
Learn, "PE Format", The Attribute Certificate Table
https://learn.microsoft.com/windows/win32/debug/pe-format#the-attribute-certificate-table-image-only ; RFC 2315,
"PKCS #7: Cryptographic Message Syntax" https://www.rfc-editor.org/rfc/rfc2315
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from depfix.pe.headers import CERTIFICATES, Data, Headers, Source, open_headers
from depfix.wording.message import phrase

_ENTRY = struct.Struct("<IHH")  # dwLength, wRevision, wCertificateType
_PKCS = 2
_MOST_ENTRIES = 16
_MOST_SIGNATURES = 32  # one for each signer, and those nested in them
_LARGEST_TABLE = 16 << 20
_BLOCK = 1 << 20
_PE32_DIRECTORIES, _PE32_PLUS_DIRECTORIES = 96, 112
_CHECKSUM = 64  # in the optional header
_FILE_HEADER = 24  # bytes from the PE signature to the optional header
_SEQUENCE, _OID, _OCTETS, _CONTEXT = 0x30, 0x06, 0x04, 0xA0
_INDIRECT_DATA = bytes.fromhex("060a2b060104018237020104")  # SPC_INDIRECT_DATA_OBJID, 1.3.6.1.4.1.311.2.1.4
_ALGORITHMS = {
    bytes.fromhex("2a864886f70d0205"): "md5",
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}


class Signature(Enum):
    """What became of the signature of an image. `UNKNOWN`: it cannot be read, or is made in a way not known here."""

    NONE = "none"
    INTACT = "intact"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signing:
    """The signature of a file, and in words how it is broken or why nothing is known of it."""

    state: Signature
    reason: str = ""


def read_signing(source: Source) -> Signing:
    """Return whether the image at `source` is signed and unchanged since. Never raises: what is no image is not signed.

    The file is mapped, and hashed once where it is signed; a second time only if the first hash does not fit.
    """
    try:
        pe = open_headers(source)
        return _signing(pe) if pe is not None else Signing(Signature.NONE)
    except (ValueError, struct.error, OverflowError, OSError, MemoryError) as error:
        return Signing(Signature.UNKNOWN, phrase("its signature cannot be read ({error})", error=error))


def lost_by_change(source: Source) -> str:
    """Return what a user is to know before the file at `source` is changed, an empty string if it has no signature."""
    if read_signing(source).state in (Signature.NONE, Signature.BROKEN):
        return ""
    return phrase("the change ends the validity of its signature: sign it again afterwards")


def _signing(pe: Headers) -> Signing:
    offset, size = pe.directories[CERTIFICATES]
    if not offset or not size:
        return Signing(Signature.NONE)
    if offset + size > len(pe.data):
        return Signing(Signature.BROKEN, phrase("its signature is cut off"))
    if size > _LARGEST_TABLE:
        return Signing(Signature.UNKNOWN, phrase("its signature is too large to be one"))
    signed = {digest for blob in _signatures(pe.data[offset : offset + size]) for digest in _signed_digests(blob)}
    if not signed:
        return Signing(Signature.UNKNOWN, phrase("its signature names no digest that is known here"))
    names = {name for name, _ in signed}
    for ranges in (_by_offset(pe, offset), _by_section(pe, offset, size)):
        if _digests(pe.data, names, ranges) & signed:
            behind = len(pe.data) - offset - size
            if behind:
                return Signing(
                    Signature.BROKEN, phrase("{behind:,} bytes were put behind its signature", behind=behind)
                )
            return Signing(Signature.INTACT)
    return Signing(Signature.BROKEN, phrase("it was changed after it was signed"))


# --- what was signed ---


def _signatures(table: bytes) -> Iterator[bytes]:
    """Yield the PKCS #7 blobs of an attribute certificate table."""
    at = 0
    for _ in range(_MOST_ENTRIES):
        if at + _ENTRY.size > len(table):
            return
        length, _, kind = _ENTRY.unpack_from(table, at)
        if length < _ENTRY.size:
            return
        if kind == _PKCS:
            yield table[at + _ENTRY.size : at + length]
        at += (length + 7) // 8 * 8


def _signed_digests(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (algorithm, digest) of each SpcIndirectDataContent, also of those in nested signatures.

    It stands behind its object identifier: [0] SEQUENCE { data, DigestInfo { algorithm, digest } }.
    """
    at = -1
    for _ in range(_MOST_SIGNATURES):
        at = blob.find(_INDIRECT_DATA, at + 1)
        if at < 0:
            return
        outer = _element(blob, at + len(_INDIRECT_DATA))
        content = _element(outer[1], 0) if outer is not None and outer[0] == _CONTEXT else None
        parts = _elements(content[1]) if content is not None and content[0] == _SEQUENCE else []
        found = _digest_info(parts[1][1]) if len(parts) > 1 and parts[1][0] == _SEQUENCE else None
        if found is not None:
            yield found


def _digest_info(data: bytes) -> tuple[str, bytes] | None:
    parts = _elements(data)
    if len(parts) < 2 or parts[0][0] != _SEQUENCE or parts[1][0] != _OCTETS:
        return None
    algorithm = _element(parts[0][1], 0)
    name = _ALGORITHMS.get(algorithm[1]) if algorithm is not None and algorithm[0] == _OID else None
    return (name, parts[1][1]) if name is not None else None


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Return the first two elements of DER content as (tag, content)."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while len(found) < 2:
        one = _element(data, at)
        if one is None:
            break
        found.append(one[:2])
        at = one[2]
    return found


def _element(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Return (tag, content, offset behind it) of the DER element at an offset, None if it is not whole."""
    if at + 2 > len(data):
        return None
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or at + count > len(data):
            return None
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    return (tag, data[at : at + length], at + length) if at + length <= len(data) else None


# --- what is there ---


def _digests(data: Data, names: set[str], ranges: Iterable[tuple[int, int]]) -> set[tuple[str, bytes]]:
    hashes = [hashlib.new(name, usedforsecurity=False) for name in sorted(names)]
    total = 0
    for start, end in ranges:
        for at in range(start, end, _BLOCK):
            block = data[at : min(at + _BLOCK, end)]
            total += len(block)
            for one in hashes:
                one.update(block)
    for one in hashes:
        one.update(bytes(-(total + _SKIPPED) % 8))  # a signer fills the file up to a multiple of 8 bytes first
    return {(name, one.digest()) for name, one in zip(sorted(names), hashes, strict=True)}


_SKIPPED = 12  # bytes in the headers that are not hashed: the checksum, the entry of the certificate table


def _header_ranges(pe: Headers, end: int) -> list[tuple[int, int]]:
    """Return the ranges from the start of the file to `end` without what signing itself changes."""
    optional = pe.pe_offset + _FILE_HEADER
    directories = optional + (_PE32_PLUS_DIRECTORIES if pe.wide else _PE32_DIRECTORIES)
    checksum, entry = optional + _CHECKSUM, directories + CERTIFICATES * 8
    return [(0, checksum), (checksum + 4, entry), (entry + 8, end)]


def _by_offset(pe: Headers, certificates: int) -> list[tuple[int, int]]:
    """Return what most signers hash: the file as it lies there, up to the certificate table."""
    return _header_ranges(pe, certificates)


def _by_section(pe: Headers, certificates: int, size: int) -> list[tuple[int, int]]:
    """Return what the specification says: headers, sections by their offset, then what is behind them.

    It differs where bytes lie between two sections.
    """
    sections = sorted((one.raw, one.raw_size) for one in pe.sections if one.raw_size)
    if sum(length for _, length in sections) > len(pe.data):
        return []  # sections that lie over each other would be hashed again and again
    ranges = _header_ranges(pe, pe.header_size)
    ranges += [(raw, min(raw + length, len(pe.data))) for raw, length in sections]
    hashed = pe.header_size + sum(length for _, length in sections)
    return [*ranges, (hashed, min(certificates, len(pe.data) - size))]
