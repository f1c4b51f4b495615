"""What a bug report needs to say of this machine, and whether depfix can work on it. Nothing secret is among it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from depfix import __version__
from depfix.errors import DepfixError
from depfix.model.doctor import Check, Diagnosis, Fact

# Variables whose values say how depfix works; all but these stay untold. Of those below only that they are set is told.
_TOLD = ("DEPFIX_CACHE_DIR", "DEPFIX_DEBUG", "NO_COLOR", "FORCE_COLOR", "TERM", "LANG", "LC_ALL", "PYTHONUTF8")
_TOLD_IF_SET = ("CONDA_PREFIX", "VIRTUAL_ENV", "CI", "GITHUB_ACTIONS", "WT_SESSION", "PYTHONIOENCODING")
_TOOLS = ("wine", "Xvfb", "nuitka", "pyinstaller", "conda", "mamba", "micromamba")
_PACKAGES = ("click", "rich", "msgspec", "pefile", "networkx", "packaging", "pyyaml", "jinja2", "cyclonedx-python-lib")
_MOST_ENVIRONMENTS = 20
_LONG_PATHS = r"SYSTEM\CurrentControlSet\Control\FileSystem"
_WINDOWS = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"

Rows: TypeAlias = "Callable[[Mapping[str, str]], Iterator[tuple[str, str]]]"


def doctor(environ: Mapping[str, str] | None = None) -> Diagnosis:
    """Return what a bug report needs to say of this machine, and whether all that depfix needs works.

    The home folder is written ~, and of environment variables only a few named ones are told. Never raises.

    >>> found = depfix.doctor()
    >>> found.is_well, {fact.section for fact in found.facts} >= {"depfix", "system", "cache"}
    (True, True)
    """
    variables = os.environ if environ is None else environ
    homes = _homes(variables)
    facts = (
        Fact(section, name, _without_home(value, homes))
        for section, rows in _SECTIONS.items()
        for name, value in _rows_of(rows, variables)
    )
    return Diagnosis(tuple(facts), tuple(_checked(name, check, homes) for name, check in _CHECKS.items()))


def _rows_of(rows: Rows, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        yield from rows(environ)
    except Exception as error:  # what cannot be told must not keep the rest from being told
        yield "not known", f"{type(error).__name__}: {error}"


# --- facts -----------------------------------------------------------------------------------------------------------


def _depfix(_environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    from hashlib import sha256

    from depfix.api.machine import installed_extensions, tables

    yield "version", __version__
    yield "installed in", os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = tuple(tables())
    digest = sha256("".join(table.sha256 for table in found).encode()).hexdigest()[:12]
    yield "tables", f"{len(found)}, together {digest} (each: depfix --version)"
    for one in installed_extensions():
        yield "extension", f"{one.group} {one.name} of {one.provider}"


def _python(_environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    import platform

    yield "version", f"{platform.python_implementation()} {platform.python_version()}, {platform.architecture()[0]}"
    yield "program", sys.executable
    yield "prefix", sys.prefix if sys.prefix == sys.base_prefix else f"{sys.prefix} (over {sys.base_prefix})"


def _packages(_environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        yield name, _version(name) or "not installed"
    nuitka = _version("nuitka")
    advice = "not installed beside depfix (that of an environment is read, or: pip install depfix[nuitka])"
    yield "nuitka", f"{nuitka}: its rules for packages are read" if nuitka else advice


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _system(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    import platform

    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    if sys.platform == "win32":
        yield from _windows(environ)
    else:
        yield "version", platform.version()
    yield "processors", str(os.cpu_count() or "unknown")
    yield "current folder", os.getcwd()


def _windows(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what only Windows has. Sources: Microsoft Learn, "Maximum Path Length Limitation" (LongPathsEnabled)
    https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation ; Wine, "Developer FAQ" (the function
    wine_get_version of ntdll tells Wine) https://gitlab.winehq.org/wine/wine/-/wikis/Developer-FAQ
    """
    import ctypes
    import platform

    edition = _registry(_WINDOWS, "EditionID") or "unknown edition"
    build = f"{platform.version()}.{_registry(_WINDOWS, 'UBR') or '0'}"
    yield "Windows", f"{_registry(_WINDOWS, 'ProductName') or 'Windows'}, {edition}, {build}"
    libraries = getattr(ctypes, "windll", None)
    wine = getattr(libraries.ntdll, "wine_get_version", None) if libraries is not None else None
    if wine is not None:
        wine.restype = ctypes.c_char_p
        yield "Wine", wine().decode("ascii", "replace")
    yield (
        "long paths",
        "on" if _registry(_LONG_PATHS, "LongPathsEnabled") == "1" else "off (paths end at 259 characters)",
    )
    if libraries is not None:
        yield "code pages", f"ANSI {libraries.kernel32.GetACP()}, console {libraries.kernel32.GetConsoleOutputCP()}"
    yield "terminal", "Windows Terminal" if environ.get("WT_SESSION") else "console"


