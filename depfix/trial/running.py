"""Starts a program, waits until it is known whether it works, and leaves no process behind."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

from depfix.model.run import Order

_MOST_KEPT = 1 << 26  # bytes of one stream
_GLANCE = 0.05  # seconds between looks at a process
# What is printed goes to a pipe here and to a console at a customer's: that one takes every character (PEP 528,
# https://peps.python.org/pep-0528/), a pipe those of the code page alone. This is all of Python that is set.
AS_ON_A_CONSOLE = {"PYTHONIOENCODING": "utf-8"}

_SETTLING = 3.0  # seconds that a program has to fail after it printed what was expected


class Streams:
    """The standard output and error of a process, read as they come, so that it never waits for a reader."""

    def __init__(self, *streams: IO[bytes] | None) -> None:
        self._parts: list[bytearray] = [bytearray() for _ in streams]
        self._threads = [
            threading.Thread(target=self._read, args=(stream, part), daemon=True)
            for stream, part in zip(streams, self._parts, strict=True)
            if stream is not None
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(stream: IO[bytes], part: bytearray) -> None:
        with stream:
            try:
                while chunk := os.read(stream.fileno(), 1 << 16):
                    if len(part) < _MOST_KEPT:
                        part += chunk
            except (OSError, ValueError):
                return

    def hold(self, text: bytes) -> bool:
        """Return True if a text stands in one of the streams."""
        return any(text in part for part in self._parts)

    def finish(self, seconds: float) -> tuple[str, ...]:
        """Wait for the ends of the streams, and return what was in each."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return tuple(bytes(part).decode("utf-8", "replace") for part in self._parts)


def watch(order: Order, streams: Streams, ended: Callable[[float], bool]) -> float:
    """Return, with the seconds it took, when a program has ended or it is known that it works; it may still run then.

    `ended` waits up to the seconds it is given and tells whether the program has ended.
    """
    start = time.monotonic()
    wanted = order.expect.encode("utf-8")
    until = start + (order.alive or order.timeout)
    settled = 0.0
    while not ended(_GLANCE):
        now = time.monotonic()
        if wanted and not settled and streams.hold(wanted):
            settled = now + _SETTLING
            if not order.alive:
                until = min(until, settled)
        if now >= until and (now >= start + order.timeout or not wanted or settled):
            break
    return time.monotonic() - start


def has_ended(process: subprocess.Popen[bytes], wait: float) -> bool:
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        return False
    return True


def reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to end, and end it if it does not listen."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
