"""What one Python source asks of its surroundings, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TypeAlias

from depfix.imports.values import Reference, Text


class Strength(IntEnum):
    """How surely something happens: the higher the surer."""

    POSSIBLE = 0  # nothing says so, but code that cannot be read may do it
    OPTIONAL = 1  # guarded: the program goes on without it
    PROBABLE = 2  # under a condition, in a function that may be called, or in a way that no source spells out
    REQUIRED = 3  # it runs whenever the module is imported


class Absence(Enum):
    """What becomes of the ModuleNotFoundError of an absent module where it is imported."""

    RAISED = "raised"
    CAUGHT = "caught"  # and the program goes on
    CHANGED = "changed"  # into another error: `except ImportError: raise ImportError(advice)`


@dataclass(frozen=True, slots=True)
class Where:
    """Where and under which circumstances something stands in a source.

    `deferred`: in a function that importing the module does not call; `function` is its name, `Class.method` for a
    method, the outermost one of nested functions. `conditional`: under a test that depends on more than the target.
    `import_guarded` and `load_guarded`: an ImportError, or the OSError of a failed DLL load, is caught and the program
    goes on. `last_resort`: unless something here returns, what follows raises an exception. `instead`: it runs only if
    one of these modules (or `module:name`, a name in one) cannot be imported, `only_with`: only if all of these can;
    relative names have their dots.
    """

    line: int
    deferred: bool = False
    conditional: bool = False
    import_guarded: bool = False
    load_guarded: bool = False
    absence: Absence = Absence.RAISED
    last_resort: bool = False
    function: str = ""
    instead: tuple[str, ...] = ()
    only_with: tuple[str, ...] = ()

    def strength(self, *, load: bool, absent: bool = False) -> Strength:
        """Return how surely an import, or with `load` a DLL load, must succeed here.

        `absent`: the failure is that there is no such module, and no worse.
        """
        if (self.load_guarded if load else self.import_guarded) or (absent and self.absence is Absence.CAUGHT):
            return Strength.OPTIONAL
        return Strength.PROBABLE if self.deferred or self.conditional else Strength.REQUIRED


@dataclass(frozen=True, slots=True)
class ImportUse:
    """`import module` (no names) or `from module import names`; `level` counts the leading dots.

    `aliases` are (local name, name) for names that are bound under another one. `mentioned`: it stands for an
    attribute, `module.name`, and not for a statement. `computed`: it is one of several
    that a computed name can be.
    """

    where: Where
    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    aliases: tuple[tuple[str, str], ...] = ()
    mentioned: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True)
class DllDirectoryUse:
    """A folder given to the loader: os.add_dll_directory, or AddDllDirectory through ctypes.

    `removed`: it is taken back here, for the cookie is closed. `sole`: it is given to SetDllDirectory, which knows one
    folder; a path of None takes it back.
    """

    where: Where
    path: Text | None
    removed: bool = False
    sole: bool = False


@dataclass(frozen=True, slots=True)
class DefaultDirectoriesUse:
    """A call of SetDefaultDllDirectories with these LOAD_LIBRARY_SEARCH flags."""

    where: Where
    flags: int


@dataclass(frozen=True, slots=True)
class PathUse:
    """A folder put on PATH."""

    where: Where
    path: Text


@dataclass(frozen=True, slots=True)
class SettingUse:
    """A text given to a variable of the environment, or after an option in a list of arguments: `name` is `-option`.

    An empty `value` is not known. `default`: only if the variable was not set. `path`: the value as a place.
    """

    where: Where
    name: str
    value: str
    default: bool = False
    path: Text | None = None


CFFI = -1  # cffi's own choice of flags
SEARCHED = 0  # a path that was searched along PATH: the standard search is the one that looks there


@dataclass(frozen=True, slots=True)
class LoadUse:
    """A DLL loaded by code.

    `flags` are LoadLibraryEx's; None: ctypes' own default, which depends on the version of Python; CFFI: cffi's.
    """

    where: Where
    path: Text
    flags: int | None


@dataclass(frozen=True, slots=True)
class ModulesUse:
    """An import of modules by names that are not known to the letter, as plug-ins are found.

    `pattern` is a module's name, `level` counts its leading dots. In it `*` stands for a piece without a dot, `**` for
    one that may have dots. `each`: all modules that fit are imported, for their names come from a listing; otherwise
    the name is computed, and any of them may be.
    """

    where: Where
    pattern: str
    level: int = 0
    each: bool = True


@dataclass(frozen=True, slots=True)
class SpelledUse:
    """An import by a name of which nothing is known, in a source that spells these dotted names."""

    where: Where
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScriptUse:
    """A source that is run as a program: runpy.run_path."""

    where: Where
    path: Text


@dataclass(frozen=True, slots=True)
class SearchPathUse:
    """A folder put on sys.path, before what is there if `first`. `site`: by site.addsitedir, which reads .pth files."""

    where: Where
    path: Text
    first: bool = False
    site: bool = False


@dataclass(frozen=True, slots=True)
class PackagePathUse:
    """A folder in which a package has more of its modules; `package` is empty for the source's own.

    None stands for a folder of the package's name in each folder of the search path: pkgutil.extend_path.
    """

    where: Where
    path: Text | None
    package: str = ""
    first: bool = False


@dataclass(frozen=True, slots=True)
class MetadataUse:
    """A question to the metadata of installed distributions.

    `distribution` is the name as it stands there, not normalized; it is "" if only the entry points of a group are
    wanted, and may have an `Own` part: `own_name` resolves those and tells what stays unknown. `name` is that of an
    entry point. `guarded`: without the metadata the program goes on, with less or another answer.
    """

    where: Where
    distribution: Text
    group: str = ""
    name: str = ""
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class ExecutedUse:
    """A source that is executed in the names of this one, as configuration is.

    `given` are names that it finds bound to places and modules. `through` is the function that is given its path, as
    the source names it; whether that executes it, its own source tells.
    """

    where: Where
    path: Text
    given: tuple[tuple[str, Text | Reference], ...] = ()
    through: str = ""


@dataclass(frozen=True, slots=True)
class DataUse:
    """A file, or with `folder` a folder with all that is in it, that code reads; `reader` is the call that opens it.

    `starts`: modules are imported from the folder, a source tree, this source of it first. `default`: the path is
    what stands for one that a user or another module may give.
    """

    where: Where
    path: Text
    reader: str
    folder: bool = False
    starts: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class BehaviourUse:
    """Something that works in a source tree and may not in a frozen program: the name of its rule, and what it is.

    `words` complete "MODULE ..."; `subject` tells several of one rule in one module apart.
    """

    where: Where
    rule: str
    words: str
    subject: str = ""


Use: TypeAlias = (
    "ImportUse | ModulesUse | SpelledUse | ScriptUse | SearchPathUse | PackagePathUse | MetadataUse | "
    "DllDirectoryUse | DefaultDirectoriesUse | PathUse | LoadUse | SettingUse | ExecutedUse | DataUse | BehaviourUse"
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """What code mentions: global names (those that it imports among them), and attributes of whatever."""

    names: frozenset[str]
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class FunctionCalls:
    """One function, with what is inside it; a name that is given to something else counts as a function that calls it.

    `owner` is the qualified name of a method's class. `decorated`: a decorator may call it, or give it to others.
    """

    owner: str
    mentions: Mentions
    decorated: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """Who may call whom in one source: `mentions` of the code that runs on import, functions by their qualified names.

    `classes` gives the bases of each class as dotted names, "?" for an expression that is none.
    """

    mentions: Mentions
    functions: dict[str, FunctionCalls]
    classes: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One Python source: its uses in the order in which they happen, or why it could not be parsed.

    `binds` are the names that the module itself binds, with what an import gives them (`..name` for `from . import
    name`, `package.name`), else an empty string. `adds_names` tells how it may bind others: `star`, by an import of all
    public names of a module, `code`, in a way that cannot be followed. `calls` is None unless asked for. `lazy` says
    from which module a package's `__getattr__` takes a name; with a leading dot it is one of the package. `lazy_stars`
    are modules all of whose public names it takes so; `stub` names the file beside the source that says more of them,
    for `read_stub`. `modules` are names that it puts into sys.modules, with the module that has that name then, or an
    empty string: they are no missing modules. A source that could not be parsed still has uses, all of them probable.
    """

    uses: tuple[Use, ...]
    error: str = ""
    binds: dict[str, str] = field(default_factory=dict)
    adds_names: str = ""
    calls: Calls | None = None
    lazy: dict[str, str] = field(default_factory=dict)
    lazy_stars: tuple[str, ...] = ()
    stub: str = ""
    modules: tuple[tuple[Text, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceTarget:
    """The Python for which a source is read; the host's own version plays no part.

    `calls`: who may call whom is wanted too. `freezer` is the name of who froze the program, empty if it is not known
    or nobody did. `own` are the folders of the program's own sources, `not_own` those in them that hold others.
    """

    version: tuple[int, int]
    machine: str = "amd64"
    calls: bool = False
    freezer: str = ""
    own: tuple[str, ...] = ()
    not_own: tuple[str, ...] = ()

    def is_own_path(self, path: str) -> bool:
        """Return True for the path of a source of the program itself."""
        if "site-packages" in path or not any(_is_below(path, folder) for folder in self.own):
            return False
        return not any(_is_below(path, folder) for folder in self.not_own)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder) and path[len(folder) : len(folder) + 1] in ("/", "\\")
