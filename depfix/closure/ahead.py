"""Reads sources before they are asked for: all at once, in several processes, instead of one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from depfix.closure.world import World
from depfix.dist.tree import FileEntry
from depfix.imports.finder import ModuleFile, ModuleKind
from depfix.imports.uses import ImportUse
from depfix.imports.walker import absolute_name


def read_ahead(world: World, modules: Iterable[ModuleFile]) -> None:
    """Read the sources of these modules."""
    sources = [module.entry for module in modules if module.kind is ModuleKind.SOURCE and module.entry is not None]
    world.facts.read_ahead(sources)


def read_what_follows(world: World, names: Iterable[str]) -> None:
    """Read the sources that importing these modules will lead to, as far as a glance at import statements tells."""
    found: dict[str, FileEntry] = {}
    seen: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        pending.append(name.rpartition(".")[0])
        module = world.walker.find(name)
        if module is None:
            continue
        if module.kind is ModuleKind.SOURCE and module.entry is not None:
            found[name] = module.entry
        pending += _following(world, module)
    world.facts.read_ahead(found.values())


def _following(world: World, module: ModuleFile) -> Iterator[str]:
    """Yield what may be modules that a module imports.

    Of other packages of an environment, those that its distribution requires.
    """
    if module.kind is ModuleKind.FROZEN:
        uses = (use for use in world.read(module).uses if isinstance(use, ImportUse))
        for use in uses:
            base = absolute_name(module, use)
            yield from (base, *(f"{base}.{name}" for name in use.names)) if base is not None else ()
    elif module.kind is ModuleKind.SOURCE and module.entry is not None:
        package = module.name if module.is_package else module.name.rpartition(".")[0]
        for name, at_margin in world.facts.skimmed(module.entry, package):
            if _is_wanted(world, module, name, at_margin=at_margin):
                yield name


def _is_wanted(world: World, module: ModuleFile, name: str, *, at_margin: bool) -> bool:
    top = name.partition(".")[0]
    other = world.walker.find(top)
    if other is None or not other.is_provided or top == module.name.partition(".")[0]:
        return other is not None
    return at_margin and world.supply.requires(module.name, name) is not False
