"""Sources as values: what importing a module does, for the target."""

from __future__ import annotations

import textwrap

import pytest

from depfix.imports.reader import read_source
from depfix.imports.uses import DllDirectoryUse, ImportUse, LoadUse, PathUse, SettingUse, SourceTarget, Strength, Use
from depfix.imports.values import Anchor, Hole, PackageFolder

TARGET = SourceTarget((3, 10))


def uses(source: str, target: SourceTarget = TARGET) -> tuple[Use, ...]:
    facts = read_source(textwrap.dedent(source).encode(), target)
    assert not facts.error
    return facts.uses


def shown(use: DllDirectoryUse | PathUse | LoadUse) -> str:
    signs: dict[object, str] = {Anchor.HERE: "<here>", Anchor.PREFIX: "<prefix>", Anchor.PROGRAM: "<program>", Anchor.SYSTEM: "<windows>",
             Hole.EACH: "{each}", Hole.ANY: "{any}", Hole.PARAMETER: "{parameter}"}  # fmt: skip
    names = [
        part if isinstance(part, str) else f"<{part.package}>" if isinstance(part, PackageFolder) else signs[part]
        for part in (use.path.parts if use.path is not None else ())
    ]
    return "".join(names).replace("\\", "/")


def directories(source: str, target: SourceTarget = TARGET) -> list[str]:
    return [shown(use) for use in uses(source, target) if isinstance(use, DllDirectoryUse)]


def loads(source: str, target: SourceTarget = TARGET) -> list[str]:
    return [shown(use) for use in uses(source, target) if isinstance(use, LoadUse)]


def imports(source: str, target: SourceTarget = TARGET) -> dict[str, Strength]:
    found = [use for use in uses(source, target) if isinstance(use, ImportUse)]
    return {"." * use.level + use.module: use.where.strength(load=False) for use in found}


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("os.path.join(os.path.dirname(__file__), 'lib')", "<here>/lib"),
        ("os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'pkg.libs'))", "<here>/../pkg.libs"),
        ("os.path.join(sys.exec_prefix, 'Library', 'bin')", "<prefix>/Library/bin"),
        ("os.path.dirname(sys.executable)", "<program>"),
        ("os.path.dirname(__file__) + '/bin'", "<here>/bin"),
        ("f'{os.path.dirname(__file__)}/x{3}'", "<here>/x3"),
        ("'%s/%s' % (os.path.dirname(__file__), 'dlls')", "<here>/dlls"),
        ("'{}/{name}'.format(os.path.dirname(__file__), name='dlls')", "<here>/dlls"),
        ("str(pathlib.Path(__file__).parent / 'lib')", "<here>/lib"),
        ("pathlib.Path(__file__).resolve().parents[1].joinpath('a', 'b')", "<here>/../a/b"),
        ("os.path.join(__path__[0], 'lib')", "<here>/lib"),
        ("os.path.join(os.path.split(os.path.realpath(__file__))[0], 'lib')", "<here>/lib"),
        ("importlib.resources.files('other') / 'bin'", "<other>/bin"),
        ("os.path.join(other.__path__[0], 'bin')", "<other>/bin"),
        ("os.path.join(os.path.dirname(other.__file__), 'bin')", "<other>/bin"),
        ("os.path.join(os.getenv('SOME_HOME', sys.prefix), 'bin')", "<prefix>/bin"),
        ("os.path.join(os.environ.get('SOME_HOME') or sys.prefix, 'bin')", "<prefix>/bin"),
        ("os.path.join(os.environ['SystemRoot'], 'System32')", "<windows>/System32"),
        ("os.path.join(os.path.dirname(__file__), compute())", "<here>/{any}"),
        ("os.sep.join([sys.prefix, 'bin'])", "<prefix>/bin"),
        ("os.path.join(sys.prefix, 'x64' if sys.maxsize > 2**32 else 'x86')", "<prefix>/x64"),
        ("os.path.join(sys.prefix, 'dir' if os.name == 'nt' else 'posix')", "<prefix>/dir"),
    ],
)
def test_paths_are_evaluated_for_the_target(expression: str, path: str) -> None:
    source = f"import os, sys, pathlib, importlib.resources, other\nos.add_dll_directory({expression})\n"
    assert directories(source) == [path]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import ctypes\nctypes.CDLL('a.dll')", ["a.dll"]),
        ("from ctypes import WinDLL as W\nW('a')", ["a"]),
        ("import ctypes\nctypes.windll.kernel32.Beep(1, 2)", ["kernel32"]),
        ("import ctypes\nctypes.cdll.LoadLibrary('a.dll')", ["a.dll"]),
        ("from ctypes import *\nfrom ctypes import cdll\ncdll.LoadLibrary('a.dll')", ["a.dll"]),
        ("import ctypes, os\nfor n in ('a', 'b'):\n    ctypes.CDLL(os.path.join(os.path.dirname(__file__), n + '.dll'))",
         ["<here>/a.dll", "<here>/b.dll"]),
        ("import ctypes, glob, os\n[ctypes.CDLL(p) for p in glob.glob(os.path.join(os.path.dirname(__file__), '*.dll'))]",
         ["<here>/{each}.dll"]),
        ("import ctypes, os\nd = os.path.dirname(__file__)\nfor n in os.listdir(d):\n    ctypes.CDLL(os.path.join(d, n))",
         ["<here>/{each}"]),
        ("import ctypes, pathlib\nfor p in (pathlib.Path(__file__).parent / 'x').glob('*.dll'):\n    ctypes.CDLL(str(p))",
         ["<here>/x/{each}.dll"]),
        ("import ctypes\ndef load(name):\n    return ctypes.CDLL(name)\nlib = load('a.dll')", ["a.dll"]),
        ("import ctypes\ndef load(name):\n    return ctypes.CDLL(name)", ["{parameter}"]),
        ("import ctypes\nclass A:\n    lib = ctypes.CDLL('a.dll')", ["a.dll"]),
        ("import ctypes\nx = ctypes.CDLL('a.dll') if True else ctypes.CDLL('b.dll')", ["a.dll"]),
        ("import ctypes, importlib.resources as r\nwith r.path(__name__, 'a.dll') as p:\n    ctypes.CDLL(str(p))",
         ["<here>/a.dll"]),
    ],
)  # fmt: skip
def test_dll_loads_are_seen(source: str, expected: list[str]) -> None:
    assert loads(source) == expected


