"""Imports by name, lazily bound names, and changes of where modules are looked for, in sources."""

from __future__ import annotations

import pytest

from depfix.imports.lazy import read_stub
from depfix.imports.uses import (
    ModulesUse,
    PackagePathUse,
    ScriptUse,
    SearchPathUse,
)
from depfix.imports.values import Hole, Own, Text, own_name
from tests.test_import_forms import facts, imports, place

# --- by name ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__import__('a.b')", ["a.b"]),
        ("__import__('a', globals(), locals(), ['b', 'c'], 0)", ["a:b,c"]),
        ("__import__('a', globals(), level=1)", [".a"]),
        ("__import__('a', fromlist=['b'])", ["a:b"]),
        ("importlib.import_module('a.b')", ["a.b"]),
        ("from importlib import import_module as load\nload('a')", ["a"]),
        ("importlib.import_module(name='a')", ["a"]),
        ("importlib.import_module('.a', __package__)", [".a"]),
        ("importlib.import_module('.a', package=__name__)", [".a"]),
        ("importlib.import_module('..a', package=__package__)", ["..a"]),
        ("importlib.import_module('.a', __spec__.parent)", [".a"]),
        ("importlib.import_module('.a', 'other.pkg')", ["other.pkg.a"]),
        ("importlib.import_module('..a', 'other.pkg')", ["other.a"]),
        ("importlib.import_module(__package__ + '.a')", [".a"]),
        ("importlib.import_module(__name__ + '.a')", [".a"]),
        ("importlib.import_module(f'{__package__}.a.b')", [".a.b"]),
        ("importlib.import_module('%s.%s' % (__package__, 'a'))", [".a"]),
        ("importlib.import_module('.'.join([__package__, 'a']))", [".a"]),
        ("name = 'a'\nimportlib.import_module(name + '.b')", ["a.b"]),
        ("import other\nimportlib.import_module(other.__name__ + '.b')", ["other", "other.b"]),
        ("importlib.import_module('a' if compute() else 'b')", ["a", "b"]),
        ("def load(name):\n    return importlib.import_module('pkg.' + name)\nload('a')", ["pkg.a"]),
        ("importlib.import_module('not a name')", []),
        ("importlib.import_module(compute())", []),
        ("m = importlib.import_module('ctypes')\nm.CDLL", ["ctypes"]),
        # Names from a table.
        ("for n in ('a', 'b'):\n    importlib.import_module(n)", ["a", "b"]),
        ("for n in ['a', 'b']:\n    __import__('pkg.' + n)", ["pkg.a", "pkg.b"]),
        ("NAMES = {'a', 'b'}\nfor n in sorted(NAMES):\n    importlib.import_module('.' + n, __package__)", [".a", ".b"]),
        ("T = {'a': 1, 'b': 2}\nfor n in T:\n    importlib.import_module(n)", ["a", "b"]),
        ("T = {'x': 'a', 'y': 'b'}\nfor key, n in T.items():\n    importlib.import_module(n)", ["a", "b"]),
        ("T = {'x': 'a', 'y': 'b'}\nimportlib.import_module(T['y'])", ["b"]),
        ("T = {'x': 'a', 'y': 'b'}\ndef f(key):\n    return importlib.import_module(T[key])", ["a/d", "b/d"]),
        ("T = {}\nT['x'] = 'a'\nT.update({'y': 'b'})\nfor n in T.values():\n    importlib.import_module(n)", ["a", "b"]),
        ("T = dict(x='a')\nimportlib.import_module(T.get('x'))", ["a"]),
        ("for n, x in [('a', compute()), ('b', 2)]:\n    importlib.import_module(n)", ["a", "b"]),
        ("for i, n in enumerate(['a', 'b']):\n    importlib.import_module(n)", ["a", "b"]),
        ("for n, x in zip(['a', 'b'], y):\n    importlib.import_module(n)", ["a"]),
        ("mods = [importlib.import_module(n) for n in ('a', 'b')]", ["a", "b"]),
        ("mods = {n: importlib.import_module(n) for n in ('a', 'b')}", ["a", "b"]),
        ("list(map(importlib.import_module, ['a', 'b']))", ["a", "b"]),
        ("T = {'x': 'a'}\nif compute():\n    T['y'] = 'b'\ndef f(k):\n    importlib.import_module(T[k])", ["a/d", "b/d"]),
        ("T = {'x': ('a', 1), 'y': ('b', 2)}\ndef f(k):\n    importlib.import_module(T[k][0])", ["a/d", "b/d"]),
        ("import other\nenv = dict(other.x)\nenv['y'] = 'a'\n__import__(env['y'])", ["other"]),
        ("names = []\nnames.append('a')\nfor n in names:\n    importlib.import_module(n)", ["a"]),
        # Other functions.
        ("pkgutil.resolve_name('a.b:c.d')", ["a.b:c"]),
        ("pkgutil.resolve_name('a.b.c')", ["a.b:c"]),
        ("runpy.run_module('a.b', run_name='__main__')", ["a.b:__main__"]),
        ("runpy.run_module(mod_name='a')", ["a:__main__"]),
        ("if find('x'):\n    try:\n        importlib.import_module('a')\n    except ImportError:\n        pass", ["a/cga"]),
    ],
)  # fmt: skip
def test_an_import_by_name(source: str, expected: list[str]) -> None:
    assert imports(f"import importlib, pkgutil, runpy\n{source}", is_package=True) == expected


