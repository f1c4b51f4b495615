"""The completion finder: a module written into a dist, so that packages inside the program can be completed.

Nuitka's loader claims the folder of a package that is inside the program, so that nothing more of it is found there. A
finder behind the others on `sys.meta_path` is asked all the same. Source: "The import system", The meta path
https://docs.python.org/3/reference/import.html#the-meta-path
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from depfix.closure.build import Closure
from depfix.closure.graph import NodeKind
from depfix.dist.tree import Tree
from depfix.imports.finder import COMPLETION_FOLDER, ModuleFile, ModuleFinder, ModuleKind
from depfix.imports.parsing import parsed
from depfix.model.names import join
from depfix.wording.message import phrase

MODULE = "depfix_completion"
_LINE = f"try: import {MODULE}  # depfix: serves modules that the program lacks; `depfix undo` takes this out"
_GUARD = "except ImportError: pass"
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")

_TEXT = '''"""Completes packages of which the program itself holds only a part.

depfix wrote this file, and `depfix undo` takes it away. The program's own loader answers for these packages and looks
for no further modules of them in a folder; the finder below is asked after all others, and serves the files of the
folder {folder}, which are {provider}'s own.
"""

import sys
from _frozen_importlib_external import (
    ExtensionFileLoader,
    SourceFileLoader,
    SourcelessFileLoader,
    spec_from_file_location,
)

_FOLDER = __file__[: -len("{module}.py")] + "{folder}\\\\"
_FILES = {{
{files}}}
_LOADERS = {{".py": SourceFileLoader, ".pyc": SourcelessFileLoader, ".pyd": ExtensionFileLoader}}


class CompletionFinder:
    """Finds the modules of the table above, and nothing else."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        file = _FILES.get(name)
        if file is None:
            return None
        location = _FOLDER + file.replace("/", "\\\\")
        loader = _LOADERS[file[file.rindex(".") :]](name, location)
        return spec_from_file_location(name, location, loader=loader)


sys.meta_path.append(CompletionFinder)
'''


def completed_modules(closure: Closure) -> dict[str, str]:
    """Return {module: its file below the completion folder} of what the dist, or a plan over it, completes."""
    return served_files(closure.world.tree, closure.world.finder)


def served_files(tree: Tree, finder: ModuleFinder) -> dict[str, str]:
    """As `completed_modules`, by the files of a tree and what can be found in it."""
    found = {}
    for entry in tree:
        inner = entry.path.removeprefix(f"{COMPLETION_FOLDER}/")
        if inner == entry.path or not inner.endswith((".py", ".pyc", ".pyd")):
            continue
        name = inner.partition(".")[0].removesuffix("/__init__")  # bytecode alone has an `__init__`, too
        module = finder.find(name.replace("/", "."))
        if module is not None and module.entry is entry:
            found[module.name] = inner
    return dict(sorted(found.items()))


def finder_source(modules: dict[str, str], provider: str) -> bytes:
    """Return the text of the finder that serves these modules."""
    rows = "".join(f'    "{name}": "{file}",\n' for name, file in modules.items())
    return _TEXT.format(folder=COMPLETION_FOLDER, module=MODULE, files=rows, provider=provider).encode("ascii")


def finder_path(closure: Closure) -> str:
    """Return where the finder goes."""
    return join(closure.world.dist.layout.stdlib, f"{MODULE}.py")


def modules_to_patch(closure: Closure, completed: Iterable[str]) -> tuple[ModuleFile, ...]:
    """Return the modules whose code runs from a file before a completed module is imported: packages, uppermost first.

    Of each chain that is the top-level package of the importer, or if that is inside the program too, of the last
    module before it that is not.
    """
    found: dict[str, ModuleFile] = {}
    wanted = set(completed)
    for edge in closure.graph.edges():
        if edge.target.kind is not NodeKind.MODULE or edge.target.name not in wanted:
            continue
        if edge.source.name in wanted or closure.graph.edge_strength(edge) is None:
            continue
        steps = [edge.source.name, *(step.source.name for step in reversed(closure.graph.chain(edge.source)))]
        for name in steps:
            module = _first_file(closure, name)
            if module is not None:
                found.setdefault(module.name, module)
                break
    return tuple(found.values())


def _first_file(closure: Closure, name: str) -> ModuleFile | None:
    """Return the uppermost package, or the module itself, that is a source in the dist."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        module = closure.world.finder.find(".".join(parts[:count]))
        if module is not None and module.kind is ModuleKind.SOURCE and module.entry is not None:
            return None if module.entry.path.startswith(f"{COMPLETION_FOLDER}/") else module
    return None


def patched(source: bytes) -> bytes | str:
    """Return a source that imports the finder before anything else, or why that cannot be written into it.

    The lines follow the docstring and the imports from `__future__`, which must stay first. Source: "The import
    statement", Future statements https://docs.python.org/3/reference/simple_stmts.html#future-statements
    """
    if f"import {MODULE}".encode() in source:
        return source
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return phrase("it cannot be parsed ({error})", error=error)
    newline = b"\r\n" if b"\r\n" in source else b"\n"
    lines = source.splitlines(keepends=True)
    line = _insertion_line(tree.body, lines)
    added = newline.join((_LINE.encode(), _GUARD.encode(), b""))
    if line and not lines[line - 1].endswith((b"\n", b"\r")):
        lines[line - 1] += newline
    return b"".join([*lines[:line], added, *lines[line:]])


def _insertion_line(body: Sequence[ast.stmt], lines: Sequence[bytes]) -> int:
    """Return how many lines must stay before what is inserted."""
    last = 0
    for number, statement in enumerate(body):
        is_docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not is_docstring and not is_future:
            break
        last = statement.end_lineno or last
    if last:
        return last
    comments = 0
    while (
        comments < len(lines) and comments < 2 and (lines[comments].startswith(b"#!") or _COOKIE.match(lines[comments]))
    ):
        comments += 1
    return comments
