"""Every form in which a Python source imports something, one by one."""

from __future__ import annotations

import textwrap

import pytest

from depfix.imports.reader import read_source
from depfix.imports.uses import (
    Absence,
    ImportUse,
    SourceFacts,
    SourceTarget,
    Where,
)
from depfix.imports.values import Anchor, Hole, Own, PackageFolder, Text

TARGET = SourceTarget((3, 10))
SIGNS: dict[object, str] = {Anchor.HERE: "<here>", Anchor.PREFIX: "<prefix>", Anchor.PROGRAM: "<program>", Anchor.CWD: "<cwd>",
         Hole.EACH: "{each}", Hole.ANY: "{any}", Hole.PARAMETER: "{parameter}",
         Own.NAME: "<name>", Own.PACKAGE: "<package>", Own.TOP: "<top>"}  # fmt: skip


def facts(source: str, *, target: SourceTarget = TARGET, is_package: bool = False) -> SourceFacts:
    found = read_source(textwrap.dedent(source).encode(), target, is_package=is_package)
    assert not found.error
    return found


def place(path: Text) -> str:
    return "".join(
        part if isinstance(part, str) else f"<{part.package}>" if isinstance(part, PackageFolder) else SIGNS[part]
        for part in path.parts
    )


def mark(where: Where) -> str:
    """Return "" for what surely happens, and a letter for each circumstance: (d)eferred, (c)onditional, ..."""
    signs = [(where.deferred, "d"), (where.conditional, "c"), (where.import_guarded, "g"),
             (where.absence is Absence.CAUGHT, "a"), (where.absence is Absence.CHANGED, "x")]  # fmt: skip
    return "".join(sign for holds, sign in signs if holds)


def words(use: ImportUse) -> str:
    local = {name: alias for alias, name in use.aliases}
    names = ",".join(f"{name}={local[name]}" if name in local else name for name in use.names)
    return f"{'.' * use.level}{use.module}" + (f":{names}" if names else "") + f"/{mark(use.where)}".rstrip("/")


TOOLS = frozenset(("sys", "os", "typing", "importlib", "importlib.util", "contextlib", "pkgutil", "runpy", "platform",
                   "site", "glob", "struct", "typing:TYPE_CHECKING", "importlib:import_module", "importlib:import_module=load", "os:path",
                   "importlib.util:find_spec", "contextlib:suppress"))  # fmt: skip


def imports(source: str, *, target: SourceTarget = TARGET, is_package: bool = False) -> list[str]:
    found = facts(source, target=target, is_package=is_package).uses
    rows = [words(use) for use in found if isinstance(use, ImportUse)]
    return [row for row in rows if row not in TOOLS]


