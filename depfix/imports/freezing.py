"""What freezers set when a program starts, and how code asks for it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

from depfix.imports.values import (
    ABSENT,
    COMPILED_GLOBALS,
    GLOBALS,
    NAMESPACE,
    PARAMETER,
    UNKNOWN,
    Anchor,
    Constant,
    Reference,
    Text,
    Value,
)

_FOLDER = "sys._MEIPASS"  # where PyInstaller puts what it carries


def freezer_facts(freezer: str) -> dict[str, Value]:
    """Return what a freezer's own start-up code sets; nothing if it is not known which one it is.

    Sources: PyInstaller manual, "Run-time Information" https://pyinstaller.org/en/stable/runtime-information.html ;
    cx_Freeze, "Using data files" https://cx-freeze.readthedocs.io/en/stable/faq.html ; Nuitka user manual, "Detecting
    Nuitka at run time" https://nuitka.net/user-documentation/user-manual.html
    """
    if not freezer:
        return {}
    is_frozen = freezer in ("pyinstaller", "cx_freeze")
    facts: dict[str, Value] = {
        "sys.frozen": Constant(True) if is_frozen else ABSENT,
        _FOLDER: Text((Anchor.PREFIX,)) if freezer == "pyinstaller" else ABSENT,
    }
    if freezer == "nuitka":
        facts["builtins.__compiled__.containing_dir"] = Text((Anchor.PROGRAM,))
    return facts


def known_attribute(freezer: str) -> Callable[[list[Value], dict[str, Value]], Value]:
    """Return what getattr gives, for the names that freezers set."""
    facts = freezer_facts(freezer)

    def call(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
        if len(arguments) < 2 or not isinstance(arguments[0], Reference) or not isinstance(arguments[1], Text):
            return PARAMETER if PARAMETER in arguments else UNKNOWN
        fact = facts.get(f"{arguments[0].name}.{arguments[1].literal or ''}", UNKNOWN)
        return arguments[2] if fact == ABSENT and len(arguments) > 2 else fact

    return call


def own_globals(freezer: str) -> Value:
    """Return what globals() gives, as far as `"__compiled__" in globals()` is concerned."""
    return COMPILED_GLOBALS if freezer == "nuitka" else GLOBALS if freezer else Reference(NAMESPACE)


def asks_freezer(body: list[ast.stmt], facts: Mapping[str, Value]) -> bool | None:
    """Return whether the body of a `try` that begins with `sys._MEIPASS` succeeds, None if it is another one."""
    fact = facts.get(_FOLDER)
    if fact is None or not body or not any(map(_is_folder, ast.walk(body[0]))):
        return None
    return False if fact == ABSENT else True if len(body) == 1 else None


def _is_folder(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "_MEIPASS" and isinstance(node.value, ast.Name)
