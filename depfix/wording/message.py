"""Sentences that are English text and still know what they were made of.

Findings, errors and plans are made long before it is known who reads them: a terminal in Chinese, or a JSON file whose
messages stay as they are. So a `Message` is a `str` in English, for caches, fingerprints and tests, with the template
and the values that it was made of, for `depfix.wording.speech` to say it in another language.

A value is put into a template once and never looked at again: what a DLL is called may hold braces and percent signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex

Value = str | int | float
Values = tuple[tuple[str, Value], ...]
Reduced = tuple[type["Message"], tuple[str, Values, str, int]]

SEPARATORS = ("; ", ", ")  # that have a translation of their own where messages stand between them
_PLACE = re.compile(r"\{([A-Za-z_]\w*)(?::(,|,?\.\d+f))?\}")


class Message(str):
    """An English text, its template and the values in it; the template of a `joined` text is empty.

    `several` is the template for every `number` but one, empty where there is nothing to count.
    """

    __slots__ = ("number", "several", "template", "values")

    template: str
    values: Values
    several: str
    number: int

    def __new__(cls, template: str, values: Values = (), several: str = "", number: int = 1) -> Message:
        made = super().__new__(cls, filled(several if several and number != 1 else template, values))
        made.template, made.values, made.several, made.number = template, values, several, number
        return made

    def __str__(self) -> str:
        """Return itself, so that exceptions hand on what they were made with; `english` returns the bare text."""
        return self

    def __add__(self, other: str) -> Message:
        return Message("", (("0", self), ("1", other)))

    def __radd__(self, other: str) -> Message:
        return Message("", (("0", other), ("1", self)))

    def __reduce_ex__(self, protocol: SupportsIndex) -> Reduced:
        """Return what it is made again of, in another process or from the cache."""
        return Message, (self.template, self.values, self.several, self.number)


def phrase(template: str, /, **values: object) -> str:
    """Return the text of a template with its values. The template is literal: the catalogue is made from such calls.

    A value is a text, a message of its own, a number, or something with a text, as an exception.
    """
    return Message(template, _plain(values)) if values else Message(template)


def counted(number: int, one: str, several: str, /, **values: object) -> str:
    """Return the text of one of two templates, as there are one or several; `{number}` stands in both. Both literal."""
    return Message(one, (("number", number), *_plain(values)), several, number)


def joined(separator: str, texts: Iterable[str]) -> str:
    """Return texts one behind the other with something between them, each of which may be a message."""
    found = list(texts)
    if not any(isinstance(part, Message) for part in (separator, *found)):
        return separator.join(found)
    between = tabled(separator) if separator in SEPARATORS else separator
    parts: list[Value] = []
    for text in found:
        parts += [between, text] if parts else [text]
    return Message("", tuple((str(number), part) for number, part in enumerate(parts)))


def english(text: str) -> str:
    """Return the bare English text of a message, as other programs and files keep it."""
    return str.__str__(text)


def tabled(text: str) -> str:
    """Return the message that a table of depfix has as plain text; its texts are in the catalogue, too."""
    return text if isinstance(text, Message) else Message(text)


def system_words(error: OSError) -> str:
    """Return what the system says of an error; its commonest words are in the catalogue."""
    return tabled(error.strerror or str(error))


def small_system_words(error: OSError) -> str:
    """As `system_words`, as it goes on in a sentence."""
    return tabled((error.strerror or str(error)).lower())


def several(one: str, many: str) -> tuple[str, str]:
    """Return the two templates of a number with its noun, for `counted`. Both literal."""
    return one, many


def filled(template: str, values: Values) -> str:
    """Return a template with its values in their places; an empty one is the values one behind the other.

    A place for which there is no value stays as it is: a slip in a translation must not be an error.
    """
    if not values:
        return template
    if not template:
        return "".join(str(value) for _, value in values)
    known = dict(values)

    def place(match: re.Match[str]) -> str:
        value = known.get(match[1])
        if value is None:
            return match[0]
        return format(value, match[2]) if match[2] and not isinstance(value, str) else str(value)

    return _PLACE.sub(place, template)


def places(template: str) -> frozenset[str]:
    """Return the names of a template's places."""
    return frozenset(match[1] for match in _PLACE.finditer(template))


def _plain(values: Mapping[str, Any]) -> Values:
    return tuple(
        (name, value if isinstance(value, str | int | float) else str(value)) for name, value in values.items()
    )


_SYSTEMS_SAY = (
    phrase("No such file or directory"),
    phrase("Permission denied"),
    phrase("Is a directory"),
    phrase("Not a directory"),
    phrase("File exists"),
    phrase("No space left on device"),
    phrase("Read-only file system"),
    phrase("File name too long"),
    phrase("no such file or directory"),
    phrase("permission denied"),
    phrase("is a directory"),
    phrase("not a directory"),
)
