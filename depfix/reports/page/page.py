"""The HTML report: one file that loads nothing, with what it says in HTML, so that it is read without scripts, too.

Its content security policy allows the scripts that are written here, by their hashes, and no others. Source: W3C,
"Content Security Policy Level 3", https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from depfix import __version__
from depfix.model.finding import Severity
from depfix.model.names import base_name
from depfix.model.shown import shown
from depfix.reports.page.libraries import Library, asset, libraries
from depfix.reports.page.picture import Item, Picture, draw
from depfix.reports.page.view import (
    broken_rules,
    cards,
    choices,
    repair_command,
    rows,
    tiles,
    verdict_key,
    what_next,
)
from depfix.reports.page.words import LANGUAGES, catalogue, said
from depfix.reports.words import size as size_words
from depfix.wording.message import tabled
from depfix.wording.speech import language as spoken_language
from depfix.wording.speech import said as spoken_text
from depfix.wording.speech import speaking

if TYPE_CHECKING:
    from jinja2 import Environment

    from depfix.reports.forms import Material

_TEMPLATE = "page.html.j2"
_TAGS = {"en": "en", "zh": "zh-CN"}  # of HTML
_MOST_DIGITS = 11  # of a moment that a calendar has
_SCRIPTS = ("page.js", "look.js", "graph.js")
_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def scan_html(material: Material) -> str:
    """Return the report of a scan or audit as one page of HTML."""
    language = _language(material)
    picture = _picture(material)
    scripts = [_with_licence(library) for library in libraries()] if picture is not None else []
    scripts += [asset(name) for name in _SCRIPTS]
    text = (
        _environment(language)
        .get_template(_TEMPLATE)
        .render(
            **_material(material, language),
            language=language,
            style=asset("page.css"),
            start=asset("start.js"),
            scripts=scripts,
            policy=_policy([asset("start.js"), *scripts]),
            data=_inlined({"words": catalogue(), "picture": _picture_value(picture) if picture else None}),
            picture=picture,
            libraries=libraries(),
        )
    )
    return text.rstrip() + "\n"


def _language(material: Material) -> str:
    """Return what the page opens in: what was asked for, else what depfix speaks."""
    return next((one for one in (material.language, spoken_language()) if one in LANGUAGES), LANGUAGES[0])


def _material(material: Material, language: str) -> dict[str, Any]:
    report, inventory = material.report, material.inventory
    all_cards = cards(report, inventory)
    accepted = [one.finding for one in material.accepted]
    return {
        "report": report,
        "verdict": material.verdict,
        "verdict_key": verdict_key(material),
        "counts": {severity.value: report.count(severity) for severity in Severity},
        "next": what_next(report),
        "repair": repair_command(report),
        "cards": all_cards,
        "rules": broken_rules((*report.findings, *accepted)),
        "rule_choices": choices(f"{card.finding.rule} {card.finding.name}" for card in all_cards),
        "component_choices": choices(card.component for card in all_cards),
        "confidences": choices(card.finding.confidence.value for card in all_cards),
        "accepted": material.accepted,
        "inventory": inventory,
        "tiles": tiles(inventory) if inventory is not None else (),
        "rows": rows(inventory) if inventory is not None else (),
        "made": _made(),
        "version": __version__,
    }


def _environment(language: str) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    def inner(key: str, *values: object) -> Markup:
        """Return what stands in a tag from its name on, and its text: the tag itself then says the words."""
        told = [shown(str(value)) for value in values]
        text = said(language, key, *told)
        return Markup(' data-words="{}"{}>{}').format(key, given("values", told), text)

    def words(key: str, *values: object) -> Markup:
        return Markup("<span{}</span>").format(inner(key, *values))

    def attribute(name: str, key: str, *values: object) -> Markup:
        told = [shown(str(value)) for value in values]
        text = said(language, key, *told)
        return Markup('{0}="{1}" data-words-{0}="{2}"{3}').format(name, text, key, given(f"values-{name}", told))

    def given(name: str, told: list[str]) -> Markup:
        return Markup(' data-{}="{}"').format(name, json.dumps(told)) if told else Markup("")

    made = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalized,
    )

    def message(text: str, drop: str = "") -> Markup:
        """Return what stands in a tag behind its name, and a message: the tag itself then has it in every language."""
        texts = {code: shown(_said(text, code)).removeprefix(drop) for code in LANGUAGES}
        if len(set(texts.values())) == 1:
            return Markup(' lang="en">{}').format(texts[language])
        told = json.dumps(texts, ensure_ascii=False)
        return Markup(' lang="{}" data-said="{}">{}').format(_TAGS[language], told, texts[language])

    made.globals.update(t=words, w=inner, a=attribute, m=message)
    made.filters.update(
        size=size_words, inline=Markup, last_part=_last_part, singles=_singles, groups=_groups, library_words=_words_of
    )
    return made


def _said(text: str, code: str) -> str:
    with speaking(code):
        return spoken_text(tabled(text))


def _finalized(value: object) -> object:
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return shown(value)
    return value


def _last_part(path: str) -> str:
    return base_name(path.rstrip("/\\")) or path


def _singles(numbers: Sequence[int], items: Sequence[Item]) -> int:
    return sum(items[number].count == 1 for number in numbers)


def _groups(numbers: Sequence[int], items: Sequence[Item]) -> int:
    return sum(items[number].count > 1 for number in numbers)


def _words_of(library: Library) -> str:
    return f"{library.name} {library.version} ({library.licence})"


def _with_licence(library: Library) -> str:
    licence = asset(library.licence_file).replace("*/", "* /").strip()
    script = _MAP.sub("", asset(library.file)).strip()
    return f"/*!\n{library.name} {library.version}, {library.project}\n\n{licence}\n*/\n{script}\n"


def _policy(scripts: list[str]) -> str:
    """Return the content security policy: our own scripts by hash, styles in the page, nothing else from anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    inside = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {inside}"


def _inlined(value: object) -> str:
    """Return JSON that can stand in a script element: no tag, no entity, no line separator ends or changes it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _picture(material: Material) -> Picture | None:
    if material.graph is None:
        return None
    return draw(material.graph, material.report.findings, material.report.dist.python)


def _picture_value(picture: Picture) -> dict[str, object]:
    """Return a picture for the script, each row as short as can be."""
    return {
        "items": [
            {
                "kind": item.kind,
                "name": shown(item.name),
                "label": shown(item.label),
                "state": item.state,
                "needs": [(shown(row.name), row.words, shown(row.place)) for row in item.needs],
                "by": [(shown(row.name), row.words, shown(row.place)) for row in item.needed_by],
                "allNeeds": item.all_needs,
                "allBy": item.all_needed_by,
                "count": item.count,
                "members": item.members,
                "names": [shown(name) for name in item.names],
            }
            for item in picture.items
        ],
        "lines": [(line.source, line.target, line.words, int(line.sure), line.count) for line in picture.lines],
        "overview": picture.overview,
        "routes": picture.routes,
    }


def _made() -> datetime:
    """Return when the page is made; SOURCE_DATE_EPOCH says it for builds that can be repeated.

    Source: Reproducible Builds, "SOURCE_DATE_EPOCH" https://reproducible-builds.org/specs/source-date-epoch/
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal() and len(given) <= _MOST_DIGITS:
        return datetime.fromtimestamp(int(given), timezone.utc)
    return datetime.now(timezone.utc)
