"""DF502 unfit-environment, DF503 unfit-python: whether the Pythons of the dist and of the environments go together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depfix.checks.findings import finding
from depfix.closure.build import Closure
from depfix.closure.world import World
from depfix.env.fit import Need, build_words, misfit
from depfix.env.layout import of_store, store_base
from depfix.env.protocol import EnvironmentInfo
from depfix.env.refused import is_msys_python
from depfix.frozen.builder import building_folder
from depfix.model.finding import Finding, Location, Severity
from depfix.model.names import fold
from depfix.wording.message import phrase

_COPIED = frozenset(("DF201", "DF203", "DF204", "DF205"))  # what only a Python of the same version can give
_MOST_LOCATIONS = 20
_RUNTIMES = ("libgcc_s_seh-1.dll", "libgcc_s_dw2-1.dll", "libwinpthread-1.dll", "msys-2.0.dll", "libc++.dll")


def check_environments(closure: Closure, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield a finding for each environment whose Python is not the dist's, and for Pythons that nothing else fits.

    `found` is what the other checks say: an unfit environment matters more where something has to be copied.
    """
    world = closure.world
    yield from _unfit(world, needed=any(one.rule in _COPIED and one.severity is Severity.ERROR for one in found))
    yield from _of_msys(world)
    yield from _of_store(world)


def _unfit(world: World, *, needed: bool) -> Iterator[Finding]:
    python = world.dist.python
    if python is None:
        return
    need = Need(world.dist.machine, python.version, python.free_threaded, python.debug)
    infos = [environment.info for environment in world.supply.environments]
    rows = [(info, misfit(info, need)) for info in infos if info.python_version is not None or info.note]
    no_other = len(rows) == len(infos) and all(_is_other_version(info, need) for info in infos)
    for info, reason in rows:
        if not reason:
            continue
        yield finding(
            "unfit-environment",
            info.spec,
            phrase(
                "the environment {info} ({root}) does not fit the dist: {reason}; {effect}",
                info=info.spec,
                root=info.root,
                reason=reason,
                effect=_effect(info, need),
            ),
            severity=Severity.ERROR if needed and no_other else None,
            locations=(Location(info.root),),
            identity=info.root,
        )


def _is_other_version(info: EnvironmentInfo, need: Need) -> bool:
    return info.python_version is not None and info.python_version != need.python


def _effect(info: EnvironmentInfo, need: Need) -> str:
    wanted = build_words(need.python, need.free_threaded, need.debug) if need.python else ""
    if info.note:
        return phrase("nothing is taken from it")
    return phrase(
        "its standard library and extension modules are not taken, and its packages may be other "
        "releases than those for {wanted}; give an environment of Python {wanted}, or freeze the program "
        "again with Python {python}",
        wanted=wanted,
        python=info.python,
    )


def _of_msys(world: World) -> Iterator[Finding]:
    """Yield a finding if the program was frozen with MSYS2's Python, whose DLL and modules have names of their own.

    Sources: MSYS2, "Python" https://www.msys2.org/docs/python/ and "Environments" https://www.msys2.org/docs/environments/
    """
    if world.dist.python is not None:
        return  # a module for MSYS2 in the dist of another Python is DF205's
    names = {fold(entry.name): entry for entry in world.tree.images()}
    found = [entry for name, entry in names.items() if is_msys_python(name)]
    if not found:
        return
    runtimes = [name for name in _RUNTIMES if name in names]
    beside = phrase(" with {runtimes}", runtimes=", ".join(runtimes)) if runtimes else ""
    yield finding(
        "unfit-python",
        fold(found[0].name),
        phrase(
            "{path}{beside}: the program was frozen with the Python of MSYS2 (MinGW), so depfix checks its "
            "DLLs and not its modules; wheels of the package index and files of a Python from python.org do "
            "not fit it (another suffix of modules and another C runtime): bring what is missing from "
            "MSYS2's own packages with --env dir:FOLDER, or freeze the program with Python from python.org",
            path=found[0].path,
            beside=beside,
        ),
        locations=tuple(Location(entry.path) for entry in found[:_MOST_LOCATIONS]),
        identity="msys2",
    )


def _of_store(world: World) -> Iterator[Finding]:
    """Yield a finding if the dist was frozen with, or an environment rests on, the Microsoft Store's Python.

    Its folder below WindowsApps cannot be read by other programs, and what it writes to AppData goes elsewhere. Source:
    Python, "Using Python on Windows", The Microsoft Store package, Known issues
    https://docs.python.org/3/using/windows.html#known-issues
    """
    places = [(phrase("the program was frozen with"), building_folder(world.dist))]
    places += [
        (phrase("the environment {one} rests on", one=one.info.spec), store_base(one.info.root))
        for one in world.supply.environments
    ]
    for words, folder in places:
        if folder and of_store(folder):
            yield finding(
                "unfit-python",
                phrase("microsoft store"),
                phrase(
                    "{words} the Microsoft Store's Python ({folder}): Windows lets no other program read that "
                    "folder, so that freezers and depfix miss files of it, and what it writes below AppData goes to "
                    "a place of its own; make the environment and the program with Python from python.org",
                    words=words,
                    folder=folder,
                ),
                locations=(Location(folder),),
                identity=folder,
            )
