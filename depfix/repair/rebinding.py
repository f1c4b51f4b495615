"""Configuration with paths of the build machine, written anew so that it names folders of the dist.

Only the expression or the line that holds the path is replaced; all other bytes stay.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from depfix.checks.bound import bound_edges
from depfix.closure.bound import MODULES, Owner, outside_path, own_extensions, owner_of
from depfix.closure.build import Closure
from depfix.dist.tree import FileEntry
from depfix.imports.executed import Origin
from depfix.imports.values import Anchor, Reference, Text
from depfix.knowledge.rules import rule
from depfix.model.finding import Finding
from depfix.model.names import base_name, fold, parent
from depfix.wording.message import phrase, tabled

_BOM = b"\xef\xbb\xbf"
_OS = re.compile(rb"^\s*import os\b", re.MULTILINE)
_QT_LINE = re.compile(r"(?i)^(\s*)([a-z0-9]+)(\s*=\s*)\"?(?:[a-z]:[\\/]|[\\/]{2})")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file of the dist, and what is to stand in it."""

    entry: FileEntry
    content: bytes


def rewritten(closure: Closure, finding: Finding) -> Rewritten | str:
    """Return the configuration that a finding is about as it is to be, or why it stays as it is."""
    if finding.identity == "text":
        return _text_rewritten(closure, finding)
    edges = [edge for edge in bound_edges(closure, finding.subject, finding.identity) if edge.expected]
    if not edges:
        return tabled(rule(finding.rule).cure)
    edge = edges[0]
    module = edge.source.name
    origins = tuple(_origins(closure, module, edge.expected))
    changes = [(one, folder) for one in origins if (folder := _folder(closure, module, one)) is not None]
    if not changes:
        return phrase(
            "no folder of the dist has what {module} looks for in {subject}", module=module, subject=finding.subject
        )
    entry = changes[0][0].entry
    content = closure.world.facts.content(entry)
    for origin, folder in sorted(changes, key=lambda row: (row[0].row.line, row[0].row.column), reverse=True):
        expression = _expression(closure, module, origin, folder, content)
        changed = _replaced(content, origin, expression)
        if changed is None:
            return phrase("{path}: line {line} cannot be replaced", path=entry.path, line=origin.row.line)
        content = changed
    return Rewritten(entry, content)


def _origins(closure: Closure, module: str, config: str) -> Iterator[Origin]:
    """Yield each path of a configuration that belongs to the build machine."""
    for (owner, _), rows in closure.world.executed.items():
        for origin in rows if owner == module else ():
            path = outside_path(closure.world, module, origin.row.path)
            if origin.entry.path == config and path and owner_of(path) in (Owner.BUILD, Owner.DRIVE):
                yield origin


def _folder(closure: Closure, module: str, origin: Origin) -> str | None:
    """Return the folder of the dist that stands for a path: where the package's extension module or the DLLs are."""
    wanted = outside_path(closure.world, module, origin.row.path)
    edges = bound_edges(closure, wanted, origin.entry.path)
    if any(edge.asked == MODULES and edge.note == origin.row.name for edge in edges):
        folders = {parent(entry.path) for entry in own_extensions(closure.world, module)}
        return max(sorted(folders), key=lambda folder: _alike(folder, wanted), default=None)
    folders = {parent(entry.path) for entry in closure.world.tree.images()}
    same = [folder for folder in sorted(folders) if _alike(folder, wanted) >= 2 and _alike(folder, wanted) > 0]
    return max(same, key=lambda folder: _alike(folder, wanted), default=closure.world.dist.layout.beside)


def _alike(folder: str, path: str) -> int:
    """Return how many of the last parts of two paths are the same."""
    ones, others = fold(folder).split("/")[::-1], fold(path.rstrip("/")).split("/")[::-1]
    count = 0
    for one, other in zip(ones, others, strict=False):
        if not one or one != other:
            break
        count += 1
    return count


def _expression(closure: Closure, module: str, origin: Origin, folder: str, content: bytes) -> bytes:
    """Return the Python expression for a folder of the dist, as the configuration can say it."""
    here = closure.world.surroundings(module).here
    way = posixpath.relpath(f"/{folder}", f"/{here}")
    names = dict(origin.given)
    home = next((name for name, value in origin.given if value == Text((Anchor.HERE,))), "")
    has_os = names.get("os") == Reference("os") or _OS.search(content) is not None
    os_name = "os" if has_os else "__import__('os')"
    start = home or f"{os_name}.path.dirname({os_name}.path.abspath(__file__))"
    text = start if way == "." else f"{os_name}.path.abspath({os_name}.path.join({start}, '{way}'))"
    return text.encode()


def _replaced(content: bytes, origin: Origin, expression: bytes) -> bytes | None:
    """Return the bytes of a source with one expression replaced, None if its place cannot be told."""
    row = origin.row
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None  # columns are counted in UTF-8
    lines = content.splitlines(keepends=True)
    if not 0 < row.line <= row.end_line <= len(lines) or b"\f" in content or b"\v" in content:
        return None
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    mark = len(_BOM) if content.startswith(_BOM) else 0
    start = starts[row.line - 1] + row.column + (mark if row.line == 1 else 0)
    end = starts[row.end_line - 1] + row.end_column + (mark if row.end_line == 1 else 0)
    return content[:start] + expression + content[end:] if start < end <= len(content) else None


# --- texts ---


def _text_rewritten(closure: Closure, finding: Finding) -> Rewritten | str:
    entry = closure.world.tree.file(finding.subject)
    if entry is None or not re.fullmatch(r"qt6?\.conf", fold(entry.name)):
        return phrase(
            "depfix does not change it; remove it from the dist, or build from an environment that is not tied to it"
        )
    content = closure.world.facts.content(entry)
    try:
        lines = content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return phrase("{path} is not in UTF-8", path=entry.path)
    prefix, plugins = _qt_folders(closure, parent(entry.path))
    kept: list[str] = []
    for line in lines:
        match = _QT_LINE.match(line)
        key = match[2].lower() if match is not None else ""
        ending = line[len(line.rstrip("\r\n")) :]
        if match is None:
            kept.append(line)
        elif key in ("prefix", "plugins"):
            kept.append(f"{match[1]}{match[2]}{match[3]}{prefix if key == 'prefix' else plugins}{ending}")
    return Rewritten(entry, "".join(kept).encode())


def _qt_folders(closure: Closure, folder: str) -> tuple[str, str]:
    """Return Qt's prefix, relative to the folder of the program, and its plug-ins' folder, relative to the prefix.

    Source: "Using qt.conf", Overriding Paths https://doc.qt.io/qt-6/qt-conf.html
    """
    for entry in closure.world.tree.named("qwindows.dll"):
        plugins = parent(parent(entry.path))
        if fold(base_name(parent(entry.path))) == "platforms":
            prefix = parent(plugins)
            return posixpath.relpath(f"/{prefix}", f"/{folder}"), base_name(plugins) or "."
    return ".", "plugins"