# --- statements ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a", ["a"]),
        ("import a.b.c as d, e", ["a.b.c", "e"]),
        ("from a import b", ["a:b"]),
        ("from a.b import c as d, e", ["a.b:c=d,e"]),
        ("from a import *", ["a:*"]),
        ("from . import a", [".:a"]),
        ("from .. import a as b", ["..:a=b"]),
        ("from .a.b import (\n    c,\n    d,\n)", [".a.b:c,d"]),
        ("from ...a import *", ["...a:*"]),
        ("import a; import b", ["a", "b"]),
        ("import a \\\n  .b", ["a.b"]),
        ("import \xb5", ["\u03bc"]),  # identifiers are normalized, as PEP 3131 says
    ],
)  # fmt: skip
def test_the_parts_of_a_statement(source: str, expected: list[str]) -> None:
    assert imports(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if compute():\n    import a\nelse:\n    import b", ["a/c", "b/c"]),
        ("from x import HAS\nif HAS:\n    import a\nelse:\n    import b", ["x:HAS", "a/c", "b/c"]),
        ("from x import HAS\nif not HAS:\n    import a", ["x:HAS", "a/c"]),
        ("import x\nif x.HAS and x.more:\n    import a", ["x", "a/c"]),
        ("def f():\n    import a", ["a/d"]),
        ("async def f():\n    import a", ["a/d"]),
        ("class A:\n    import a\n    def f(self):\n        import b", ["a", "b/d"]),
        ("def f():\n    class A:\n        import a", ["a/d"]),
        ("for x in y:\n    import a\nelse:\n    import b", ["a", "b"]),
        ("while x:\n    import a", ["a"]),
        ("with x:\n    import a", ["a"]),
        ("match x:\n    case 1:\n        import a", ["a/c"]),
        ("lambda: __import__('a')", ["a/d"]),
        ("try:\n    import a\nexcept ImportError:\n    import b", ["a/ga", "b/c"]),
        ("try:\n    import a\nexcept ModuleNotFoundError:\n    pass", ["a/a"]),
        ("try:\n    import a\nexcept Exception:\n    pass", ["a/ga"]),
        ("try:\n    import a\nexcept:\n    pass", ["a/ga"]),
        ("try:\n    import a\nexcept (KeyError, ImportError):\n    pass", ["a/ga"]),
        ("try:\n    import a\nexcept ImportError:\n    raise RuntimeError('advice')", ["a/x"]),
        ("try:\n    import a\nexcept ImportError:\n    import sys\n    sys.exit('no a')", ["a/x", "sys/c"]),
        ("try:\n    import a\nexcept KeyError:\n    pass\nelse:\n    import b\nfinally:\n    import c", ["a", "b", "c"]),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import a", ["a/ga"]),
        ("from contextlib import suppress\nwith suppress(ModuleNotFoundError):\n    import a", ["a/a"]),
        ("from x import ImportError as Gone\ntry:\n    import a\nexcept Gone:\n    pass", ["x:ImportError=Gone", "a/ga"]),
        ("ERRORS = (ImportError, OSError)\n__import__('b')\ntry:\n    import a\nexcept ERRORS:\n    pass", ["b", "a/ga"]),
        ("try:\n    def f():\n        import a\nexcept ImportError:\n    pass", ["a/d"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a", []),
        ("import typing\nif not typing.TYPE_CHECKING:\n    import a", ["a"]),
        ("TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import a", []),
    ],
)  # fmt: skip
def test_the_circumstances_of_a_statement(source: str, expected: list[str]) -> None:
    assert imports(source) == expected


def test_an_exception_group_that_is_caught() -> None:
    assert imports("try:\n    import a\nexcept* ImportError:\n    pass") == ["a/ga"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("sys.platform == 'win32'", True),
        ("sys.platform.startswith('win')", True),
        ("sys.platform in ('win32', 'cygwin')", True),
        ("sys.platform.startswith(('win', 'cyg'))", True),
        ("sys.platform not in {'linux', 'darwin'}", True),
        ("'linux' in sys.platform", False),
        ("os.name == 'nt'", True),
        ("os.name != 'posix' and not sys.platform == 'java'", True),
        ("platform.system() == 'Windows'", True),
        ("platform.system().lower() == 'linux'", False),
        ("sys.version_info >= (3, 8)", True),
        ("sys.version_info[0] == 2", False),
        ("sys.version_info < (3, 11)", True),
        ("sys.version_info[:2] == (3, 10)", True),
        ("sys.version_info.minor > 10", False),
        ("(3, 8) <= sys.version_info < (3, 10)", False),
        ("sys.hexversion >= 0x030A0000", True),
        ("sys.maxsize > 2**32", True),
        ("struct.calcsize('P') == 8", True),
        ("sys.implementation.name == 'pypy'", False),
        ("platform.python_implementation() == 'CPython'", True),
        ("hasattr(sys, 'getwindowsversion')", True),
        ("__debug__", True),
    ],
)
def test_tests_are_evaluated_for_the_target(test: str, expected: bool) -> None:
    source = f"import sys, os, platform, struct\nif {test}:\n    import a\nelse:\n    import b"
    assert imports(source) == (["a"] if expected else ["b"])


