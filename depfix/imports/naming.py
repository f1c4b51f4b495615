"""What names tell: those that a module may have without a statement that says so, and those of tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

# Where one of these stands, a package may have attributes and submodules that no statement names.
_BY_CODE = (
    b"sys.modules",
    b"globals()",
    b"__path__",
    b"setattr(",
    b"exec(",
    b"vars()",
    b"locals()",
    b"__dict__",
    b"f_globals",
    b"declare_namespace",
    b"global_enum",
    b"meta_path",
    b"_convert",
)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PASSING = (b"global", b":=", b"match", b"type ")
# What gives attributes to another module. A read of sys.modules, or a method that sets those of `self`, does not.
_TO_MODULES = re.compile(rb"modules\s*\[[^\]\n]*\]\s*=(?!=)|modules\.(?:update|setdefault)\b|setattr\((?!self\b|cls\b)")


def binds_by_code(data: bytes) -> bool:
    """Return True if a source has what may bind names of its module that no statement names."""
    return any(word in data for word in _BY_CODE)


def sets_attribute(data: bytes, name: str) -> bool:
    """Return True if a source has what may set an attribute of that name of another module."""
    assigned = rb"\.%s\b\s*(?::[^=\n]*)?=(?!=)" % re.escape(name.encode())
    return _TO_MODULES.search(data) is not None or re.search(assigned, data) is not None


def bound_in_passing(tree: ast.Module, data: bytes) -> Iterator[str]:
    """Yield names that a module may bind by other means than those that are followed; `data` is its source."""
    if not any(word in data for word in _PASSING):
        return
    yield from (name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
    for node in _outside_definitions(tree):
        if isinstance(node, ast.NamedExpr):
            yield node.target.id
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        elif type(node).__name__ == "TypeAlias":  # Python 3.12
            yield from (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _outside_definitions(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what runs with the module itself: in a function or class a name is bound there."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        within = node.body if isinstance(node, _DEFINITIONS) else ()
        pending += [child for child in ast.iter_child_nodes(node) if child not in within]


def is_test(name: str) -> bool:
    """Return True for a module that test runners collect by its name.

    Source: pytest, "Conventions for Python test discovery"
    https://docs.pytest.org/en/stable/explanation/goodpractices.html
    """
    parts = name.split(".")
    return "tests" in parts or "test" in parts[1:] or parts[-1] == "conftest" or parts[-1].startswith("test_")


@lru_cache(maxsize=16384)
def with_packages(name: str) -> tuple[str, ...]:
    """Return a module's name after those of the packages that it is in, in the order in which Python imports them."""
    parts = name.split(".")
    return tuple(".".join(parts[:end]) for end in range(1, len(parts) + 1))