def test_a_table_of_many_modules() -> None:
    names = [f"module_{number}" for number in range(200)]
    assert imports(f"import importlib\nfor n in {names}:\n    importlib.import_module('pkg.' + n)") == [
        f"pkg.{name}" for name in names
    ]


def test_the_own_name_of_a_plain_module_is_no_package() -> None:
    assert imports("import importlib\nimportlib.import_module(__name__ + '.a')\n__import__(__package__ + '.b')") == [
        ".b"
    ]


@pytest.mark.parametrize(
    ("source", "pattern", "level", "each"),
    [
        ("for _, name, _ in pkgutil.iter_modules(__path__):\n    importlib.import_module(f'{__name__}.{name}')", "*", 1, True),
        ("for info in pkgutil.iter_modules(__path__, __name__ + '.'):\n    importlib.import_module(info.name)", "*", 1, True),
        ("for info in pkgutil.iter_modules(__path__):\n    importlib.import_module('.' + info.name, __package__)", "*", 1, True),
        ("for f, name, is_pkg in pkgutil.walk_packages(path=__path__, prefix=__name__ + '.'):\n    __import__(name)",
         "**", 1, True),
        ("import plug\nfor info in pkgutil.iter_modules(plug.__path__, plug.__name__ + '.'):\n    __import__(info[1])",
         "plug.*", 0, True),
        ("from . import plug\nfor info in pkgutil.iter_modules(plug.__path__, plug.__name__ + '.'):\n    __import__(info.name)",
         "plug.*", 1, True),
        ("for name in os.listdir(os.path.dirname(__file__)):\n    importlib.import_module('.' + name[:-3], __package__)",
         "*", 1, True),
        ("for f in glob.glob(os.path.join(os.path.dirname(__file__), '*.py')):\n"
         "    importlib.import_module('pkg.' + os.path.basename(f)[:-3])", "pkg.*", 0, True),
        ("for f in glob.glob(os.path.join(os.path.dirname(__file__), 'x_*.py')):\n"
         "    __import__('pkg.' + os.path.splitext(os.path.basename(f))[0])", "pkg.x_*", 0, True),
        ("def use(kind):\n    return importlib.import_module(f'pkg.backends.backend_{kind}')", "pkg.backends.backend_*", 0,
         False),
        ("def use(kind):\n    return importlib.import_module('.' + kind, 'pkg')", "pkg.*", 0, False),
        ("importlib.import_module('.%s.api' % compute(), __package__)", "*.api", 1, False),
    ],
)  # fmt: skip
def test_an_import_of_whatever_is_there(source: str, pattern: str, level: int, each: bool) -> None:
    found = facts(f"import importlib, pkgutil, os, glob\n{source}", is_package=True).uses
    rows = [use for use in found if isinstance(use, ModulesUse)]
    assert [(use.pattern, use.level, use.each, use.where.conditional) for use in rows] == [(pattern, level, each, True)]


