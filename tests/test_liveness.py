"""Which functions count as called when depfix is given the program's script."""

from __future__ import annotations

from pathlib import Path

import pytest

from depfix.pipeline import Options, scan
from fixtures.compile_c import compile_c
from tests.conftest import DistMaker

LOAD = "    import ctypes\n    ctypes.CDLL('need.dll')\n"
LATER = f"def later():\n{LOAD}"
CLASS = f"class Thing:\n    def later(self):\n    {LOAD.replace(chr(10), chr(10) + '    ').rstrip(' ')}"
CALLED = [("DF106", "error", "probable")]
ASLEEP = [("DF106", "info", "possible")]
ANY_MODULE = "import importlib\ndef __getattr__(name):\n    return importlib.import_module(f'pkg.{name}')\n"
LOADS = "import ctypes\nctypes.CDLL('need.dll')\n"


def found(make_dist: DistMaker, folder: Path, sources: dict[str, str], program: str) -> list[tuple[str, str, str]]:
    """Return what is said of need.dll, which is nowhere, when a program runs over these sources."""
    dist = make_dist({}, sources)
    entry = folder / "program.py"
    entry.write_text(program)
    report = scan(str(dist), Options(entries=(str(entry),), environ={}))
    rows = [row for row in report.findings if row.subject == "need.dll"]
    return [(row.rule, row.severity.value, row.confidence.value) for row in rows]


@pytest.mark.parametrize(
    ("sources", "program", "expected"),
    [
        ({"pkg/__init__.py": LATER}, "import pkg; pkg.later()", CALLED),
        ({"pkg/__init__.py": LATER}, "import pkg", ASLEEP),
        ({"pkg/__init__.py": LATER}, "from pkg import later as do; do()", CALLED),
        ({"pkg/__init__.py": LATER}, "import pkg; getattr(pkg, 'other')", ASLEEP),
        # An attribute of something else, a local variable, a label: no call.
        ({"pkg/__init__.py": LATER + "import os\nx = os.later\n"}, "import pkg", ASLEEP),
        ({"pkg/__init__.py": LATER + "def other():\n    later = 1\n    return later\nother()\n"}, "import pkg", ASLEEP),
        ({"pkg/__init__.py": LATER + "words = later.__doc__\n"}, "import pkg", ASLEEP),
        # Re-exports, by name and by star.
        ({"pkg/__init__.py": "from .inner import *", "pkg/inner.py": LATER}, "import pkg; pkg.later()", CALLED),
        ({"pkg/__init__.py": "from .inner import later", "pkg/inner.py": LATER}, "import pkg; pkg.later()", CALLED),
        ({"pkg/__init__.py": "from .inner import later", "pkg/inner.py": LATER}, "import pkg", ASLEEP),
        # A name that is given to another name, to a wrapper or to a table counts where that one is used.
        ({"pkg/__init__.py": LATER + "other = later\n"}, "import pkg", ASLEEP),
        ({"pkg/__init__.py": LATER + "other = later\n"}, "import pkg; pkg.other()", CALLED),
        ({"pkg/__init__.py": LATER + "table = {'x': later}\n"}, "import pkg", ASLEEP),
        ({"pkg/__init__.py": LATER + "table = {'x': later}\n"}, "import pkg; pkg.table['x']()", CALLED),
        # Methods: of a class that something makes.
        ({"pkg/__init__.py": CLASS}, "import pkg; pkg.Thing().later()", CALLED),
        ({"pkg/__init__.py": CLASS}, "import pkg; pkg.Thing()", ASLEEP),
        ({"pkg/__init__.py": CLASS}, "import pkg; pkg.other().later()", ASLEEP),
        ({"pkg/__init__.py": CLASS + "class Sub(Thing): pass\n"}, "import pkg; pkg.Sub().later()", CALLED),
        ({"pkg/__init__.py": CLASS + "class Sub(Thing): pass\n"}, "import pkg; x.later()", ASLEEP),
        ({"pkg/__init__.py": CLASS.replace("later", "__init__")}, "import pkg; pkg.Thing()", CALLED),
        ({"pkg/__init__.py": CLASS.replace("later", "__call__")}, "import pkg; pkg.Thing()", ASLEEP),
        # A base that is not here may call any method.
        (
            {"pkg/__init__.py": "import threading\n" + CLASS.replace("Thing", "Thing(threading.Thread)")},
            "import pkg; pkg.Thing().start()",
            CALLED,
        ),
        # Who copes with the absence of modules goes on.
        (
            {
                "pkg/__init__.py": LATER
                + "def run():\n    try:\n        later()\n    except (ImportError, OSError):\n        pass\n"
            },
            "import pkg; pkg.run()",
            ASLEEP,
        ),
        # What a package imports when it is asked for a name.
        (
            {
                "pkg/__init__.py": "_NAMES = {'later': (__spec__.parent, '.inner')}\ndef __getattr__(name):\n    return 1\n",
                "pkg/inner.py": LATER,
            },
            "from pkg import later; later()",
            CALLED,
        ),
        # A module by a computed name is meant by code that asks its package for it.
        ({"pkg/__init__.py": ANY_MODULE, "pkg/inner.py": LOADS}, "import pkg; pkg.inner.run()", CALLED),
        (
            {"pkg/__init__.py": ANY_MODULE, "pkg/inner.py": LOADS},
            "from pkg import inner",
            [("DF106", "error", "certain")],
        ),
        ({"pkg/__init__.py": ANY_MODULE, "pkg/inner.py": LOADS}, "import pkg; pkg.other", ASLEEP),
        ({"pkg/__init__.py": ANY_MODULE, "pkg/inner.py": LOADS, "b.py": "x.inner"}, "import pkg, b", ASLEEP),
    ],
)
def test_who_calls_a_function(
    make_dist: DistMaker, tmp_path: Path, sources: dict[str, str], program: str, expected: list[tuple[str, str, str]]
) -> None:
    assert found(make_dist, tmp_path, sources, program) == expected


