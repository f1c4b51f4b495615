"""The program itself, Python itself, and what is left when all others have taken what is theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from depfix.closure.world import World
from depfix.dist.freezers import Freezer
from depfix.dist.tree import FileEntry, FileKind
from depfix.env.licences import PYTHON_LICENCE
from depfix.imports.finder import COMPLETION_FOLDER
from depfix.inventory.identities import cleaned, plain_name, version_words
from depfix.inventory.ledger import About, Key, Ledger
from depfix.knowledge.stdlib import stdlib_extensions, stdlib_modules
from depfix.model.finding import Confidence
from depfix.model.inventory import ComponentKind
from depfix.model.names import base_name, fold, join, parent
from depfix.model.source import PYTHON
from depfix.wording.message import phrase

_OF_PYTHON = re.compile(r"python3\d*t?(_d)?\.dll|python3\d*t?(_d)?(\._pth|\.zip)|python\.cat|base_library\.zip")
_SOURCES = (".py", ".pyc", ".pyd")
_FOUNDATION = phrase("Python Software Foundation")


def claim_program(ledger: Ledger, world: World) -> Key:
    """Give the executables that a user can start to the program."""
    dist = world.dist
    entry = dist.tree.file(dist.host.path)
    info = world.facts.version(entry) if entry is not None else None
    of_python = info is not None and info.company == _FOUNDATION  # a renamed python.exe tells Python's version
    about = About(
        ComponentKind.PROGRAM,
        base_name(dist.host.path),
        version_words(info) if not of_python else "",
        supplier=cleaned(info.company) if info is not None and not of_python else "",
        evidence=phrase("the {freezer}", freezer=dist.freezer.words)
        if dist.freezer is not Freezer.NONE
        else phrase("the program's folder"),
    )
    key = ledger.open(about)
    ledger.give(key, [program.path for program in dist.programs])
    ledger.give(key, [path for path, _ in dist.broken_programs])
    return key


def claim_python(ledger: Ledger, world: World) -> None:
    """Give Python's DLLs, its standard library's modules and archive to Python."""
    python = world.dist.python
    if python is None:
        return
    entry = world.tree.file(python.path)
    info = world.facts.version(entry) if entry is not None else None
    version = version_words(info) if info is not None and info.company == _FOUNDATION else ""
    evidence = (
        phrase("version resource of {python}", python=python.path)
        if version
        else phrase("the name of {python}", python=python.path)
    )
    supplier = _FOUNDATION if version else ""
    about = About(ComponentKind.PYTHON, PYTHON, version or python.text, PYTHON_LICENCE, supplier, evidence)
    paths = [entry.path for entry in ledger.left() if _is_pythons(entry, world)]
    inside = tuple(_stdlib_inside(world))
    if paths or inside:
        key = ledger.open(about)
        ledger.give(key, paths)
        for module in inside:
            ledger.compile_in(key, module)


def _stdlib_inside(world: World) -> Iterator[str]:
    if world.inside.contents is not None and world.dist.freezer.hides_code:
        known = stdlib_modules(world.version)
        yield from (name for name in world.inside.contents.modules if name in known)


def _is_pythons(entry: FileEntry, world: World) -> bool:
    folder, name = fold(parent(entry.path)), fold(entry.name)
    python = world.dist.python
    beside = fold(parent(python.path)) if python is not None else ""
    if folder in ("", beside, fold(world.dist.layout.beside)) and _OF_PYTHON.fullmatch(name):
        return True
    standard = fold(world.dist.layout.stdlib)
    if standard and fold(entry.path).startswith(f"{standard}/") and world.dist.freezer is Freezer.PYTHON:
        return "site-packages" not in folder.split("/")
    return name.endswith(_SOURCES) and _is_stdlib_module(entry.path, world)


def _is_stdlib_module(path: str, world: World) -> bool:
    """Return True for the file of a module of the standard library where modules are looked for."""
    inner = path.removeprefix(f"{COMPLETION_FOLDER}/")
    folders = sorted({*world.dist.layout.search_path, world.dist.layout.extensions}, key=len, reverse=True)
    root = next((one for one in folders if fold(inner).startswith(fold(join(one, "")))), "")
    parts = inner[len(root) :].strip("/").split("/")
    parts = parts[:-2] + parts[-1:] if parts[-2:-1] == ["__pycache__"] else parts
    parts[-1] = parts[-1].partition(".")[0]
    module = ".".join(parts).removesuffix(".__init__")
    if module.removesuffix("_d") in stdlib_extensions(world.version) and fold(path).endswith(".pyd"):
        return True
    return world.is_stdlib_name(module) and world.is_stdlib_name(parts[0])


def claim_rest(ledger: Ledger, world: World) -> None:
    """Give what nobody has to the program: its own data and modules; images among it to nobody that is known."""
    program = ledger.keys(ComponentKind.PROGRAM)[0]
    ledger.give(program, [entry.path for entry in ledger.left() if entry.kind is not FileKind.IMAGE])
    for entry in ledger.left():
        words = phrase("nobody claims {path}, and it does not say what it is", path=entry.path)
        name = plain_name(entry.name)
        ledger.claim(About(ComponentKind.UNKNOWN, name, evidence=words, confidence=Confidence.POSSIBLE), (entry.path,))
