"""The tables by which a package imports its modules only when it is asked for one of their names.

Sources: PEP 562 https://peps.python.org/pep-0562/ ; SPEC 1, "Lazy Loading of Submodules and Functions"
https://scientific-python.org/specs/spec-0001/
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from depfix.imports.parsing import parsed

_ITSELF = re.compile(rb"modules\s*\[\s*__name__\s*\]\s*=(?!=)")
_BRANCHES = (ast.If, ast.Try, ast.With)


def may_be_lazy(data: bytes) -> bool:
    """Return True if a package may say by code what a name is, by the words in its source."""
    return b"__getattr__" in data or _ITSELF.search(data) is not None


def is_lazy(data: bytes, names: object) -> bool:
    """Return True for a package that says by code what a name is: `__getattr__`, or an object in its own place."""
    return (isinstance(names, dict) and "__getattr__" in names) or _ITSELF.search(data) is not None


def lazy_names(tree: ast.Module) -> dict[str, str]:
    """Return {name: module} of the tables by which a module's `__getattr__` imports what it is asked for.

    A table is a dict at module level, `{"name": ".module"}`, `{"name": (package, ".module")}` or
    `{"module": ["name"]}`, or such a dict as an argument; a list of names beside it as an argument is one of modules.
    `table["module"] = ["name"]` adds a row. What is imported for type checkers alone has the same names. A module with
    a leading dot is one of the package.
    """
    found: dict[str, str] = {}
    for statement in _statements(tree.body):
        if isinstance(statement, ast.ImportFrom):
            found.update(_typed(statement))
            continue
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            if isinstance(target, ast.Subscript) and value is not None:
                found.update(_rows([target.slice], [value]))
        if isinstance(value, ast.Call):
            attaches = any(isinstance(one, ast.Name) and one.id == "__name__" for one in value.args)
            for given in (*value.args, *(keyword.value for keyword in value.keywords)):
                found.update(_table(given, attaches=attaches))
        elif value is not None:
            found.update(_table(value, attaches=False))
    return found


def lazy_stars(tree: ast.Module) -> tuple[str, ...]:
    """Return the modules all of whose public names a package takes lazily, as its imports for type checkers say."""
    found = [
        f".{statement.module}"
        for statement in _statements(tree.body)
        if isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.module
        if any(alias.name == "*" for alias in statement.names)
    ]
    return tuple(dict.fromkeys(found))


def read_stub(data: bytes) -> dict[str, str]:
    """Return {name: module} of a stub that says what a package takes lazily, nothing if it cannot be parsed.

    As `lazy_names` does: `from .module import name` gives `{"name": ".module"}`, `from . import module` a module.
    """
    try:
        tree = parsed(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            found.update(_imported(statement))
    return found


def stub_name(tree: ast.Module) -> str:
    """Return the name of the stub by which a package says what it takes lazily, an empty string if there is none."""
    for statement in _statements(tree.body):
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        called = value.func if isinstance(value, ast.Call) else None
        if (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) == "attach_stub":
            return "__init__.pyi"
    return ""


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield assignments of a module, those in branches too, and the imports under `if TYPE_CHECKING:`."""
    todo = [(statement, False) for statement in reversed(body)]
    while todo:
        statement, typed = todo.pop()
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) or (typed and isinstance(statement, ast.ImportFrom)):
            yield statement
        elif isinstance(statement, _BRANCHES):
            typed = typed or (isinstance(statement, ast.If) and _is_for_types(statement.test))
            inner = [*statement.body, *getattr(statement, "orelse", ()), *getattr(statement, "finalbody", ())]
            todo += [(one, typed) for one in reversed(inner)]


def _is_for_types(test: ast.expr) -> bool:
    return (test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")) == "TYPE_CHECKING"


def _typed(statement: ast.ImportFrom) -> dict[str, str]:
    return {name: module for name, module in _imported(statement).items() if name != "*"}


def _imported(statement: ast.ImportFrom) -> dict[str, str]:
    if statement.level != 1:
        return {}
    return {
        alias.asname or alias.name: f".{statement.module}" if statement.module else f".{alias.name}"
        for alias in statement.names
    }


def _table(value: ast.expr, *, attaches: bool) -> dict[str, str]:
    if isinstance(value, ast.Dict):
        return _rows(value.keys, value.values)
    if attaches and isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return {name: f".{name}" for name in _texts(value) if name.isidentifier()}
    return {}


def _rows(keys: list[ast.expr | None] | list[ast.expr], values: list[ast.expr]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, entry in zip(keys, values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.update(_row(key.value, entry))
    return found


def _row(key: str, entry: ast.expr) -> dict[str, str]:
    texts = _texts(entry)
    modules = [text for text in texts if "." in text and text.strip(".")]
    if modules:
        return {key: modules[0]}
    if isinstance(entry, ast.Constant):
        return {key: f".{texts[0]}"} if texts and texts[0].isidentifier() else {}
    return {text: f".{key.lstrip('.')}" for text in texts}


def _texts(entry: ast.expr) -> list[str]:
    parts = entry.elts if isinstance(entry, (ast.Tuple, ast.List, ast.Set)) else [entry]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
