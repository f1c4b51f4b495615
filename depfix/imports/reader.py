"""Reads one Python source: what importing it does, in order, for the target."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from depfix.imports.calls import read_calls
from depfix.imports.effects import (
    IMPORT_FUNCTIONS,
    LOADER_CLASSES,
    added_directory,
    anchored_texts,
    default_directories,
    library_value,
    loaded_library,
    loader_attribute,
    module_names,
    set_directory,
    texts_of,
)
from depfix.imports.interpreter import Interpreter
from depfix.imports.uses import (
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ImportUse,
    LoadUse,
    PathUse,
    SourceFacts,
    SourceTarget,
    Where,
)
from depfix.imports.values import UNKNOWN, Choice, Constant, Method, Reference, Text, Value, text

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
)
# Where one of these stands, a package may have attributes and submodules that no statement names.
_NAMES_BY_CODE = (b"sys.modules", b"globals()", b"__path__", b"setattr(", b"exec(", b"vars()", b"locals()", b"__dict__")
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
    calls = read_calls(tree) if target.calls else None
    binds = {name: _imported_as(value) for name, value in reader.scopes[0].items()} if is_package else {}
    return SourceFacts(tuple(dict.fromkeys(reader.uses)), "", binds, _adds_names(data, reader), calls)


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
                yield ImportUse(Where(node.lineno, conditional=True), package, (names[0],))


def _adds_names(data: bytes, reader: _Reader) -> str:
    if "__getattr__" in reader.scopes[0] or any(word in data for word in _NAMES_BY_CODE):
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
        load = loaded_library(name, arguments, keywords)
        if load is None:
            return None
        path, load_flags = load
        with self.within(conditional=self.state.conditional or isinstance(path, Choice)):
            self.uses += [LoadUse(self.where(call), one, load_flags) for one in texts_of(path)]
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