def test_a_script_that_is_run() -> None:
    source = (
        "import runpy, os\nrunpy.run_path(os.path.join(os.path.dirname(__file__), 'a.py'))\nrunpy.run_path(compute())"
    )
    assert [place(use.path) for use in facts(source).uses if isinstance(use, ScriptUse)] == ["<here>/a.py"]


# --- lazily ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("_T = {'f': '.a', 'g': 'other.b'}\ndef __getattr__(name): ...", {"f": ".a", "g": "other.b"}),
        ("_T: dict[str, list[str]] = {'a': ['f', 'g']}\ndef __getattr__(name): ...", {"f": ".a", "g": ".a"}),
        ("__getattr__, __dir__, __all__ = lazy.attach(__name__, submodules=['s'], submod_attrs={'a': ['f'], 'b.c': ['g']})",
         {"s": ".s", "f": ".a", "g": ".b.c"}),
        ("__getattr__, *_ = attach(__name__, {'s', 't'}, {'a': ('f',)})", {"s": ".s", "t": ".t", "f": ".a"}),
        ("if x:\n    _T = {'f': '.a'}\ndef __getattr__(name): ...", {"f": ".a"}),
        ("_S = {'a': ['A']}\ntry:\n    check()\nexcept KeyError:\n    pass\nelse:\n    _S['b'] = ['B', 'C']\n"
         "if TYPE_CHECKING:\n    from .a import A\nelse:\n    import sys\n"
         "    sys.modules[__name__] = Lazy(__name__, globals()['__file__'], _S, module_spec=__spec__)",
         {"A": ".a", "B": ".b", "C": ".b"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import A as B\n    from . import c\n"
         "def __getattr__(name): ...", {"B": ".a", "c": ".c"}),
        ("_T = {'f': '.a'}", {}),
    ],
)  # fmt: skip
def test_a_lazy_table(source: str, expected: dict[str, str]) -> None:
    assert facts(source, is_package=True).lazy == expected


def test_all_names_of_a_module_that_is_imported_lazily() -> None:
    source = "import sys\nif TYPE_CHECKING:\n    from .a import *\n    from .b import B\nelse:\n    sys.modules[__name__] = Lazy()"
    assert facts(source, is_package=True).lazy_stars == (".a",)


def test_a_stub_says_what_is_imported_lazily() -> None:
    source = "import lazy_things as lazy\n__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)\n"
    assert facts(source, is_package=True).stub == "__init__.pyi"
    assert facts("def __getattr__(name): ...", is_package=True).stub == ""
    stub = b"from . import sub\nfrom .a import f, g as h\nfrom .b.c import k\nimport os\n__all__ = ['f']\n"
    assert read_stub(stub) == {"sub": ".sub", "f": ".a", "h": ".a", "k": ".b.c"}


@pytest.mark.parametrize("data", [b"", b"from . import", b"\0", b"(" * 5000, b"\xff\xfe"])
def test_a_damaged_stub_says_nothing(data: bytes) -> None:
    assert read_stub(data) == {}


