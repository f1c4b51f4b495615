"""What licences ask of those who ship the DLLs of a component."""

from __future__ import annotations

from depfix.inventory.identities import plain_name
from depfix.knowledge.redistribution import Redistribution, redistribution
from depfix.model.inventory import Component, ComponentKind, InventoryFile
from depfix.model.names import base_name, fold

_MADE_BY_SUPPLIER = (ComponentKind.RUNTIME, ComponentKind.NATIVE)


def redistribution_notes(component: Component) -> tuple[Redistribution, ...]:
    """Return the terms under which known DLLs of a component are passed on, each once, in the order of its files."""
    found = (redistribution_of(component, file) for file in component.files if file.is_image)
    return tuple(dict.fromkeys(filter(None, found)))


def redistribution_of(component: Component, file: InventoryFile) -> Redistribution | None:
    """Return the terms under which one file of a component is passed on, None if none are known."""
    company = component.supplier if component.kind in _MADE_BY_SUPPLIER else ""
    if file.identity is not None:
        company = file.identity.supplier
    return redistribution(fold(plain_name(base_name(file.path))), company)
