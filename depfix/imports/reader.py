"""Reads one Python source: what importing it does, in order, for the target."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from depfix.imports.calls import read_calls
from depfix.imports.effects import (
    IMPORT_FUNCTIONS,
    LOADER_CLASSES,
    LOADER_OBJECTS,
    added_directory,
    anchored_texts,
    default_directories,
    found_on_path,
    given_options,
    library_value,
    loaded_library,
    loader_attribute,
    module_names,
    set_directory,
    settings,
    texts_of,
)
from depfix.imports.interpreter import Interpreter
from depfix.imports.naming import binds_by_code, bound_in_passing, lazy_names
from depfix.imports.uses import (
    SEARCHED,
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ImportUse,
    LoadUse,
    PathUse,
    SettingUse,
    SourceFacts,
    SourceTarget,
    Where,
)
from depfix.imports.values import (
    UNKNOWN,
    Choice,
    Constant,
    Method,
    Reference,
    Text,
    Value,
    alternatives,
    choice,
    text,
)

# Only sources with one of these words need their expressions evaluated: for others the statements say everything.
_INTERESTING = (
    b"dll_directory",
    b"DllDirectory",
    b"ctypes",
    b"LoadLibrary",
    b"dlopen",
    b"import_module",
    b"__import__",
    b"environ[",
    b"environ.setdefault",
    b"environ.update",
    b"putenv",
)
_OPTION = re.compile(rb"['\"]--?[a-z]")
_COOKIE = "dll directory"  # what os.add_dll_directory returns


def read_source(
    data: bytes, target: SourceTarget, *, is_program: bool = False, is_package: bool = False
) -> SourceFacts:
    """Return what a Python source uses, for `target`.

    `is_program`: it is run as `__main__`; `is_package`: the names that it binds are wanted too.

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
    if is_program:
        reader.uses += _mentioned_modules(tree)
    if _OPTION.search(data):
        reader.uses += given_options(tree)
    calls = read_calls(tree) if target.calls else None
    binds = _bound(tree, reader) if is_package else {}
    lazy = lazy_names(tree) if is_package and "__getattr__" in reader.scopes[0] else {}
    return SourceFacts(tuple(dict.fromkeys(reader.uses)), "", binds, _adds_names(data, reader), calls, lazy)


def _bound(tree: ast.Module, reader: _Reader) -> dict[str, str]:
    bound = {name: _imported_as(value) for name, value in reader.scopes[0].items()}
    return dict.fromkeys(bound_in_passing(tree), "") | bound


def _imported_as(value: Value) -> str:
    return value.name if isinstance(value, Reference) else ""


def _mentioned_modules(tree: ast.Module) -> Iterator[ImportUse]:
    """Yield `package.module` for what a program uses as attributes of the packages that it imports.

    A package may go on without one of its modules; a program that uses that module cannot.
    """
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
            inner = node.value
            while isinstance(inner, ast.Attribute):
                names.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in bound:
                package = ".".join([bound[inner.id], *reversed(names[1:])])
                yield ImportUse(Where(node.lineno, conditional=True), package, (names[0],), mentioned=True)


def _adds_names(data: bytes, reader: _Reader) -> str:
    if "__getattr__" in reader.scopes[0] or binds_by_code(data):
        return "code"
    return "star" if any(isinstance(use, ImportUse) and "*" in use.names for use in reader.uses) else ""


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
        sole = set_directory(name, arguments)
        if sole is not None:
            nothing = sole in (Constant(None), text(""))
            self.uses += [DllDirectoryUse(where, None if nothing else path, sole=True) for path in texts_of(sole)]
            return UNKNOWN
        flags = default_directories(name, arguments)
        if flags is not None:
            self.uses.append(DefaultDirectoriesUse(where, flags))
            return UNKNOWN
        if name == "close" and isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            self.closed(call, self.lookup(call.func.value.id))
        for variable, value in settings(name, arguments, keywords | self._pairs(call)):
            self.uses.append(SettingUse(where, variable, value, default=name.endswith(".setdefault")))
        load = loaded_library(name, arguments, keywords)
        if load is None:
            return None
        path = self.loaded(call, *load)
        return library_value(path) if name in LOADER_CLASSES else UNKNOWN

    def loaded(self, node: ast.AST, given: Value, flags: int | None) -> Value:
        """Take note of a load; return what it loads: None is no DLL."""
        path = choice([one for one in alternatives(given) if one != Constant(None)])
        with self.within(conditional=self.state.conditional or isinstance(path, Choice)):
            where = self.where(node)
        for one in texts_of(path):
            name = found_on_path(one)
            self.uses.append(LoadUse(where, one, flags) if name is None else LoadUse(where, name, SEARCHED))
        return path

    def attribute_effect(self, node: ast.Attribute, name: str) -> Value | None:
        library = loader_attribute(name)
        if library is None:
            return None
        self.uses.append(LoadUse(self.where(node), text(library), None))
        return library_value(text(library))

    def _pairs(self, call: ast.Call) -> dict[str, Value]:
        """Return the texts that a dictionary has as keys, with its values, if it is the only argument of a call."""
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
            return {}
        rows = zip(call.args[0].keys, call.args[0].values, strict=True)
        found = [(self.evaluate(key), self.evaluate(value)) for key, value in rows if key is not None]
        return {key.literal or "": value for key, value in found if isinstance(key, Text)}

    def index_effect(self, node: ast.Subscript, name: str, index: Value) -> Value | None:
        """Take note of `ctypes.cdll[name]`."""
        return library_value(self.loaded(node, index, None)) if name in LOADER_OBJECTS else None

    def assigned(self, target: ast.expr, value: Value) -> None:
        """Take note of `os.environ[name] = value`."""
        if isinstance(target, ast.Subscript) and self.evaluate(target.value) == Reference("os.environ"):
            key = self.evaluate(target.slice)
            name = (key.literal or "").upper() if isinstance(key, Text) else ""
            if name == "PATH":
                self.uses += [PathUse(self.where(target), path) for path in anchored_texts(value)]
            elif name:
                known = value.literal if isinstance(value, Text) else None
                self.uses.append(SettingUse(self.where(target), name, known or ""))

    def closed(self, node: ast.AST, value: Value) -> None:
        """Take note that a cookie of os.add_dll_directory is closed."""
        if isinstance(value, Method) and value.name == _COOKIE:
            where = self.where(node)
            self.uses += [DllDirectoryUse(where, path, removed=True) for path in texts_of(value.receiver)]