@pytest.mark.parametrize(
    ("call", "flags"),
    [
        ("ctypes.CDLL('a.dll')", None),
        ("ctypes.CDLL('a.dll', winmode=0)", 0),
        ("ctypes.WinDLL('a.dll', winmode=8)", 8),
        ("kernel32.LoadLibraryW('a.dll')", 0),
        ("kernel32.LoadLibraryExW('a.dll', None, 0x1000 | 0x100)", 0x1100),
    ],
)
def test_the_mode_of_a_load_is_kept(call: str, flags: int | None) -> None:
    source = f"import ctypes\nkernel32 = ctypes.WinDLL('kernel32.dll')\n{call}\n"
    found = [use for use in uses(source) if isinstance(use, LoadUse)]
    assert found[-1].flags == flags


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a", {"a": Strength.REQUIRED}),
        ("from . import a\nfrom ..b import c", {".": Strength.REQUIRED, "..b": Strength.REQUIRED}),
        ("try:\n    import a\nexcept ImportError:\n    a = None", {"a": Strength.OPTIONAL}),
        ("try:\n    import a\nexcept:\n    pass", {"a": Strength.OPTIONAL}),
        ("try:\n    import a\nexcept ImportError as e:\n    raise ImportError('advice') from e", {"a": Strength.REQUIRED}),
        ("try:\n    import a\nexcept KeyError:\n    pass", {"a": Strength.REQUIRED}),
        ("try:\n    import a\nexcept ModuleNotFoundError:\n    pass", {"a": Strength.REQUIRED}),
        ("try:\n    import a\nexcept (ValueError, Exception):\n    pass", {"a": Strength.OPTIONAL}),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import a",
         {"contextlib": Strength.REQUIRED, "a": Strength.OPTIONAL}),
        ("def f():\n    import a", {"a": Strength.PROBABLE}),
        ("def f():\n    import a\nf()", {"a": Strength.REQUIRED}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a", {"typing": Strength.REQUIRED}),
        ("import typing as t\nif t.TYPE_CHECKING:\n    import a\nelse:\n    import b",
         {"typing": Strength.REQUIRED, "b": Strength.REQUIRED}),
        ("import sys\nif sys.platform == 'win32':\n    import a\nelse:\n    import b",
         {"sys": Strength.REQUIRED, "a": Strength.REQUIRED}),
        ("import sys\nif sys.platform.startswith('linux'):\n    import a", {"sys": Strength.REQUIRED}),
        ("import sys\nif sys.version_info >= (3, 11):\n    import a\nelse:\n    import b",
         {"sys": Strength.REQUIRED, "b": Strength.REQUIRED}),
        ("import os\nif os.environ.get('DEBUG_ME'):\n    import a", {"os": Strength.REQUIRED}),
        ("if compute():\n    import a", {"a": Strength.PROBABLE}),
        ("import importlib\nx = importlib.import_module('a.b')", {"importlib": Strength.REQUIRED, "a.b": Strength.REQUIRED}),
        ("__import__('a')", {"a": Strength.REQUIRED}),
        ("import platform\ndef f():\n    if platform.system() == 'Windows':\n        return\n    import a\nf()",
         {"platform": Strength.REQUIRED}),
        ("class A:\n    import a", {"a": Strength.REQUIRED}),
        ("if __name__ == '__main__':\n    import a", {}),
    ],
)  # fmt: skip
def test_imports_with_how_surely_they_run(source: str, expected: dict[str, Strength]) -> None:
    assert imports(source) == expected


