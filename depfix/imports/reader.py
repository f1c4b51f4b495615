"""Reads one Python source: what importing it does, in order, for the target."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from depfix.imports.behaviour import CHILD_NAME, Conduct, repeated, result_of, starts_processes
from depfix.imports.byname import imported_module, imports_by_name, is_by_name, is_unknown_import, spelled_names
from depfix.imports.calls import read_calls
from depfix.imports.effects import (
    LOADER_CLASSES,
    LOADER_OBJECTS,
    absolute_texts,
    added_directory,
    default_directories,
    found_on_path,
    given_options,
    library_value,
    literal_of,
    loaded_library,
    loader_attribute,
    place_of,
    set_directory,
    settings,
    texts_of,
)
from depfix.imports.executed import content_of, executed_uses, namespace_item
from depfix.imports.interest import is_interesting
from depfix.imports.interpreter import Interpreter
from depfix.imports.lazy import is_lazy, lazy_names, lazy_stars, may_be_lazy, stub_name
from depfix.imports.metadata import entry_points_value, indexed_uses, metadata_uses
from depfix.imports.naming import binds_by_code, bound_in_passing
from depfix.imports.noted import noted_calls
from depfix.imports.outline import may_give_options
from depfix.imports.parsing import outlined, parsed
from depfix.imports.reading import FileNotes, data_uses, weighed
from depfix.imports.searching import (
    ADDS,
    added_paths,
    named_module,
    named_modules,
    paths_added,
    paths_assigned,
)
from depfix.imports.tolerant import read_tolerantly
from depfix.imports.uses import (
    SEARCHED,
    BehaviourUse,
    DefaultDirectoriesUse,
    DllDirectoryUse,
    ImportUse,
    LoadUse,
    PathUse,
    SettingUse,
    SourceFacts,
    SourceTarget,
    SpelledUse,
    Use,
    Where,
)
from depfix.imports.values import (
    UNKNOWN,
    Choice,
    Class,
    Constant,
    Instance,
    Method,
    Reference,
    Text,
    Value,
    alternatives,
    choice,
    text,
)
from depfix.wording.message import phrase

_COOKIE = "dll directory"  # what os.add_dll_directory returns


def read_source(
    data: bytes, target: SourceTarget, *, is_program: bool = False, is_package: bool = False, is_own: bool = False
) -> SourceFacts:
    """Return what a Python source uses, for `target`.

    `is_program`: it is run as `__main__`; `is_package`: the names that it binds are wanted too. `is_own`: it is the
    program's, so that all is wanted which it may do otherwise in a frozen program; a program's script is.

    Never raises: a source that cannot be parsed gives the reason in `error`, and the imports that its lines name.
    """
    try:
        evaluating = is_own or is_program or is_interesting(data, is_own=is_own)
        wholly = evaluating or (is_package and may_be_lazy(data))
        tree = parsed(data) if wholly else outlined(data, is_package)
        conduct = Conduct(data, own=is_own or is_program)
        reader = _Reader(target, evaluating, is_program, is_package, conduct)
        reader.read(tree)
        if is_program and starts_processes(reader.uses):
            reader.uses += _repeated(tree, target, conduct)
        calls = read_calls(tree if wholly else parsed(data)) if target.calls else None
    except SyntaxError as error:
        return SourceFacts(
            read_tolerantly(data), phrase("line {lineno}: {msg}", lineno=error.lineno or 0, msg=error.msg)
        )
    except (RecursionError, MemoryError):
        return SourceFacts(read_tolerantly(data), phrase("it is nested too deeply"))
    except ValueError as error:  # NUL bytes, impossible encodings
        return SourceFacts(read_tolerantly(data), str(error))
    return replace(_facts(data, tree, reader, is_program, is_package), calls=calls)


def read_constants(data: bytes, target: SourceTarget) -> dict[str, Text]:
    """Return the texts that a module binds, `Class.name` for those of its classes; nothing if it cannot be parsed."""
    try:
        tree = parsed(data)
        reader = _Reader(target, True, False, False, Conduct(data, own=False))
        reader.read(tree)
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        return {}
    found = {name: value for name, value in reader.scopes[0].items() if isinstance(value, Text)}
    for owner, value in reader.scopes[0].items():
        members = reader.members_of(value) if isinstance(value, (Class, Instance)) else {}
        found.update({f"{owner}.{name}": one for name, one in members.items() if isinstance(one, Text)})
    return found


def _repeated(tree: ast.Module, target: SourceTarget, conduct: Conduct) -> Iterator[BehaviourUse]:
    """Yield what a child process does again: it runs the program's script under another name."""
    child = _Reader(target, True, True, False, conduct)
    child.scopes[0]["__name__"] = text(CHILD_NAME)
    child.read(ast.Module(tree.body, []))
    yield from repeated(child.uses)


