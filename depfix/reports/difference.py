"""`depfix diff`: what two builds hold that differs, as text, JSON and Markdown."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from depfix.model.difference import Change, ComponentChange, Difference, FileChange, Side
from depfix.model.finding import Finding, Severity
from depfix.model.inventory import Component, InventoryFile
from depfix.model.names import base_name
from depfix.model.shown import no_command
from depfix.reports.groups import Group, grouped
from depfix.reports.json import encoded, finding_value
from depfix.reports.markup import cells, code, prose
from depfix.reports.text import Line, finding_lines
from depfix.reports.words import count, listed, padded, severity_word, size
from depfix.wording.message import phrase
from depfix.wording.speech import said, say, spoken

SCHEMA_VERSION = 1
_T = TypeVar("_T")
_MOST_ROWS = 100  # of a table in Markdown: it is read in a pull request
_MOST_LINES = 20  # of a list in a text that is not verbose
_IMAGES = phrase("programs, DLLs and extension modules")
_CHANGES = {
    Change.ADDED: phrase("added"),
    Change.REMOVED: phrase("removed"),
    Change.CHANGED: phrase("changed"),
    Change.MOVED: phrase("moved"),
    Change.REPLACED: phrase("replaced"),
    Change.VERSION: phrase("version"),
}
_COLOUR = {Change.ADDED: "green", Change.REMOVED: "red"}
_TOLD_OF_DLLS = (Change.MOVED, Change.CHANGED, Change.REPLACED)


# --- words that the forms share ---


def difference_words(difference: Difference) -> str:
    """Return the one line that sums up a comparison."""
    if difference.is_empty:
        if difference.appeared is None:
            return say("the two hold the same")
        return say("the two hold the same, and the same is wrong with them")
    files = ", ".join(f"{difference.count(one)} {said(_CHANGES[one])}" for one in Change if difference.count(one))
    parts = [
        f"{_grown(difference.new.size - difference.old.size)}",
        say("files: {files}", files=files) if files else say("no file differs"),
    ]
    if difference.appeared is not None and difference.gone is not None:
        worst = ", ".join(filter(None, (_number(difference.appeared, severity) for severity in Severity)))
        parts.append(say("new findings: {worst}", worst=worst) if worst else say("no new findings"))
        parts += [say("{number} gone", number=len(difference.gone))] if difference.gone else []
    return listed(parts, "; ")


def _number(findings: tuple[Finding, ...], severity: Severity) -> str:
    number = sum(finding.severity is severity for finding in findings)
    words = say("{number} possible", number=number) if severity is Severity.INFO else count(number, severity.value)
    return words if number else ""


def _grown(number: int) -> str:
    return f"{'-' if number < 0 else '+'}{size(abs(number))}"


def _component_words(change: ComponentChange) -> str:
    old, new = change.old, change.new
    if old is not None and new is not None:
        if change.change is Change.VERSION:
            none = say("no version")
            return f"{old.version or none} -> {new.version or none}"
        licence = (
            ""
            if old.licence == new.licence
            else say(
                ", licence {licence} -> {licence2}",
                licence=old.licence or say("none"),
                licence2=new.licence or say("none"),
            )
        )
        numbers = (len(old.files), len(new.files))
        content = (
            say("other content")
            if numbers[0] == numbers[1]
            else say("{number} files -> {number2}", number=numbers[0], number2=numbers[1])
        )
        return f"{new.version}{', ' if new.version else ''}{content}{licence}"
    return "".join(one.version for one in _there(old, new))


def _size_words(change: ComponentChange) -> str:
    old, new = change.old, change.new
    if old is not None and new is not None:
        return f"{_grown(change.grown)}, {size(old.size)} -> {size(new.size)}"
    numbers = (count(len(one.files), "file") for one in _there(old, new))
    inside = (say(", inside the program") for one in _there(old, new) if one.compiled_in)
    return f"{_grown(change.grown)}, {''.join(numbers)}{''.join(inside)}"


def _there(old: _T | None, new: _T | None) -> tuple[_T, ...]:
    """Return the one of two that is there, the new one if both are."""
    return tuple(one for one in (new, old) if one is not None)[:1]


def _file_words(change: FileChange) -> str:
    old, new = change.old, change.new
    if old is None or new is None:
        return f"{change.path}{_version(new or old)}, {_grown(change.grown)}"
    if change.change is Change.MOVED:
        return f"{old.path} -> {new.path}{_version(new)}"
    place = new.path if old.path == new.path else f"{old.path} -> {new.path}"
    versions = f" {old.version or '?'} -> {new.version or '?'}" if old.version or new.version else ""
    same = say(", the same version") if old.version and old.version == new.version else ""
    return f"{place}{'' if same else versions}{f' {new.version}{same}' if same else ''}, {_grown(change.grown)}"


def _version(file: InventoryFile | None) -> str:
    return f" {file.version}" if file is not None and file.version else ""


def _of_dlls(difference: Difference) -> list[FileChange]:
    return [one for one in difference.files if one.is_image and one.change in _TOLD_OF_DLLS]


# --- text ---


def difference_lines(difference: Difference, *, verbose: bool) -> Iterator[Line]:
    """Yield a comparison; `verbose` lists every file, and findings that are mere information."""
    for lead, side in ((say("old"), difference.old), (say("new"), difference.new)):
        yield Line(_side_words(side), padded(lead, 5), "white")
    yield from _section(say("packages"), difference.components, _component_line, verbose)
    yield from _section(said(_IMAGES), _of_dlls(difference), _file_line, verbose)
    told = set() if verbose else {id(one) for one in _of_dlls(difference)}
    others = [one for one in difference.files if id(one) not in told]
    if verbose:
        yield from _section(say("files"), others, _file_line, verbose)
    yield from _finding_section(say("new findings"), difference.appeared, verbose)
    yield from _finding_section(say("gone"), difference.gone, verbose, gone=True)
    yield Line()
    yield Line(difference_words(difference))


def _side_words(side: Side) -> str:
    dist = spoken(side.dist)
    python = f"Python {dist.python}" if dist.python else say("no Python")
    return say(
        "{root}  {freezer_words}, {python}, {machine}; {files:,} files, {size}",
        root=dist.root,
        freezer_words=dist.freezer_words,
        python=python,
        machine=dist.machine,
        files=dist.files,
        size=size(side.size),
    )


def _section(title: str, rows: Iterable[_T], line: Callable[[_T], Line], verbose: bool) -> Iterator[Line]:
    found = list(rows)
    if found:
        yield Line()
        yield Line("", f"{title} ({len(found)})", "white")
        yield from map(line, found if verbose else found[:_MOST_LINES])
        if not verbose and len(found) > _MOST_LINES:
            yield Line("  " + say("and {number} more; -v shows them", number=len(found) - _MOST_LINES))


def _component_line(change: ComponentChange) -> Line:
    words = " ".join(filter(None, (change.name, _component_words(change))))
    return Line(
        f"{words}  ({_size_words(change)})",
        f"  {padded(said(_CHANGES[change.change]), 9)}",
        _COLOUR.get(change.change, "yellow"),
    )


def _file_line(change: FileChange) -> Line:
    return Line(
        _file_words(change), f"  {padded(said(_CHANGES[change.change]), 9)}", _COLOUR.get(change.change, "yellow")
    )


def _finding_section(
    title: str, findings: tuple[Finding, ...] | None, verbose: bool, *, gone: bool = False
) -> Iterator[Line]:
    if not findings:
        return
    wanted = [spoken(finding) for finding in findings if verbose or finding.severity is not Severity.INFO]
    yield Line()
    hidden = len(findings) - len(wanted)
    yield Line(
        say("{hidden} possible; -v shows them", hidden=hidden) if hidden else "",
        f"{title} ({len(findings)})  ",
        "white",
    )
    for finding in wanted:
        if gone:
            words = f"{finding.rule} {finding.name}  {finding.subject}"
            yield Line(words, f"  {padded(severity_word(finding.severity), 9)}", "green")
        else:
            yield from finding_lines(finding, verbose, cures=False)


# --- JSON ---


def difference_json(difference: Difference) -> str:
    """Return a comparison as JSON; its schema is `schema/difference.schema.json` beside this file."""
    return encoded(
        {
            "schema_version": SCHEMA_VERSION,
            "old": _side(difference.old),
            "new": _side(difference.new),
            "components": [_component_change(one) for one in difference.components],
            "files": [
                {"change": one.change.value, "old": _file(one.old), "new": _file(one.new)} for one in difference.files
            ],
            "findings": _findings(difference),
        }
    )


def schema() -> bytes:
    """Return the JSON Schema of a comparison."""
    return pkgutil.get_data("depfix.reports", "schema/difference.schema.json") or b""


def _side(side: Side) -> dict[str, object]:
    dist = side.dist
    return {
        "root": dist.root,
        "freezer": dist.freezer,
        "python": dist.python,
        "machine": dist.machine,
        "files": dist.files,
        "images": dist.images,
        "size": side.size,
    }


def _component_change(change: ComponentChange) -> dict[str, object]:
    return {
        "change": change.change.value,
        "name": change.name,
        "old": _component(change.old),
        "new": _component(change.new),
    }


def _component(component: Component | None) -> dict[str, object] | None:
    if component is None:
        return None
    return {
        "kind": component.kind.value,
        "version": component.version,
        "licence": component.licence,
        "evidence": component.evidence,
        "compiled_in": component.compiled_in,
        "files": len(component.files),
        "size": component.size,
    }


def _file(file: InventoryFile | None) -> dict[str, object] | None:
    if file is None:
        return None
    return {
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
        "image": file.is_image,
        "version": file.version,
    }


def _findings(difference: Difference) -> dict[str, object] | None:
    if difference.appeared is None or difference.gone is None:
        return None
    return {
        "appeared": list(map(finding_value, difference.appeared)),
        "gone": list(map(finding_value, difference.gone)),
    }


# --- Markdown ---


def difference_markdown(difference: Difference, *, verbose: bool) -> str:
    """Return a comparison as Markdown for a pull request."""
    old, new = (code(base_name(side.dist.root)) for side in (difference.old, difference.new))
    lines = [f"## depfix diff: {old} → {new}", "", f"**{prose(difference_words(difference))}**", ""]
    rows = [
        cells(said(_CHANGES[one.change]), prose(one.name), prose(_component_words(one)), prose(_size_words(one)))
        for one in difference.components
    ]
    lines += _table(say("Packages"), say("| Change | Package | Version | Size |"), rows)
    files = difference.files if verbose else _of_dlls(difference)
    rows = [cells(said(_CHANGES[one.change]), prose(_file_words(one))) for one in files]
    lines += _table(
        say("Files") if verbose else say("Programs, DLLs and extension modules"), say("| Change | File |"), rows
    )
    for title, findings in ((say("New findings"), difference.appeared), (say("Gone"), difference.gone)):
        wanted = [spoken(one) for one in findings or () if verbose or one.severity is not Severity.INFO]
        lines += _table(title, say("| Severity | Rule | What | Why |"), list(map(_group_row, grouped(wanted))))
    return "\n".join(map(no_command, lines)).rstrip() + "\n"


def _group_row(group: Group) -> str:
    first = group.first
    names = ", ".join(map(code, group.subjects))
    return cells(severity_word(first.severity), f"{first.rule} {first.name}", names, prose(first.message))


def _table(title: str, head: str, rows: list[str]) -> Iterator[str]:
    if not rows:
        return
    yield from (f"### {title} ({len(rows)})", "", head, "| --- " * (head.count("|") - 1) + "|")
    yield from (*rows[:_MOST_ROWS], "")
    if len(rows) > _MOST_ROWS:
        yield say(
            "{number} more are left out here; the text and JSON forms have all of them.", number=len(rows) - _MOST_ROWS
        )
        yield ""
