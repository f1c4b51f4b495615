"""A Wine prefix for one run: a clean Windows 10 that is thrown away, made once for each Wine and copied for each run.

What is made once lies in the user's cache folder. Windows' files in it are links to those of Wine itself, so that it
takes three megabytes instead of seven hundred and a copy a tenth of a second. `WINEPREFIX` and the rest: wine(1).
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from depfix.trial.clean import remove_folder
from depfix.trial.failures import CannotRunError, UnfitChoiceError
from depfix.trial.wine_gaps import completed_ucrt, forwarding_dll
from depfix.wording.message import phrase, system_words

_MADE_AS = "3"  # counts up when a prefix is made otherwise
_LOADERS = ("wine64", "/usr/lib/wine/wine64", "/usr/lib64/wine/wine64", "wine")
_INSTALL = phrase(
    "install Wine 8 or newer for 64-bit programs (Debian, Ubuntu: apt-get install wine wine64), or "
    "run verify on Windows"
)
_PREPARING = 300  # seconds; a slow machine takes 60
_SETTINGS = (
    (r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug", "Debugger", "false"),  # a crash is an exit code
    (r"HKCU\Software\Wine\Drivers", "Graphics", "null"),
    (r"HKCU\Software\Wine\DllOverrides", "ucrtbase", "native,builtin"),
    (r"HKCU\Software\Wine\WineDbg", "ShowCrashDialog", "0"),
)
_MOST_ROUNDS, _ROUND = 20, 0.1  # of ending processes, with so many seconds between them
_SMALL = 4096  # bytes; shorter files are not worth a link
_MARK = ".depfix-prefix"
_SERVER_FOLDER = "wineserver"  # Debian's Wine keeps in this file the name of its server's folder below /tmp


@dataclass(frozen=True, slots=True)
class Wine:
    """A Wine that is installed: its loader and server, its version, and the folder of its Windows DLLs."""

    loader: str
    server: str
    version: str
    dlls: str


def find_wine(environ: Mapping[str, str]) -> Wine:
    """Return the Wine of this machine. Raises CannotRunError with what to install."""
    loader = next((found for name in _LOADERS if (found := shutil.which(name, path=environ.get("PATH")))), "")
    if not loader:
        raise CannotRunError(phrase("Windows programs need Wine here, and it is not installed"), _INSTALL)
    server = shutil.which("wineserver", path=environ.get("PATH")) or os.path.join(os.path.dirname(loader), "wineserver")
    if not os.path.exists(server):
        raise CannotRunError(phrase("Wine is installed without wineserver"), _INSTALL)
    try:
        told = subprocess.run([loader, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRunError(f"{loader} --version failed ({error})", _INSTALL) from error
    match = re.search(r"wine-\d[^\n]*", told.stdout)
    if match is None:
        raise CannotRunError(phrase("{loader} does not say which Wine it is", loader=loader), _INSTALL)
    dlls = _builtin_folder(loader)
    if not dlls:
        raise CannotRunError(phrase("Wine is installed without its DLLs for 64-bit programs"), _INSTALL)
    return Wine(loader, server, match[0], dlls)


def _builtin_folder(loader: str) -> str:
    """Return the folder with Wine's own ucrtbase.dll: it lies beside the loader's library folder."""
    above = Path(os.path.realpath(loader)).parent.parent
    folders = [Path("/usr"), Path("/usr/local"), above, above.parent, Path("/opt/wine-stable"), Path("/opt/wine-devel")]
    for folder in folders:
        for inner in ("lib/x86_64-linux-gnu", "lib64", "lib"):
            found = folder / inner / "wine" / "x86_64-windows"
            if (found / "ucrtbase.dll").exists():
                return str(found)
    return ""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for what depfix can make again.

    Source: "XDG Base Directory Specification" https://specifications.freedesktop.org/basedir-spec/latest/
    """
    home = environ.get("HOME") or os.path.expanduser("~")
    chosen = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(chosen):
        return Path(chosen) / "depfix"
    return Path(home, "Library", "Caches", "depfix") if sys.platform == "darwin" else Path(home, ".cache", "depfix")


@contextmanager
def run_prefix(wine: Wine, environ: Mapping[str, str], kept: str, tell: Callable[[str], None]) -> Iterator[Path]:
    """Give a prefix for one run, and at the end stop all that runs in it and remove it; `kept` is one that stays.

    Raises CannotRunError if none can be made, UnfitChoiceError if `kept` holds something else.
    """
    template = _template(wine, cache_folder(environ), tell)
    prefix = _kept(kept, template) if kept else _copied(template)
    try:
        yield prefix
    finally:
        stop_all(wine, prefix)
        if not kept:
            _remove(prefix)


def stop_all(wine: Wine, prefix: Path) -> None:
    """End every process of a prefix, and return when they are gone."""
    env = base_environment(prefix)

    def server(option: str) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run([wine.server, option], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)

    for _ in range(_MOST_ROUNDS):
        server("-k")
        strays = _processes_of(prefix)
        if not strays:
            break
        for process in strays:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_ROUND)
    server("-w")
    _remove_server_folder(prefix)


