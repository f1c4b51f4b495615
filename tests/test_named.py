"""DF106: DLLs that code loads by name when it runs, found as names in the data of images and in Python sources."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from fixtures.windows_lab import CACHE
from tests.conftest import DistMaker, Forge, put
from tests.repairing import repair

MakeConda = Callable[..., Path]
MakeDist = Callable[..., Path]

CORE = {"pkg/__init__.py": "from . import core\n"}
LOAD = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'bin', {name!r}))\n"
_MARK = b"the names of DLLs begin here"
_ROOM = 16384


class Namer:
    """Makes DLLs that load others by name; what is compiled stays in the cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def calling(self, call: str, target: Path) -> Path:
        """Put a DLL there, under any name, that has such a call of LoadLibrary in its code."""
        source = f"#include <windows.h>\n__declspec(dllexport) int load(void) {{ return {call} != 0; }}\n"
        return put(self._compiled(source), target)

    def holding(self, names: Iterable[str], target: Path) -> Path:
        """Put a DLL there whose data hold these strings."""
        mark = _MARK.decode()
        source = f'char names[{_ROOM}] = "{mark}";\n__declspec(dllexport) char *first(void) {{ return names; }}\n'
        data = self._compiled(source).read_bytes()
        strings = b"".join(name.encode() + b"\0" for name in names)
        assert data.count(_MARK) == 1
        assert len(strings) <= _ROOM
        at = data.index(_MARK)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data[:at] + strings.ljust(len(_MARK), b"\0") + data[at + max(len(strings), len(_MARK)) :])
        return target

    def _compiled(self, source: str) -> Path:
        key = hashlib.sha256(source.encode()).hexdigest()[:16]
        output = self._folder / f"{key}.dll"
        if not output.exists():
            scratch = self._folder / f"{key}-{os.getpid()}"
            scratch.mkdir(parents=True, exist_ok=True)
            (scratch / "source.c").write_text(source)
            compile_c(scratch / "source.c", scratch / "made.dll").replace(output)
            shutil.rmtree(scratch)
        return output


@pytest.fixture(scope="session")
def namer() -> Namer:
    return Namer(CACHE / "named")


def words(finding: Finding) -> str:
    return f"{finding.rule} {finding.severity.value} {finding.confidence.value} {finding.subject}"


def findings(dist: Path, environment: Path | None = None, entry: Path | None = None) -> tuple[Finding, ...]:
    environments = (f"conda:{environment}",) if environment else ()
    entries = (str(entry),) if entry else ()
    return scan(str(dist), Options(environ={}, environments=environments, entries=entries)).findings


def rows(dist: Path, environment: Path | None = None, entry: Path | None = None) -> set[str]:
    """Return "rule severity confidence subject" of everything that a scan finds."""
    return set(map(words, findings(dist, environment, entry)))


def only(dist: Path, environment: Path | None = None) -> Finding:
    (finding,) = findings(dist, environment)
    return finding


def repaired(dist: Path, environment: Path) -> dict[str, str]:
    """Repair a dist; return {destination: provider} of what was copied."""
    done = repair(str(dist), Options(environ={}, environments=(f"conda:{environment}",)))
    return {action.destination: str(action.provider) for action in done.plan.actions} if done.plan else {}


def own(environment: Path, package: str, files: Iterable[str]) -> None:
    """Let one conda package have installed these files."""
    record = {"name": package, "version": "4.5", "files": list(files), "depends": []}
    (environment / "conda-meta" / f"zz-{package}-4.5-0.json").write_text(json.dumps(record))


@pytest.fixture
def naming(make_dist: DistMaker, namer: Namer) -> Callable[..., Path]:
    """Make a dist whose extension module pkg.core, which the package imports, holds these names."""

    def make(*names: str, first: str = "") -> Path:
        dist = make_dist({}, {"pkg/__init__.py": first + CORE["pkg/__init__.py"]})
        namer.holding(names, dist / "pkg" / "core.pyd")
        return dist

    return make


@pytest.fixture
def loading(make_dist: DistMaker, namer: Namer) -> Callable[..., Path]:
    """Make a dist whose package loads pkg/bin/NAME, a DLL that holds these names."""

    def make(name: str, names: Iterable[str] = ()) -> Path:
        dist = make_dist({}, {"pkg/__init__.py": LOAD.format(name=name)})
        namer.holding(names, dist / "pkg" / "bin" / name)
        return dist

    return make


@pytest.fixture
def plain(forge: Forge) -> Path:
    """A DLL that needs nothing of the dist; what loads it by name does not care what it is."""
    return forge("need.dll")


@pytest.fixture
def needy(forge: Forge) -> Path:
    """A DLL that imports need.dll."""
    return forge("outer.dll", ("need.dll",))


