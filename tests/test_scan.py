"""Scans of small dists: which load finds which DLL, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from tests.conftest import DistMaker, Forge, delay_loading_dll, put

OPTIONS = Options(environ={})
ADD = "import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), {folder!r}))\n"


def findings(dist: Path, *, entry: Path | None = None) -> list[Finding]:
    return list(scan(str(dist), Options(environ={}, entries=(str(entry),) if entry else ())).findings)


def brief(dist: Path, *, entry: Path | None = None) -> set[tuple[str, str, str]]:
    return {(one.rule, one.severity.value, one.subject) for one in findings(dist, entry=entry)}


MISSING = {("DF101", "error", "need.dll")}
MISPLACED = {("DF103", "error", "need.dll")}


@pytest.mark.parametrize(
    ("place", "source", "expected"),
    [
        ("need.dll", "from . import core", set()),  # beside the program
        ("pkg/need.dll", "from . import core", set()),  # beside the extension module
        ("pkg/NEED.DLL", "from . import core", set()),
        ("pkg.libs/need.dll", "from . import core", MISPLACED),
        ("pkg.libs/need.dll", ADD.format(folder="../pkg.libs") + "from . import core", set()),
        ("pkg.libs/need.dll", "from . import core\n" + ADD.format(folder="../pkg.libs"), MISPLACED),  # too late
        ("pkg.libs/need.dll", "import os\nwith os.add_dll_directory(os.path.dirname(__file__) + '/../pkg.libs'):\n"
         "    from . import core", set()),
        ("pkg.libs/need.dll", "import os\nwith os.add_dll_directory(os.path.dirname(__file__) + '/../pkg.libs'):\n    pass\n"
         "from . import core", MISPLACED),  # closed before
        ("pkg.libs/need.dll", "import os\nc = os.add_dll_directory(os.path.dirname(__file__) + '/../pkg.libs')\nc.close()\n"
         "from . import core", MISPLACED),
        ("bin/need.dll", "import os\nos.environ['PATH'] = os.path.dirname(__file__) + '/../bin'\nfrom . import core",
         MISPLACED),  # PATH is not searched
        ("pkg/sub/need.dll", "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'sub', 'need.dll'))\n"
         "from . import core", set()),  # already loaded under that name
        ("pkg/sub/need.dll", "from . import core\nimport ctypes, os\n"
         "ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'sub', 'need.dll'))", MISPLACED),
        ("", "from . import core", MISSING),
        ("", "try:\n    from . import core\nexcept ImportError:\n    core = None", {("DF101", "warning", "need.dll")}),
        ("", "import sys\nif sys.platform != 'win32':\n    from . import core", MISSING),  # nobody imports it: it may be
    ],
)  # fmt: skip
def test_an_extension_module_finds_its_dll(
    make_dist: DistMaker, forge: Forge, place: str, source: str, expected: set[tuple[str, str, str]]
) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": source})
    if place:
        put(forge("need.dll"), dist / place)
    assert brief(dist) == expected


def test_the_directory_of_the_dll_in_between_plays_no_part(make_dist: DistMaker) -> None:
    source = "import ctypes, os\nos.add_dll_directory(os.path.dirname(__file__) + '/a')\nfrom . import core\n"
    images = {"pkg/core.pyd": ("middle.dll",), "pkg/a/middle.dll": ("last.dll",), "pkg/a/last.dll": ()}
    dist = make_dist(images, {"pkg/__init__.py": source})
    assert brief(dist) == set()
    (dist / "pkg" / "__init__.py").write_text("from . import core\n")
    shutil.move(dist / "pkg" / "a" / "middle.dll", dist / "pkg" / "middle.dll")
    assert brief(dist) == {("DF103", "error", "last.dll")}


def test_static_imports_of_the_program_are_searched_beside_it_only(make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist(python=False)
    put(forge("tool.exe", ("need.dll",)), dist / "tool.exe")
    put(forge("need.dll"), dist / "lib" / "need.dll")
    assert brief(dist) == MISPLACED
    put(forge("need.dll"), dist / "need.dll")
    assert brief(dist) == set()


@pytest.mark.parametrize(
    ("call", "place", "expected"),
    [
        ("ctypes.CDLL(os.path.join(HERE, 'bin', 'need.dll'))", "pkg/bin/need.dll", set()),
        ("ctypes.CDLL(os.path.join(HERE, 'bin', 'need.dll'))", "need.dll", {("DF106", "error", "need.dll")}),
        ("ctypes.CDLL('need.dll')", "need.dll", set()),
        ("ctypes.CDLL('need')", "need.dll", set()),
        ("ctypes.CDLL('need.dll')", "pkg/need.dll", {("DF103", "error", "need.dll")}),
        ("os.add_dll_directory(HERE); ctypes.CDLL('need.dll')", "pkg/need.dll", set()),
        ("os.add_dll_directory(HERE); ctypes.CDLL('need.dll', winmode=0)", "pkg/need.dll", {("DF103", "error", "need.dll")}),
        ("ctypes.CDLL('need.dll')", "", {("DF106", "error", "need.dll")}),
        ("ctypes.CDLL('libneed.so.1')", "", set()),
        ("ctypes.CDLL('shell32')", "", set()),
    ],
)  # fmt: skip
def test_ctypes_loads(
    make_dist: DistMaker, forge: Forge, call: str, place: str, expected: set[tuple[str, str, str]]
) -> None:
    source = f"import ctypes, os\nHERE = os.path.dirname(__file__)\n{call}\n"
    dist = make_dist({}, {"pkg/__init__.py": source})
    if place:
        put(forge("need.dll"), dist / place)
    assert brief(dist) == expected


def test_what_a_loaded_dll_needs_is_searched_beside_it(make_dist: DistMaker) -> None:
    source = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'bin', 'outer.dll'))\n"
    dist = make_dist({"pkg/bin/outer.dll": ("need.dll",)}, {"pkg/__init__.py": source})
    assert brief(dist) == MISSING
    finding = findings(dist)[0]
    assert finding.chain == ("app.exe", "pkg/__init__.py:2", "pkg/bin/outer.dll", "need.dll")
    assert finding.locations[0].path == "pkg/bin/outer.dll"
    assert any("pkg/bin" in step for step in finding.trail)


def test_a_second_load_that_finds_more_is_enough(make_dist: DistMaker) -> None:
    source = (
        "import ctypes, os\nhere = os.path.dirname(__file__)\nk = ctypes.WinDLL('kernel32')\n"
        "path = os.path.join(here, 'bin', 'outer.dll')\n"
        "if not k.LoadLibraryExW(path, None, 0x1100):\n"
        "    os.environ['PATH'] = os.path.join(here, 'more') + ';' + os.environ['PATH']\n    k.LoadLibraryW(path)\n"
    )
    images = {"pkg/bin/outer.dll": ("need.dll",), "pkg/more/need.dll": ()}
    assert brief(make_dist(images, {"pkg/__init__.py": source})) == set()


def test_a_search_that_ends_in_an_error_guards_nothing(make_dist: DistMaker) -> None:
    source = (
        "import ctypes, os\nhere = os.path.dirname(__file__)\n"
        "def load():\n    for folder in ('bin', 'absent'):\n        try:\n"
        "            return ctypes.CDLL(os.path.join(here, folder, 'outer.dll'))\n"
        "        except OSError:\n            pass\n    raise OSError('not found')\nload()\n"
    )
    dist = make_dist({"pkg/bin/outer.dll": ("need.dll",)}, {"pkg/__init__.py": source})
    assert {row for row in brief(dist) if row[1] != "info"} == MISSING
    (dist / "pkg" / "__init__.py").write_text(source.replace("raise OSError('not found')", "return None"))
    assert {row for row in brief(dist) if row[1] != "info"} == {("DF101", "warning", "need.dll")}


def test_only_what_the_entry_reaches_counts(make_dist: DistMaker, tmp_path: Path) -> None:
    images = {"used/core.pyd": ("one.dll",), "unused/core.pyd": ("two.dll",)}
    sources = {"used/__init__.py": "from . import core", "unused/__init__.py": "from . import core"}
    dist = make_dist(images, sources)
    entry = tmp_path / "program.py"
    entry.write_text("import used\n")
    errors = {row for row in brief(dist, entry=entry) if row[1] == "error"}
    assert errors == {("DF101", "error", "one.dll")}
    assert {row[2] for row in brief(dist) if row[1] == "error"} == {"one.dll", "two.dll"}


def test_modules_of_the_project_lead_on(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({"used/core.pyd": ("one.dll",)}, {"used/__init__.py": "from . import core"})
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper" / "__init__.py").write_text("def work():\n    import used\n")
    (tmp_path / "program.py").write_text("from helper import work\nif __name__ == '__main__':\n    work()\n")
    assert ("DF101", "error", "one.dll") in brief(dist, entry=tmp_path / "program.py")


def test_an_extension_module_that_no_source_names_may_be_imported_by_compiled_code(
    make_dist: DistMaker, tmp_path: Path
) -> None:
    dist = make_dist({"pkg/_hidden.pyd": ("one.dll",)}, {"pkg/__init__.py": "x = 1"})
    entry = tmp_path / "program.py"
    entry.write_text("import pkg\n")
    found = findings(dist, entry=entry)
    assert [(one.subject, one.severity.value, one.confidence.value) for one in found] == [
        ("one.dll", "info", "possible")
    ]
    source = tmp_path / "core.c"
    source.write_text('__declspec(dllexport) const char *wanted(void) { return "pkg._hidden"; }')
    compile_c(source, dist / "pkg" / "core.pyd")
    (dist / "pkg" / "__init__.py").write_text("from . import core")
    found = findings(dist, entry=entry)
    assert [(one.subject, one.severity.value, one.confidence.value) for one in found] == [
        ("one.dll", "error", "probable")
    ]


def test_a_module_name_compares_with_case(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({"pkg/point.pyd": ("one.dll",)}, {"pkg/__init__.py": "", "other.py": "from pkg import Point"})
    entry = tmp_path / "program.py"
    entry.write_text("import other\n")
    found = findings(dist, entry=entry)
    assert [one.chain[1] for one in found] != ["other.py:1"]


@pytest.mark.parametrize("machine", ["x86", "arm64"])
def test_a_dll_for_another_machine(make_dist: DistMaker, forge: Forge, machine: str) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core"})
    put(forge("need.dll", machine=machine), dist / "need.dll")
    found = findings(dist)
    assert [(one.rule, one.subject, one.locations[0].path) for one in found] == [("DF105", "need.dll", "need.dll")]
    assert "amd64" in found[0].message


def test_a_32_bit_dist_is_held_against_32_bit_windows(make_dist: DistMaker) -> None:
    dist = make_dist({"core.pyd": ("need.dll",), "need.dll": ()}, machine="x86")
    report = scan(str(dist), OPTIONS)
    assert (report.dist.machine, report.findings) == ("x86", ())


@pytest.mark.parametrize("content", [b"text", b"", b"MZ truncated"])
def test_a_dll_that_is_no_image(make_dist: DistMaker, content: bytes) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core"})
    (dist / "need.dll").write_bytes(content)
    assert brief(dist) == {("DF105", "error", "need.dll")}


def test_a_delay_loaded_dll_is_a_warning(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist(
        {}, {"pkg/__init__.py": "import ctypes, os\nctypes.CDLL(os.path.dirname(__file__) + '/lazy.dll')\n"}
    )
    shutil.copy(delay_loading_dll(tmp_path / "made", "lazy.dll", "later.dll"), dist / "pkg")
    assert brief(dist) == {("DF102", "warning", "later.dll")}
    shutil.copy(tmp_path / "made" / "later.dll", dist)
    assert brief(dist) == set()


def test_a_vc_runtime_dll_has_a_rule_of_its_own(make_dist: DistMaker) -> None:
    assert brief(make_dist({"core.pyd": ("vcruntime140.dll",)})) == {("DF107", "error", "vcruntime140.dll")}


def test_a_helper_that_nothing_loads_is_a_mere_possibility(make_dist: DistMaker) -> None:
    dist = make_dist({"plugins/extra.dll": ("need.dll",)})
    found = findings(dist)
    assert [(one.severity.value, one.confidence.value, one.subject) for one in found] == [
        ("info", "possible", "need.dll")
    ]


def test_compiled_in_code_that_names_a_folder_adds_it(make_dist: DistMaker) -> None:
    images = {"pkg/core.pyd": ("need.dll",), "pkg.libs/need.dll": ()}
    dist = make_dist(images)
    program = dist / "app.exe"
    program.write_bytes(program.read_bytes() + b"\0__nuitka_binary_dir\0")
    assert brief(dist) == {("DF103", "warning", "need.dll")}  # the program's own code may add the folder
    program.write_bytes(program.read_bytes() + b"\0upkg.libs\0")
    assert brief(dist) == set()


def test_sources_that_cannot_be_parsed_are_said(make_dist: DistMaker) -> None:
    found = findings(make_dist({}, {"pkg/__init__.py": "def broken(:\n"}))
    assert [(one.rule, one.severity.value, one.subject) for one in found] == [("DF501", "info", "pkg/__init__.py")]


def test_chinese_names_and_very_long_paths(make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    deep = "/".join(["一个很长的文件夹名字" * 6] * 8)
    dist = make_dist({}, {"包/__init__.py": "from . import core"}, name="我的 程序.dist")
    put(forge("core.pyd", ("需要.dll",)), dist / "包" / "core.pyd")
    put(forge("core.pyd", ("需要.dll",)), dist / deep / "core.pyd")
    assert len(str(dist / deep)) > 400
    assert ("DF101", "error", "需要.dll") in brief(dist)


def test_fingerprints_stay_when_lines_move(make_dist: DistMaker) -> None:
    dist = make_dist({"pkg/core.pyd": ("need.dll",)}, {"pkg/__init__.py": "from . import core"})
    first = [one.fingerprint for one in findings(dist)]
    (dist / "pkg" / "__init__.py").write_text("\n\n# more\nfrom . import core")
    assert [one.fingerprint for one in findings(dist)] == first
