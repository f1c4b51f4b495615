"""DF201 to DF204: modules that are imported and are in no file of the dist, and what RECORD files say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from depfix.model.finding import Finding
from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from tests.conftest import DistMaker, Forge, put
from tests.repairing import repair

MakeConda = Callable[..., Path]

SPEED = "pkg/_speed.cp310-win_amd64.pyd"
RECORD = "pkg-1.0.dist-info/RECORD"
RECORDED = {RECORD: f"pkg/__init__.py,sha256=AAAA,1\n{SPEED},sha256=BBBB,4096\npkg/slow.py,,\npkg/data.bin,,\n"}
SPEED_GONE = {"DF204 error probable pkg._speed"}
SLOW_GONE = {"DF201 error probable pkg.slow"}


def findings(dist: Path, environment: str = "", entry: Path | None = None) -> list[Finding]:
    environments = (environment,) if environment else ()
    entries = (str(entry),) if entry else ()
    return list(scan(str(dist), Options(environ={}, environments=environments, entries=entries)).findings)


def words(finding: Finding) -> str:
    return f"{finding.rule} {finding.severity.value} {finding.confidence.value} {finding.subject}"


def rows(dist: Path, environment: str = "", entry: Path | None = None) -> set[str]:
    """Return "rule severity confidence subject" of everything that a scan finds."""
    return set(map(words, findings(dist, environment, entry)))


def repaired(dist: Path, environment: Path) -> list[str]:
    """Repair a dist; return the destinations of what was copied."""
    done = repair(str(dist), Options(environ={}, environments=(f"conda:{environment}",)))
    return [action.destination for action in done.plan.actions] if done.plan else []


# --- what an import statement says ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from .core import work", {"DF201 error probable pkg.core"}),
        ("import pkg.core", {"DF201 error probable pkg.core"}),
        ("from pkg.core import work", {"DF201 error probable pkg.core"}),
        ("from .sub.core import work", {"DF201 error probable pkg.sub"}),
        ("import importlib\nimportlib.import_module('pkg.core')", {"DF201 error probable pkg.core"}),
        ("try:\n    from .core import work\nexcept ImportError:\n    raise RuntimeError('no core')",
         {"DF201 error probable pkg.core"}),
        ("try:\n    from .core import work\nexcept ImportError:\n    work = None", set()),
        ("try:\n    from .core import work\nexcept (AttributeError, ImportError):\n    work = None", set()),
        ("try:\n    from .core import work\nexcept ModuleNotFoundError:\n    work = None", set()),
        ("try:\n    import pkg.core\nexcept ModuleNotFoundError:\n    pass", set()),
        ("try:\n    from .core import work\nexcept AttributeError:\n    work = None",
         {"DF201 error probable pkg.core"}),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    from .core import work", set()),
        ("def later():\n    from .core import work", {"DF201 info possible pkg.core"}),
        ("import time\nif time.time() > 9:\n    from .core import work", {"DF201 info possible pkg.core"}),
        ("import sys\nif sys.platform == 'linux':\n    from .core import work", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .core import work", set()),
        ("from ..outside import work", set()),  # above the top: another error, and no module's name
        ("import another.core", set()),  # no package of the dist
        ("import os.nothing", set()),
        ("from .Present import work", {"DF201 error probable pkg.Present"}),  # names compare with case
        ("from .present import work\nimport pkg.present as p", set()),
    ],
)  # fmt: skip
def test_a_module_that_its_package_lacks(make_dist: DistMaker, source: str, expected: set[str]) -> None:
    assert rows(make_dist({}, {"pkg/__init__.py": source, "pkg/present.py": ""})) == expected


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("pkg/__init__.py", "from . import core"),
        ("pkg/user.py", "from . import core"),
        ("pkg/user.py", "from pkg import core as c"),
        ("other/__init__.py", "from pkg import core"),
    ],
)
def test_a_name_that_nothing_can_give_a_package(make_dist: DistMaker, importer: str, source: str) -> None:
    sources = {"pkg/__init__.py": "", "pkg/another.py": "core = 1", "pkg/user.py": "", "other/__init__.py": ""}
    sources |= {"program/__init__.py": "import pkg.user, other", importer: source}
    assert rows(make_dist({}, sources)) == {"DF201 error probable pkg.core"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("try:\n    from . import core\nexcept ImportError:\n    core = None", set()),
        ("try:\n    from . import core\nexcept ModuleNotFoundError:\n    pass",
         {"DF201 error probable pkg.core"}),  # the package is there, only the name is not: a plain ImportError
        ("def later():\n    from . import core", {"DF201 info possible pkg.core"}),
        ("import sys\nif sys.platform == 'linux':\n    from . import core", set()),
    ],
)  # fmt: skip
def test_a_name_of_a_package_under_a_condition(make_dist: DistMaker, source: str, expected: set[str]) -> None:
    assert rows(make_dist({}, {"pkg/__init__.py": source})) == expected


@pytest.mark.parametrize(
    "source",
    ["import pkg\npkg.core = 1", "import pkg as p\np.core: int = 1", "import pkg\nsetattr(pkg, 'core', 1)",
     "import sys\nsys.modules['pkg.core'] = sys", "import sys\nsys.modules.update({'pkg.core': sys})"],
)  # fmt: skip
def test_a_name_that_another_source_gives_a_package(make_dist: DistMaker, source: str) -> None:
    sources = {
        "pkg/__init__.py": "from . import first, user",
        "pkg/first.py": source,
        "pkg/user.py": "from . import core",
    }
    assert rows(make_dist({}, sources)) == set()
    (finding,) = findings(make_dist({}, sources | {"pkg/first.py": "core = 1"}, name="other.dist"))
    assert words(finding) == "DF201 error probable pkg.core"
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/user.py:1", "pkg.core")


@pytest.mark.parametrize("path", ["pkg/fast.pyd", "pkg/sub/fast.cp310-win_amd64.pyd", "pkg/old.pyc"])
def test_a_name_that_compiled_code_may_give_a_package(make_dist: DistMaker, forge: Forge, path: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from . import core"})
    put(forge("need.dll"), dist / path)
    assert rows(dist) == set()


def test_what_a_program_mentions_is_no_statement(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "class Thing: pass\nthing = Thing()"})
    put_text(tmp_path / "program.py", "import pkg\npkg.Thing.make()\npkg.thing.a.b\npkg.other()")
    assert rows(dist, entry=tmp_path / "program.py") == set()


def test_a_finding_tells_who_imports_it(make_dist: DistMaker) -> None:
    sources = {"pkg/__init__.py": "from . import user", "pkg/user.py": "\nfrom .core import a\n"}
    (finding,) = findings(make_dist({}, sources))
    assert finding.name == "missing-module"
    assert [(place.path, place.line) for place in finding.locations] == [("pkg/user.py", 2)]
    assert finding.chain == ("app.exe", "pkg/__init__.py:1", "pkg/user.py:2", "pkg.core")


@pytest.mark.parametrize(
    "package",
    ["name = 1", "def name(): pass", "class name: pass", "import os as name", "from os import path as name",
     "for name in range(3): pass", "try:\n    name = undefined\nexcept NameError as name:\n    pass",
     "from .base import name", "from .base import *", "globals()['name'] = 1", "def __getattr__(name): return 1",
     "import sys\nsys.modules[__name__ + '.name'] = sys", "__path__.append('elsewhere')",
     "def f():\n    global name\n    name = 1\nf()", "len(name := 'x')", "match 1:\n    case name: pass",
     "__import__('pkg_resources').declare_namespace(__name__)"],
)  # fmt: skip
def test_a_name_that_the_package_may_bind_is_no_module(make_dist: DistMaker, package: str) -> None:
    sources = {"pkg/__init__.py": package, "pkg/base.py": "name = 1", "other/__init__.py": "from pkg import name"}
    assert rows(make_dist({}, sources)) == set()


@pytest.mark.parametrize(
    ("package", "once_a_file"),
    [
        ("def __getattr__(name): return 1", {"DF204 error probable pkg.core"}),
        ("import sys\nsys.modules['pkg.core'] = sys", set()),
    ],
)
def test_a_package_whose_code_makes_its_modules(make_dist: DistMaker, package: str, once_a_file: set[str]) -> None:
    sources = {"pkg/__init__.py": package, "pkg/user.py": "import pkg.core\nfrom pkg import thing"}
    dist = make_dist({}, sources)
    assert rows(dist) == set()
    put_text(dist / RECORD, "pkg/core.pyd,,\n")
    assert rows(dist) == once_a_file


def test_a_star_import_brings_no_private_names(make_dist: DistMaker) -> None:
    sources = {
        "pkg/__init__.py": "from .base import *",
        "pkg/base.py": "",
        "pkg/user.py": "from pkg import slow, _speed",
    }
    assert rows(make_dist({}, sources | RECORDED)) == {"DF204 error probable pkg._speed"}


def test_a_namespace_package_may_go_on_elsewhere(make_dist: DistMaker, tmp_path: Path) -> None:
    sources = {"space/user.py": "import space.core\nfrom .more import work\nfrom space import name"}
    dist = make_dist({}, sources)
    assert rows(dist) == set()
    put_text(dist / "part-1.0.dist-info" / "RECORD", "space/core.py,,\nspace/more.cp310-win_amd64.pyd,,\n")
    assert rows(dist) == {
        "DF201 error probable space.core",
        "DF204 error probable space.more",
    }
    put_text(dist / "space" / "core.py", "")
    put_text(dist / "space" / "more.py", "work = 1")
    assert rows(dist) == set()


def test_a_package_of_the_project_serves_the_program(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from .core import work"})
    put_text(tmp_path / "program.py", "import pkg, mine.part\nfrom mine import absent\n")
    put_text(tmp_path / "mine" / "__init__.py", "")
    put_text(tmp_path / "mine" / "part.py", "")
    found = rows(dist, entry=tmp_path / "program.py")
    assert found == {"DF201 error certain pkg.core"}


@pytest.mark.parametrize(
    ("statement", "handler_runs"),
    [
        ("from pkg.sub import gone", True),
        ("from .sub import gone", True),
        ("from pkg.sub import known, gone", True),
        ("from pkg.sub import known", False),
        ("from pkg.sub import there", False),
        ("from pkg.sub import *", False),
        ("import pkg.sub", False),
        ("from pkg.plain import value", False),  # of a plain module it is not read which names it has
        ("from pkg.star import gone", False),  # all that another has: it may be one of them
        ("from pkg.asked import gone", False),  # its __getattr__ may give it
    ],
)
def test_a_handler_runs_if_a_name_is_lacking(make_dist: DistMaker, statement: str, handler_runs: bool) -> None:
    files = {
        "pkg/__init__.py": f"try:\n    {statement}\nexcept ImportError:\n    from .slow import work\n",
        "pkg/sub/__init__.py": "known = 1",
        "pkg/sub/there.py": "",
        "pkg/plain.py": "value = 1",
        "pkg/star.py": "from json import *",
        "pkg/asked.py": "def __getattr__(name):\n    return globals()[name]",
    }
    assert rows(make_dist({}, files)) == ({"DF201 info possible pkg.slow"} if handler_runs else set())


# --- what RECORD knows ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from ._speed import work", SPEED_GONE),
        ("import pkg._speed", SPEED_GONE),
        ("from .slow import work", SLOW_GONE),
        ("def later():\n    from ._speed import work", {"DF204 error probable pkg._speed"}),
        ("def later():\n    from .slow import work", {"DF201 error probable pkg.slow"}),
        ("try:\n    from ._speed import work\nexcept ImportError:\n    from .present import work",
         {"DF202 info possible pkg._speed"}),
        ("try:\n    from .slow import work\nexcept ImportError:\n    work = None",
         {"DF202 info possible pkg.slow"}),
        ("try:\n    from .never import work\nexcept ImportError:\n    work = None", set()),
        ("from . import user", {"DF204 error probable pkg._speed"}),
        ("", {"DF204 error probable pkg._speed"}),  # pkg.user is there, and may be imported
        ("import pkg.data", {"DF201 error probable pkg.data"}),  # data.bin is no module
    ],
)  # fmt: skip
def test_a_module_that_was_installed_with_its_package(make_dist: DistMaker, source: str, expected: set[str]) -> None:
    user = {"pkg/user.py": "from pkg import _speed"} if not source or "user" in source else {}
    dist = make_dist({}, {"pkg/__init__.py": source, "pkg/present.py": "", **user, **RECORDED})
    assert rows(dist) == expected
    for finding in findings(dist):
        if "data" not in finding.subject:
            assert "was installed with the package" in finding.message


@pytest.mark.parametrize("name", ["pkg/_speed.cp310-win_amd64.pyd", "pkg/_speed.pyd", "pkg/_speed.py"])
def test_a_module_under_another_suffix_is_there(make_dist: DistMaker, forge: Forge, name: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from ._speed import work", **RECORDED})
    assert rows(dist) == SPEED_GONE
    put(forge("need.dll"), dist / name) if name.endswith(".pyd") else put_text(dist / name, "work = 1")
    assert rows(dist) == set()


def test_a_source_that_stands_in_for_its_compiled_module(make_dist: DistMaker, forge: Forge) -> None:
    """A package that is compiled from sources of its own may hold these as well."""
    sources = {"pkg/__init__.py": "from ._speed import work", "pkg/_speed.py": "work = 1", "os.py": ""}
    dist = make_dist({}, sources | RECORDED)
    assert rows(dist) == set()
    put_text(dist / "pkg/_speed.py", "from .made import work")
    assert rows(dist) == SPEED_GONE
    (finding,) = findings(dist)
    assert "pkg/_speed.py is imported in its place, and that needs pkg.made" in finding.message
    put_text(dist / "pkg/_speed.py", "try:\n    from .made import work\nexcept ImportError:\n    work = 1")
    assert rows(dist) == set()
    put_text(dist / "pkg/_speed.py", "from .made import work")
    put(forge("need.dll"), dist / SPEED)
    assert rows(dist) == set()


@pytest.mark.parametrize("name", ["pkg/_speed.cp311-win_amd64.pyd", "pkg/_speed.cp310-win32.pyd", "pkg/_speed.dll"])
def test_a_file_that_this_python_does_not_import(make_dist: DistMaker, forge: Forge, name: str) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from ._speed import work", **RECORDED})
    put(forge("need.dll"), dist / name)
    gone = {row.replace("DF204", "DF205") for row in SPEED_GONE} if name.endswith(".pyd") else SPEED_GONE
    assert rows(dist) == gone


def test_a_stub_beside_tells_of_an_extension_module(make_dist: DistMaker) -> None:
    sources = {"pkg/__init__.py": "try:\n    from .core import work\nexcept ImportError:\n    work = None"}
    dist = make_dist({}, sources | {"pkg/core.pyi": "def work() -> None: ..."})
    assert rows(dist) == {"DF202 info possible pkg.core"}
    put_text(dist / "pkg" / "__init__.py", "from .core import work")
    assert rows(dist) == {"DF204 error probable pkg.core"}
    put_text(dist / "pkg" / "core.py", "def work(): pass")
    assert rows(dist) == set()


def test_a_module_at_the_top(make_dist: DistMaker, make_conda: MakeConda) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "import _speed"})
    assert rows(dist) == set()  # it may be built in, or another distribution's that nobody wants
    put_text(dist / RECORD, "_speed.cp310-win_amd64.pyd,,\n")
    assert rows(dist) == {"DF204 error probable _speed"}


def test_a_repair_takes_it_from_the_same_place_of_the_environment(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from ._speed import work", **RECORDED})
    site = "Lib/site-packages"
    environment = make_conda({"Library/bin/need.dll": ()})
    put(forge("outer.dll", ("need.dll",)), environment / site / SPEED)
    put(forge("need.dll"), environment / site / "another" / Path(SPEED).name)
    (finding,) = findings(dist, f"conda:{environment}")
    assert finding.fix is not None
    assert (finding.fix.action, finding.fix.destination) == ("copy", SPEED)
    assert finding.fix.source.endswith(f"Lib/site-packages/{SPEED}")
    assert repaired(dist, environment) == [SPEED, "need.dll"]
    assert rows(dist) == set()


@pytest.mark.parametrize(
    ("place", "machine"),
    [
        ("Lib/site-packages/other", "amd64"),
        ("Library/bin", "amd64"),
        ("DLLs", "amd64"),
        ("Lib/site-packages/pkg", "x86"),
    ],
)
def test_a_file_of_another_package_or_machine_is_not_taken(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, place: str, machine: str
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from ._speed import work", **RECORDED})
    environment = make_conda({})
    put(forge("need.dll", machine=machine), environment / place / Path(SPEED).name)
    (finding,) = findings(dist, f"conda:{environment}")
    assert finding.fix is None
    assert finding.no_fix
    assert repaired(dist, environment) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_an_extension_module_that_only_compiled_code_imports(
    make_dist: DistMaker, tmp_path: Path, recorded: bool
) -> None:
    record = "pkg/core.pyd,,\n" + "pkg/_helper.pyd,,\n" * recorded
    dist = make_dist({}, {"pkg/__init__.py": "from . import core", RECORD: record})
    put_text(tmp_path / "core.c", '__declspec(dllexport) const char *wanted(void) { return "pkg._helper"; }')
    put(compile_c(tmp_path / "core.c", tmp_path / "core.dll"), dist / "pkg" / "core.pyd")
    put_text(tmp_path / "program.py", "import pkg\n")
    found = findings(dist, entry=tmp_path / "program.py")
    assert len(found) == recorded  # a string alone is no module
    for finding in found:
        assert words(finding) == "DF204 error probable pkg._helper"
        assert finding.message.startswith("pkg/core.pyd may import pkg._helper")
        assert finding.chain[-2:] == ("pkg/core.pyd", "pkg._helper")


def test_what_a_source_copes_without_and_compiled_code_imports(make_dist: DistMaker, tmp_path: Path) -> None:
    guarded = "from . import core\ntry:\n    from . import _helper\nexcept ImportError:\n    pass\n"
    dist = make_dist({}, {"pkg/__init__.py": guarded, RECORD: "pkg/core.pyd,,\npkg/_helper.pyd,,\n"})
    put_text(tmp_path / "core.c", '__declspec(dllexport) const char *wanted(void) { return "pkg._helper"; }')
    put(compile_c(tmp_path / "core.c", tmp_path / "core.dll"), dist / "pkg" / "core.pyd")
    put_text(tmp_path / "program.py", "import pkg\n")
    assert rows(dist, entry=tmp_path / "program.py") == {"DF204 error probable pkg._helper"}


def test_one_of_several_modules_that_a_function_chooses_is_a_warning(make_dist: DistMaker, tmp_path: Path) -> None:
    source = (
        "import importlib\n_BACKENDS = {'a': 'pkg._first', 'b': 'pkg._second', 'c': 'pkg._third'}\n"
        "def choose(name):\n    return importlib.import_module(_BACKENDS[name])\n"
    )
    record = "pkg/_first.pyd,,\npkg/_second.pyd,,\npkg/_third.pyd,,\n"
    dist = make_dist(
        {"pkg/_second.pyd": ("need.dll",), "pkg/_third.pyd": ()}, {"pkg/__init__.py": source, RECORD: record}
    )
    put_text(tmp_path / "program.py", "import sys, pkg\npkg.choose(sys.argv[1])\n")
    assert rows(dist, entry=tmp_path / "program.py") == {
        "DF204 warning probable pkg._first",
        "DF101 warning probable need.dll",
    }


def test_what_compiled_code_imports_is_missing_with_an_environment_too(
    make_dist: DistMaker, make_conda: MakeConda, forge: Forge, tmp_path: Path
) -> None:
    sources = {"pkg/__init__.py": "from . import core", RECORD: "pkg/core.pyd,,\npkg/_helper.pyd,,\n", "os.py": ""}
    dist = make_dist({}, sources)
    put_text(tmp_path / "core.c", '__declspec(dllexport) const char *wanted(void) { return "pkg._helper"; }')
    put(compile_c(tmp_path / "core.c", tmp_path / "core.dll"), dist / "pkg" / "core.pyd")
    put_text(tmp_path / "program.py", "import pkg\n")
    environment = make_conda({})
    for name in ("__init__.py", "core.pyd"):
        put(dist / "pkg" / name, environment / "Lib/site-packages/pkg" / name)
    put(forge("_helper.pyd"), environment / "Lib/site-packages/pkg/_helper.pyd")
    expected = {"DF204 error probable pkg._helper"}
    assert rows(dist, entry=tmp_path / "program.py") == expected
    assert rows(dist, f"conda:{environment}", tmp_path / "program.py") == expected


def test_a_package_that_only_compiled_code_imports(make_dist: DistMaker, forge: Forge, tmp_path: Path) -> None:
    """Its own sources run then, and what they lack is missing: a source that stands in for a compiled module, say."""
    sources = {
        "os.py": "",
        "pkg/__init__.py": "from . import core",
        "pkg/far/__init__.py": "from ._speed import work",
        "pkg/far/_speed.py": "from .made import work",
        RECORD: "pkg/core.pyd,,\npkg/far/near.pyd,,\npkg/far/_speed.pyd,,\n",
    }
    dist = make_dist({}, sources)
    put_text(tmp_path / "core.c", '__declspec(dllexport) const char *wanted(void) { return "pkg.far.near"; }')
    put(compile_c(tmp_path / "core.c", tmp_path / "core.dll"), dist / "pkg" / "core.pyd")
    put(forge("near.pyd"), dist / "pkg" / "far" / "near.pyd")
    put_text(tmp_path / "program.py", "import pkg\n")
    (finding,) = findings(dist, entry=tmp_path / "program.py")
    assert words(finding) == "DF204 error probable pkg.far._speed"
    put(forge("_speed.pyd"), dist / "pkg" / "far" / "_speed.pyd")
    put(forge("near.pyd", ("need.dll",)), dist / "pkg" / "far" / "near.pyd")
    assert rows(dist, entry=tmp_path / "program.py") == {"DF101 error probable need.dll"}


@pytest.mark.parametrize(
    ("function", "found"), [("PyImport_ImportModule", True), ("PyCapsule_Import", True), ("PyModule_Create2", False)]
)
def test_compiled_code_that_calls_nothing_that_imports_imports_nothing(
    make_dist: DistMaker, tmp_path: Path, function: str, *, found: bool
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "from . import core", RECORD: "pkg/core.pyd,,\npkg/_helper.pyd,,\n"})
    put_text(tmp_path / "python310.c", f"__declspec(dllexport) int {function}(const char *name) {{ return !name; }}")
    compile_c(tmp_path / "python310.c", tmp_path / "python310.dll")
    declared = f"__declspec(dllimport) int {function}(const char *);"
    body = f'__declspec(dllexport) int wanted(void) {{ return {function}("pkg._helper"); }}'
    put_text(tmp_path / "core.c", f"{declared}\n{body}\n")
    core = compile_c(tmp_path / "core.c", tmp_path / "core.dll", links=[tmp_path / "python310.lib"])
    put(core, dist / "pkg" / "core.pyd")
    put_text(tmp_path / "program.py", "import pkg\n")
    rows = {words(finding) for finding in findings(dist, entry=tmp_path / "program.py")}
    assert ("DF204 error probable pkg._helper" in rows) is found


def test_what_the_program_does_not_import_is_not_missing(make_dist: DistMaker, tmp_path: Path) -> None:
    sources = {"pkg/__init__.py": "from ._speed import work", "used/__init__.py": "", **RECORDED}
    dist = make_dist({}, sources)
    put_text(tmp_path / "program.py", "import used\n")
    assert rows(dist, entry=tmp_path / "program.py") == set()
    put_text(tmp_path / "program.py", "import used, pkg\n")
    assert rows(dist, entry=tmp_path / "program.py") == {"DF204 error certain pkg._speed"}


# --- the standard library ---

CTYPES_GONE = {"DF203 error probable _ctypes"}


@pytest.mark.parametrize(
    ("images", "source", "expected"),
    [
        (("_socket.pyd",), "import ctypes", CTYPES_GONE),
        (("DLLs/_socket.pyd",), "import ctypes", CTYPES_GONE),
        (("DLLs/_socket.pyd",), "from ctypes import util", CTYPES_GONE),
        (("DLLs/_socket.pyd",), "import ctypes.util", CTYPES_GONE),
        (("DLLs/_socket.pyd", "DLLs/_ctypes.pyd"), "import ctypes", set()),
        (("DLLs/_socket.pyd", "_ctypes.pyd"), "import ctypes", set()),
        (("DLLs/_socket.pyd", "other/_ctypes.pyd"), "import ctypes", CTYPES_GONE),
        ((), "import ctypes, ssl, socket, decimal", set()),  # all are linked into the Python DLL
        (("pkg/_ctypes.pyd",), "import ctypes", set()),  # this one is the package's own
        (("_socket.pyd",), "import json, re, os.path, struct, zlib", set()),
        (("_ctypes.pyd",), "import socket", {"DF203 error probable _socket",
                                             "DF203 error probable select"}),
        (("_ctypes.pyd",), "def later():\n    import bz2", {"DF203 warning probable _bz2"}),
        (("_ctypes.pyd",), "try:\n    import bz2\nexcept ImportError:\n    bz2 = None", set()),
        (("_ctypes.pyd",), "import decimal, hashlib, zipfile", set()),  # they go on without
        (("_ctypes.pyd",), "from . import bz2", set()),
        (("_ctypes.pyd",), "import bz2extra", set()),
    ],
)  # fmt: skip
def test_extension_modules_of_the_standard_library(
    make_dist: DistMaker, forge: Forge, images: tuple[str, ...], source: str, expected: set[str]
) -> None:
    dist = make_dist({}, {"pkg/__init__.py": source, "pkg/bz2.py": ""})
    for path in images:
        put(forge("need.dll"), dist / path)
    assert rows(dist) == expected


def test_who_imports_the_standard_library_is_told(make_dist: DistMaker, forge: Forge) -> None:
    dist = make_dist({}, {"pkg/__init__.py": "\nimport ctypes", "pkg/other.py": "import ctypes.wintypes"})
    put(forge("need.dll"), dist / "_socket.pyd")
    (finding,) = findings(dist)
    assert finding.name == "missing-stdlib-module"
    assert {(place.path, place.line) for place in finding.locations} == {("pkg/__init__.py", 2), ("pkg/other.py", 1)}
    assert "which needs _ctypes.pyd of the standard library" in finding.message
    put_text(dist / "ctypes.py", "")  # the dist's own module comes first
    put_text(dist / "pkg" / "other.py", "")
    assert findings(dist) == []


def put_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