@pytest.fixture
def stocked(make_conda: MakeConda, plain: Path) -> Callable[..., Path]:
    """Make an environment in which one conda package has installed DLLs at these places."""

    def make(*places: str, package: str = "thing", name: str = "env") -> Path:
        environment = make_conda({}, name=name)
        for place in places:
            put(plain, environment / place)
        own(environment, package, places)
        return environment

    return make


@pytest.fixture
def environment(stocked: MakeConda) -> Path:
    return stocked("Library/bin/helper.dll", package="helper", name="helpers")


POSSIBLE = {"DF106 info possible helper.dll"}
PROBABLE = {"DF106 warning probable helper.dll"}


# --- names in the data of images ---


@pytest.mark.parametrize(
    "call",
    [
        'LoadLibraryA("helper.dll")',
        'LoadLibraryW(L"helper.dll")',
        'LoadLibraryExW(L"HELPER.DLL", 0, 0x1000)',
        'LoadLibraryW(L"\\\\bin\\\\Helper.dll")',
    ],
)
def test_a_name_in_the_data_of_a_loaded_image(make_dist: DistMaker, environment: Path, namer: Namer, call: str) -> None:
    dist = make_dist({}, CORE)
    namer.calling(call, dist / "pkg" / "core.pyd")
    assert rows(dist) == set()  # without an environment a string is only a string
    assert rows(dist, environment) == POSSIBLE
    finding = only(dist, environment)
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/core.pyd", "helper.dll")
    assert [place.path for place in finding.locations] == ["pkg/core.pyd"]
    assert "the name stands in its data" in finding.message
    assert repaired(dist, environment) == {}  # a mere possibility is not copied


@pytest.mark.parametrize(
    ("place", "destination"),
    [("Library/bin/helper.dll", "helper.dll"), ("Lib/site-packages/pkg/helper.dll", "pkg/helper.dll")],
)
def test_a_name_of_the_same_package_is_a_warning_and_is_copied(
    naming: MakeDist, stocked: MakeConda, place: str, destination: str
) -> None:
    dist = naming("helper.dll")
    environment = stocked("Lib/site-packages/pkg/core.pyd", place)
    assert rows(dist, environment) == PROBABLE
    assert repaired(dist, environment) == {destination: "thing 4.5"}
    assert rows(dist, environment) == set()


@pytest.mark.parametrize("place", ["helper.dll", "pkg/helper.dll", "pkg/HELPER.dll", "more/helper.dll"])
def test_what_a_named_dll_of_the_dist_needs_is_looked_for(
    naming: MakeDist, plain: Path, needy: Path, place: str
) -> None:
    first = "import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), '..', 'more'))\n"
    dist = naming("helper.dll", first=first)
    put(needy, dist / place)
    finding = only(dist)
    assert words(finding) == "DF101 info possible need.dll"
    assert finding.chain == ("app.exe", "pkg/__init__.py:3", "pkg/core.pyd", place, "need.dll")
    put(plain, dist / "need.dll")
    assert rows(dist) == set()


def test_a_named_dll_is_read_for_names_in_turn(naming: MakeDist, stocked: MakeConda, namer: Namer) -> None:
    dist = naming("helper.dll")
    namer.holding(["second.dll", "core.pyd", "helper.dll"], dist / "helper.dll")
    environment = stocked("Library/bin/second.dll")
    assert rows(dist, environment) == {"DF106 info possible second.dll"}
    assert only(dist, environment).chain[-3:] == ("pkg/core.pyd", "helper.dll", "second.dll")


def test_a_dll_of_the_dist_in_another_folder_is_not_asked_for(naming: MakeDist, environment: Path, plain: Path) -> None:
    dist = naming("helper.dll")
    put(plain, dist / "other" / "helper.dll")
    assert rows(dist, environment) == set()  # code may give the whole path


def test_a_dll_that_is_loaded_already_is_not_missing(naming: MakeDist, environment: Path, plain: Path) -> None:
    dist = naming("helper.dll", first=LOAD.format(name="helper.dll"))
    put(plain, dist / "pkg" / "bin" / "helper.dll")
    assert rows(dist, environment) == set()


@pytest.mark.parametrize(
    ("place", "program", "expected"),
    [
        ("plugins/extra.dll", "import used\n", set()),
        ("unused/core.pyd", "import used\n", set()),
        ("unused/core.pyd", "import used, unused\n", POSSIBLE),
    ],
)
def test_a_name_in_an_image_that_is_never_loaded(
    make_dist: DistMaker, environment: Path, namer: Namer, tmp_path: Path, place: str, program: str, expected: set[str]
) -> None:
    dist = make_dist({}, {"used/__init__.py": "", "unused/__init__.py": "from . import core\n"})
    namer.holding(["helper.dll"], dist / place)
    (tmp_path / "program.py").write_text(program)
    assert rows(dist, environment, tmp_path / "program.py") == expected


