"""What RECORD files say of modules, packages and DLLs that are gone, and RECORD files that are damaged."""

from __future__ import annotations

import pytest

from tests.conftest import DistMaker, Forge, put
from tests.test_modules import RECORD, MakeConda, findings, put_text, repaired, rows, words

# --- DLLs in RECORD ---

EACH = """import ctypes, glob, os
for path in glob.glob(os.path.join(os.path.dirname(__file__), os.pardir, "pkg.libs", "*.dll")):
    ctypes.WinDLL(path)
"""
ONE = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), '..', 'pkg.libs', 'need-0a1b.dll'))\n"


@pytest.mark.parametrize("source", [EACH, ONE])
def test_a_dll_that_was_installed_with_its_package(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, source: str
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": source, RECORD: "pkg.libs/need-0a1b.dll,sha256=AA,9\n"})
    (finding,) = findings(dist)
    assert (words(finding), finding.identity) == ("DF106 error probable need-0a1b.dll", "pkg.libs/need-0a1b.dll")
    assert "it was installed with its package" in finding.message
    environment = make_conda({})
    put(forge("need.dll"), environment / "Lib" / "site-packages" / "pkg.libs" / "need-0a1b.dll")
    assert repaired(dist, environment) == ["pkg.libs/need-0a1b.dll"]
    assert rows(dist) == set()


def test_a_recorded_dll_that_nothing_loads_is_not_missing(make_dist: DistMaker) -> None:
    record = "pkg.libs/need-0a1b.dll,,\nelsewhere/need-0a1b.dll,,\n"
    assert rows(make_dist({}, {"pkg/__init__.py": "", RECORD: record})) == set()
    dist = make_dist({}, {"pkg/__init__.py": EACH, RECORD: "elsewhere/need-0a1b.dll,,\n"}, name="other.dist")
    assert rows(dist) == set()


def test_the_one_that_is_gone_is_told_of_several(make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist({}, {"pkg/__init__.py": EACH, RECORD: "".join(f"pkg.libs/{name}.dll,,\n" for name in "abc")})
    for name in "ac":
        put(forge("need.dll"), dist / "pkg.libs" / f"{name}.dll")
    assert rows(dist) == {"DF106 info possible b.dll"}  # what is left is loaded


# --- damaged RECORDs ---

IMPORT = "from .core import work"
GONE = {"DF204 error probable pkg.core"}
UNKNOWN = {"DF201 error probable pkg.core"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b"pkg/core.pyd,,\n", GONE),
        (b"pkg/core.pyd", GONE),
        (b"pkg\\core.pyd,,\r\n", GONE),
        (b'"pkg/core.pyd",sha256=x,1,,,,,\n', GONE),
        (b"\n\n,,\npkg/core.pyd\n,\n", GONE),
        (b"pkg/\xff\xfe\xfa.pyd,,\npkg/core.pyd,,\n", GONE),
        (b"../../core.pyd,,\n/abs/core.pyd,,\nC:\\core.pyd,,\npkg/core.pyd,,\n", GONE),
        (b"", UNKNOWN),
        (b"pkg,core.pyd\n", UNKNOWN),
        (b"../pkg/core.pyd,,\npkg/../../core.pyd,,\n", UNKNOWN),
        (b'"never closed\npkg/core.pyd,,\n', GONE),
        (b'"never closed,,\n"pkg/core.pyd",,\n', GONE),
        (b'"pkg/co""re.pyd",,\n"pkg/core.pyd"x,,\n', UNKNOWN),
        (b"\xef\xbb\xbfpkg/core.pyd,,\n", GONE),
        (b"x" * 300_000 + b",,\npkg/core.pyd,,\n", GONE),
        (b"pkg/core.pyd," + b"x" * 300_000 + b"\n", GONE),
        (b"pkg/other.py,,\rpkg/core.pyd,,\r", GONE),
        (bytes(range(256)) * 1000, UNKNOWN),
        (b"\0" * 5000, UNKNOWN),
        (b"x" * 300_000, UNKNOWN),
        (b"," * 300_000 + b"\n", UNKNOWN),
        (b"\xff\xfep\0k\0g\0", UNKNOWN),
    ],
)  # fmt: skip
def test_a_damaged_record(make_dist: DistMaker, record: bytes, expected: set[str]) -> None:
    dist = make_dist({}, {"pkg/__init__.py": IMPORT, RECORD: ""})
    (dist / RECORD).write_bytes(record)
    assert rows(dist) == expected
    put_text(dist / "pkg" / "core.py", "work = 1")
    assert rows(dist) == set()


@pytest.mark.parametrize("place", ["pkg-1.0.dist-info/RECORD/inner.txt", "pkg-1.0.egg-info/RECORD", "pkg/RECORD",
                                   "vendor/pkg-1.0.dist-info/RECORD"])  # fmt: skip