def test_functions_of_the_program_that_a_decorator_registers_are_called(make_dist: DistMaker, tmp_path: Path) -> None:
    program = f"import pkg\n@pkg.route('/')\n{LATER}"
    assert found(make_dist, tmp_path, {"pkg/__init__.py": ""}, program) == CALLED
    assert found(make_dist, tmp_path, {"pkg/__init__.py": program, "lib/__init__.py": ""}, "import pkg") == ASLEEP


def test_a_package_that_only_compiled_code_imports_is_followed(make_dist: DistMaker, tmp_path: Path) -> None:
    dist = make_dist(
        {"other/inner.pyd": ("need.dll",)}, {"other/__init__.py": "", "pkg/__init__.py": "from . import core"}
    )
    source = tmp_path / "core.c"
    source.write_text('__declspec(dllexport) const char *wanted(void) { return "other.inner"; }')
    compile_c(source, dist / "pkg" / "core.pyd")
    (tmp_path / "program.py").write_text("import pkg")
    report = scan(str(dist), Options(entries=(str(tmp_path / "program.py"),), environ={}))
    errors = [(row.rule, row.subject, row.chain) for row in report.findings if row.severity.value == "error"]
    assert errors == [
        (
            "DF101",
            "need.dll",
            ("app.exe", "program.py:1", "pkg/__init__.py:1", "pkg/core.pyd", "other/inner.pyd", "need.dll"),
        )
    ]


def test_a_package_that_imports_its_own_name_means_the_module_in_its_folder(
    make_dist: DistMaker, tmp_path: Path
) -> None:
    source = (
        "import sys, os, importlib\nsys.path.insert(0, os.path.dirname(__file__))\nimportlib.import_module('pkg')\n"
    )
    dist = make_dist({"pkg/pkg.pyd": ("need.dll",)}, {"pkg/__init__.py": source})
    (tmp_path / "program.py").write_text("import pkg")
    report = scan(str(dist), Options(entries=(str(tmp_path / "program.py"),), environ={}))
    assert [(row.subject, row.severity.value) for row in report.findings] == [("need.dll", "error")]


@pytest.mark.parametrize(
    ("guard", "severity"),
    [
        ("try:\n    import pkg\nexcept ModuleNotFoundError:\n    pass\n", "info"),
        ("try:\n    import pkg\nexcept ImportError:\n    pass\n", "info"),
        ("try:\n    import pkg\nexcept OSError:\n    pass\n", "error"),
        ("import pkg\n", "error"),
    ],
)
def test_an_absent_module_below_a_guarded_import(
    make_dist: DistMaker, tmp_path: Path, guard: str, severity: str
) -> None:
    """The error of the absent module goes up to the guard; that of a DLL is another one."""
    sources = {
        "pkg/__init__.py": "from pkg.core import x",
        "pkg-1.dist-info/RECORD": "pkg/__init__.py,,\npkg/core.pyd,,\n",
    }
    dist = make_dist({}, sources)
    (tmp_path / "program.py").write_text(guard)
    report = scan(str(dist), Options(entries=(str(tmp_path / "program.py"),), environ={}))
    assert [(row.subject, row.severity.value) for row in report.findings] == [("pkg.core", severity)]


def test_an_absent_module_that_is_told_with_another_error_passes_no_guard(make_dist: DistMaker, tmp_path: Path) -> None:
    inner = "try:\n    from pkg.core import x\nexcept ImportError as error:\n    raise ImportError('advice')\n"
    dist = make_dist({}, {"pkg/__init__.py": inner, "pkg-1.dist-info/RECORD": "pkg/__init__.py,,\npkg/core.pyd,,\n"})
    (tmp_path / "program.py").write_text("try:\n    import pkg\nexcept ModuleNotFoundError:\n    pass\n")
    report = scan(str(dist), Options(entries=(str(tmp_path / "program.py"),), environ={}))
    assert [(row.subject, row.severity.value) for row in report.findings] == [("pkg.core", "error")]


def test_what_a_package_copes_with_on_import_it_copes_with_later(make_dist: DistMaker, tmp_path: Path) -> None:
    library = "try:\n    import pkg\nexcept ModuleNotFoundError:\n    pkg = None\ndef later():\n    import pkg\n"
    sources = {"pkg/__init__.py": "from pkg.core import x", "pkg-1.dist-info/RECORD": "pkg/core.pyd,,\n"}
    dist = make_dist({}, {"lib/__init__.py": library, **sources})
    (tmp_path / "program.py").write_text("import lib; lib.later()")
    report = scan(str(dist), Options(entries=(str(tmp_path / "program.py"),), environ={}))
    assert [(row.subject, row.severity.value) for row in report.findings] == [("pkg.core", "info")]