@pytest.mark.parametrize(
    "name", "user32.dll dbghelp.dll VERSION.dll api-ms-win-core-file-l1-2-0.dll ucrtbase.dll".split()
)
def test_names_of_windows_own_dlls(naming: MakeDist, stocked: MakeConda, name: str) -> None:
    assert rows(naming(name), stocked(f"Library/bin/{name.lower()}")) == set()


@pytest.mark.parametrize(
    "text",
    ["nobodys.dll", "%s_helper.dll", "lib*helper.dll", "{}helper.dll", "helper.dll is missing", "helper.dllx",
     "helper_dll", ".dll", "helper.pyd", "another_helper.dll"],
)  # fmt: skip
def test_strings_that_name_no_dll_of_the_environment(naming: MakeDist, environment: Path, text: str) -> None:
    assert rows(naming("begin", text), environment) == set()


def test_a_linked_name_is_told_by_its_table_alone(make_dist: DistMaker, stocked: MakeConda) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, CORE)
    assert rows(dist, stocked("Library/bin/need.dll")) == {"DF101 error probable need.dll"}


# --- loads by Python code ---

CALLS = [
    "import ctypes; ctypes.CDLL('helper.dll')",
    "import ctypes; ctypes.CDLL('helper')",
    "import ctypes; ctypes.CDLL(name='helper.dll')",
    "import ctypes; ctypes.WinDLL('helper.dll', use_last_error=True)",
    "import ctypes; ctypes.OleDLL('helper.dll')",
    "import ctypes; ctypes.PyDLL('helper.dll')",
    "import ctypes; ctypes.cdll.LoadLibrary('helper.dll')",
    "import ctypes; ctypes.windll.LoadLibrary('helper.dll')",
    "import ctypes; ctypes.windll.helper.call()",
    "import ctypes; ctypes.cdll['helper.dll']",
    "import ctypes; ctypes.windll['helper'].call()",
    "import ctypes, ctypes.util; ctypes.CDLL(ctypes.util.find_library('helper'))",
    "import ctypes, ctypes.util as u; path = u.find_library('HELPER.DLL'); ctypes.CDLL(path)",
    "from ctypes import WinDLL as Library; Library('helper.dll')",
    "import ctypes as c; k = c.WinDLL('kernel32'); k.LoadLibraryW('helper.dll')",
    "import ctypes as c; c.windll.kernel32.LoadLibraryExW('helper.dll', None, 0x1000)",
    "import cffi; ffi = cffi.FFI(); ffi.dlopen('helper.dll')",
    "from cffi import FFI; FFI().dlopen('helper.dll')",
    "from ._speed import ffi; lib = ffi.dlopen('helper.dll')",
    "import ctypes; NAME = 'helper'; ctypes.CDLL(f'{NAME}.dll')",
    "import ctypes, sys; ctypes.CDLL('helper.dll' if sys.platform == 'win32' else 'libhelper.so')",
    "import ctypes, os; ctypes.CDLL('helper-debug.dll' if 'HELPER_DEBUG' in os.environ else 'helper.dll')",
    "import ctypes, os; ctypes.CDLL('helper.dll' if 'SystemRoot' in os.environ else 'libhelper.so')",
    "import ctypes, sysconfig; ctypes.CDLL('helper-arm.dll' if 'arm' in sysconfig.get_platform() else 'helper.dll')",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_dll_that_a_source_loads_by_name(
    make_dist: DistMaker, environment: Path, plain: Path, needy: Path, call: str
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": f"\n{call}\n"})
    put(plain, dist / "pkg" / "_speed.pyd")
    missing = only(dist)
    assert words(missing) == "DF106 error probable helper.dll"
    assert missing.no_fix == "no environment was given to take it from"
    assert (missing.locations[0].path, missing.locations[0].line) == ("pkg/__init__.py", 2)
    assert missing.chain == ("app.exe", "pkg/__init__.py:2", "helper.dll")
    assert repaired(dist, environment) == {"helper.dll": "helper 4.5"}
    assert rows(dist) == set()
    put(needy, dist / "helper.dll")
    assert rows(dist) == {"DF101 error probable need.dll"}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("import ctypes\ntry:\n    ctypes.CDLL('helper.dll')\nexcept OSError:\n    pass", POSSIBLE),
        ("import contextlib, cffi\nwith contextlib.suppress(OSError):\n    cffi.FFI().dlopen('helper.dll')", POSSIBLE),
        ("import ctypes\ndef later():\n    ctypes.CDLL('helper.dll')", POSSIBLE),
        ("import ctypes, time\nif time.time() > 9:\n    ctypes.CDLL('helper.dll')", POSSIBLE),
        ("import ctypes, ctypes.util as u\npath = u.find_library('helper')\nif path:\n    ctypes.CDLL(path)", POSSIBLE),
        (
            "import ctypes, ctypes.util as u\nctypes.CDLL(u.find_library('helper') or 'user32')",
            POSSIBLE,
        ),
        ("import ctypes, os\nif os.environ.get('HELPER'):\n    ctypes.CDLL('helper.dll')", set()),  # nobody sets it
    ],
)
def test_a_load_that_may_fail_or_may_never_run(
    make_dist: DistMaker, plain: Path, call: str, expected: set[str]
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": call})
    assert rows(dist) == expected
    put(plain, dist / "helper.dll")
    assert rows(dist) == set()


@pytest.mark.parametrize(
    "call",
    [
        "import ctypes, sys\nif sys.platform == 'darwin':\n    ctypes.CDLL('helper.dll')",
        "import ctypes\nctypes.CDLL('libhelper.so.1')",
        "import ctypes\nctypes.CDLL('user32.dll')",
        "import ctypes\nctypes.windll.user32.MessageBoxW",
        "import ctypes\nctypes.pythonapi.Py_IsInitialized()",
        "import ctypes.util\nctypes.util.find_library('helper')",
        "import ctypes, ctypes.util\nctypes.CDLL(ctypes.util.find_library('c'))",
        "import ctypes, ctypes.util\nctypes.CDLL(ctypes.util.find_library('user32'))",
        "import ctypes.util, os\nos.add_dll_directory(os.path.dirname(ctypes.util.find_library('helper')))",
        "import ctypes\nctypes.cdll['user32']",
        "import cffi\ncffi.FFI().dlopen('kernel32')",
    ],
)
def test_loads_that_say_nothing_of_the_dist(make_dist: DistMaker, call: str) -> None:
    assert rows(make_dist({}, {"pkg/__init__.py": call})) == set()


@pytest.mark.parametrize("first", ["next(iter(data.__path__))", "data.__path__[0]", "next(iter(data.__path__), '')"])
def test_a_dll_in_the_folder_of_another_package(make_dist: DistMaker, plain: Path, first: str) -> None:
    source = f"import ctypes, os, data\nctypes.CDLL(os.path.join({first}, 'bin', 'helper.dll'))\n"
    dist = make_dist({}, {"pkg/__init__.py": source, "data/__init__.py": ""})
    assert {row.rpartition(" ")[2] for row in rows(dist)} == {"helper.dll"}
    put(plain, dist / "data" / "bin" / "helper.dll")
    assert rows(dist) == set()


def test_a_dll_that_is_looked_for_along_path(make_dist: DistMaker, plain: Path) -> None:
    source = (
        "import ctypes, os\nfrom ctypes.util import find_library\n"
        "os.environ['PATH'] = os.path.join(os.path.dirname(__file__), 'bin') + ';' + os.environ['PATH']\n"
        "ctypes.CDLL(find_library('helper'))\n"
    )
    dist = make_dist({}, {"pkg/__init__.py": source})
    assert words(only(dist)) == "DF106 error probable helper.dll"
    put(plain, dist / "pkg" / "bin" / "helper.dll")
    assert rows(dist) == set()


FOLDER = "import ctypes, os\nHERE = os.path.dirname(__file__)\nos.add_dll_directory(os.path.join(HERE, 'bin'))\n"


def test_a_load_by_name_looks_in_the_directories_that_code_adds(
    make_dist: DistMaker, stocked: MakeConda, plain: Path
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": FOLDER + "ctypes.CDLL('helper.dll')\n"})
    missing = only(dist)
    assert words(missing) == "DF106 error probable helper.dll"
    assert "directory added by code: pkg/bin" in missing.trail
    put(plain, dist / "pkg" / "bin" / "helper.dll")
    assert rows(dist) == set()
    (dist / "pkg" / "bin" / "helper.dll").unlink()
    environment = stocked("Lib/site-packages/pkg/bin/helper.dll")
    assert list(repaired(dist, environment)) == ["pkg/bin/helper.dll"]


def test_a_load_by_path_is_repaired_at_that_path(make_dist: DistMaker, stocked: MakeConda, needy: Path) -> None:
    dist = make_dist({}, {"pkg/__init__.py": LOAD.format(name="outer.dll")})
    missing = only(dist)
    assert (words(missing), missing.identity) == ("DF106 error probable outer.dll", "pkg/bin/outer.dll")
    environment = stocked("Library/bin/need.dll")
    put(needy, environment / "Library" / "bin" / "outer.dll")
    assert set(repaired(dist, environment)) == {"pkg/bin/outer.dll", "need.dll"}
    assert rows(dist) == set()
