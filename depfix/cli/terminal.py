"""Printing: lines to stdout, everything else to stderr, progress only where somebody watches.

Texts may hold the names of files that somebody else made: what would move the cursor, change the terminal or give the
server of a build an order is escaped here, before anything is printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from depfix.cli.wrapping import wrapped
from depfix.errors import WriteError
from depfix.model.shown import no_command, shown
from depfix.wording.message import phrase, system_words
from depfix.wording.speech import said, say

if TYPE_CHECKING:
    from depfix.reports.text import Line


_LEADS = {
    "baseline:": phrase("baseline:"),
    "diagnose:": phrase("diagnose:"),
    "error:": phrase("error:"),
    "hint:": phrase("hint:"),
    "note:": phrase("note:"),
    "reports:": phrase("reports:"),
    "stopped:": phrase("stopped:"),
    "warning:": phrase("warning:"),
}


def colours(stream: Any) -> bool:
    """Return True if a stream is to be coloured: NO_COLOR forbids it, FORCE_COLOR demands it, else terminals have it.

    Sources: https://no-color.org, https://force-color.org
    """
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (is_terminal(stream) and os.environ.get("TERM") != "dumb")


def is_terminal(stream: Any) -> bool:
    """Return True if somebody may sit behind a stream. Windows' NUL is a character device, so `isatty` says yes there.

    Source: Microsoft Learn, "GetConsoleMode" https://learn.microsoft.com/windows/console/getconsolemode
    """
    if not stream.isatty():
        return False
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        handle = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
        return bool(ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(ctypes.c_uint32())))
    return True


def print_lines(lines: Iterable[Line], *, wrap: bool = True) -> None:
    """Print a text report to stdout; on a terminal lines are wrapped to its width, and go on below their text."""
    coloured = colours(sys.stdout)
    width = _width() if wrap and is_terminal(sys.stdout) else 0
    for line in lines:
        lead, label, text = shown(line.lead), shown(line.label), shown(line.text)
        first, *others = wrapped(lead + label, text, width)
        if coloured:
            lead = click.style(lead, fg=line.colour or None, bold=True) if lead else ""
            label = click.style(label, dim=True) if label.strip() else label
        _write(sys.stdout, "\n".join([lead + label + first, *others]))


def _width() -> int:
    import shutil  # with all its compressions: only where somebody watches

    return shutil.get_terminal_size().columns


def tell(message: str, lead: str = "", colour: str = "") -> None:
    """Print a message to stderr."""
    lead = said(_LEADS.get(lead, lead))
    lead_shown = click.style(lead, fg=colour, bold=True) if lead and colours(sys.stderr) else lead
    first, *others = map(shown, said(message).split("\n"))
    _write(sys.stderr, "\n".join([lead_shown + first, *others]))


def hint(message: str) -> None:
    """Print what to do next to stderr."""
    if message:
        tell(f" {said(message)}", "hint:", "cyan")


def check_outputs(*paths: str) -> None:
    """Raise WriteError if a file that is to be written at the end cannot be: told before the work, not after it."""
    for path in filter(None, paths):
        _write_file(path, "", mode="a")  # what is there stays until there is something new


def write_report(path: str, text: str) -> None:
    """Write a report to a file. Raises WriteError."""
    _write_file(path, text, mode="w")


def _write_file(path: str, text: str, mode: str) -> None:
    try:
        with open(path, mode, encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise WriteError(path, system_words(error)) from error


def print_text(text: str) -> None:
    """Print a machine's report to stdout as UTF-8, whatever the console's encoding."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        stream.write(text.encode("utf-8"))
        stream.flush()


def emit(text: str, output: str) -> None:
    """Write a machine's report to a file, or print it if there is no file to write to. Raises WriteError."""
    if output:
        write_report(output, text)
    else:
        print_text(text)


def _write(stream: Any, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = "".join(f"{no_command(line.rstrip())}\n" for line in text.split("\n"))
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


class ProgressBar:
    """Bars on a terminal's stderr, drawn from the first call on; silent where nobody watches.

    Use it as a context manager. `pause` takes the bars away, so that something can be printed or asked.
    """

    def __init__(self, quiet: bool) -> None:
        self._silent = quiet or not is_terminal(sys.stderr)
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int, words: str = "") -> None:
        """Show that `done` of `total` is done of `what`; `words` say it more closely."""
        if self._silent:
            return
        if self._bars is None:
            self._start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(said(what), total=total)
        self._bars.update(self._tasks[what], completed=done, total=total, description=words or said(what))

    def pause(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._tasks = None, {}

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.pause()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        share = TextColumn("{task.percentage:>3.0f} %")
        columns = (TextColumn("{task.description}"), BarColumn(), share, TimeElapsedColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bars.start()


class CopyProgress:
    """Shows how many files and bytes of a plan were brought."""

    def __init__(self, show: ProgressBar, files: int, size: int) -> None:
        self._show = show
        self._files = self._bytes = 0
        self._all_files, self._all_bytes = files, size

    def __call__(self, files: int, size: int) -> None:
        """Count files and bytes that were brought."""
        from depfix.reports.text import size as shown

        self._files += files
        self._bytes += size
        words = say(
            "copying {files}/{all_files} files, {bytes} of {all_bytes}",
            files=self._files,
            all_files=self._all_files,
            bytes=shown(self._bytes),
            all_bytes=shown(self._all_bytes),
        )
        self._show("copying", self._bytes, self._all_bytes, words)