def _registry(key: str, name: str) -> str:
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:  # type: ignore[attr-defined,unused-ignore]
            return str(winreg.QueryValueEx(opened, name)[0])  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return ""


def _texts(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    import locale

    yield "locale", ".".join(filter(None, locale.getlocale())) or "C"
    yield "preferred encoding", locale.getpreferredencoding(False)
    yield "file names", f"{sys.getfilesystemencoding()}, {sys.getfilesystemencodeerrors()}"
    for name, stream in (("standard output", sys.stdout), ("standard error", sys.stderr)):
        encoding = getattr(stream, "encoding", None) or "none"
        terminal = "a terminal" if stream is not None and stream.isatty() else "no terminal"
        yield name, f"{encoding}, {terminal}"
    yield from ((name, environ[name]) for name in _TOLD if environ.get(name))
    yield from ((name, "is set") for name in _TOLD_IF_SET if environ.get(name))


def _tools(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    import shutil

    for name in _TOOLS:
        yield name, shutil.which(name, path=environ.get("PATH", "")) or "not found"


def _environments(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    from depfix.api.machine import environments

    found = environments(environ=environ).found
    for info, _ in found[:_MOST_ENVIRONMENTS]:
        machine = info.machine.words if info.machine is not None else "no machine"
        python = f"Python {info.python}" if info.python else "no Python"
        yield info.spec, ", ".join(filter(None, (info.kind, python, machine, info.note)))
    if len(found) > _MOST_ENVIRONMENTS:
        yield "more", f"{len(found) - _MOST_ENVIRONMENTS} (depfix envs)"
    if not found:
        yield "none", "--env names one by its folder"


def _cache(_environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    from depfix.api.machine import cache_usage

    usage = cache_usage()
    yield "file", usage.path
    yield "holds", f"not used: {usage.problem}" if usage.problem else f"{usage.rows:,} rows, {usage.size:,} bytes"


_SECTIONS: dict[str, Rows] = {
    "depfix": _depfix,
    "Python": _python,
    "packages": _packages,
    "system": _system,
    "texts": _texts,
    "tools": _tools,
    "environments": _environments,
    "cache": _cache,
}


# --- checks ----------------------------------------------------------------------------------------------------------


def _checked(name: str, check: Callable[[], str], homes: tuple[str, ...]) -> Check:
    try:
        return Check(name, True, _without_home(check(), homes))
    except (DepfixError, OSError, ImportError, ValueError) as error:
        words = str(error) or type(error).__name__
        advice = f" ({error.hint})" if isinstance(error, DepfixError) and error.hint else ""
        return Check(name, False, _without_home(words + advice, homes))


def _tables_are_whole() -> str:
    from depfix.knowledge.failures import failures
    from depfix.knowledge.rules import own_rules
    from depfix.knowledge.tables import vc_runtimes
    from depfix.knowledge.targets import targets

    vc_runtimes()
    return f"{len(own_rules())} rules, {len(targets())} targets, {len(failures())} kinds of errors"


def _cache_can_be_written() -> str:
    import tempfile

    from depfix.cache.place import cache_folder

    folder = cache_folder(os.environ)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    from depfix.api.machine import cache_usage

    problem = cache_usage().problem
    if problem:
        raise ValueError(f"{problem}: depfix is slower, and no less right (depfix cache clear)")
    return folder


def _temporary_files_can_be_written() -> str:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="depfix-") as folder:
        return os.path.dirname(folder)


def _libraries_can_be_imported() -> str:
    import jinja2  # noqa: F401
    import msgspec
    import networkx  # noqa: F401
    import pefile  # noqa: F401
    import rich  # noqa: F401
    import yaml  # noqa: F401

    return f"msgspec {msgspec.__version__} and the others"


def _extensions_can_be_used() -> str:
    from depfix.api.machine import installed_extensions
    from depfix.knowledge.rules import extension_rules

    problem = next((row.problem for row in extension_rules() if row.problem is not None), None)
    if problem is not None:
        raise problem
    return f"{len(installed_extensions())} installed"


_CHECKS: dict[str, Callable[[], str]] = {
    "tables of facts": _tables_are_whole,
    "libraries": _libraries_can_be_imported,
    "cache": _cache_can_be_written,
    "temporary files": _temporary_files_can_be_written,
    "extensions": _extensions_can_be_used,
}


# --- what is not told ------------------------------------------------------------------------------------------------


def _homes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the home folder in each way in which a path may name it, the longest first."""
    found = {os.path.expanduser("~"), environ.get("USERPROFILE", ""), environ.get("HOME", "")}
    found |= {os.path.realpath(folder) for folder in found if folder}
    return tuple(sorted((folder for folder in found if len(folder) > 3 and folder != "~"), key=len, reverse=True))


def _without_home(text: str, homes: tuple[str, ...]) -> str:
    for folder in homes:
        flags = re.IGNORECASE if sys.platform == "win32" else 0
        text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "~", text, flags=flags)
    return text
