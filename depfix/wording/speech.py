"""Says messages in the language of whoever reads them.

The language is a context variable, as the precision of `decimal` is: reports are made by many small functions, and each
of them would have to hand it on. English needs no catalogue, and none is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from depfix.wording.catalogue import ENGLISH, translation
from depfix.wording.message import Message, Values, counted, english, filled, phrase

Any_ = TypeVar("Any_")

_LANGUAGE: ContextVar[str] = ContextVar("language", default=ENGLISH)
_FOR_MACHINES: ContextVar[str] = ContextVar("language for machines", default=ENGLISH)


def language() -> str:
    """Return the code of the language that messages are said in."""
    return _LANGUAGE.get()


def set_language(code: str, *, asked: bool) -> None:
    """Say messages in this language from now on; if it was `asked` for, to machines, too.

    The language of the system alone never changes what other programs read.
    """
    _LANGUAGE.set(code)
    _FOR_MACHINES.set(code if asked else ENGLISH)


@contextmanager
def speaking_to_machines() -> Iterator[None]:
    """Say messages for a while in the language of the forms that other programs read."""
    with speaking(_FOR_MACHINES.get()):
        yield


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Say messages in this language for a while."""
    token = _LANGUAGE.set(code)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def said(text: object) -> str:
    """Return the text of a message, or of anything that has one, in the language of the moment."""
    words = text if isinstance(text, str) else str(text)
    if not isinstance(words, Message):
        return words
    code = _LANGUAGE.get()
    return english(words) if code == ENGLISH else _in(words, code)


def say(template: str, /, **values: object) -> str:
    """Return a template with its values in the language of the moment. As `phrase`, it takes literal templates."""
    return said(phrase(template, **values))


def say_counted(number: int, one: str, several: str, /, **values: object) -> str:
    """As `counted`, in the language of the moment."""
    return said(counted(number, one, several, **values))


def spoken(value: Any_) -> Any_:
    """Return a value, as a report, with every message in it in the language of the moment; in English as it is."""
    return value if _LANGUAGE.get() == ENGLISH else _spoken(value)


def _spoken(value: Any) -> Any:
    if isinstance(value, Message):
        return said(value)
    if isinstance(value, tuple) and type(value) is tuple:
        made = tuple(map(_spoken, value))
        return value if all(new is old for new, old in zip(made, value, strict=True)) else made
    if is_dataclass(value) and not isinstance(value, type | Enum):
        old = {row.name: getattr(value, row.name) for row in fields(value) if row.init}
        new = {name: _spoken(one) for name, one in old.items()}
        changed = {name: one for name, one in new.items() if one is not old[name]}
        return replace(value, **changed) if changed else value
    return value


def _in(words: Message, code: str) -> str:
    values: Values = tuple(
        (name, _in(value, code) if isinstance(value, Message) else value) for name, value in words.values
    )
    if not words.template:
        return filled("", values)
    catalogue = translation(code)
    if words.several:
        return filled(catalogue.ngettext(words.template, words.several, words.number), values)
    return filled(catalogue.gettext(words.template), values)