# --- probes ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = importlib.util.find_spec('a')", []),  # a probe alone is no need
        ("if importlib.util.find_spec('a'):\n    import a", ["a/ca"]),
        ("if importlib.util.find_spec('a') is not None:\n    import a.b\n    import c", ["a.b/ca", "c/c"]),
        ("if importlib.util.find_spec('a') is None:\n    import b\nelse:\n    from a import c", ["b/c", "a:c/ca"]),
        ("if not importlib.util.find_spec('a'):\n    import b\nelse:\n    import a", ["b/c", "a/ca"]),
        ("from importlib.util import find_spec\nHAS = find_spec('a') is not None\nif HAS and compute():\n    import a",
         ["a/ca"]),
        ("HAS = bool(importlib.util.find_spec('a'))\nif compute() or HAS:\n    import a", ["a/c"]),
        ("HAS = importlib.util.find_spec('a')\nif not compute() or not HAS:\n    import b\nelse:\n    import a",
         ["b/c", "a/ca"]),
        ("def has(name):\n    return importlib.util.find_spec(name) is not None\nif has('a'):\n    import a", ["a/ca"]),
        ("HAS = importlib.util.find_spec('a')\ndef f():\n    if HAS:\n        import a", ["a/dca"]),
        ("def f():\n    if importlib.util.find_spec('a') is None:\n        return\n    import a", ["a/da"]),
        ("def f():\n    if importlib.util.find_spec('a') is None:\n        raise ImportError('advice')\n    import a",
         ["a/d"]),
        ("if importlib.util.find_spec('a'):\n    def f():\n        import a", ["a/da"]),
        ("if importlib.util.find_spec('a.b'):\n    import a.b", ["a", "a.b/ca"]),  # it imports the package to look
        ("try:\n    import a\nexcept ImportError:\n    pass\nelse:\n    from a.b import c\n    import d",
         ["a/ga", "a.b:c/a", "d"]),
        ("if pkgutil.find_loader('a'):\n    import a", ["a/ca"]),
        ("if pkgutil.get_loader('a') != None:\n    import a", ["a/ca"]),
        ("if importlib.util.find_spec('a'):\n    importlib.import_module('a.b')", ["a.b/ca"]),
        # What a guarded import left behind.
        ("try:\n    import a\n    HAS = True\nexcept ImportError:\n    HAS = False\nif HAS:\n    import a.b",
         ["a/ga", "a.b/ca"]),
        ("HAS = False\ntry:\n    import a\n    HAS = True\nexcept ImportError:\n    pass\nif HAS:\n    import a.b",
         ["a/ga", "a.b/ca"]),
        ("HAS = True\ntry:\n    import a\nexcept ImportError:\n    HAS = False\nif not HAS:\n    import b\nelse:\n    import a.b",
         ["a/ga", "b/c", "a.b/ca"]),
        ("try:\n    import a\nexcept ImportError:\n    HAS = False\nelse:\n    HAS = True\nif HAS is True:\n    import a.b",
         ["a/ga", "a.b/ca"]),
        ("try:\n    import a as x\nexcept ImportError:\n    x = None\ndef f():\n    if x is not None:\n        from a import b",
         ["a/ga", "a:b/dca"]),
        ("try:\n    from a.c import x\nexcept ImportError:\n    x = None\nif x:\n    from a import b",
         ["a.c:x/ga", "a:b/ca"]),
        ("try:\n    from ._a import x\n    HAS = 1\nexcept ImportError:\n    HAS = 0\nif HAS:\n    from ._a import y",
         ["._a:x/ga", "._a:y/ca"]),
        ("HAS = False\nwith contextlib.suppress(ImportError):\n    import a\n    HAS = True\nif HAS:\n    import a.b",
         ["a/ga", "a.b/ca"]),
        ("try:\n    import a\n    HAS = True\nexcept KeyError:\n    HAS = False\nif HAS:\n    import a.b",
         ["a", "a.b/c"]),
        # What Windows has, or lacks.
        ("try:\n    import msvcrt\nexcept ImportError:\n    WIN = False\nelse:\n    WIN = True\n"
         "if WIN:\n    import a\nelse:\n    import b", ["msvcrt/ga", "a"]),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None\nif fcntl:\n    import a\nelse:\n    import b",
         ["fcntl/ga", "b"]),
        ("if importlib.util.find_spec('pwd') is None:\n    import a\nelse:\n    import b", ["a"]),
        ("try:\n    import winreg\nexcept ImportError:\n    winreg = None\nif winreg:\n    import a\nelse:\n    import b",
         ["winreg/ga", "a"]),
        ("try:\n    import a\n    NO = False\nexcept ImportError:\n    NO = True\nif NO:\n    import b",
         ["a/ga", "b/c"]),
    ],
)  # fmt: skip
def test_an_import_that_a_probe_allows(source: str, expected: list[str]) -> None:
    assert imports(f"import importlib.util, pkgutil, contextlib\n{source}") == expected


