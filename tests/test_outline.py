"""Outlines of sources: what is read of them is what is read of the whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from depfix.imports.outline import outline
from depfix.imports.reader import read_source
from depfix.imports.uses import ImportUse, SourceFacts, SourceTarget
from fixtures.compare_readers import compare, read_whole

TARGET = SourceTarget((3, 10))
SOURCES = {
    "a text with lines that look like code": 'def f():\n    """\n    for example:\n\nimport no_module\n    """\n    import os\n',
    "a text of a module": '"""Use\nimport nothing\ndef f():\n    import no\n"""\nimport os\n',
    "single quotes that hold triple ones": 'x = \'"""\'\nimport os\ny = \'"""\'\n',
    "a comment with triple quotes": '# """\nimport os\ndef f():\n    return 1\n',
    "a bracket that closes at the left": "X = [\n1,\n]\ndef f():\n    y = (\n1,\n)\n    import os\n",
    "a bracket in a function that is left out": "def f():\n    y = (\n1,\n)\n    return y\nimport os\n",
    "a header over several lines": "def f(\n    a,\n    b=(1, 2),\n):\n    if a:\n        return\n    import os\n",
    "a header that closes in the line of a parameter": "def f(a,\n      b):\n    import os\n",
    "a decorator over several lines": "@deco(\n    1,\n)\ndef f():\n    import os\n@deco\nclass A:\n    @p\n    def f(self):\n        import re\n",
    "one line": "if True: import os\ndef f(): import re; import sys\nclass A: import json\n",
    "a branch of another system": "import sys\nif sys.platform == 'linux':\n    import fcntl\nelse:\n    import msvcrt\n",
    "a name that decides": "import sys\nPY3 = sys.version_info[0] >= 3\nUNUSED = [\n 1,\n]\nif PY3:\n    import a\nelse:\n    import b\n",
    "a name that decides through another": "import sys\nWIN = sys.platform == 'win32'\nNOT = not WIN\nif NOT:\n    import fcntl\n",
    "a function that is called on import": "def load():\n    import os\ndef later():\n    import re\nload()\n",
    "a function that another calls on import": "def load():\n    import os\ndef start():\n    load()\nstart()\n",
    "a function that leaves first": "def f():\n    if x:\n        return\n    y = 1\n    import os\n    return y\n",
    "a function that always raises behind a try": "def f():\n    for x in y:\n        try:\n            import os\n        except ImportError:\n            pass\n    z = 1\n    raise ValueError\n",
    "an else that belongs to a try": "try:\n    import a\nexcept ImportError:\n    a = None\nelse:\n    import b\nfinally:\n    import c\n",
    "an inner function": "def f():\n    def g():\n        import os\n        return 1\n    x = 1\n    return g()\n",
    "a class of which a part is left out": "class A:\n    x = 1\n    def f(self):\n        return 1\n    def g(self):\n        import os\n    def h(self):\n        return 2\n",
    "a package that has names by code": "def __getattr__(name):\n    return 1\n",
    "names in passing": "def f():\n    global made\n    made = 1\nif (n := 10) > 5:\n    pass\nfor x in y:\n    z = 1\n",
    "names in passing within a function": "def f():\n    if m := 1:\n        return m\nif (n := 10) > 5:\n    pass\n",
    "windows line ends": "def f():\r\n    return 1\r\nimport os\r\n",
    "a form feed": "import os\n\x0cdef f():\n    import re\n",
    "tabs": "class A:\n\tdef f(self):\n\t\timport os\n\tdef g(self):\n\t\treturn 1\n",
    "an encoding": "# -*- coding: latin-1 -*-\nX = 'é'\nimport os\n",
    "a continued line": "from a import b, \\\n    c\nx = 1 + \\\n2\nimport os\n",
    "an option in a list": "def f():\n    run(['--level',  # how much\n         'high'])\n",
    "a stream that is given": "import sys\ndef f(x):\n    sys.stdout = x\n",
    "a stream that a function gives": "import sys\ndef f():\n    def g(x):\n        return x\n    sys.stdout = g(1)\n",
    "statements behind a semicolon": "x = 1; import os; from a import (\n    b,\n)\n",
    "nothing": "",
    "only a comment": "# import os\n",
    "no line end": "import os",
}


def whole(source: str, *, is_package: bool = False) -> SourceFacts:
    encoding = "latin-1" if "latin-1" in source else "utf-8"
    return read_whole(source.encode(encoding), is_package=is_package)


@pytest.mark.parametrize("is_package", [False, True])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_an_outline_says_what_the_whole_says(source: str, is_package: bool) -> None:
    encoding = "latin-1" if "latin-1" in source else "utf-8"
    found = read_source(source.encode(encoding), TARGET, is_package=is_package)
    assert not found.error
    assert found == whole(source, is_package=is_package)


def test_what_has_no_say_in_imports_is_left_out() -> None:
    source = 'import os\nTABLE = {\n    1: 2,\n}\ndef f(x):\n    """Text."""\n    return x\nclass A(B):\n    def g(self):\n        return 1\nimport re\n'
    made = outline(source.encode(), keeps_names=False)
    assert made is not None
    assert made.count(b"\n") == source.count("\n")  # lines keep their numbers
    assert made.split() == [b"import", b"os", b"import", b"re"]


def test_of_a_package_the_names_stay() -> None:
    made = outline(b"def f(x):\n    return x\nclass A(B):\n    y = 1\nz = 1\n", keeps_names=True)
    assert made is not None
    assert [getattr(one, "name", "z") for one in ast.parse(made).body] == ["f", "A", "z"]
    assert b"return" not in made


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"def f():\n    print 'old'\n", "print"),
        (b"import os\ndef f():\n    return (1,\n", "'(' was never closed"),
        (b'import os\ndef f():\n    """Text\n    of many\n', "unterminated"),
        (b"X = '\xe9'\nimport os\n", "utf-8"),
        (b"# coding: no-such\nimport os\n", "no-such"),
        (b"import os\ndef f():\n    x = '\0'\n", "null bytes"),
    ],
)
def test_a_source_that_cannot_be_parsed_is_still_told(data: bytes, words: str) -> None:
    assert words in read_source(data, TARGET).error


def test_a_function_whose_value_is_not_known_decides_nothing() -> None:
    source = "def shape(x):\n    y = x\n    return y\ndef f(x):\n    s = shape(x)\n    if not s:\n        return ()\n    import os\n"
    uses = read_source(source.encode(), TARGET).uses
    assert [use.module for use in uses if isinstance(use, ImportUse)] == ["os"]


def test_the_standard_library_reads_the_same() -> None:
    """The whole comparison, over tens of thousands of sources, is a command: fixtures/compare_readers.py."""
    library = Path(ast.__file__).parent
    paths = [path for path in library.rglob("*.py") if not {"test", "tests", "site-packages"} & set(path.parts)]
    found = compare(sorted(paths))
    assert found.compared > 400
    assert found.different == ()