def test_what_is_no_record_of_the_search_path(make_dist: DistMaker, place: str) -> None:
    assert rows(make_dist({}, {"pkg/__init__.py": IMPORT, place: "pkg/core.pyd,,\n"})) == UNKNOWN


@pytest.mark.parametrize("site", ["Lib", "Lib/site-packages"])
def test_records_lie_where_packages_do(make_dist: DistMaker, site: str) -> None:
    sources = {f"{site}/pkg/__init__.py": IMPORT, f"{site}/{RECORD}": "pkg/core.pyd,,\n", "Lib/os.py": ""}
    assert rows(make_dist({}, sources)) == GONE


@pytest.mark.parametrize("name", ["NEED.DLL", "Need.Dll"])
def test_suffixes_of_recorded_files_compare_without_case(make_dist: DistMaker, name: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": EACH, RECORD: f"pkg.libs/{name},,\n"})
    assert rows(dist) == {"DF106 error probable need.dll"}
    dist = make_dist({}, {"pkg/__init__.py": IMPORT, RECORD: "pkg/core.PYD,,\n"}, name="other.dist")
    assert rows(dist) == GONE


def test_a_record_is_read_anew_in_each_scan(make_dist: DistMaker) -> None:
    dist = make_dist({}, {"pkg/__init__.py": IMPORT, RECORD: "pkg/core.pyd,,\n"})
    assert rows(dist) == GONE
    put_text(dist / RECORD, "pkg/cora.pyd,,\n")  # of the same size, perhaps within the same tick of the clock
    assert rows(dist) == UNKNOWN


# --- packages ---


@pytest.mark.parametrize("init", ["__init__.py", "__init__.pyd", "__init__.cp310-win_amd64.pyd"])
@pytest.mark.parametrize("left", [(), ("pkg/sub/data.txt",), ("pkg/sub/more.py",)])
@pytest.mark.parametrize(
    "source", ["from .sub import x", "from . import sub", "import pkg.sub", "from .user import x",
               "def f():\n    from .sub import x"],
)  # fmt: skip
def test_a_subpackage_that_is_gone(make_dist: DistMaker, source: str, left: tuple[str, ...], init: str) -> None:
    sources = {"pkg/__init__.py": source, **dict.fromkeys(left, ""), RECORD: f"pkg/__init__.py,,\npkg/sub/{init},,\n"}
    if "user" in source:
        sources["pkg/user.py"] = "from pkg import sub"
    code = "DF201" if init.endswith(".py") else "DF204"
    dist = make_dist({}, sources)
    assert rows(dist) == {f"{code} error probable pkg.sub"}
    put_text(dist / "pkg" / "sub" / "__init__.py", "x = 1")
    assert rows(dist) == set()


@pytest.mark.parametrize("source", ["import pkg", "import pkg.core", "from pkg import core", "from pkg.core import x"])
@pytest.mark.parametrize("left", [(), ("pkg/data.txt",)])
def test_a_whole_package_that_is_gone(make_dist: DistMaker, source: str, left: tuple[str, ...]) -> None:
    record = "pkg/__init__.py,,\npkg/core.py,,\npkg-1.0.dist-info/RECORD,,\n"
    dist = make_dist({}, {"user/__init__.py": source, **dict.fromkeys(left, ""), RECORD: record})
    (finding,) = findings(dist)
    assert words(finding) == "DF201 error probable pkg"
    assert "pkg/__init__.py was installed with the package" in finding.message
    put_text(dist / "user" / "__init__.py", f"try:\n    {source}\nexcept ImportError:\n    pass")
    assert rows(dist) == {"DF202 info possible pkg"}


def test_a_package_that_is_compiled_into_the_program(make_dist: DistMaker) -> None:
    """PyInstaller keeps sources in an archive of the program; of such a package only extension modules are files."""
    record = "pkg/__init__.py,,\npkg/core.py,,\npkg/sub/__init__.py,,\npkg/fast.pyd,,\nlone.py,,\n"
    source = "import pkg, lone, pkg.sub\nfrom pkg import core"
    sources = {"user/__init__.py": source, "base_library.zip": "", "pkg/sub/data.txt": "", RECORD: record}
    dist = make_dist({}, sources)
    assert rows(dist) == set()
    put_text(dist / "user" / "__init__.py", "import pkg.fast")
    put_text(dist / "pkg" / "__init__.py", "")
    assert rows(dist) == {"DF204 error probable pkg.fast"}


@pytest.mark.parametrize("name", ["tests", "test"])
def test_tests_are_left_out_on_purpose(make_dist: DistMaker, name: str) -> None:
    record = f"pkg/__init__.py,,\npkg/{name}/__init__.py,,\n"
    dist = make_dist({}, {"pkg/__init__.py": f"def run():\n    from .{name} import everything", RECORD: record})
    assert rows(dist) == {f"DF201 info possible pkg.{name}"}
