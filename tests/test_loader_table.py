"""The rules by which Windows finds a DLL, each as a small dist: what depfix says of it, and what the real loader does.

One table. Each row is a dist of compiled DLLs and what its program does; depfix scans the dist, and the program runs in
Wine, under the real Windows Python where the row has Python source, else as a C program that takes the same steps. The
answer is where the DLL in question is taken from (a dist-relative path, or `system`), or the number of the error.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from depfix.closure.graph import Node, NodeKind
from depfix.errors import UnknownNameError
from depfix.model.finding import Finding, Severity
from depfix.model.names import fold
from depfix.pipeline import Options, scan, why
from fixtures.loader_probe import HARNESS, PRELUDE, Trial, answers, as_python, lay_out, windows_path
from fixtures.windows_lab import CACHE

UNKNOWN_PATH = "what is current or on PATH on a customer's machine is unknown: only what code sets counts for depfix"
OLD_WINE = "Wine 8 says 126 of an import that cannot be met, whatever is wrong with the file"
NO_SYMBOL_CHECK = "Wine 8 binds a missing symbol to a stub that raises an exception when it is called"
NO_KNOWN_DLLS = "Wine 8 has no KnownDLLs"
NO_DEPENDENT_FLAGS = "Wine 8 does not read DependentLoadFlags"
NO_FORWARDER = "Wine 8 binds a forwarder that leads nowhere to a stub"
AT_RUN_TIME = "only running the DLL tells"
BAD_CALL = "the call itself is wrong, on every machine"


@dataclass(frozen=True, slots=True)
class Row:
    """A rule as a dist.

    `files` are dist-relative paths, with `=KIND` where the name does not say what the file is (fixtures.loader_probe).
    `does` are the steps of fixtures/c/loader/probe.c, or with `python` the source of the package `pkg`. `windows` is the
    documented answer, or several with `|` between them. `wine` and `depfix` say the same unless `because` tells why not.
    `cwd` and `path`: the current directory and a folder on PATH that the program is started with.
    """

    name: str
    files: str
    does: str
    windows: str
    about: str = "need.dll"
    wine: str = ""
    depfix: str = ""
    because: str = ""
    cwd: str = ""
    path: str = ""
    python: bool = False


# --- the standard search, and the altered one ------------------------------------------------------------------------

STANDARD = [
    Row("exe-import-beside", "app.exe=importing need.dll", "", "need.dll"),
    Row("exe-import-missing", "app.exe=importing lib/need.dll", "", "126"),
    Row("exe-import-cwd", "app.exe=importing lib/need.dll", "", "lib/need.dll", cwd="lib", depfix="126", because=UNKNOWN_PATH),
    Row("exe-import-path", "app.exe=importing lib/need.dll", "", "lib/need.dll", path="lib", depfix="126",
        because=UNKNOWN_PATH),
    Row("exe-import-app-before-cwd-and-path", "app.exe=importing need.dll lib/need.dll", "", "need.dll", cwd="lib", path="lib"),
    Row("exe-import-x86", "app.exe=importing need.dll=x86", "", "193", wine="126", because=OLD_WINE),
    Row("exe-private-assembly", "app.exe=importing app.exe.manifest depfix.private/depfix.private.manifest "
        "depfix.private/need.dll", "", "depfix.private/need.dll"),
    Row("exe-private-assembly-before-app", "app.exe=importing app.exe.manifest need.dll "
        "depfix.private/depfix.private.manifest depfix.private/need.dll", "", "depfix.private/need.dll"),
    Row("name-app", "need.dll", "load 0 need.dll", "need.dll"), Row("name-missing", "lib/need.dll", "load 0 need.dll", "126"),
    Row("name-no-suffix", "need.dll", "load 0 need", "need.dll"),
    Row("name-any-case", "Need.DLL", "load 0 nEED.dll", "Need.DLL"),
    Row("name-system", "", "load 0 version.dll", "system", about="version.dll"),
    Row("name-app-before-system", "version.dll", "load 0 version.dll", "version.dll", about="version.dll"),
    Row("name-cwd", "lib/need.dll", "chdir lib; load 0 need.dll", "lib/need.dll", depfix="126", because=UNKNOWN_PATH),
    Row("name-user", "lib/need.dll", "add lib; load 0 need.dll", "126"),
    Row("name-path", "lib/need.dll", "path lib; load 0 need.dll", "lib/need.dll"),
    Row("name-outside-path", "lib/need.dll", "load 0 need.dll", "lib/need.dll", path="lib", depfix="126", because=UNKNOWN_PATH),
    Row("name-system-before-path", "lib/version.dll", "path lib; load 0 version.dll", "system", about="version.dll"),
    Row("import-app", "pkg/asked.dll need.dll", "load 0 pkg/asked.dll", "need.dll"),
    Row("import-beside-asked", "pkg/asked.dll pkg/need.dll", "load 0 pkg/asked.dll", "126"),
    Row("import-path", "pkg/asked.dll lib/need.dll", "path lib; load 0 pkg/asked.dll", "lib/need.dll"),
    Row("setdll", "lib/need.dll", "setdll lib; load 0 need.dll", "lib/need.dll"),
    Row("setdll-import", "pkg/asked.dll lib/need.dll", "setdll lib; load 0 pkg/asked.dll", "lib/need.dll"),
    Row("setdll-behind-app", "need.dll lib/need.dll", "setdll lib; load 0 need.dll", "need.dll"),
    Row("setdll-before-system", "lib/version.dll", "setdll lib; load 0 version.dll", "lib/version.dll", about="version.dll"),
    Row("setdll-before-path", "lib/need.dll bin/need.dll", "path bin; setdll lib; load 0 need.dll", "lib/need.dll"),
    Row("setdll-replaced", "a/need.dll", "setdll a; setdll b; load 0 need.dll", "126"),
    Row("setdll-reset", "a/need.dll", "setdll a; setdll none; load 0 need.dll", "126"),
    Row("setdll-empty-resets", "a/need.dll", "setdll a; setdll -; load 0 need.dll", "126"),
    Row("setdll-empty-no-cwd", "lib/need.dll", "setdll -; chdir lib; load 0 need.dll", "126", wine="lib/need.dll",
        because="Wine 8 searches the current directory after SetDllDirectory(\"\"), too"),
    Row("setdll-no-cwd", "lib/need.dll", "setdll other; chdir lib; load 0 need.dll", "126"),
    Row("altered-beside", "pkg/asked.dll pkg/need.dll", "load 8 pkg/asked.dll", "pkg/need.dll"),
    Row("altered-no-app", "pkg/asked.dll need.dll", "load 8 pkg/asked.dll", "126"),
    Row("altered-any-depth", "pkg/outer.dll pkg/middle.dll pkg/need.dll", "load 8 pkg/outer.dll", "pkg/need.dll"),
    Row("altered-system", "pkg/asked.dll=asks_version version.dll", "load 8 pkg/asked.dll", "system", about="version.dll"),
    Row("altered-path", "pkg/asked.dll lib/need.dll", "path lib; load 8 pkg/asked.dll", "lib/need.dll"),
    Row("altered-user", "pkg/asked.dll lib/need.dll", "add lib; load 8 pkg/asked.dll", "126"),
    Row("altered-setdll", "pkg/asked.dll lib/need.dll", "setdll lib; load 8 pkg/asked.dll", "lib/need.dll"),
    Row("altered-beside-before-setdll", "pkg/asked.dll pkg/need.dll lib/need.dll", "setdll lib; load 8 pkg/asked.dll",
        "pkg/need.dll"),
    Row("altered-cwd", "pkg/asked.dll lib/need.dll", "chdir lib; load 8 pkg/asked.dll", "lib/need.dll", depfix="126",
        because=UNKNOWN_PATH),
]  # fmt: skip

# --- the LOAD_LIBRARY_SEARCH flags -----------------------------------------------------------------------------------

# Which flags each folder serves: DLL_LOAD_DIR 0x100, APPLICATION_DIR 0x200, USER_DIRS 0x400, SYSTEM32 0x800, and
# DEFAULT_DIRS 0x1000 for the last three.
SERVES = {"pkg": 0x100, "": 0x1200, "added": 0x1400, "set": 0x1400, "path": 0, "cwd": 0}
SETUP = "add added; setdll set; path path; chdir cwd; "
FLAGS = [
    *(
        Row(f"flags-{flags:#x}-{folder or 'app'}", f"pkg/asked.dll {folder}/need.dll".replace(" /", " "),
            f"{SETUP}load {flags:#x} pkg/asked.dll", f"{folder}/need.dll".lstrip("/") if flags & serves else "126")
        for folder, serves in SERVES.items()
        for flags in (range(0x100, 0x2000, 0x100) if serves else (0x1F00,))
    ),
    *(
        Row(f"flags-{flags:#x}-system", "pkg/asked.dll=asks_version", f"load {flags:#x} pkg/asked.dll",
            "system" if flags & 0x1800 else "126", about="version.dll")
        for flags in range(0x100, 0x2000, 0x100)
    ),
    Row("flags-order-asked-first", "pkg/asked.dll pkg/need.dll need.dll", "load 0x1100 pkg/asked.dll", "pkg/need.dll"),
    Row("flags-order-app-before-user", "need.dll lib/need.dll", "add lib; load 0x1000 need.dll", "need.dll"),
    Row("flags-order-user-before-system", "lib/version.dll", "add lib; load 0x1000 version.dll", "lib/version.dll",
        about="version.dll"),
    Row("flags-two-user-directories", "a/need.dll b/need.dll", "add a; add b; load 0x1000 need.dll", "a/need.dll|b/need.dll"),
    Row("flags-second-user-directory", "b/need.dll", "add a; add b; load 0x1000 need.dll", "b/need.dll"),
    Row("flags-added-and-set", "b/need.dll", "add a; setdll b; load 0x1000 need.dll", "b/need.dll"),
    Row("flags-removed", "lib/need.dll", "add lib; remove; load 0x1000 need.dll", "126"),
    Row("flags-added-twice-removed-once", "lib/need.dll", "add lib; add lib; remove; load 0x1000 need.dll", "lib/need.dll"),
    Row("flags-setdll-replaced", "a/need.dll", "setdll a; setdll b; load 0x1000 need.dll", "126"),
    Row("flags-setdll-reset", "a/need.dll", "setdll a; setdll none; load 0x1000 need.dll", "126"),
    Row("flags-any-depth", "pkg/outer.dll middle.dll pkg/need.dll", "load 0x1100 pkg/outer.dll", "pkg/need.dll"),
    Row("flags-other-root", "pkg/outer.dll middle.dll pkg/need.dll", "load 0x1100 ./middle.dll", "126"),
    Row("flags-load-dir-of-a-name", "need.dll", "load 0x1100 need.dll", "87", depfix="need.dll", because=BAD_CALL),
    Row("flags-with-altered", "pkg/asked.dll need.dll", "load 0x1008 pkg/asked.dll", "87", depfix="need.dll", because=BAD_CALL),
    Row("nuitka-beside", "pkg/asked.dll pkg/need.dll", "setdll -; load 0xf00 pkg/asked.dll", "pkg/need.dll"),
    Row("nuitka-app", "pkg/asked.dll need.dll", "setdll -; load 0xf00 pkg/asked.dll", "need.dll"),
    Row("nuitka-user", "pkg/asked.dll lib/need.dll", "setdll -; add lib; load 0xf00 pkg/asked.dll", "lib/need.dll"),
    Row("nuitka-path-cwd", "pkg/asked.dll lib/need.dll", "setdll -; path lib; chdir lib; load 0xf00 pkg/asked.dll", "126"),
    Row("defaults-system-only", "need.dll", "defaultdirs 0x800; load 0 need.dll", "126"),
    Row("defaults-app", "need.dll", "defaultdirs 0x1000; load 0 need.dll", "need.dll"),
    Row("defaults-user", "lib/need.dll", "defaultdirs 0x1000; add lib; load 0 need.dll", "lib/need.dll"),
    Row("defaults-no-path", "lib/need.dll", "defaultdirs 0x1000; path lib; load 0 need.dll", "126"),
    Row("defaults-import", "pkg/asked.dll pkg/need.dll", "defaultdirs 0x1000; load 0 pkg/asked.dll", "126"),
    Row("defaults-and-flags", "need.dll", "defaultdirs 0x800; load 0x200 need.dll", "need.dll"),
]  # fmt: skip

# --- what comes before every search ----------------------------------------------------------------------------------

BEFORE = [
    Row("loaded-import", "far/need.dll pkg/asked.dll", "load 0x1100 far/need.dll; load 0x1100 pkg/asked.dll", "far/need.dll"),
    Row("loaded-before-beside", "far/need.dll pkg/asked.dll pkg/need.dll",
        "load 0x1100 far/need.dll; load 0x1100 pkg/asked.dll", "far/need.dll"),
    Row("loaded-any-case", "far/NEED.dll pkg/asked.dll", "load 0x1100 far/NEED.dll; load 0x1100 pkg/asked.dll", "far/NEED.dll"),
    Row("loaded-name", "far/need.dll need.dll", "load 0x1100 far/need.dll; load 0x1000 need.dll", "far/need.dll"),
    Row("loaded-other-name", "far/other.dll pkg/asked.dll", "load 0x1100 far/other.dll; load 0x1100 pkg/asked.dll", "126"),
    Row("loaded-too-late", "far/need.dll pkg/asked.dll", "load 0x1100 pkg/asked.dll; load 0x1100 far/need.dll; "
        "load 0x1100 pkg/asked.dll", "far/need.dll"),
    Row("loaded-not-for-a-path", "far/asked.dll=refusing pkg/asked.dll pkg/need.dll",
        "load 0x1100 far/asked.dll; load 0x1100 pkg/asked.dll", "pkg/need.dll"),
    Row("known-name", "ws2_32.dll", "load 0 ws2_32.dll", "system", about="ws2_32.dll", wine="ws2_32.dll",
        because=NO_KNOWN_DLLS),
    Row("known-import", "pkg/asked.dll=asks_ws2_32 pkg/ws2_32.dll ws2_32.dll", "load 0x1100 pkg/asked.dll", "system",
        about="ws2_32.dll", wine="pkg/ws2_32.dll", because=NO_KNOWN_DLLS),
    Row("not-known-import", "pkg/asked.dll=asks_version pkg/version.dll", "load 0x1100 pkg/asked.dll",
        "pkg/version.dll", about="version.dll"),
    Row("not-known-name", "dbghelp.dll", "load 0 dbghelp.dll", "dbghelp.dll", about="dbghelp.dll"),
    Row("api-set-name", "api-ms-win-crt-heap-l1-1-0.dll=text", "load 0 api-ms-win-crt-heap-l1-1-0.dll", "system",
        about="ucrtbase.dll"),
    Row("api-set-import", "api-ms-win-crt-runtime-l1-1-0.dll=text api-ms-win-crt-stdio-l1-1-0.dll=text pkg/asked.dll "
        "need.dll", "load 0x1100 pkg/asked.dll", "system", about="ucrtbase.dll"),
    Row("api-set-unknown-is-a-file", "api-ms-nobody-knows-l1-1-0.dll pkg/asked.dll=asks_set",
        "load 0x1100 pkg/asked.dll", "api-ms-nobody-knows-l1-1-0.dll", about="api-ms-nobody-knows-l1-1-0.dll"),
    Row("api-set-unknown-missing", "pkg/asked.dll=asks_set", "load 0x1100 pkg/asked.dll", "126",
        about="api-ms-nobody-knows-l1-1-0.dll"),
]  # fmt: skip

# --- what is found, and does not do ----------------------------------------------------------------------------------

LAZY = "load 0x1100 pkg/lazy.dll; call lazy.dll call_later"
FOUND = [
    Row("delay-loads-without", "pkg/lazy.dll", "load 0x1100 pkg/lazy.dll", "-", depfix="0xC06D007E",
        because="depfix speaks of the first call"),
    Row("delay-missing", "pkg/lazy.dll", LAZY, "0xC06D007E"), Row("delay-app", "pkg/lazy.dll need.dll", LAZY, "need.dll"),
    Row("delay-beside", "pkg/lazy.dll pkg/need.dll", LAZY, "0xC06D007E"),
    Row("delay-loaded", "pkg/lazy.dll far/need.dll", f"load 0x1100 far/need.dll; {LAZY}", "far/need.dll"),
    Row("delay-path", "pkg/lazy.dll lib/need.dll", f"path lib; {LAZY}", "lib/need.dll"),
    Row("delay-user", "pkg/lazy.dll lib/need.dll", f"add lib; {LAZY}", "0xC06D007E"),
    Row("delay-setdll", "pkg/lazy.dll lib/need.dll", f"setdll lib; {LAZY}", "lib/need.dll"),
    Row("delay-later-directories", "pkg/lazy.dll lib/need.dll",
        "load 0x1100 pkg/lazy.dll; path lib; call lazy.dll call_later", "lib/need.dll"),
    Row("init-refuses", "pkg/asked.dll need.dll=refusing", "load 0x1100 pkg/asked.dll", "1114", depfix="need.dll",
        because=AT_RUN_TIME),
    Row("symbol-missing", "pkg/asked.dll need.dll=lacking", "load 0x1100 pkg/asked.dll", "127", wine="need.dll",
        because=NO_SYMBOL_CHECK),
    Row("symbol-of-the-first-found", "pkg/asked.dll pkg/need.dll=lacking need.dll", "load 0x1100 pkg/asked.dll", "127",
        wine="pkg/need.dll", because=NO_SYMBOL_CHECK),
    Row("symbol-of-the-loaded", "far/need.dll=lacking pkg/asked.dll pkg/need.dll",
        "load 0x1100 far/need.dll; load 0x1100 pkg/asked.dll", "127", wine="far/need.dll", because=NO_SYMBOL_CHECK),
    Row("forwarder-present", "pkg/asked.dll=asks_far pkg/need.dll=forwarding pkg/target.dll",
        "load 0x1100 pkg/asked.dll", "pkg/target.dll", about="target.dll"),
    Row("forwarder-app", "pkg/asked.dll=asks_far pkg/need.dll=forwarding target.dll", "load 0x1100 pkg/asked.dll", "target.dll",
        about="target.dll"),
    Row("forwarder-missing", "pkg/asked.dll=asks_far need.dll=forwarding", "load 0x1100 pkg/asked.dll", "126|127",
        about="target.dll", wine="-", because=NO_FORWARDER),
    Row("forwarder-not-imported", "pkg/asked.dll need.dll=forwarding", "load 0x1100 pkg/asked.dll", "need.dll"),
    Row("forwarder-chain", "pkg/asked.dll=asks_far need.dll=forwarding target.dll=forwarding_on last.dll",
        "load 0x1100 pkg/asked.dll", "last.dll", about="last.dll"),
    Row("forwarder-chain-missing", "pkg/asked.dll=asks_far need.dll=forwarding target.dll=forwarding_on",
        "load 0x1100 pkg/asked.dll", "126|127", about="last.dll", wine="-", because=NO_FORWARDER),
    Row("forwarder-loaded", "far/target.dll pkg/asked.dll=asks_far need.dll=forwarding",
        "load 0x1100 far/target.dll; load 0x1100 pkg/asked.dll", "far/target.dll", about="target.dll"),
    Row("dependent-flags", "pkg/asked.dll=dependent need.dll", "load 0x1100 pkg/asked.dll", "126", wine="need.dll",
        because=NO_DEPENDENT_FLAGS),
    Row("dependent-flags-own-directory", "pkg/asked.dll=dependent_own pkg/need.dll", "load 0 pkg/asked.dll",
        "pkg/need.dll", wine="126", because=NO_DEPENDENT_FLAGS),
    *(
        Row(f"{kind}-import", f"pkg/asked.dll need.dll={kind}", "load 0x1100 pkg/asked.dll", "193", wine="126",
            because=OLD_WINE)
        for kind in ("x86", "arm64", "empty", "text", "truncated")
    ),
    *(
        Row(f"{kind}-asked", f"need.dll={kind}", "load 0x1100 ./need.dll", "193")
        for kind in ("x86", "arm64", "empty", "text", "truncated")
    ),
    # Not in Microsoft's documentation. A reading of Windows 10's own code says that it passes over an image for another
    # machine (https://github.com/paskalian/WID_LoadLibrary fLdrpMapDllSearchPath), reports from users say 193 on the first
    # match. depfix says 193: such a file before the right one is a defect on either reading.
    Row("x86-first", "pkg/asked.dll pkg/need.dll=x86 need.dll", "load 0x1100 pkg/asked.dll", "193", wine="need.dll",
        because="Wine 8 passes over x86"),
    Row("arm64-first", "pkg/asked.dll pkg/need.dll=arm64 need.dll", "load 0x1100 pkg/asked.dll", "193", wine="126",
        because=OLD_WINE),
    *(
        Row(f"{kind}-first", f"pkg/asked.dll pkg/need.dll={kind} need.dll", "load 0x1100 pkg/asked.dll", "193",
            wine="126", because=OLD_WINE)
        for kind in ("empty", "text", "truncated")
    ),
    Row("x86-behind", "pkg/asked.dll pkg/need.dll need.dll=x86", "load 0x1100 pkg/asked.dll", "pkg/need.dll"),
    Row("second-load-path", "pkg/asked.dll lib/need.dll", "load 0x1100 pkg/asked.dll; path lib; load 0 pkg/asked.dll",
        "lib/need.dll"),
    Row("second-load-user", "pkg/asked.dll lib/need.dll", "load 0x1100 pkg/asked.dll; add lib; "
        "load 0x1100 pkg/asked.dll", "lib/need.dll"),
    Row("second-load-in-vain", "pkg/asked.dll lib/need.dll", "load 0x1100 pkg/asked.dll; add lib; load 0 pkg/asked.dll", "126"),
]  # fmt: skip

# --- Python ----------------------------------------------------------------------------------------------------------

CORE = "from . import core"
ADD = "os.add_dll_directory(TOP + '/lib')"
SET_PATH = "os.environ['PATH'] = os.path.join(TOP, 'lib') + os.pathsep + os.environ['PATH']"
PYTHON = [
    Row("pyd-beside", "pkg/core.pyd pkg/need.dll", CORE, "pkg/need.dll"),
    Row("pyd-app", "pkg/core.pyd need.dll", CORE, "need.dll"),
    Row("pyd-missing", "pkg/core.pyd", CORE, "126"), Row("pyd-elsewhere", "pkg/core.pyd lib/need.dll", CORE, "126"),
    Row("pyd-user", "pkg/core.pyd lib/need.dll", f"{ADD}\n{CORE}", "lib/need.dll"),
    Row("pyd-user-too-late", "pkg/core.pyd lib/need.dll", f"{CORE}\n{ADD}", "126"),
    Row("pyd-user-closed", "pkg/core.pyd lib/need.dll", f"cookie = {ADD}\ncookie.close()\n{CORE}", "126"),
    Row("pyd-user-with", "pkg/core.pyd lib/need.dll", f"with {ADD}:\n    {CORE}", "lib/need.dll"),
    Row("pyd-user-after-with", "pkg/core.pyd lib/need.dll", f"with {ADD}:\n    pass\n{CORE}", "126"),
    Row("pyd-path", "pkg/core.pyd lib/need.dll", f"{SET_PATH}\n{CORE}", "126"),
    Row("pyd-cwd", "pkg/core.pyd lib/need.dll", f"os.chdir(TOP + '/lib')\n{CORE}", "126"),
    Row("pyd-setdll", "pkg/core.pyd lib/need.dll",
        f"ctypes.windll.kernel32.SetDllDirectoryW(os.path.join(TOP, 'lib'))\n{CORE}", "lib/need.dll"),
    Row("pyd-loaded", "pkg/core.pyd lib/need.dll", f"ctypes.CDLL(os.path.join(TOP, 'lib', 'need.dll'))\n{CORE}",
        "lib/need.dll"),
    Row("pyd-loaded-other-name", "pkg/core.pyd lib/other.dll",
        f"ctypes.CDLL(os.path.join(TOP, 'lib', 'other.dll'))\n{CORE}", "126"),
    Row("pyd-any-depth", "pkg/core.pyd need.dll=deep pkg/last.dll", CORE, "pkg/last.dll", about="last.dll"),
    Row("pyd-x86", "pkg/core.pyd need.dll=x86", CORE, "193", wine="126", because=OLD_WINE),
    Row("ctypes-path", "pkg/need.dll", "ctypes.CDLL(os.path.join(HERE, 'need.dll'))", "pkg/need.dll"),
    Row("ctypes-path-import-beside", "lib/asked.dll lib/need.dll", "ctypes.CDLL(os.path.join(TOP, 'lib', 'asked.dll'))",
        "lib/need.dll"),
    Row("ctypes-path-import-app", "lib/asked.dll need.dll", "ctypes.CDLL(os.path.join(TOP, 'lib', 'asked.dll'))", "need.dll"),
    Row("ctypes-name", "need.dll", "ctypes.CDLL('need.dll')", "need.dll"),
    Row("ctypes-name-elsewhere", "pkg/need.dll", "ctypes.CDLL('need.dll')", "126"),
    Row("ctypes-name-no-suffix", "need.dll", "ctypes.CDLL('need')", "need.dll"),
    Row("ctypes-name-dot", "need", "ctypes.CDLL('need.')", "need", about="need"),
    Row("ctypes-name-dot-is-not-dll", "need.dll", "ctypes.CDLL('need.')", "126", about="need"),
    Row("ctypes-name-user", "lib/need.dll", f"{ADD}\nctypes.CDLL('need.dll')", "lib/need.dll"),
    Row("ctypes-name-path", "lib/need.dll", f"{SET_PATH}\nctypes.CDLL('need.dll')", "126"),
    Row("ctypes-name-cwd", "lib/need.dll", "os.chdir(TOP + '/lib')\nctypes.CDLL('need.dll')", "126"),
    Row("ctypes-name-loaded", "lib/need.dll need.dll",
        "ctypes.CDLL(os.path.join(TOP, 'lib', 'need.dll'))\nctypes.CDLL('need.dll')", "lib/need.dll"),
    Row("ctypes-attribute", "need.dll", "ctypes.windll.need", "need.dll"),
    Row("ctypes-load-library", "need.dll", "ctypes.cdll.LoadLibrary('need.dll')", "need.dll"),
    Row("ctypes-app-before-system", "dbghelp.dll", "ctypes.WinDLL('dbghelp')", "dbghelp.dll", about="dbghelp.dll"),
    Row("winmode-0-app", "need.dll", "ctypes.CDLL('need.dll', winmode=0)", "need.dll"),
    Row("winmode-0-path", "lib/need.dll", f"{SET_PATH}\nctypes.CDLL('need.dll', winmode=0)", "lib/need.dll"),
    Row("winmode-0-user", "lib/need.dll", f"{ADD}\nctypes.CDLL('need.dll', winmode=0)", "126"),
    Row("winmode-0-cwd", "lib/need.dll", "os.chdir(TOP + '/lib')\nctypes.CDLL('need.dll', winmode=0)", "lib/need.dll",
        depfix="126", because=UNKNOWN_PATH),
    Row("winmode-8-beside", "lib/asked.dll lib/need.dll",
        "ctypes.CDLL(os.path.join(TOP, 'lib', 'asked.dll'), winmode=8)", "lib/need.dll"),
    Row("winmode-8-no-app", "lib/asked.dll need.dll", "ctypes.CDLL(os.path.join(TOP, 'lib', 'asked.dll'), winmode=8)", "126"),
    Row("winmode-8-path", "pkg/asked.dll lib/need.dll",
        f"{SET_PATH}\nctypes.CDLL(os.path.join(HERE, 'asked.dll'), winmode=8)", "lib/need.dll"),
    Row("torch-fallback", "pkg/asked.dll lib/need.dll",
        "kernel32 = ctypes.WinDLL('kernel32.dll', use_last_error=True)\npath = os.path.join(HERE, 'asked.dll')\n"
        "if not kernel32.LoadLibraryExW(path, None, 0x1100) and ctypes.get_last_error() == 126:\n"
        f"    {SET_PATH}\n    if not kernel32.LoadLibraryW(path):\n        raise OSError(path)", "lib/need.dll"),
]  # fmt: skip

ROWS = [*STANDARD, *FLAGS, *BEFORE, *FOUND, *(replace(one, python=True) for one in PYTHON)]
BY_NAME = {one.name: one for one in ROWS}

# --- depfix ----------------------------------------------------------------------------------------------------------

# The rules that are about finding and binding a DLL; others, such as a bundled system DLL, are no matter of the loader's.
ERRORS = {
    "DF101": "126",
    "DF102": "0xC06D007E",
    "DF103": "126",
    "DF104": "127",
    "DF105": "193",
    "DF208": "193",
    "DF106": "126",
}
ERRORS |= {"DF107": "126", "DF108": "126"}


def depfix_says(dist: Path, about: str) -> str:
    """Return depfix's answer: the error of its finding, else where it says that the DLL is taken from."""
    options = Options(environ={})
    found = [one for one in scan(str(dist), options).findings if one.rule in ERRORS]
    findings = [one for one in found if one.severity is not Severity.INFO]
    if findings:
        return "|".join(sorted({error(one, about) for one in findings}))
    try:
        return "|".join(sorted(place(one.node) for one in why(str(dist), about, options))) or "-"
    except UnknownNameError:
        return "-"


