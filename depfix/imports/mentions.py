"""What the code objects of a foreign Python mention, from their instructions alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from depfix.imports.calls import NO_BASES
from depfix.imports.marshal import CodeValue
from depfix.imports.opcodes import Instructions, InstructionSet
from depfix.imports.stack import Slot
from depfix.imports.uses import Mentions

_NAMES = ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_FROM")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_STORES = {"STORE_NAME": "names", "STORE_GLOBAL": "names", "STORE_FAST": "variables", "STORE_DEREF": "cells"}
_BY_NAME = frozenset(("__import__", "import_module"))


def all_codes(code: CodeValue) -> list[CodeValue]:
    """Return a code object and all inside it, each once."""
    found: dict[int, CodeValue] = {}
    todo = [code]
    while todo:
        one = todo.pop()
        if id(one) not in found:
            found[id(one)] = one
            todo += reversed(one.nested)
    return list(found.values())


def importing(codes: list[CodeValue], known: InstructionSet) -> set[int]:
    """Return the identities of the code objects in which, or inside which, something is imported."""
    number = known.numbers["IMPORT_NAME"]
    found: set[int] = set()
    for code in reversed(codes):  # the outer ones stand first
        asks = number in code.code[::2] or not _BY_NAME.isdisjoint(code.names)
        if asks or any(id(inner) in found for inner in code.nested):
            found.add(id(code))
    return found


def global_stores(code: CodeValue, known: InstructionSet) -> Iterator[str]:
    """Yield the global names that a function binds."""
    return _named(code, known, "STORE_GLOBAL")


def stored_names(instructions: Instructions) -> Iterator[str]:
    """Yield the names that a code object binds, each as often as it does."""
    code = instructions.code
    for name, number in zip(instructions.names, instructions.arguments, strict=True):
        row = _STORES.get(name)
        if row is not None:
            names = code.names if row == "names" else code.variables if row == "variables" else code.cells
            yield names[number] if number < len(names) else ""


def mentions_of(codes: Iterable[CodeValue], known: InstructionSet) -> Mentions:
    """Return what code objects mention, with all inside them."""
    names: set[str] = set()
    attributes: set[str] = set()
    for outer in codes:
        for code in all_codes(outer):
            own = {name for operation in _NAMES for name in _named(code, known, operation)}
            names |= own
            attributes |= set(code.names) - own
            attributes.update(name for operation in _ATTRIBUTES for name in _named(code, known, operation))
    return Mentions(frozenset(names), frozenset(attributes))


def _named(code: CodeValue, known: InstructionSet, operation: str) -> Iterator[str]:
    """Yield the names that an instruction takes, each as often as it does."""
    number, extended = known.numbers.get(operation), known.numbers["EXTENDED_ARG"]
    if number is None:
        return
    since = {"LOAD_GLOBAL": (3, 11), "LOAD_ATTR": (3, 12)}.get(operation)
    shift = int(since is not None and known.version >= since)
    operations, arguments = code.code[::2], code.code[1::2]
    place = operations.find(number)
    while place >= 0:
        index, before, bits = arguments[place], place - 1, 8
        while before >= 0 and operations[before] == extended and bits < 32:
            index |= arguments[before] << bits
            before, bits = before - 1, bits + 8
        if index >> shift < len(code.names):
            yield code.names[index >> shift]
        place = operations.find(number, place + 1)


class ClassBases:
    """The bases of a class: their dotted names, "?" for an expression that is none; what was read to name them."""

    def __init__(self, bases: list[Slot], keywords: Mapping[str, Slot]) -> None:
        named = [base.written for base in bases if base.last not in NO_BASES]
        self.names = tuple(name or "?" for name in named)
        if any(value.last != "ABCMeta" for value in keywords.values()):
            self.names += ("?",)
        self.read: list[tuple[str, bool]] = []
        for base in bases:
            first, *rest = base.written.split(".")
            self.read += [(first, False), *((name, True) for name in rest)] if first else []
