"""Reads one Python source: what importing it does, in order, for the target."""

from __future__ import annotations

import ast
import warnings

from depfix.imports.effects import (
    IMPORT_FUNCTIONS,
    LOADER_CLASSES,
    added_directory,
    anchored_texts,
    library_value,
    loaded_library,
    loader_attribute,
    module_names,
    texts_of,
)
from depfix.imports.interpreter import Interpreter
from depfix.imports.uses import DllDirectoryUse, ImportUse, LoadUse, PathUse, SourceFacts, SourceTarget
from depfix.imports.values import UNKNOWN, Choice, Method, Reference, Text, Value, text

# Only sources with one of these words need their expressions evaluated: for others the statements say everything.
_INTERESTING = (
    b"dll_directory",
    b"DllDirectory",
    b"ctypes",
    b"LoadLibrary",
    b"import_module",
    b"__import__",
    b"environ[",
)
_COOKIE = "dll directory"  # what os.add_dll_directory returns


def read_source(data: bytes, target: SourceTarget, *, is_program: bool = False) -> SourceFacts:
    """Return what a Python source uses, for `target`; `is_program`: it is run as `__main__`.

    Never raises: a source that cannot be parsed gives no uses and the reason in `error`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        reader = _Reader(target, any(word in data for word in _INTERESTING), is_program)
        reader.read(tree)
    except SyntaxError as error:
        return SourceFacts((), f"line {error.lineno or 0}: {error.msg}")
    except (RecursionError, MemoryError):
        return SourceFacts((), "it is nested too deeply")
    except ValueError as error:  # NUL bytes, impossible encodings
        return SourceFacts((), str(error))
    return SourceFacts(tuple(dict.fromkeys(reader.uses)))


class _Reader(Interpreter):
    """Takes note of DLL directories, DLL loads, imports by name and changes of PATH."""

    def effect(self, call: ast.Call, name: str, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
        where = self.where(call)
        if name in IMPORT_FUNCTIONS:
            for module in module_names(arguments[0]) if arguments else []:
                level = len(module) - len(module.lstrip("."))
                self.uses.append(ImportUse(where, module.lstrip("."), (), level))
            return UNKNOWN
        folder = added_directory(name, arguments)
        if folder is not None:
            self.uses += [DllDirectoryUse(where, path) for path in texts_of(folder)]
            return Method(folder, _COOKIE)
        if name == "close" and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            self.closed(call, self.lookup(call.func.value.id))
        load = loaded_library(name, arguments, keywords)
        if load is None:
            return None
        path, flags = load
        with self.within(conditional=self.state.conditional or isinstance(path, Choice)):
            self.uses += [LoadUse(self.where(call), one, flags) for one in texts_of(path)]
        return library_value(path) if name in LOADER_CLASSES else UNKNOWN

    def attribute_effect(self, node: ast.Attribute, name: str) -> Value | None:
        library = loader_attribute(name)
        if library is None:
            return None
        self.uses.append(LoadUse(self.where(node), text(library), None))
        return library_value(text(library))

    def assigned(self, target: ast.expr, value: Value) -> None:
        """Take note of `os.environ["PATH"] = value`."""
        if isinstance(target, ast.Subscript) and self.evaluate(target.value) == Reference("os.environ"):
            key = self.evaluate(target.slice)
            if isinstance(key, Text) and (key.literal or "").upper() == "PATH":
                self.uses += [PathUse(self.where(target), path) for path in anchored_texts(value)]

    def closed(self, node: ast.AST, value: Value) -> None:
        """Take note that a cookie of os.add_dll_directory is closed."""
        if isinstance(value, Method) and value.name == _COOKIE:
            where = self.where(node)
            self.uses += [DllDirectoryUse(where, path, removed=True) for path in texts_of(value.receiver)]
