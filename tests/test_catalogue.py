"""The catalogue: complete, current, and all that depfix says goes through it."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from depfix.wording.catalogue import LOCALES
from depfix.wording.message import places
from fixtures.write_catalogue import (
    CODE,
    POT,
    code_texts,
    mo_bytes,
    po_file,
    po_text,
    pot_text,
    untranslated,
    updated,
)

_MAKERS = {"phrase": 0, "say": 0, "several": 0, "counted": 1, "say_counted": 1}
_WORDS = re.compile(r"(?<!depfix )\b[A-Za-z]{2,} [a-z]{2,}")
_COMMAND = re.compile(r"depfix [a-z]+ ")
# What other people's code reads, or what no person is told.
_NOT_SAID = {"knowledge", "integrations", "wording"}
_SPEAKING = re.compile(r"Error$")
_FIELDS = {"message", "no_fix", "note", "reason", "advice", "hint", "caveat"}


@pytest.mark.parametrize("locale", sorted(LOCALES.values()))
def test_the_catalogues_are_current(locale: str) -> None:
    advice = "run python -m fixtures.write_catalogue, and translate what is new"
    assert POT.read_text(encoding="utf-8") == pot_text(), advice
    assert po_file(locale).read_text(encoding="utf-8") == po_text(locale), advice
    with po_file(locale).open("rb") as file:
        wanted = GNUTranslations(io.BytesIO(mo_bytes(read_po(file))))
    with po_file(locale).with_suffix(".mo").open("rb") as file:
        shipped = GNUTranslations(file)
    for one in updated(locale):
        if one.id:
            text = one.id if isinstance(one.id, str) else one.id[0]
            assert shipped.gettext(text) == wanted.gettext(text), advice


@pytest.mark.parametrize("locale", sorted(LOCALES.values()))
def test_nothing_lacks_its_translation(locale: str) -> None:
    assert not untranslated(updated(locale))


@pytest.mark.parametrize("locale", sorted(LOCALES.values()))
def test_translations_have_the_places_of_their_templates(locale: str) -> None:
    for one in updated(locale):
        if one.id:
            ids, strings = (
                tuple(map(str, text if isinstance(text, tuple | list) else (text,))) for text in (one.id, one.string)
            )
            wanted = set().union(*map(places, ids))
            for text in strings:
                assert places(str(text)) <= wanted, (ids, text)
                assert wanted - places(str(text)) <= {"number", "possibilities", "choice"}, (ids, text)


def test_a_console_of_chinese_windows_can_print_it() -> None:
    for one in updated("zh_CN"):
        if one.id and "→" not in str(one.string):
            "".join(one.string if one.string else "").encode("cp936")


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                yield f"{path.relative_to(CODE).as_posix()}:{node.lineno}", node, name


def test_every_template_is_a_literal_that_the_catalogue_has() -> None:
    known = {text if isinstance(text, str) else text[0] for text, _ in code_texts()}
    exceptions = {"wording/speech.py", "reports/words.py"}
    for place, call, name in _calls():
        if name in _MAKERS and len(call.args) > _MAKERS[name] and place.partition(":")[0] not in exceptions:
            template = call.args[_MAKERS[name]]
            assert isinstance(template, ast.Constant) and template.value in known, place


def _bare(node: ast.AST | None) -> bool:
    """Return True for words that go through no catalogue."""
    if isinstance(node, ast.JoinedStr):
        words = " ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        return bool(_WORDS.search(_COMMAND.sub("", words)))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(_WORDS.search(node.value))
    if isinstance(node, ast.IfExp):
        return _bare(node.body) or _bare(node.orelse)
    if isinstance(node, ast.BoolOp):
        return any(map(_bare, node.values))
    return isinstance(node, ast.BinOp) and (_bare(node.left) or _bare(node.right))


def test_no_sentence_is_said_that_the_catalogue_has_not() -> None:
    """Arguments of findings, of exceptions of our own and of what prints are messages, or no sentences."""
    found = []
    for place, call, name in _calls():
        if place.partition("/")[0] in _NOT_SAID:
            continue
        told = list(call.args[2:3]) if name == "finding" else []
        if name in ("tell", "hint", "Line"):
            told = list(call.args[:2])
        if _SPEAKING.search(name) and name not in (
            "ValueError",
            "TypeError",
            "AssertionError",
            "DataFileError",
            "AttributeError",
            "DecodingError",
        ):
            told = [*call.args[1:], *(call.args[:1] if len(call.args) == 1 else [])]
        told += [row.value for row in call.keywords if row.arg in _FIELDS]
        found += [f"{place}: {ast.unparse(one)}" for one in told if _bare(one)]
    assert not found, "\n".join(found)


def test_exceptions_and_hints_are_messages() -> None:
    found = []
    for path in sorted(Path(CODE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("__str__", "hint", "words"):
                returned = (one for one in ast.walk(node) if isinstance(one, ast.Return))
                found += [f"{path.name}:{one.lineno}" for one in returned if _bare(one.value)]
    assert not found