def test_a_preamble_that_lists_filters_extends_and_patches_path() -> None:
    source = """
        import os, sys, glob, ctypes
        if sys.platform == "win32":
            own = os.path.join(os.path.dirname(__file__), "lib")
            shared = os.path.join(sys.exec_prefix, "Library", "bin")
            base = os.path.join(sys.base_exec_prefix, "x") if sys.exec_prefix != sys.base_exec_prefix else ""
            paths = list(filter(os.path.exists, [own, shared, base]))
            paths.extend(filter(os.path.exists, [os.path.join(os.getenv("TOOL_PATH", "C:\\\\Tool"), "bin")]))
            kernel32 = ctypes.WinDLL("kernel32.dll", use_last_error=True)
            for path in paths:
                if sys.version_info >= (3, 8):
                    os.add_dll_directory(path)
                else:
                    kernel32.AddDllDirectory(path)
            for dll in glob.glob(os.path.join(own, "*.dll")):
                loaded = kernel32.LoadLibraryExW(dll, None, 0x00001100)
                if loaded is None:
                    os.environ["PATH"] = ";".join(paths + [os.environ["PATH"]])
                    kernel32.LoadLibraryW(dll)
        """
    assert directories(source)[:2] == ["<here>/lib", "<prefix>/Library/bin"]
    assert loads(source) == ["kernel32.dll", "<here>/lib/{each}.dll", "<here>/lib/{each}.dll"]
    assert [shown(use) for use in uses(source) if isinstance(use, PathUse)] == ["<here>/lib", "<prefix>/Library/bin"]


def test_a_function_that_a_wheel_repair_tool_writes() -> None:
    source = """
        def _patch_1_5_2():
            import ctypes, os, platform, sys
            libs_dir = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, "pkg.libs"))
            is_conda = platform.python_implementation() == "CPython" and hasattr(ctypes.pythonapi, "Some_Version")
            if sys.version_info[:2] >= (3, 8) and not is_conda or sys.version_info[:2] >= (3, 10):
                if os.path.isdir(libs_dir):
                    os.add_dll_directory(libs_dir)
            else:
                with open(os.path.join(libs_dir, ".load-order")) as file:
                    order = file.read().split()
                for lib in order:
                    ctypes.WinDLL("kernel32").LoadLibraryExW(os.path.join(libs_dir, lib), None, 8)

        _patch_1_5_2()
        del _patch_1_5_2
        """
    assert directories(source) == ["<here>/../pkg.libs"]
    assert loads(source) == []
    older = SourceTarget((3, 7))
    assert directories(source, older) == []
    assert loads(source, older) == ["kernel32", "<here>/../pkg.libs/{any}"]


@pytest.mark.parametrize(
    "data",
    [b"def f(:\n", b"x = '\0'", b"\xff\xfe\x00", b"# coding: no-such-codec\n", b"print 'two'", b"x = " + b"(" * 5000],
)
def test_what_cannot_be_parsed_is_told_and_not_fatal(data: bytes) -> None:
    facts = read_source(data, TARGET)
    assert facts.uses == ()
    assert facts.error


def test_recursion_and_large_loops_end() -> None:
    source = """
        import ctypes
        def f(x):
            return f(x + 1)
        def g():
            return [g() for _ in range(10)]
        f(0); g()
        a = []
        while True:
            a += [a, "x.dll"]
            ctypes.CDLL(a[0])
        """
    assert uses(source)


def test_the_hosts_own_platform_plays_no_part() -> None:
    assert imports(
        "import sys\nif sys.platform == 'linux':\n    import a\nelif sys.platform == 'darwin':\n    import b"
    ) == {"sys": Strength.REQUIRED}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['MKL_NUM_THREADS'] = '1'\n",
        "from os import environ as env\nenv['MKL_NUM_THREADS'] = '1'\n",
        "import os\nenv = os.environ\nenv['MKL_NUM_THREADS'] = '1'\n",
        "import os\nos.environ[\n    'MKL_NUM_THREADS'\n] = '1'\n",
    ],
)
def test_a_variable_is_set_however_it_is_spelled(source: str) -> None:
    uses = [use for use in read_source(source.encode(), SourceTarget((3, 10))).uses if isinstance(use, SettingUse)]
    assert [(use.name, use.value) for use in uses] == [("MKL_NUM_THREADS", "1")]
