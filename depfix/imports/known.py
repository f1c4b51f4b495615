"""What the evaluator knows of Python's own library: facts of the target, and functions without effects."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from depfix.imports import texts
from depfix.imports.freezing import freezer_facts, known_attribute, own_globals
from depfix.imports.probes import on_target
from depfix.imports.uses import SourceTarget
from depfix.imports.values import (
    ABSENT,
    NAMESPACE,
    NAMESPACES,
    OWN_FILE,
    UNKNOWN,
    Anchor,
    Choice,
    Constant,
    Hole,
    Items,
    Own,
    PackageFolder,
    Probe,
    Reference,
    Table,
    Text,
    Value,
    alternatives,
    choice,
    elements,
    made_of,
    merge_items,
    pairs_of,
    parts_of,
    text,
)
from depfix.imports.variables import environment
from depfix.knowledge.file_readers import made_objects

PureCall: TypeAlias = Callable[[list[Value], dict[str, Value]], Value]
_MACHINE_NAMES = {"amd64": "AMD64", "x86": "x86", "arm64": "ARM64"}
_PLATFORMS = {"amd64": "win-amd64", "x86": "win32", "arm64": "win-arm64"}
_PREFIX = Text((Anchor.PREFIX,))
_ASKS_FOR_FILES = frozenset(("os.path.exists", "os.path.isdir", "os.path.isfile"))


@lru_cache(maxsize=8)
def facts_of(target: SourceTarget) -> dict[str, Value]:
    """Return the values of dotted names that the target fixes."""
    bits = 32 if target.machine == "x86" else 64
    here = Text((Anchor.HERE,))
    return {
        "sys.platform": text("win32"),
        "os.name": text("nt"),
        "sys.version_info": Constant((*target.version, 50, "final", 0)),
        "sys.hexversion": Constant(target.version[0] << 24 | target.version[1] << 16 | 50 << 8 | 0xF0),
        "sys.maxsize": Constant((1 << (bits - 1)) - 1),
        "sys.byteorder": text("little"),
        "sys.implementation.name": text("cpython"),
        "sys.prefix": _PREFIX,
        "sys.exec_prefix": _PREFIX,
        "sys.base_prefix": _PREFIX,
        "sys.base_exec_prefix": _PREFIX,
        "sys.executable": Text((Anchor.PROGRAM, "/python.exe")),
        "os.sep": text("\\"),
        "os.path.sep": text("\\"),
        "os.altsep": text("/"),
        "os.pathsep": text(";"),
        "os.path.pathsep": text(";"),
        "os.devnull": text("nul"),
        "os.curdir": text("."),
        "os.pardir": text(".."),
        "os.path.pardir": text(".."),
        "typing.TYPE_CHECKING": Constant(False),
        "typing_extensions.TYPE_CHECKING": Constant(False),
        "ctypes.DEFAULT_MODE": Constant(0),
        "ctypes.RTLD_GLOBAL": Constant(0),
        "ctypes.RTLD_LOCAL": Constant(0),
        "builtins.__debug__": Constant(True),
        "builtins.__file__": Text((Anchor.HERE, f"/{OWN_FILE}")),
        "builtins.__path__": Items((here,)),
        "builtins.__package__": Text((Own.PACKAGE,)),
        "builtins.__name__": Text((Own.NAME,)),
        "builtins.__spec__.parent": Text((Own.PACKAGE,)),
        "builtins.__spec__.name": Text((Own.NAME,)),
        **freezer_facts(target.freezer),
    }


@lru_cache(maxsize=8)
def pure_calls(target: SourceTarget) -> dict[str, PureCall]:
    """Return what is known of functions that only compute, by dotted name."""
    bits = "32bit" if target.machine == "x86" else "64bit"
    table: dict[str, PureCall] = {
        "platform.system": _always(text("Windows")),
        "platform.machine": _always(text(_MACHINE_NAMES.get(target.machine, "AMD64"))),
        "platform.python_implementation": _always(text("CPython")),
        "platform.architecture": _always(Items((text(bits), text("WindowsPE")))),
        "platform.win32_ver": _always(UNKNOWN),
        "struct.calcsize": _pointer_size(4 if bits == "32bit" else 8),
        "builtins.hasattr": _hasattr(target),
        "os.getcwd": _always(Text((Anchor.CWD,))),
        "pathlib.Path.cwd": _always(Text((Anchor.CWD,))),
        "sysconfig.get_path": _always(UNKNOWN),
        "sysconfig.get_platform": _always(text(_PLATFORMS.get(target.machine, "win-amd64"))),
        "builtins.getattr": known_attribute(target.freezer),
        "builtins.globals": _always(own_globals(target.freezer)),
    }
    objects = made_objects() | {"argparse.ArgumentParser", "optparse.OptionParser"}
    return table | _CALLS | {name: _always(Reference(f"{name}()")) for name in objects}


def as_text(value: Value) -> Value:
    """Return what str() or os.fspath() makes of a value."""
    if isinstance(value, Choice):
        return choice([as_text(one) for one in value.values])
    return value if isinstance(value, Text) else Text(parts_of(value))


def each_text(value: Value, operation: Callable[[Text], Value]) -> Value:
    """Apply an operation to every text that a value can be."""
    return choice([operation(Text(parts_of(one))) for one in alternatives(value)])


def join_values(values: list[Value]) -> Value:
    """os.path.join over values of which some are one of several."""
    joined: Value = as_text(values[0]) if values else UNKNOWN
    for value in values[1:]:
        pairs = pairs_of(joined, value)
        joined = choice([texts.join_paths(Text(parts_of(left)), Text(parts_of(right))) for left, right in pairs])
    return joined


def module_attribute(module: str, attribute: str) -> Value | None:
    """Return `__path__`, `__file__` or `__name__` of another module; one with a leading dot is near this one."""
    if attribute not in ("__path__", "__file__", "__name__") or module.startswith("builtins."):
        return None
    inner = module.lstrip(".")
    level = len(module) - len(inner)
    if attribute == "__name__":
        return text(module) if not level else Text((Own.PACKAGE, f".{inner}")) if level == 1 else None
    above = "/.." * (level - 1)
    folder = Text((Anchor.HERE, f"{above}/{inner.replace('.', '/')}")) if level else Text((PackageFolder(module),))
    return Items((folder,)) if attribute == "__path__" else texts.concat(folder.parts, (f"/{OWN_FILE}",))


def _always(value: Value) -> PureCall:
    return lambda _arguments, _keywords: value


def _first(operation: Callable[[Value], Value]) -> PureCall:
    return lambda arguments, _keywords: operation(arguments[0]) if arguments else UNKNOWN


def _path(operation: Callable[[Text], Value]) -> PureCall:
    return _first(lambda value: each_text(value, operation))


def _pointer_size(size: int) -> PureCall:
    def call(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
        return Constant(size) if arguments and arguments[0] == text("P") else UNKNOWN

    return call


def _hasattr(target: SourceTarget) -> PureCall:
    known = {
        ("os", "add_dll_directory"): target.version >= (3, 8),
        ("sys", "getwindowsversion"): True,
        ("os", "fork"): False,
        ("dll.kernel32", "AddDllDirectory"): True,  # since Windows 8
        ("dll.kernel32", "SetDefaultDllDirectories"): True,
    }

    facts = freezer_facts(target.freezer)

    def call(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
        if len(arguments) == 2 and isinstance(arguments[0], Reference) and isinstance(arguments[1], Text):
            owner, name = arguments[0].name, arguments[1].literal or ""
            found = known.get((owner, name))
            fact = facts.get(f"{owner}.{name}")
            if fact is not None:
                return Constant(fact != ABSENT)
            return UNKNOWN if found is None else Constant(found)
        return UNKNOWN

    return call


def _getenv(arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if not arguments:
        return UNKNOWN
    default = arguments[1] if len(arguments) > 1 else keywords.get("default", Constant(None))
    return environment(arguments[0], default)


def _find_library(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    """Return what ctypes.util.find_library gives on Windows: a path of a folder of PATH, or None.

    Source: "ctypes", Finding shared libraries https://docs.python.org/3/library/ctypes.html#finding-shared-libraries ;
    the C runtime that Python itself uses has been no answer since Python 3.5.
    """
    known = arguments[0].literal if arguments and isinstance(arguments[0], Text) else None
    if not known or set(known) & set("/\\:"):
        return UNKNOWN
    if known in ("c", "m"):
        return Constant(None)
    file = known if known.lower().endswith(".dll") else f"{known}.dll"
    return Choice((Text((Anchor.ON_PATH, f"/{file}")), Constant(None)))


def _split(path: Text) -> Value:
    return Items((texts.directory(path), texts.last_component(path)))


def _splitext(path: Text) -> Value:
    last = path.parts[-1]
    if not isinstance(last, str) or "." not in last.replace("\\", "/").rpartition("/")[2]:
        return Items((path, Text((Hole.ANY,)) if path.literal is None else text("")))
    stem, _, suffix = last.rpartition(".")
    return Items((made_of((*path.parts[:-1], stem)), text("." + suffix)))


def _filtered(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    if len(arguments) < 2:
        return UNKNOWN
    kept = elements(arguments[1])
    if isinstance(arguments[0], Reference) and arguments[0].name in _ASKS_FOR_FILES:
        kept = tuple(one for one in kept if not _is_elsewhere(one))  # a clean machine has none of its author's folders
    return Items(kept, exact=False)


def _is_elsewhere(value: Value) -> bool:
    return isinstance(value, Text) and isinstance(value.parts[0], str) and texts.is_absolute(value)


def _walked(folder: Text) -> Value:
    row = Items((folder, Items((Text((Hole.EACH,)),), exact=False), Items((Text((Hole.EACH,)),), exact=False)))
    return Items((row,), exact=False)


def package_files(value: Value) -> Value:
    """Return the folder of a package that is given by its name, as a module, or as the source's own."""
    known = value.literal if isinstance(value, Text) else None
    if known and not known.startswith("."):
        return Text((PackageFolder(known),))
    if isinstance(value, Reference):
        return Text((PackageFolder(value.name),))
    return Text((Anchor.HERE,))


