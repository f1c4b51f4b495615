"""From the bytes of a log to its text, whatever console or shell wrote it; big logs are read at both ends."""

from __future__ import annotations

import codecs
import os
import re
from typing import BinaryIO

from depfix.errors import LogNotReadError
from depfix.wording.message import phrase, small_system_words

_HEAD, _TAIL = 1 << 20, 4 << 20  # of a big log: the first error is often at its head, the last at its end
_SAMPLE = 65536
_MOST_UNPRINTABLE = 0.05
_MOSTLY = 0.8
_CUT = "\n[depfix: the middle of this log was not read]\n"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,40}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")


def read_log(path: str) -> str:
    """Return the text of a log file, of a big one its head and its end. Raises LogNotReadError."""
    try:
        with open(path, "rb") as file:
            return decoded(_both_ends(file, os.fstat(file.fileno()).st_size), path)
    except OSError as error:
        raise LogNotReadError(path, small_system_words(error)) from error


def read_stream(stream: BinaryIO) -> str:
    """Return the text of a stream that cannot be asked for its size. Raises LogNotReadError."""
    head = stream.read(_HEAD)
    tail = b""
    cut = False
    while True:
        block = stream.read(_HEAD)
        if not block:
            break
        tail += block
        cut = cut or len(tail) > _TAIL
        tail = tail[-_TAIL:]
    return decoded([head, tail] if cut else [head + tail], phrase("the text"))


def decoded(parts: list[bytes], name: str = phrase("the text")) -> str:
    """Return the text of one log, given whole or as its head and its end.

    UTF-8, UTF-16 (what `>` of Windows PowerShell writes) with and without a mark, GBK (cp936, Chinese Windows), else
    the code page of western Windows. Colours are taken out, and line ends are `\\n`. Raises LogNotReadError for what
    holds nothing, or is no text.
    """
    sample = parts[0][:_SAMPLE]
    if not any(part.strip(b"\0 \t\r\n") for part in parts):
        raise LogNotReadError(name, phrase("it is empty"))
    encoding = _encoding(parts[0])
    if encoding is None:
        raise LogNotReadError(
            name, phrase("it is no text, but a program or DLL") if sample[:2] == b"MZ" else phrase("it is no text")
        )
    text = _CUT.join(_decode(part, encoding) for part in parts)
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    seen = text[:_SAMPLE]
    if len(_UNPRINTABLE.findall(seen)) > _MOST_UNPRINTABLE * len(seen):
        raise LogNotReadError(name, phrase("it is no text"))
    return text


def _both_ends(file: BinaryIO, size: int) -> list[bytes]:
    if size <= _HEAD + _TAIL:
        return [file.read(_HEAD + _TAIL)]
    head = file.read(_HEAD)
    file.seek((size - _TAIL) // 4 * 4)  # a character of UTF-16 is not split
    return [head, file.read(_TAIL + 4)]


def _encoding(head: bytes) -> str | None:
    """Return the encoding that a log begins with, None for what is no text."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    sample = head[:_SAMPLE]
    zeros = sample.count(0)
    if not zeros:
        return "utf-8"
    odd = sample[1::2].count(0)
    wide = "utf-16-le" if odd > 0.9 * zeros else "utf-16-be" if odd < 0.1 * zeros else ""
    if wide and _reads_well(sample.decode(wide, "replace")):
        return wide
    return None if zeros > len(sample) * _MOST_UNPRINTABLE else "utf-8"


def _decode(part: bytes, encoding: str) -> str:
    if encoding != "utf-8":
        return part.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return part.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        return "\n".join(_decoded_line(line) for line in part.split(b"\n"))


def _decoded_line(line: bytes) -> str:
    """Return one line: what a program writes and what Windows writes may be of two encodings in one log."""
    for encoding in ("utf-8", "gbk"):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _looks_chinese(text):
            return text
    return line.decode("cp1252", "replace")


def _reads_well(text: str) -> bool:
    """Return True if a text is made of letters that errors are written with; any pair of bytes is some character."""
    well = sum(char.isprintable() or char.isspace() if char.isascii() else _is_common(char) for char in text)
    return well > _MOSTLY * len(text) or sum(char.isascii() for char in text) > 0.5 * len(text)


def _looks_chinese(text: str) -> bool:
    """Return True if what is not ASCII is mostly Chinese in common use: GBK takes nearly any pair of bytes."""
    strange = [char for char in text if not char.isascii()]
    common = sum(_is_common(char) for char in strange)
    return common > _MOSTLY * len(strange)


def _is_common(char: str) -> bool:
    """Return True for Chinese of GB 2312 and its punctuation: what Windows says is written with these alone."""
    try:
        first, second = char.encode("gb2312")
    except (UnicodeEncodeError, ValueError):
        return False
    return second >= 0xA1 and (first in (0xA1, 0xA3) or 0xB0 <= first <= 0xF7)
