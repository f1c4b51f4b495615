"""Indexes, slices and fillings of what the partial evaluator knows: tuples, lists, dicts, texts."""

from __future__ import annotations

from depfix.imports import texts
from depfix.imports.methods import entry_of
from depfix.imports.values import (
    PARAMETER,
    UNKNOWN,
    Anchor,
    Constant,
    Items,
    Reference,
    Table,
    Text,
    Unknown,
    Value,
    choice,
    parts_of,
    text,
)

_ARGUMENTS = Reference("sys.argv")
_PROGRAM_FILE = Text((Anchor.PROGRAM, "/program.exe"))


def item_of(receiver: Value, index: Value) -> Value:
    """Return `receiver[index]`."""
    if isinstance(receiver, Table):
        return entry_of(receiver, index)
    position = index.value if isinstance(index, Constant) else None
    if receiver == _ARGUMENTS:
        return _PROGRAM_FILE if position == 0 else PARAMETER
    if isinstance(receiver, Items):
        if receiver.exact and isinstance(position, int) and -len(receiver.values) <= position < len(receiver.values):
            return receiver.values[position]
        return choice(list(receiver.values)) if receiver.values else UNKNOWN
    if isinstance(receiver, Constant) and isinstance(receiver.value, tuple) and isinstance(position, int):
        return Constant(receiver.value[position]) if abs(position) < len(receiver.value) else UNKNOWN
    if isinstance(receiver, Reference) and isinstance(index, Text) and receiver.name.endswith("()"):
        return Reference(f"{receiver.name}.{index.literal or ''}")  # of vars(args)
    return receiver if isinstance(receiver, Unknown) else UNKNOWN


def sliced(receiver: Value, limits: list[Value]) -> Value:
    """Return `receiver[start:stop:step]`."""
    bounds: list[int | None] = []
    for value in limits:
        if not isinstance(value, Constant) or not (value.value is None or isinstance(value.value, int)):
            return receiver if isinstance(receiver, (Items, Unknown)) else UNKNOWN
        bounds.append(value.value)
    if bounds[2] == 0:
        return UNKNOWN
    if isinstance(receiver, Constant) and isinstance(receiver.value, tuple):
        return Constant(receiver.value[slice(*bounds)])
    if isinstance(receiver, Items) and receiver.exact:
        return Items(receiver.values[slice(*bounds)])
    if isinstance(receiver, Text) and bounds[0] is None and bounds[2] is None:
        return texts.shortened(receiver, bounds[1])
    known = receiver.literal if isinstance(receiver, Text) else None
    if known is not None:
        return text(known[slice(*bounds)])
    return receiver if isinstance(receiver, (Items, Unknown)) else UNKNOWN


def percent_of(template: Text, value: Value) -> Value:
    """Return `template % value`."""
    known = template.literal
    given = list(value.values) if isinstance(value, Items) else [value]
    return texts.percent(known, [parts_of(one) for one in given]) if known is not None else UNKNOWN


def either_of(reached: list[Value], last: Value) -> Value:
    """Return a value for `a or b` with an unknown a: texts stay useful, plain truths become unknown."""
    if isinstance(last, Constant):
        return UNKNOWN
    return choice([*reached, last])