def _package_path(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return join_values([package_files(arguments[0]), *arguments[1:]]) if arguments else UNKNOWN


def _probed(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    """Return what find_spec gives: something if there is such a module, else None."""
    names = [one.literal for one in alternatives(arguments[0]) if isinstance(one, Text)] if arguments else []
    known = [name for name in names if name]
    if len(known) != 1:
        return UNKNOWN
    there = on_target(known)
    return Probe(frozenset(known)) if there is None else Constant(True if there else None)


def _as_bool(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return arguments[0] if arguments and isinstance(arguments[0], Probe) else UNKNOWN


def _numbered(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return Items(tuple(Items((UNKNOWN, one)) for one in elements(arguments[0])), exact=False) if arguments else UNKNOWN


def _zipped(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    rows = [elements(one) for one in arguments]
    return Items(tuple(Items(row) for row in zip(*rows, strict=False)), exact=False)


def _dict(arguments: list[Value], keywords: dict[str, Value]) -> Value:
    if not arguments:
        return Table(tuple(map(text, keywords)), tuple(keywords.values()))
    return arguments[0] if isinstance(arguments[0], Table) else UNKNOWN


def _field(_arguments: list[Value], keywords: dict[str, Value]) -> Value:
    return keywords.get("default", UNKNOWN)


def _modules_in(depth: int) -> PureCall:
    """Return what pkgutil.iter_modules gives: (finder, name, whether it is a package) for every module that is there.

    Two holes stand for names that have dots: walk_packages gives sub-packages' modules too.
    """

    def call(arguments: list[Value], keywords: dict[str, Value]) -> Value:
        given = arguments[1] if len(arguments) > 1 else keywords.get("prefix")
        prefix = parts_of(given) if given is not None else ()
        return Items((Items((UNKNOWN, Text((*prefix, *[Hole.EACH] * depth)), UNKNOWN)),), exact=False)

    return call


def _copied(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return (
        merge_items([arguments[0]], exact=isinstance(arguments[0], Items) and arguments[0].exact)
        if arguments
        else Items(())
    )


def _next(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    given = arguments[0] if arguments else UNKNOWN
    if isinstance(given, Items) and given.values and given.exact:
        return given.values[0]
    return choice([*(one for each in arguments[:1] for one in elements(each)), *arguments[1:2]])


def _namespace(arguments: list[Value], _keywords: dict[str, Value]) -> Value:
    return UNKNOWN if arguments else Reference(NAMESPACE)


_ONE = _first(lambda value: value)
_TEXT = _first(as_text)
_FOLDER = _path(texts.directory)
_PATH: PureCall = lambda arguments, _keywords: join_values(arguments) if arguments else text(".")  # noqa: E731
_GLOBBED = _path(lambda pattern: Items((texts.globbed(pattern),), exact=False))
_CALLS: dict[str, PureCall] = {
    "os.path.join": lambda arguments, _keywords: join_values(arguments),
    "os.path.dirname": _FOLDER,
    "os.path.basename": _path(texts.last_component),
    "os.path.split": _path(_split),
    "os.path.splitext": _path(_splitext),
    **{
        f"os.path.{name}": _TEXT for name in ("abspath", "realpath", "normpath", "expanduser", "expandvars", "normcase")
    },
    "os.fspath": _TEXT,
    "os.fsencode": _TEXT,
    "os.fsdecode": _TEXT,
    "builtins.str": _TEXT,
    "builtins.bytes": _TEXT,
    "ctypes.util.find_library": _find_library,
    "os.getenv": _getenv,
    "os.environ.get": _getenv,
    "glob.glob": _GLOBBED,
    "glob.iglob": _GLOBBED,
    "os.listdir": _always(Items((Text((Hole.EACH,)),), exact=False)),
    "os.scandir": _path(lambda folder: Items((texts.listed(folder),), exact=False)),
    "os.walk": _path(_walked),
    "builtins.filter": _filtered,
    **dict.fromkeys(("builtins.list", "builtins.tuple", "builtins.set", "builtins.sorted"), _copied),
    **dict.fromkeys(("builtins.reversed", "builtins.iter", "builtins.frozenset"), _copied),
    **{f"pathlib.{name}": _PATH for name in ("Path", "PurePath", "WindowsPath", "PureWindowsPath")},
    "importlib.resources.files": _first(package_files),
    "importlib.resources.path": _package_path,
    "importlib_resources.files": _first(package_files),
    "pkg_resources.resource_filename": _package_path,
    "importlib.resources.as_file": _TEXT,
    "importlib_resources.as_file": _TEXT,
    "contextlib.closing": _ONE,
    **dict.fromkeys(("importlib.util.find_spec", "importlib.machinery.PathFinder.find_spec"), _probed),
    **dict.fromkeys(("pkgutil.find_loader", "pkgutil.get_loader", "importlib.find_loader", "imp.find_module"), _probed),
    "pkgutil.iter_modules": _modules_in(1),
    "pkgutil.walk_packages": _modules_in(2),
    "builtins.bool": _as_bool,
    **{f"builtins.{name}": _namespace for name in ("locals", "vars")},
    **{f"{name}.copy": _namespace for name in NAMESPACES},
    "builtins.enumerate": _numbered,
    "builtins.zip": _zipped,
    "builtins.dict": _dict,
    "builtins.next": _next,
    "builtins.vars": _ONE,
    "dataclasses.field": _field,
}
