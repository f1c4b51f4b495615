"""What a file is that bears the name of an image and is none, and what of an image lies behind the end of its file.

Source: Microsoft Learn, "PE Format", The Attribute Certificate Table
https://learn.microsoft.com/windows/win32/debug/pe-format#the-attribute-certificate-table-image-only
"""

from __future__ import annotations

import re

from depfix.model.content import pointed_size
from depfix.pe.headers import CERTIFICATES, Data, Headers
from depfix.wording.message import phrase

_LOOKED_AT = 4096
_MARKUP = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)
_TEXT = bytes({9, 10, 12, 13, *range(0x20, 0x7F)})
_OTHER = {
    b"\x7fELF": phrase("a Linux library"),
    b"\xcf\xfa\xed\xfe": phrase("a macOS library"),
    b"\xca\xfe\xba\xbe": phrase("a macOS library"),
    b"PK\x03\x04": phrase("a zip archive"),
    b"\x1f\x8b": phrase("a gzip archive"),
    b"!<arch>\n": phrase("a library for linkers"),
}


def what_it_is(data: Data) -> tuple[str, bool]:
    """Return (in words what bytes are that are no image, whether they stand where an image was meant to be).

    A failed download leaves such: a pointer, a web page, zeros. What is a file of another kind was put there so.
    """
    head = bytes(data[:_LOOKED_AT])
    pointed = pointed_size(head)
    if pointed is not None:
        return phrase(
            "it is a git-lfs pointer to {pointed:,} bytes that were never fetched (git lfs pull)", pointed=pointed
        ), True
    if _MARKUP.match(head):
        return phrase("it is a web page, as a failed download leaves it"), True
    if not head.strip(b"\0"):
        return phrase("it begins with zeros, as an unfinished download does"), True
    known = next((words for magic, words in _OTHER.items() if head.startswith(magic)), "")
    if known:
        return phrase("it is {known}", known=known), False
    if not head.translate(None, _TEXT):
        return phrase("it is text that begins with {decode}", decode=repr(head[:24].decode("ascii"))), False
    return phrase("it begins with {head}", head=repr(head[:12])), False


def certificate_bytes_missing(pe: Headers) -> int:
    """Return how many bytes of the certificate table lie behind the end of the file.

    Its directory holds an offset in the file, not an RVA; Windows maps the image all the same, and finds it unsigned.
    """
    offset, size = pe.directories[CERTIFICATES]
    return max(0, offset + size - len(pe.data)) if offset and size else 0