def error(finding: Finding, about: str) -> str:
    if finding.subject != about:
        return f"{finding.rule} {finding.subject}"
    return ERRORS[
        "DF102" if finding.severity is Severity.WARNING else finding.rule
    ]  # a misplaced DLL may be delay-loaded


def place(node: Node) -> str:
    return "system" if node.kind is NodeKind.SYSTEM else node.name


# --- Wine ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dists() -> Iterator[Path]:
    """Lay every row's dist out beside the compiled parts, so that they are linked and not copied."""
    (CACHE / "loader-table").mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(dir=CACHE / "loader-table"))
    for one in ROWS:
        make_dist(one, root / one.name)
    yield root
    shutil.rmtree(root)


def make_dist(one: Row, root: Path) -> None:
    """Make a row's dist. Its program is the same for depfix and for Wine, as Python source and as arguments."""
    files = one.files.split()
    if not one.python and one.does:
        files += ["app.exe", "python310.dll"]
    lay_out(root, files, python=one.python)
    for folder in [*re.findall(r"(?:add|setdll|chdir|path) (\w+)", one.does), "lib", "pkg"]:
        (root / folder).mkdir(exist_ok=True)
    if one.does:
        (root / "pkg" / "__init__.py").write_text(PRELUDE + (one.does if one.python else as_python(one.does)))


@pytest.fixture(scope="module")
def wine_answers(wine: None, dists: Path) -> dict[str, str]:
    """Run every row's program, with two starts of Wine for the whole table."""
    (dists / "harness.py").write_text(HARNESS)
    return answers([Trial(one.name, dists / one.name, arguments(one, dists), one.cwd, one.path) for one in ROWS], dists)


def arguments(one: Row, folder: Path) -> tuple[str, ...]:
    if one.python:
        return (windows_path(folder / "harness.py"), one.about)
    return (one.about, *one.does.replace(";", "").split())


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_depfix_says_what_windows_does(dists: Path, name: str) -> None:
    one = BY_NAME[name]
    assert fold(depfix_says(dists / name, one.about)) in fold(one.depfix or one.windows).split("|")


@pytest.mark.lab
@pytest.mark.parametrize("name", BY_NAME)
def test_the_real_loader_says_so_too(wine_answers: dict[str, str], name: str) -> None:
    one = BY_NAME[name]
    assert fold(wine_answers[name]) in fold(one.wine or one.windows).split("|")


def test_every_difference_has_its_reason() -> None:
    assert len(BY_NAME) == len(ROWS)
    assert [one.name for one in ROWS if bool(one.because) != bool(one.wine or one.depfix)] == []