def _processes_of(prefix: Path) -> list[int]:
    """Return the processes of a prefix; the server does not know those that are about to start, and they would wait.

    Source: proc_pid_environ(5) https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html
    """
    wanted = b"\0" + os.fsencode(f"WINEPREFIX={prefix}") + b"\0"
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The server ends by itself, when it has saved the registry.
            is_server = (entry / "comm").read_text().startswith("wineserver")
            if not is_server and wanted in b"\0" + (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def _remove_server_folder(prefix: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        name = (prefix / _SERVER_FOLDER).read_text("utf-8").strip()
        if re.fullmatch(r"wine-\w{6}", name):
            shutil.rmtree(Path("/tmp", name), ignore_errors=True)
            (prefix / _SERVER_FOLDER).unlink()


def base_environment(prefix: Path) -> dict[str, str]:
    """Return the few variables that Wine itself needs; a Windows program sees none of the host's."""
    return {
        "HOME": str(prefix),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",  # else names of files that are not ASCII are lost
        "WINEPREFIX": str(prefix),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=;winemenubuilder.exe=d",  # no question whether to download Mono and Gecko
    }


# --- made once -------------------------------------------------------------------------------------------------------


def _template(wine: Wine, cache: Path, tell: Callable[[str], None]) -> Path:
    name = hashlib.sha256("\0".join((_MADE_AS, wine.version, wine.dlls)).encode()).hexdigest()[:16]
    folder = cache / "wine"
    template = folder / f"template-{name}"
    _sweep(folder)
    if (template / _MARK).exists():
        return template
    tell(phrase("preparing {version}, once (20 to 60 seconds)", version=wine.version))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=folder))
    except OSError as error:
        raise CannotRunError(
            phrase("{folder} cannot be written ({error})", folder=folder, error=system_words(error)),
            phrase("set XDG_CACHE_HOME"),
        ) from error
    try:
        _make(wine, scratch)
        stop_all(wine, scratch)
        (scratch / _MARK).write_text(f"{wine.version}\n", encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was quicker
            scratch.rename(template)
    finally:
        if scratch.exists():
            stop_all(wine, scratch)
            _remove(scratch)
    return template


def _make(wine: Wine, prefix: Path) -> None:
    env = base_environment(prefix)

    def call(*argv: str) -> None:
        command = [wine.loader, *argv]
        try:
            done = subprocess.run(
                command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PREPARING, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotRunError(
                phrase("{command} failed ({error})", command=" ".join(command), error=error), _INSTALL
            ) from error
        if done.returncode:
            told = done.stderr.decode("utf-8", "replace").strip()[-400:]
            raise CannotRunError(
                phrase(
                    "{command} ended with {returncode}: {told}",
                    command=" ".join(command),
                    returncode=done.returncode,
                    told=told,
                ),
                _INSTALL,
            )

    call("wineboot", "-i")
    call("winecfg", "-v", "win10")
    for place, value, content in _SETTINGS:
        call("reg", "add", place, "/v", value, "/d", content, "/f")
    subprocess.run([wine.server, "-w"], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PREPARING)
    _cut_from_home(prefix)
    _link_to(wine, prefix)
    _fill_gaps(wine, prefix / "drive_c" / "windows" / "system32")


def _cut_from_home(prefix: Path) -> None:
    """Make folders of the links to the user's own Documents, Desktop and so on: a run writes nowhere else."""
    for path in (prefix / "drive_c" / "users").glob("*/*"):
        if path.is_symlink():
            path.unlink()
            path.mkdir()


def _link_to(wine: Wine, prefix: Path) -> None:
    share = Path(wine.dlls).parents[2] / "share" / "wine"
    shares = [folder for top in (share, Path("/usr/share/wine")) for folder in (top / "nls", top / "fonts")]
    sources = [Path(wine.dlls), *shares]
    for folder, _, names in os.walk(prefix / "drive_c"):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or path.stat().st_size <= _SMALL:
                continue
            same = (source / name for source in sources)
            twin = next((one for one in same if one.exists() and filecmp.cmp(path, one, shallow=False)), None)
            if twin is not None:
                path.unlink()
                path.symlink_to(twin)


def _fill_gaps(wine: Wine, system32: Path) -> None:
    completed = completed_ucrt(Path(wine.dlls, "ucrtbase.dll").read_bytes())
    if completed:
        (system32 / "ucrtbase.dll").unlink(missing_ok=True)
        (system32 / "ucrtbase.dll").write_bytes(completed)
    name = "bcryptprimitives.dll"
    if not Path(wine.dlls, name).exists():
        (system32 / name).write_bytes(forwarding_dll(name, {"ProcessPrng": "ADVAPI32.SystemFunction036"}))


# --- for one run -----------------------------------------------------------------------------------------------------


def _copied(template: Path) -> Path:
    try:
        prefix = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=template.parent))
        _copy(template, prefix)
    except OSError as error:
        raise CannotRunError(
            phrase(
                "no Wine prefix could be made in {parent} ({error})",
                parent=template.parent,
                error=system_words(error),
            )
        ) from error
    return prefix


def _kept(folder: str, template: Path) -> Path:
    prefix = Path(os.path.abspath(folder))
    if (prefix / _MARK).exists():
        return prefix
    if prefix.exists() and (not prefix.is_dir() or any(prefix.iterdir())):
        raise UnfitChoiceError(
            folder, phrase("it is no Wine prefix that depfix made"), phrase("give a folder that is empty or absent")
        )
    try:
        _copy(template, prefix)
    except OSError as error:
        raise UnfitChoiceError(folder, phrase("it cannot be written ({error})", error=system_words(error))) from error
    return prefix


def _copy(template: Path, prefix: Path) -> None:
    """Copy a prefix of a thousand links and a few files; shutil.copytree takes three times as long."""
    for folder, names, files in os.walk(template):
        target = prefix / os.path.relpath(folder, template)
        target.mkdir(parents=True, exist_ok=True)
        for name in (*names, *files):
            source = os.path.join(folder, name)
            if os.path.islink(source):
                os.symlink(os.readlink(source), target / name)
            elif name in files:
                shutil.copyfile(source, target / name)


def _sweep(folder: Path) -> None:
    """Remove what runs left that were killed before they could."""
    for path in folder.glob("run-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}") and os.path.isdir("/proc/self"):
            _remove(path)


def _remove(prefix: Path) -> None:
    remove_folder(prefix)