# --- where modules are looked for ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sys.path.insert(0, os.path.dirname(__file__))", ["<here> first"]),
        ("sys.path.append(os.path.join(os.path.dirname(__file__), 'vendor'))", ["<here>/vendor"]),
        ("sys.path.extend([os.path.join(sys.prefix, 'a'), 'b'])", ["<prefix>/a", "b"]),
        ("sys.path += [os.path.join(sys.prefix, 'a')]", ["<prefix>/a"]),
        ("sys.path = [os.path.dirname(__file__)] + sys.path", ["<here> first"]),
        ("sys.path = sys.path + ['a']", ["a"]),
        ("sys.path = ['a', *sys.path]", ["a first"]),
        ("sys.path[:0] = ['a', 'b']", ["a first", "b first"]),
        ("sys.path[0] = 'a'", ["a first"]),
        ("from sys import path\npath.insert(0, 'a')", ["a first"]),
        ("import site\nsite.addsitedir('a')", ["a site"]),
        ("sys.path.append(compute())", []),
        ("sys.path.remove('a')\nx.path.append('b')\nos.environ['a'] = 'b'", []),
        ("p = str(pathlib.Path(__file__).parent / 'x')\nif p not in sys.path:\n    sys.path.insert(0, p)",
         ["<here>/x first"]),
    ],
)  # fmt: skip
def test_a_folder_on_the_search_path(source: str, expected: list[str]) -> None:
    found = [use for use in facts(f"import sys, os, pathlib\n{source}").uses if isinstance(use, SearchPathUse)]
    assert [place(use.path) + " first" * use.first + " site" * use.site for use in found] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__path__.append(os.path.join(os.path.dirname(__file__), 'more'))", [" <here>/more"]),
        ("__path__.insert(0, os.path.join(__path__[0], 'more'))", [" <here>/more first"]),
        ("__path__ += [os.path.join(sys.prefix, 'more')]", [" <prefix>/more"]),
        ("__path__ = [os.path.join(sys.prefix, 'more')] + __path__", [" <prefix>/more first"]),
        ("__path__.extend(['more'])", [" more"]),
        ("import other\nother.__path__.append('more')", ["other more"]),
        ("from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)", [" *"]),
        ("__path__ = __import__('pkgutil').extend_path(__path__, __name__)", [" *"]),
        ("__import__('pkg_resources').declare_namespace(__name__)", [" *"]),
        ("__path__.append(compute())", []),
        ("paths = __path__[0]", []),
    ],
)  # fmt: skip
def test_another_folder_of_a_package(source: str, expected: list[str]) -> None:
    found = facts(f"import sys, os\n{source}", is_package=True).uses
    rows = [use for use in found if isinstance(use, PackagePathUse)]
    assert [
        f"{use.package} {place(use.path) if use.path is not None else '*'}{' first' * use.first}" for use in rows
    ] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("sys.modules['pkg.moves'] = sys", [("pkg.moves", "sys")]),
        ("sys.modules[__name__ + '.moves'] = Moves()", [("<name>.moves", "")]),
        ("sys.modules[f'{__name__}.moves'] = Moves()", [("<name>.moves", "")]),
        ("from . import a\nsys.modules['old'] = a", [("old", ".a")]),
        ("import a.b\nsys.modules.setdefault('old', a.b)", [("old", "a.b")]),
        ("import a\nsys.modules.update({'x': a, 'y': None})", [("x", "a"), ("y", "")]),
        ("for n in ('x', 'y'):\n    sys.modules['pkg.' + n] = 1", [("pkg.x", ""), ("pkg.y", "")]),
        ("def f(name):\n    sys.modules[name] = 1", []),
        ("x = sys.modules['a']\nsys.modules['a'].b = 1\ndel sys.modules['c']", []),
    ],
)  # fmt: skip
def test_a_name_that_is_put_into_sys_modules(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(place(name), module) for name, module in facts(f"import sys\n{source}").modules] == expected


@pytest.mark.parametrize(
    ("parts", "module", "is_package", "expected"),
    [
        ((Own.NAME, ".moves"), "pkg.six", False, "pkg.six.moves"),
        ((Own.PACKAGE,), "pkg.six", False, "pkg"),
        ((Own.PACKAGE, ".a"), "pkg.sub", True, "pkg.sub.a"),
        ((Own.TOP,), "pkg.sub.x", False, "pkg"),
        ((Own.PACKAGE,), "single", False, ""),
        (("plain",), "pkg", True, "plain"),
        ((Own.TOP, Hole.ANY), "pkg", True, None),
    ],
)  # fmt: skip
def test_own_names_are_resolved_by_the_caller(
    parts: tuple[str | Own], module: str, is_package: bool, expected: str
) -> None:
    assert own_name(Text(parts), module, is_package=is_package) == expected