# --- encodings and other versions ---


@pytest.mark.parametrize(
    "data",
    [
        "import a".encode("utf-8-sig"),
        "# -*- coding: latin-1 -*-\nx = '\xe9'\nimport a".encode("latin-1"),
        "# vim: set fileencoding=gbk :\nx = '\u4e2d\u6587'\nimport a".encode("gbk"),
        "#!/usr/bin/python\n# coding: shift_jis\nx = '\u65e5'\nimport a".encode("shift_jis"),
        b"\x0cimport a",
        b"x = 1\n\x0c\nimport a",
        b"x = 1\r\nimport a\r\n",
        b"x = 1\rimport a\r",
        b"if (n := 1):\n    pass\nimport a",
        b"import a\nmatch x:\n    case {'y': z, **rest}:\n        pass\n    case [1, *_] | None:\n        pass",
        b"try:\n    x()\nexcept* ValueError:\n    pass\nimport a",
    ],
)
def test_encodings_and_line_ends_and_later_syntax(data: bytes) -> None:
    found = read_source(data, TARGET)
    assert not found.error
    assert [words(use) for use in found.uses if isinstance(use, ImportUse)] == ["a"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("print 'two'\nimport a", ["a/c"]),
        ("import a, b.c as d\nexec 'x' in y\nfrom e import f as g, h", ["a/c", "b.c/c", "e:f=g,h/c"]),
        ("print 'two'\nfrom . import a\nfrom ..b import *\nfrom .c . d import e", [".:a/c", "..b:*/c", ".c.d:e/c"]),
        ("print 'x'\nfrom a import (b,  # why\n    c as d,\n)\nimport e", ["a:b,c=d/c", "e/c"]),
        ("print 'x'\nfrom a import b, \\\n    c", ["a:b,c/c"]),
        ("def f(:\n    import a\nimport b", ["a/dc", "b/c"]),
        ("print 'x'\ntry:\n    import a\nexcept ImportError, e:\n    import b", ["a/cga", "b/c"]),
        ("print 'x'\ntry:\n    import a\nexcept KeyError:\n    pass\nexcept:\n    pass\nimport b", ["a/cga", "b/c"]),
        ("print 'x'\ntry:\n    import a\nexcept KeyError:\n    pass", ["a/c"]),
        ("print 'x'\nclass A:\n    def f(self):\n        import a", ["a/dc"]),
        ("print 'x'\nif TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b/c"]),
        ("print 'x'\n'''\nimport a\n'''\n\"\"\"import b\"\"\"\n# import c\nx = 'import d'", []),
        ("print 'x'\ny = 1; import a; import b", ["a/c", "b/c"]),
        ("print 'x'\nif y: import a", ["a/c"]),
        ("if lis t:\n    x = 1\nimport a", ["a/c"]),
        ("x = f'{'nested' + f\"{'deep'}\" !z}'\nimport a\ny = f'{y['a']}' ?", ["a/c"]),
        ("print 'x'\nimportant = 1\nfrom_here = 2\nimport\nfrom x\nimport a b", []),
        ("x = '\0'\nimport a", ["a/c"]),
        ("# coding: no-such-codec\nimport a", ["a/c"]),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_parsed_still_names_its_imports(source: str, expected: list[str]) -> None:
    found = read_source(source.encode(), TARGET)
    assert found.error
    assert [words(use) for use in found.uses if isinstance(use, ImportUse)] == expected


