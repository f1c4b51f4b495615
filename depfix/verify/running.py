"""Starts a program, waits until it is known whether it works, and leaves no process behind."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from depfix.model.run import Ended, Order
from depfix.verify.clean import Copy
from depfix.verify.prefix import Wine, base_environment, stop_all
from depfix.verify.watching import CHANNELS, split_log

_MOST_KEPT = 1 << 26  # bytes of one stream
_GLANCE = 0.05  # seconds between looks at a process
_SETTLING = 3.0  # seconds that a program has to fail after it printed what was expected
_AFTER_END = 5.0  # seconds that its children may hold the pipes
_STARTING = 120.0  # seconds for Wine's services to come up


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


# --- under Wine ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WineRun:
    """A prepared prefix, the copy of the dist in it, and what Wine is told: overrides of DLLs, a display."""

    wine: Wine
    prefix: Path
    copy: Copy
    native: tuple[str, ...]
    display: str = ""

    def environment(self, channels: str) -> dict[str, str]:
        env = base_environment(self.prefix)
        native = f";{','.join(self.native)}=n" if self.native else ""
        env |= {"WINEDEBUG": channels, "WINEDLLOVERRIDES": env["WINEDLLOVERRIDES"] + native}
        return env | ({"DISPLAY": self.display} if self.display else {})

    def windows_path(self, inner: str = "") -> str:
        """Return the path that the dist, or a file of it, has for the program."""
        place = os.path.relpath(os.path.join(self.copy.folder, *inner.split("/")), self.prefix / "drive_c")
        return "C:\\" + place.replace("/", "\\").removesuffix("\\.")

    def folder(self, cwd: str) -> str:
        """Return the current directory for a choice of `--cwd`."""
        if cwd == "dist":
            return self.copy.folder
        if cwd != "elsewhere":
            return os.path.abspath(cwd)
        users = sorted((self.prefix / "drive_c" / "users").iterdir())
        return str(next((user for user in users if user.name != "Public"), self.prefix / "drive_c"))

    def run(self, order: Order, at_end: Callable[[], None] = lambda: None) -> Ended:
        """Run a program and stop all that it left; `at_end` is called while it may still be there."""
        with self._services():
            return self._run(order, at_end)

    def _run(self, order: Order, at_end: Callable[[], None]) -> Ended:
        # Pipes, never files: a Python of Windows dies when its output is a file of the host.
        process = subprocess.Popen(
            [self.wine.loader, self.windows_path(order.program), *order.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(CHANNELS),
            cwd=self.folder(order.cwd),
            start_new_session=True,
        )
        streams = Streams(process.stdout, process.stderr)
        try:
            seconds = watch(order, streams, lambda wait: _has_ended(process, wait))
            code = process.poll()
            at_end()
            out, err = streams.finish(_AFTER_END) if code is not None else ("", "")
        finally:
            stop_all(self.wine, self.prefix)
            _reap(process)
        out, err = streams.finish(_AFTER_END)
        log, own = split_log(err)
        return Ended(code, seconds, out.replace("\r\n", "\n"), own, log, whole_code=False)

    @contextmanager
    def _services(self) -> Iterator[None]:
        """Keep one process in the prefix: Wine's services inherit the pipes of the first one, and hold them open."""
        process = subprocess.Popen(
            [self.wine.loader, "cmd.exe", "/c", "echo ready & pause"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment("-all"),
            cwd=self.prefix,
            start_new_session=True,
        )
        try:
            streams = Streams(process.stdout)
            until = time.monotonic() + _STARTING
            while not streams.hold(b"ready") and process.poll() is None and time.monotonic() < until:
                time.sleep(_GLANCE)
            yield
        finally:
            stop_all(self.wine, self.prefix)
            if process.stdin is not None:
                process.stdin.close()
            _reap(process)


def _has_ended(process: subprocess.Popen[bytes], wait: float) -> bool:
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        return False
    return True


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to end, and end it if it does not listen."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def native_only(names: Mapping[str, object], has: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the DLLs, without suffix, for which Wine's own must not stand in: those that a clean Windows lacks."""
    return tuple(sorted(name.removesuffix(".dll") for name in names if not has(name)))
