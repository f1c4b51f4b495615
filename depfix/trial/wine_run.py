"""Runs a program under Wine, in a prefix of its own, and stops all that it left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from depfix.model.run import Ended, Order
from depfix.trial.prefix import Wine, base_environment, stop_all
from depfix.trial.running import AS_ON_A_CONSOLE, Streams, has_ended, reap, watch
from depfix.trial.watching import CHANNELS, split_log

_GLANCE = 0.05  # seconds between looks at a process
_AFTER_END = 5.0  # seconds that its children may hold the pipes
_UTF8_LOCALES = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8", "/usr/lib/locale/en_US.utf8")
_STARTING = 120.0  # seconds for Wine's services to come up


@dataclass(frozen=True, slots=True)
class WineRun:
    """A prepared prefix, the dist's folder in it, and what Wine is told of DLLs, of a display, of the language.

    `native` are the DLLs for which Wine's own must not stand in.

    The language, such as `zh_CN`, decides the ANSI code page of the program, and its messages.
    """

    wine: Wine
    prefix: Path
    dist: str
    native: tuple[str, ...]
    display: str = ""
    language: str = ""

    def environment(self, channels: str) -> dict[str, str]:
        env = base_environment(self.prefix)
        native = f";{','.join(self.native)}=n" if self.native else ""
        env |= {"WINEDEBUG": channels, "WINEDLLOVERRIDES": env["WINEDLLOVERRIDES"] + native, **AS_ON_A_CONSOLE}
        if self.language:
            env |= {"LC_ALL": f"{self.language}.UTF-8", "LOCPATH": self._locales()}
        return env | ({"DISPLAY": self.display} if self.display else {})

    def _locales(self) -> str:
        """Give the host's C library a locale of this name, which need not be installed: Wine takes the code page from
        the name, and only needs one in which names of files are UTF-8.

        Source: locale(7), LOCPATH https://man7.org/linux/man-pages/man7/locale.7.html
        """
        folder = self.prefix / "locales"
        link = folder / f"{self.language}.UTF-8"
        folder.mkdir(exist_ok=True)
        real = next((place for place in _UTF8_LOCALES if os.path.isdir(place)), "")
        if real and not link.is_symlink():
            link.symlink_to(real)
        return str(folder)

    def windows_path(self, inner: str = "") -> str:
        """Return the path that the dist, or a file of it, has for the program."""
        place = os.path.relpath(os.path.join(self.dist, *inner.split("/")), self.prefix / "drive_c")
        return "C:\\" + place.replace("/", "\\").removesuffix("\\.")

    def folder(self, cwd: str) -> str:
        """Return the current directory for a choice of `--cwd`."""
        if cwd == "dist":
            return self.dist
        if cwd != "elsewhere":
            return os.path.abspath(cwd)
        users = sorted((self.prefix / "drive_c" / "users").iterdir())
        return str(next((user for user in users if user.name != "Public"), self.prefix / "drive_c"))

    def run(self, order: Order, at_end: Callable[[], None] = lambda: None) -> Ended:
        """Run a program and stop all that it left; `at_end` is called while it may still be there.

        To be called while `services` run.
        """
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
            seconds = watch(order, streams, lambda wait: has_ended(process, wait))
            code = process.poll()
            at_end()
            out, err = streams.finish(_AFTER_END) if code is not None else ("", "")
        finally:
            stop_all(self.wine, self.prefix)
            reap(process)
        out, err = streams.finish(_AFTER_END)
        log, own = split_log(err)
        return Ended(code, seconds, out.replace("\r\n", "\n"), own, log, whole_code=False)

    @contextmanager
    def services(self) -> Iterator[Callable[[], None]]:
        """Start Wine's services, and give what waits until they are up.

        One process is kept in the prefix: they inherit the pipes of the first one, and hold them open.
        """
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
            yield partial(_await, process, Streams(process.stdout))
        finally:
            stop_all(self.wine, self.prefix)
            if process.stdin is not None:
                process.stdin.close()
            reap(process)


def _await(process: subprocess.Popen[bytes], streams: Streams) -> None:
    until = time.monotonic() + _STARTING
    while not streams.hold(b"ready") and process.poll() is None and time.monotonic() < until:
        time.sleep(_GLANCE)


def native_only(names: Mapping[str, object], has: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the DLLs, without suffix, for which Wine's own must not stand in: those that a clean Windows lacks."""
    return tuple(sorted(name.removesuffix(".dll") for name in names if not has(name)))