@pytest.mark.parametrize("version", [(3, 8), (3, 13)])
def test_a_line_of_the_fallback_is_the_real_one(version: tuple[int, int]) -> None:
    found = read_source(b'print "x"\n"""a\nb"""\nfrom a import (b,\n  c)\n\nimport d\n', SourceTarget(version))
    assert [use.where.line for use in found.uses] == [4, 7]


@pytest.mark.parametrize(
    "data",
    [b"?" * 200_000, b"'" * 100_001, b"(\n" * 50_000, b"import " * 50_000, b"import ?\n" + b"from a import (" * 20_000,
     b"import ?\n" + b"\\\n" * 100_000, b"import ?\n" + b"import a." + b"a." * 50_000, b"import ?\n" + b"if x:\n" * 20_000,
     b"import ?\n" + b"".join(b" " * n + b"if x:\n" for n in range(1000)), b"import ?\n" + b"import a, " * 20_000,
     bytes(range(256)) * 400],
)  # fmt: skip
def test_hostile_sources_end_soon(data: bytes) -> None:
    import time

    before = time.process_time()
    assert read_source(data, TARGET).error
    assert time.process_time() - before < 60


# --- what functions mention ---


@pytest.mark.parametrize(
    ("body", "names", "attributes"),
    [
        ("return a", "a", ""),
        ("a = 1\nreturn a + b.c.d", "b", "c d"),
        ("return parameter", "", ""),
        ("import a.b\nfrom c import d as e\nreturn a, e, d", "d", "a.b c"),
        ("import a.b as c\nreturn c", "b", "a.b"),
        ("global a, b\na = 1\nreturn b", "b", "a"),
        ("def inner(x=y):\n    nonlocal z\n    return x, z, w\nz = 1\nreturn inner", "y w", ""),
        ("a = 1\ndef inner():\n    global a\n    return a", "a", ""),
        ("return [a for a in b if c(a)]", "b c", ""),
        ("return [a for a in a]", "a", ""),
        ("return [x for a in p for x in a.q], x", "p x", "q"),
        ("if any((found := x) for x in p):\n    return found", "any p", ""),
        ("return lambda a, *b, c=d, **e: (a, b, c, e, f)", "d f", ""),
        ("class A(B):\n    x = y\n    z = x\n    def f(self):\n        return x, self.g", "B y x", "g z f"),
        ("try:\n    a()\nexcept B as error:\n    error.c()", "a B", "c"),
        ("match a:\n    case {'k': v, **rest}:\n        v(rest)\n    case C(d=e) | [*e]:\n        e()", "a C", ""),
        ("with a as (b, c):\n    b(c)", "a", ""),
        ("for a in b:\n    a += c\ndel a", "b c", ""),
        ("a: B = c\nreturn a", "c", ""),
        ("return f'{a!r:>{b}}'", "a b", ""),
        ("a.b = c\na[d] = 1", "a c d", "b"),
    ],
)  # fmt: skip
def test_a_function_mentions_globals_and_attributes(body: str, names: str, attributes: str) -> None:
    source = f"class K:\n    def function(self, parameter):\n{textwrap.indent(body, ' ' * 8)}\n"
    calls = read_source(source.encode(), SourceTarget((3, 10), calls=True)).calls
    assert calls is not None
    found = calls.functions["K.function"].mentions
    assert (sorted(found.names - {""}), sorted(found.attributes - {""})) == (
        sorted(names.split()),
        sorted(attributes.split()),
    )
