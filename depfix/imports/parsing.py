"""Parses Python sources, whole or in outline."""

from __future__ import annotations

import ast
import warnings

from depfix.imports.outline import outline


def parsed(data: bytes) -> ast.Module:
    """Return the tree of a source.

    Raises SyntaxError, ValueError (NUL bytes, impossible encodings), RecursionError and MemoryError. Where memory runs
    out, Python 3.11 gives SystemError: it compares a count of levels that it had not counted down. Source: "Error in
    AST recursion depth tracking change of gh-95185", https://github.com/python/cpython/issues/106905
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(data)
        except SystemError as error:
            raise MemoryError from error


def outlined(data: bytes, is_package: bool) -> ast.Module:
    """Return the tree of what in a source has a say in its imports, that of all if it cannot be told. See `parsed`."""
    text = outline(data, keeps_names=is_package)
    if text is None:
        return parsed(data)
    try:
        return parsed(text)
    except (SyntaxError, ValueError):
        return parsed(data)