def _facts(data: bytes, tree: ast.Module, reader: _Reader, is_program: bool, is_package: bool) -> SourceFacts:
    reader.uses[:] = weighed(reader.uses, reader.files)
    if is_program:
        reader.uses += _mentioned_modules(tree)
    if may_give_options(data):
        reader.uses += given_options(tree)
    spelled = spelled_names(tree) if reader.unknown else ()
    reader.uses += [SpelledUse(where, spelled) for where in reader.unknown if spelled]
    lazy = is_package and is_lazy(data, reader.scopes[0])
    return SourceFacts(
        tuple(dict.fromkeys(_with_computed(reader))),
        "",
        _bound(tree, data, reader) if is_package else {},
        _adds_names(data, reader),
        None,
        lazy_names(tree) if lazy else {},
        lazy_stars(tree) if lazy else (),
        stub_name(tree) if lazy else "",
        tuple(dict.fromkeys(reader.modules)),
    )


def _with_computed(reader: _Reader) -> Iterator[Use]:
    """Yield the uses; of a call that imports several modules by name, in turn or as one of them, each may be meant."""
    many = {line: names for line, names in reader.named.items() if len(names) > _FEW}
    for use in reader.uses:
        if isinstance(use, ImportUse) and use.module in many.get(use.where.line, ()):
            yield replace(use, computed=True)
        else:
            yield use


def _bound(tree: ast.Module, data: bytes, reader: _Reader) -> dict[str, str]:
    bound = {name: _imported_as(value) for name, value in reader.scopes[0].items()}
    bound.pop("__name__", None)  # every module has one
    return dict.fromkeys(bound_in_passing(tree, data), "") | bound


def _imported_as(value: Value) -> str:
    name = value.name if isinstance(value, Reference) else ""
    return f".{name}" if name.startswith(".") and "." not in name.lstrip(".") else name


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


_FEW = 2  # modules that one call imports by name


