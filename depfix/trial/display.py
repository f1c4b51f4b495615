"""A screen that nobody sees, for programs with windows: Xvfb, and a picture of it as PNG.

Xvfb keeps its screen in a file, in the format of xwd(1), that is read here. Sources: Xvfb(1), -fbdir and -displayfd
https://www.x.org/releases/current/doc/man/man1/Xvfb.1.xhtml ; X11/XWDFile.h, XWDFileHeader; "PNG Specification"
https://www.w3.org/TR/png/
"""

from __future__ import annotations

import os
import select
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

_SCREEN = "1280x1024x24"
_STARTING = 20.0  # seconds
_XWD = struct.Struct(">25I")
_XWD_VERSION = 7
_COLOUR = 12  # bytes of one entry of the colour table
_LARGEST = 1 << 14  # pixels of one side


@dataclass(frozen=True, slots=True)
class Display:
    """A screen: its X11 name, and the file that it is kept in (empty if it is the user's own)."""

    name: str
    file: str = ""


def has_xvfb(environ: Mapping[str, str]) -> bool:
    return shutil.which("Xvfb", path=environ.get("PATH")) is not None


@contextmanager
def hidden_display(environ: Mapping[str, str]) -> Iterator[Display | None]:
    """Start Xvfb for as long as the context lasts; give None if it is not installed or does not start."""
    program = shutil.which("Xvfb", path=environ.get("PATH"))
    if program is None:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="depfix-screen-")
    reads, writes = os.pipe()
    try:
        process = subprocess.Popen(
            [program, "-displayfd", str(writes), "-screen", "0", _SCREEN, "-fbdir", folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writes,),
            start_new_session=True,
        )
    except OSError:
        process = None
    os.close(writes)
    try:
        ready = process is not None and select.select([reads], [], [], _STARTING)[0]
        number = os.read(reads, 32).decode("ascii", "replace").strip() if ready else ""
        yield Display(f":{number}", os.path.join(folder, "Xvfb_screen0")) if number.isdigit() else None
    finally:
        os.close(reads)
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def screenshot(display: Display) -> bytes:
    """Return the screen as PNG, empty if it cannot be read."""
    try:
        with open(display.file, "rb") as file:
            return png_of_xwd(file.read())
    except OSError:
        return b""


def png_of_xwd(data: bytes) -> bytes:
    """Return the PNG of an XWD picture of 32 bits a pixel, as Xvfb keeps it; empty if it is anything else."""
    if len(data) < _XWD.size:
        return b""
    fields = _XWD.unpack_from(data)
    header, version, width, height, order = fields[0], fields[1], fields[4], fields[5], fields[7]
    bits, stride, colours = fields[11], fields[12], fields[19]
    start = header + colours * _COLOUR
    sizes = 0 < width <= _LARGEST and 0 < height <= _LARGEST and stride >= width * 4
    if version != _XWD_VERSION or bits != 32 or not sizes or len(data) < start + stride * height:
        return b""
    red, green, blue = (2, 1, 0) if order == 0 else (1, 2, 3)  # XImage byte order: 0 is the least significant first
    rows = []
    for row in range(height):
        line = data[start + row * stride : start + row * stride + width * 4]
        colour = bytearray(width * 3)
        colour[0::3], colour[1::3], colour[2::3] = line[red::4], line[green::4], line[blue::4]
        rows.append(b"\0" + bytes(colour))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
