"""The forms that a report can have, by the names that `--format` takes: depfix's own, then those of extensions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from depfix.errors import UnknownFormError
from depfix.extensions import FORMATS, Extension, extensions
from depfix.model.audit import Accepted, Verdict
from depfix.model.names import unsafe_name
from depfix.model.report import Report
from depfix.wording.message import phrase
from depfix.wording.speech import speaking_to_machines

if TYPE_CHECKING:
    from depfix.closure.graph import Graph
    from depfix.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Material:
    """All that a report is made from.

    `inventory` and `graph` are there for forms that need them. `accepted` are findings that do not count and are not
    among those of `report`. `verbose` asks for what is merely possible, too. `language`, `en` or
    `zh`, is what a page opens in where the reader's own is unknown. `root` is the
    folder that paths in the repository begin at; where it is empty the build's server or the `.git` above the current
    directory tells.
    """

    report: Report
    verdict: Verdict
    accepted: tuple[Accepted, ...] = ()
    inventory: Inventory | None = None
    graph: Graph | None = None
    verbose: bool = False
    language: str = ""
    root: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a report: `render` makes the whole text, with a final newline.

    `file_name` is what an audit calls it. `needs_inventory` and `needs_graph` say what of the material it asks for.
    One that is `for_people` speaks the language of the system, another only one that the user asked for. An extension's
    entry point names an object of this kind.
    """

    name: str
    file_name: str
    render: Callable[[Material], str]
    needs_inventory: bool = False
    needs_graph: bool = False
    for_people: bool = False


# name, file name, module, function, needs the inventory, the graph, is for people; modules are imported when used
_OWN = (
    ("text", "report.txt", "depfix.reports.text", "scan_text", False, False, True),
    ("json", "report.json", "depfix.reports.json", "scan_json", False, False, False),
    ("sarif", "report.sarif", "depfix.reports.sarif", "sarif", False, False, False),
    ("junit", "junit.xml", "depfix.reports.junit", "junit", False, False, False),
    ("github", "annotations.txt", "depfix.reports.github", "workflow_commands", False, False, False),
    ("gitlab", "gl-code-quality-report.json", "depfix.reports.gitlab", "code_quality", False, False, False),
    ("markdown", "report.md", "depfix.reports.markdown", "markdown", False, False, True),
    ("cyclonedx", "sbom.cdx.json", "depfix.reports.sbom", "sbom_json", True, False, False),
    ("html", "report.html", "depfix.reports.page.page", "scan_html", True, True, True),
)


def form_names() -> tuple[str, ...]:
    """Return the names of depfix's own forms, then those of extensions."""
    return (*(row[0] for row in _OWN), *dict.fromkeys(extension.name for extension in _others()))


def form(name: str) -> Form:
    """Return the form of this name. Raises UnknownFormError, and ExtensionError if an extension's cannot be used."""
    if name in _own():
        return _own()[name]
    for extension in _others():
        if extension.name == name:
            return _loaded(extension)
    near = difflib.get_close_matches(name, form_names(), n=1)
    raise UnknownFormError(name, form_names(), near[0] if near else "")


def forms() -> tuple[Form, ...]:
    """Return every form. Raises ExtensionError if one of an extension cannot be used."""
    return tuple(form(name) for name in form_names())


@lru_cache(maxsize=1)
def _own() -> Mapping[str, Form]:
    return {row[0]: Form(row[0], row[1], _later(row[2], row[3], for_people=row[6]), *row[4:]) for row in _OWN}


def _later(module: str, function: str, *, for_people: bool) -> Callable[[Material], str]:
    def render(material: Material) -> str:
        made: Any = getattr(import_module(module), function)
        with nullcontext() if for_people else speaking_to_machines():
            return str(made(material))

    return render


def _others() -> tuple[Extension, ...]:
    own = {row[0] for row in _OWN}
    return tuple(extension for extension in extensions(FORMATS) if extension.name not in own)


def _loaded(extension: Extension) -> Form:
    found = extension.load()
    if not isinstance(found, Form):
        raise extension.failure(
            phrase("{formats} takes a Form, not {type}", formats=FORMATS, type=type(found).__name__)
        )
    if found.name != extension.name:
        raise extension.failure(
            phrase(
                "its form is called {found}, its entry point {extension}",
                found=repr(found.name),
                extension=repr(extension.name),
            )
        )
    if unsafe_name(found.file_name) or "/" in found.file_name:
        raise extension.failure(phrase("its file name {file_name} is none", file_name=repr(found.file_name)))

    def render(material: Material) -> str:
        with nullcontext() if found.for_people else speaking_to_machines():
            made = extension.call(found.render, material)
        if not isinstance(made, str):
            raise extension.failure(phrase("its form gave {type} for a text", type=type(made).__name__))
        return made

    return replace(found, render=render)
