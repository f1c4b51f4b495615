"""The completion finder: what is written into a dist, where it is loaded first, and that Python finds modules by it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depfix.dist.tree import read_tree
from depfix.imports.finder import COMPLETION_FOLDER, ModuleFinder, ModuleKind
from depfix.repair.completion import MODULE, finder_source, patched, served_files

LINES = f"try: import {MODULE}"


@pytest.mark.parametrize(
    ("source", "before"),
    [
        ("import os\n", ""),
        ('"""Doc."""\nimport os\n', '"""Doc."""\n'),
        ('"""Doc.\n\nMore.\n"""\n\nimport os\n', '"""Doc.\n\nMore.\n"""\n'),
        ('"""Doc."""\nfrom __future__ import annotations\nimport os\n', '"""Doc."""\nfrom __future__ import annotations\n'),
        ("from __future__ import (\n    annotations,\n)\nimport os\n", "from __future__ import (\n    annotations,\n)\n"),
        ("#!/usr/bin/python\n# -*- coding: utf-8 -*-\nimport os\n", "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n"),
        ("# coding: latin-1\nname = 'é'\n", "# coding: latin-1\n"),
        ("", ""),
        ('"""Doc without a line end."""', '"""Doc without a line end."""\n'),
        ("# A comment.\n\nimport os\n", ""),
    ],
)  # fmt: skip
def test_the_finder_is_loaded_before_everything_else(source: str, before: str) -> None:
    encoding = "latin-1" if "latin-1" in source else "utf-8"
    found = patched(source.encode(encoding))
    assert isinstance(found, bytes)
    text = found.decode(encoding)
    assert text.startswith(before + LINES)
    statements = ast.parse(found).body
    kinds = [type(one).__name__ for one in statements if not isinstance(one, ast.Expr)]
    assert kinds.index("Try") == sum(
        isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in statements
    )
    added = f"{text[len(before) :].splitlines()[0]}\nexcept ImportError: pass\n"
    assert text.replace(added, "", 1).rstrip("\n") == source.rstrip("\n")


def test_line_ends_of_the_source_are_kept() -> None:
    found = patched(b'"""Doc."""\r\nimport os\r\n')
    assert isinstance(found, bytes)
    assert found.count(b"\r\n") == 4 and found.count(b"\n") == 4


def test_what_is_patched_stays_as_it_is() -> None:
    once = patched(b"import os\n")
    assert isinstance(once, bytes)
    assert patched(once) == once


def test_a_source_that_cannot_be_parsed_is_not_changed() -> None:
    found = patched(b"print 'two'\n")
    assert isinstance(found, str) and "cannot be parsed" in found


@given(st.binary(max_size=200))
def test_any_bytes_are_patched_or_refused(source: bytes) -> None:
    found = patched(source)
    assert isinstance(found, str) or LINES.encode() in found


def test_python_finds_by_it_what_a_package_lacks(tmp_path: Path) -> None:
    folder = tmp_path / COMPLETION_FOLDER / "json"
    (folder / "sub").mkdir(parents=True)
    (folder / "more.py").write_text("WHAT = 'more'\n")
    (folder / "sub" / "__init__.py").write_text("")
    (folder / "sub" / "inner.py").write_text("WHAT = 'inner'\n")
    modules = {"json.more": "json/more.py", "json.sub": "json/sub/__init__.py", "json.sub.inner": "json/sub/inner.py"}
    text = finder_source(modules, "Python 3.11").decode("ascii")
    # The dist is on Windows; here the separator is this system's.
    (tmp_path / f"{MODULE}.py").write_text(text.replace("\\\\", "/"))
    script = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport {MODULE}\nimport json.more, json.sub.inner\n"
        "print(json.more.WHAT, json.sub.inner.WHAT)\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("more inner\n", "")


def test_a_package_that_is_bytecode_alone_is_served(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    for name in ("xml/etree/__init__.pyc", "xml/etree/ElementTree.pyc", "logging/handlers.pyc"):
        (dist / COMPLETION_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (dist / COMPLETION_FOLDER / name).write_bytes(b"")
    tree = read_tree(str(dist))
    finder = ModuleFinder(tree, (COMPLETION_FOLDER,), ((".py", ModuleKind.SOURCE), (".pyc", ModuleKind.BYTECODE)))
    assert served_files(tree, finder) == {
        "logging.handlers": "logging/handlers.pyc",
        "xml.etree": "xml/etree/__init__.pyc",
        "xml.etree.ElementTree": "xml/etree/ElementTree.pyc",
    }
