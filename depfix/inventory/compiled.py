"""Distributions that are inside the program: their modules are compiled in, or lie in its archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from depfix.closure.distributions import path_in_dist, records_of
from depfix.closure.inside import PROGRAM
from depfix.closure.world import World
from depfix.frozen.contents import FrozenModule, Storage
from depfix.inventory.installed import about_present
from depfix.inventory.ledger import About, Ledger
from depfix.inventory.lent import Lender
from depfix.model.finding import Confidence
from depfix.model.inventory import ComponentKind
from depfix.model.names import fold, join
from depfix.wording.message import phrase

# What freezers put in to start the program: PyInstaller's modules and hooks, cx_Freeze's scripts.
_STARTUP = re.compile(r"_?pyi(mod|boot|_)|__\w+__$|.*__main__|.*__(init|startup)__|BUILD_CONSTANTS")


def claim_compiled(ledger: Ledger, world: World, lenders: Sequence[Lender]) -> None:
    """Say of each module inside the program from which distribution it is; what nothing tells of is unknown."""
    contents = world.inside.contents
    if contents is None:
        return
    finders = (_Installed(world), _Reported(world, lenders), _Lent(world, lenders), _Unknown(world))
    for name, row in contents.modules.items():
        if name == PROGRAM or row.storage is Storage.EXCLUDED or ledger.owner_inside(name) is not None:
            continue
        if world.is_stdlib_name(name) or world.authorship.project_source(name) is not None:
            continue
        about = next(filter(None, (finder.about(row) for finder in finders)), None)
        if about is not None and row.storage is Storage.EXTENSION:
            found = world.finder.find(name)
            ledger.claim(about, (found.entry.path,) if found is not None and found.entry is not None else ())
        elif about is not None:
            ledger.compile_in(ledger.open(about), name)


class _Installed:
    """Distributions whose metadata lie in the dist: their RECORD names the source that is inside."""

    def __init__(self, world: World) -> None:
        self._modules: dict[str, About] = {}
        for present in world.distributions:
            about = about_present(world, present)
            for row in records_of(world.tree, world.facts, present):
                path = path_in_dist(present, row)
                if fold(path).endswith(".py"):
                    self._modules.setdefault(fold(path[len(present.site) :].strip("/")), about)

    def about(self, module: FrozenModule) -> About | None:
        path = module.name.replace(".", "/")
        return self._modules.get(fold(join(path, "__init__.py") if module.is_package else f"{path}.py"))


class _Lent:
    """Environments, by the module of that name."""

    def __init__(self, world: World, lenders: Sequence[Lender]) -> None:
        self._supply = world.supply
        self._lenders = {id(lender.environment): lender for lender in lenders}

    def about(self, module: FrozenModule) -> About | None:
        found = self._supply.distribution_of(module.name)
        lender = self._lenders.get(id(found[0])) if found is not None else None
        if found is None or lender is None:
            return None
        return lender.words(found[1], phrase("has its modules"), Confidence.PROBABLE)


class _Reported:
    """The freezer's own report; licence and publisher are those of an environment that has the same version."""

    def __init__(self, world: World, lenders: Sequence[Lender]) -> None:
        contents = world.inside.contents
        self._lenders = lenders
        self._found = contents.distributions if contents is not None else {}
        self._origin = contents.origin if contents is not None else ""

    def about(self, module: FrozenModule) -> About | None:
        if module.name not in self._found:
            return None
        name, version = self._found[module.name]
        for lender in self._lenders:
            lent = lender.environment.distribution(name)
            if lent is not None and lent.version == version:
                known = lender.words(lent, "")
                return replace(known, kind=ComponentKind.DISTRIBUTION, name=name, evidence=self._origin)
        return About(ComponentKind.DISTRIBUTION, name, version, evidence=self._origin)


class _Unknown:
    """Nobody: a top-level package inside, the program's own or another's. Freezers' start-up code is left out."""

    def __init__(self, world: World) -> None:
        self._hides_code = world.dist.freezer.hides_code
        self._builtin = world.inside.builtin

    def about(self, module: FrozenModule) -> About | None:
        top = module.name.partition(".")[0]
        if not self._hides_code or top in self._builtin or module.storage is Storage.EXTENSION or _STARTUP.match(top):
            return None
        words = phrase("modules inside the program of which nothing tells where they are from")
        return About(ComponentKind.UNKNOWN, top, evidence=words, confidence=Confidence.POSSIBLE)