class _Reader(Interpreter):
    """Takes note of imports by name, changes of search paths, metadata, DLL directories, DLL loads, changes of PATH."""

    def __init__(
        self, target: SourceTarget, evaluating: bool, is_program: bool, is_package: bool, conduct: Conduct
    ) -> None:
        super().__init__(target, evaluating, is_program, is_package)
        self._conduct = conduct
        self.named: dict[int, set[str]] = {}  # by line: the modules that a call imports by name
        self.files = FileNotes(self.asked)
        self._noted = noted_calls()

    def effect(
        self, call: ast.Call, called: Reference | Method, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value | None:
        if not self._evaluating:
            return None
        name = called.name
        if name.rpartition(".")[2].removesuffix("()") not in self._noted:
            if arguments and isinstance(called, Reference):
                self.uses += executed_uses(called, arguments, self.where(call), self.scopes)
            return None
        where = self.where(call)
        found = tuple(imports_by_name(name, arguments, keywords, where))
        if not found and is_unknown_import(name, arguments):
            self.unknown.append(where)
        for use in found:
            if isinstance(use, ImportUse) and self.state.probed:
                use = replace(use, where=self.where_imported(call, use.module, use.level))
            self.uses.append(use)
            if isinstance(use, ImportUse):
                self.named.setdefault(where.line, set()).add(use.module)
        if is_by_name(name):
            return imported_module(name, arguments, keywords)
        self._searched(call, name, arguments, where)
        self.uses += metadata_uses(name, arguments, keywords, where, self.state.caught)
        stars = (use.module for use in self.uses if isinstance(use, ImportUse) and "*" in use.names)
        self.uses += data_uses(called, arguments, keywords, where, self.files, self.state.caught, stars)
        self._behaves(called, arguments, keywords, where)
        self.uses += executed_uses(called, arguments, where, self.scopes)
        known = entry_points_value(name) or content_of(called, arguments) or result_of(called, arguments, keywords)
        return known or self._loads(call, name, arguments, keywords, where)

    def _behaves(
        self, called: Reference | Method, arguments: list[Value], keywords: dict[str, Value], where: Where
    ) -> None:
        python = self._facts["sys.executable"]
        self.uses += self._conduct.of_call(called, arguments, keywords, where, self.state.caught, python)

    def decorated(self, node: ast.expr, function: Value, value: Value) -> None:
        """Take note of a decorator that is called with the function alone."""
        if isinstance(value, Reference):
            self._behaves(value, [function], {}, self.where(node))

    def iterated(self, node: ast.AST, value: Value) -> None:
        """Take note of a loop over something that starts processes."""
        self.uses += self._conduct.of_iteration(value, self.where(node))

    def _searched(self, call: ast.Call, name: str, arguments: list[Value], where: Where) -> None:
        """Take note of a call that changes where modules are looked for."""
        self.uses += added_paths(name, arguments, where)
        self.modules += named_modules(name, arguments)
        if name in ADDS and arguments and isinstance(call.func, ast.Attribute) and _is_path(call.func.value):
            self.uses += paths_added(self.evaluate(call.func.value), name, arguments, where)

    def _loads(
        self, call: ast.Call, name: str, arguments: list[Value], keywords: dict[str, Value], where: Where
    ) -> Value | None:
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
            default, place = name.endswith(".setdefault"), place_of(value)
            self.uses.append(SettingUse(where, variable, literal_of(value), default, place))
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
        if name.startswith("sys."):
            self.uses += self._conduct.of_attribute(name, self.where(node), self.state.caught)
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
        """Take note of `ctypes.cdll[name]`, and of what is looked up in metadata."""
        self.uses += indexed_uses(name, index, self.where(node), self.state.caught)
        return library_value(self.loaded(node, index, None)) if name in LOADER_OBJECTS else namespace_item(name, index)

    def assigned(self, target: ast.expr, value: Value) -> None:
        """Take note of `os.environ[name] = value`, of names in sys.modules, of new search paths, and of streams."""
        if isinstance(target, ast.Attribute):
            self.uses += self._conduct.of_assignment(target, self.where(target))
        elif isinstance(target, ast.Name) and target.id != "__path__":
            return
        owner = self.evaluate(target.value) if isinstance(target, ast.Subscript) else None
        if isinstance(target, ast.Subscript) and owner == Reference("sys.modules"):
            self.modules += named_module(self.evaluate(target.slice), value)
        listed = target.value if isinstance(target, ast.Subscript) else target
        if _is_path(listed):
            before = isinstance(target, ast.Subscript)
            receiver = self._facts["builtins.__path__"] if isinstance(listed, ast.Name) else self.evaluate(listed)
            self.uses += paths_assigned(receiver, value, self.where(target), before=before)
        if isinstance(target, ast.Subscript) and owner == Reference("os.environ"):
            key = self.evaluate(target.slice)
            name = (key.literal or "").upper() if isinstance(key, Text) else ""
            if name == "PATH":
                self.uses += [_on_path(self.where(target), path) for path in absolute_texts(value)]
            elif name:
                self.uses.append(SettingUse(self.where(target), name, literal_of(value), path=place_of(value)))

    def closed(self, node: ast.AST, value: Value) -> None:
        """Take note that a cookie of os.add_dll_directory is closed."""
        if isinstance(value, Method) and value.name == _COOKIE:
            where = self.where(node)
            self.uses += [DllDirectoryUse(where, path, removed=True) for path in texts_of(value.receiver)]


def _on_path(where: Where, path: Text) -> PathUse | SettingUse:
    return PathUse(where, path) if path.anchored else SettingUse(where, "PATH", "", path=path)


def _is_path(node: ast.expr) -> bool:
    """Return True for `__path__`, `package.__path__` and `sys.path`."""
    if isinstance(node, ast.Name):
        return node.id == "__path__"
    if not isinstance(node, ast.Attribute):
        return False
    return node.attr == "__path__" or (node.attr == "path" and isinstance(node.value, ast.Name))
